"""Where requests begin and end, judged by h11: what we accept, h11 reads the same way. To be stricter is allowed.

No sockets: a connection is fed bytes, and what it hands to the handler is compared.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import h11
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from freehold.config.schema import ServerConfig
from freehold.gateway.connection import Connection
from freehold.gateway.request import Request
from freehold.gateway.server import Server
from freehold.pipeline.output import Output

from .serving import App


class Message(NamedTuple):
    method: str
    target: str
    headers: dict[bytes, bytes]
    body: bytes


class Wire(asyncio.Transport):
    """Takes what is written and remembers how the connection ended."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += bytes(data)

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.closed = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


def ours(*pieces: bytes) -> tuple[list[Message], bytes]:
    """The requests that our server would answer, and what it would send."""
    messages: list[Message] = []

    async def note(request: Request, out: Output) -> None:
        target = request.path + ("?" + request.query.decode() if request.query else "")
        if b"transfer-encoding" in request.headers:
            request.headers[b"transfer-encoding"] = request.headers[b"transfer-encoding"].lower()  # as h11 has it
        messages.append(Message(request.method, target, request.headers, request.body))
        out.whole(200, b"", b"")

    server = Server(App(note), ServerConfig())
    later: deque[Callable[[], None]] = deque()
    server.call_soon = later.append  # type: ignore[assignment]
    wire = Wire()
    connection = Connection(server)
    connection.connection_made(wire)
    for piece in pieces:
        if not wire.closed:
            connection.data_received(piece)
        while later:
            later.popleft()()
    return messages, wire.sent


def h11s(data: bytes) -> list[Message]:
    """The requests that h11 reads, up to its first complaint."""
    judge = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    judge.receive_data(data)
    messages: list[Message] = []
    headers: dict[bytes, bytes] = {}
    head: h11.Request | None = None
    body = b""
    while True:
        try:
            event = judge.next_event()
        except h11.RemoteProtocolError:
            return messages
        if isinstance(event, h11.Request):
            head, body = event, b""
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            assert head is not None
            headers = {}
            for name, value in head.headers:
                headers[name] = headers[name] + b", " + value if name in headers else value
            messages.append(Message(head.method.decode(), head.target.decode(), headers, body))
            judge.send(h11.Response(status_code=404, headers=[("content-length", "0")]))
            judge.send(h11.EndOfMessage())
            if head.http_version == b"1.0" and b"keep-alive" in headers.get(b"connection", b""):
                return messages + h11s(judge.trailing_data[0])  # h11 closes after HTTP/1.0; we keep alive if asked to
            if judge.our_state is not h11.DONE or judge.their_state is not h11.DONE:
                return messages
            judge.start_next_cycle()
        else:
            return messages


def agree(data: bytes) -> None:
    accepted, judged = ours(data)[0], h11s(data)
    assert len(accepted) <= len(judged), f"we take {len(accepted)} requests from this, h11 {len(judged)}"
    for mine, theirs in zip(accepted, judged, strict=False):
        if theirs.target[:1] == "/" and theirs.target[-1:] != "?":  # we cut absolute forms and empty queries
            assert mine.target == theirs.target
        assert (mine.method, mine.headers, mine.body) == (theirs.method, theirs.headers, theirs.body)


