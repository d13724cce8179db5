"""Events as Anthropic replies: a client's parser must accept any order in which upstreams send them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from freehold.wire.chat import (
    AnyPart,
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
    UsageReport,
)
from tests.wire.dialects.anthropic.samples import (
    DIALECT,
    MESSAGE,
    STREAM,
    STREAMED,
    WHOLE,
    WHOLE_BYTES,
    message_of,
    read,
    written,
)

USAGE = UsageReport(usage=Usage(input=30, output=4, cache_read=10, cache_write=5, cache_write_1h=2, reasoning=1))


def both(events: list[Event]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The message that a client gets streamed and whole."""
    return message_of(written(events, STREAMED)), json.loads(written(events, WHOLE))


def without_usage(message: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in message.items() if name != "usage"}


@pytest.mark.parametrize(("data", "stream"), [(STREAM, True), (WHOLE_BYTES, False)])
def test_a_reply_of_this_dialect_is_written_back_as_it_was(data: bytes, stream: bool) -> None:
    for message in both(read(data, stream)):
        assert without_usage(message) == without_usage(MESSAGE)
        assert {name: message["usage"][name] for name in MESSAGE["usage"]} == MESSAGE["usage"]


def test_ids_and_model_are_ours_where_the_upstream_has_none() -> None:
    for message in both([Start(), PartStart(part=0, body=ToolUse(id="", name="f")), PartEnd(part=0), End()]):
        assert (message["id"], message["model"]) == ("msg_c1", "asked-model")
        assert message["content"][0]["id"].startswith("toolu_c1_")


def test_usage_that_comes_after_the_finish_is_told() -> None:
    events: list[Event] = [Start(id="x"), Finish(reason="stop"), USAGE, End()]
    for message in both(events):
        usage = message["usage"]
        assert (usage["input_tokens"], usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]) == (15, 10, 5)
        assert usage["cache_creation"] == {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 2}
        assert (usage["output_tokens"], usage["output_tokens_details"]) == (4, {"thinking_tokens": 1})


