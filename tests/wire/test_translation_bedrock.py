"""Bedrock <-> OpenAI Chat and Anthropic Messages, both ways, with the real codecs of both sides."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.base.errors import Unsupported
from freehold.wire.dialect import Asked, Dialect, Quirks, WriterOptions
from freehold.wire.registry import DIALECTS
from freehold.wire.translate import Translation
from tests.traffic import Case, cases, exchanges
from tests.wire.dialects.anthropic.samples import STREAM as ANTHROPIC_STREAM
from tests.wire.dialects.anthropic.samples import message_of
from tests.wire.dialects.bedrock.samples import REPLY_BYTES, STREAM, frame, frames
from tests.wire.dialects.bedrock.test_writer import message_of as converse_of

OPENAI, ANTHROPIC, BEDROCK, INVOKE = (DIALECTS[name] for name in ("openai_chat", "anthropic", "bedrock", "bedrock_invoke"))
CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"


def crossed(
    body: dict[str, Any], client: Dialect, upstream: Dialect, model: str = CLAUDE
) -> tuple[dict[str, Any], tuple[str, ...]]:
    peek = client.peek(json.dumps(body).encode(), "chat", Asked(model="m", stream=False))
    encoded, dropped = upstream.encode_request(client.decode_request(peek), model, Quirks())
    found: dict[str, Any] = json.loads(encoded)
    return found, dropped


def relayed(
    data: bytes, upstream: Dialect, client: Dialect, stream_in: bool, stream_out: bool, size: int = 100
) -> tuple[bytes, Translation]:
    options = WriterOptions(stream=stream_out, model="asked", call_id="c1", created_s=7, include_usage=True)
    relay = Translation(upstream.reader(stream_in), client.writer(options), len)
    out = b"".join([relay.feed(data[at : at + size]) for at in range(0, len(data), size)])
    return out + relay.close(), relay


# --- requests --------------------------------------------------------------------------


def test_a_tool_conversation_crosses_from_openai() -> None:
    tools = [{"type": "function", "function": {"name": n, "parameters": {"type": "object"}}} for n in ("g", "f")]
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"b": 1.50, "a": 2}'}}
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ=="}}
    body, dropped = crossed(
        {
            "model": "m",
            "messages": [
                {"role": "system", "content": "S"},
                {"role": "user", "content": [{"type": "text", "text": "u"}, image]},
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "c1", "content": "one"},
                {"role": "user", "content": "so?"},
            ],
            "tools": tools,
            "tool_choice": "required",
            "max_completion_tokens": 77,
            "stop": "END",
        },
        OPENAI,
        BEDROCK,
    )
    assert dropped == ()
    assert body == {
        "system": [{"text": "S"}],
        "messages": [
            {"role": "user", "content": [{"text": "u"}, {"image": {"format": "png", "source": {"bytes": "QQ=="}}}]},
            {"role": "assistant", "content": [{"toolUse": {"toolUseId": "c1", "name": "f", "input": {"b": 1.5, "a": 2}}}]},
            {"role": "user", "content": [{"toolResult": {"toolUseId": "c1", "content": [{"text": "one"}]}}, {"text": "so?"}]},
        ],
        "inferenceConfig": {"maxTokens": 77, "stopSequences": ["END"]},
        "toolConfig": {
            "tools": [{"toolSpec": {"name": n, "inputSchema": {"json": {"type": "object"}}}} for n in ("g", "f")],
            "toolChoice": {"any": {}},
        },
        "additionalModelResponseFieldPaths": ["/stop_sequence"],
    }


CONVERSE: dict[str, Any] = {
    "system": [{"text": "S"}, {"cachePoint": {"type": "default"}}],
    "messages": [
        {"role": "user", "content": [{"text": "u"}, {"document": {"format": "pdf", "name": "d", "source": {"bytes": "QQ=="}}}]},
        {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"reasoningText": {"text": "h", "signature": "s"}}},
                {"toolUse": {"toolUseId": "t1", "name": "f", "input": {"b": 1, "a": 2}}},
            ],
        },
        {
            "role": "user",
            "content": [{"toolResult": {"toolUseId": "t1", "status": "error", "content": [{"json": {"x": 1}}]}}, {"text": "so?"}],
        },
    ],
    "inferenceConfig": {"maxTokens": 4000, "stopSequences": ["END"]},
    "toolConfig": {
        "tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}],
        "toolChoice": {"auto": {}},
    },
    "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 2048}},
    "outputConfig": {
        "textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": '{"type":"object"}', "name": "N"}}}
    },
    "guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1"},
}


def test_a_converse_request_crosses_to_openai() -> None:
    body, dropped = crossed(CONVERSE, BEDROCK, OPENAI, "gpt-x")
    system, user, assistant, tool, more = body["messages"]
    assert (system["role"], system["content"]) == ("system", "S") and user["content"][0] == {"type": "text", "text": "u"}
    assert user["content"][1]["file"]["file_data"] == "data:application/pdf;base64,QQ=="
    assert assistant["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"b": 1, "a": 2}'}
    assert (tool["content"], more["content"]) == ('Error: {"x": 1}', "so?")
    assert (body["max_completion_tokens"], body["stop"], body["tool_choice"]) == (4000, ["END"], "auto")
    assert body["response_format"]["json_schema"] == {"name": "N", "schema": {"type": "object"}}
    assert body["reasoning_effort"] == "low"
    assert dropped == ("cache_control", "messages[].thinking", "guardrailConfig")


def test_a_converse_request_crosses_to_anthropic() -> None:
    body, dropped = crossed(CONVERSE, BEDROCK, ANTHROPIC, "claude-sonnet-4-5")
    assert body["system"] == [{"type": "text", "text": "S", "cache_control": {"type": "ephemeral"}}]
    assert body["messages"][0]["content"][1]["source"] == {"type": "base64", "media_type": "application/pdf", "data": "QQ=="}
    assert body["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "h", "signature": "s"},
        {"type": "tool_use", "id": "t1", "name": "f", "input": {"b": 1, "a": 2}},
    ]
    result = body["messages"][2]["content"][0]
    assert result["is_error"] and result["content"] == [{"type": "text", "text": '{"x": 1}'}]
    assert body["thinking"] == {"type": "enabled", "budget_tokens": 2048}
    assert body["output_config"] == {"format": {"type": "json_schema", "schema": {"type": "object"}}}
    assert dropped == ("guardrailConfig",)


@pytest.mark.parametrize("upstream", [OPENAI, ANTHROPIC])
@pytest.mark.parametrize(
    "block",
    [
        {"guardContent": {"text": {"text": "g"}}},
        {"video": {"format": "mp4", "source": {"bytes": "QQ=="}}},
        {"image": {"format": "png", "source": {"s3Location": {"uri": "s3://b/k"}}}},
        {"searchResult": {"source": "u", "title": "t", "content": [{"text": "x"}]}},
    ],
)
def test_what_only_bedrock_can_carry_is_refused_elsewhere(upstream: Dialect, block: dict[str, Any]) -> None:
    with pytest.raises(Unsupported):
        crossed({"messages": [{"role": "user", "content": [{"text": "u"}, block]}]}, BEDROCK, upstream)


def test_a_built_in_tool_is_refused_elsewhere() -> None:
    body = CONVERSE | {"toolConfig": {"tools": [{"systemTool": {"name": "nova_grounding"}}]}}
    for upstream in (OPENAI, ANTHROPIC, INVOKE):
        with pytest.raises(Unsupported, match="nova_grounding"):
            crossed(body, BEDROCK, upstream)


@pytest.mark.parametrize("client", [OPENAI, ANTHROPIC])
def test_there_and_back_again_says_the_same(client: Dialect) -> None:
    """Bedrock -> the other dialect -> Bedrock: what both can say survives."""
    body = {key: value for key, value in CONVERSE.items() if key in ("messages", "inferenceConfig", "toolConfig")}
    there, _ = crossed(body, BEDROCK, client, "claude-sonnet-4-5")
    back, _ = crossed(there, client, BEDROCK)
    assert back["toolConfig"] == body["toolConfig"]
    assert back["inferenceConfig"] == body["inferenceConfig"]
    assert back["messages"][0] == body["messages"][0]
    assert back["messages"][1]["content"][-1] == body["messages"][1]["content"][-1]


def test_a_claude_body_of_invoke_crosses_to_converse_and_to_openai() -> None:
    body = {
        "anthropic_version": "bedrock-2023-05-31",
        "anthropic_beta": ["b"],
        "max_tokens": 4000,
        "system": "S",
        "messages": [{"role": "user", "content": "u"}],
        "thinking": {"type": "enabled", "budget_tokens": 2048},
    }
    converse, dropped = crossed(body, INVOKE, BEDROCK)
    assert converse == {
        "system": [{"text": "S"}],
        "messages": [{"role": "user", "content": [{"text": "u"}]}],
        "inferenceConfig": {"maxTokens": 4000},
        "additionalModelRequestFields": {"anthropic_beta": ["b"], "thinking": {"type": "enabled", "budget_tokens": 2048}},
    }
    assert dropped == ()
    openai, dropped = crossed(body, INVOKE, OPENAI, "gpt-x")
    assert [message["content"] for message in openai["messages"]] == ["S", "u"] and dropped == ("anthropic_beta",)


# --- replies ---------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 400))
def test_a_converse_stream_reaches_an_openai_client(size: int) -> None:
    data, relay = relayed(STREAM, BEDROCK, OPENAI, True, True, size)
    chunks = [json.loads(line[6:]) for line in data.decode().split("\n\n") if line.startswith("data: {")]
    text = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks if chunk["choices"])
    assert text == 'Grüße \U0001f600 "contentBlock"'
    calls: dict[int, str] = {}
    for chunk in chunks:
        for call in chunk["choices"][0]["delta"].get("tool_calls", []) if chunk["choices"] else []:
            calls[call["index"]] = calls.get(call["index"], "") + call["function"].get("arguments", "")
    assert [json.loads(arguments or "{}") for arguments in calls.values()] == [{"a": 1, "b": 2}, {}]
    usage = chunks[-1]["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["prompt_tokens_details"]["cached_tokens"]) == (22, 42, 3)
    assert relay.done and data.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("stream_in", [True, False])
@pytest.mark.parametrize("stream_out", [True, False])
def test_a_converse_reply_reaches_an_anthropic_client(stream_in: bool, stream_out: bool) -> None:
    data, relay = relayed(STREAM if stream_in else REPLY_BYTES, BEDROCK, ANTHROPIC, stream_in, stream_out)
    message = message_of(data) if stream_out else json.loads(data)
    assert message["content"] == [
        {"type": "thinking", "thinking": 'Let me see: "metadata"', "signature": "sig=="},
        {"type": "redacted_thinking", "data": "b3BhcXVl"},
        {"type": "text", "text": 'Grüße \U0001f600 "contentBlock"'},
        {"type": "tool_use", "id": "t1", "name": "add", "input": {"a": 1, "b": 2}},
        {"type": "tool_use", "id": "t2", "name": "now", "input": {}},
    ]
    usage = message["usage"]
    assert (usage["input_tokens"], usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]) == (12, 3, 7)
    assert usage["cache_creation"] == {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 5}
    assert message["stop_reason"] == "tool_use" and relay.done


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 400))
def test_an_anthropic_stream_reaches_converse_and_invoke_clients(size: int) -> None:
    data, relay = relayed(ANTHROPIC_STREAM, ANTHROPIC, BEDROCK, True, True, size)
    reply = converse_of(data)
    assert reply["content"] == [
        {"reasoningContent": {"text": 'Let me see: message_stop "error"', "signature": "sig=="}},
        {"reasoningContent": {"redactedContent": "opaque"}},
        {"text": 'Grüße \U0001f600 "text_delta"'},
        {"toolUse": {"toolUseId": "toolu_1", "name": "add", "input": {"a": 1, "b": 2}}},
        {"toolUse": {"toolUseId": "toolu_2", "name": "now", "input": {}}},
    ]
    assert (reply["stopReason"], reply["usage"]["outputTokens"], relay.done) == ("tool_use", 42, True)
    data, relay = relayed(ANTHROPIC_STREAM, ANTHROPIC, INVOKE, True, True, size)
    back, _ = relayed(data, INVOKE, ANTHROPIC, True, True, size)
    assert message_of(back) == message_of(relayed(ANTHROPIC_STREAM, ANTHROPIC, ANTHROPIC, True, True)[0])


def test_recorded_openai_replies_reach_a_converse_client_whole_and_streamed() -> None:
    seen = 0
    for one in exchanges(endpoint="chat/completions", provider=("openai", "groq", "deepseek", "together")):
        if one.status != 200:
            continue
        for stream_out in (True, False):
            data, relay = relayed(one.response, OPENAI, BEDROCK, one.is_sse, stream_out, 1000)
            if not relay.done:
                continue
            reply = converse_of(data) if stream_out else json.loads(data)
            assert reply["stopReason"] and reply["usage"]["totalTokens"] >= 0, one.id
        seen += 1
    assert seen > 100


def test_recorded_converse_replies_reach_openai_and_anthropic_clients() -> None:
    seen = 0
    for one in exchanges(("converse", "converse-stream"), "bedrock"):
        if one.status != 200:
            continue
        stream_in = one.endpoint == "converse-stream"
        said = _text_of_reply(one.response, stream_in)
        openai = json.loads(relayed(one.response, BEDROCK, OPENAI, stream_in, False)[0])
        assert (openai["choices"][0]["message"]["content"] or "") == said, one.id
        for stream_out in (True, False):
            data, relay = relayed(one.response, BEDROCK, ANTHROPIC, stream_in, stream_out)
            message = message_of(data) if stream_out else json.loads(data)
            texts = [block["text"] for block in message["content"] if block["type"] == "text"]
            assert "".join(texts) == said and relay.done, one.id
        seen += 1
    assert seen == 108


def _text_of_reply(data: bytes, stream: bool) -> str:
    if stream:
        return "".join(payload["delta"].get("text", "") for kind, payload in frames(data) if kind == "contentBlockDelta")
    texts: list[str] = []
    for block in json.loads(data)["output"]["message"]["content"]:
        inner = block.get("citationsContent", {}).get("content", [])
        texts += [block.get("text", ""), *[item["text"] for item in inner]]
    return "".join(texts)


# --- the same conversation in several dialects -----------------------------------------------


def _texts(body: dict[str, Any]) -> list[str]:
    """All texts that a model would read in the messages of a request of any of the three dialects."""
    found: list[str] = []
    for message in body["messages"]:
        if message["role"] in ("system", "developer"):
            continue
        content = message.get("content") or []
        for block in [{"text": content}] if isinstance(content, str) else content:
            result = block.get("toolResult", block if block.get("type") == "tool_result" else {})
            inner = result.get("content") or []
            found += [inner] if isinstance(inner, str) else [item["text"] for item in inner if "text" in item]
            found += [block["text"]] if "text" in block else []
    return [text.strip() for text in found if text.strip()]


def _bedrock_body(request: dict[str, Any]) -> dict[str, Any]:
    """The cases hold what an SDK is given: the model beside the body."""
    return {name: value for name, value in request.items() if name != "modelId"}


def _requests(dialect: str) -> list[tuple[Case, dict[str, Any]]]:
    return [
        (case, request) for case in cases() for turn in ("", "followup-") if (request := case.of(dialect, turn).get("request"))
    ]


@pytest.mark.parametrize(("name", "client"), [("chat-completions", OPENAI), ("anthropic", ANTHROPIC)])
def test_every_case_crosses_to_converse_with_its_text_in_order(name: str, client: Dialect) -> None:
    seen = 0
    for case, request in _requests(name):
        try:
            body, _ = crossed(request, client, BEDROCK)
        except Unsupported:
            continue
        assert _texts(body) == _texts(request), case.name
        seen += 1
    assert seen > 40


def test_every_case_in_bedrocks_form_comes_back_equal_and_crosses() -> None:
    seen = 0
    for case, request in _requests("bedrock"):
        body = _bedrock_body(request)
        assert crossed(body, BEDROCK, BEDROCK) == (body, ()), case.name
        for upstream in (OPENAI, ANTHROPIC, INVOKE):
            assert _texts(crossed(body, BEDROCK, upstream)[0]) == _texts(body), case.name
        seen += 1
    assert seen == 14


def test_every_case_in_claudes_form_on_bedrock_comes_back_equal_and_crosses() -> None:
    seen = 0
    for case, body in _requests("bedrock-anthropic"):
        assert crossed(body, INVOKE, INVOKE) == (body, ()), case.name
        for upstream in (OPENAI, ANTHROPIC, BEDROCK):
            assert _texts(crossed(body, INVOKE, upstream)[0]) == _texts(body), case.name
        seen += 1
    assert seen == 6


def test_every_reply_case_crosses_whole_and_streamed() -> None:
    seen = 0
    for case in cases():
        for turn in ("", "followup-"):
            held = case.of("bedrock", turn)
            if "response" not in held:
                continue
            whole = {name: value for name, value in held["response"].items() if name != "$metadata"}
            stream = b"".join(frame(kind, payload) for event in held["response-streaming"] for kind, payload in event.items())
            for data, stream_in in ((json.dumps(whole).encode(), False), (stream, True)):
                out, relay = relayed(data, BEDROCK, BEDROCK, stream_in, False)
                assert relay.done and (stream_in or json.loads(out) == whole), case.name
                message = json.loads(relayed(data, BEDROCK, ANTHROPIC, stream_in, False)[0])
                texts = "".join(block.get("text", "") for block in message["content"])
                assert texts == _text_of_reply(data, stream_in), case.name
            seen += 1
    assert seen == 14
