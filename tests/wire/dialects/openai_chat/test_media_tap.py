"""What is learned of replies of other kinds does not depend on how they are cut, and nothing is lost or held on the way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import json

from freehold.wire.dialects.openai_chat.media_tap import (
    HOLD_BYTES,
    BatchItem,
    BatchTap,
    DocumentTap,
    EventsTap,
    PassTap,
    usage_of,
)
from tests.traffic import exchanges, needs_traffic

USAGE = {"input_tokens": 37, "input_token_details": {"audio_tokens": 37}, "output_tokens": 12, "total_tokens": 49}
DONE = b'data: {"type":"transcript.text.done","text":"a\\"b","usage":' + json.encode(USAGE) + b"}\n\n"
DELTA = b'event: x\r\ndata: {"type":"delta","delta":"\\u00e9"}\r\n\r\n'
BIG = b'data: {"b64_json":"' + b"A" * (HOLD_BYTES * 2) + b'","usage":' + json.encode(USAGE) + b"}\n\n"
ERROR = b'data: {"type":"error","error":{"message":"no","code":"c"}}\n\n'


def pieces(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    at = 0
    for cut in sorted({min(cut, len(data)) for cut in cuts} - {0, len(data)}):
        yield data[at:cut]
        at = cut
    yield data[at:]


def run(tap: PassTap, data: bytes, cuts: list[int]) -> bytes:
    return b"".join([tap.feed(piece) for piece in pieces(data, cuts)]) + tap.close()


@given(st.lists(st.integers(0, 3 * HOLD_BYTES), max_size=8), st.sampled_from([DELTA + DONE, BIG, DELTA + BIG + DELTA, DONE[:-2]]))
def test_events_pass_whole_and_tell_their_usage(cuts: list[int], stream: bytes) -> None:
    tap = EventsTap()
    assert run(tap, stream, cuts) == stream
    assert tap.done and tap.usage is not None
    assert (tap.usage.input, tap.usage.audio_in, tap.usage.output) == (37, 37, 12)


@given(st.lists(st.integers(0, 300), max_size=6))
def test_an_error_event_is_not_passed_nor_what_follows(cuts: list[int]) -> None:
    tap = EventsTap()
    assert run(tap, DELTA + ERROR + DELTA, cuts) == DELTA
    assert tap.failure is not None and (tap.failure.message, tap.failure.code, tap.done) == ("no", "c", False)


def test_no_more_than_an_event_of_64_kb_is_held() -> None:
    tap = EventsTap()
    assert len(b"".join(tap.feed(BIG[at : at + 1000]) for at in range(0, len(BIG) - 1000, 1000))) > len(BIG) - 3000


@given(st.lists(st.integers(0, 120_000), max_size=6))
def test_a_document_passes_whole_and_tells_its_usage(cuts: list[int]) -> None:
    document = b'{"data":[{"b64_json":"' + b"A" * 100_000 + b'"}],"usage":' + json.encode(USAGE) + b"}"
    tap = DocumentTap()
    assert run(tap, document, cuts) == document
    assert tap.done and tap.usage is not None and tap.usage.output == 12


@pytest.mark.parametrize("size", range(1, 40))
def test_a_cut_document_is_not_whole(size: int) -> None:
    tap = DocumentTap()
    run(tap, (b'{"text":"abc","usage":{"seconds":1}}' * 2)[:size], [])
    assert tap.done is (size == 36 or size > 36), size  # what follows a document makes it no JSON: not ours to judge


LINE = json.encode({"custom_id": "a", "response": {"status_code": 200, "body": {"model": "m", "usage": USAGE}}})
FAILED = json.encode({"custom_id": "b", "response": None, "error": {"code": "batch_expired"}})


@given(st.lists(st.integers(0, 800), max_size=8), st.sampled_from([b"\n", b"\r\n"]), st.booleans())
def test_a_batchs_lines_are_told_for_any_cuts(cuts: list[int], end: bytes, ended: bool) -> None:
    told: list[BatchItem] = []
    content = end.join([LINE, FAILED, LINE]) + (end if ended else b"")
    assert run(BatchTap(told.append), content, cuts) == content
    assert [(item.custom_id, item.model, item.status) for item in told] == [("a", "m", 200)] * 2
    assert all(item.usage is not None and item.usage.input == 37 for item in told)


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=4))
def test_any_bytes_pass_every_tap(data: bytes, cuts: list[int]) -> None:
    for tap in (PassTap(), DocumentTap(), BatchTap(lambda item: None)):
        assert run(tap, data, cuts) == data
    events = EventsTap()
    passed = run(events, data, cuts)
    assert passed == data or events.failure is not None


@pytest.mark.parametrize(
    "value",
    [
        None,
        5,
        [],
        {},
        "x",
        {"input_tokens": "many"},
        {"input_tokens": -1, "output_tokens": None},
        {"input_tokens": 5, "input_tokens_details": [1]},
        {"seconds": "7"},
        {"seconds": 1e308},
        {"seconds": True},
        {"prompt_tokens": {}},
    ],
)
def test_odd_usage_never_raises_and_never_counts_below_zero(value: object) -> None:
    usage = usage_of(value)
    assert usage is None or (usage.input >= 0 and usage.output >= 0 and usage.seconds == 0)


def test_parts_are_parts_of_their_whole() -> None:
    usage = usage_of({"input_tokens": 5, "input_tokens_details": {"cached_tokens": 9, "audio_tokens": 9}, "output_tokens": 1})
    assert usage is not None and (usage.cache_read, usage.audio_in) == (5, 5)


@needs_traffic
def test_recorded_replies_tell_their_usage_however_cut() -> None:
    told = 0
    for one in exchanges("audio/"):
        if b'"usage"' not in one.response:
            continue
        for size in (1, 7, 1000):
            tap = EventsTap() if one.is_sse else DocumentTap()
            assert run(tap, one.response, list(range(0, len(one.response), size))) == one.response
            assert tap.done and tap.usage is not None and (tap.usage.input or tap.usage.seconds), one.id
        told += 1
    assert told >= 9
