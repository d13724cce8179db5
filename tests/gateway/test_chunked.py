"""Chunked request bodies: where they end, and what is refused."""

from __future__ import annotations

from io import BytesIO

import pytest

from freehold.base.errors import GatewayError
from freehold.gateway.chunked import MAX_EXTRAS_BYTES, MAX_LINE_BYTES, ChunkedBody

NEXT = b"GET / HTTP/1.1\r\n\r\n"


def decode(*pieces: bytes, limit: int = 1000) -> ChunkedBody:
    decoder = ChunkedBody(limit, BytesIO())
    for piece in pieces:
        assert decoder.feed(piece, 0) == len(piece)
    return decoder


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (b"0\r\n\r\n", b""),
        (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"5;a=b\r\nhello\r\n1\r\n!\r\n00\r\n\r\n", b"hello!"),
        (b'5;a="b c"\r\nhello\r\n0;x\r\n\r\n', b"hello"),
        (b"00000005\r\nhello\r\n0\r\nX-Sum: 1\r\nY:\r\n\r\n", b"hello"),
        (b"4\r\n\r\n\r\n\r\n0\r\n\r\n", b"\r\n\r\n"),
        (b"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", b"0123456789" * 2),
    ],
)
def test_body_and_its_end_do_not_depend_on_where_the_bytes_are_cut(raw: bytes, body: bytes) -> None:
    for cut in range(len(raw) + 1):
        decoder = ChunkedBody(1000, BytesIO())
        data = raw[cut:] + NEXT
        if cut:
            assert decoder.feed(raw[:cut], 0) == cut
        assert decoder.feed(data, 0) == len(raw) - cut
        assert (decoder.done, decoder.body.getvalue()) == (True, body)


@pytest.mark.parametrize(
    "raw",
    [
        b"5\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"5\r\nhello0\r\n\r\n",
        b"5\r\nhello!\r\n0\r\n\r\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
        b" 5\r\nhello\r\n0\r\n\r\n",
        b"5 ;a\r\nhello\r\n0\r\n\r\n",
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"1_0\r\nhello\r\n0\r\n\r\n",
        b"\r\n0\r\n\r\n",
        b";a\r\n0\r\n\r\n",
        b"5;a\rb\r\nhello\r\n0\r\n\r\n",
        b"5;a\nb\r\nhello\r\n0\r\n\r\n",
        b"5;a=\x00\r\nhello\r\n0\r\n\r\n",
        b"00000000000000005\r\nhello\r\n0\r\n\r\n",
        b"0\r\n\n",
        b"0\r\nA: b\r\n c\r\n\r\n",
        b"0\r\nA : b\r\n\r\n",
        b"0\r\nA\r\n\r\n",
        b"0\r\n: b\r\n\r\n",
        b"0\r\nA: \0\r\n\r\n",
        b"0\r\nContent-Length: 5\r\n\r\n",
        b"0\r\ntransfer-encoding: chunked\r\n\r\n",
        b"0\r\nGET / HTTP/1.1\r\n\r\n",
    ],
)
def test_refuses_anything_unusual(raw: bytes) -> None:
    with pytest.raises(GatewayError) as caught:
        decode(raw)
    assert caught.value.status == 400


@pytest.mark.parametrize("raw", [b"3e9\r\n", b"1f4\r\n" + b"x" * 500 + b"\r\n1f5\r\n", b"ffffffffffffffff\r\n"])
def test_a_body_over_the_limit_is_refused_before_its_bytes_arrive(raw: bytes) -> None:
    with pytest.raises(GatewayError) as caught:
        decode(raw, limit=1000)
    assert caught.value.status == 413


def test_a_body_at_the_limit_is_read() -> None:
    assert len(decode(b"3e8\r\n", b"x" * 1000, b"\r\n0\r\n\r\n", limit=1000).body.getvalue()) == 1000


@pytest.mark.parametrize(
    "raw",
    [
        b"1;" + b"a" * MAX_LINE_BYTES,
        b"0\r\nA: " + b"a" * MAX_LINE_BYTES,
        b"1;aaaaaaaaaaaaaaaaaaaaaaaa\r\nx\r\n" * (MAX_EXTRAS_BYTES // 20),
        b"0\r\n" + b"A: b\r\n" * MAX_EXTRAS_BYTES,
    ],
)
def test_extensions_and_trailers_are_bounded(raw: bytes) -> None:
    with pytest.raises(GatewayError) as caught:
        decode(raw, limit=10**6)
    assert caught.value.status == 400


def test_a_chunk_without_its_end_is_noticed_at_the_first_wrong_byte() -> None:
    with pytest.raises(GatewayError):
        decode(b"1\r\nx", b"y")
