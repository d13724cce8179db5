"""adapt.py, knobs.py: requests of other dialects in Cohere's terms."""

from __future__ import annotations

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
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    ToolResult,
    ToolUse,
)
from freehold.wire.dialect import Quirks

from .samples import encoded

THINKER, PLAIN = "command-a-reasoning-08-2025", "command-r-08-2024"


def foreign(
    *messages: Message, model: str = THINKER, quirks: Quirks | None = None, **fields: Any
) -> tuple[dict[str, Any], tuple[str, ...]]:
    held = list(messages) or [Message(role="user", parts=[Text(text="hi")], plain=True)]
    return encoded(ChatRequest(dialect="elsewhere", model="x", messages=held, **fields), model, quirks)


def tool(name: str, **fields: Any) -> Tool:
    return Tool(name=name, parameters=Raw(b'{"type":"object"}'), **fields)


def test_a_tool_conversation_becomes_cohere_s() -> None:
    body, dropped = foreign(
        Message(role="developer", parts=[Text(text="S")], plain=True),
        Message(
            role="user",
            parts=[Text(text="u"), Image(media=Media(kind="base64", value="QQ==", media_type="image/png"), detail="low")],
        ),
        Message(
            role="assistant",
            parts=[
                Thinking(text="hm", signature="s"),
                Text(text="I "),
                Text(text="look."),
                ToolUse(id="a", name="f", arguments='{"x": 1}'),
                ToolUse(id="b", name="g"),
            ],
        ),
        Message(
            role="user",
            parts=[
                ToolResult(call_id="a", parts=[Text(text="1")], plain=True),
                ToolResult(call_id="b", parts=[Text(text="boom")], is_error=True),
                Text(text="so?"),
            ],
        ),
        tools=[tool("f"), Tool(name="g")],
        tool_choice=ToolChoice(mode="required"),
        max_tokens=50,
        stop=["END"],
        stream=True,
    )
    assert dropped == ()
    assert body == {
        "model": THINKER,
        "messages": [
            {"role": "system", "content": "S"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "u"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ==", "detail": "low"}},
                ],
            },
            {
                "role": "assistant",
                "content": [{"type": "thinking", "thinking": "hm"}],
                "tool_plan": "I look.",
                "tool_calls": [
                    {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}},
                    {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
                ],
            },
            {"role": "tool", "tool_call_id": "a", "content": "1"},
            {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "Error: boom"}]},
            {"role": "user", "content": [{"type": "text", "text": "so?"}]},
        ],
        "tools": [
            {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}},
            {"type": "function", "function": {"name": "g", "parameters": {"type": "object", "properties": {}}}},
        ],
        "tool_choice": "REQUIRED",
        "max_tokens": 50,
        "stop_sequences": ["END"],
        "stream": True,
    }


def test_an_assistant_message_always_has_something() -> None:
    messages = foreign(
        Message(role="assistant", parts=[ToolUse(id="a", name="f")]),
        Message(role="assistant", parts=[]),
        Message(role="assistant", parts=[Refusal(text="no")]),
        Message(role="tool", parts=[ToolResult(call_id="a")]),
    )[0]["messages"]
    assert "content" not in messages[0] and messages[1]["content"] == ""
    assert messages[2]["content"] == [{"type": "text", "text": "no"}]
    assert messages[3]["content"] == ""


def test_forcing_one_tool_offers_only_that_one() -> None:
    tools = [tool("f"), tool("g")]
    body, _ = foreign(tools=tools, tool_choice=ToolChoice(mode="tool", name="g"))
    assert [item["function"]["name"] for item in body["tools"]] == ["g"] and body["tool_choice"] == "REQUIRED"
    for choice in (ToolChoice(mode="tool", name="h"), ToolChoice(mode="required")):
        with pytest.raises(Unsupported):
            foreign(tools=[tool("f")] if choice.name else [], tool_choice=choice)
    assert "tool_choice" not in foreign(tools=tools, tool_choice=ToolChoice(mode="auto"))[0]
    assert foreign(tools=tools, tool_choice=ToolChoice(mode="none"))[0]["tool_choice"] == "NONE"
    assert "tool_choice" not in foreign(tool_choice=ToolChoice(mode="none"))[0]


def test_strictness_is_for_all_tools_or_dropped() -> None:
    assert foreign(tools=[tool("f", strict=True), tool("g", strict=True)])[0]["strict_tools"] is True
    body, dropped = foreign(tools=[tool("f", strict=True), tool("g")], parallel_tools=False)
    assert "strict_tools" not in body and dropped == ("tools[].strict", "parallel_tool_calls")


@pytest.mark.parametrize(
    ("part", "role"),
    [
        (Audio(media=Media(kind="base64", value="QQ==")), "user"),
        (Image(media=Media(kind="file_id", value="f")), "user"),
        (File(media=Media(kind="base64", value="QQ==", media_type="application/pdf")), "user"),
        (File(media=Media(kind="url", value="https://x")), "user"),
        (Opaque(dialect="elsewhere", kind="search", raw=Raw(b"{}")), "user"),
        (Image(media=Media(kind="url", value="u")), "system"),
        (Image(media=Media(kind="url", value="u")), "assistant"),
        (ToolResult(call_id="c", parts=[Image(media=Media(kind="url", value="u"))]), "tool"),
    ],
)
def test_content_that_cannot_be_carried_is_refused_by_its_place(part: Any, role: Any) -> None:
    with pytest.raises(Unsupported) as caught:
        foreign(Message(role=role, parts=[part]))
    assert caught.value.param == "messages[0].content"


