"""Encoding a request that came from another dialect: what is chosen, what is named as dropped, what is refused."""

from __future__ import annotations

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
    OutputFormat,
    Reasoning,
    Role,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    ToolResult,
    ToolUse,
)
from freehold.wire.dialect import Quirks

from .bodies import ALWAYS, DIALECT

PNG = Media(kind="base64", value="QUJD", media_type="image/png")


def message(role: Role, *parts: AnyPart) -> Message:
    return Message(role=role, parts=list(parts))


def encode(*messages: Message, quirks: Quirks = ALWAYS, **fields: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    request = ChatRequest(dialect="anthropic", model="m", messages=list(messages) or [message("user", Text(text="x"))], **fields)
    body, dropped = DIALECT.encode_request(request, "gpt", quirks)
    return json.loads(body), dropped


def test_one_text_becomes_a_string_and_system_blocks_are_joined() -> None:
    body, _ = encode(
        message("system", Text(text="a"), Text(text="b")),
        message("user", Text(text="q")),
        message("assistant", Text(text="x"), Text(text="y")),
    )
    assert body["messages"] == [
        {"role": "system", "content": "a\n\nb"},
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "xy"},
    ]


def test_the_system_role_follows_the_provider() -> None:
    body, _ = encode(message("developer", Text(text="a")), quirks=Quirks(system_role="developer"))
    assert body["messages"][0]["role"] == "developer"


def test_tool_results_come_first_in_order_and_their_images_follow_in_a_user_message() -> None:
    body, _ = encode(
        message("assistant", ToolUse(id="1", name="f", arguments=""), ToolUse(id="2", name="g", arguments='{"a": 1}')),
        message(
            "user",
            Text(text="and"),
            ToolResult(call_id="1", parts=[Text(text="one"), Image(media=PNG)]),
            ToolResult(call_id="2", parts=[Text(text="it broke")], is_error=True),
        ),
    )
    assert body["messages"][0]["content"] is None
    assert [c["function"]["arguments"] for c in body["messages"][0]["tool_calls"]] == ["{}", '{"a": 1}']
    assert body["messages"][1:] == [
        {"role": "tool", "tool_call_id": "1", "content": "one"},
        {"role": "tool", "tool_call_id": "2", "content": "Error: it broke"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Attachments from tool call 1:"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
                {"type": "text", "text": "and"},
            ],
        },
    ]


def test_an_error_result_that_says_so_is_not_marked_twice() -> None:
    body, _ = encode(message("user", ToolResult(call_id="1", parts=[Text(text="error: no")], is_error=True)))
    assert body["messages"][0]["content"] == "error: no"


def test_an_empty_error_result_still_says_error() -> None:
    body, _ = encode(message("user", ToolResult(call_id="1", is_error=True)))
    assert body["messages"] == [{"role": "tool", "tool_call_id": "1", "content": "Error: "}]


@pytest.mark.parametrize(
    ("mode", "key", "value", "dropped"),
    [
        ("effort", None, None, ("messages[].thinking",)),
        ("none", None, None, ("messages[].thinking",)),
        ("thinking_object", "reasoning_content", "hm", ("messages[].thinking",)),  # the sealed part
        (
            "reasoning_object",
            "reasoning_details",
            [
                {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0, "text": "hm", "signature": "s"},
                {"type": "reasoning.encrypted", "format": "anthropic-claude-v1", "index": 1, "data": "blob"},
            ],
            (),
        ),
    ],
)
def test_thinking_of_earlier_turns_goes_where_the_provider_keeps_it(mode: Any, key: Any, value: Any, dropped: Any) -> None:
    history = message("assistant", Thinking(text="hm", signature="s"), Thinking(redacted="blob"), Text(text="x"))
    body, names = encode(history, quirks=Quirks(reasoning=mode))
    assert names == dropped
    assert body["messages"][0].get(key) == value
    assert body["messages"][0]["content"] == "x"


@pytest.mark.parametrize(
    ("reasoning", "mode", "sent", "dropped"),
    [
        (Reasoning(effort="high"), "effort", {"reasoning_effort": "high"}, ()),
        (Reasoning(effort="max"), "effort", {"reasoning_effort": "xhigh"}, ()),
        (Reasoning(enabled=True, budget_tokens=1024), "effort", {"reasoning_effort": "low"}, ()),
        (Reasoning(enabled=True, budget_tokens=8192), "effort", {"reasoning_effort": "medium"}, ()),
        (Reasoning(enabled=True, budget_tokens=8193), "effort", {"reasoning_effort": "high"}, ()),
        (Reasoning(enabled=True, adaptive=True), "effort", {}, ("reasoning",)),
        (Reasoning(adaptive=True, effort="high"), "effort", {"reasoning_effort": "high"}, ()),
        (Reasoning(), "effort", {}, ()),
        (Reasoning(enabled=False), "effort", {}, ("reasoning",)),
        (Reasoning(budget_tokens=9), "reasoning_object", {"reasoning": {"max_tokens": 9}}, ()),
        (Reasoning(effort="low"), "reasoning_object", {"reasoning": {"effort": "low"}}, ()),
        (Reasoning(enabled=True, adaptive=True), "reasoning_object", {"reasoning": {"enabled": True}}, ()),
        (Reasoning(enabled=False), "reasoning_object", {"reasoning": {"enabled": False}}, ()),
        (Reasoning(enabled=False), "thinking_object", {"thinking": {"type": "disabled"}}, ()),
        (Reasoning(budget_tokens=9), "thinking_object", {"thinking": {"type": "enabled"}}, ("reasoning.budget_tokens",)),
        (Reasoning(effort="low"), "none", {}, ("reasoning",)),
    ],
)
def test_reasoning_takes_the_providers_form(reasoning: Reasoning, mode: Any, sent: dict[str, Any], dropped: Any) -> None:
    body, names = encode(reasoning=reasoning, quirks=Quirks(reasoning=mode))
    assert {k: v for k, v in body.items() if k in ("reasoning_effort", "reasoning", "thinking")} == sent
    assert names == dropped


