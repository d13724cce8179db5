"""writer.py: events of any dialect become Cohere's stream or whole reply."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from freehold.wire.chat import (
    AnyPart,
    ChatReply,
    Choice,
    Delta,
    End,
    Event,
    Finish,
    FinishReason,
    Opaque,
    PartEnd,
    PartStart,
    Refusal,
    Start,
    Text,
    Thinking,
    ToolUse,
    Usage,
)
from freehold.wire.fold import fold, unfold

from .samples import STREAM, WHOLE, dump, events_of, read, write


def reply(*parts: AnyPart, dialect: str = "elsewhere", finish: FinishReason = "stop", **fields: Any) -> list[Event]:
    choice = Choice(parts=list(parts), finish=finish, raw_reason=fields.pop("raw_reason", ""))
    return unfold(ChatReply(dialect=dialect, choices=[choice], **fields))


def whole(events: list[Event]) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(write(events, False))
    return parsed


def test_its_own_replies_are_written_as_they_were() -> None:
    assert events_of(write(read(STREAM))) == events_of(STREAM)
    assert whole(read(dump(WHOLE), False)) == WHOLE
    assert whole(read(STREAM)) == WHOLE
    assert write(read(STREAM)).endswith(b"data: [DONE]\n\n")


def test_a_foreign_reply_becomes_a_message() -> None:
    body = whole(
        reply(
            Thinking(text="hm", signature="s"),
            Text(text="a", citations=[Raw(b'{"url":"x"}')]),
            ToolUse(id="c", name="f", arguments='{"x":1}'),
            ToolUse(id="d", name="g"),
            finish="tool_use",
            usage=Usage(input=5, output=3, cache_read=2, reasoning=1),
        )
    )
    assert body == {
        "id": "call1",
        "message": {
            "role": "assistant",
            "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a"}],
            "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
                {"id": "d", "type": "function", "function": {"name": "g", "arguments": "{}"}},
            ],
        },
        "finish_reason": "TOOL_CALL",
        "usage": {
            "billed_units": {"input_tokens": 5, "output_tokens": 3},
            "tokens": {"input_tokens": 5, "output_tokens": 3, "reasoning_tokens": 1},
            "cached_tokens": 2,
        },
    }


def test_a_foreign_stream_numbers_blocks_and_calls_apart() -> None:
    events = events_of(
        write(reply(Thinking(text="t"), Text(text="a"), ToolUse(id="c", name="f"), ToolUse(id="d", name="g", arguments="[]")))
    )
    assert [(event["type"], event.get("index")) for event in events] == [
        ("message-start", None),
        *[("content-start", 0), ("content-delta", 0), ("content-end", 0)],
        *[("content-start", 1), ("content-delta", 1), ("content-end", 1)],
        *[("tool-call-start", 0), ("tool-call-delta", 0), ("tool-call-end", 0)],
        *[("tool-call-start", 1), ("tool-call-delta", 1), ("tool-call-end", 1)],
        ("message-end", None),
    ]
    assert events[8]["delta"]["message"]["tool_calls"]["function"]["arguments"] == "{}"  # a call must be an object
    assert events[-1]["delta"] == {"finish_reason": "TOOL_CALL"}


def test_what_has_no_place_stays_behind() -> None:
    parts: list[AnyPart] = [Opaque(dialect="e", kind="x", raw=Raw(b"{}")), Thinking(redacted="r"), Refusal(text="no")]
    for stream in (False, True):
        again = fold(read(write(reply(*parts), stream), stream), "cohere")
        assert again.choices[0].parts == [Text(text="no")]


def test_only_the_first_choice_is_written() -> None:
    events = reply(Text(text="a"))
    other = [
        PartStart(choice=1, part=0, body=Text(text="b")),
        Delta(choice=1, part=0, text="c"),
        Finish(choice=1, reason="length"),
    ]
    for stream in (False, True):
        assert write(events[:1] + other + events[1:], stream) == write(events, stream)


@pytest.mark.parametrize(
    ("finish", "word"),
    [
        ("stop", "COMPLETE"),
        ("length", "MAX_TOKENS"),
        ("stop_sequence", "STOP_SEQUENCE"),
        ("tool_use", "TOOL_CALL"),
        ("content_filter", "ERROR"),
        ("error", "ERROR"),
        ("refusal", "COMPLETE"),
        ("pause", "COMPLETE"),
        ("unknown", "COMPLETE"),
    ],
)
def test_finish_reasons_in_coheres_words(finish: FinishReason, word: str) -> None:
    assert whole(reply(Text(text="a"), finish=finish))["finish_reason"] == word
    assert (
        whole(reply(Text(text="a"), finish=finish, raw_reason="SOMETHING_NEW", dialect="cohere"))["finish_reason"]
        == "SOMETHING_NEW"
    )


def test_an_empty_stream_still_has_its_frame() -> None:
    assert [event["type"] for event in events_of(write([End()]))] == ["message-start", "message-end"]
    assert events_of(write([Start(), PartStart(part=0, body=Text(text="a"))]))[-2]["type"] == "content-end"
    assert write([End(), PartStart(part=0, body=Text(text="late"))]) == write([End()])


def test_deltas_and_ends_of_parts_that_never_began_are_ignored() -> None:
    assert write([Start(), Delta(part=3, text="x"), PartEnd(part=3), End()]) == write([Start(), End()])


parts = st.lists(
    st.builds(Text, text=st.text(min_size=1, max_size=5))
    | st.builds(Thinking, text=st.text(min_size=1, max_size=5))
    | st.builds(ToolUse, id=st.text(max_size=3), name=st.text(max_size=3), arguments=st.just('{"a":1}')),
    max_size=5,
)


@given(parts, st.integers(0, 99), st.integers(0, 99))
def test_what_is_written_reads_the_same(held: list[AnyPart], tokens_in: int, tokens_out: int) -> None:
    events = reply(*held, usage=Usage(input=tokens_in, output=tokens_out))
    streamed = fold(read(write(events)), "cohere")
    assert streamed.choices[0].parts == held
    collected = fold(read(write(events, False), False), "cohere")
    ordered = [part for part in held if not isinstance(part, ToolUse)] + [part for part in held if isinstance(part, ToolUse)]
    assert collected.choices[0].parts == ordered
    for again in (streamed, collected):
        assert again.usage is not None and (again.usage.input, again.usage.output) == (tokens_in, tokens_out)
