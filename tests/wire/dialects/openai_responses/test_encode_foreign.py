"""request_out.py and items_out.py for requests of another dialect: what is sent, named as left out, or refused."""

from __future__ import annotations

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
    OutputFormat,
    Reasoning,
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

from .bodies import encoded

PIXEL = Media(kind="base64", value="QQ==", media_type="image/png")
TOOL = Tool(name="f", parameters=Raw(b'{"type":"object"}'))


def said(role: Role, *parts: AnyPart) -> Message:
    return Message(role=role, parts=list(parts))


def foreign(*messages: Message, **fields: Any) -> ChatRequest:
    return ChatRequest(dialect="other", model="m", messages=list(messages) or [said("user", Text(text="hi"))], **fields)


def sent(*messages: Message, quirks: Quirks | None = None, model: str = "gpt-5", **fields: Any) -> dict[str, Any]:
    return encoded(foreign(*messages, **fields), model, quirks or Quirks())[0]


def left_out(*messages: Message, model: str = "gpt-5", **fields: Any) -> tuple[str, ...]:
    return encoded(foreign(*messages, **fields), model)[1]


def items(*messages: Message, quirks: Quirks | None = None) -> list[Any]:
    found: list[Any] = sent(*messages, quirks=quirks)["input"]
    return found


def test_nothing_is_stored_and_reasoning_is_asked_for_in_the_form_that_can_come_back() -> None:
    body = sent()
    assert (body["store"], body["include"]) == (False, ["reasoning.encrypted_content"])


@pytest.mark.parametrize(
    "model", ["gpt-4o", "gpt-4.1-mini", "openai/gpt-4o", "gpt-3.5-turbo", "gpt-5-chat-latest", "chatgpt-4o-latest"]
)
def test_models_that_do_not_reason_are_not_asked_to(model: str) -> None:
    body, dropped = encoded(foreign(reasoning=Reasoning(effort="high")), model)
    assert "include" not in body and "reasoning" not in body
    assert dropped == ("reasoning",)


@pytest.mark.parametrize("model", ["gpt-5", "o3", "o4-mini", "gpt-5.1-codex", "grok-4", "gpt-oss-120b"])
def test_models_that_reason_are_asked_to(model: str) -> None:
    body, dropped = encoded(foreign(reasoning=Reasoning(effort="high")), model)
    assert (body["reasoning"], body["include"], dropped) == ({"effort": "high"}, ["reasoning.encrypted_content"], ())


def test_leading_system_messages_become_instructions_and_later_ones_stay_in_place() -> None:
    body = sent(said("system", Text(text="a")), said("developer", Text(text="b"), Text(text="c")), said("user", Text(text="u")),
                said("system", Text(text="later")))  # fmt: skip
    assert body["instructions"] == "a\n\nb\n\nc"
    assert [(item["role"], item["content"]) for item in body["input"]] == [("user", "u"), ("system", "later")]


def test_a_system_prompt_alone_asks_nothing() -> None:
    with pytest.raises(Unsupported):
        sent(said("system", Text(text="a")))


def test_a_turn_becomes_items_in_the_order_of_its_parts() -> None:
    turn = said(
        "assistant",
        Text(text="a"),
        Text(text="b"),
        ToolUse(id="c1", name="f", arguments='{"x":  1}'),
        ToolUse(id="c2", name="g"),
        Refusal(text="no"),
    )
    results = said("user", ToolResult(call_id="c1", parts=[Text(text="r")]), ToolResult(call_id="c2"), Text(text="so?"))
    assert items(turn, results) == [
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "a"}, {"type": "output_text", "text": "b"}],
        },
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"x":  1}'},
        {"type": "function_call", "call_id": "c2", "name": "g", "arguments": "{}"},
        {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
        {"type": "function_call_output", "call_id": "c1", "output": "r"},
        {"type": "function_call_output", "call_id": "c2", "output": ""},
        {"type": "message", "role": "user", "content": "so?"},
    ]


def test_a_turn_that_says_nothing_is_left_out() -> None:
    assert len(items(said("user", Text(text="u")), said("assistant", Text(text="")), said("assistant"))) == 1


