"""Requests of other dialects, written for an Ollama server."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw

from freehold.base.errors import Unsupported
from freehold.wire.chat import (
    Audio,
    CacheMark,
    ChatRequest,
    File,
    Image,
    Media,
    Message,
    Opaque,
    OutputFormat,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    ToolResult,
    ToolUse,
)
from freehold.wire.dialect import Quirks
from tests.wire.dialects.ollama.samples import DIALECT, PNG, QUIRKS


def foreign(*messages: Message, **fields: Any) -> ChatRequest:
    return ChatRequest(
        dialect="other", model="m", messages=list(messages) or [Message(role="user", parts=[Text(text="hi")])], **fields
    )


def sent(*messages: Message, quirks: Quirks = QUIRKS, **fields: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    body, dropped = DIALECT.encode_request(foreign(*messages, **fields), "real", quirks)
    found: dict[str, Any] = json.loads(body)
    return found, dropped


def user(*parts: Any) -> Message:
    return Message(role="user", parts=list(parts))


def image(data: str = PNG) -> Image:
    return Image(media=Media(kind="base64", value=data, media_type="image/png"))


@pytest.mark.parametrize(("stream", "written"), [(None, False), (False, False), (True, True)])
def test_stream_is_always_said_because_the_default_differs(stream: bool | None, written: bool) -> None:
    assert sent(stream=stream)[0]["stream"] is written


def test_knobs_become_options() -> None:
    body, dropped = sent(
        max_tokens=9,
        temperature=0.5,
        top_p=0.9,
        top_k=4,
        min_p=0.1,
        seed=1,
        stop=["X"],
        presence_penalty=1.0,
        frequency_penalty=2.0,
    )
    assert body == {
        "model": "real",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": False,
        "options": {
            "temperature": 0.5,
            "top_p": 0.9,
            "top_k": 4,
            "min_p": 0.1,
            "seed": 1,
            "frequency_penalty": 2.0,
            "presence_penalty": 1.0,
            "num_predict": 9,
            "stop": ["X"],
        },
    }
    assert dropped == ()


def test_knobs_without_a_word_are_named() -> None:
    raw = Raw(b"{}")
    _, dropped = sent(
        logit_bias=raw,
        user="u",
        metadata=raw,
        service_tier="flex",
        extras={"store": raw},
        parallel_tools=False,
        tools=[Tool(name="f")],
    )
    assert set(dropped) == {"logit_bias", "user", "metadata", "service_tier", "store", "parallel_tool_calls"}


def test_a_tool_loop() -> None:
    body, dropped = sent(
        Message(role="developer", parts=[Text(text="S1"), Text(text="S2")]),
        user(Text(text="u")),
        Message(
            role="assistant",
            parts=[
                Thinking(text="hm", signature="sig"),
                Text(text="a"),
                ToolUse(id="c1", name="f", arguments='{"b": 1.0}'),
                ToolUse(id="c2", name="g"),
            ],
        ),
        user(
            ToolResult(call_id="c2", parts=[Text(text="two"), image()], is_error=True),
            ToolResult(call_id="c1", parts=[Text(text="one")]),
            Text(text="so?"),
        ),
        tools=[Tool(name="f", description="d", parameters=Raw(b'{"type":"object"}'), strict=True), Tool(name="g")],
    )
    assert body["messages"] == [
        {"role": "system", "content": "S1\n\nS2"},
        {"role": "user", "content": "u"},
        {
            "role": "assistant",
            "content": "a",
            "thinking": "hm",
            "tool_calls": [
                {"id": "c1", "function": {"name": "f", "arguments": {"b": 1.0}}},
                {"id": "c2", "function": {"name": "g", "arguments": {}}},
            ],
        },
        {"role": "tool", "content": "Error: two", "images": [PNG], "tool_call_id": "c2", "tool_name": "g"},
        {"role": "tool", "content": "one", "tool_call_id": "c1", "tool_name": "f"},
        {"role": "user", "content": "so?"},
    ]
    assert body["tools"] == [
        {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}},
        {"type": "function", "function": {"name": "g", "parameters": {"type": "object", "properties": {}}}},
    ]
    assert dropped == ("tools[].strict",)


@pytest.mark.parametrize(
    ("kinds", "messages"),
    [
        ("ti", [("t0", 1)]),
        ("it", [("t1", 1)]),
        ("iit", [("t2", 2)]),
        ("tt", [("t0\n\nt1", 0)]),
        ("tit", [("t0", 0), ("t2", 1)]),
        ("titi", [("t0", 0), ("t2", 1), ("", 1)]),
        ("iti", [("t1", 1), ("", 1)]),
    ],
)
def test_texts_and_images_keep_their_order(kinds: str, messages: list[tuple[str, int]]) -> None:
    parts = [Text(text=f"t{n}") if kind == "t" else image() for n, kind in enumerate(kinds)]
    body, _ = sent(user(*parts))
    assert [(item["content"], len(item.get("images", []))) for item in body["messages"]] == messages


def test_text_files_are_text() -> None:
    body, _ = sent(
        user(
            File(media=Media(kind="text", value="plain"), name="a.txt"),
            File(media=Media(kind="base64", value="eyJhIjoxfQ==", media_type="application/json")),
        )
    )
    assert body["messages"] == [{"role": "user", "content": 'a.txt\n\nplain\n\n{"a":1}'}]


@pytest.mark.parametrize(
    "part",
    [
        Image(media=Media(kind="url", value="https://example.com/a.png")),
        Image(media=Media(kind="file_id", value="f1")),
        File(media=Media(kind="base64", value="QQ==", media_type="application/pdf")),
        Audio(media=Media(kind="base64", value="QQ==", media_type="audio/wav")),
        Opaque(dialect="other", kind="search_result", raw=Raw(b"{}")),
    ],
)
def test_content_that_has_no_place_is_refused(part: Any) -> None:
    with pytest.raises(Unsupported) as caught:
        sent(user(part))
    assert caught.value.param == "messages[0].content[0]"


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 2},
        {"tools": [Tool(name="f")], "tool_choice": ToolChoice(mode="required")},
        {"tools": [Tool(name="f")], "tool_choice": ToolChoice(mode="tool", name="f")},
        {"tools": [Tool(name="web_search", raw=Raw(b"{}"))]},
    ],
)
def test_requirements_that_cannot_be_met_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(Unsupported):
        sent(**fields)


def test_a_targets_quirks_are_obeyed() -> None:
    with pytest.raises(Unsupported):
        sent(user(image()), quirks=Quirks(unsupported=("image",)))
    with pytest.raises(Unsupported):
        sent(tools=[Tool(name="f")], quirks=Quirks(unsupported=("tools",)))
    with pytest.raises(Unsupported):
        sent(output=OutputFormat(kind="schema", schema=Raw(b"{}")), quirks=Quirks(unsupported=("schema",)))
    body, dropped = sent(reasoning=Reasoning(effort="low"), quirks=Quirks(reasoning="none"))
    assert "think" not in body and dropped == ("reasoning",)


def test_tool_choice_none_leaves_the_tools_out() -> None:
    assert "tools" not in sent(tools=[Tool(name="f")], tool_choice=ToolChoice(mode="none"))[0]
    assert "tools" in sent(tools=[Tool(name="f")], tool_choice=ToolChoice(mode="auto"))[0]


@pytest.mark.parametrize(
    ("reasoning", "think", "dropped"),
    [
        (Reasoning(enabled=False), False, ()),
        (Reasoning(effort="none"), False, ()),
        (Reasoning(enabled=True), True, ()),
        (Reasoning(adaptive=True), True, ()),
        (Reasoning(effort="low"), "low", ()),
        (Reasoning(effort="minimal"), "low", ("reasoning_effort (sent as low)",)),
        (Reasoning(effort="xhigh"), "high", ("reasoning_effort (sent as high)",)),
        (Reasoning(enabled=True, budget_tokens=1024), "low", ()),
        (Reasoning(budget_tokens=8192), "medium", ()),
        (Reasoning(budget_tokens=9000), "high", ()),
    ],
)
def test_reasoning_becomes_think(reasoning: Reasoning, think: object, dropped: tuple[str, ...]) -> None:
    body, named = sent(reasoning=reasoning)
    assert (body["think"], named) == (think, dropped)


def test_formats() -> None:
    schema = OutputFormat(kind="schema", schema=Raw(b'{"type":"object"}'), name="n", strict=True, description="d")
    body, dropped = sent(output=schema)
    assert (body["format"], dropped) == ({"type": "object"}, ("response_format.json_schema.description",))
    assert sent(output=OutputFormat(kind="json"))[0]["format"] == "json"
    assert "format" not in sent(output=OutputFormat(kind="text"))[0]


def test_sealed_thinking_and_marks_are_named() -> None:
    body, dropped = sent(
        Message(role="user", parts=[Text(text="u", cache=CacheMark())], name="ann"),
        Message(role="assistant", parts=[Thinking(redacted="sealed"), Text(text="a")]),
    )
    assert body["messages"][1] == {"role": "assistant", "content": "a"}
    assert set(dropped) == {"cache_control", "messages[].name", "messages[].thinking"}


def test_arguments_that_are_no_object_are_refused() -> None:
    for arguments in ("[1]", "{", "null", '"x"'):
        with pytest.raises(Unsupported):
            sent(Message(role="assistant", parts=[ToolUse(id="c", name="f", arguments=arguments)]))
