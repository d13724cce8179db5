"""Reasoning must survive a tool loop, whoever speaks on either side: the client gets it, sends it back, the provider reads it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from freehold.wire.dialect import Quirks, WriterOptions
from freehold.wire.registry import DIALECTS
from freehold.wire.translate import Translation
from tests.traffic import exchanges
from tests.wire.dialects.anthropic.samples import STREAM as ANTHROPIC_STREAM
from tests.wire.dialects.anthropic.samples import WHOLE_BYTES as ANTHROPIC_WHOLE
from tests.wire.dialects.anthropic.samples import block_events, message_of, sse
from tests.wire.test_translation import _openai_stream

OPENAI, ANTHROPIC, OLLAMA = DIALECTS["openai_chat"], DIALECTS["anthropic"], DIALECTS["ollama"]
DEEPSEEK = Quirks(reasoning="thinking_object")  # and Kimi, GLM
OPENROUTER = Quirks(reasoning="reasoning_object")
PLAIN = Quirks()
TOOL = {"name": "f", "input_schema": {"type": "object"}}
ENVELOPES = (
    '<tool_call>{"name": "f", "arguments": {}}</tool_call> <function=f>{"a": 1}</function> '
    "<|tool_calls_section_begin|> <think>x</think>"
)


def relayed(data: bytes, upstream: Any, client: Any, stream_in: bool, stream_out: bool, size: int = 50) -> bytes:
    options = WriterOptions(stream=stream_out, model="asked", call_id="c1", created_s=7)
    relay = Translation(upstream.reader(stream_in), client.writer(options), len)
    out = b"".join([relay.feed(data[at : at + size]) for at in range(0, len(data), size)]) + relay.close()
    assert relay.done
    return out


def encoded(
    source: Any, target: Any, body: dict[str, Any], quirks: Quirks, model: str = "claude-sonnet-4-5"
) -> tuple[Any, tuple[str, ...]]:
    request = source.decode_request(source.peek(json.dumps(body).encode(), "chat"))
    data, dropped = target.encode_request(request, model, quirks)
    return json.loads(data), dropped


# --- DeepSeek, Kimi, GLM: reasoning_content, with an Anthropic client ------------------

REASONED = {
    "id": "x",
    "model": "kimi",
    "choices": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "message": {
                "role": "assistant",
                "content": "Let me look.",
                "reasoning_content": "First f,\nthen g.",
                "tool_calls": [{"id": "c:1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}],
            },
        }
    ],
}
REASONED_STREAM = _openai_stream(
    {"delta": {"role": "assistant", "content": None, "reasoning_content": ""}},
    {"delta": {"content": None, "reasoning_content": "First f,"}},
    {"delta": {"content": None, "reasoning_content": "\nthen g."}},
    {"delta": {"content": "Let me look."}},
    {
        "delta": {
            "tool_calls": [{"index": 0, "id": "c:1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}]
        }
    },
    {"delta": {}, "finish_reason": "tool_calls"},
)


def loop_of(message: dict[str, Any]) -> dict[str, Any]:
    """The next request of an Anthropic client: the reply as it came, and a result for each call."""
    results = [
        {"type": "tool_result", "tool_use_id": block["id"], "content": "r"}
        for block in message["content"]
        if block["type"] == "tool_use"
    ]
    messages = [
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": message["content"]},
        {"role": "user", "content": results},
    ]
    return {
        "model": "m",
        "max_tokens": 9000,
        "messages": messages,
        "tools": [TOOL],
        "thinking": {"type": "enabled", "budget_tokens": 2000},
    }


@pytest.mark.parametrize("stream_in", [True, False])
@pytest.mark.parametrize("stream_out", [True, False])
def test_reasoning_content_goes_back_when_an_anthropic_client_brings_its_thinking(stream_in: bool, stream_out: bool) -> None:
    data = REASONED_STREAM if stream_in else json.dumps(REASONED).encode()
    out = relayed(data, OPENAI, ANTHROPIC, stream_in, stream_out)
    message = message_of(out) if stream_out else json.loads(out)
    assert message["content"][0]["thinking"] == "First f,\nthen g."
    body, dropped = encoded(ANTHROPIC, OPENAI, loop_of(message), DEEPSEEK)
    assistant = body["messages"][1]
    assert assistant["reasoning_content"] == "First f,\nthen g."
    assert assistant["content"] == "Let me look."
    (call,) = assistant["tool_calls"]
    assert (call["function"]["name"], json.loads(call["function"]["arguments"])) == ("f", {"a": 1})
    assert body["messages"][2]["tool_call_id"] == call["id"]
    assert body["thinking"] == {"type": "enabled"}
    assert "messages[].thinking" not in dropped


@pytest.mark.parametrize("without", ["signature missing", "signature empty"])
def test_a_thinking_block_needs_no_signature_to_go_back(without: str) -> None:
    block = {"type": "thinking", "thinking": "hm"} | ({"signature": ""} if without == "signature empty" else {})
    message = {"content": [block, {"type": "tool_use", "id": "a", "name": "f", "input": {}}]}
    body, _ = encoded(ANTHROPIC, OPENAI, loop_of(message), DEEPSEEK)
    assert body["messages"][1]["reasoning_content"] == "hm"


def test_each_turn_of_a_loop_keeps_its_own_reasoning() -> None:
    turns = []
    for n in range(3):
        turns += loop_of(
            {
                "content": [
                    {"type": "thinking", "thinking": f"t{n}", "signature": ""},
                    {"type": "tool_use", "id": f"c{n}", "name": "f", "input": {}},
                ]
            }
        )["messages"][1:]
    body, _ = encoded(
        ANTHROPIC, OPENAI, {**loop_of({"content": []}), "messages": [{"role": "user", "content": "u"}, *turns]}, DEEPSEEK
    )
    assert [item["reasoning_content"] for item in body["messages"] if item["role"] == "assistant"] == ["t0", "t1", "t2"]


def test_recorded_reasoning_goes_back_through_an_anthropic_client() -> None:
    seen = 0
    for one in exchanges(endpoint="chat/completions", provider=("deepseek", "zai", "xai", "local")):
        if one.status != 200 or b"reasoning_content" not in one.response:
            continue
        message = json.loads(relayed(one.response, OPENAI, ANTHROPIC, one.is_sse, False, 1000))
        thought = "".join(block["thinking"] for block in message["content"] if block["type"] == "thinking")
        if not thought or not any(block["type"] == "tool_use" for block in message["content"]):
            continue
        assert encoded(ANTHROPIC, OPENAI, loop_of(message), DEEPSEEK)[0]["messages"][1]["reasoning_content"] == thought, one.id
        seen += 1
    assert seen >= 10


def test_sealed_thinking_beside_readable_thinking_is_named_where_it_cannot_go() -> None:
    blocks = [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "redacted_thinking", "data": "sealed"},
        {"type": "tool_use", "id": "a", "name": "f", "input": {}},
    ]
    body, dropped = encoded(ANTHROPIC, OPENAI, loop_of({"content": blocks}), DEEPSEEK)
    assert body["messages"][1]["reasoning_content"] == "hm"
    assert "messages[].thinking" in dropped
    for target, quirks in ((OPENAI, PLAIN), (OLLAMA, PLAIN)):
        assert "messages[].thinking" in encoded(ANTHROPIC, target, loop_of({"content": blocks}), quirks)[1]


# --- Anthropic's signed and sealed thinking, with an OpenAI client ------------------------


def kept_whole(data: bytes) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(data)["choices"][0]["message"]
    return message


def _deltas(data: bytes) -> list[dict[str, Any]]:
    lines = [json.loads(line[6:]) for line in data.decode().split("\n\n") if line.startswith("data: {")]
    return [line["choices"][0]["delta"] for line in lines if line["choices"]]


def kept_merged(data: bytes) -> dict[str, Any]:
    """A client that joins the pieces of each index, as the OpenAI SDKs' accumulators do for lists of indexed objects."""
    details: dict[int, dict[str, Any]] = {}
    for delta in _deltas(data):
        for piece in delta.get("reasoning_details", ()):
            held = details.setdefault(piece["index"], {})
            for name, value in piece.items():
                held[name] = held.get(name, "") + value if name in ("text", "data") else value
    return {**_kept(data), "reasoning_details": [details[index] for index in sorted(details)]}