def test_interleaved_tool_calls_become_blocks_one_after_the_other() -> None:
    events: list[Event] = [
        Start(dialect="openai_chat"),
        PartStart(part=0, body=Text(text="")),
        Delta(part=0, text="I call"),
        PartStart(part=1, body=ToolUse(id="a", name="f")),
        Delta(part=1, text='{"x":'),
        PartEnd(part=1),
        PartStart(part=2, body=ToolUse(id="b", name="g")),
        Delta(part=2, text='{"y":'),
        Delta(part=1, text="1}"),
        Delta(part=2, text="2}"),
        PartStart(part=3, body=Text(text="")),
        Delta(part=3, text="done"),
        Finish(reason="tool_use"),
        End(),
    ]
    for message in both(events):
        assert message["content"] == [
            {"type": "text", "text": "I call"},
            {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
            {"type": "tool_use", "id": "b", "name": "g", "input": {"y": 2}},
            {"type": "text", "text": "done"},
        ]
        assert message["stop_reason"] == "tool_use"


def test_text_that_is_interrupted_goes_on_in_a_new_block() -> None:
    events: list[Event] = [
        Start(),
        PartStart(part=0, body=Text(text="")),
        Delta(part=0, text="a"),
        PartStart(part=1, body=Thinking()),
        Delta(part=1, text="hm"),
        Delta(part=0, text="b"),
        Finish(reason="stop"),
        End(),
    ]
    content = message_of(written(events, STREAMED))["content"]
    assert [block.get("text", block.get("thinking")) for block in content] == ["a", "hm", "b"]


def test_parts_without_content_are_not_sent() -> None:
    events: list[Event] = [
        Start(),
        PartStart(part=0, body=Text(text="")),
        PartEnd(part=0),
        PartStart(part=1, body=Thinking()),
        PartStart(part=2, body=Opaque(dialect="openai_chat", kind="audio", raw=Raw(b"{}"))),
        PartStart(part=3, body=ToolUse(id="t", name="f")),
        Finish(reason="tool_use"),
        End(),
    ]
    for message in both(events):
        assert message["content"] == [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]


@pytest.mark.parametrize(
    ("reason", "body", "word"),
    [
        ("stop", Text(text="x"), "end_turn"),
        ("stop", ToolUse(id="t", name="f"), "tool_use"),
        ("tool_use", Text(text="x"), "end_turn"),
        ("stop", Refusal(text="no"), "refusal"),
        ("content_filter", Text(text="x"), "refusal"),
        ("length", Text(text="x"), "max_tokens"),
        ("stop_sequence", Text(text="x"), "stop_sequence"),
        ("pause", Text(text="x"), "pause_turn"),
        ("unknown", Text(text="x"), "end_turn"),
    ],
)
def test_the_stop_reason_is_one_of_this_api_s_words(reason: FinishReason, body: Any, word: str) -> None:
    events: list[Event] = [
        Start(dialect="openai_chat"),
        PartStart(part=0, body=body),
        PartEnd(part=0),
        Finish(reason=reason, raw_reason="odd"),
        End(),
    ]
    assert [message["stop_reason"] for message in both(events)] == [word, word]


def test_a_refusal_is_text() -> None:
    events: list[Event] = [
        Start(),
        PartStart(part=0, body=Refusal(text="")),
        Delta(part=0, text="I can't."),
        Finish(reason="stop"),
        End(),
    ]
    for message in both(events):
        assert message["content"] == [{"type": "text", "text": "I can't."}]


def test_extras_and_citations_of_another_dialect_stay_behind() -> None:
    events: list[Event] = [
        Start(id="i", dialect="openai_chat", extras={"system_fingerprint": Raw(b'"fp"')}),
        PartStart(part=0, body=Text(text="", extras={"annotations": Raw(b"[]")})),
        Delta(part=0, text="x"),
        Delta(part=0, citation=Raw(b'{"type":"url_citation"}')),
        Finish(reason="stop", extras={"logprobs": Raw(b"null")}),
        UsageReport(usage=Usage(input=1, output=1, extras={"queue_time": Raw(b"1")})),
        End(),
    ]
    for message in both(events):
        assert message["content"] == [{"type": "text", "text": "x"}]
        assert not {"system_fingerprint", "logprobs"} & message.keys() and "queue_time" not in message["usage"]


def test_arguments_that_are_no_object_are_wrapped_in_a_whole_reply_and_passed_on_in_a_stream() -> None:
    events: list[Event] = [Start(), PartStart(part=0, body=ToolUse(id="t", name="f")), Delta(part=0, text='{"a":'), End()]
    assert json.loads(written(events, WHOLE))["content"][0]["input"] == {"INVALID_JSON": '{"a":'}
    assert b'"partial_json":"{\\"a\\":"' in written(events, STREAMED)


def test_only_the_first_choice_is_written() -> None:
    events: list[Event] = [
        Start(),
        PartStart(choice=1, part=0, body=Text(text="")),
        Delta(choice=1, part=0, text="second"),
        PartStart(part=0, body=Text(text="")),
        Delta(part=0, text="first"),
        Finish(choice=1, reason="length"),
        Finish(reason="stop"),
        End(),
    ]
    for message in both(events):
        assert (message["content"], message["stop_reason"]) == ([{"type": "text", "text": "first"}], "end_turn")


def test_the_stream_ends_with_the_end_event_and_close_adds_nothing() -> None:
    writer = DIALECT.writer(STREAMED)
    data = writer.write([Start(), Finish(reason="stop"), End()])
    assert data.endswith(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')
    assert writer.close() == b"" and writer.write([Finish(reason="stop"), End()]) == b""


_bodies: st.SearchStrategy[AnyPart] = st.one_of(
    st.builds(Text, text=st.text(max_size=2)),
    st.builds(Thinking, text=st.text(max_size=2), signature=st.sampled_from(["", "s"])),
    st.builds(Thinking, redacted=st.just("r")),
    st.builds(ToolUse, id=st.just("t"), name=st.just("f")),
    st.builds(Refusal, text=st.just("")),
    st.builds(Opaque, dialect=st.sampled_from(["anthropic", "x"]), kind=st.just("k"), raw=st.just(Raw(b'{"type":"k"}'))),
)
_part = st.integers(0, 3)
_events = st.lists(
    st.builds(PartStart, part=_part, body=_bodies)
    | st.builds(Delta, part=_part, text=st.sampled_from(["", "a", "b"]), signature=st.sampled_from(["", "sig"]))
    | st.builds(PartEnd, part=_part)
    | st.builds(Start, dialect=st.sampled_from(["", "anthropic"]))
    | st.just(USAGE),
    max_size=14,
)


@settings(max_examples=300, deadline=None)
@given(_events, st.booleans())
def test_any_order_of_events_makes_a_well_formed_stream(events: list[Event], finished: bool) -> None:
    """`message_of` checks the API's rules; tool arguments here are not JSON, so they are looked at as text."""
    ends: list[Event] = [Finish(reason="stop"), End()] if finished else [End()]
    data = written(events + ends, STREAMED)
    message_of(data.replace(b'"partial_json"', b'"partial_json":"","was"'))
    json.loads(written(events + ends, WHOLE))


def test_no_text_is_lost_or_reordered_within_a_part() -> None:
    events: list[Event] = [Start(dialect="openai_chat")]
    events += [PartStart(part=n, body=ToolUse(id=f"t{n}", name="f")) for n in range(3)]
    events += [Delta(part=n % 3, text=str(n)) for n in range(30)]
    events += [Finish(reason="tool_use"), End()]
    text = ["", "", ""]
    for line in written(events, STREAMED).decode().split("\n"):
        if line.startswith("data: ") and "input_json_delta" in line:
            event = json.loads(line[6:])
            text[event["index"]] += event["delta"]["partial_json"]
    assert text == ["".join(str(n) for n in range(30) if n % 3 == k) for k in range(3)]


SIGNED: list[Event] = [
    Start(id="x", model="m", dialect="gemini"),
    PartStart(part=0, body=Text(text="a")),
    PartEnd(part=0),
    PartStart(part=1, body=ToolUse(id="i", name="f", signature="sig==")),
    Delta(part=1, text='{"a":1}'),
    PartEnd(part=1),
    PartStart(part=2, body=ToolUse(id="j", name="g", signature="sig2")),
    PartEnd(part=2),
    Finish(reason="tool_use"),
    End(),
]


def test_a_signed_call_comes_directly_behind_empty_thinking_with_its_signature() -> None:
    for message in both(SIGNED):
        assert message["content"] == [
            {"type": "text", "text": "a"},
            {"type": "thinking", "thinking": "", "signature": "sig=="},
            {"type": "tool_use", "id": "i", "name": "f", "input": {"a": 1}},
            {"type": "thinking", "thinking": "", "signature": "sig2"},
            {"type": "tool_use", "id": "j", "name": "g", "input": {}},
        ]
        assert message["stop_reason"] == "tool_use"
