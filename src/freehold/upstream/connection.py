"""One upstream HTTP/1.1 connection: writes a request, parses the reply, says whether it may serve another.

llhttp (httptools) does the framing. This file decides what a message's end, a connection's end and stray bytes mean:

    idle --start--> asked --first byte--> head --blank line--> body --last byte--> idle (or closed)
                      ^------ 1xx --------'

A connection is given back the moment the last byte arrived, before anyone read it: the reply buffers on its own.
Deadlines are not kept here; the pool's sweep looks at `since`, `heard` and `phase`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, cast

import httptools

from freehold.base.errors import GatewayError, UpstreamBroken, UpstreamError
from freehold.upstream.reply import Reply
from freehold.upstream.sending import Sending
from freehold.upstream.transport import Body, Streamed, Timeouts

if TYPE_CHECKING:
    from freehold.upstream.pool import Bucket

# Bytes that carry no body (head, interim replies, trailers, chunk extensions) allowed in a row. Counted a read at a time.
MAX_HEAD_BYTES: Final = 64 * 1024
# Below this, joining head and body and one write is cheaper than writing two pieces (measured on uvloop: they cross near 8 KB).
JOIN_BYTES: Final = 8 * 1024
# A reused connection that dies unanswered within this time was being closed as we wrote: an RTT or two. Later than
# that, the server may have been working on the call, and repeating it could run (and bill) it twice.
STALE_WINDOW_S = 3.0


# Where every connection's bytes arrive. A read is a whole write to a client that may not read: uvloop's own would be of 256 KB.
_INBOX = memoryview(bytearray(64 * 1024))

# Phases. Plain ints: an enum lookup costs 5x on this path.
IDLE: Final = 0
ASKED: Final = 1
HEAD: Final = 2
BODY: Final = 3
DONE: Final = 4  # the reply is whole, its last read is still being parsed
CLOSED: Final = 5


class Surplus(Exception):
    """The upstream began a message that nobody asked for."""


class Connection(asyncio.BufferedProtocol):
    """`since`: monotonic seconds of the last event that matters to a deadline. `stale`: died unanswered after being reused."""

    __slots__ = (
        "_bucket",
        "_dry",
        "_end_of_input",
        "_head",
        "_interim",
        "_keep_alive",
        "_loop",
        "_parser",
        "_pieces",
        "_reply",
        "_sending",
        "_skip_body",
        "_transport",
        "_turn",
        "heard",
        "idle_limit_s",
        "on_body",
        "paused",
        "phase",
        "reused",
        "since",
        "stale",
        "timeouts",
    )

    def __init__(self, bucket: Bucket, loop: asyncio.AbstractEventLoop) -> None:
        self._bucket = bucket
        self._loop = loop
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)  # set before anything else happens
        self._reply: Reply | None = None
        self._head = b""
        self._interim = 0
        self._pieces: list[bytes] = []
        self.on_body = self._pieces.append  # called by the parser: no Python frame for a body piece
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._dry = 0
        self._keep_alive = False
        self._sending: Sending | None = None  # a body that has not left yet
        self._skip_body = False
        self._end_of_input = False
        self._turn = -1  # of the outbox, when the request was put into it
        self.phase = IDLE
        self.paused = False
        self.heard = False
        self.reused = False
        self.stale = False
        self.since = loop.time()
        self.idle_limit_s = bucket.max_idle_s
        self.timeouts = Timeouts()

    # --- for the pool ---

    def start(self, head: bytes, body: Body, timeouts: Timeouts) -> Reply:
        """Send a request on an idle connection. The reply is fed from now on."""
        reply = Reply(self, self._loop)
        self._reply = reply
        self.timeouts = timeouts
        self._dry = 0
        self._interim = 0
        self.heard = False
        self.since = self._loop.time()
        self._skip_body = head[:5] == b"HEAD "
        self.phase = ASKED
        outbox = self._bucket.outbox
        self._turn = outbox.turn
        if isinstance(body, Streamed):
            outbox.put(self._transport.write, head)
            self._sending = Sending(self, body, self._loop)
        elif not isinstance(body, bytes):
            outbox.put(self._transport.writelines, (head, *body.pieces))
        elif len(body) < JOIN_BYTES:
            outbox.put(self._transport.write, head + body)
        else:
            outbox.put(self._transport.writelines, (head, body))
        return reply

    def expire(self, error: GatewayError) -> None:
        """A deadline passed, or the request can't be sent to its end: close and tell the reader."""
        self._close(error)

    def shut(self) -> None:
        """Close an idle connection, or one that nobody reads any more."""
        self._close(None)

    # --- for a body that is sent as it arrives ---

    def put(self, data: bytes) -> None:
        self._bucket.outbox.put(self._transport.write, data)

    def sent(self, last: bytes) -> None:
        """These are the body's last bytes."""
        self._sending = None
        if last:
            self._turn = self._bucket.outbox.turn
            self.put(last)

    def pause_writing(self) -> None:
        if self._sending is not None:
            self._sending.pause()

    def resume_writing(self) -> None:
        if self._sending is not None:
            self._sending.resume()

    # --- reply.Source ---

    def pause(self) -> None:
        self.paused = True
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        self.paused = False
        self.heard = True  # the silence so far was ours
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def abort(self) -> None:
        self._close(None)

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        return _INBOX

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(_INBOX[:nbytes]))

    def data_received(self, data: bytes) -> None:
        reply = self._reply
        parser = self._parser
        if reply is None or parser is None:  # bytes on an idle connection answer nothing: it cannot be trusted any more
            self._close(None)
            return
        self.heard = True
        in_head = self.phase < BODY
        if in_head:
            self._head = self._head + data if self._head else data
        error: UpstreamBroken | None = None
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._keep_alive = False
            if self.phase != DONE:
                error = UpstreamBroken(f"{self._bucket.origin} sent bytes that are not a valid HTTP/1.1 reply; {CHECK_URL}")
        if in_head and self.phase >= BODY:
            reply.head = head_of(self._head, self._interim)
            self._head = b""
        pieces = self._pieces
        if pieces:
            body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            pieces.clear()
            self._dry = 0
        else:
            body = b""
            self._dry += len(data)
            if self._dry > MAX_HEAD_BYTES and error is None and self.phase != DONE:
                error = UpstreamBroken(f"{self._bucket.origin} sent more than {MAX_HEAD_BYTES} bytes of headers; {CHECK_URL}")
        phase = self.phase
        if phase == DONE:
            self._finish(reply, body)
        elif error is not None:
            if phase == BODY and body:
                reply.feed(body)
            self._close(error)
        elif phase == BODY:
            reply.feed(body)

    def eof_received(self) -> None:
        """The upstream closed its side cleanly: the proper end of a body that has no length of its own, else a cut."""
        self._end_of_input = True
        if self.phase == BODY and self._ends_at_eof():
            reply = self._reply
            self.phase = DONE
            self._keep_alive = False
            if reply is not None:
                self._finish(reply, b"")
        else:
            self._close(self._lost())

    def connection_lost(self, exc: Exception | None) -> None:
        if self.phase != CLOSED:
            self._close(self._lost())
        self._parser = None  # breaks the cycle parser -> bound methods -> connection
        self._bucket.forget(self)

    # --- httptools ---

    def on_message_begin(self) -> None:
        if self.phase != ASKED:
            raise Surplus
        self.phase = HEAD

    def on_headers_complete(self) -> None:
        reply = self._reply
        parser = self._parser
        if reply is None or parser is None:
            return
        status = parser.get_status_code()
        if status < 200:  # interim (100, 103): the real head follows
            self._interim += 1
            return
        reply.status = status
        self.phase = BODY
        if self._skip_body:
            self._keep_alive = False  # the parser waits for a body that a HEAD reply never has: this connection is used up
            self.phase = DONE

    def on_message_complete(self) -> None:
        if self.phase == HEAD:
            self.phase = ASKED  # that was an interim reply
            return
        parser = self._parser
        if parser is not None and self.phase == BODY:
            self._keep_alive = parser.should_keep_alive()
            self.phase = DONE

    # --- inside ---

    def _finish(self, reply: Reply, body: bytes) -> None:
        """The reply is whole: give the connection back first, so that a sink that sends again finds it."""
        self._reply = None
        if self._skip_body:
            body = b""
        sent = self._turn != self._bucket.outbox.turn and self._transport.get_write_buffer_size() == 0
        if sent and self._sending is None and self._keep_alive and not self._end_of_input:
            if self.paused:
                self.resume()
            self.phase = IDLE
            self.reused = True
            self.since = self._loop.time()
            # find, not `in`: bytes in bytes first tries its operand as an integer, and the failure costs 0.5 us.
            advertised = reply.headers.get(b"keep-alive") if reply.head.find(b"timeout=") >= 0 else None
            self._bucket.release(self, advertised)
        else:
            self._close(None)
        reply.finish(body)

    def _close(self, error: GatewayError | None) -> None:
        """End the connection now. A reply that was still coming fails with `error`."""
        if self.phase == CLOSED:
            return
        self.phase = CLOSED
        reply = self._reply
        self._reply = None
        self._transport.abort()
        if self._sending is not None:
            self._sending.stop()
            self._sending = None
        if reply is not None and error is not None:
            reply.fail(error)

    def _lost(self) -> UpstreamError | None:
        """What the upstream's closing means for the reply under way; None when there is none."""
        if self._reply is None:
            return None
        self.stale = self.reused and not self.heard and self._loop.time() - self.since < STALE_WINDOW_S
        when = "before it answered" if self.phase in (ASKED, HEAD) else "in the middle of its reply"
        return UpstreamBroken(f"{self._bucket.origin} closed the connection {when}; try again, or look at that server's log")

    def _ends_at_eof(self) -> bool:
        reply = self._reply
        if reply is None or b"content-length" in reply.headers:
            return False
        return not reply.headers.get(b"transfer-encoding", b"").lower().endswith(b"chunked")


def head_of(received: bytes, interim: int) -> bytes:
    """The final head in the bytes received: `interim` heads come before it, a body may follow."""
    received = received.lstrip(b"\r\n")  # the parser skips blank lines before a status line
    for _ in range(interim):
        received = received[received.index(b"\r\n\r\n") + 4 :].lstrip(b"\r\n")
    return received[: received.index(b"\r\n\r\n")]


CHECK_URL = "check that the provider's base_url points at an HTTP/1.1 API and uses the right scheme"