def test_media_go_where_this_api_has_them() -> None:
    content = items(
        said(
            "user",
            Image(media=PIXEL, detail="low"),
            Image(media=Media(kind="url", value="https://a.example/x")),
            File(media=Media(kind="base64", value="QQ==", media_type="application/pdf")),
            File(media=Media(kind="url", value="https://a.example/a.pdf"), name="a.pdf"),
            File(media=Media(kind="text", value="plain"), name="n.txt"),
            Audio(media=Media(kind="base64", value="QQ==", media_type="audio/mpeg")),
        )
    )[0]["content"]
    assert content == [
        {"type": "input_image", "image_url": "data:image/png;base64,QQ==", "detail": "low"},
        {"type": "input_image", "image_url": "https://a.example/x", "detail": "auto"},
        {"type": "input_file", "file_data": "data:application/pdf;base64,QQ==", "filename": "document.pdf"},
        {"type": "input_file", "file_url": "https://a.example/a.pdf", "filename": "a.pdf"},
        {"type": "input_text", "text": "n.txt\n\nplain"},
        {"type": "input_audio", "input_audio": {"data": "QQ==", "format": "mp3"}},
    ]


@pytest.mark.parametrize("part", [Image(media=Media(kind="file_id", value="f")), File(media=Media(kind="file_id", value="f"))])
def test_a_file_in_another_providers_store_is_refused(part: AnyPart) -> None:
    with pytest.raises(Unsupported):
        sent(said("user", part))


@pytest.mark.parametrize(
    ("part", "lacking"),
    [
        (Image(media=PIXEL), "image"),
        (File(media=PIXEL), "file"),
        (Audio(media=Media(kind="base64", value="QQ==", media_type="audio/wav")), "audio"),
    ],
)
def test_content_that_the_provider_lacks_is_refused(part: AnyPart, lacking: Any) -> None:
    with pytest.raises(Unsupported) as caught:
        sent(said("user", Text(text="see"), part), quirks=Quirks(unsupported=(lacking,)))
    assert caught.value.param == "messages[0].content[1]"


def test_a_result_with_an_image_is_a_list_and_an_error_says_so() -> None:
    result = ToolResult(call_id="c", parts=[Text(text="a"), Image(media=PIXEL), Text(text="b")], is_error=True)
    output = items(said("tool", result))[0]["output"]
    assert output == [
        {"type": "input_text", "text": "Error: a\nb"},
        {"type": "input_image", "image_url": "data:image/png;base64,QQ==", "detail": "auto"},
    ]
    assert items(said("tool", ToolResult(call_id="c", parts=[Text(text="error: x")], is_error=True)))[0]["output"] == "error: x"


def test_a_call_id_that_is_too_long_is_shortened_alike_on_call_and_result() -> None:
    long, other = "c" * 100, "c" * 99 + "d"
    call, result, another = items(
        said("assistant", ToolUse(id=long, name="f")), said("tool", ToolResult(call_id=long), ToolResult(call_id=other))
    )
    assert call["call_id"] == result["call_id"] != another["call_id"]
    assert len(call["call_id"]) == 64


def test_reasoning_goes_back_to_the_maker_that_signed_it_only() -> None:
    own = Thinking(text="t", signature="enc", signed_by="openai_responses")
    others = [Thinking(text="t", signature="sig"), Thinking(redacted="x", signed_by="anthropic"), Thinking(text="unsigned")]
    turn = said("assistant", own, *others, Text(text="a"))
    body, dropped = encoded(foreign(said("user", Text(text="u")), turn))
    assert [item["type"] for item in body["input"]] == ["message", "reasoning", "message"]
    assert body["input"][1] == {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "t"}],
        "encrypted_content": "enc",
    }
    assert dropped == ("messages[].thinking",)


def test_unsigned_reasoning_goes_where_the_provider_keeps_its_models_own_words() -> None:
    found = items(said("assistant", Thinking(text="hm"), Text(text="a")), quirks=Quirks(reasoning="thinking_object"))
    assert found[0] == {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}


