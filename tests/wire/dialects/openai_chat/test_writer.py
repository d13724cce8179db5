"""writer.py: what the client gets is well-formed chat completion, whatever dialect it came from."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw

from freehold.wire.chat import (
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
from freehold.wire.fold import fold

from .bodies import chunks_of, read, write

ANTHROPIC: list[Event] = [
    Start(id="msg_1", model="claude", extras={"container": Raw(b"null")}),
    PartStart(part=0, body=Thinking()),
    Delta(part=0, text="h"),
    Delta(part=0, text="m"),
    Delta(part=0, signature="sig"),
    PartEnd(part=0),
    PartStart(part=1, body=Thinking(redacted="blob")),
    PartEnd(part=1),
    PartStart(part=2, body=Text(text="")),
    Delta(part=2, text="hi"),
    PartEnd(part=2),
    PartStart(part=3, body=ToolUse(id="t1", name="f")),
    Delta(part=3, text='{"a"'),
    Delta(part=3, text=":1}"),
    PartEnd(part=3),
    PartStart(part=4, body=ToolUse(id="t2", name="g")),
    PartEnd(part=4),
    PartStart(part=5, body=Opaque(dialect="anthropic", kind="server_tool_use", raw=Raw(b"{}"))),
    PartEnd(part=5),
    Finish(reason="tool_use", raw_reason="tool_use", extras={"stop_details": Raw(b"1")}),
    UsageReport(usage=Usage(input=10, output=4, cache_read=3, cache_write=2, reasoning=1)),
    End(),
]


def deltas(events: list[Event]) -> list[dict[str, Any]]:
    return [chunk["choices"][0]["delta"] for chunk in chunks_of(write(events)) if chunk["choices"]]


def test_the_role_chunk_comes_first_and_done_last() -> None:
    stream = write(ANTHROPIC)
    assert chunks_of(stream)[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert stream.endswith(b"\n\ndata: [DONE]\n\n")
    assert stream.count(b"[DONE]") == 1


def test_all_chunks_share_id_model_and_time() -> None:
    heads = {(c["id"], c["object"], c["model"], c["created"]) for c in chunks_of(write(ANTHROPIC, include_usage=True))}
    assert heads == {("msg_1", "chat.completion.chunk", "claude", 99)}


def test_a_source_without_id_or_model_gets_ours() -> None:
    first = chunks_of(write([Start(), Finish(reason="stop"), End()]))[0]
    assert (first["id"], first["model"]) == ("chatcmpl-call1", "asked")


def test_the_usage_chunk_comes_only_if_asked() -> None:
    assert all("usage" not in chunk for chunk in chunks_of(write(ANTHROPIC)))
    chunks = chunks_of(write(ANTHROPIC, include_usage=True))
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == {
        "prompt_tokens": 10,
        "completion_tokens": 4,
        "total_tokens": 14,
        "prompt_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 1, "audio_tokens": 0},
    }
    assert all(chunk["usage"] is None for chunk in chunks[:-1])


def test_tool_calls_have_stable_indexes_and_always_an_object_as_arguments() -> None:
    calls = [call for delta in deltas(ANTHROPIC) for call in delta.get("tool_calls", [])]
    assert [call["index"] for call in calls] == [0, 0, 0, 1, 1]
    assert [call.get("id") for call in calls] == ["t1", None, None, "t2", None]
    joined = ["".join(c["function"]["arguments"] for c in calls if c["index"] == i) for i in (0, 1)]
    assert joined == ['{"a":1}', "{}"]


def test_signed_thinking_survives_a_turn_through_the_client() -> None:
    details = [item for delta in deltas(ANTHROPIC) for item in delta.get("reasoning_details", [])]
    assert [(d["type"], d["index"], d["format"]) for d in details] == [
        ("reasoning.text", 0, "anthropic-claude-v1"),
        ("reasoning.text", 0, "anthropic-claude-v1"),
        ("reasoning.text", 0, "anthropic-claude-v1"),
        ("reasoning.encrypted", 1, "anthropic-claude-v1"),
    ]
    assert "".join(delta.get("reasoning_content", "") for delta in deltas(ANTHROPIC)) == "hm"
    held = [p for p in fold(read(write(ANTHROPIC)), "x").choices[0].parts if isinstance(p, Thinking)]
    assert [(p.text, p.signature, p.redacted) for p in held] == [("hm", "sig", ""), ("", "", "blob")]


def test_another_dialects_extras_and_opaque_parts_stay_behind() -> None:
    for out in (write(ANTHROPIC), write(ANTHROPIC, stream=False)):
        for word in (b"container", b"stop_details", b"server_tool_use"):
            assert word not in out


def test_a_whole_reply_has_all_parts_in_their_fields() -> None:
    body = json.loads(write(ANTHROPIC, stream=False))
    message = body["choices"][0]["message"]
    assert body["object"] == "chat.completion"
    assert body["choices"][0]["finish_reason"] == "tool_calls"
    assert (message["role"], message["content"], message["refusal"]) == ("assistant", "hi", None)
    assert message["reasoning_content"] == "hm"
    assert message["reasoning_details"] == [
        {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0, "text": "hm", "signature": "sig"},
        {"type": "reasoning.encrypted", "format": "anthropic-claude-v1", "index": 1, "data": "blob"},
    ]
    assert [(c["id"], c["function"]) for c in message["tool_calls"]] == [
        ("t1", {"name": "f", "arguments": '{"a":1}'}),
        ("t2", {"name": "g", "arguments": "{}"}),
    ]
    assert body["usage"]["prompt_tokens"] == 10


def test_content_is_null_where_there_is_only_a_tool_call() -> None:
    events: list[Event] = [
        Start(),
        PartStart(part=0, body=ToolUse(id="t", name="f")),
        PartEnd(part=0),
        Finish(reason="tool_use"),
        End(),
    ]
    assert json.loads(write(events, stream=False))["choices"][0]["message"]["content"] is None


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("tool_use", "tool_calls"),
        ("stop_sequence", "stop"),
        ("content_filter", "content_filter"),
        ("refusal", "content_filter"),
        ("pause", "stop"),
        ("unknown", "stop"),
    ],
)
def test_finish_reasons_are_openais_words(reason: FinishReason, word: str) -> None:
    events: list[Event] = [Start(), Finish(reason=reason, raw_reason="end_turn"), End()]
    assert chunks_of(write(events))[-1]["choices"][0]["finish_reason"] == word
    assert json.loads(write([*events], stream=False))["choices"][0]["finish_reason"] == word


def test_a_finish_word_of_this_dialect_goes_back_as_it_came() -> None:
    events: list[Event] = [Start(dialect="openai_chat"), Finish(reason="tool_use", raw_reason="stop"), End()]
    assert chunks_of(write(events))[-1]["choices"][0]["finish_reason"] == "stop"


def test_several_choices_each_get_a_role_and_their_own_tool_indexes() -> None:
    events: list[Event] = [Start()]
    for choice in (0, 1):
        events += [
            PartStart(choice=choice, part=0, body=ToolUse(id=f"t{choice}", name="f")),
            Delta(choice=choice, part=0, text="{}"),
            PartEnd(choice=choice, part=0),
            Finish(choice=choice, reason="tool_use"),
        ]
    chunks = chunks_of(write([*events, End()]))
    for choice in (0, 1):
        mine = [c["choices"][0]["delta"] for c in chunks if c["choices"][0]["index"] == choice]
        assert mine[0]["role"] == "assistant"
        assert [call["index"] for delta in mine for call in delta.get("tool_calls", [])] == [0, 0]


def test_refusals_logprobs_and_citations_have_their_fields() -> None:
    ours, theirs = Raw(b'{"type":"url_citation"}'), Raw(b'{"type":"char_location"}')
    events: list[Event] = [
        Start(),
        PartStart(part=0, body=Text(text="")),
        Delta(part=0, text="x", logprobs=Raw(b'{"content":[]}')),
        Delta(part=0, citation=ours),
        Delta(part=0, citation=theirs),
        PartEnd(part=0),
        PartStart(part=1, body=Refusal(text="")),
        Delta(part=1, text="no"),
        PartEnd(part=1),
        Finish(reason="stop"),
        End(),
    ]
    choices = [chunk["choices"][0] for chunk in chunks_of(write(events))]
    assert [choice["logprobs"] for choice in choices if choice["delta"].get("content")] == [{"content": []}]
    assert [d["annotations"] for d in (c["delta"] for c in choices) if "annotations" in d] == [[{"type": "url_citation"}]]
    assert [d["refusal"] for d in (c["delta"] for c in choices) if "refusal" in d] == ["no"]
    whole = json.loads(write(events, stream=False))["choices"][0]
    assert whole["message"]["annotations"] == [{"type": "url_citation"}]
    assert whole["message"]["refusal"] == "no"
    assert whole["logprobs"] == {"content": []}


def test_a_citation_that_is_no_object_is_left_out() -> None:
    text = [PartStart(part=0, body=Text(text="")), Delta(part=0, text="a", citation=Raw(b'"x"'))]
    assert b"annotations" not in write([Start(), *text, Finish(reason="stop"), End()], True)
