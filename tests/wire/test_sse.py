"""sse.py: events do not depend on chunking, and cost linear time and bounded memory."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.wire.sse import SSEDecoder, SSEError, SSEvent, encode, parse_block

STREAM = b': hi\n\nevent: a\ndata: 1\n\ndata: {"x":\r\ndata: 2}\r\n\r\ndata:three\r\rid: 7\nretry: 1\n\ndata\n\ndata: last'
EVENTS = [SSEvent(b"1", b"a"), SSEvent(b'{"x":\n2}'), SSEvent(b"three"), SSEvent(b""), SSEvent(b"last")]


def decode(chunks: list[bytes]) -> list[SSEvent]:
    decoder = SSEDecoder()
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return events + decoder.close()


@pytest.mark.parametrize("cut", range(len(STREAM) + 1))
def test_events_do_not_depend_on_where_chunks_are_cut(cut: int) -> None:
    assert decode([STREAM[:cut], STREAM[cut:]]) == EVENTS


def test_one_byte_at_a_time_gives_the_same_events() -> None:
    assert decode([STREAM[i : i + 1] for i in range(len(STREAM))]) == EVENTS


@given(st.text(alphabet="\r\n:da t", max_size=60), st.lists(st.integers(0, 60), max_size=10))
def test_any_mix_of_line_ends_gives_the_same_events_in_any_chunking(text: str, cuts: list[int]) -> None:
    stream = text.encode()
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    assert decode([stream[a:b] for a, b in pairwise(edges)]) == decode([stream])


def test_an_event_over_the_bound_is_refused_and_not_kept_growing() -> None:
    decoder = SSEDecoder(max_event_bytes=100)
    decoder.feed(b"data: " + b"x" * 90)
    with pytest.raises(SSEError, match="larger than 100 bytes"):
        decoder.feed(b"y" * 20)


def test_many_small_events_in_one_chunk_never_meet_the_bound() -> None:
    assert len(SSEDecoder(max_event_bytes=10).feed(b"data: 1\n\n" * 100)) == 100


def test_the_unfinished_tail_is_readable() -> None:
    decoder = SSEDecoder()
    decoder.feed(b"data: 1\n\ndata: 2")
    assert decoder.rest == b"data: 2"


def test_a_large_event_in_small_chunks_is_looked_at_once() -> None:
    """Each feed searches only the new bytes and a seam: the buffer's search start moves with it."""
    decoder = SSEDecoder()
    decoder.feed(b"data: ")
    for _ in range(20_000):
        assert decoder.feed(b"x" * 100) == []
    assert decoder.feed(b"\n\n") == [SSEvent(b"x" * 2_000_000)]
    assert decoder.rest == b""


def test_a_comment_has_no_event() -> None:
    assert parse_block(b": OPENROUTER PROCESSING") is None


@given(st.binary(max_size=100).filter(lambda data: b"\n" not in data and b"\r" not in data), st.sampled_from([b"", b"ping"]))
def test_what_is_encoded_decodes_to_the_same(data: bytes, name: bytes) -> None:
    assert decode([encode(data, name)]) == [SSEvent(data, name)]