def test_plain_text_files_become_text() -> None:
    body, _ = foreign(
        Message(
            role="user",
            parts=[
                File(media=Media(kind="text", value="one"), name="a.txt"),
                File(media=Media(kind="base64", value="dHdv", media_type="text/csv")),
            ],
        )
    )
    assert [part["text"] for part in body["messages"][0]["content"]] == ["a.txt\n\none", "two"]
    with pytest.raises(Unsupported):
        foreign(Message(role="user", parts=[File(media=Media(kind="base64", value="/w==", media_type="text/plain"))]))


def test_what_gets_lost_is_named() -> None:
    _, dropped = foreign(
        Message(
            role="user", parts=[Text(text="a", cache=CacheMark(), citations=[Raw(b"{}")], extras={"x": Raw(b"1")})], name="n"
        ),
        Message(
            role="assistant", parts=[Thinking(redacted="r"), Opaque(dialect="e", kind="search", raw=Raw(b"{}")), Text(text="t")]
        ),
        min_p=0.1,
        logit_bias=Raw(b"{}"),
        top_logprobs=2,
        user="u",
        metadata=Raw(b"{}"),
        service_tier="flex",
        logprobs=True,
        extras={"store": Raw(b"true"), "nothing": Raw(b"null")},
    )
    assert set(dropped) == {
        "store",
        "messages[].name",
        "cache_control",
        "messages[].content[].x",
        "messages[].content[].citations",
        "messages[].thinking",
        "messages[1] (search)",
        "min_p",
        "logit_bias",
        "top_logprobs",
        "user",
        "metadata",
        "service_tier",
        "logprobs",
    }


def test_several_choices_audio_and_built_in_tools_are_refused() -> None:
    for fields in ({"n": 2}, {"extras": {"audio": Raw(b'{"voice":"x"}')}}, {"tools": [Tool(name="web", raw=Raw(b"{}"))]}):
        with pytest.raises(Unsupported):
            foreign(**fields)
    foreign(n=1)


@pytest.mark.parametrize(
    ("field", "value", "name", "sent"),
    [
        ("temperature", 1.7, "temperature", 1.0),
        ("top_p", 1.0, "p", 0.99),
        ("top_k", 9999, "k", 500),
        ("frequency_penalty", -1.0, "frequency_penalty", 0.0),
        ("presence_penalty", 2.0, "presence_penalty", 1.0),
    ],
)
def test_numbers_beyond_the_range_are_sent_at_its_end_and_named(field: str, value: Any, name: str, sent: Any) -> None:
    body, dropped = foreign(**{field: value})
    assert body[name] == sent and type(body[name]) is type(sent)
    assert dropped == (f"{field} (sent as {sent:g})",)
    assert foreign(**{field: sent})[1] == ()


def test_only_five_stops_are_sent() -> None:
    body, dropped = foreign(stop=list("abcdef"))
    assert body["stop_sequences"] == list("abcde") and dropped == ("stop (the first 5 are sent)",)


def test_output_formats() -> None:
    schema = OutputFormat(kind="schema", schema=Raw(b'{"b":1}'), name="n", strict=True)
    assert foreign(output=schema)[0]["response_format"] == {"type": "json_object", "json_schema": {"b": 1}}
    assert foreign(output=OutputFormat(kind="json"))[0]["response_format"] == {"type": "json_object"}
    assert "response_format" not in foreign(output=OutputFormat(kind="text"))[0]


@pytest.mark.parametrize(
    ("asked", "max_tokens", "sent"),
    [
        (Reasoning(effort="low"), None, {"type": "enabled", "token_budget": 2048}),
        (Reasoning(effort="low"), 1000, {"type": "enabled", "token_budget": 800}),
        (Reasoning(effort="high"), None, {"type": "enabled"}),
        (Reasoning(enabled=True), None, {"type": "enabled"}),
        (Reasoning(budget_tokens=700), None, {"type": "enabled", "token_budget": 700}),
        (Reasoning(effort="none"), None, {"type": "disabled"}),
        (Reasoning(enabled=False), None, {"type": "disabled"}),
        (Reasoning(), None, None),
    ],
)
def test_reasoning_in_coheres_terms(asked: Reasoning, max_tokens: int | None, sent: Any) -> None:
    body, dropped = foreign(reasoning=asked, max_tokens=max_tokens)
    assert (body.get("thinking"), dropped) == (sent, ())


def test_models_that_cannot_think_are_not_told_to() -> None:
    for model, quirks in ((PLAIN, None), (THINKER, Quirks(reasoning="none"))):
        body, dropped = foreign(model=model, quirks=quirks, reasoning=Reasoning(effort="low"))
        assert "thinking" not in body and dropped == ("reasoning_effort",)
        assert foreign(model=model, quirks=quirks, reasoning=Reasoning(enabled=False)) == foreign(model=model)
