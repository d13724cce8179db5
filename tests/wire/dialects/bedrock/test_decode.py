"""A Converse request in canonical form, and back into equal JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freehold.base.errors import GatewayError, InvalidRequest, Unsupported
from freehold.wire.chat import Audio, CacheMark, File, Image, Opaque, Reasoning, Text, Thinking, ToolResult, ToolUse
from freehold.wire.dialect import Quirks
from tests.wire.dialects.bedrock.samples import DIALECT, MODEL, REQUEST, again, asked, peeked

USER = {"role": "user", "content": [{"text": "u"}]}


def decoded(**fields: Any) -> Any:
    return DIALECT.decode_request(peeked({"messages": [USER]} | fields))


def test_one_of_everything_comes_back_equal() -> None:
    assert again(REQUEST) == REQUEST


@pytest.mark.parametrize(
    "fields",
    [
        {"inferenceConfig": {}},
        {"inferenceConfig": None},
        {"inferenceConfig": {"maxTokens": None, "stopSequences": [], "topK": 5}},
        {"toolConfig": {"tools": []}},
        {"toolConfig": {"tools": [{"cachePoint": {"type": "default"}}], "toolChoice": None}},
        {"toolConfig": {"tools": [{"toolSpec": {"name": "f", "description": "", "inputSchema": {"other": 1}}}]}},
        {"toolConfig": {"tools": [{"tomorrow": {}}], "toolChoice": {"any": {}}}},
        {"outputConfig": {}},
        {"outputConfig": {"textFormat": {"type": "tomorrow"}, "more": 1}},
        {"outputConfig": {"effort": "max"}},
        {"serviceTier": {}},
        {"serviceTier": {"type": "flex", "more": 1}},
        {"requestMetadata": None},
        {"system": []},
        {"additionalModelRequestFields": None},
        {"additionalModelRequestFields": {}},
        {"additionalModelRequestFields": 7},
        {"additionalModelRequestFields": {"top_k": None, "thinking": None}},
        {"additionalModelRequestFields": {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high", "x": 1}}},
        {"additionalModelRequestFields": {"thinking": {"type": "tomorrow"}, "top_k": "x"}},
        {"additionalModelRequestFields": {"reasoning_config": {"type": "disabled"}}},
        {"additionalModelRequestFields": {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}},
        {"additionalModelRequestFields": {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": ""}}},
        {"additionalModelRequestFields": {"reasoning_effort": "high", "x": [1]}},
        {"additionalModelRequestFields": {"inferenceConfig": {"topK": 5, "x": 1}}},
        {"additionalModelRequestFields": {"inferenceConfig": {"topK": 5}, "y": {"z": 1}}},
        {
            "outputConfig": {"effort": "low"},
            "additionalModelRequestFields": {
                "reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"},
                "output_config": {"effort": "max"},
                "reasoning_effort": "medium",
            },
        },
        {
            "outputConfig": {"effort": "low"},
            "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 9}},
        },
        {"messages": [USER | {"more": 1, "content": []}]},
        {"messages": [{"role": "user", "content": [{"cachePoint": {"type": "default"}}, {"text": "a"}]}]},
        {"messages": [{"role": "user", "content": [{"text": "a"}] + [{"cachePoint": {"type": "default"}}] * 2}]},
        {"messages": [{"role": "user", "content": [{"text": "a"}, {"cachePoint": {"type": "other"}}]}]},
        {"messages": [{"role": "user", "content": [{"text": "a"}, {"cachePoint": {"type": "default"}, "more": 1}]}]},
        {"messages": [{"role": "user", "content": [{"text": "a", "more": 1}, {"tomorrow": {}}]}]},
        {"messages": [{"role": "user", "content": [{"image": {"format": "bmp", "source": {"bytes": "Q"}, "x": 1}}]}]},
        {"messages": [{"role": "user", "content": [{"document": {"format": "odt", "name": "n", "source": {"bytes": "Q"}}}]}]},
        {"messages": [{"role": "user", "content": [{"document": {"format": "pdf", "source": {"bytes": "Q"}}}]}]},
        {
            "messages": [
                {"role": "assistant", "content": [{"reasoningContent": {"reasoningText": {"text": "", "signature": ""}}}]}
            ]
        },
        {"messages": [{"role": "assistant", "content": [{"reasoningContent": {"redactedContent": ""}}]}]},
        {"messages": [{"role": "assistant", "content": [{"citationsContent": {"content": [{"text": ""}], "citations": []}}]}]},
        {"messages": [{"role": "assistant", "content": [{"citationsContent": {"content": [], "citations": [{}]}}]}]},
        {
            "messages": [
                {"role": "user", "content": [{"toolResult": {"toolUseId": "t", "content": [], "status": "odd", "type": "x"}}]}
            ]
        },
        {"messages": [{"role": "user", "content": [{"toolResult": {"toolUseId": "t", "content": [{"toolResult": {}}]}}]}]},
    ],
)
def test_odd_but_legal_shapes_come_back_equal(fields: dict[str, Any]) -> None:
    body = {"messages": [USER]} | fields
    assert again(body) == body


def test_parts_are_what_the_blocks_say() -> None:
    request = DIALECT.decode_request(peeked(REQUEST))
    system, user, assistant, results, later = request.messages
    assert [type(part) for part in system.parts] == [Text, Opaque] and system.parts[0].cache == CacheMark()
    kinds = [type(part) for part in user.parts]
    assert kinds == [Text, Image, Opaque, File, File, Opaque, Audio, Opaque, Opaque]
    assert user.parts[0].cache == CacheMark(ttl="1h")
    pdf, plain = user.parts[3], user.parts[4]
    assert isinstance(pdf, File) and (pdf.media.kind, pdf.media.media_type, pdf.name) == ("base64", "application/pdf", "d")
    assert isinstance(plain, File) and (plain.media.kind, plain.media.value) == ("text", "plain")
    kinds = [type(part) for part in assistant.parts]
    assert kinds == [Thinking, Thinking, Text, Text, Text, ToolUse, ToolUse]
    cited, call = assistant.parts[3], assistant.parts[5]
    assert isinstance(cited, Text) and cited.text == "abc" and len(cited.citations) == 1
    assert isinstance(call, ToolUse) and call.arguments == '{"b": 1, "a": 2.5}'
    assert assistant.parts[-1].cache == CacheMark()
    one, two = results.parts
    assert isinstance(one, ToolResult) and isinstance(two, ToolResult) and (one.is_error, two.is_error) == (False, True)
    assert isinstance(one.parts[1], Text) and json.loads(one.parts[1].text) == {"x": [1, 2]}
    assert later.role == "system"


def test_tool_input_keeps_the_text_that_was_written() -> None:
    call = b'{"toolUse": {"toolUseId": "t", "name": "f", "input": { "b" : 1.50, "a":[ ] }}}'
    body = b'{"messages": [{"role": "assistant", "content": [%b]}]}' % call
    request = DIALECT.decode_request(DIALECT.peek(body, "chat", asked()))
    part = request.messages[0].parts[0]
    assert isinstance(part, ToolUse) and part.arguments == '{ "b" : 1.50, "a":[ ] }'
    assert b'{ "b" : 1.50, "a":[ ] }' in DIALECT.encode_request(request, MODEL, Quirks())[0]


def test_knobs_have_their_canonical_words() -> None:
    request = DIALECT.decode_request(peeked(REQUEST, stream=True))
    assert (request.max_tokens, request.temperature, request.top_p, request.stop, request.top_k) == (99, 0.5, 1.0, ["END"], 5)
    assert request.reasoning is not None
    assert (request.reasoning.enabled, request.reasoning.budget_tokens, request.reasoning.effort) == (True, 2048, "low")
    assert request.output is not None and request.output.schema is not None
    assert (bytes(request.output.schema), request.output.name) == (b'{ "type": "object" }', "N")
    assert (request.service_tier, request.stream) == ("flex", True)
    assert request.tool_choice is not None and (request.tool_choice.mode, request.tool_choice.name) == ("tool", "f")
    names = [tool.name for tool in request.tools]
    assert names == ["f", "g", "nova_grounding"] and request.tools[1].cache == CacheMark() and request.tools[2].raw


def test_a_wish_that_the_gateway_adds_finds_its_place() -> None:
    request = decoded()
    request.reasoning, request.top_k = Reasoning(enabled=True, budget_tokens=2000), 3
    body = json.loads(DIALECT.encode_request(request, MODEL, Quirks())[0])
    assert body["additionalModelRequestFields"] == {"thinking": {"type": "enabled", "budget_tokens": 2000}, "top_k": 3}
    request.reasoning = Reasoning(effort="low")
    body = json.loads(DIALECT.encode_request(request, "amazon.nova-2-lite-v1:0", Quirks())[0])
    assert body["additionalModelRequestFields"]["inferenceConfig"] == {"topK": 3}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": [1]}, "messages[0]"),
        ({"messages": [{"content": []}]}, "messages[0].role"),
        ({"messages": [{"role": "tool", "content": []}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": "text"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{}]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{"text": 1}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "user", "content": [{"image": {"format": "png"}}]}]}, "messages[0].content[0].image.source"),
        (
            {"messages": [{"role": "user", "content": [{"toolUse": {"toolUseId": "t", "name": "f", "input": "{}"}}]}]},
            "messages[0].content[0].toolUse.input",
        ),
        (
            {"messages": [{"role": "user", "content": [{"toolResult": {"toolUseId": "t", "content": [{"text": 1}]}}]}]},
            "messages[0].content[0].toolResult.content[0].text",
        ),
        ({"system": "text"}, "system"),
        ({"inferenceConfig": {"temperature": "hot"}}, "inferenceConfig.temperature"),
        ({"inferenceConfig": {"stopSequences": "x"}}, "inferenceConfig.stopSequences"),
        ({"toolConfig": {"tools": [{"toolSpec": {"name": "f"}}]}}, "toolConfig.tools[0].toolSpec.inputSchema"),
        ({"toolConfig": {"tools": [{"toolSpec": {"name": 1}}]}}, "toolConfig.tools[0].toolSpec.name"),
        ({"toolConfig": {"toolChoice": {"none": {}}}}, "toolConfig.toolChoice"),
        ({"toolConfig": {"toolChoice": {"tool": {}}}}, "toolConfig.toolChoice.tool.name"),
        (
            {"outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": "["}}}}},
            "outputConfig.textFormat.structure.jsonSchema.schema",
        ),
        ({"serviceTier": "flex"}, "serviceTier"),
    ],
)
def test_a_mistake_is_named_by_its_path(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decoded(**fields)
    assert caught.value.param == param


def test_quirks_are_obeyed() -> None:
    request = decoded(serviceTier={"type": "flex"}, requestMetadata={"a": "b"})
    body, dropped = DIALECT.encode_request(request, MODEL, Quirks(drop=("serviceTier",), rename={"requestMetadata": "m"}))
    assert json.loads(body) == {"messages": [USER], "m": {"a": "b"}} and dropped == ("serviceTier",)
    full = DIALECT.decode_request(peeked(REQUEST))
    for lacking in ("image", "file", "audio", "tools", "schema"):
        with pytest.raises(Unsupported):
            DIALECT.encode_request(full, MODEL, Quirks(unsupported=(lacking,)))  # type: ignore[arg-type]


def test_wrong_types_anywhere_raise_only_our_own_errors() -> None:
    def variants(value: Any) -> list[Any]:
        """The value with each of its members replaced by something of another type."""
        out: list[Any] = [odd for odd in (None, 7, "x", [], {}, [7], {"a": 1}, True) if type(odd) is not type(value)]
        if isinstance(value, dict):
            out += [{**value, key: other} for key, held in value.items() for other in variants(held)]
        elif isinstance(value, list):
            out += [[*value[:i], other, *value[i + 1 :]] for i, held in enumerate(value) for other in variants(held)]
        return out

    tried = accepted = 0
    for body in variants(REQUEST):
        if not isinstance(body, dict):
            continue
        tried += 1
        try:
            peek = peeked(body)
            request = DIALECT.decode_request(peek)
        except GatewayError:
            continue
        encoded = json.loads(DIALECT.encode_request(request, MODEL, Quirks())[0])
        assert encoded == body or body.get("modelId"), (encoded, body)
        accepted += 1
    assert tried > 1_000 and accepted > 100
