"""OpenAI Chat <-> Anthropic Messages, both ways, with both real codecs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.base.errors import Unsupported
from freehold.wire.dialect import Quirks, WriterOptions
from freehold.wire.registry import DIALECTS
from freehold.wire.translate import Translation
from tests.traffic import cases, exchanges
from tests.wire.dialects.anthropic.samples import STREAM, WHOLE_BYTES, message_of

OPENAI, ANTHROPIC = DIALECTS["openai_chat"], DIALECTS["anthropic"]
QUIRKS = Quirks()


def to_anthropic(model: str = "claude-sonnet-4-5", **fields: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    peek = OPENAI.peek(json.dumps({"model": "m", **fields}).encode(), "chat")
    body, dropped = ANTHROPIC.encode_request(OPENAI.decode_request(peek), model, QUIRKS)
    found: dict[str, Any] = json.loads(body)
    return found, dropped


def to_openai(**fields: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    peek = ANTHROPIC.peek(json.dumps({"model": "m", "max_tokens": 9, **fields}).encode(), "chat")
    body, dropped = OPENAI.encode_request(ANTHROPIC.decode_request(peek), "gpt-4o", QUIRKS)
    found: dict[str, Any] = json.loads(body)
    return found, dropped


def options(stream: bool) -> WriterOptions:
    return WriterOptions(stream=stream, model="asked", call_id="c1", created_s=7, include_usage=True)


def relayed(
    data: bytes, upstream: Any, client: Any, stream_in: bool, stream_out: bool, size: int = 100
) -> tuple[bytes, Translation]:
    relay = Translation(upstream.reader(stream_in), client.writer(options(stream_out)), len)
    out = b"".join([relay.feed(data[at : at + size]) for at in range(0, len(data), size)])
    return out + relay.close(), relay


# --- requests ------------------------------------------------------------------


def test_a_tool_conversation_crosses_to_anthropic() -> None:
    body, dropped = to_anthropic(
        messages=[
            {"role": "system", "content": "S"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "u"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ=="}},
                ],
            },
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
                    {"id": "c2", "type": "function", "function": {"name": "g", "arguments": ""}},
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "one"},
            {"role": "tool", "tool_call_id": "c2", "content": "two"},
            {"role": "user", "content": "so?"},
        ],
        tools=[{"type": "function", "function": {"name": n, "parameters": {"type": "object"}}} for n in ("g", "f")],
        tool_choice="required",
        max_completion_tokens=77,
        stop="END",
        parallel_tool_calls=False,
    )
    assert dropped == ()
    assert body == {
        "model": "claude-sonnet-4-5",
        "max_tokens": 77,
        "system": "S",
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "u"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QQ=="}},
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}},
                    {"type": "tool_use", "id": "c2", "name": "g", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "c1", "content": "one"},
                    {"type": "tool_result", "tool_use_id": "c2", "content": "two"},
                    {"type": "text", "text": "so?"},
                ],
            },
        ],
        "tools": [{"name": n, "input_schema": {"type": "object"}} for n in ("g", "f")],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
        "stop_sequences": ["END"],
    }


def test_a_tool_conversation_crosses_to_openai() -> None:
    body, _ = to_openai(
        system=[{"type": "text", "text": "S"}],
        messages=[
            {"role": "user", "content": "u"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {"b": 1, "a": 2}}]},
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "r"}, {"type": "text", "text": "so?"}],
            },
        ],
        tools=[{"name": "f", "input_schema": {"type": "object"}}],
        tool_choice={"type": "tool", "name": "f"},
    )
    roles = [message["role"] for message in body["messages"]]
    assert roles == ["system", "user", "assistant", "tool", "user"]
    call = body["messages"][2]["tool_calls"][0]
    assert (call["id"], call["function"]) == ("t1", {"name": "f", "arguments": '{"b": 1, "a": 2}'})
    assert (body["messages"][3]["tool_call_id"], body["messages"][3]["content"]) == ("t1", "r")
    assert body["tool_choice"] == {"type": "function", "function": {"name": "f"}}


def _text_of(value: Any) -> list[str]:
    """All texts that a model would read in the messages of either dialect."""
    found: list[str] = []
    for message in value["messages"]:
        content = message.get("content")
        blocks = content if isinstance(content, list) else [{"type": "text", "text": content}] if content else []
        for block in blocks:
            inner = block.get("content") if block.get("type") == "tool_result" else None
            texts = [inner] if isinstance(inner, str) else [b["text"] for b in inner or [] if "text" in b] + [block.get("text")]
            found += [text for text in texts if text and text.strip()]
    return found


@pytest.mark.parametrize("turn", ["", "followup-"])
def test_every_openai_case_crosses_with_its_text_in_order(turn: str) -> None:
    crossed = 0
    for case in cases():
        request = case.of("chat-completions", turn).get("request")
        if request is None:
            continue
        try:
            body, _ = to_anthropic(**request)
        except Unsupported:
            continue
        rest = {"messages": [m for m in request["messages"] if m["role"] not in ("system", "developer")]}
        assert _text_of(body) == [
            text.rstrip() if body["messages"][-1]["role"] == "assistant" else text for text in _text_of(rest)
        ]
        crossed += 1
    assert crossed > 20


@pytest.mark.parametrize("turn", ["", "followup-"])
def test_every_anthropic_case_crosses_with_its_text_in_order(turn: str) -> None:
    crossed = 0
    for case in cases():
        request = case.of("anthropic", turn).get("request")
        if request is None:
            continue
        try:
            body, _ = to_openai(**request)
        except Unsupported:
            continue
        rest = {"messages": [m for m in body["messages"] if m["role"] not in ("system", "developer")]}
        said = {"messages": [m for m in request["messages"] if m["role"] != "system"]}
        assert _text_of(rest) == _text_of(said)
        crossed += 1
    assert crossed > 20


# --- replies -------------------------------------------------------------------


def _openai_stream(*chunks: dict[str, Any], usage: dict[str, Any] | None = None) -> bytes:
    base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 5, "model": "gpt-x"}
    lines = [json.dumps(base | {"choices": [{"index": 0, "finish_reason": None, **chunk}]}) for chunk in chunks]
    if usage:
        lines.append(json.dumps(base | {"choices": [], "usage": usage}))
    return "".join(f"data: {line}\n\n" for line in [*lines, "[DONE]"]).encode()


def _call(index: int, **fields: Any) -> dict[str, Any]:
    return {"delta": {"tool_calls": [{"index": index, **fields}]}}


OPENAI_USAGE = {"prompt_tokens": 20, "completion_tokens": 8, "total_tokens": 28, "prompt_tokens_details": {"cached_tokens": 15}}
OPENAI_STREAM = _openai_stream(
    {"delta": {"role": "assistant", "content": ""}},
    {"delta": {"content": "Hi "}},
    {"delta": {"content": "there"}},
    _call(0, id="a", type="function", function={"name": "f", "arguments": ""}),
    _call(0, function={"arguments": '{"x":'}),
    _call(1, id="b", type="function", function={"name": "g", "arguments": "{}"}),
    _call(0, function={"arguments": " 1}"}),
    {"delta": {}, "finish_reason": "tool_calls"},
    usage=OPENAI_USAGE,
)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 400))
def test_an_openai_stream_with_interleaved_calls_reaches_an_anthropic_client(size: int) -> None:
    data, relay = relayed(OPENAI_STREAM, OPENAI, ANTHROPIC, True, True, size)
    message = message_of(data)
    assert message["content"] == [
        {"type": "text", "text": "Hi there"},
        {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
        {"type": "tool_use", "id": "b", "name": "g", "input": {}},
    ]
    usage = message["usage"]
    assert (usage["input_tokens"], usage["cache_read_input_tokens"], usage["output_tokens"]) == (5, 15, 8)
    assert (message["stop_reason"], message["model"], relay.done) == ("tool_use", "gpt-x", True)


@pytest.mark.parametrize("stream_in", [True, False])
def test_an_anthropic_reply_reaches_an_openai_client(stream_in: bool) -> None:
    data, relay = relayed(STREAM if stream_in else WHOLE_BYTES, ANTHROPIC, OPENAI, stream_in, False)
    reply = json.loads(data)
    choice = reply["choices"][0]
    assert relay.done and choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] == 'Grüße \U0001f600 "text_delta"'
    calls = [
        (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
        for call in choice["message"]["tool_calls"]
    ]
    assert calls == [("toolu_1", "add", {"a": 1, "b": 2}), ("toolu_2", "now", {})]
    usage = reply["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["prompt_tokens_details"]["cached_tokens"]) == (22, 42, 5)


def test_signed_thinking_survives_a_turn_through_an_openai_client() -> None:
    """Upstream reply -> OpenAI message -> the client's next request -> Anthropic: the signature must come back unchanged."""
    message = json.loads(relayed(WHOLE_BYTES, ANTHROPIC, OPENAI, False, False)[0])["choices"][0]["message"]
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "r"} for call in message["tool_calls"]]
    body, dropped = to_anthropic(messages=[{"role": "user", "content": "u"}, message, *results], reasoning_effort="low")
    kinds = [(block["type"], block.get("signature", block.get("data"))) for block in body["messages"][1]["content"]]
    assert kinds[:2] == [("thinking", "sig=="), ("redacted_thinking", "opaque")]
    assert body["thinking"]["type"] == "enabled" and "thinking" not in dropped


def test_every_case_reply_crosses_with_its_text() -> None:
    crossed = 0
    for case in cases():
        for turn in ("", "followup-"):
            reply = case.of("anthropic", turn).get("response")
            if reply is None:
                continue
            data = json.dumps(reply).encode()
            said = "".join(block["text"] for block in reply["content"] if block["type"] == "text")
            got = json.loads(relayed(data, ANTHROPIC, OPENAI, False, False)[0])["choices"][0]["message"]["content"] or ""
            assert got == said, case.name
            crossed += 1
    assert crossed > 40


def test_recorded_openai_replies_reach_an_anthropic_client_whole_and_streamed() -> None:
    crossed = 0
    for one in exchanges(endpoint="chat/completions", provider=("openai", "groq", "deepseek", "together")):
        if one.status != 200:
            continue
        for stream_out in (True, False):
            data, relay = relayed(one.response, OPENAI, ANTHROPIC, one.is_sse, stream_out, 1000)
            if not relay.done:
                continue
            message = message_of(data) if stream_out else json.loads(data)
            assert message["type"] == "message" and message["stop_reason"], one.id
        crossed += 1
    assert crossed > 100
