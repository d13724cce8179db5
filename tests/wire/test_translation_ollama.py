"""Ollama <-> OpenAI Chat and Anthropic Messages, both ways, with the real codecs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.base.errors import InvalidRequest, Unsupported
from freehold.wire.dialect import NOTHING_ASKED, Asked, Peek, Quirks, WriterOptions
from freehold.wire.registry import DIALECTS
from freehold.wire.translate import Translation
from tests.traffic import cases, exchanges
from tests.wire.dialects.anthropic.samples import STREAM as ANTHROPIC_STREAM
from tests.wire.dialects.anthropic.samples import WHOLE_BYTES as ANTHROPIC_WHOLE
from tests.wire.dialects.anthropic.samples import message_of
from tests.wire.dialects.ollama.samples import PNG, STREAM, WHOLE, dump, lines_of
from tests.wire.test_translation import OPENAI_STREAM

OPENAI, ANTHROPIC, OLLAMA = DIALECTS["openai_chat"], DIALECTS["anthropic"], DIALECTS["ollama"]
GENERATE = Asked(path="/api/generate")
QUIRKS = Quirks()


def crossed(
    source: Any, target: Any, quirks: Quirks = QUIRKS, asked: Asked = NOTHING_ASKED, **fields: Any
) -> tuple[dict[str, Any], tuple[str, ...]]:
    peek = source.peek(json.dumps({"model": "m", **fields}).encode(), "chat", asked)
    body, dropped = target.encode_request(source.decode_request(peek), "claude-sonnet-4-5", quirks)
    found: dict[str, Any] = json.loads(body)
    return found, dropped


def relayed(
    data: bytes, upstream: Any, client: Any, stream_in: bool, stream_out: bool, size: int = 100, peek: Peek | None = None
) -> tuple[bytes, Translation]:
    options = WriterOptions(stream=stream_out, model="asked", call_id="c1", created_s=7, include_usage=True, peek=peek)
    relay = Translation(upstream.reader(stream_in), client.writer(options), len)
    out = b"".join([relay.feed(data[at : at + size]) for at in range(0, len(data), size)])
    return out + relay.close(), relay


# --- requests ------------------------------------------------------------------

OLLAMA_CHAT: dict[str, Any] = {
    "messages": [
        {"role": "system", "content": "S"},
        {"role": "user", "content": "u", "images": [PNG]},
        {
            "role": "assistant",
            "content": "",
            "thinking": "hm",
            "tool_calls": [{"function": {"name": n, "arguments": {"a": 1}}} for n in "fg"],
        },
        {"role": "tool", "tool_name": "g", "content": "from g"},
        {"role": "tool", "tool_name": "f", "content": "from f"},
        {"role": "user", "content": "so?"},
    ],
    "tools": [{"type": "function", "function": {"name": n, "parameters": {"type": "object"}}} for n in "fg"],
    "format": {"type": "object", "properties": {}},
    "keep_alive": "5m",
    "options": {"temperature": 0.5, "num_predict": 9000, "stop": ["END"], "num_ctx": 4096},
}


def test_an_ollama_tool_conversation_crosses_to_openai() -> None:
    body, dropped = crossed(OLLAMA, OPENAI, Quirks(reasoning="thinking_object"), **OLLAMA_CHAT)
    assert body["messages"] == [
        {"role": "system", "content": "S"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "u"},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "reasoning_content": "hm",
            "tool_calls": [
                {"id": f"call_2_{n}", "type": "function", "function": {"name": name, "arguments": '{"a": 1}'}}
                for n, name in enumerate("fg")
            ],
        },
        {"role": "tool", "tool_call_id": "call_2_1", "content": "from g"},
        {"role": "tool", "tool_call_id": "call_2_0", "content": "from f"},
        {"role": "user", "content": "so?"},
    ]
    assert body["tools"] == OLLAMA_CHAT["tools"]
    assert body["response_format"]["json_schema"]["schema"] == OLLAMA_CHAT["format"]
    assert (body["stream"], body["temperature"], body["max_completion_tokens"], body["stop"]) == (True, 0.5, 9000, ["END"])
    assert set(dropped) == {"keep_alive", "options.num_ctx"}


def test_an_ollama_tool_conversation_crosses_to_anthropic() -> None:
    body, dropped = crossed(OLLAMA, ANTHROPIC, **OLLAMA_CHAT)
    assert (body["system"], body["max_tokens"], body["stream"]) == ("S", 9000, True)
    assert body["messages"][0]["content"][1] == {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": PNG},
    }
    assert [block["id"] for block in body["messages"][1]["content"]] == ["call_2_0", "call_2_1"]
    assert [block.get("tool_use_id") for block in body["messages"][2]["content"]] == ["call_2_1", "call_2_0", None]
    assert set(dropped) == {"keep_alive", "options.num_ctx", "thinking"}


@pytest.mark.parametrize("target", [OPENAI, ANTHROPIC])
def test_a_prompt_crosses_as_one_turn(target: Any) -> None:
    body, _ = crossed(OLLAMA, target, asked=GENERATE, prompt="p", system="S", think=False, stream=False, raw=False, context=[])
    texts = [message["content"] for message in body["messages"]]
    assert (texts, body["stream"]) == ((["S", "p"] if target is OPENAI else ["p"]), False)


@pytest.mark.parametrize("target", [OPENAI, ANTHROPIC])
@pytest.mark.parametrize(
    "fields", [{"suffix": "}"}, {"context": [1]}, {"template": "{{ .Prompt }}"}, {"raw": True}, {"prompt": ""}]
)
def test_what_only_a_native_generate_can_do_is_refused(target: Any, fields: dict[str, Any]) -> None:
    with pytest.raises(Unsupported) as caught:
        crossed(OLLAMA, target, asked=GENERATE, **{"prompt": "p", **fields})
    assert next(iter(fields)) in caught.value.message or "load the model" in caught.value.message


@pytest.mark.parametrize("target", [OPENAI, ANTHROPIC])
def test_a_chat_that_only_loads_the_model_is_refused(target: Any) -> None:
    with pytest.raises(Unsupported, match="load the model"):
        crossed(OLLAMA, target, messages=[])


def test_an_openai_tool_conversation_crosses_to_ollama_with_its_arguments_as_objects() -> None:
    calls = [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1.0}'}}]
    body, dropped = crossed(
        OPENAI,
        OLLAMA,
        messages=[
            {"role": "user", "content": "u"},
            {"role": "assistant", "content": None, "reasoning_content": "hm", "tool_calls": calls},
            {"role": "tool", "tool_call_id": "c1", "content": "r"},
        ],
        tools=OLLAMA_CHAT["tools"],
        response_format={"type": "json_object"},
        reasoning_effort="low",
        max_tokens=7,
    )
    assert body["messages"] == [
        {"role": "user", "content": "u"},
        {
            "role": "assistant",
            "content": "",
            "thinking": "hm",
            "tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": {"a": 1.0}}}],
        },
        {"role": "tool", "content": "r", "tool_call_id": "c1", "tool_name": "f"},
    ]
    assert (body["format"], body["think"], body["options"], body["stream"]) == ("json", "low", {"num_predict": 7}, False)
    assert dropped == ()


@pytest.mark.parametrize(("name", "source"), [("chat-completions", OPENAI), ("anthropic", ANTHROPIC)])
@pytest.mark.parametrize("turn", ["", "followup-"])
def test_every_case_crosses_to_ollama_with_its_text_in_order(name: str, source: Any, turn: str) -> None:
    seen = 0
    for case in cases():
        request = case.of(name, turn).get("request")
        if request is None:
            continue
        try:
            body, _ = crossed(source, OLLAMA, **request)
        except Unsupported:
            continue
        said = "".join(_texts([{"content": request.get("system")}, *request["messages"]]))
        got = "".join(message["content"] for message in body["messages"])
        assert got.replace("\n", "") == said.replace("\n", ""), case.name
        # and back again: what was sent to Ollama is a request that an Ollama client may send
        peek = OLLAMA.peek(json.dumps(body).encode(), "chat")
        assert json.loads(OLLAMA.encode_request(OLLAMA.decode_request(peek), body["model"], QUIRKS)[0]) == body, case.name
        seen += 1
    assert seen > 20


def _texts(messages: list[dict[str, Any]]) -> list[str]:
    found: list[str] = []
    for message in messages:
        content = message.get("content")
        for block in [{"type": "text", "text": content}] if isinstance(content, str) else content or []:
            if block.get("type") == "tool_result":
                prefix = "Error: " if block.get("is_error") else ""
                found += [prefix, *_texts([{"content": block.get("content")}])]
            elif block.get("type") in ("text", "refusal"):
                found.append(block[block["type"]])
        if message.get("refusal"):
            found.append(message["refusal"])
    return found


def test_every_recorded_ollama_request_crosses_to_both() -> None:
    for one in exchanges(endpoint=("/api/chat", "/api/generate")):
        asked = GENERATE if "prompt" in one.request else Asked(path="/api/chat")
        for target in (OPENAI, ANTHROPIC):
            try:
                body, _ = crossed(OLLAMA, target, asked=asked, **{**one.request, "model": "m"})
            except InvalidRequest:
                assert target is ANTHROPIC and one.id == "ef0a74a78801"  # begins with an assistant's call
                continue
            assert body["stream"] is one.request["stream"]


# --- replies -------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 400))
def test_an_openai_stream_reaches_an_ollama_client(size: int) -> None:
    data, relay = relayed(OPENAI_STREAM, OPENAI, OLLAMA, True, True, size)
    lines = lines_of(data)
    assert [line["message"]["content"] for line in lines] == ["Hi ", "there", "", ""]
    assert [call["function"]["arguments"] for call in lines[2]["message"]["tool_calls"]] == [{"x": 1}, {}]
    last = lines[-1]
    assert (last["done"], last["done_reason"], last["prompt_eval_count"], last["eval_count"]) == (True, "stop", 20, 8)
    assert relay.done


@pytest.mark.parametrize(("data", "stream_in"), [(ANTHROPIC_STREAM, True), (ANTHROPIC_WHOLE, False)])
@pytest.mark.parametrize("stream_out", [True, False])
def test_an_anthropic_reply_reaches_an_ollama_client(data: bytes, stream_in: bool, stream_out: bool) -> None:
    out, relay = relayed(data, ANTHROPIC, OLLAMA, stream_in, stream_out)
    lines = lines_of(out)
    assert relay.done
    assert "".join(line["message"]["content"] for line in lines) == 'Grüße \U0001f600 "text_delta"'
    assert "".join(line["message"].get("thinking", "") for line in lines) == 'Let me see: message_stop "error"'
    calls = [call["function"] for line in lines for call in line["message"].get("tool_calls", [])]
    assert [(call["name"], call["arguments"]) for call in calls] == [("add", {"a": 1, "b": 2}), ("now", {})]
    assert (lines[-1]["prompt_eval_count"], lines[-1]["eval_count"]) == (22, 42)


@pytest.mark.parametrize(("data", "stream_in"), [(STREAM, True), (dump(WHOLE), False)])
@pytest.mark.parametrize("stream_out", [True, False])
def test_an_ollama_reply_reaches_an_anthropic_client(data: bytes, stream_in: bool, stream_out: bool) -> None:
    out, relay = relayed(data, OLLAMA, ANTHROPIC, stream_in, stream_out)
    message = message_of(out) if stream_out else json.loads(out)
    assert relay.done and message["stop_reason"] == "tool_use"
    assert [block["type"] for block in message["content"]] == ["thinking", "text", "tool_use", "tool_use"]
    assert [(block["id"], block["input"]) for block in message["content"][2:]] == [("call_a", {"b": 1, "a": 2.5}), ("call_b", {})]
    assert (message["usage"]["input_tokens"], message["usage"]["output_tokens"]) == (12, 34)


@pytest.mark.parametrize(("data", "stream_in"), [(STREAM, True), (dump(WHOLE), False)])
def test_an_ollama_reply_reaches_an_openai_client(data: bytes, stream_in: bool) -> None:
    out, relay = relayed(data, OLLAMA, OPENAI, stream_in, False)
    reply = json.loads(out)
    (choice,) = reply["choices"]
    assert relay.done and choice["finish_reason"] == "tool_calls"
    assert choice["message"]["reasoning_content"] == 'Let me see: "done":true "error"'
    assert [call["function"]["arguments"] for call in choice["message"]["tool_calls"]] == ['{"b": 1, "a": 2.5}', "{}"]
    assert (reply["usage"]["prompt_tokens"], reply["usage"]["completion_tokens"]) == (12, 34)


def test_a_reply_to_generate_is_written_in_its_form() -> None:
    peek = OLLAMA.peek(b'{"model":"m","prompt":"p"}', "chat", GENERATE)
    out, _ = relayed(OPENAI_STREAM, OPENAI, OLLAMA, True, True, peek=peek)
    assert "".join(line["response"] for line in lines_of(out)) == "Hi there"


def test_recorded_openai_and_anthropic_replies_reach_an_ollama_client() -> None:
    seen = 0
    for upstream, chosen in (
        (OPENAI, exchanges(endpoint="chat/completions", provider=("openai", "deepseek", "ollama", "openrouter"))),
        (ANTHROPIC, exchanges(endpoint="messages", provider="anthropic")),
    ):
        for one in chosen:
            if one.status != 200:
                continue
            for stream_out in (True, False):
                data, relay = relayed(one.response, upstream, OLLAMA, one.is_sse, stream_out, 1000)
                if relay.done:
                    last = lines_of(data)[-1] if stream_out else json.loads(data)
                    assert last["done"] is True and last["model"], one.id
            seen += 1
    assert seen > 300


def test_a_tool_loop_through_an_openai_client_on_an_ollama_server() -> None:
    """Ollama's calls without ids -> OpenAI message -> the client's next request -> Ollama: each result finds its call."""
    whole = {
        **WHOLE,
        "message": {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"function": {"name": n, "arguments": {}}} for n in "fgf"],
        },
    }
    message = json.loads(relayed(dump(whole), OLLAMA, OPENAI, False, False)[0])["choices"][0]["message"]
    ids = [call["id"] for call in message["tool_calls"]]
    assert len(set(ids)) == 3
    results = [{"role": "tool", "tool_call_id": one, "content": one} for one in ids]
    body, _ = crossed(OPENAI, OLLAMA, messages=[{"role": "user", "content": "u"}, message, *results])
    assert [(item["tool_name"], item["tool_call_id"], item["content"]) for item in body["messages"][2:]] == [
        (name, one, one) for name, one in zip("fgf", ids, strict=True)
    ]
