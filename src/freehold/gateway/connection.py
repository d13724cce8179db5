"""One client connection: bytes in, requests to the handler one at a time, deadlines, and a polite end.

    HEAD     waiting for, or inside, the head of a request
    BODY     inside a request body
    CALL     the handler is at work; what the client pipelines is held back, to a bound. A body may still be arriving: see
             incoming.py
    LINGER   refused: the answer is sent, what still arrives is thrown away so that the client gets to read it
    CLOSED

Framing of requests is head.py's and chunked.py's, of replies output.py's; who may connect and when is server.py's.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from io import BytesIO
from time import monotonic_ns
from typing import TYPE_CHECKING, Final, cast

from freehold.base.aio import Call
from freehold.base.errors import GatewayError, RequestTimeout
from freehold.gateway.chunked import ChunkedBody
from freehold.gateway.head import MAX_HEAD_BYTES, MAX_TARGET_BYTES
from freehold.gateway.incoming import Incoming
from freehold.gateway.output import Reply, status_line
from freehold.gateway.request import CHUNKED, Request, refused
from freehold.observe import log

if TYPE_CHECKING:
    from freehold.gateway.server import Server

_HEAD: Final = 0
_BODY: Final = 1
_CALL: Final = 2
_LINGER: Final = 3
_CLOSED: Final = 4

_NEVER: Final = float("inf")
_LARGE_BODY_BYTES: Final = 64 * 1024  # announced above this, the handler is asked before it is read
_PIPELINE_BYTES = 16 * 1024  # held while a call is in flight; beyond it we stop reading
_WRITE_HIGH_BYTES = 64 * 1024
_WRITE_LOW_BYTES = 16 * 1024
# A client that sends a whole body before it looks for an answer would see a reset instead of it if we closed at once.
_LINGER_BYTES = 64 * 1024 * 1024
_LINGER_QUIET_S = 5.0
_LINGER_S = 30.0
_TURNED_AWAY_S = 2.0  # a connection over the cap may not hold its descriptor for longer
_BARE_LF = re.compile(rb"(?<!\r)\n")


class Connection(asyncio.Protocol):
    """`deadline` is a time.monotonic() value; the server's sweep calls `expire` once it has passed."""

    __slots__ = (
        "_at",
        "_body",
        "_body_left",
        "_held",
        "_linger_until",
        "_paused",
        "_reading",
        "_receive",
        "_reply",
        "_request",
        "_state",
        "_task",
        "_unsent",
        "_upload",
        "client_ip",
        "deadline",
        "server",
        "transport",
    )

    transport: asyncio.Transport

    def __init__(self, server: Server) -> None:
        self.server = server
        self.deadline = _NEVER
        self.client_ip = ""
        self._state = _HEAD
        self._held = b""  # received and not used yet, from index _at on
        self._at = 0
        self._request: Request | None = None
        # BytesIO gives its content away without a copy: a large body is in memory once.
        self._body: BytesIO | ChunkedBody | None = None
        self._body_left = 0
        self._upload: Incoming | None = None  # a body that the call takes as it comes, until its last byte
        self._reply: Reply | None = None
        self._task: Call | None = None
        self._reading = True
        self._receive: Callable[[bytes], None] | None = None  # after HTTP was left
        self._paused = False
        self._unsent = 0  # bytes in the write buffer when the client was last seen to take some
        self._linger_until = 0.0

    # What the event loop tells us

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(_WRITE_HIGH_BYTES, _WRITE_LOW_BYTES)
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple):
            self.client_ip = peer[0]
        server = self.server
        self.deadline = server.now + server.header_timeout_s
        verdict = server.enter(self)
        if verdict is not None:
            self._refuse(verdict, _TURNED_AWAY_S)

    def data_received(self, data: bytes) -> None:
        state = self._state
        if state == _HEAD:
            held = self._held
            if held:
                self._held = b""
                self._take_head(held + data, 0, max(0, len(held) - 3))
            else:
                self._take_head(data, 0, 0)
        elif state == _BODY:
            self._take_body(data, 0)
        elif state == _CALL:
            if self._receive is not None:
                self._receive(data)
            else:
                self._hold(data)
        elif state == _LINGER:
            self._discard(len(data))

    def eof_received(self) -> None:
        """A client that shuts its side while we work has gone: no model API's client half-closes and waits."""
        cut_short = self._reply is not None and not self._reply.ended
        self._leave()
        if cut_short:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        self._reply = self._request = self._task = None
        self.server.leave(self)

    def pause_writing(self) -> None:
        self._paused = True
        self._unsent = self.transport.get_write_buffer_size()
        if self._state == _CALL:
            self.deadline = self.server.now + self.server.send_timeout_s
        if self._reply is not None:
            self._reply.pause()

    def resume_writing(self) -> None:
        self._paused = False
        self._unsent = 0
        if self._state == _CALL:
            self.deadline = _NEVER
        if self._reply is not None:
            self._reply.resume()

    # Requests

    def _take_head(self, data: bytes, at: int, search_from: int) -> None:
        end = data.find(b"\r\n\r\n", search_from) + 4
        if end == 3:
            self._keep_partial_head(data, at, search_from)
            return
        if end - at > MAX_HEAD_BYTES:
            self._refuse(_head_too_large())
            return
        try:
            request = self.server.head_reader.read(data[at:end], self.client_ip)
        except GatewayError as error:
            self._refuse(error)
            return
        self._request = request
        length = request.content_length
        stop = end + length
        if length == 0:
            self._begin_call(request, data, end)
        elif end < stop <= len(data) and length <= _LARGE_BODY_BYTES:
            request.body = data[end:stop]
            self._begin_call(request, data, stop)
        else:
            self._open_body(request, data, end)

    def _keep_partial_head(self, data: bytes, at: int, search_from: int) -> None:
        if at == len(data):
            return
        if search_from == at:  # its first bytes: the clock for the whole head starts
            self.deadline = self.server.now + self.server.header_timeout_s
        if not 65 <= data[at] <= 90 or _BARE_LF.search(data, search_from):
            self._refuse(refused(400, "malformed request: it does not begin with a method, or a line ends in a bare LF"))
        elif len(data) - at > MAX_HEAD_BYTES:
            self._refuse(_head_too_large())
        elif len(data) - at > 2 * MAX_TARGET_BYTES and data.find(b"\r\n", at, at + 2 * MAX_TARGET_BYTES) < 0:
            self._refuse(refused(414, f"the request target has more than {MAX_TARGET_BYTES} bytes, the most that is read"))
        else:
            self._held = data[at:]

    def _open_body(self, request: Request, data: bytes, at: int) -> None:
        """A body that is large, chunked or not all here yet: may it come at all?"""
        server, length = self.server, request.content_length
        large = length == CHUNKED or length > _LARGE_BODY_BYTES
        verdict = server.handler.admit_head(request) if large or request.expects_continue else None
        limit = server.max_upload_bytes if request.streams else server.max_body_bytes
        if verdict is None and length > limit:
            verdict = refused(413, f"the request body has {length} bytes; at most {limit} are read")
        if verdict is not None:
            self._refuse(verdict)
            return
        if request.expects_continue and at == len(data):
            server.outbox.put(self.transport.write, status_line(100) + b"\r\n")
        if request.streams and large:
            self._begin_upload(request, data, at, limit)
            return
        self._state = _BODY
        self._body_left = length
        self._body = ChunkedBody(limit, BytesIO()) if length == CHUNKED else BytesIO()
        self.deadline = server.now + server.body_timeout_s
        self._take_body(data, at)

    def _take_body(self, data: bytes, at: int) -> None:
        request, body = self._request, self._body
        assert request is not None
        if isinstance(body, ChunkedBody):
            try:
                at = body.feed(data, at)
            except GatewayError as error:
                self._refuse(error)
                return
            done, content = body.done, cast(BytesIO, body.body)
        else:
            assert body is not None
            piece = data[at : at + self._body_left]
            body.write(piece)
            at += len(piece)
            self._body_left -= len(piece)
            done, content = not self._body_left, body
        if done:
            self._body = None
            request.body = content.getvalue()
            self._begin_call(request, data, at)
        elif request.content_length == CHUNKED or request.content_length > _LARGE_BODY_BYTES:
            # The handler has let this one in. A small one must be whole in that time: anybody may send it.
            self.deadline = self.server.now + self.server.body_timeout_s

    def _hold(self, data: bytes) -> None:
        """Keep what a client pipelines. We go on reading, to a bound, because only so we see it leave."""
        self._held = self._held[self._at :] + data
        self._at = 0
        if len(self._held) > _PIPELINE_BYTES and self._reading:
            self._reading = False
            self.transport.pause_reading()

    def switch(self, receive: Callable[[bytes], None]) -> None:
        """The call under way leaves HTTP: what the client sends is `receive`'s, what it has sent already first."""
        self._receive = receive
        held, self._held = self._held[self._at :], b""
        self._at = 0
        self.hold(False)
        if held:
            receive(held)

    def hold(self, held: bool) -> None:
        if self._state == _CALL and self._reading is held and not self.transport.is_closing():
            self._reading = not held
            if held:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()

    # Calls

    def _begin_upload(self, request: Request, data: bytes, at: int, limit: int) -> None:
        """Call the handler with a body that is still arriving."""
        self._state = _CALL
        length = None if request.content_length == CHUNKED else request.content_length
        incoming = Incoming(self, length, limit, self.server.max_body_bytes, request.keep_alive)
        request.incoming = incoming
        at = incoming.take(data, at)
        if incoming.error is not None:
            self._refuse(incoming.error)
        elif incoming.complete:
            self._begin_call(request, data, at)
        else:
            request.keep_alive = False  # a reply that comes before the body's end leaves the rest of it unread
            self._upload = incoming
            self._receive = incoming.receive
            self._begin_call(request, b"", 0)
            if self._upload is incoming and not self._paused:
                self.deadline = 0.0 if incoming.held else self.server.now + self.server.body_timeout_s

    def body_ended(self, incoming: Incoming, data: bytes, at: int) -> None:
        """The last byte of an upload has come; from index `at` on, `data` is the next request's."""
        if self._upload is incoming:
            self._upload = self._receive = None
            reply = self._reply
            if self._request is not None and reply is not None and not reply.started:
                self._request.keep_alive = reply.keep_alive = incoming.keep_alive
            self.deadline = self.server.now + self.server.send_timeout_s if self._paused else _NEVER
            if at < len(data):
                self._hold(data[at:])

    def _begin_call(self, request: Request, data: bytes, at: int) -> None:
        server = self.server
        self._state = _CALL
        self._held, self._at = (data, at) if at < len(data) else (b"", 0)
        self.deadline = server.now + server.send_timeout_s if self._paused else _NEVER
        request.arrived_ns = monotonic_ns()
        self._reply = reply = Reply(self, request, server.outbox.put, self.transport.write, request.keep_alive, self._paused)
        self._task = task = Call(self._call(request, reply))
        task.start()

    async def _call(self, request: Request, reply: Reply) -> None:
        server = self.server
        server.active_calls += 1
        try:
            await server.handler(request, reply)
            if not reply.ended:
                self._fail(request, reply, _no_answer())
        except GatewayError as error:
            self._fail(request, reply, error)
        except Exception as error:
            if not (reply.gone and isinstance(error, ConnectionResetError)):
                log.failure("handler_failed", error, path=request.path)
            self._fail(request, reply, _no_answer())
        finally:
            server.active_calls -= 1
            self._end_call(reply)

    def _fail(self, request: Request, reply: Reply, error: GatewayError) -> None:
        if reply.started:
            reply.abort()
        else:
            reply.whole(*self.server.handler.refusal(request, error))

    def _end_call(self, reply: Reply) -> None:
        self._reply = self._request = self._task = None
        if self._state != _CALL:
            return
        if not reply.ended:  # the task was cancelled by someone else than the client
            self.transport.abort()
        elif self._upload is not None:
            self._linger(_LINGER_S)  # the client is still sending
        elif not reply.keep_alive or self.server.draining:
            self.close()
        else:
            self._next()

    def _next(self) -> None:
        """Wait for the next request, which may be here already."""
        if self._held:
            # Not from here: a client that pipelines a hundred small requests would nest a hundred calls.
            self.server.call_soon(self._take_held)
            return
        self._await_head()

    def _take_held(self) -> None:
        if self._state == _CALL:
            data, at = self._held, self._at
            self._held, self._at = b"", 0
            self._await_head()
            self._take_head(data, at, at)

    def _await_head(self) -> None:
        server = self.server
        self._state = _HEAD
        self.deadline = server.now + server.idle_timeout_s
        if not self._reading:
            self._reading = True
            self.transport.resume_reading()

    # Ends

    def close(self) -> None:
        """Send what is written, then close."""
        if self._state != _CLOSED:
            self._state = _CLOSED
            self.deadline = self.server.now + self.server.send_timeout_s
            self.server.outbox.flush()
            self.transport.close()

    def close_if_idle(self) -> None:
        if self._state == _HEAD and not self._held:
            self.close()

    def force(self) -> None:
        """End everything at once."""
        self._leave()
        self.transport.abort()

    def expire(self) -> None:
        """The deadline has passed: of what, the state says."""
        unsent = self.transport.get_write_buffer_size()
        if unsent and self._state != _LINGER:
            if not self._unsent or unsent < self._unsent:
                self._unsent = unsent
                self.deadline = self.server.now + self.server.send_timeout_s
            else:
                self.force()
        elif self._state == _BODY:
            self._refuse(RequestTimeout("the request body did not arrive in time; send it without pauses"))
        elif self._state == _HEAD and self._held:
            self._refuse(RequestTimeout("the request head did not arrive in time; send it at once"))
        elif self._state == _HEAD:
            self.close()
        elif self._state == _CALL and self._upload is not None:
            if self._upload.expire():
                self.force()
        else:
            self.force()

    def _leave(self) -> None:
        """The client has gone: whoever still works for it stops now. A call whose reply is complete may finish its books."""
        self._state = _CLOSED
        self.deadline = self.server.now + self.server.send_timeout_s
        self._held = b""
        self._body = self._upload = None
        reply, task = self._reply, self._task
        if reply is not None and not reply.gone:
            reply.lose()
            if task is not None and not reply.ended:
                task.cancel()

    def _refuse(self, error: GatewayError, linger_s: float = _LINGER_S) -> None:
        """Answer with the error, then close once the client has had a chance to read that."""
        request, self._request = self._request, None
        status, headers, body = self.server.handler.refusal(request, error)
        content = b"" if request is not None and request.method == "HEAD" else body
        head = (status_line(status), self.server.date_line, headers)
        self.server.outbox.flush()
        self.transport.write(b"%b%b%bconnection: close\r\ncontent-length: %d\r\n\r\n%b" % (*head, len(body), content))
        self._linger(linger_s)

    def _linger(self, linger_s: float) -> None:
        """The last byte is written. What still comes is thrown away for a while, for the client to read that."""
        self._body = self._upload = self._receive = None
        self._held = b""
        self._state = _LINGER
        self._body_left = _LINGER_BYTES
        now = self.server.now
        self._linger_until = now + linger_s
        self.deadline = now + min(linger_s, _LINGER_QUIET_S)
        self.server.outbox.flush()
        if not self._reading:
            self._reading = True
            self.transport.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _discard(self, size: int) -> None:
        self._body_left -= size
        self.deadline = min(self.server.now + _LINGER_QUIET_S, self._linger_until)
        if self._body_left < 0:
            self.force()


def _no_answer() -> GatewayError:
    return GatewayError("the gateway failed to answer; its log says why")


def _head_too_large() -> GatewayError:
    return refused(431, f"the request head has more than {MAX_HEAD_BYTES} bytes, the most that is read")