@pytest.mark.parametrize(
    ("reasoning", "expected", "dropped"),
    [
        (Reasoning(effort="low"), {"effort": "low"}, ()),
        (Reasoning(effort="max"), {"effort": "xhigh"}, ()),
        (Reasoning(effort="none", enabled=False), {"effort": "none"}, ()),
        (Reasoning(enabled=True, budget_tokens=1024), {"effort": "low", "summary": "auto"}, ()),
        (Reasoning(enabled=True, budget_tokens=8000), {"effort": "medium", "summary": "auto"}, ()),
        (Reasoning(budget_tokens=20000), {"effort": "high"}, ()),
        (Reasoning(enabled=True, adaptive=True), {"summary": "auto"}, ()),
        (Reasoning(enabled=False), None, ("reasoning",)),
    ],
)
def test_reasoning_in_this_apis_words(reasoning: Reasoning, expected: Any, dropped: tuple[str, ...]) -> None:
    body, named = encoded(foreign(reasoning=reasoning), "gpt-5")
    assert (body.get("reasoning"), named) == (expected, dropped)


def test_tools_are_flat_and_as_strict_as_they_were_meant() -> None:
    strict = Tool(name="g", description="d", parameters=Raw(b"{}"), strict=True)
    body = sent(tools=[TOOL, strict, Tool(name="h")], tool_choice=ToolChoice(mode="tool", name="g"), parallel_tools=False)
    assert body["tools"] == [
        {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": False},
        {"type": "function", "name": "g", "description": "d", "parameters": {}, "strict": True},
        {"type": "function", "name": "h", "parameters": {"type": "object", "properties": {}}, "strict": False},
    ]
    assert body["tool_choice"] == {"type": "function", "name": "g"}
    assert body["parallel_tool_calls"] is False
    assert sent(tools=[TOOL], tool_choice=ToolChoice(mode="required"))["tool_choice"] == "required"


def test_tool_knobs_without_tools_are_left_out() -> None:
    body = sent(tool_choice=ToolChoice(mode="auto"), parallel_tools=True)
    assert "tool_choice" not in body and "parallel_tool_calls" not in body


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (OutputFormat(kind="json"), {"type": "json_object"}),
        (OutputFormat(kind="text"), {"type": "text"}),
        (
            OutputFormat(kind="schema", schema=Raw(b"{}"), strict=True),
            {"type": "json_schema", "name": "response", "schema": {}, "strict": True},
        ),
    ],
)
def test_output_formats(output: OutputFormat, expected: dict[str, Any]) -> None:
    assert sent(output=output)["text"] == {"format": expected}


def test_what_has_no_field_here_is_named() -> None:
    message = Message(role="user", name="n", parts=[Text(text="hi", cache=CacheMark(), citations=[Raw(b"{}")])])
    dropped = left_out(
        message,
        top_k=3, min_p=0.1, seed=4, stop=["x"], frequency_penalty=0.5, presence_penalty=0.0, metadata=Raw(b"{}"),
        logit_bias=Raw(b"{}"), service_tier="batch", extras={"foo": Raw(b"1")}, max_tokens=5,
    )  # fmt: skip
    assert set(dropped) == {
        "messages[].name", "messages[].content[].annotations", "cache_control", "top_k", "min_p", "seed", "stop",
        "frequency_penalty", "metadata", "logit_bias", "service_tier", "foo", "max_tokens (raised to 16)",
    }  # fmt: skip


def test_logprobs_are_asked_for_by_name() -> None:
    body = sent(logprobs=True, top_logprobs=3)
    assert body["include"] == ["message.output_text.logprobs", "reasoning.encrypted_content"]
    assert body["top_logprobs"] == 3


@pytest.mark.parametrize(
    "request_",
    [
        foreign(n=2),
        foreign(tools=[Tool(name="web_search", raw=Raw(b"{}"))]),
        foreign(said("user", Opaque(dialect="other", kind="search_result", raw=Raw(b"{}")))),
    ],
)
def test_what_can_not_be_expressed_is_refused(request_: ChatRequest) -> None:
    with pytest.raises(Unsupported):
        encoded(request_)


def test_quirks_of_the_provider_come_last() -> None:
    with pytest.raises(Unsupported):
        sent(tools=[TOOL], quirks=Quirks(unsupported=("tools",)))
    with pytest.raises(Unsupported):
        sent(output=OutputFormat(kind="schema", schema=Raw(b"{}")), quirks=Quirks(unsupported=("schema",)))
    body, dropped = encoded(
        foreign(max_tokens=99, user="u"), "gpt-5", Quirks(rename={"max_output_tokens": "max"}, drop=("user",))
    )
    assert body["max"] == 99 and dropped == ("user",)
