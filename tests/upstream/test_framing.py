"""Message framing without sockets: any cut of the bytes means the same, and no bytes at all raise into the event loop."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.base.aio import Outbox
from freehold.upstream.connection import Connection
from freehold.upstream.pool import Bucket
from freehold.upstream.transport import Origin, Timeouts


class Wire:
    """A transport that goes nowhere."""

    def __init__(self) -> None:
        self.closed = False

    def write(self, data: bytes) -> None: ...

    def writelines(self, data: list[bytes]) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        self.closed = True

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Outcome:
    """What one exchange came to, as comparable values."""

    def __init__(self, pieces: list[bytes], end: bool) -> None:
        loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(self._exchange(pieces, end))
        finally:
            loop.close()

    async def _exchange(self, pieces: list[bytes], end: bool) -> None:
        outbox = Outbox()
        bucket = Bucket(Origin("http", "peer.example", 80), 10, 55, outbox)
        wire = Wire()
        connection = Connection(bucket, asyncio.get_running_loop())
        connection.connection_made(cast(Any, wire))
        reply = connection.start(b"POST / HTTP/1.1\r\n\r\n", b"", Timeouts())
        outbox.flush()
        for piece in pieces:
            connection.data_received(piece)
        if end and not wire.closed:
            connection.eof_received()
        if end or wire.closed:
            connection.connection_lost(None)
        self.status = reply.status
        self.headers = reply.headers
        self.body = reply.take()
        self.complete = reply.complete
        self.kept = bool(bucket.idle) and not wire.closed

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Outcome) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(vars(self))


WHOLE = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\nX-A: 1\r\n\r\nhello there",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n there\r\n0\r\nX-T: 1\r\n\r\n",
    "interim": b"HTTP/1.1 103 Hi\r\nLink: a\r\n\r\nHTTP/1.1 201 OK\r\nContent-Length: 5\r\n\r\nhello",
    "blank lines": b"\r\n\r\nHTTP/1.1 100 Hi\r\n\r\n\r\nHTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 5\r\n\r\nhello",
    "empty": b"HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n",
    "close": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
    "until the end": b"HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\nhello",
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_reply_does_not_depend_on_where_its_bytes_are_cut(name: str) -> None:
    data = WHOLE[name]
    end = name == "until the end"
    expected = Outcome([data], end)
    assert expected.complete
    assert Outcome([data[i : i + 1] for i in range(len(data))], end) == expected
    for cut in range(1, len(data)):
        assert Outcome([data[:cut], data[cut:]], end) == expected


@pytest.mark.parametrize("name", [name for name in WHOLE if name != "until the end"])
def test_a_reply_cut_short_anywhere_is_never_complete(name: str) -> None:
    data = WHOLE[name]
    for cut in range(len(data)):
        assert not Outcome([data[:cut]], end=True).complete


@pytest.mark.parametrize("surplus", [b"H", b"x", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad", b"\0"])
@pytest.mark.parametrize("name", ["length", "chunked", "interim", "empty"])
def test_bytes_after_the_end_change_nothing_but_end_the_connection(name: str, surplus: bytes) -> None:
    clean = Outcome([WHOLE[name]], end=False)
    dirty = Outcome([WHOLE[name] + surplus], end=False)
    assert (clean.kept, dirty.kept) == (True, False)
    assert (dirty.status, dirty.headers, dirty.body, dirty.complete) == (clean.status, clean.headers, clean.body, True)


TOKENS = [
    *(
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.0 200 OK\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 204 \r\n",
        b"HTTP/1.1 101 S\r\n",
    ),
    *(b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip\r\n"),
    *(b"Connection: close\r\n", b"Connection: upgrade\r\n", b"Upgrade: h2c\r\n", b"Keep-Alive: timeout=5\r\n", b"X:\r\n a\r\n"),
    *(b"\r\n", b"\n", b"\r", b"\n\n", b"\r\n\r\n", b" ", b"\t", b":", b"\0", b"\xff", b"hello", b"5\r\nhello\r\n", b"0\r\n\r\n"),
    *(b"0\r\n", b"fffffffff\r\n", b"-1\r\n", b"5;a=b\r\n", b"x"),
]
noise = st.lists(st.one_of(st.sampled_from(TOKENS), st.binary(max_size=6)), max_size=14).map(b"".join)


@settings(max_examples=1500, deadline=None)
@given(noise, st.lists(st.integers(0, 200), max_size=4), st.booleans())
def test_no_bytes_raise_and_any_cut_gives_the_same_verdict(data: bytes, cuts: list[int], end: bool) -> None:
    data = b"HTTP/1.1 200 OK\r\n" + data if data[:1] not in (b"H", b"\r", b"\n") else data
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[a:b] for a, b in pairwise(edges)]
    whole, cut_up = Outcome([data] if data else [], end), Outcome(pieces, end)
    assert (whole.complete, whole.status, whole.headers) == (cut_up.complete, cut_up.status, cut_up.headers)
    if whole.complete:
        assert whole.body == cut_up.body