def kept_listed(data: bytes) -> dict[str, Any]:
    """A client that appends each piece to a list."""
    return {
        **_kept(data),
        "reasoning_details": [piece for delta in _deltas(data) for piece in delta.get("reasoning_details", ())],
    }


def _kept(data: bytes) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": "", "tool_calls": [], "reasoning_content": ""}
    for delta in _deltas(data):
        message["content"] += delta.get("content") or ""
        message["reasoning_content"] += delta.get("reasoning_content") or ""
        for call in delta.get("tool_calls", ()):
            if "id" in call:
                message["tool_calls"].append({"id": call["id"], "type": "function", "function": dict(call["function"])})
            else:
                message["tool_calls"][call["index"]]["function"]["arguments"] += call["function"]["arguments"]
    return message


SIGNED_STREAM = sse(
    {"type": "message_start", "message": {"id": "m", "model": "claude", "role": "assistant", "usage": {"input_tokens": 1}}},
    *block_events(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "one "},
        {"type": "thinking_delta", "thinking": "two"},
        {"type": "signature_delta", "signature": "sig1"},
    ),
    *block_events(1, {"type": "redacted_thinking", "data": "sealed"}),
    *block_events(
        2,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "three"},
        {"type": "signature_delta", "signature": "sig2"},
    ),
    *block_events(
        3, {"type": "tool_use", "id": "t1", "name": "f", "input": {}}, {"type": "input_json_delta", "partial_json": "{}"}
    ),
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 1}},
    {"type": "message_stop"},
)
BLOCKS = [
    {"type": "thinking", "thinking": "one two", "signature": "sig1"},
    {"type": "redacted_thinking", "data": "sealed"},
    {"type": "thinking", "thinking": "three", "signature": "sig2"},
]


