"""decode.py, messages_in.py, encode.py: what a client of this dialect writes comes back as it was, and mistakes are named."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.base.errors import InvalidRequest, Unsupported
from freehold.wire.chat import File, Image, Media, Message, Text, Thinking, ToolResult, ToolUse
from freehold.wire.dialect import Quirks

from .samples import decoded, encoded

CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
FUNCTION = {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}}
TOOL = {"type": "function", "function": FUNCTION}
USER = {"role": "user", "content": "hi"}


def both(*messages: dict[str, Any]) -> None:
    assert encoded(decoded(messages=list(messages))) == ({"model": "m", "messages": list(messages)}, ())


@pytest.mark.parametrize(
    "message",
    [
        {"role": "system", "content": "s"},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b", "new": 1}]},
        {"role": "user", "content": []},
        {"role": "user", "content": None},
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low", "new": [1]}}],
        },
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ==", "detail": None}}]},
        {"role": "user", "content": [{"type": "image_url", "image_url": "data:image/svg+xml;charset=utf-8;base64,QQ=="}]},
        {"role": "user", "content": [{"type": "hologram", "hologram": {"a": 1.50}}], "new": {}},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "t"}, {"type": "text", "text": "a"}]},
        {"role": "assistant", "tool_plan": "p", "tool_calls": [CALL]},
        {"role": "assistant", "content": None, "tool_plan": None, "tool_calls": []},
        {"role": "assistant", "content": "", "tool_calls": None, "citations": [{"start": 1}]},
        {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f"}}]},
        {"role": "assistant", "tool_calls": [CALL | {"new": 1, "function": {"name": "f", "arguments": None, "x": 2}}]},
        {"role": "tool", "tool_call_id": "c", "content": "r"},
        {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "r"}]},
        {
            "role": "tool",
            "tool_call_id": "c",
            "content": [{"type": "document", "document": {"data": {"b": 1, "a": 2.50}, "id": "d"}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": [{"type": "document", "document": {"data": "{}", "id": ""}, "new": 1}]},
        {"role": "tool", "tool_call_id": "c", "content": [{"type": "document", "document": {"title": "no data"}}]},
        {"role": "tool", "tool_call_id": "c"},
    ],
)
def test_messages_come_back_as_they_were(message: dict[str, Any]) -> None:
    both(USER, message, USER)


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 0.3, "p": 0.75, "k": 0, "seed": 7, "frequency_penalty": 0.1, "presence_penalty": 1, "max_tokens": 5},
        {"temperature": None, "p": None, "stop_sequences": None, "tools": None, "tool_choice": None, "stream": None},
        {"stop_sequences": ["a", "b"], "logprobs": True, "stream": True},
        {"stop_sequences": [], "tools": [], "documents": []},
        {"documents": None, "thinking": None, "response_format": None, "strict_tools": None},
        {"documents": ["a", {"data": {"text": "t", "title": "x"}, "id": "d"}, {"data": "s", "more": 1}, {"text": "flat"}]},
        {"safety_mode": "STRICT", "citation_options": {"mode": "FAST"}, "priority": 3, "raw_prompting": False},
        {"tools": [TOOL], "tool_choice": "REQUIRED", "strict_tools": True},
        {"tools": [TOOL | {"new": 1, "function": FUNCTION | {"x": None, "description": None}}], "tool_choice": "NONE"},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": None}}], "strict_tools": False},
        {"tools": [{"type": "web", "depth": 2}]},
        {"strict_tools": True},
        {"response_format": {"type": "text"}},
        {"response_format": {"type": "json_object"}},
        {"response_format": {"type": "json_object", "json_schema": {"b": 1, "a": 2}, "new": 1}},
        {"response_format": {"type": "json_object", "schema": {"type": "object"}}},
        {"response_format": {"type": "json_object", "json_schema": None}},
        {"thinking": {"type": "enabled", "token_budget": 500}},
        {"thinking": {"type": "disabled", "token_budget": None, "new": 1}},
    ],
)
def test_fields_come_back_as_they_were(fields: dict[str, Any]) -> None:
    body = {"model": "m", "messages": [USER], **fields}
    assert encoded(decoded(**fields)) == (body, ())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=4), lambda v: st.lists(v, max_size=3)
)


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=6).filter(lambda name: name not in ("model", "messages")), json_values, max_size=4
    )
)
def test_unknown_fields_come_back_as_they_were(fields: dict[str, Any]) -> None:
    known = {"documents", "tools", "thinking", "stream", "k", "p", "seed", "logprobs"}
    fields = {name: value for name, value in fields.items() if name not in known}
    assert encoded(decoded(**fields))[0] == {"model": "m", "messages": [USER], **fields}


def test_parts_have_these_meanings() -> None:
    messages = [
        USER,
        {"role": "assistant", "tool_plan": "p", "tool_calls": [CALL], "content": [{"type": "thinking", "thinking": "t"}]},
        {"role": "tool", "tool_call_id": "c", "content": [{"type": "document", "document": {"data": {"a": 1}, "id": "d"}}]},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ=="}}]},
    ]
    request = decoded(messages=messages, documents=["doc"], tool_choice="REQUIRED", tools=[TOOL], strict_tools=True)
    assistant, tool, documents, user = request.messages[1:]
    assert [type(part) for part in assistant.parts] == [Thinking, Text, ToolUse]
    result = tool.parts[0]
    assert isinstance(result, ToolResult) and result.call_id == "c"
    document = result.parts[0]
    assert isinstance(document, File) and (document.media.kind, document.media.value, document.name) == ("text", '{"a": 1}', "d")
    assert documents.role == "user" and isinstance(documents.parts[0], File) and documents.parts[0].media.value == "doc"
    assert isinstance(user.parts[0], Image) and user.parts[0].media == Media(kind="base64", value="QQ==", media_type="image/png")
    assert request.tools[0].strict is True and request.tool_choice is not None and request.tool_choice.mode == "required"


def test_a_masked_document_is_sent_masked() -> None:
    """Nothing keeps a second copy of a text."""
    request = decoded(documents=[{"data": {"text": "secret"}, "id": "d"}, "secret"])
    for part in request.messages[0].parts:
        assert isinstance(part, File)
        part.media.value = part.media.value.replace("secret", "***")
    body, _ = encoded(request)
    assert body["documents"] == [{"data": {"text": "***"}, "id": "d"}, "***"]
    part.media.value = "no JSON"
    request.messages[0].parts[0].media.value = "no JSON"  # type: ignore[union-attr]
    assert encoded(request)[0]["documents"][0]["data"] == {"text": "no JSON"}


def test_messages_put_in_by_the_gateway_are_written() -> None:
    request = decoded()
    request.messages.insert(0, Message(role="developer", parts=[Text(text="s")], plain=True))
    assert encoded(request)[0]["messages"][0] == {"role": "system", "content": "s"}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": [5]}, "messages[0]"),
        ({"messages": [{"content": "a"}]}, "messages[0].role"),
        ({"messages": [{"role": "robot", "content": "a"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [5]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content[0].image_url"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "messages[0].content[0].image_url.url",
        ),
        ({"messages": [{"role": "tool", "content": "a"}]}, "messages[0].tool_call_id"),
        (
            {"messages": [{"role": "tool", "tool_call_id": "c", "content": [{"type": "document", "document": {"data": 5}}]}]},
            "messages[0].content[0].document.data",
        ),
        ({"messages": [{"role": "assistant", "tool_calls": 5}]}, "messages[0].tool_calls"),
        ({"messages": [{"role": "assistant", "tool_calls": [CALL | {"type": None}]}]}, "messages[0].tool_calls[0].type"),
        ({"messages": [{"role": "assistant", "tool_calls": [CALL | {"type": "web"}]}]}, "messages[0].tool_calls[0].type"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"id": "c"}]}]}, "messages[0].tool_calls[0].function"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}]}, "messages[0].tool_calls[0].id"),
        ({"temperature": "hot"}, "temperature"),
        ({"k": 1.5}, "k"),
        ({"stop_sequences": "a"}, "stop_sequences"),
        ({"documents": 5}, "documents"),
        ({"documents": [5]}, "documents[0]"),
        ({"tools": {}}, "tools"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": 5}}]}, "tools[0].function.parameters"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"strict_tools": 1}, "strict_tools"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": {"type": "json_object", "json_schema": 5}}, "response_format.json_schema"),
        ({"thinking": {"type": "maybe"}}, "thinking.type"),
        ({"thinking": {"type": "enabled", "token_budget": "x"}}, "thinking.token_budget"),
    ],
)
def test_a_mistake_is_named_by_its_path(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decoded(**fields)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("quirk", "fields"),
    [
        ("tools", {"tools": [TOOL]}),
        ("schema", {"response_format": {"type": "json_object", "json_schema": {}}}),
        ("image", {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u"}}]}]}),
    ],
)
def test_what_a_provider_does_not_take_is_refused(quirk: Any, fields: dict[str, Any]) -> None:
    with pytest.raises(Unsupported):
        encoded(decoded(**fields), quirks=Quirks(unsupported=(quirk,)))


def test_quirks_rename_and_drop() -> None:
    body, dropped = encoded(decoded(k=5, seed=1), quirks=Quirks(rename={"k": "top_k"}, drop=("seed",)))
    assert (body["top_k"], "k" in body, "seed" in body, dropped) == (5, False, False, ("seed",))
