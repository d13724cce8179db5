"""Replies of every family: what the taps learn, and Claude's as events and back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings

from freehold.wire.chat import End, Failure, Usage
from freehold.wire.dialect import Relay
from freehold.wire.eventstream import encode
from freehold.wire.fold import fold
from tests.wire.dialects.bedrock.samples import frame
from tests.wire.dialects.bedrock_invoke.samples import (
    CLAUDE_EVENTS,
    DIALECT,
    METRICS,
    QUIRKS,
    STREAM,
    chunk,
    cut_up,
    cuts_of,
    options,
    payloads,
    peeked,
    read,
)

EXCEPTION = frame("modelTimeoutException", {"message": "slow"}, "exception")
END: dict[str, Any] = {"amazon-bedrock-invocationMetrics": METRICS}


def tapped(data: bytes, stream: bool, cuts: list[int] | None = None) -> tuple[bytes, Relay]:
    tap = DIALECT.tap(peeked({}), QUIRKS, stream, len)
    return b"".join(tap.feed(piece) for piece in cut_up(data, cuts or [])) + tap.close(), tap


@settings(max_examples=60, deadline=None)
@given(cuts_of(STREAM))
def test_a_stream_passes_unchanged_and_is_understood(cuts: list[int]) -> None:
    out, tap = tapped(STREAM, True, cuts)
    assert out == STREAM
    assert (tap.usage, tap.done, tap.finish, tap.model) == (Usage(input=10, output=9, cache_read=3), True, "end_turn", "claude-x")


@pytest.mark.parametrize(
    ("body", "usage", "finish"),
    [
        ({"usage": {"input_tokens": 1, "output_tokens": 2}, "stop_reason": "end_turn"}, Usage(input=1, output=2), "end_turn"),
        (
            {"usage": {"inputTokens": 1, "outputTokens": 2, "cacheReadInputTokenCount": 3}, "stopReason": "max_tokens"},
            Usage(input=4, output=2, cache_read=3),
            "max_tokens",
        ),
        (
            {"generation": "x", "prompt_token_count": 1, "generation_token_count": 2, "stop_reason": "stop"},
            Usage(input=1, output=2),
            "stop",
        ),
        (
            {"inputTextTokenCount": 1, "results": [{"tokenCount": 2, "outputText": "x", "completionReason": "FINISH"}]},
            Usage(input=1, output=2),
            "FINISH",
        ),
        ({"embedding": [0.1], "inputTextTokenCount": 5}, Usage(input=5), ""),
        (
            {"usage": {"prompt_tokens": 1, "completion_tokens": 2}, "choices": [{"finish_reason": "stop"}]},
            Usage(input=1, output=2),
            "stop",
        ),
        ({"text": "x", "finish_reason": "COMPLETE", "meta": {"billed_units": {"input_tokens": 1.0}}}, Usage(input=1), "COMPLETE"),
        ({"outputs": [{"text": "x", "stop_reason": "length"}]}, None, "length"),
        ({"generations": [{"text": "x", "finish_reason": "MAX_TOKENS"}]}, None, "MAX_TOKENS"),
        ({"completions": [{"data": {"text": "x"}, "finishReason": {"reason": "endoftext"}}]}, None, "endoftext"),
        ({"completion": "x", "stop_reason": "stop_sequence"}, None, "stop_sequence"),
        (
            {"usage": 7, "results": 8, "choices": [], "meta": [], "metadata": "x", "stop_reason": 5, "message": 1, "delta": 2},
            None,
            "",
        ),
        ({"usage": {"input_tokens": "x", "output_tokens": -1}}, Usage(), ""),
        ({}, None, ""),
    ],
)
def test_every_familys_reply_is_understood(body: dict[str, Any], usage: Usage | None, finish: str) -> None:
    data = json.dumps(body).encode()
    out, tap = tapped(data, False, [3])
    assert out == data and (tap.usage, tap.finish, tap.done) == (usage, finish, True)


@pytest.mark.parametrize(
    ("chunks", "usage", "finish"),
    [
        (
            [
                {"outputText": "a", "inputTextTokenCount": 5},
                {"outputText": "b", "totalOutputTextTokenCount": 6.0, "completionReason": "FINISH", **END},
            ],
            Usage(input=5, output=6),
            "FINISH",
        ),
        (
            [
                {"generation": "a", "prompt_token_count": 5, "generation_token_count": 1, "stop_reason": None},
                {"generation": "", "prompt_token_count": None, "generation_token_count": 6, "stop_reason": "stop", **END},
            ],
            Usage(input=5, output=6),
            "stop",
        ),
        (
            [{"messageStop": {"stopReason": "end_turn"}}, {"metadata": {"usage": {"inputTokens": 5, "outputTokens": 6}}, **END}],
            Usage(input=5, output=6),
            "end_turn",
        ),
        ([{"outputs": [{"text": "x", "stop_reason": "stop"}]}, END], Usage(input=7, output=9), "stop"),
        (
            [{"text": "x", "is_finished": False}, {"is_finished": True, "finish_reason": "COMPLETE", **END}],
            Usage(input=7, output=9),
            "COMPLETE",
        ),
        ([{"completion": "x", "stop_reason": "stop_sequence", **END}], Usage(input=7, output=9), "stop_sequence"),
    ],
)
def test_every_familys_stream_is_understood(chunks: list[dict[str, Any]], usage: Usage, finish: str) -> None:
    data = b"".join(chunk(one) for one in chunks)
    out, tap = tapped(data, True, [50])
    assert out == data and (tap.usage, tap.finish, tap.done) == (usage, finish, True)


def test_a_guardrails_stream_without_metrics_is_whole() -> None:
    blocked = chunk({"outputText": "no", "totalOutputTextTokenCount": 3, "inputTextTokenCount": 6, "amazon-bedrock-trace": {}})
    _, tap = tapped(blocked, True)
    assert tap.done and tap.usage == Usage(input=6, output=3)


@pytest.mark.parametrize("events", range(len(CLAUDE_EVENTS) - 1))
def test_a_cut_stream_is_not_done_and_its_usage_is_an_estimate(events: int) -> None:
    data = b"".join(chunk(event) for event in CLAUDE_EVENTS[:events])
    out, tap = tapped(data + b"\x00\x00\x00", True)
    assert out == data and not tap.done
    if 1 <= events <= 4:
        assert tap.usage == Usage(input=10, cache_read=3, estimated=True)
        assert tap.produced() == (len("Grüße") if events > 2 else 0)


@settings(max_examples=40, deadline=None)
@given(cuts_of(STREAM))
def test_an_exception_is_held_back(cuts: list[int]) -> None:
    good = chunk(CLAUDE_EVENTS[0])
    out, tap = tapped(good + EXCEPTION + STREAM, True, cuts)
    assert out == good and tap.failure is not None and tap.failure.status == 408 and not tap.done
    events = read(good + EXCEPTION + STREAM, True, cuts)
    assert isinstance(events[-1], Failure) and events[-1].error_type == "ModelTimeoutException"


@pytest.mark.parametrize(
    "payload", [b"{}", b'{"bytes": 7}', b'{"bytes": "%%"}', b'{"bytes": "e30"}', b"[]", b'{"bytes": "dXNhZ2U="}']
)
def test_a_chunk_that_holds_no_json_is_a_failure(payload: bytes) -> None:
    data = encode(payload, {":event-type": "chunk", ":message-type": "event"})
    assert tapped(data, True)[1].failure is not None
    assert any(isinstance(event, Failure) for event in read(data + STREAM, True))


def test_an_error_inside_a_reply_is_a_failure() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
    for data, stream in ((chunk(error), True), (json.dumps(error).encode(), False)):
        _, tap = tapped(data, stream)
        assert tap.failure is not None and (tap.failure.status, tap.failure.message) == (529, "busy")


def test_a_large_reply_is_scanned() -> None:
    data = json.dumps({"embedding": [0.12345] * 50_000, "inputTextTokenCount": 5}).encode()
    out, tap = tapped(data, False, list(range(0, len(data), 5000)))
    assert out == data and tap.done and tap.usage == Usage(input=5)
    assert not tapped(data[:-1], False)[1].done and not tapped(b"{", False)[1].done


@settings(max_examples=60, deadline=None)
@given(cuts_of(STREAM))
def test_events_do_not_depend_on_where_chunks_are_cut(cuts: list[int]) -> None:
    events = read(STREAM, True, cuts)
    assert events == read(STREAM, True) and events[-1] == End()


@pytest.mark.parametrize("cut", range(0, len(STREAM), 13))
def test_a_cut_stream_has_no_end(cut: int) -> None:
    events = read(STREAM[:cut], True)
    assert End() not in events and not any(isinstance(event, Failure) for event in events)


def test_a_damaged_stream_is_a_failure() -> None:
    for position in range(0, len(STREAM), 5):
        data = bytearray(STREAM)
        data[position] ^= 0x55
        assert sum(isinstance(event, Failure) for event in read(bytes(data), True, [position])) == 1
        assert tapped(bytes(data), True)[1].failure is not None


def test_a_written_stream_has_the_events_and_the_metrics_of_bedrocks_own() -> None:
    writer = DIALECT.writer(options(True))
    out = writer.write(read(STREAM, True)) + writer.close()
    events = payloads(out)
    assert [event["type"] for event in events] == [event["type"] for event in CLAUDE_EVENTS]
    assert events[-1]["amazon-bedrock-invocationMetrics"] == {
        "inputTokenCount": 7,
        "outputTokenCount": 9,
        "cacheReadInputTokenCount": 3,
        "cacheWriteInputTokenCount": 0,
    }
    assert fold(read(out, True), "x") == fold(read(STREAM, True), "x")
