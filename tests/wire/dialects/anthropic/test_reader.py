"""Replies as events: streamed equals whole, however the bytes are cut; broken bytes are a Failure."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.wire.chat import Delta, End, Event, Failure, Finish, Opaque, PartEnd, PartStart, Start, Text, ToolUse, UsageReport
from freehold.wire.fold import Fold, fold
from tests.wire.dialects.anthropic.samples import (
    MESSAGE,
    STREAM,
    STREAM_EVENTS,
    WHOLE_BYTES,
    block_events,
    cuts_of,
    read,
    sse,
)


def plain(reply: Any) -> Any:
    """A reply with its raw JSON parsed: spacing is not meaning."""
    if hasattr(reply, "__struct_fields__"):
        return (type(reply).__name__, {name: plain(getattr(reply, name)) for name in reply.__struct_fields__})
    if type(reply).__name__ == "Raw":
        return json.loads(bytes(reply))
    if isinstance(reply, list):
        return [plain(item) for item in reply]
    if isinstance(reply, dict):
        return {name: plain(value) for name, value in reply.items()}
    return reply


def test_a_stream_means_what_the_whole_reply_says() -> None:
    streamed = plain(fold(read(STREAM, True), "anthropic"))
    whole = plain(fold(read(WHOLE_BYTES, False), "anthropic"))
    arguments = [part[1].pop("arguments") for reply in (streamed, whole) for part in _tools(reply)]
    assert [json.loads(text or "{}") for text in arguments] == [{"a": 1, "b": 2}, {}] * 2
    assert streamed == whole


def _tools(reply: Any) -> list[Any]:
    return [part for choice in reply[1]["choices"] for part in choice[1]["parts"] if part[0] == "ToolUse"]


@settings(max_examples=60, deadline=None)
@given(cuts_of(STREAM))
def test_events_do_not_depend_on_where_chunks_are_cut(cuts: list[int]) -> None:
    assert read(STREAM, True, cuts) == read(STREAM, True)


@settings(max_examples=20, deadline=None)
@given(cuts_of(WHOLE_BYTES))
def test_a_whole_reply_does_not_depend_on_its_chunks(cuts: list[int]) -> None:
    assert read(WHOLE_BYTES, False, cuts) == read(WHOLE_BYTES, False)


def test_any_line_ending_will_do() -> None:
    assert read(sse(*STREAM_EVENTS, line_end="\r\n"), True) == read(STREAM, True)


def test_usage_counts_cached_tokens_as_input_and_nothing_twice() -> None:
    usage = [event.usage for event in read(STREAM, True) if isinstance(event, UsageReport)][-1]
    assert (usage.input, usage.output, usage.cache_read, usage.cache_write, usage.cache_write_1h) == (22, 42, 5, 7, 3)
    assert (usage.reasoning, usage.service_tier, usage.estimated) == (9, "standard", False)


def test_the_start_tells_the_input_and_no_output() -> None:
    start = read(STREAM, True)[0]
    assert isinstance(start, Start) and start.usage is not None and start.dialect == "anthropic"
    assert (start.usage.input, start.usage.output, start.usage.estimated) == (22, 0, True)


def test_a_later_total_replaces_the_earlier_and_zero_does_not_erase_it() -> None:
    start = {"type": "message_start", "message": {"usage": {"input_tokens": 0, "output_tokens": 1}}}
    ends = [
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"input_tokens": 9, "output_tokens": 3}},
        {"type": "message_delta", "delta": {}, "usage": {"input_tokens": 0, "output_tokens": 5}},
    ]
    reports = [event.usage for event in read(sse(start, *ends), True) if isinstance(event, UsageReport)]
    assert [(usage.input, usage.output) for usage in reports] == [(9, 3), (9, 5)]


def test_a_server_tool_is_one_opaque_part_with_its_input_joined() -> None:
    starts = [event.body for event in read(STREAM, True) if isinstance(event, PartStart) and isinstance(event.body, Opaque)]
    assert [part.kind for part in starts] == ["server_tool_use", "web_search_tool_result"]
    assert json.loads(bytes(starts[0].raw))["input"] == {"query": "x"}


def test_a_compaction_block_grows_by_its_deltas() -> None:
    changes = [{"type": "compaction_delta", "content": "a"}, {"type": "compaction_delta", "content": "b"}]
    events = read(sse(*block_events(0, {"type": "compaction", "content": ""}, *changes)), True)
    body = events[0].body if isinstance(events[0], PartStart) else None
    assert isinstance(body, Opaque) and json.loads(bytes(body.raw)) == {"type": "compaction", "content": "ab"}


def test_input_told_at_the_start_of_a_tool_call_counts_if_no_pieces_follow() -> None:
    block = {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}
    piece = {"type": "input_json_delta", "partial_json": '{"a":2}'}
    alone, followed = (fold(read(sse(*block_events(0, block, *pieces)), True), "anthropic") for pieces in ([], [piece]))
    parts = [reply.choices[0].parts[0] for reply in (alone, followed)]
    assert [json.loads(part.arguments) for part in parts if isinstance(part, ToolUse)] == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize(
    ("kind", "status"), [("overloaded_error", 529), ("rate_limit_error", 429), ("invalid_request_error", 400), ("api_error", 500)]
)
def test_an_error_event_is_a_failure_and_ends_the_reply(kind: str, status: int) -> None:
    error = {"type": "error", "error": {"type": kind, "message": "try sk-ant-api03-SECRETSECRET later"}}
    failure = read(sse(STREAM_EVENTS[0], error, *STREAM_EVENTS[1:]), True)[-1]
    assert failure == Failure(status=status, message="try *** later", error_type=kind)


def test_an_error_of_unknown_type_is_not_passed_on_by_name() -> None:
    failure = read(sse({"type": "error", "error": {"type": "x\ny", "message": ""}}), True)[-1]
    assert isinstance(failure, Failure) and (failure.status, failure.error_type) == (502, None)


def test_a_cut_stream_has_no_end() -> None:
    events = read(STREAM[: STREAM.index(b"event: message_stop")], True)
    assert not any(isinstance(event, End | Failure) for event in events)


def test_a_last_event_without_its_blank_line_counts() -> None:
    assert isinstance(read(STREAM.rstrip(), True)[-1], End)


def test_what_follows_the_end_is_ignored() -> None:
    assert read(STREAM + STREAM + b"data: nonsense\n\n", True) == read(STREAM, True)


def test_blocks_that_never_stop_are_ended() -> None:
    events = read(sse(*(event for event in STREAM_EVENTS if event["type"] != "content_block_stop")), True)
    starts = sorted(event.part for event in events if isinstance(event, PartStart))
    assert sorted(event.part for event in events if isinstance(event, PartEnd)) == starts == list(range(7))


@pytest.mark.parametrize(
    "raw", ["end_turn", "max_tokens", "tool_use", "pause_turn", "refusal", "model_context_window_exceeded", "later"]
)
def test_the_finish_keeps_the_provider_s_own_word(raw: str) -> None:
    events = read(sse({"type": "message_delta", "delta": {"stop_reason": raw}, "usage": {"output_tokens": 1}}), True)
    assert isinstance(events[0], Finish) and events[0].raw_reason == raw


@pytest.mark.parametrize(
    "data", [b"", b"<html>", b"[]", b"{}", b'{"content": 7}', WHOLE_BYTES[:-1], b'{"content":[{"type":' + b"[" * 9000]
)
def test_a_whole_reply_that_is_no_message_is_a_failure(data: bytes) -> None:
    (event,) = read(data, False)
    assert isinstance(event, Failure) and event.kind == "upstream_broken"


def test_an_error_body_with_status_200_is_a_failure() -> None:
    (event,) = read(b'{"type":"error","error":{"type":"overloaded_error","message":"busy"}}', False)
    assert event == Failure(status=529, message="busy", error_type="overloaded_error")


def test_a_block_that_does_not_fit_its_type_is_carried_not_refused() -> None:
    events = read(
        json.dumps(MESSAGE | {"content": [{"type": "text", "text": 7}, {"type": "text", "text": "ok"}]}).encode(), False
    )
    bodies = [event.body for event in events if isinstance(event, PartStart)]
    assert isinstance(bodies[0], Opaque) and isinstance(bodies[1], Text)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(STREAM)), st.integers(0, 3), st.binary(max_size=3)), max_size=5))
def test_mutated_bytes_never_raise(changes: list[tuple[int, int, bytes]]) -> None:
    for source, stream in ((STREAM, True), (WHOLE_BYTES, False)):
        data = source
        for at, gone, new in changes:
            data = data[:at] + new + data[at + gone :]
        events = read(data, stream)
        Fold("anthropic").add(events)
        assert sum(isinstance(event, Failure) for event in events) <= 1


def test_deltas_for_blocks_that_never_began_are_skipped() -> None:
    delta = {"type": "content_block_delta", "index": 4, "delta": {"type": "text_delta", "text": "x"}}
    stop = {"type": "content_block_stop", "index": 4}
    events: list[Event] = read(sse(delta, stop), True)
    assert not any(isinstance(event, Delta | PartEnd) for event in events)


@pytest.mark.parametrize("block", [7, "x", None, ["x"]])
def test_a_block_that_is_no_object_is_a_failure(block: Any) -> None:
    whole = json.dumps(MESSAGE | {"content": [block]}).encode()
    streamed = sse(STREAM_EVENTS[0], {"type": "content_block_start", "index": 0, "content_block": block})
    for events in (read(whole, False), read(streamed, True)):
        assert isinstance(events[-1], Failure) or block is None