def back_to_anthropic(message: dict[str, Any]) -> tuple[list[Any], tuple[str, ...]]:
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "r"} for call in message["tool_calls"]]
    request = {"model": "m", "messages": [{"role": "user", "content": "u"}, message, *results], "reasoning_effort": "low"}
    body, dropped = encoded(OPENAI, ANTHROPIC, request, PLAIN)
    assert body["thinking"]["type"] == "enabled"
    return body["messages"][1]["content"], dropped


@pytest.mark.parametrize(("keep", "stream_out"), [(kept_whole, False), (kept_merged, True), (kept_listed, True)])
def test_signed_and_sealed_thinking_comes_back_unchanged(keep: Callable[[bytes], dict[str, Any]], stream_out: bool) -> None:
    message = keep(relayed(SIGNED_STREAM, ANTHROPIC, OPENAI, True, stream_out))
    blocks, dropped = back_to_anthropic(message)
    assert blocks[:3] == BLOCKS
    assert (blocks[3]["type"], "thinking" in dropped) == ("tool_use", False)


@pytest.mark.parametrize(("data", "stream_in"), [(ANTHROPIC_STREAM, True), (ANTHROPIC_WHOLE, False)])
@pytest.mark.parametrize("keep", [kept_merged, kept_listed])
def test_the_sample_replies_come_back_too(data: bytes, stream_in: bool, keep: Callable[[bytes], dict[str, Any]]) -> None:
    blocks, _ = back_to_anthropic(keep(relayed(data, ANTHROPIC, OPENAI, stream_in, True)))
    assert [block["type"] for block in blocks[:2]] == ["thinking", "redacted_thinking"]
    assert blocks[0]["signature"] == "sig==" and blocks[1]["data"] == "opaque"


def test_pieces_that_a_client_listed_go_back_to_its_own_dialect_as_they_came() -> None:
    message = kept_listed(relayed(SIGNED_STREAM, ANTHROPIC, OPENAI, True, True))
    request = {"model": "claude-sonnet-4-5", "messages": [{"role": "user", "content": "u"}, message]}
    assert encoded(OPENAI, OPENAI, request, PLAIN)[0] == request


def test_a_masked_piece_is_masked_in_its_own_dialect_too() -> None:
    message = kept_listed(relayed(SIGNED_STREAM, ANTHROPIC, OPENAI, True, True))
    request = OPENAI.decode_request(OPENAI.peek(json.dumps({"model": "m", "messages": [message]}).encode(), "chat"))
    for part in request.messages[0].parts:
        if getattr(part, "text", "") == "one two":
            part.text = "***"  # type: ignore[union-attr]
    sent = json.loads(OPENAI.encode_request(request, "m", PLAIN)[0])["messages"][0]["reasoning_details"]
    assert [item.get("text") for item in sent if item["index"] == 0] == ["***"]


