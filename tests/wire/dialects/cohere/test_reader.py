"""reader.py: a stream or a whole reply becomes the same events, in any chunking, and nothing makes it raise."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.wire.chat import (
    ChatReply,
    Choice,
    Delta,
    End,
    Failure,
    Finish,
    PartEnd,
    PartStart,
    Start,
    Text,
    Thinking,
    ToolUse,
    Usage,
    UsageReport,
)
from freehold.wire.fold import fold

from .samples import CITATION, START, STREAM, WHOLE, delta, dump, end, read, sse


def reply_of(body: bytes, stream: bool = True) -> ChatReply:
    return fold(read(body, stream), "cohere")


def choice_of(*events: dict[str, Any]) -> Choice:
    return reply_of(sse(START, *events, end())).choices[0]


def test_a_stream_gives_these_events() -> None:
    events = read(STREAM)
    assert [type(event) for event in events] == [
        Start,
        *(PartStart, Delta, PartEnd),
        *(PartStart, Delta, Delta, Delta, PartEnd),
        *(PartStart, Delta, Delta, PartEnd),
        *(PartStart, Delta, Delta, PartEnd),
        Finish,
        UsageReport,
        End,
    ]


@pytest.mark.parametrize("body", [STREAM, dump(WHOLE)])
def test_a_reply_has_these_parts(body: bytes) -> None:
    reply = reply_of(body, body is STREAM)
    choice = reply.choices[0]
    thinking, text, plan, call = choice.parts
    assert (reply.id, reply.model, choice.finish, choice.raw_reason) == ("r1", "", "tool_use", "TOOL_CALL")
    assert isinstance(thinking, Thinking) and thinking.text == "hm"
    assert isinstance(text, Text) and text.text == 'Hé "message-end"'
    assert [json.loads(bytes(raw)) for raw in text.citations] == [CITATION]
    assert isinstance(plan, Text) and plan.text == "I will look." and plan.spelling == {"in": "tool_plan"}
    assert isinstance(call, ToolUse) and (call.id, call.name, call.arguments) == ("c1", "f", '{"a": 1}')


@pytest.mark.parametrize("body", [STREAM, dump(WHOLE)])
@given(cuts=st.lists(st.integers(0, 5000), max_size=12))
def test_events_do_not_depend_on_chunking(body: bytes, cuts: list[int]) -> None:
    assert read(body, body is STREAM, cuts) == read(body, body is STREAM)


def test_a_stream_cut_anywhere_is_not_whole_before_its_end() -> None:
    for at in range(STREAM.index(b"\n\ndata: [DONE]") - 1):
        assert not any(type(event) in (Failure, End) for event in read(STREAM[:at]))


# --- usage ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("usage", "wanted"),
    [
        (WHOLE["usage"], Usage(input=9, output=7, reasoning=3)),
        ({"tokens": {"input_tokens": 5, "output_tokens": 2}}, Usage(input=5, output=2)),
        (
            {"billed_units": {"input_tokens": 5.0, "output_tokens": 2.0, "search_units": 1}},
            Usage(input=5, output=2, rerank_searches=1),
        ),
        ({"billed_units": {"output_tokens": 2}, "tokens": {"reasoning_tokens": 50}}, Usage(output=2, reasoning=2)),
        ({"billed_units": {"input_tokens": -5, "output_tokens": "x"}, "tokens": 5}, Usage()),
        ({}, Usage()),
        (None, None),
        ("many", None),
    ],
)
def test_what_is_billed_is_what_counts(usage: Any, wanted: Usage | None) -> None:
    for body, stream in ((dump(WHOLE | {"usage": usage}), False), (sse(START, end(usage=usage)), True)):
        found = reply_of(body, stream).usage
        if found is not None:
            found.extras = {}
        assert found == wanted


# --- servers that vary ------------------------------------------------------------------


def test_a_block_that_never_said_it_starts_is_read() -> None:
    parts = choice_of(
        delta("content-delta", 0, content={"thinking": "t"}), delta("content-delta", 1, content={"text": "x"})
    ).parts
    assert parts == [Thinking(text="t"), Text(text="x")]


def test_calls_that_interleave_are_kept_apart() -> None:
    start = {"type": "function", "function": {"name": "f", "arguments": ""}}
    parts = choice_of(
        delta("tool-call-start", 0, tool_calls=start | {"id": "a"}),
        delta("tool-call-start", 1, tool_calls=start | {"id": "b"}),
        delta("tool-call-delta", 0, tool_calls={"function": {"arguments": "{}"}}),
        delta("tool-call-delta", 1, tool_calls={"function": {"arguments": "[]"}}),
    ).parts
    assert [(part.id, part.arguments) for part in parts if isinstance(part, ToolUse)] == [("a", "{}"), ("b", "[]")]


@pytest.mark.parametrize("at", [None, 0, 7])
def test_a_citation_goes_to_the_last_text_where_its_place_is_unknown(at: int | None) -> None:
    citation = {"start": 0, "text": "x"} | ({} if at is None else {"content_index": at})
    choice = choice_of(
        delta("content-start", 0, content={"type": "thinking", "thinking": "t"}),
        delta("content-start", 1, content={"type": "text", "text": "x"}),
        delta("content-end", 1),
        delta("citation-start", 0, citations=citation),
    )
    text = choice.parts[1]
    assert isinstance(text, Text) and [json.loads(bytes(raw)) for raw in text.citations] == [citation]


def test_a_citation_of_the_plan_goes_to_the_plan() -> None:
    whole = json.loads(dump(WHOLE))
    whole["message"]["citations"] = [{"type": "PLAN", "text": "look"}]
    for body, stream in (
        (dump(whole), False),
        (
            sse(
                START,
                delta("tool-plan-delta", tool_plan="look"),
                delta("citation-start", 0, citations={"type": "PLAN", "text": "look"}),
                end(),
            ),
            True,
        ),
    ):
        plans = [part for part in reply_of(body, stream).choices[0].parts if isinstance(part, Text) and part.spelling]
        assert len(plans[0].citations) == 1


def test_unknown_events_blocks_and_citations_without_text_are_skipped() -> None:
    parts = choice_of(
        {"type": "debug", "prompt": "x"},
        {"type": "brand-new"},
        delta("content-start", 0, content={"type": "hologram"}),
        delta("content-delta", 9),
        delta("tool-call-delta", 3, tool_calls={"function": {"arguments": "x"}}),
        delta("citation-start", 0, citations={"text": "x"}),
        delta("citation-start", 0, citations=5),
        delta("content-end", 5),
        {"type": "content-end"},
    ).parts
    assert parts == []


def test_content_may_be_a_string() -> None:
    assert reply_of(dump({"id": "r", "message": {"content": "x"}}), False).choices[0].parts == [Text(text="x")]


def test_logprobs_travel_with_the_text() -> None:
    event = delta("content-delta", 0, content={"text": "x"}) | {"logprobs": {"text": "x", "logprobs": [-0.5]}}
    events = read(sse(START, event, end()))
    assert bytes(next(event.extras["logprobs"] for event in events if isinstance(event, Delta))).startswith(b'{"text"')
    whole = reply_of(dump(WHOLE | {"logprobs": [{"text": "x"}]}), False)
    assert json.loads(bytes(whole.extras["logprobs"])) == [{"text": "x"}]


# --- errors -------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["ERROR", "TIMEOUT", "SOMETHING_NEW"])
def test_a_finish_in_any_word_ends_the_reply(reason: str) -> None:
    events = read(sse(START, end(reason)))
    finish = next(event for event in events if isinstance(event, Finish))
    assert finish.raw_reason == reason and finish.reason == ("unknown" if reason == "SOMETHING_NEW" else "error")
    assert type(events[-1]) is End


@pytest.mark.parametrize(
    "body",
    [
        sse(START, end("ERROR", error="out of memory")),
        sse(START) + b'data: {"message":"out of memory"}\n\n' + sse(end()),
        sse({"message": "out of memory"}),
    ],
)
def test_an_error_in_a_stream_is_a_failure_and_the_last_event(body: bytes) -> None:
    failure = read(body)[-1]
    assert isinstance(failure, Failure) and (failure.status, failure.message) == (502, "out of memory")


def test_an_error_for_a_whole_reply_is_a_failure() -> None:
    assert read(dump({"id": "x", "message": "no"}), False) == [Failure(status=502, message="no")]


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"null", b"5", b'{"message":5}', b'{"id":5,"message":{}}', b"\xff", b"{" * 9999]
)
def test_whole_bodies_that_are_no_reply_are_a_failure(body: bytes) -> None:
    (failure,) = read(body, False)
    assert isinstance(failure, Failure) and failure.kind == "upstream_broken"


@pytest.mark.parametrize(
    "data", [b"x", b"[]", b'{"type":5}', b'{"index":"a"}', b'{"delta":5}', b'{"delta":{"message":{"content":5}}}', b"\xff"]
)
def test_an_event_that_cannot_be_read_is_a_failure(data: bytes) -> None:
    events = read(sse(START) + b"data: " + data + b"\n\n" + sse(end()))
    assert isinstance(events[-1], Failure) and events[-1].kind == "upstream_broken"


def test_text_that_is_not_utf8_is_a_failure_even_where_it_would_stay_raw() -> None:
    for body, stream in ((STREAM, True), (dump(WHOLE), False)):
        last = read(body.replace(b'"sources": []', b'"sources": ["\xff"]'), stream)[-1]
        assert isinstance(last, Failure) and last.kind == "upstream_broken"


@given(st.binary(max_size=300))
def test_no_bytes_make_a_reader_raise(body: bytes) -> None:
    for stream in (True, False):
        read(body, stream)
        read(STREAM[:700] + body, stream)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda v: (
        st.lists(v, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "delta",
                    "message",
                    "content",
                    "tool_calls",
                    "function",
                    "citations",
                    "usage",
                    "text",
                    "index",
                    "finish_reason",
                    "error",
                    "id",
                ]
            ),
            v,
            max_size=4,
        )
    ),
)


@given(st.sampled_from(["content-start", "tool-call-start", "citation-start", "message-end", "tool-plan-delta"]), values)
def test_no_types_make_a_reader_raise(kind: str, value: Any) -> None:
    event = {"type": kind} | (value if isinstance(value, dict) else {"delta": value})
    read(sse(START) + b"data: " + dump(event) + b"\n\n" + sse(end()))
    read(dump(value), False)