def test_max_tokens_takes_the_new_name_unless_the_provider_needs_the_old() -> None:
    assert encode(max_tokens=5)[0]["max_completion_tokens"] == 5
    assert encode(max_tokens=5, quirks=Quirks(rename={"max_completion_tokens": "max_tokens"}))[0]["max_tokens"] == 5


def test_another_dialects_extras_stay_behind_and_are_named() -> None:
    body, dropped = encode(extras={"container": Raw(b'"c"')}, metadata=Raw(b'{"user_id":"u"}'), service_tier="standard_only")
    assert "container" not in body
    assert "metadata" not in body
    assert body["service_tier"] == "default"
    assert dropped == ("container", "metadata")


def test_message_and_part_extras_of_another_dialect_never_leave() -> None:
    part = Text(text="x", extras={"secret": Raw(b"1")})
    body, _ = encode(Message(role="user", parts=[part, Image(media=PNG)], extras={"secret": Raw(b"1")}))
    assert "secret" not in json.dumps(body)


def test_server_tool_history_is_left_out_and_named() -> None:
    use = Opaque(dialect="anthropic", kind="server_tool_use", raw=Raw(b"{}"))
    body, dropped = encode(message("user", Text(text="q")), message("assistant", Text(text="a"), use))
    assert dropped == ("messages[1].content[1] (server_tool_use)",)
    assert body["messages"][1] == {"role": "assistant", "content": "a"}


@pytest.mark.parametrize(
    ("part", "param"),
    [
        (Opaque(dialect="anthropic", kind="search_result", raw=Raw(b"{}")), "messages[0].content[0]"),
        (Image(media=Media(kind="file_id", value="f")), "messages[0].content[0]"),
        (File(media=Media(kind="url", value="https://a.b/c.pdf")), "messages[0].content[0]"),
        (Audio(media=Media(kind="url", value="https://a.b/c.wav")), "messages[0].content[0]"),
    ],
)
def test_content_that_cannot_be_carried_is_refused(part: AnyPart, param: str) -> None:
    with pytest.raises(Unsupported) as error:
        encode(message("user", part))
    assert error.value.param == param


@pytest.mark.parametrize(
    ("lacking", "fields"),
    [
        ("tools", {"tools": [Tool(name="f")]}),
        ("n", {"n": 2}),
        ("schema", {"output": OutputFormat(kind="schema", schema=Raw(b"{}"))}),
    ],
)
def test_a_requirement_that_the_target_lacks_is_refused(lacking: Any, fields: dict[str, Any]) -> None:
    with pytest.raises(Unsupported):
        encode(quirks=Quirks(unsupported=(lacking,)), **fields)


@pytest.mark.parametrize(
    ("lacking", "part"), [("image", Image(media=PNG)), ("file", File(media=PNG)), ("audio", Audio(media=PNG))]
)
def test_media_that_the_target_lacks_are_refused(lacking: Any, part: AnyPart) -> None:
    with pytest.raises(Unsupported, match=lacking):
        encode(message("user", part), quirks=Quirks(unsupported=(lacking,)))


def test_another_apis_built_in_tool_is_refused() -> None:
    with pytest.raises(Unsupported, match="bash"):
        encode(tools=[Tool(name="bash", raw=Raw(b"{}"))])


def test_files_get_a_name_and_plain_text_becomes_text() -> None:
    pdf = File(media=Media(kind="base64", value="QQ==", media_type="application/pdf"))
    note = File(media=Media(kind="text", value="hello"), name="n.txt")
    body, _ = encode(message("user", pdf, note))
    assert body["messages"][0]["content"] == [
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,QQ==", "filename": "document.pdf"}},
        {"type": "text", "text": "n.txt\n\nhello"},
    ]


def test_cache_marks_go_only_where_they_are_taken() -> None:
    marked = message("user", Text(text="x", cache=CacheMark(ttl="1h")))
    tool = Tool(name="f", cache=CacheMark())
    body, dropped = encode(marked, tools=[tool])
    assert body["messages"][0]["content"] == "x"
    assert dropped == ("cache_control",)
    body, dropped = encode(marked, tools=[tool], quirks=Quirks(cache_marks=True))
    assert body["messages"][0]["content"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert body["tools"][0]["cache_control"] == {"type": "ephemeral"}
    assert dropped == ()


def test_tools_and_choice_are_written_in_order() -> None:
    tools = [Tool(name=n, description="d", parameters=Raw(b'{"type": "object"}'), strict=True) for n in ("b", "a")]
    body, _ = encode(tools=tools, tool_choice=ToolChoice(mode="tool", name="a"), parallel_tools=False)
    assert [tool["function"]["name"] for tool in body["tools"]] == ["b", "a"]
    assert body["tool_choice"] == {"type": "function", "function": {"name": "a"}}
    assert body["parallel_tool_calls"] is False


def test_tool_knobs_without_tools_are_not_sent() -> None:
    body, _ = encode(tool_choice=ToolChoice(mode="auto"), parallel_tools=True)
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & body.keys()


def test_a_schema_gets_the_name_that_openai_requires() -> None:
    body, _ = encode(output=OutputFormat(kind="schema", schema=Raw(b'{"type":"object"}')))
    assert body["response_format"] == {"type": "json_schema", "json_schema": {"name": "response", "schema": {"type": "object"}}}


def test_a_streamed_request_asks_for_usage() -> None:
    assert encode(stream=True, quirks=Quirks())[0]["stream_options"] == {"include_usage": True}
