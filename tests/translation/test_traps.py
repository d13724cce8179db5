"""What goes wrong in the field when dialects are translated, each by its name. Where a rule is tested elsewhere, it says where.

Elsewhere: reasoning_content of Chat, Responses and Messages, and signatures (tests/wire/test_reasoning.py,
test_translation_responses.py, test_translation_gemini.py); Gemini's schema keywords one by one
(tests/wire/dialects/gemini/test_schema.py); JSON schemas on Bedrock (tests/wire/dialects/bedrock/test_adapt.py).
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from freehold.upstream.catalogue import PROVIDERS
from freehold.wire.chat import Text, ToolUse
from freehold.wire.dialect import Asked, Quirks, WriterOptions
from freehold.wire.fold import fold
from freehold.wire.registry import DIALECTS, SPOKEN
from freehold.wire.translate import Translation
from tests.translation.samples import CHAT, MODELS

TALKING = [name for name in CHAT if name != "openai_completions"]  # those with turns and tools
_NONE = Quirks()
HELLO = {"role": "user", "content": "Hello"}


def crossed(
    body: dict[str, Any], source: str, target: str, model: str = "", quirks: Quirks = _NONE
) -> tuple[dict[str, Any], tuple[str, ...]]:
    dialect = DIALECTS[source]
    request = dialect.decode_request(dialect.peek(json.dumps(body).encode(), "chat", Asked(model="m", stream=False)))
    sent, dropped = SPOKEN[target].encode_request(request, model or MODELS.get(target, "claude-sonnet-4-5"), quirks)
    found: dict[str, Any] = json.loads(sent)
    return found, dropped


def relayed(data: bytes, source: str, client: str, stream_in: bool, stream_out: bool) -> bytes:
    options = WriterOptions(stream=stream_out, model="asked", call_id="c1", created_s=7, include_usage=True)
    relay = Translation(DIALECTS[source].reader(stream_in), DIALECTS[client].writer(options), len)
    out = relay.feed(data) + relay.close()
    assert relay.done and relay.failure is None
    return out


def keys_of(value: Any) -> set[str]:
    if isinstance(value, list):
        return set().union(*map(keys_of, value))
    return set(value).union(*map(keys_of, value.values())) if isinstance(value, dict) else set()


def chat(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [HELLO, *messages], **fields}


PLACE = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}


@pytest.mark.parametrize("source", ["openai_chat", "anthropic"])
def test_gemini_gets_no_schema_keyword_that_it_rejects(source: str) -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$defs": {"c": {"const": "x"}},
        "type": "object",
        "properties": {
            "a": {"$ref": "#/$defs/c"},
            "b": {"type": ["string", "null"]},
            "n": {"type": "number", "exclusiveMinimum": 0},
        },
        "additionalProperties": False,
        "patternProperties": {"^x": {"type": "string"}},
    }
    tool: dict[str, Any] = {"name": "f", "parameters": schema}
    if source == "openai_chat":
        body = chat(tools=[{"type": "function", "function": tool}])
    else:
        body = chat(max_tokens=9, tools=[{"name": "f", "input_schema": schema}])
    sent, _ = crossed(body, source, "gemini", "gemini-2.0-flash")
    declared = sent["tools"][0]["functionDeclarations"][0]
    held = keys_of(declared.get("parameters", {}))
    assert not held & {"$schema", "$defs", "$ref", "const", "additionalProperties", "patternProperties", "exclusiveMinimum"}
    assert {"a", "b", "n"} <= keys_of(declared)


@pytest.mark.parametrize("model", ["us.anthropic.claude-sonnet-4-5-20250929-v1:0", "us.amazon.nova-2-lite-v1:0"])
def test_a_json_schema_on_bedrock_is_enforced_or_said_not_to_be(model: str) -> None:
    shape = {"type": "json_schema", "json_schema": {"name": "place", "schema": PLACE, "strict": True}}
    sent, dropped = crossed(chat(response_format=shape), "openai_chat", "bedrock", model)
    assert "city" in json.dumps(sent) or any("response_format" in name for name in dropped)


@pytest.mark.parametrize(
    ("target", "mark"), [("anthropic_vertex", "cache_control"), ("bedrock", "cachePoint"), ("bedrock_invoke", "cache_control")]
)
def test_cache_marks_reach_claude_on_vertex_and_bedrock(target: str, mark: str) -> None:
    marked = {"type": "text", "text": "Long.", "cache_control": {"type": "ephemeral"}}
    body = {"model": "m", "max_tokens": 9, "system": [marked], "messages": [{"role": "user", "content": [marked]}]}
    sent, dropped = crossed(body, "anthropic", target, MODELS["bedrock"])
    assert json.dumps(sent).count(mark) == 2 and dropped == ()


CALLS = [
    {"id": f"call_{n}", "type": "function", "function": {"name": "look", "arguments": json.dumps({"city": city})}}
    for n, city in enumerate(("Oslo", "Rome"))
]
REPLY = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "tool_calls": CALLS}, "finish_reason": "tool_calls"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}  # fmt: skip


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("client", TALKING)
def test_no_tool_call_is_lost_or_doubled_on_its_way(client: str, stream: bool) -> None:
    """Responses bridges in the field lose calls; others write them as text, or twice."""
    data = relayed(json.dumps(REPLY).encode(), "openai_chat", client, False, stream)
    reader = DIALECTS[client].reader(stream)
    parts = fold(reader.feed(data) + reader.close(), client).choices[0].parts
    assert [(p.name, json.loads(p.arguments)) for p in parts if isinstance(p, ToolUse)] == [
        ("look", {"city": "Oslo"}),
        ("look", {"city": "Rome"}),
    ]
    assert "".join(p.text for p in parts if isinstance(p, Text)) == ""


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("client", TALKING)
def test_a_tool_envelope_in_a_text_stays_that_text(client: str, stream: bool) -> None:
    """What looks like a call in the model's words is neither taken for one nor cut out. More: tests/wire/test_reasoning.py."""
    text = '<tool_call>{"name": "look", "arguments": {}}</tool_call>[TOOL_CALLS]<|python_tag|>'
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    data = relayed(json.dumps({**REPLY, "choices": [choice]}).encode(), "openai_chat", client, False, stream)
    reader = DIALECTS[client].reader(stream)
    parts = fold(reader.feed(data) + reader.close(), client).choices[0].parts
    assert "".join(p.text for p in parts if isinstance(p, Text)) == text
    assert not any(isinstance(p, ToolUse) for p in parts)


