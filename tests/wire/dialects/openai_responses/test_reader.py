"""reader.py and output_in.py: one meaning for every form of a reply, and no bytes that raise."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.wire.chat import Choice, Delta, End, Event, Failure, Finish, Opaque, Refusal, Start, Text, Thinking, ToolUse, Usage
from freehold.wire.fold import Fold, fold

from .bodies import (
    BASE,
    CALL,
    CITATION,
    MESSAGE,
    OUTPUT,
    REASONING,
    RESPONSE,
    STREAM,
    TEXT,
    USAGE,
    dump,
    numbered,
    read,
    sse,
    stream_events,
)

ADDED, DONE = "response.output_item.added", "response.output_item.done"


def choice_of(events: list[Event]) -> Choice:
    return fold(events, "x").choices[0]


def whole(**fields: Any) -> list[Event]:
    return read(dump({**RESPONSE, **fields}), stream=False)


@pytest.mark.parametrize("stream", [True, False])
def test_a_reply_has_the_same_meaning_streamed_and_whole(stream: bool) -> None:
    events = read(STREAM) if stream else whole()
    start = events[0]
    assert isinstance(start, Start)
    assert (start.id, start.model, start.created_s, start.dialect) == ("resp_1", "gpt-x", 7, "openai_responses")
    assert set(start.extras) == {"store", "tools", "tool_choice", "parallel_tool_calls"}
    thinking, text, refusal, call, custom, search = choice_of(events).parts
    assert isinstance(thinking, Thinking)
    assert (thinking.id, thinking.text, thinking.signature) == ("rs_1", "First.\n\nThen.", "gAAA")
    assert thinking.signed_by == "openai_responses"
    assert isinstance(text, Text) and text.text == TEXT["text"]
    assert [json.loads(bytes(raw)) for raw in text.citations] == [CITATION]
    assert isinstance(refusal, Refusal) and refusal.text == "No."
    assert isinstance(call, ToolUse) and (call.id, call.name, call.arguments) == ("call_a", "add", '{"a": 1}')
    assert isinstance(custom, Opaque) and custom.kind == "custom_tool_call"
    assert isinstance(search, Opaque) and json.loads(bytes(search.raw)) == OUTPUT[4]
    assert type(events[-1]) is End
    usage = fold(events, "x").usage
    assert usage is not None
    usage.extras = {}
    assert usage == Usage(input=20, output=8, cache_read=15, reasoning=3)


LINE_ENDS = st.sampled_from(["\n", "\r\n", "\r"])


@given(st.lists(st.integers(0, 20_000), max_size=15), LINE_ENDS)
def test_nothing_depends_on_where_chunks_are_cut(cuts: list[int], end: str) -> None:
    assert read(sse(*stream_events(), line_end=end), cuts=cuts) == read(STREAM)


def test_a_stream_cut_anywhere_is_never_whole_and_never_raises() -> None:
    full = read(STREAM)
    last = STREAM.rfind(b"event: ")
    for at in range(0, last + 40, 3):
        events = read(STREAM[:at])
        assert type(events[-1] if events else None) not in (End, Failure), at
        collected = Fold("x")
        collected.add(events)
        assert not collected.done
    assert type(full[-1]) is End
    assert read(STREAM[:-2]) == full  # only the last blank line is missing


def item_stream(*events: dict[str, Any], output: list[Any] | None = None) -> list[Event]:
    end = {"type": "response.completed", "response": {**BASE, "status": "completed", "output": output or []}}
    return read(sse(*numbered({"type": "response.created", "response": BASE}, *events, end)))


def test_what_deltas_did_not_bring_is_taken_from_the_finished_item() -> None:
    events = item_stream(
        {"type": ADDED, "output_index": 0, "item": {**MESSAGE, "content": []}},
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Grü"},
        {"type": DONE, "output_index": 0, "item": MESSAGE},
        {"type": ADDED, "output_index": 1, "item": {**CALL, "arguments": ""}},
        {"type": DONE, "output_index": 1, "item": CALL},
        {"type": DONE, "output_index": 2, "item": REASONING},
    )
    text, refusal, call, thinking = choice_of(events).parts
    assert isinstance(text, Text) and (text.text, len(text.citations)) == (TEXT["text"], 1)
    assert isinstance(refusal, Refusal) and refusal.text == "No."
    assert isinstance(call, ToolUse) and call.arguments == CALL["arguments"]
    assert isinstance(thinking, Thinking) and thinking.text == "First.\n\nThen."


def test_items_that_were_never_announced_are_taken_from_the_last_event() -> None:
    kinds = [type(part) for part in choice_of(item_stream(output=OUTPUT)).parts]
    assert kinds == [Thinking, Text, Refusal, ToolUse, Opaque, Opaque]


def test_deltas_say_by_themselves_what_their_item_is() -> None:
    events = item_stream(
        {"type": "response.reasoning_text.delta", "output_index": 0, "delta": "hm"},
        {"type": "response.output_text.delta", "output_index": 1, "delta": "a"},
    )
    thinking, text = choice_of(events).parts
    assert isinstance(thinking, Thinking) and thinking.text == "hm"
    assert isinstance(text, Text) and text.text == "a"


def test_parallel_calls_may_come_interleaved() -> None:
    def delta(index: int, text: str) -> dict[str, Any]:
        return {"type": "response.function_call_arguments.delta", "output_index": index, "delta": text}

    begun = [
        {"type": ADDED, "output_index": n, "item": {**CALL, "call_id": f"c{n}", "arguments": "", "status": "in_progress"}}
        for n in (0, 1)
    ]
    events = item_stream(*begun, delta(0, '{"a'), delta(1, "{"), delta(0, '":1}'), delta(1, "}"))
    calls = [(part.id, part.arguments) for part in choice_of(events).parts if isinstance(part, ToolUse)]
    assert calls == [("c0", '{"a":1}'), ("c1", "{}")]


def test_logprobs_of_text_are_told_in_the_canonical_shape() -> None:
    token = {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}
    events = item_stream(
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "a", "logprobs": [token]},
    )
    found = choice_of(events).logprobs
    assert found is not None and json.loads(bytes(found)) == {"content": [token]}
    in_whole = choice_of(whole(output=[{**MESSAGE, "content": [{**TEXT, "logprobs": [token]}]}])).logprobs
    assert in_whole is not None and json.loads(bytes(in_whole)) == {"content": [token]}


@pytest.mark.parametrize(
    ("fields", "reason", "word"),
    [
        ({"output": [MESSAGE, CALL]}, "tool_use", "completed"),
        ({"output": [{**MESSAGE, "content": [TEXT]}]}, "stop", "completed"),
        ({"output": [MESSAGE]}, "refusal", "completed"),
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "length", "max_output_tokens"),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "content_filter", "content_filter"),
        ({"status": "incomplete", "incomplete_details": {"reason": "new"}}, "unknown", "new"),
        ({"status": "incomplete", "incomplete_details": None}, "length", "incomplete"),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
def test_finish_reasons(fields: dict[str, Any], reason: str, word: str, stream: bool) -> None:
    response = {**RESPONSE, **fields}
    kind = f"response.{response['status']}"
    events = read(sse({"type": kind, "response": response}) if stream else dump(response), stream)
    finish = next(event for event in events if isinstance(event, Finish))
    assert (finish.reason, finish.raw_reason) == (reason, word)


ERROR = {"code": "rate_limit_exceeded", "message": "Slow down."}


@pytest.mark.parametrize(
    ("event", "status", "message"),
    [
        ({"type": "error", "sequence_number": 1, "param": None, **ERROR}, 429, "Slow down."),
        ({"type": "error", "error": {"type": "invalid_request_error", "code": None, "message": "Bad."}}, 400, "Bad."),
        ({"type": "error", "error": {"type": "invalid_request_error", "code": "x", "message": "key sk-abcdefghijk"}}, 400, "key"),
        ({"error": {"message": "Broke.", "code": "server_error"}}, 502, "Broke."),
        ({"type": "response.failed", "response": {**BASE, "status": "failed", "error": ERROR}}, 429, "Slow down."),
        ({"type": "response.failed", "response": {**BASE, "status": "failed", "error": None}}, 502, "stopped"),
        ({"type": "response.completed", "response": {**BASE, "status": "cancelled"}}, 502, "stopped"),
    ],
)
def test_an_error_inside_a_stream_is_a_failure_and_nothing_follows_it(event: dict[str, Any], status: int, message: str) -> None:
    data = b"data: " + dump(event) + b"\n\n"
    events = read(sse(*stream_events()[:3]) + data + STREAM)
    failures = [event for event in events if isinstance(event, Failure)]
    assert len(failures) == 1 and failures[0] is events[-1]
    assert failures[0].status == status and message in failures[0].message and "sk-" not in failures[0].message


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"output":', b"\xff", b"<html>", dump({"object": "response", "output": None})]
)
def test_a_whole_reply_that_is_no_response_is_a_failure(body: bytes) -> None:
    events = read(body, stream=False)
    assert len(events) == 1 and isinstance(events[0], Failure)


def test_a_whole_reply_that_failed_is_a_failure() -> None:
    for fields in ({"status": "failed", "error": ERROR}, {"status": "cancelled"}, {"status": "queued", "output": []}):
        assert isinstance(whole(**fields)[-1], Failure)
    found = read(dump({"error": {"message": "No.", "type": "invalid_request_error"}}), stream=False)
    assert isinstance(found[0], Failure) and found[0].status == 400


def test_a_whole_reply_in_place_of_a_stream_is_read_too() -> None:
    assert read(dump(RESPONSE), stream=True) == whole()
    failed = read(dump({"error": {"message": "No."}}), stream=True)
    assert len(failed) == 1 and isinstance(failed[0], Failure)


def test_what_follows_the_end_does_not_count() -> None:
    assert read(STREAM + b"data: [DONE]\n\n" + STREAM) == read(STREAM)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def _mutated(value: Any, path: list[int], new: Any) -> Any:
    """`value` with the member at `path` (taken modulo the sizes) replaced."""
    if not path or not isinstance(value, dict | list) or not value:
        return new
    if isinstance(value, dict):
        key = sorted(value)[path[0] % len(value)]
        return {**value, key: _mutated(value[key], path[1:], new)}
    at = path[0] % len(value)
    return [*value[:at], _mutated(value[at], path[1:], new), *value[at + 1 :]]


PATH = st.lists(st.integers(0, 50), min_size=1, max_size=5)


@given(st.integers(0, 100), PATH, ANY)
def test_a_stream_with_any_value_anywhere_does_not_raise(number: int, path: list[int], new: Any) -> None:
    events = stream_events()
    at = number % len(events)
    events[at] = _mutated(events[at], path, new)
    data = b"".join(b"data: " + dump(event) + b"\n\n" for event in events)
    found = read(data)
    assert sum(isinstance(event, End | Failure) for event in found) <= 1
    fold(found, "x")


@given(PATH, ANY)
def test_a_whole_reply_with_any_value_anywhere_does_not_raise(path: list[int], new: Any) -> None:
    found = read(dump(_mutated(RESPONSE, path, new)), stream=False)
    assert isinstance(found[-1], End | Failure)
    fold(found, "x")


@given(st.binary(max_size=200))
def test_random_bytes_do_not_raise(data: bytes) -> None:
    read(data)
    read(b"data: " + data + b"\n\n")
    read(data, stream=False)


def test_usage_that_makes_no_sense_is_made_to_fit() -> None:
    odd = {
        **USAGE,
        "input_tokens": 5,
        "input_tokens_details": {"cached_tokens": 9, "cache_write_tokens": "x"},
        "output_tokens": -1,
    }
    usage = fold(whole(usage=odd, service_tier="flex", tool_usage={"web_search": {"num_requests": 2}}), "x").usage
    assert usage is not None
    assert (usage.input, usage.cache_read, usage.output, usage.reasoning) == (5, 5, 0, 0)
    assert (usage.service_tier, usage.web_searches) == ("flex", 2)


def test_deltas_of_a_summarys_pieces_say_where_they_are_joined() -> None:
    joints = [event for event in read(STREAM) if isinstance(event, Delta) and event.text == "\n\n"]
    assert len(joints) == 1 and json.loads(bytes(joints[0].extras["breaks"])) == [6]