def test_signatures_reach_anthropic_models_behind_openrouter() -> None:
    body, dropped = encoded(
        ANTHROPIC, OPENAI, loop_of({"content": [*BLOCKS, {"type": "tool_use", "id": "a", "name": "f", "input": {}}]}), OPENROUTER
    )
    assert body["messages"][1]["reasoning_details"] == [
        {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0, "text": "one two", "signature": "sig1"},
        {"type": "reasoning.encrypted", "format": "anthropic-claude-v1", "index": 1, "data": "sealed"},
        {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 2, "text": "three", "signature": "sig2"},
    ]
    assert "messages[].thinking" not in dropped


def test_unsigned_thinking_is_not_passed_off_as_anthropics() -> None:
    """A Kimi behind OpenRouter, with an Anthropic client: the text goes back, under nobody's name."""
    message = {
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": ""},
            {"type": "tool_use", "id": "a", "name": "f", "input": {}},
        ]
    }
    body, _ = encoded(ANTHROPIC, OPENAI, loop_of(message), OPENROUTER)
    assert body["messages"][1]["reasoning_details"] == [{"type": "reasoning.text", "format": "unknown", "index": 0, "text": "hm"}]


# --- tool envelopes are text, and calls are never written as text -----------------------------

ENVELOPE_REPLIES: dict[str, tuple[bytes, bool]] = {
    "openai_chat": (
        _openai_stream(
            {"delta": {"reasoning_content": ENVELOPES}}, {"delta": {"content": ENVELOPES}}, {"delta": {}, "finish_reason": "stop"}
        ),
        True,
    ),
    "anthropic": (
        json.dumps(
            {
                "type": "message",
                "content": [{"type": "thinking", "thinking": ENVELOPES, "signature": "s"}, {"type": "text", "text": ENVELOPES}],
                "stop_reason": "end_turn",
                "usage": {"input_tokens": 1, "output_tokens": 1},
            }
        ).encode(),
        False,
    ),
    "ollama": (
        json.dumps(
            {"model": "m", "message": {"content": ENVELOPES, "thinking": ENVELOPES}, "done": True, "done_reason": "stop"}
        ).encode()
        + b"\n",
        True,
    ),
}


def _texts(client: str, data: bytes) -> tuple[str, str, Any]:
    """Text, thinking and calls of a whole reply."""
    reply = json.loads(data)
    if client == "openai_chat":
        message = reply["choices"][0]["message"]
        return message["content"], message["reasoning_content"], message.get("tool_calls")
    if client == "anthropic":
        text = "".join(block.get("text", "") for block in reply["content"])
        calls = [block for block in reply["content"] if block["type"] == "tool_use"]
        return text, "".join(block.get("thinking", "") for block in reply["content"]), calls
    return reply["message"]["content"], reply["message"]["thinking"], reply["message"].get("tool_calls")


@pytest.mark.parametrize("client", ["openai_chat", "anthropic", "ollama"])
@pytest.mark.parametrize("upstream", ["openai_chat", "anthropic", "ollama"])
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_envelopes_in_a_reply_stay_text(upstream: str, client: str, size: int) -> None:
    data, stream = ENVELOPE_REPLIES[upstream]
    text, thinking, calls = _texts(client, relayed(data, DIALECTS[upstream], DIALECTS[client], stream, False, size))
    assert (text, thinking, calls or None) == (ENVELOPES, ENVELOPES, None)


@pytest.mark.parametrize("target", ["openai_chat", "ollama", "anthropic"])
def test_envelopes_in_a_request_stay_text_and_calls_never_become_text(target: str) -> None:
    blocks = [
        {"type": "thinking", "thinking": ENVELOPES, "signature": "s"},
        {"type": "text", "text": ENVELOPES},
        {"type": "tool_use", "id": "a", "name": "f", "input": {"a": 1}},
    ]
    request = loop_of({"content": blocks})
    request["messages"][2]["content"][0]["content"] = ENVELOPES
    body, _ = encoded(ANTHROPIC, DIALECTS[target], request, DEEPSEEK)
    assert json.dumps(body).count("<tool_call>") == 3
    plain = loop_of({"content": blocks[2:]})
    sent = json.dumps(encoded(ANTHROPIC, DIALECTS[target], plain, DEEPSEEK)[0])
    assert "<tool_call" not in sent and "<function" not in sent and "<think" not in sent