EMPTY = ("", None, [])


@pytest.mark.parametrize("content", EMPTY, ids=["empty text", "null", "no parts"])
@pytest.mark.parametrize("target", TALKING)
def test_a_turn_without_content_is_never_sent_as_an_empty_block(target: str, content: Any) -> None:
    """Claude's API and Converse refuse empty text blocks; the conversation around the turn goes on."""
    body = chat({"role": "assistant", "content": content}, {"role": "user", "content": "Still there?"})
    sent, _ = crossed(body, "openai_chat", target)
    text = json.dumps(sent)
    assert "Hello" in text and "Still there?" in text
    if target in ("anthropic", "bedrock", "bedrock_invoke", "gemini"):
        assert '"text": ""' not in text and '"content": ""' not in text and '"content": []' not in text


@pytest.mark.parametrize("target", TALKING)
def test_an_empty_tool_result_keeps_its_call(target: str) -> None:
    body = chat(
        {"role": "assistant", "content": None, "tool_calls": CALLS[:1]}, {"role": "tool", "tool_call_id": "call_0", "content": ""}
    )
    tool = {"type": "function", "function": {"name": "look", "parameters": PLACE}}
    sent, _ = crossed({**body, "tools": [tool]}, "openai_chat", target)
    back = DIALECTS[target]
    again = back.decode_request(back.peek(json.dumps(sent).encode(), "chat", Asked(model="m", stream=False)))
    kinds = [type(part).__name__ for message in again.messages for part in message.parts]
    assert kinds.count("ToolUse") == 1 and kinds.count("ToolResult") == 1


@pytest.mark.parametrize("maker", ["deepseek", "moonshot", "zai"])
@pytest.mark.parametrize("client", ["openai_responses", "anthropic", "openai_chat"])
def test_reasoning_content_comes_back_to_the_model_that_wrote_it(maker: str, client: str) -> None:
    """DeepSeek, Kimi and GLM want their reasoning_content back within a tool loop, whatever the client in between speaks."""
    message = {"role": "assistant", "content": None, "reasoning_content": "So.", "tool_calls": CALLS[:1]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    seen = json.loads(relayed(json.dumps({**REPLY, "choices": [choice]}).encode(), "openai_chat", client, False, False))
    body = NEXT[client](seen)
    sent, _ = crossed(body, client, "openai_chat", "m", PROVIDERS[maker].quirks)
    turn = next(m for m in sent["messages"] if m["role"] == "assistant")
    assert turn["reasoning_content"] == "So." and [c["function"]["name"] for c in turn["tool_calls"]] == ["look"]


def _next_chat(seen: dict[str, Any]) -> dict[str, Any]:
    message = seen["choices"][0]["message"]
    return chat(message, {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "rain"})


def _next_messages(seen: dict[str, Any]) -> dict[str, Any]:
    call = next(block for block in seen["content"] if block["type"] == "tool_use")
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": "rain"}
    return chat({"role": "assistant", "content": seen["content"]}, {"role": "user", "content": [result]}, max_tokens=9)


def _next_responses(seen: dict[str, Any]) -> dict[str, Any]:
    call = next(item for item in seen["output"] if item["type"] == "function_call")
    result = {"type": "function_call_output", "call_id": call["call_id"], "output": "rain"}
    return {"model": "m", "input": [HELLO, *seen["output"], result]}


NEXT = {"openai_chat": _next_chat, "anthropic": _next_messages, "openai_responses": _next_responses}


@pytest.mark.parametrize("target", ["openai_chat", "openai_responses"])
def test_an_effort_doesnt_switch_thinking_on_that_was_switched_off(target: str) -> None:
    """Claude's effort goes on meaning something without thinking: to others it would be a wish to think."""
    body = chat(max_tokens=9, thinking={"type": "disabled"}, output_config={"effort": "high"})
    sent, dropped = crossed(body, "anthropic", target)
    assert "reasoning_effort" not in sent and "reasoning" not in sent
    assert "reasoning" in dropped
