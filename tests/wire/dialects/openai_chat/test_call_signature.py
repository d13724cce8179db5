"""A tool call's signature stands in `extra_content`, where Google's own compatible API has it, in every codec."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freehold.wire.chat import (
    ChatRequest,
    Delta,
    End,
    Event,
    Finish,
    Message,
    PartEnd,
    PartStart,
    Start,
    Text,
    Thinking,
    ToolUse,
)
from freehold.wire.fold import fold

from .bodies import ALWAYS, DIALECT, chunk, chunks_of, decoded, dump, encoded, read, sse, write

SIGNATURE = {"google": {"thought_signature": "sig=="}}


def call(**fields: Any) -> dict[str, Any]:
    return {"id": "i", "type": "function", "function": {"name": "f", "arguments": "{}"}, **fields}


@pytest.mark.parametrize(
    ("extra", "signature"),
    [
        (SIGNATURE, "sig=="),
        ({"google": {"thought_signature": "sig==", "more": 1}, "other": {}}, "sig=="),
        ({"google": {"thought_signature": ""}}, ""),
        ({"google": {"thought_signature": 5}}, ""),
        ({"google": 5}, ""),
        ({"google": {}}, ""),
        ({}, ""),
        (5, ""),
        (None, ""),
    ],
)
def test_a_request_gives_it_to_the_call_and_is_written_back_as_it_came(extra: Any, signature: str) -> None:
    messages = [
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": None, "tool_calls": [call(extra_content=extra)]},
    ]
    request = decoded(messages=messages)
    assert request.messages[1].parts[0].signature == signature
    assert encoded(request)["messages"] == messages


def test_a_stream_gives_it_to_the_call_whenever_it_comes() -> None:
    first = {"tool_calls": [{"index": 0, **call(extra_content=SIGNATURE)}]}
    late = [
        {"tool_calls": [{"index": 0, **call()}]},
        {"tool_calls": [{"index": 0, "extra_content": SIGNATURE}]},
    ]
    for deltas in ([first], late):
        part = fold(read(sse(*map(chunk, deltas), chunk(finish="tool_calls"), b"[DONE]")), "x").choices[0].parts[0]
        assert isinstance(part, ToolUse)
        assert (part.signature, part.arguments, part.extras) == ("sig==", "{}", {})


def test_a_reply_of_this_dialect_is_written_with_it_again() -> None:
    events = read(sse(chunk({"tool_calls": [{"index": 0, **call(extra_content=SIGNATURE)}]}, "tool_calls"), b"[DONE]"))
    whole = json.loads(write(events, stream=False))["choices"][0]["message"]["tool_calls"]
    assert whole == [call(extra_content=SIGNATURE)]


SIGNED: list[Event] = [
    Start(id="r", model="m", dialect="gemini"),
    PartStart(part=0, body=ToolUse(id="i", name="f", signature="sig==")),
    Delta(part=0, text='{"a":1}'),
    PartEnd(part=0),
    PartStart(part=1, body=ToolUse(id="j", name="g")),
    Delta(part=1, signature="late"),
    PartEnd(part=1),
    PartStart(part=2, body=ToolUse(id="k", name="h")),
    PartEnd(part=2),
    Finish(reason="tool_use"),
    End(),
]


def test_a_client_gets_it_on_the_call_whole_and_streamed() -> None:
    calls = json.loads(write(SIGNED, stream=False))["choices"][0]["message"]["tool_calls"]
    assert [one.get("extra_content", {}).get("google") for one in calls] == [
        {"thought_signature": "sig=="},
        {"thought_signature": "late"},
        None,
    ]
    found: dict[int, Any] = {}
    for one in chunks_of(write(SIGNED)):
        for piece in one["choices"][0]["delta"].get("tool_calls", []):
            found.setdefault(piece["index"], None)
            found[piece["index"]] = piece.get("extra_content") or found[piece["index"]]
    assert found == {0: SIGNATURE, 1: {"google": {"thought_signature": "late"}}, 2: None}


def test_it_is_named_where_it_does_not_go() -> None:
    parts = [ToolUse(id="i", name="f", signature="sig==")]
    messages = [Message(role="user", parts=[Text(text="u")]), Message(role="assistant", parts=[*parts])]
    body, dropped = DIALECT.encode_request(ChatRequest(dialect="gemini", model="m", messages=messages), "m", ALWAYS)
    assert b"sig==" not in body and dropped == ("messages[].tool_calls[].signature",)


def test_geminis_thinking_is_not_labelled_as_anthropics() -> None:
    for dialect, maker in (("gemini", "google-gemini-v1"), ("anthropic", "anthropic-claude-v1")):
        events: list[Event] = [
            Start(dialect=dialect),
            PartStart(part=0, body=Thinking(text="t", signature="s")),
            PartEnd(part=0),
            Finish(reason="stop"),
            End(),
        ]
        message = json.loads(write(events, stream=False))["choices"][0]["message"]
        assert [detail["format"] for detail in message["reasoning_details"]] == [maker]
        streamed = chunks_of(write(events))[1]["choices"][0]["delta"]
        assert [detail["format"] for detail in streamed["reasoning_details"]] == [maker]
        again = DIALECT.decode_request(
            DIALECT.peek(dump({"model": "m", "messages": [{"role": "user", "content": "u"}, message]}), "chat")
        )
        thinking = again.messages[1].parts[0]
        assert isinstance(thinking, Thinking) and thinking.signature == ("s" if dialect == "anthropic" else "")
