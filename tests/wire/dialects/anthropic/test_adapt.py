"""Requests of other dialects in a form that Anthropic's API takes."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from msgspec import Raw

from freehold.base.errors import Unsupported
from freehold.wire.chat import (
    AnyPart,
    Audio,
    CacheMark,
    ChatRequest,
    File,
    Image,
    Media,
    Message,
    Opaque,
    Refusal,
    Role,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    ToolResult,
    ToolUse,
)
from freehold.wire.dialect import Quirks
from tests.wire.dialects.anthropic.samples import DIALECT, QUIRKS

PNG = Media(kind="base64", value="QQ==", media_type="image/png")


def says(role: Role, *parts: AnyPart | str, plain: bool = False) -> Message:
    return Message(role=role, parts=[Text(text=p) if isinstance(p, str) else p for p in parts], plain=plain)


def request(*messages: Message, **fields: Any) -> ChatRequest:
    return ChatRequest(dialect="openai_chat", model="m", messages=list(messages) or [says("user", "hi", plain=True)], **fields)


def encoded(*messages: Message, model: str = "claude-sonnet-4-5", **fields: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    body, dropped = DIALECT.encode_request(request(*messages, **fields), model, QUIRKS)
    found: dict[str, Any] = json.loads(body)
    return found, dropped


def call(call_id: str = "a", name: str = "f", arguments: str = "{}") -> ToolUse:
    return ToolUse(id=call_id, name=name, arguments=arguments)


def result(call_id: str = "a", text: str = "ok") -> Message:
    return says("tool", ToolResult(call_id=call_id, parts=[Text(text=text)], plain=True))


def text(value: str) -> dict[str, str]:
    return {"type": "text", "text": value}


def test_the_simplest_request_stays_simple() -> None:
    body, dropped = encoded(max_tokens=9, stream=True)
    assert body == {
        "model": "claude-sonnet-4-5",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
    }
    assert dropped == ()


def test_one_leading_system_prompt_stays_a_string() -> None:
    assert encoded(says("system", "S", plain=True), says("user", "u"))[0]["system"] == "S"


def test_system_and_developer_messages_go_to_the_end_of_system_in_their_order() -> None:
    marked = Text(text="S", cache=CacheMark(ttl="1h"))
    body, _ = encoded(says("system", marked), says("user", "u"), says("developer", "D", " "), says("user", "v"))
    assert body["system"] == [{**text("S"), "cache_control": {"type": "ephemeral", "ttl": "1h"}}, text("D")]
    assert body["messages"] == [{"role": "user", "content": [text("u"), text("v")]}]


def test_messages_of_one_role_are_merged_and_blank_text_is_left_out() -> None:
    body, _ = encoded(says("user", "a", plain=True), says("user", "", "b"), says("assistant", " ", plain=True), says("user", "c"))
    assert body["messages"] == [{"role": "user", "content": [text("a"), text("b"), text("c")]}]


def test_tool_results_come_first_in_one_user_message_in_their_order() -> None:
    body, _ = encoded(
        says("user", "go"),
        says("assistant", "calling", call("a"), call("b", arguments='{"z": 1, "a": 2}')),
        says("user", "meanwhile"),
        result("b", "B"),
        says("tool", ToolResult(call_id="a", parts=[Text(text="A"), Image(media=PNG), Text(text="")], is_error=True)),
    )
    assistant, user = body["messages"][1:]
    assert [block["type"] for block in assistant["content"]] == ["text", "tool_use", "tool_use"]
    assert user["content"] == [
        {"type": "tool_result", "tool_use_id": "b", "content": "B"},
        {
            "type": "tool_result",
            "tool_use_id": "a",
            "content": [text("A"), {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QQ=="}}],
            "is_error": True,
        },
        text("meanwhile"),
    ]


def test_tool_arguments_keep_their_bytes() -> None:
    arguments = '{ "b":1.0,"a":"\\u00e9" }'
    body, _ = DIALECT.encode_request(
        request(says("user", "u"), says("assistant", call(arguments=arguments)), result()), "m", QUIRKS
    )
    assert arguments.encode() in body


@pytest.mark.parametrize("arguments", ["{", "[]", '"x"', "7", "{} {}", '{"a":\udc80}'])
def test_arguments_that_are_no_object_are_refused_by_message(arguments: str) -> None:
    with pytest.raises(Unsupported) as caught:
        encoded(says("user", "u"), says("assistant", call(arguments=arguments)), result())
    assert caught.value.param == "messages[1].tool_calls" and "'a'" in caught.value.message


def test_empty_arguments_are_an_empty_object() -> None:
    body, _ = encoded(says("user", "u"), says("assistant", call(arguments="")), result())
    assert body["messages"][1]["content"][0]["input"] == {}


@pytest.mark.parametrize(
    ("messages", "word"),
    [
        ([says("assistant", call())], "no result"),
        ([says("assistant", call()), says("user", "x"), says("assistant", "y")], "messages[3]"),
        ([says("assistant", call("a"), call("b")), result("a"), says("assistant", "y")], "'b'"),
        ([result("a")], "no tool call"),
        ([says("assistant", call("a")), result("a"), result("a")], "answered before"),
        ([says("assistant", call("a")), result("b"), result("a")], "'b'"),
    ],
)
def test_calls_and_results_must_match(messages: list[Message], word: str) -> None:
    with pytest.raises(Unsupported) as caught:
        encoded(says("user", "u"), *messages)
    assert word in caught.value.message


def test_ids_are_made_unique_and_legal_on_both_sides() -> None:
    body, _ = encoded(
        says("user", "u"),
        says("assistant", call("functions.f:0"), call("")),
        result("functions.f:0"),
        result(""),
        says("assistant", call("functions.f:0")),
        result("functions.f:0"),
    )
    ids = [[block.get("id", block.get("tool_use_id")) for block in message["content"]] for message in body["messages"][1:]]
    assert ids == [["functions_f_0", "call"]] * 2 + [["functions_f_0_2"]] * 2


def test_thinking_goes_back_signed_or_not_at_all() -> None:
    signed, withheld = Thinking(text="t", signature="s"), Thinking(redacted="r")
    body, dropped = encoded(says("user", "u"), says("assistant", signed, withheld, Thinking(text="own"), "x"), says("user", "v"))
    assert [block["type"] for block in body["messages"][1]["content"]] == ["thinking", "redacted_thinking", "text"]
    assert dropped == ("thinking",)


def test_a_refusal_in_the_history_is_text() -> None:
    body, _ = encoded(says("user", "u"), says("assistant", Refusal(text="no")), says("user", "v"))
    assert body["messages"][1]["content"] == [text("no")]


def test_a_prefill_loses_the_white_space_that_the_api_refuses() -> None:
    assert encoded(says("user", "u"), says("assistant", "The answer is \n"))[0]["messages"][1]["content"] == [
        text("The answer is")
    ]


@pytest.mark.parametrize(
    ("media", "name", "source"),
    [
        (
            Media(kind="base64", value="JVBE", media_type="application/pdf"),
            "a.pdf",
            {"type": "base64", "media_type": "application/pdf", "data": "JVBE"},
        ),
        (Media(kind="base64", value="JVBE"), "A.PDF", {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}),
        (Media(kind="url", value="https://x/a.pdf"), "", {"type": "url", "url": "https://x/a.pdf"}),
        (
            Media(kind="base64", value=base64.b64encode("né".encode()).decode(), media_type="text/markdown"),
            "",
            {"type": "text", "media_type": "text/plain", "data": "né"},
        ),
    ],
)
def test_files_become_documents(media: Media, name: str, source: dict[str, str]) -> None:
    block = encoded(says("user", File(media=media, name=name)))[0]["messages"][0]["content"][0]
    assert block == {"type": "document", "source": source} | ({"title": name} if name else {})


@pytest.mark.parametrize(
    "part",
    [
        Audio(media=Media(kind="base64", value="QQ==", media_type="audio/wav")),
        Image(media=Media(kind="base64", value="QQ==", media_type="image/tiff")),
        Image(media=Media(kind="file_id", value="file-1")),
        File(media=Media(kind="file_id", value="file-1")),
        File(media=Media(kind="base64", value="QQ==", media_type="application/zip")),
        File(media=Media(kind="base64", value="QQ==")),
        Opaque(dialect="openai_chat", kind="hologram", raw=Raw(b"{}")),
    ],
)
def test_content_that_cannot_be_carried_is_refused_with_its_message(part: AnyPart) -> None:
    with pytest.raises(Unsupported) as caught:
        encoded(says("user", "u"), says("user", part))
    assert "messages[1]" in caught.value.message


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 2},
        {"extras": {"audio": Raw(b'{"voice":"x"}')}},
        {"tools": [Tool(name="w", raw=Raw(b"{}"))]},
        {"tools": [Tool(name="a.b")]},
    ],
)
def test_requirements_that_cannot_be_met_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(Unsupported):
        encoded(**fields)


def test_a_conversation_without_a_user_message_is_refused() -> None:
    with pytest.raises(Unsupported):
        encoded(says("system", "S"), says("user", " "))


def test_tools_keep_their_order_and_schemas_their_bytes() -> None:
    schema = Raw(b'{"type": "object",  "b":1, "a":2}')
    tools = [
        Tool(name="z", parameters=schema, description="Z", strict=True, cache=CacheMark()),
        Tool(name="a", strict=False),
        Tool(name="m", parameters=Raw(b'{"properties":{}}')),
    ]
    body, dropped = DIALECT.encode_request(request(tools=tools), "claude-sonnet-4-5", QUIRKS)
    assert bytes(schema) in body and dropped == ()
    assert json.loads(body)["tools"] == [
        {
            "name": "z",
            "description": "Z",
            "input_schema": json.loads(bytes(schema)),
            "strict": True,
            "cache_control": {"type": "ephemeral"},
        },
        {"name": "a", "input_schema": {"type": "object", "properties": {}}},
        {"name": "m", "input_schema": {"type": "object", "properties": {}}},
    ]


@pytest.mark.parametrize(
    ("choice", "parallel", "expected"),
    [
        (None, None, None),
        (None, True, None),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (ToolChoice(mode="auto"), None, {"type": "auto"}),
        (ToolChoice(mode="required"), False, {"type": "any", "disable_parallel_tool_use": True}),
        (ToolChoice(mode="tool", name="f"), None, {"type": "tool", "name": "f"}),
        (ToolChoice(mode="none"), False, {"type": "none"}),
    ],
)
def test_tool_choice_in_this_api_s_words(
    choice: ToolChoice | None, parallel: bool | None, expected: dict[str, Any] | None
) -> None:
    body, _ = encoded(tools=[Tool(name="f")], tool_choice=choice, parallel_tools=parallel)
    assert body.get("tool_choice") == expected


def test_choosing_among_no_tools() -> None:
    assert "tool_choice" not in encoded(tool_choice=ToolChoice(mode="auto"), parallel_tools=False)[0]
    with pytest.raises(Unsupported):
        encoded(tool_choice=ToolChoice(mode="required"))


def test_what_only_the_other_dialect_knows_is_named() -> None:
    named = Message(role="user", parts=[Text(text="u", extras={"odd": Raw(b"1")})], name="bob", extras={"weight": Raw(b"1")})
    _, dropped = encoded(named, extras={"store": Raw(b"true"), "user_location": Raw(b"null"), "prediction": Raw(b"{}")})
    assert dropped == ("store", "messages[].name", "messages[].weight", "messages[].content[].odd")


def test_content_that_the_provider_is_known_to_refuse_is_refused_here() -> None:
    quirks = Quirks(unsupported=("image", "tools", "schema"), drop=("top_k",), rename={"max_tokens": "limit"})
    with pytest.raises(Unsupported):
        DIALECT.encode_request(request(says("user", Image(media=PNG))), "m", quirks)
    with pytest.raises(Unsupported):
        DIALECT.encode_request(request(tools=[Tool(name="f")]), "m", quirks)
    body, dropped = DIALECT.encode_request(request(top_k=3, max_tokens=5), "m", quirks)
    assert json.loads(body)["limit"] == 5 and dropped == ("top_k",)


def test_the_request_itself_is_not_changed() -> None:
    original = request(
        says("system", "S"), says("user", "a"), says("user", "b "), says("assistant", call()), result(), says("assistant", "x ")
    )
    before = repr(original)
    DIALECT.encode_request(original, "claude-opus-4-6", QUIRKS)
    assert repr(original) == before


def test_another_makers_signature_on_a_call_is_named() -> None:
    messages = [
        Message(role="user", parts=[Text(text="u")]),
        Message(role="assistant", parts=[ToolUse(id="i", name="f", signature="geminis")]),
        Message(role="user", parts=[ToolResult(call_id="i")]),
    ]
    request = ChatRequest(dialect="x", model="m", messages=messages)
    body, dropped = DIALECT.encode_request(request, "claude-sonnet-4-5", Quirks())
    assert b"geminis" not in body and dropped == ("messages[].tool_calls[].signature",)
