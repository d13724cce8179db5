"""AWS event streams: what one side writes the other reads, in any chunking; faults are found, and memory stays bounded."""

from __future__ import annotations

from struct import pack
from typing import Any
from uuid import UUID
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.wire.eventstream import (
    EventStreamDecoder,
    EventStreamError,
    HeaderValue,
    Message,
    encode,
)
from tests.traffic import exchanges

EVENT: dict[str, HeaderValue] = {":event-type": "chunk", ":message-type": "event"}
STREAM = encode(b'{"a":1}', EVENT) + encode(b"", {}) + encode(b"\x00\xff" * 40, {"n": -5, "t": True, "f": False, "b": b"\x01"})
MESSAGES = EventStreamDecoder().feed(STREAM)

_VALUES = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.binary(max_size=40),
    st.text(max_size=40),
    st.uuids(),
)
_NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)


def framed(headers: bytes, payload: bytes = b"") -> bytes:
    """A message with these header bytes and right checksums."""
    lengths = pack(">II", len(headers) + len(payload) + 16, len(headers))
    message = lengths + pack(">I", crc32(lengths)) + headers + payload
    return message + pack(">I", crc32(message))


@given(st.binary(max_size=200), st.dictionaries(_NAMES, _VALUES, max_size=5))
def test_a_message_reads_back_as_it_was_written(payload: bytes, headers: dict[str, HeaderValue]) -> None:
    decoder = EventStreamDecoder()
    assert decoder.feed(encode(payload, headers)) == [Message(payload, headers)]
    decoder.close()


@pytest.mark.parametrize("cut", range(len(STREAM) + 1))
def test_messages_do_not_depend_on_where_chunks_are_cut(cut: int) -> None:
    decoder = EventStreamDecoder()
    assert decoder.feed(STREAM[:cut]) + decoder.feed(STREAM[cut:]) == MESSAGES
    assert decoder.rest == b""


def test_every_header_type_is_read() -> None:
    headers = b"".join(
        [
            b"\x01a\x00",
            b"\x01b\x01",
            b"\x01c\x02" + pack(">b", -2),
            b"\x01d\x03" + pack(">h", -300),
            b"\x01e\x04" + pack(">i", -70_000),
            b"\x01f\x05" + pack(">q", -(2**40)),
            b"\x01g\x06\x00\x02\x00\xff",
            b"\x01h\x07\x00\x03" + "é!".encode(),
            b"\x01i\x08" + pack(">q", 1_700_000_000_123),
            b"\x01j\x09" + bytes(range(16)),
        ]
    )
    (message,) = EventStreamDecoder().feed(framed(headers, b"x"))
    assert list(message.headers.values()) == [
        True, False, -2, -300, -70_000, -(2**40), b"\x00\xff", "é!", 1_700_000_000_123, UUID(bytes=bytes(range(16))),
    ]  # fmt: skip
    assert (message.text("h"), message.text("a"), message.text("none")) == ("é!", "", "")


@pytest.mark.parametrize("position", range(len(encode(b'{"a":1}', EVENT))))
def test_one_wrong_byte_anywhere_is_found(position: int) -> None:
    data = bytearray(encode(b'{"a":1}', EVENT))
    data[position] ^= 0x40
    decoder = EventStreamDecoder()
    with pytest.raises(EventStreamError):
        decoder.feed(bytes(data))
        decoder.close()


def test_messages_before_a_fault_are_given_first() -> None:
    broken = bytearray(encode(b"second", EVENT))
    broken[-1] ^= 1
    decoder = EventStreamDecoder()
    assert [message.payload for message in decoder.feed(encode(b"first", EVENT) + broken)] == [b"first"]
    with pytest.raises(EventStreamError, match="checksum"):
        decoder.close()
    with pytest.raises(EventStreamError, match="checksum"):
        decoder.feed(encode(b"third", EVENT))


@pytest.mark.parametrize("cut", range(1, len(encode(b"x", EVENT))))
def test_a_stream_that_ends_inside_a_message_says_so(cut: int) -> None:
    decoder = EventStreamDecoder()
    assert decoder.feed(encode(b"x", EVENT)[:cut]) == []
    with pytest.raises(EventStreamError, match="ends inside"):
        decoder.close()


def test_a_message_over_the_bound_is_refused_before_it_is_held() -> None:
    lengths = pack(">II", 2_000, 0)
    with pytest.raises(EventStreamError, match="2000 bytes is larger than 1000"):
        EventStreamDecoder(max_message_bytes=1_000).feed(lengths + pack(">I", crc32(lengths)))


@pytest.mark.parametrize(("total", "headers"), [(15, 0), (16, 1), (0, 0), (20, 2**31), (2**20, 200_000)])
def test_impossible_lengths_are_refused(total: int, headers: int) -> None:
    lengths = pack(">II", total, headers)
    with pytest.raises(EventStreamError, match="can't hold"):
        EventStreamDecoder().feed(lengths + pack(">I", crc32(lengths)) + b"\x00" * 64)


@pytest.mark.parametrize(
    "headers",
    [
        b"\x01",
        b"\x01a",
        b"\x01a\x0a",
        b"\x01a\x07\x00\x09x",
        b"\x01a\x07\x00\x01\xff",
        b"\x01a\x05\x00",
        b"\x01a\x09\x00",
        b"\xffa\x00",
    ],
)
def test_headers_that_make_no_sense_are_refused(headers: bytes) -> None:
    with pytest.raises(EventStreamError):
        EventStreamDecoder().feed(framed(headers))


@pytest.mark.parametrize(
    "headers", [{"": "x"}, {"n" * 256: "x"}, {"n": "x" * 2**15}, {"n": 2**63}, {f"n{i}": "x" * 30_000 for i in range(5)}]
)
def test_what_does_not_fit_is_not_written(headers: dict[str, HeaderValue]) -> None:
    with pytest.raises(ValueError):
        encode(b"", headers)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_garbage_raises_nothing_but_the_documented_error(data: bytes) -> None:
    decoder = EventStreamDecoder()
    try:
        decoder.feed(data)
        decoder.close()
    except EventStreamError:
        pass


# --- another implementation as the judge --------------------------------------------------


def theirs(data: bytes) -> list[tuple[bytes, dict[str, Any]]]:
    eventstream = pytest.importorskip("botocore.eventstream", reason="botocore is not installed")
    buffer = eventstream.EventStreamBuffer()
    buffer.add_data(data)
    return [(message.payload, message.headers) for message in buffer]


@settings(max_examples=60, deadline=None)
@given(
    st.binary(max_size=100),
    st.dictionaries(
        _NAMES, st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), st.binary(max_size=9), st.text(max_size=9))
    ),
)
def test_botocore_reads_what_is_written(payload: bytes, headers: dict[str, HeaderValue]) -> None:
    assert theirs(encode(payload, headers)) == [(payload, headers)]


def test_recorded_streams_read_as_botocore_reads_them() -> None:
    read = 0
    for one in exchanges(("converse-stream", "invoke-with-response-stream"), "bedrock"):
        if one.status == 200:
            ours = EventStreamDecoder().feed(one.response)
            assert [(message.payload, message.headers) for message in ours] == theirs(one.response), one.id
            assert b"".join(encode(m.payload, m.headers) for m in ours) == one.response, one.id
            read += 1
    assert read > 80
