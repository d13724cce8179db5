"""Gemini <-> OpenAI Chat and Gemini <-> Anthropic Messages, both ways, with the real codecs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.base.errors import Unsupported
from freehold.wire.dialect import Asked, Quirks, WriterOptions
from freehold.wire.registry import DIALECTS
from freehold.wire.translate import Translation
from tests.traffic import Case, cases, exchanges
from tests.wire.dialects.anthropic.samples import STREAM, WHOLE_BYTES, message_of
from tests.wire.dialects.gemini.bodies import chunk, chunks_of, dump, merged, sse

OPENAI, ANTHROPIC, GEMINI = DIALECTS["openai_chat"], DIALECTS["anthropic"], DIALECTS["gemini"]
QUIRKS = Quirks()
MODEL = "gemini-2.5-flash"


def to_gemini(source: Any, model: str = MODEL, **fields: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    body = {"model": "m", **({"max_tokens": 9} if source is ANTHROPIC else {}), **fields}
    written, dropped = GEMINI.encode_request(source.decode_request(source.peek(dump(body), "chat")), model, QUIRKS)
    found: dict[str, Any] = json.loads(written)
    return found, dropped


def from_gemini(target: Any, model: str = "m", **fields: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    peek = GEMINI.peek(dump(fields), "chat", Asked(model=MODEL))
    written, dropped = target.encode_request(GEMINI.decode_request(peek), model, QUIRKS)
    found: dict[str, Any] = json.loads(written)
    return found, dropped


def relayed(
    data: bytes, upstream: Any, client: Any, stream_in: bool, stream_out: bool, size: int = 100
) -> tuple[bytes, Translation]:
    options = WriterOptions(stream=stream_out, model="asked", call_id="c1", created_s=7, include_usage=True)
    relay = Translation(upstream.reader(stream_in), client.writer(options), len)
    out = b"".join([relay.feed(data[at : at + size]) for at in range(0, len(data), size)])
    return out + relay.close(), relay


def openai_message(data: bytes) -> dict[str, Any]:
    """The message that an OpenAI client would keep from a stream."""
    message: dict[str, Any] = {"role": "assistant", "content": "", "tool_calls": []}
    for one in (json.loads(line[6:]) for line in data.decode().splitlines() if line.startswith("data: {")):
        for choice in one["choices"]:
            message["content"] += choice["delta"].get("content") or ""
            for call in choice["delta"].get("tool_calls", []):
                if call["index"] == len(message["tool_calls"]):
                    message["tool_calls"].append(call)
                else:
                    message["tool_calls"][call["index"]]["function"]["arguments"] += call["function"]["arguments"]
    return message


# --- requests ------------------------------------------------------------------

FUNCTIONS = [{"name": n, "parameters": {"type": "OBJECT", "properties": {"a": {"type": "INTEGER"}}}} for n in ("f", "g")]
CONTENTS = [
    {"role": "user", "parts": [{"text": "u"}, {"inlineData": {"mimeType": "image/png", "data": "QQ=="}}]},
    {
        "role": "model",
        "parts": [
            {"text": "calling"},
            {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "U0lH"},
            {"functionCall": {"name": "f", "args": {"a": 2}}},
            {"functionCall": {"name": "g"}},
        ],
    },
    {
        "role": "user",
        "parts": [
            {"functionResponse": {"name": "g", "response": {"error": "no g"}}},
            {"functionResponse": {"name": "f", "response": {"result": "one"}}},
            {"functionResponse": {"name": "f", "response": {"x": [2]}}},
            {"text": "so?"},
        ],
    },
]


def test_a_tool_conversation_without_ids_crosses_to_openai() -> None:
    body, dropped = from_gemini(
        OPENAI,
        systemInstruction={"parts": [{"text": "S"}]},
        contents=CONTENTS,
        tools=[{"functionDeclarations": FUNCTIONS}],
        toolConfig={"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        generationConfig={"maxOutputTokens": 7, "stopSequences": ["E"], "topK": 3, "seed": 5, "candidateCount": 2},
    )
    assert [message["role"] for message in body["messages"]] == ["system", "user", "assistant", "tool", "tool", "tool", "user"]
    calls = body["messages"][2]["tool_calls"]
    assert [(c["function"]["name"], json.loads(c["function"]["arguments"])) for c in calls] == [
        ("f", {"a": 1}),
        ("f", {"a": 2}),
        ("g", {}),
    ]
    ids = [call["id"] for call in calls]
    assert len(set(ids)) == 3
    results = [(m["tool_call_id"], m["content"]) for m in body["messages"][3:6]]
    assert results == [(ids[2], "Error: no g"), (ids[0], "one"), (ids[1], '{"x": [2]}')]
    assert body["messages"][1]["content"][1] == {"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ=="}}
    assert body["tools"][0]["function"]["parameters"] == {"type": "object", "properties": {"a": {"type": "integer"}}}
    assert body["tool_choice"] == {"type": "function", "function": {"name": "f"}}
    assert (body["max_completion_tokens"], body["stop"], body["top_k"], body["seed"], body["n"]) == (7, ["E"], 3, 5, 2)
    assert dropped == ("messages[].tool_calls[].signature",)


def test_a_tool_conversation_crosses_to_anthropic() -> None:
    body, _ = from_gemini(ANTHROPIC, "claude-sonnet-4-5", contents=CONTENTS, tools=[{"functionDeclarations": FUNCTIONS}])
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user"]
    uses = [block for block in body["messages"][1]["content"] if block["type"] == "tool_use"]
    assert [(use["name"], use["input"]) for use in uses] == [("f", {"a": 1}), ("f", {"a": 2}), ("g", {})]
    results = body["messages"][2]["content"]
    assert [result.get("tool_use_id") for result in results] == [uses[2]["id"], uses[0]["id"], uses[1]["id"], None]
    assert results[0]["is_error"] is True


def test_an_openai_tool_conversation_crosses_to_gemini() -> None:
    body, dropped = to_gemini(
        OPENAI,
        messages=[
            {"role": "system", "content": "S"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "u"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ=="}},
                    {"type": "image_url", "image_url": {"url": "https://x.y/a.webp?z=1"}},
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
            {"role": "tool", "tool_call_id": "c2", "content": "two"},
            {"role": "tool", "tool_call_id": "c1", "content": "one"},
            {"role": "user", "content": "so?"},
            {"role": "developer", "content": "D"},
        ],
        tools=[{"type": "function", "function": {"name": n, "parameters": {"type": "object", "title": n}}} for n in ("g", "f")],
        tool_choice={"type": "function", "function": {"name": "f"}},
        max_completion_tokens=77,
        stop="END",
        n=2,
        logprobs=True,
        top_logprobs=3,
        service_tier="flex",
        user="u1",
    )
    assert body == {
        "systemInstruction": {"parts": [{"text": "S"}, {"text": "D"}]},
        "contents": [
            {
                "role": "user",
                "parts": [
                    {"text": "u"},
                    {"inlineData": {"mimeType": "image/png", "data": "QQ=="}},
                    {"fileData": {"fileUri": "https://x.y/a.webp?z=1", "mimeType": "image/webp"}},
                ],
            },
            {
                "role": "model",
                "parts": [
                    {"functionCall": {"id": "c1", "name": "f", "args": {"a": 1}}},
                    {"functionCall": {"id": "c2", "name": "g", "args": {}}},
                ],
            },
            {
                "role": "user",
                "parts": [
                    {"functionResponse": {"id": "c2", "name": "g", "response": {"output": "two"}}},
                    {"functionResponse": {"id": "c1", "name": "f", "response": {"output": "one"}}},
                    {"text": "so?"},
                ],
            },
        ],
        "tools": [
            {"functionDeclarations": [{"name": n, "parametersJsonSchema": {"type": "object", "title": n}} for n in ("g", "f")]}
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        "generationConfig": {
            "candidateCount": 2,
            "maxOutputTokens": 77,
            "stopSequences": ["END"],
            "responseLogprobs": True,
            "logprobs": 3,
        },
        "serviceTier": "flex",
    }
    assert dropped == ("user",)


def test_a_result_without_its_call_is_refused() -> None:
    with pytest.raises(Unsupported) as caught:
        to_gemini(OPENAI, messages=[{"role": "tool", "tool_call_id": "c9", "content": "r"}])
    assert caught.value.param == "messages[0].tool_call_id" and "'c9'" in caught.value.message


def test_cached_content_is_never_dropped_silently() -> None:
    for target in (OPENAI, ANTHROPIC):
        with pytest.raises(Unsupported):
            from_gemini(target, "claude-sonnet-4-5", contents=CONTENTS[:1], cachedContent="cachedContents/x")


def test_built_in_tools_and_code_execution_are_refused() -> None:
    for target in (OPENAI, ANTHROPIC):
        with pytest.raises(Unsupported):
            from_gemini(target, contents=CONTENTS[:1], tools=[{"google_search": {}}])
        with pytest.raises(Unsupported):
            from_gemini(target, contents=[{"role": "user", "parts": [{"executableCode": {"code": "1"}}]}])


@pytest.mark.parametrize(
    ("model", "asked", "config"),
    [
        (MODEL, {"reasoning_effort": "none"}, {"thinkingBudget": 0}),
        (MODEL, {"reasoning_effort": "medium"}, {"includeThoughts": True, "thinkingBudget": 8192}),
        ("gemini-2.5-pro", {"reasoning_effort": "none"}, {"thinkingBudget": 128}),
        ("gemini-3-flash-preview", {"reasoning_effort": "none"}, {"thinkingLevel": "minimal"}),
        ("gemini-3-flash-preview", {"reasoning_effort": "medium"}, {"includeThoughts": True, "thinkingLevel": "medium"}),
        ("gemini-3-pro-preview", {"reasoning_effort": "medium"}, {"includeThoughts": True, "thinkingLevel": "high"}),
        ("gemini-2.0-flash", {"reasoning_effort": "high"}, None),
        (MODEL, {}, None),
    ],
)
def test_reasoning_effort_becomes_what_the_model_takes(model: str, asked: Any, config: Any) -> None:
    body, _ = to_gemini(OPENAI, model, messages=[{"role": "user", "content": "u"}], **asked)
    assert body.get("generationConfig", {}).get("thinkingConfig") == config


def test_thinking_crosses_both_ways_with_anthropic() -> None:
    body, _ = to_gemini(
        ANTHROPIC,
        messages=[{"role": "user", "content": "u"}],
        max_tokens=9000,
        thinking={"type": "enabled", "budget_tokens": 2000},
    )
    assert body["generationConfig"]["thinkingConfig"] == {"includeThoughts": True, "thinkingBudget": 2000}
    config = {"maxOutputTokens": 9000, "thinkingConfig": {"thinkingBudget": 2000}}
    body, _ = from_gemini(ANTHROPIC, "claude-sonnet-4-5", contents=CONTENTS[:1], generationConfig=config)
    assert body["thinking"] == {"type": "enabled", "budget_tokens": 2000}


def test_a_response_schema_crosses_both_ways() -> None:
    google = {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}
    config = {"responseMimeType": "application/json", "responseSchema": google}
    body, _ = from_gemini(OPENAI, contents=CONTENTS[:1], generationConfig=config)
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    assert body["response_format"]["json_schema"]["schema"] == schema
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    body, _ = to_gemini(OPENAI, messages=[{"role": "user", "content": "u"}], response_format=form)
    assert body["generationConfig"] == {"responseMimeType": "application/json", "responseJsonSchema": schema}
    body, _ = to_gemini(OPENAI, "gemini-2.0-flash", messages=[{"role": "user", "content": "u"}], response_format=form)
    assert body["generationConfig"]["responseSchema"] == google


# --- signatures -------------------------------------------------------------------

SIGNED = chunk(
    {"text": "thinking about it", "thought": True},
    {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "U0lHTkFUVVJF"},
    {"functionCall": {"name": "g", "args": {}}},
    finish="STOP",
    usageMetadata={"promptTokenCount": 10, "candidatesTokenCount": 4, "thoughtsTokenCount": 3, "totalTokenCount": 17},
)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_call_signature_survives_a_turn_through_an_openai_client(streamed: bool) -> None:
    data, relay = relayed(sse(SIGNED) if streamed else dump(SIGNED), GEMINI, OPENAI, streamed, streamed)
    message = openai_message(data) if streamed else json.loads(data)["choices"][0]["message"]
    first, second = message["tool_calls"]
    assert first["extra_content"] == {"google": {"thought_signature": "U0lHTkFUVVJF"}}
    assert "extra_content" not in second and relay.finish == "STOP"
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "r"} for call in message["tool_calls"]]
    body, _ = to_gemini(OPENAI, "gemini-3-pro", messages=[{"role": "user", "content": "u"}, message, *results])
    assert [part.get("thoughtSignature") for part in body["contents"][1]["parts"]] == ["U0lHTkFUVVJF", None]


@pytest.mark.parametrize("streamed", [False, True])
def test_a_call_signature_survives_a_turn_through_an_anthropic_client(streamed: bool) -> None:
    data, _ = relayed(sse(SIGNED) if streamed else dump(SIGNED), GEMINI, ANTHROPIC, streamed, streamed)
    message = message_of(data) if streamed else json.loads(data)
    assert [block["type"] for block in message["content"]] == ["thinking", "thinking", "tool_use", "tool_use"]
    assert message["content"][1] == {"type": "thinking", "thinking": "", "signature": "U0lHTkFUVVJF"}
    results = [
        {"type": "tool_result", "tool_use_id": block["id"], "content": "r"}
        for block in message["content"]
        if block["type"] == "tool_use"
    ]
    turns = [
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": message["content"]},
        {"role": "user", "content": results},
    ]
    body, dropped = to_gemini(ANTHROPIC, "gemini-3-pro", messages=turns)
    assert [part.get("thoughtSignature") for part in body["contents"][1]["parts"]] == ["U0lHTkFUVVJF", None]
    assert dropped == ("thinking",)  # the thought's text, which the API does not ask back


def test_calls_that_no_gemini_model_signed_are_marked_so_where_signatures_are_wanted() -> None:
    turns = [
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": i, "name": "f", "input": {}} for i in ("a", "b")]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": i, "content": "r"} for i in ("a", "b")]},
    ]
    for model, expected in (("gemini-3-pro", "skip_thought_signature_validator"), (MODEL, None)):
        body, _ = to_gemini(ANTHROPIC, model, messages=turns)
        assert [part.get("thoughtSignature") for part in body["contents"][1]["parts"]] == [expected, None]


def test_signed_thinking_of_another_maker_is_not_sent_as_a_call_signature() -> None:
    turns = [
        {"role": "user", "content": "u"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "claudes"},
                {"type": "tool_use", "id": "a", "name": "f", "input": {}},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "r"}]},
    ]
    body, dropped = to_gemini(ANTHROPIC, messages=turns)
    assert "claudes" not in json.dumps(body) and dropped == ("thinking",)


def test_gemini_thoughts_are_not_presented_as_anthropics_to_openai_clients() -> None:
    reply = chunk({"text": "t", "thought": True, "thoughtSignature": "UVE9PQ"}, {"text": "a"}, finish="STOP")
    message = json.loads(relayed(dump(reply), GEMINI, OPENAI, False, False)[0])["choices"][0]["message"]
    assert message["reasoning_content"] == "t"
    assert message["reasoning_details"][0]["format"] == "google-gemini-v1"
    asked = [{"role": "user", "content": "u"}, message, {"role": "user", "content": "v"}]
    peek = OPENAI.peek(dump({"model": "m", "messages": asked}), "chat")
    body, _ = ANTHROPIC.encode_request(OPENAI.decode_request(peek), "claude-sonnet-4-5", QUIRKS)
    assert b"UVE9PQ" not in body


# --- replies -------------------------------------------------------------------

GEMINI_STREAM = sse(
    chunk({"text": "Hi "}, usageMetadata={"promptTokenCount": 20}),
    chunk({"text": "there"}),
    chunk({"functionCall": {"name": "f", "args": {"x": 1}}}),
    chunk(
        {"functionCall": {"name": "f", "args": {}}},
        finish="STOP",
        usageMetadata={
            "promptTokenCount": 20,
            "cachedContentTokenCount": 15,
            "candidatesTokenCount": 5,
            "thoughtsTokenCount": 3,
            "totalTokenCount": 28,
        },
    ),
)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 400))
def test_a_gemini_stream_reaches_an_anthropic_client(size: int) -> None:
    data, relay = relayed(GEMINI_STREAM, GEMINI, ANTHROPIC, True, True, size)
    message = message_of(data)
    assert [block.get("text") or (block["name"], block["input"]) for block in message["content"]] == [
        "Hi there",
        ("f", {"x": 1}),
        ("f", {}),
    ]
    usage = message["usage"]
    assert (usage["input_tokens"], usage["cache_read_input_tokens"], usage["output_tokens"]) == (5, 15, 8)
    assert (message["stop_reason"], message["model"], relay.done) == ("tool_use", "gemini-x", True)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 400))
def test_a_gemini_stream_reaches_an_openai_client(size: int) -> None:
    data, relay = relayed(GEMINI_STREAM, GEMINI, OPENAI, True, True, size)
    message = openai_message(data)
    assert message["content"] == "Hi there" and relay.done
    ids = [call["id"] for call in message["tool_calls"]]
    assert ids == ["call_R-1_0_1", "call_R-1_0_2"]
    assert b'"finish_reason":"tool_calls"' in data and data.endswith(b"data: [DONE]\n\n")


def test_a_blocked_prompt_ends_as_filtered() -> None:
    blocked = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}, "modelVersion": "g"}
    for stream in (False, True):
        data = sse(blocked) if stream else dump(blocked)
        reply = json.loads(relayed(data, GEMINI, OPENAI, stream, False)[0])
        assert [choice["finish_reason"] for choice in reply["choices"]] == ["content_filter"]
        assert json.loads(relayed(data, GEMINI, ANTHROPIC, stream, False)[0])["stop_reason"] == "refusal"


def _openai_stream(*deltas: dict[str, Any], finish: str) -> bytes:
    base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 5, "model": "gpt-x"}
    chunks = [base | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks.append(base | {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    chunks.append(base | {"choices": [], "usage": {"prompt_tokens": 20, "completion_tokens": 8, "total_tokens": 28}})
    return sse(*chunks, end=b"\n\n") + b"data: [DONE]\n\n"


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 400))
def test_an_openai_stream_with_interleaved_calls_reaches_a_gemini_client(size: int) -> None:
    call = lambda index, **fields: {"tool_calls": [{"index": index, **fields}]}  # noqa: E731
    data, relay = relayed(
        _openai_stream(
            {"role": "assistant", "content": "Hi"},
            {"content": " there"},
            call(0, id="a", type="function", function={"name": "f", "arguments": ""}),
            call(0, function={"arguments": '{"x":'}),
            call(1, id="b", type="function", function={"name": "g", "arguments": "{}"}),
            call(0, function={"arguments": " 1}"}),
            finish="tool_calls",
        ),
        OPENAI,
        GEMINI,
        True,
        True,
        size,
    )
    reply = merged(chunks_of(data))
    assert reply["candidates"][0]["parts"] == [
        {"text": "Hi there"},
        {"functionCall": {"name": "f", "id": "a", "args": {"x": 1}}},
        {"functionCall": {"name": "g", "id": "b", "args": {}}},
    ]
    assert reply["candidates"][0]["finishReason"] == "STOP" and relay.done
    assert reply["usageMetadata"] == {"promptTokenCount": 20, "candidatesTokenCount": 8, "totalTokenCount": 28}


@pytest.mark.parametrize("stream_in", [True, False])
@pytest.mark.parametrize("stream_out", [True, False])
def test_an_anthropic_reply_reaches_a_gemini_client(stream_in: bool, stream_out: bool) -> None:
    data, relay = relayed(STREAM if stream_in else WHOLE_BYTES, ANTHROPIC, GEMINI, stream_in, stream_out)
    reply = merged(chunks_of(data) if stream_out else [json.loads(data)])
    parts = reply["candidates"][0]["parts"]
    assert relay.done and "".join(part.get("text", "") for part in parts if not part.get("thought")) == (
        'Grüße \U0001f600 "text_delta"'
    )
    calls = [part["functionCall"] for part in parts if "functionCall" in part]
    assert calls == [{"name": "add", "id": "toolu_1", "args": {"a": 1, "b": 2}}, {"name": "now", "id": "toolu_2", "args": {}}]
    assert reply["usageMetadata"]["promptTokenCount"] == 22 and reply["usageMetadata"]["cachedContentTokenCount"] == 5


# --- recorded conversations ----------------------------------------------------


def _said(request: dict[str, Any]) -> list[str]:
    """All texts of a Gemini request that a model would read as the conversation."""
    parts = [part for content in request["contents"] for part in content.get("parts", [])]
    return [part["text"] for part in parts if part.get("text") and not part.get("thought")]


def _texts(body: dict[str, Any]) -> list[str]:
    found: list[str] = []
    for message in body["messages"]:
        if message["role"] in ("system", "developer", "tool"):
            continue
        content = message["content"]
        blocks = content if isinstance(content, list) else [{"type": "text", "text": content}]
        found += [block["text"] for block in blocks if block.get("type") == "text" and block["text"]]
    return found


def _tried(case: Case, turn: str, dialect: str) -> dict[str, Any] | None:
    request = case.of(dialect, turn).get("request")
    return None if request is None else {name: value for name, value in request.items() if name != "model"}


@pytest.mark.parametrize("turn", ["", "followup-"])
@pytest.mark.parametrize(("name", "target", "model"), [("o", OPENAI, "gpt-4o"), ("a", ANTHROPIC, "claude-sonnet-4-5")])
def test_every_google_case_crosses_with_its_text(turn: str, name: str, target: Any, model: str) -> None:
    crossed = 0
    for case in cases():
        request = _tried(case, turn, "google")
        if request is None:
            continue
        try:
            body, _ = from_gemini(target, model, **request)
        except Unsupported:
            continue
        assert "".join(_texts(body)).split() == "".join(_said(request)).split(), case.name
        crossed += 1
    assert crossed > 12


@pytest.mark.parametrize("turn", ["", "followup-"])
@pytest.mark.parametrize(("name", "source"), [("chat-completions", OPENAI), ("anthropic", ANTHROPIC)])
@pytest.mark.parametrize("model", ["gemini-3-flash-preview", "gemini-1.5-pro"])
def test_every_case_crosses_to_gemini_with_its_text(turn: str, name: str, source: Any, model: str) -> None:
    crossed = 0
    for case in cases():
        request = _tried(case, turn, name)
        if request is None:
            continue
        try:
            body, _ = to_gemini(source, model, **request)
        except Unsupported:
            continue
        assert "".join(_said(body)).split() == "".join(_texts(request)).split(), case.name
        crossed += 1
    assert crossed > 20


def test_every_google_case_reply_crosses_with_its_text_and_calls() -> None:
    crossed = 0
    for case in cases():
        for turn in ("", "followup-"):
            files = case.of("google", turn)
            for form in ("response", "response-streaming"):
                reply = files.get(form)
                if reply is None or "inlineData" in json.dumps(reply):
                    continue
                stream = form != "response"
                data = sse(*reply) if stream else dump(reply)
                parts = merged(reply if stream else [reply])["candidates"].get(0, {"parts": []})["parts"]
                said = "".join(part.get("text", "") for part in parts if not part.get("thought"))
                calls = [part["functionCall"]["args"] for part in parts if "functionCall" in part]
                message = json.loads(relayed(data, GEMINI, OPENAI, stream, False)[0])["choices"][0]["message"]
                assert (message["content"] or "") == said, case.name
                got = [json.loads(call["function"]["arguments"]) for call in message.get("tool_calls", [])]
                assert got == calls, case.name
                content = json.loads(relayed(data, GEMINI, ANTHROPIC, stream, False)[0])["content"]
                assert "".join(block["text"] for block in content if block["type"] == "text") == said, case.name
                crossed += 1
    assert crossed > 60


def test_recorded_gemini_replies_reach_other_clients_whole_and_streamed() -> None:
    crossed = 0
    for one in exchanges(endpoint=("generateContent", "streamGenerateContent"), provider=("gemini", "vertex")):
        if one.status != 200 or "batch" in one.request:
            continue
        for stream_out in (True, False):
            data, relay = relayed(one.response, GEMINI, ANTHROPIC, one.is_sse, stream_out, 1000)
            message = message_of(data) if stream_out else json.loads(data)
            assert relay.done and message["stop_reason"] in ("end_turn", "tool_use", "max_tokens"), one.id
            data, relay = relayed(one.response, GEMINI, OPENAI, one.is_sse, stream_out, 1000)
            assert relay.done and (data.endswith(b"[DONE]\n\n") if stream_out else json.loads(data)["choices"]), one.id
        crossed += 1
    assert crossed > 300


def test_recorded_replies_of_others_reach_a_gemini_client_whole_and_streamed() -> None:
    crossed = 0
    wanted = [("chat/completions", OPENAI), ("messages", ANTHROPIC)]
    for endpoint, dialect in wanted:
        for one in exchanges(endpoint=endpoint, provider=("openai", "groq", "anthropic")):
            if one.status != 200:
                continue
            for stream_out in (True, False):
                data, relay = relayed(one.response, dialect, GEMINI, one.is_sse, stream_out, 1000)
                if not relay.done:
                    continue
                reply = merged(chunks_of(data) if stream_out else [json.loads(data)])
                assert all(choice["finishReason"] for choice in reply["candidates"].values()), one.id
                assert reply["candidates"] and reply["modelVersion"] and reply["responseId"], one.id
                crossed += 1
    assert crossed > 300
