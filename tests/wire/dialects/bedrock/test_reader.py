"""Replies as events: streamed equals whole, however the bytes are cut; broken bytes are a Failure."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.wire.chat import Delta, End, Failure, Finish, Opaque, PartStart, Start, Text, Thinking, ToolUse, UsageReport
from freehold.wire.eventstream import encode
from tests.wire.dialects.bedrock.samples import (
    DIALECT,
    REPLY,
    REPLY_BYTES,
    STREAM,
    STREAM_EVENTS,
    block,
    cuts_of,
    frame,
    meaning,
    read,
)


def stream(*events: tuple[str, dict[str, Any]]) -> bytes:
    return b"".join(frame(kind, payload) for kind, payload in events)


def test_a_stream_means_what_the_whole_reply_says() -> None:
    assert meaning(read(STREAM, True)) == meaning(read(REPLY_BYTES, False))


@settings(max_examples=60, deadline=None)
@given(cuts_of(STREAM))
def test_events_do_not_depend_on_where_chunks_are_cut(cuts: list[int]) -> None:
    assert read(STREAM, True, cuts) == read(STREAM, True)


@settings(max_examples=20, deadline=None)
@given(cuts_of(REPLY_BYTES))
def test_a_whole_reply_does_not_depend_on_its_chunks(cuts: list[int]) -> None:
    assert read(REPLY_BYTES, False, cuts) == read(REPLY_BYTES, False)


def test_parts_usage_and_finish_are_told() -> None:
    events = read(STREAM, True)
    bodies = [event.body for event in events if isinstance(event, PartStart)]
    assert [type(body) for body in bodies] == [Thinking, Thinking, Opaque, Opaque, Text, ToolUse, ToolUse]
    assert isinstance(events[0], Start) and events[0].dialect == "bedrock"
    usage = next(event.usage for event in events if isinstance(event, UsageReport))
    assert (usage.input, usage.output, usage.cache_read, usage.cache_write, usage.cache_write_1h) == (22, 42, 3, 7, 5)
    assert usage.service_tier == "flex"
    finish, end = events[-2:]
    assert isinstance(finish, Finish) and (finish.reason, finish.raw_reason) == ("tool_use", "tool_use")
    assert isinstance(end, End)


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", "stop"),
        ("tool_use", "tool_use"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("stop_sequence", "stop_sequence"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
        ("malformed_model_output", "error"),
        ("malformed_tool_use", "error"),
        ("tomorrow", "unknown"),
    ],
)
def test_every_stop_reason_has_its_canonical_word(word: str, reason: str) -> None:
    whole = json.dumps(REPLY | {"stopReason": word}).encode()
    streamed = stream(("messageStart", {}), ("messageStop", {"stopReason": word}))
    for events in (read(whole, False), read(streamed, True)):
        (finish,) = [event for event in events if isinstance(event, Finish)]
        assert (finish.reason, finish.raw_reason) == (reason, word)


def test_a_stop_sequence_is_found_in_the_models_own_fields() -> None:
    told = {"stopReason": "stop_sequence", "additionalModelResponseFields": {"stop_sequence": "END"}}
    for events in (
        read(stream(("messageStart", {}), ("messageStop", told)), True),
        read(json.dumps(REPLY | told).encode(), False),
    ):
        assert [event.stop_sequence for event in events if isinstance(event, Finish)] == ["END"]


def test_pieces_of_bytes_are_joined() -> None:
    events = read(
        stream(
            ("messageStart", {}),
            *block(0, {"reasoningContent": {"redactedContent": "QQ=="}}, {"reasoningContent": {"redactedContent": "Qg=="}}),
            *block(
                1,
                {"image": {"source": {"bytes": "QQ=="}}},
                {"image": {"source": {"bytes": "Qg=="}}},
                start={"image": {"format": "png"}},
            ),
            ("messageStop", {"stopReason": "end_turn"}),
        ),
        True,
    )
    thinking, image = [event.body for event in events if isinstance(event, PartStart)]
    assert isinstance(thinking, Thinking) and thinking.redacted == "QUI="
    assert isinstance(image, Opaque) and json.loads(bytes(image.raw)) == {"image": {"format": "png", "source": {"bytes": "QUI="}}}


def test_a_stream_without_its_metadata_is_whole_after_its_last_word() -> None:
    data = stream(*STREAM_EVENTS[:-1])
    assert isinstance(read(data, True)[-1], End)
    assert isinstance(read(data + b"\x00\x00", True)[-1], End)


@pytest.mark.parametrize("cut", range(0, len(STREAM) - 1, 7))
def test_a_cut_stream_has_no_end_unless_its_last_word_came(cut: int) -> None:
    events = read(STREAM[:cut], True)
    said_all = cut >= len(stream(*STREAM_EVENTS[:-1]))
    assert (End() in events) == said_all and not any(isinstance(event, Failure) for event in events)


@pytest.mark.parametrize(
    ("name", "status", "error_type"),
    [
        ("throttlingException", 429, "ThrottlingException"),
        ("internalServerException", 500, "InternalServerException"),
        ("modelStreamErrorException", 424, "ModelStreamErrorException"),
        ("validationException", 400, "ValidationException"),
        ("serviceUnavailableException", 503, "ServiceUnavailableException"),
        ("tomorrowException", 502, None),
    ],
)
def test_an_exception_inside_a_stream_is_a_failure(name: str, status: int, error_type: str | None) -> None:
    data = stream(*STREAM_EVENTS[:3]) + frame(name, {"message": "Bearer abcdefgh123 was slow"}, "exception") + STREAM
    failure = read(data, True)[-1]
    assert isinstance(failure, Failure)
    assert (failure.status, failure.error_type, failure.message) == (status, error_type, "Bearer *** was slow")


def test_the_models_own_status_is_kept() -> None:
    data = frame("modelStreamErrorException", {"message": "m", "originalStatusCode": 503}, "exception")
    assert [event.status for event in read(data, True) if isinstance(event, Failure)] == [503]


def test_an_unmodelled_error_message_is_a_failure() -> None:
    data = encode(b"", {":message-type": "error", ":error-code": "InternalError", ":error-message": "broke"})
    assert [event.message for event in read(data, True) if isinstance(event, Failure)] == ["broke"]


@pytest.mark.parametrize(
    "payload",
    [
        ("contentBlockDelta", {"delta": {"text": 7}}),
        ("contentBlockDelta", {"delta": {"toolUse": {"input": "x"}}, "contentBlockIndex": 99}),
        ("contentBlockStart", {"start": {"toolUse": {"name": "f"}}}),
        ("contentBlockStart", {"start": {"toolResult": 7}}),
        ("metadata", {"usage": 7}),
        ("messageStop", {"stopReason": 7}),
    ],
)
def test_an_event_of_a_wrong_shape_is_a_failure(payload: tuple[str, dict[str, Any]]) -> None:
    events = read(stream(("messageStart", {}), payload, *STREAM_EVENTS), True)
    assert isinstance(events[-1], Failure) and events[-1].kind == "upstream_broken"


def test_unknown_events_and_deltas_are_skipped() -> None:
    more = [STREAM_EVENTS[0], ("tomorrow", {"x": 1}), ("contentBlockStop", {"contentBlockIndex": 50}), *STREAM_EVENTS[1:]]
    assert read(stream(*more), True) == read(STREAM, True)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"output": {}}', b'{"output": {"message": {"content": 7}}}', b"\xff", b"null"]
)
def test_a_whole_reply_of_another_shape_is_a_failure(body: bytes) -> None:
    (failure,) = read(body, False)
    assert isinstance(failure, Failure) and failure.kind == "upstream_broken"


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_streams_never_raise(data: st.DataObject) -> None:
    damaged = bytearray(STREAM)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    events = read(bytes(damaged), True, data.draw(cuts_of(bytes(damaged))))
    assert sum(isinstance(event, Failure) for event in events) <= 1


def test_wrong_types_anywhere_in_a_stream_never_raise() -> None:
    for position, (kind, payload) in enumerate(STREAM_EVENTS):
        for odd in (None, 7, "x", [], {}, [7], {"a": 1}, {"toolUse": 1}):
            for changed in [odd, *[{**payload, key: odd} for key in payload]]:
                body = changed if isinstance(changed, dict) else {"contentBlockIndex": changed}
                events = [*STREAM_EVENTS[:position], (kind, body), *STREAM_EVENTS[position + 1 :]]
                read(stream(*events), True)


def test_wrong_types_in_a_whole_reply_never_raise() -> None:
    for key in REPLY:
        for odd in (None, 7, "x", [], {}, {"message": None}, {"message": {"content": [{"text": 7}, {}, {"toolUse": 7}]}}):
            read(json.dumps(REPLY | {key: odd}).encode(), False)


def test_a_delta_after_the_end_counts_for_nothing() -> None:
    reader = DIALECT.reader(True)
    events = reader.feed(STREAM)
    assert reader.feed(STREAM) == [] and reader.close() == []
    assert sum(isinstance(event, Delta) for event in events) == 8


@pytest.mark.parametrize("block", [7, "x", ["x"], None])
def test_a_block_that_is_no_object_is_a_failure(block: Any) -> None:
    (failure,) = read(json.dumps(REPLY | {"output": {"message": {"content": [block]}}}).encode(), False)
    assert isinstance(failure, Failure)