LINES = [
    *(b"GET / HTTP/1.1", b"POST /a?b HTTP/1.1", b"HEAD / HTTP/1.0", b"GET http://h/p HTTP/1.1", b"OPTIONS * HTTP/1.1"),
    *(b"GET  / HTTP/1.1", b"GET / HTTP/1.1 ", b"GET / HTTP/2.0", b"GET /", b"get / HTTP/1.1", b"CONNECT h:1 HTTP/1.1", b""),
    *(b"GET /\tHTTP/1.1", b"POST / HTTP/1.0", b"GET /\x80 HTTP/1.1", b"PRI * HTTP/2.0", b"\r\nGET / HTTP/1.1"),
]
HEADERS = [
    *(b"Host: x", b"Host: y", b"host:", b"Connection: close", b"Connection: keep-alive", b"Connection: upgrade\r\nUpgrade: h2c"),
    *(b"Content-Length: 0", b"Content-Length: 5", b"content-length:5 ", b"Content-Length: 05", b"Content-Length: +5"),
    *(b"Content-Length: 5, 5", b"Content-Length: 0x5", b"Content-Length: 5\x0b", b"Content-Length : 5", b"Content-Length:\t5\t"),
    *(b"Content-Length: 99999999999999999999", b"Content-Length: -1", b"Content-Length:"),
    *(
        b"Transfer-Encoding: chunked",
        b"transfer-encoding:\tchunked",
        b"Transfer-Encoding: Chunked ",
        b"Transfer-Encoding : chunked",
    ),
    *(b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked;q=1"),
    *(
        b"Transfer-Encoding:\x0bchunked",
        b"Transfer-Encoding: chunked, chunked",
        b"Transfer_Encoding: chunked",
        b"Transfer-Encoding:",
    ),
    *(
        b"A: b",
        b"A: b\r\n c",
        b"A: b\nC: d",
        b"A: b\rC: d",
        b"A: \0",
        b"A: \xff",
        b" A: b",
        b": b",
        b"A",
        b"A\x00: b",
        b'"A": b',
        b"A:\r",
    ),
    *(b"Expect: 100-continue", b"Expect: x", b"X\x80: y", b"A:b:c", b"(A): b", b"A: \t b \t "),
]
BODIES = [
    *(b"", b"hello", b"hell", b"hello\r\n", b"0\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n", b"5;a=b\r\nhello\r\n0;c\r\nT: u\r\n\r\n"),
    *(
        b"5\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
        b"5\r\nhello0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
    ),
    *(
        b"ffffffffffffffffff\r\nhello",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"000000000000000000000005\r\nhello\r\n0\r\n\r\n",
        b"0\r\n\n",
        b"0\n\r\n",
    ),
    *(
        b"5;a\nb\r\nhello\r\n0\r\n\r\n",
        b'5;a="\r\n"\r\nhello\r\n0\r\n\r\n',
        b"0\r\nContent-Length: 5\r\n\r\nhello",
        b"0\r\nA: b\r\n c\r\n\r\n",
    ),
    *(b"5\r\nhello\r\n0\r\nA : b\r\n\r\n", b"0\r\n\r", b"00\r\n\r\n", b"5_0\r\nhello", b"\r\n"),
]
ENDS = [b"\r\n", b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\r\n"]
NASTY = [b"\r", b"\n", b"\0", b" ", b"\t", b":", b";", b",", b"\x0b", b"\x0c", b"\x80", b"0", b"f", b"\r\n", b"chunked", b"\x7f"]


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """A request made of likely and unlikely parts, mostly with proper line ends."""
    proper = draw(st.booleans())
    end = st.just(b"\r\n") if proper else st.sampled_from(ENDS)
    lines = [draw(st.sampled_from(LINES[:3] if proper else LINES)), *draw(st.lists(st.sampled_from(HEADERS), max_size=5))]
    if draw(st.integers(0, 3)):
        lines.insert(1, b"Host: x")
    return b"".join(line + draw(end) for line in lines) + draw(end) + draw(st.sampled_from(BODIES))


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """One to three requests on one connection, with a few bytes of damage."""
    data = b"".join(draw(st.lists(messages(), min_size=1, max_size=3)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        cut = draw(st.integers(0, 3))
        data = data[:at] + draw(st.sampled_from(NASTY) | st.binary(max_size=3)) + data[at + cut :]
    return data


NEXT = b"GET /2 HTTP/1.1\r\nHost: x\r\n\r\n"


@settings(max_examples=1000)
@given(streams())
@example(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + NEXT)
@example(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello" + NEXT)
@example(b"POST / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\n\r\nhello" + NEXT)
def test_what_we_accept_h11_reads_the_same_way(data: bytes) -> None:
    agree(data)


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("extra", [b"", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_every_pair_of_parts_is_read_as_h11_does(line: bytes, extra: bytes) -> None:
    probe = b"GET /probe HTTP/1.1\r\nHost: x\r\n\r\n"
    for header in HEADERS:
        for body in BODIES:
            agree(b"%b\r\nHost: x\r\n%b%b\r\n\r\n%b%b" % (line, extra, header, body, probe))


@settings(max_examples=200)
@given(streams(), st.lists(st.integers(0, 200), max_size=6))
def test_how_the_bytes_are_cut_changes_nothing(data: bytes, cuts: list[int]) -> None:
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[a:b] for a, b in pairwise(edges)]
    whole, cut_up = ours(data), ours(*pieces)
    assert cut_up[0] == whole[0]
    assert cut_up[1].count(b"HTTP/1.1 200 ") == whole[1].count(b"HTTP/1.1 200 ")


@settings(max_examples=200)
@given(st.lists(st.tuples(st.sampled_from([b"GET", b"POST"]), st.binary(max_size=40), st.booleans()), min_size=1, max_size=8))
def test_everything_proper_is_accepted(asks: list[tuple[bytes, bytes, bool]]) -> None:
    data = b""
    for method, body, as_chunks in asks:
        framing = b"Transfer-Encoding: chunked" if as_chunks else b"Content-Length: %d" % len(body)
        wire = b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in (body[:7], body[7:]) if p) + b"0\r\n\r\n" if as_chunks else body
        data += b"%b /p HTTP/1.1\r\nHost: x\r\n%b\r\n\r\n%b" % (method, framing, wire)
    assert [(m.method.encode(), m.body) for m in ours(data)[0]] == [(method, body) for method, body, _ in asks]


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_noise_is_answered_with_an_error_or_waited_for(data: bytes) -> None:
    agree(data)
