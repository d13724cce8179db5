"""OpenAI Responses <-> OpenAI Chat and Anthropic Messages, both ways, with the real codecs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.base.errors import InvalidRequest, Unsupported
from freehold.wire.chat import Text
from freehold.wire.dialect import Dialect, Quirks, WriterOptions
from freehold.wire.fold import fold
from freehold.wire.registry import DIALECTS
from freehold.wire.translate import Translation
from tests.traffic import Recorded, cases, exchanges
from tests.wire.dialects.anthropic.samples import STREAM, WHOLE_BYTES, message_of
from tests.wire.dialects.openai_responses.bodies import RESPONSE, as_the_sdk_reads, events_of
from tests.wire.dialects.openai_responses.bodies import STREAM as RESPONSES_STREAM
from tests.wire.dialects.openai_responses.description import event_schemas, violations

CHAT, ANTHROPIC, RESPONSES = DIALECTS["openai_chat"], DIALECTS["anthropic"], DIALECTS["openai_responses"]
QUIRKS = Quirks()
DEEPSEEK = Quirks(reasoning="thinking_object", stream_usage="always")
CLAUDE = "claude-sonnet-4-5"
Body = dict[str, Any]


def across(source: Dialect, target: Dialect, body: Body, model: str, quirks: Quirks = QUIRKS) -> tuple[Body, tuple[str, ...]]:
    peek = source.peek(json.dumps(body).encode(), "chat")
    encoded, dropped = target.encode_request(source.decode_request(peek), model, quirks)
    found: Body = json.loads(encoded)
    return found, dropped


def from_responses(target: Dialect, quirks: Quirks = QUIRKS, **fields: Any) -> tuple[Body, tuple[str, ...]]:
    return across(RESPONSES, target, {"model": "m", **fields}, CLAUDE if target is ANTHROPIC else "gpt-4o", quirks)


def to_responses(source: Dialect, **fields: Any) -> tuple[Body, tuple[str, ...]]:
    limit = {"max_tokens": 99} if source is ANTHROPIC else {}
    return across(source, RESPONSES, {"model": "m", **limit, **fields}, "gpt-5")


def relayed(data: bytes, upstream: Dialect, client: Dialect, stream_in: bool, stream_out: bool, size: int = 200) -> bytes:
    options = WriterOptions(stream=stream_out, model="asked", call_id="call_1", created_s=7, include_usage=True)
    relay = Translation(upstream.reader(stream_in), client.writer(options), len)
    out = b"".join([relay.feed(data[at : at + size]) for at in range(0, len(data), size)]) + relay.close()
    assert relay.done and relay.failure is None
    return out


def response_of(data: bytes, upstream: Dialect, stream_in: bool, stream_out: bool, size: int = 200) -> Body:
    out = relayed(data, upstream, RESPONSES, stream_in, stream_out, size)
    found: Body = events_of(out)[-1]["response"] if stream_out else json.loads(out)
    return found


def chat_message(data: bytes, stream_in: bool) -> Body:
    found: Body = json.loads(relayed(data, RESPONSES, CHAT, stream_in, False))["choices"][0]["message"]
    return found


def anthropic_message(data: bytes, stream_in: bool, stream_out: bool) -> Body:
    out = relayed(data, RESPONSES, ANTHROPIC, stream_in, stream_out)
    return message_of(out) if stream_out else json.loads(out)  # type: ignore[no-any-return]


# --- requests -------------------------------------------------------------------------


CONVERSATION: Body = {
    "instructions": "S",
    "input": [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "u"},
                {"type": "input_image", "image_url": "data:image/png;base64,QQ==", "detail": "auto"},
            ],
        },
        {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [
            {"type": "output_text", "text": "let me see", "annotations": []}]},
        {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": '{"a": 1}'},
        {"type": "function_call", "call_id": "c2", "name": "g", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "one"},
        {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "two"}]},
        {"role": "user", "content": "so?"},
    ],
    "tools": [{"type": "function", "name": n, "parameters": {"type": "object"}, "strict": False} for n in ("g", "f")],
    "tool_choice": "required",
    "parallel_tool_calls": False,
    "max_output_tokens": 77,
    "store": False,
    "include": ["reasoning.encrypted_content"],
}  # fmt: skip


def test_a_tool_conversation_crosses_to_anthropic() -> None:
    body, dropped = from_responses(ANTHROPIC, **CONVERSATION)
    assert dropped == ()
    assert body == {
        "model": CLAUDE,
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
                    {"type": "text", "text": "let me see"},
                    {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}},
                    {"type": "tool_use", "id": "c2", "name": "g", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "c1", "content": "one"},
                    {"type": "tool_result", "tool_use_id": "c2", "content": [{"type": "text", "text": "two"}]},
                    {"type": "text", "text": "so?"},
                ],
            },
        ],
        "tools": [{"name": n, "input_schema": {"type": "object"}} for n in ("g", "f")],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
    }


def test_a_tool_conversation_crosses_to_chat() -> None:
    body, dropped = from_responses(CHAT, **CONVERSATION)
    assert dropped == ()
    calls = [
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
        {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
    ]
    assert body["messages"] == [
        {"role": "system", "content": "S"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "u"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ==", "detail": "auto"}},
            ],
        },
        {"role": "assistant", "content": "let me see", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "c1", "content": "one"},
        {"role": "tool", "tool_call_id": "c2", "content": "two"},
        {"role": "user", "content": "so?"},
    ]
    assert (body["tool_choice"], body["parallel_tool_calls"], body["max_completion_tokens"]) == ("required", False, 77)


@pytest.mark.parametrize("other", [CHAT, ANTHROPIC])
def test_a_tool_conversation_comes_back_the_same(other: Dialect) -> None:
    there, _ = from_responses(other, **CONVERSATION)
    back, dropped = to_responses(other, **{**there, "model": "m"})
    assert dropped == ()
    expected = {name: CONVERSATION[name] for name in ("instructions", "tools", "tool_choice", "parallel_tool_calls", "store")}
    assert {name: back[name] for name in expected} == expected
    kinds = [(item["type"], item.get("call_id")) for item in back["input"]]
    assert kinds == [
        ("message", None),
        ("message", None),
        ("function_call", "c1"),
        ("function_call", "c2"),
        ("function_call_output", "c1"),
        ("function_call_output", "c2"),
        ("message", None),
    ]
    assert [item["output"] for item in back["input"][4:6]] == ["one", "two"]


def test_an_image_in_a_result_goes_beside_it_where_chat_takes_none_there() -> None:
    results = [
        {"type": "function_call_output", "call_id": "c1", "output": [
            {"type": "input_text", "text": "see"}, {"type": "input_image", "image_url": "https://a.example/x.png"}]},
        {"type": "function_call_output", "call_id": "c2", "output": "two"},
    ]  # fmt: skip
    calls = [{"type": "function_call", "call_id": f"c{n}", "name": "f", "arguments": "{}"} for n in (1, 2)]
    body, _ = from_responses(CHAT, input=[{"role": "user", "content": "u"}, *calls, *results])
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "tool", "tool", "user"]
    native, _ = from_responses(ANTHROPIC, input=[{"role": "user", "content": "u"}, *calls, *results])
    assert [block["type"] for block in native["messages"][2]["content"][0]["content"]] == ["text", "image"]


def test_turns_that_say_nothing_and_refusals_cross() -> None:
    items = [
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": []},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "I won't."}]},
        {"role": "user", "content": "ok"},
    ]
    chat, _ = from_responses(CHAT, input=items)
    assert chat["messages"][2] == {"role": "assistant", "refusal": "I won't.", "content": None}
    native, _ = from_responses(ANTHROPIC, input=items)
    assert [message["role"] for message in native["messages"]] == ["user", "assistant", "user"]
    assert native["messages"][1]["content"] == [{"type": "text", "text": "I won't."}]
    back, _ = to_responses(CHAT, messages=chat["messages"])
    assert back["input"][1]["content"] == [{"type": "refusal", "refusal": "I won't."}]


@pytest.mark.parametrize("target", [CHAT, ANTHROPIC])
@pytest.mark.parametrize(
    "fields",
    [
        {"input": "u", "tools": [{"type": "web_search"}]},
        {"input": "u", "tools": [{"type": "custom", "name": "c"}]},
        {"input": [{"role": "user", "content": "u"}, {"type": "item_reference", "id": "msg_1"}]},
        {"input": [{"role": "user", "content": "u"}, {"type": "compaction", "encrypted_content": "x"}]},
        {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "file_1"}]}]},
    ],
)
def test_what_only_this_api_has_is_refused_by_others(target: Dialect, fields: Body) -> None:
    with pytest.raises(Unsupported):
        from_responses(target, **fields)


def test_knobs_cross_between_openais_two_apis() -> None:
    body, dropped = from_responses(
        CHAT,
        input="u",
        temperature=0.5,
        service_tier="flex",
        reasoning={"effort": "low"},
        include=["message.output_text.logprobs"],
        top_logprobs=2,
        text={"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}},
    )
    assert dropped == ()
    assert (body["temperature"], body["service_tier"], body["reasoning_effort"]) == (0.5, "flex", "low")
    assert (body["logprobs"], body["top_logprobs"]) == (True, 2)
    assert body["response_format"]["json_schema"] == {"name": "n", "schema": {"type": "object"}, "strict": True}
    back, _ = to_responses(CHAT, **{**body, "model": "m"})
    assert back["text"]["format"] == {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}
    assert (back["reasoning"], back["service_tier"], back["top_logprobs"]) == ({"effort": "low"}, "flex", 2)


def test_a_restriction_of_tools_that_is_lost_is_named() -> None:
    tools = [{"type": "function", "name": "f"}]
    choice = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]}
    for target in (CHAT, ANTHROPIC):
        assert "tool_choice.allowed_tools" in from_responses(target, input="u", tools=tools, tool_choice=choice)[1]


# --- the cases ------------------------------------------------------------------------------


def _texts(value: Any) -> list[str]:
    """All texts in messages or items that a model would read, in order."""
    found: list[str] = []
    for item in value:
        content = item.get("content", item.get("output")) if item.get("type") != "reasoning" else None
        for block in content if isinstance(content, list) else [{"text": content}]:
            inner = block.get("content") if block.get("type") == "tool_result" else None
            if inner is not None:
                found += [inner] if isinstance(inner, str) else [held["text"] for held in inner if "text" in held]
            found.append(block.get("text"))
    return [text for text in found if isinstance(text, str) and text.strip()]


def _prompt(dialect: Dialect, body: Body) -> list[str]:
    """The system prompt's and the conversation's texts of a request in any of the three dialects."""
    system = body.get("instructions", body.get("system"))
    leading = [system] if isinstance(system, str) else [block["text"] for block in system or []]
    items = body.get("input", body.get("messages"))
    return leading + _texts([{"content": items}] if isinstance(items, str) else items)


NAMES = [("chat-completions", CHAT), ("anthropic", ANTHROPIC)]


@pytest.mark.parametrize("turn", ["", "followup-"])
@pytest.mark.parametrize(("name", "other"), NAMES)
def test_every_case_crosses_from_responses_with_its_text_in_order(name: str, other: Dialect, turn: str) -> None:
    crossed = 0
    for case in cases():
        request = case.of("responses", turn).get("request")
        if request is None:
            continue
        try:
            body, _ = from_responses(other, **request)
        except Unsupported:
            continue
        assert "".join(_prompt(other, body)) == "".join(_prompt(RESPONSES, request)), case.name
        crossed += 1
    assert crossed > 15


@pytest.mark.parametrize("turn", ["", "followup-"])
@pytest.mark.parametrize(("name", "other"), NAMES)
def test_every_case_crosses_to_responses_with_its_text_in_order(name: str, other: Dialect, turn: str) -> None:
    crossed = 0
    for case in cases():
        request = case.of(name, turn).get("request")
        if request is None:
            continue
        try:
            body, _ = to_responses(other, **request)
        except Unsupported:
            continue
        assert "".join(_prompt(RESPONSES, body)).replace("\n\n", "") == "".join(_prompt(other, request)).replace("\n\n", ""), (
            case.name
        )
        crossed += 1
    assert crossed > 15


def test_every_case_reply_crosses_with_its_text_both_ways() -> None:
    crossed = 0
    for case in cases():
        for turn in ("", "followup-"):
            for name, upstream in (*NAMES, ("responses", RESPONSES)):
                reply = case.of(name, turn).get("response")
                if reply is None:
                    continue
                data = json.dumps(reply).encode()
                said = _said(upstream, data)
                for client in (CHAT, ANTHROPIC, RESPONSES):
                    assert _said(client, relayed(data, upstream, client, False, False)) == said, (case.name, name, client.name)
                crossed += 1
    assert crossed > 150


def _said(dialect: Dialect, data: bytes) -> tuple[str, list[tuple[str, Any]]]:
    """The text and the calls of a whole reply of the first choice."""
    body = json.loads(data)
    calls: list[tuple[str, Any]] = []
    if dialect is CHAT:
        message = body["choices"][0]["message"]
        calls = [
            (call["function"]["name"], json.loads(call["function"]["arguments"])) for call in message.get("tool_calls") or []
        ]
        return message.get("content") or "", calls
    if dialect is ANTHROPIC:
        calls = [(block["name"], block["input"]) for block in body["content"] if block["type"] == "tool_use"]
        return "".join(block["text"] for block in body["content"] if block["type"] == "text"), calls
    calls = [(item["name"], json.loads(item["arguments"])) for item in body["output"] if item["type"] == "function_call"]
    return "".join(part["text"] for item in body["output"] if item["type"] == "message" for part in item["content"]), calls


def test_recorded_replies_of_both_dialects_reach_a_responses_client_as_described() -> None:
    crossed = 0
    for one in _replies("chat/completions", ("openai", "deepseek", "groq", "openrouter")) + _replies("messages", ("anthropic",)):
        upstream = ANTHROPIC if one.endpoint == "messages" else CHAT
        for stream_out in (True, False):
            options = WriterOptions(stream=stream_out, model="asked", call_id="call_1", created_s=7)
            relay = Translation(upstream.reader(one.is_sse), RESPONSES.writer(options), len)
            out = relay.feed(one.response) + relay.close()
            if not relay.done:
                continue
            for event in events_of(out) if stream_out else []:
                schema = event_schemas().get(event["type"])
                assert schema is None or violations(schema, event) == [], (one.id, event["type"])
            if not stream_out:
                assert violations("ResponseResource", json.loads(out)) == [], one.id
            assert as_the_sdk_reads(out, stream_out)["status"] in ("completed", "incomplete")
            crossed += 1
    assert crossed > 150


def _replies(endpoint: str, providers: tuple[str, ...]) -> list[Recorded]:
    return [one for one in exchanges(endpoint=endpoint, provider=providers) if one.status == 200][::5]


def test_recorded_responses_reach_clients_of_both_dialects() -> None:
    crossed = 0
    for one in exchanges(endpoint="responses"):
        if one.status != 200 or one.url.endswith("/input_tokens"):
            continue
        reader = RESPONSES.reader(one.is_sse)
        parts = fold(reader.feed(one.response) + reader.close(), RESPONSES.name).choices[0].parts
        text = "".join(part.text for part in parts if isinstance(part, Text))
        chat = json.loads(relayed(one.response, RESPONSES, CHAT, one.is_sse, False))
        native = json.loads(relayed(one.response, RESPONSES, ANTHROPIC, one.is_sse, False))
        message = chat["choices"][0]["message"]
        assert (message["content"] or "") == text and chat["choices"][0]["finish_reason"] in ("stop", "tool_calls"), one.id
        assert native["stop_reason"] in ("end_turn", "tool_use") and native["usage"]["output_tokens"] > 0, one.id
        crossed += 1
    assert crossed > 500


# --- replies ------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream_in", [True, False])
@pytest.mark.parametrize("stream_out", [True, False])
def test_an_anthropic_reply_reaches_a_responses_client(stream_in: bool, stream_out: bool) -> None:
    response = response_of(STREAM if stream_in else WHOLE_BYTES, ANTHROPIC, stream_in, stream_out)
    assert response["status"] == "completed" and response["store"] is False
    kinds = [item["type"] for item in response["output"]]
    assert kinds == ["reasoning", "reasoning", "message", "function_call", "function_call"]
    text = "".join(part["text"] for part in response["output"][2]["content"])
    assert text == 'Grüße \U0001f600 "text_delta"'
    calls = [(item["call_id"], item["name"], json.loads(item["arguments"])) for item in response["output"][3:]]
    assert calls == [("toolu_1", "add", {"a": 1, "b": 2}), ("toolu_2", "now", {})]
    usage = response["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (22, 42)
    assert (usage["input_tokens_details"]["cached_tokens"], usage["output_tokens_details"]["reasoning_tokens"]) == (5, 9)


@given(st.integers(1, 500))
def test_a_responses_stream_reaches_both_clients_in_any_chunking(size: int) -> None:
    for client in (CHAT, ANTHROPIC):
        out = relayed(RESPONSES_STREAM, RESPONSES, client, True, True, size)
        assert out == relayed(RESPONSES_STREAM, RESPONSES, client, True, True, 10**6)


@pytest.mark.parametrize("stream_in", [True, False])
def test_a_responses_reply_reaches_both_clients(stream_in: bool) -> None:
    data = RESPONSES_STREAM if stream_in else json.dumps(RESPONSE).encode()
    message = chat_message(data, stream_in)
    assert (message["content"], message["refusal"]) == ('Grüße 😀 "delta":"x"', "No.")
    assert message["reasoning_content"] == "First.\n\nThen."
    assert message["annotations"] == [
        {"type": "url_citation", "url_citation": {"url": "https://a.example", "title": "A", "start_index": 0, "end_index": 2}}
    ]
    assert message["tool_calls"][0]["id"] == "call_a"
    for stream_out in (True, False):
        native = anthropic_message(data, stream_in, stream_out)
        kinds = [block["type"] for block in native["content"]]
        assert kinds == ["thinking", "text", "text", "tool_use"]
        assert native["stop_reason"] == "tool_use"


# --- reasoning across turns -----------------------------------------------------------------------


def items_again(response: Body) -> list[Body]:
    """What a client sends back: the output as it came, a user's word before it, results and a word after it."""
    results = [
        {"type": "function_call_output", "call_id": item["call_id"], "output": "r"}
        for item in response["output"]
        if item["type"] == "function_call"
    ]
    return [{"role": "user", "content": "u"}, *response["output"], *results, {"role": "user", "content": "go on"}]


@pytest.mark.parametrize("stream_in", [True, False])
@pytest.mark.parametrize("stream_out", [True, False])
def test_anthropics_signatures_survive_a_turn_through_a_responses_client(stream_in: bool, stream_out: bool) -> None:
    response = response_of(STREAM if stream_in else WHOLE_BYTES, ANTHROPIC, stream_in, stream_out)
    body, dropped = from_responses(ANTHROPIC, input=items_again(response), reasoning={"effort": "low"})
    original = json.loads(WHOLE_BYTES)["content"]
    assert body["messages"][1]["content"][:2] == [
        {name: block[name] for name in ("type", "thinking", "signature", "data") if name in block} for block in original[:2]
    ]
    assert "thinking" not in dropped and body["thinking"]["type"] == "enabled"


@pytest.mark.parametrize("stream_in", [True, False])
def test_anthropics_signature_from_behind_a_chat_api_is_anthropics_everywhere(stream_in: bool) -> None:
    detail = {"type": "reasoning.text", "text": "t", "format": "anthropic-claude-v1", "index": 0}
    signed = {**detail, "signature": "sig=="}
    head = {"id": "x", "created": 5, "model": "anthropic/claude"}
    if stream_in:
        deltas: list[Body] = [{"reasoning_details": [detail]}, {"reasoning_details": [{**signed, "text": ""}]}, {"content": "a"}]
        chunks = [head | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
        chunks.append(head | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        data = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks).encode() + b"data: [DONE]\n\n"
    else:
        message = {"role": "assistant", "content": "a", "reasoning_details": [signed]}
        data = json.dumps(head | {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).encode()
    items = items_again(response_of(data, CHAT, stream_in, True))
    native, _ = from_responses(ANTHROPIC, input=items, reasoning={"effort": "low"})
    assert native["messages"][1]["content"][0] == {"type": "thinking", "thinking": "t", "signature": "sig=="}
    behind, _ = from_responses(CHAT, Quirks(reasoning="reasoning_object"), input=items)
    assert behind["messages"][1]["reasoning_details"] == [signed]


def _deepseek_stream() -> bytes:
    base = {"id": "x", "object": "chat.completion.chunk", "created": 5, "model": "deepseek-reasoner"}
    deltas: list[Body] = [
        {"role": "assistant", "content": None, "reasoning_content": "Let me "},
        {"reasoning_content": "think."},
        {
            "content": "",
            "tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
    ]
    chunks = [base | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks.append(base | {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks).encode() + b"data: [DONE]\n\n"


@pytest.mark.parametrize("stream_out", [True, False])
def test_deepseeks_reasoning_becomes_an_item_and_comes_back(stream_out: bool) -> None:
    response = response_of(_deepseek_stream(), CHAT, True, stream_out)
    assert response["output"][0]["summary"] == [{"type": "summary_text", "text": "Let me think."}]
    body, dropped = from_responses(CHAT, DEEPSEEK, input=items_again(response))
    assert body["messages"][1]["reasoning_content"] == "Let me think."
    assert body["messages"][1]["tool_calls"][0]["id"] == "c1" and dropped == ()
    native, named = from_responses(ANTHROPIC, input=items_again(response))
    assert "thinking" in named and [block["type"] for block in native["messages"][1]["content"]] == ["tool_use"]


@pytest.mark.parametrize("stream_in", [True, False])
@pytest.mark.parametrize("stream_out", [True, False])
def test_openais_encrypted_reasoning_survives_a_turn_through_an_anthropic_client(stream_in: bool, stream_out: bool) -> None:
    data = RESPONSES_STREAM if stream_in else json.dumps(RESPONSE).encode()
    native = anthropic_message(data, stream_in, stream_out)
    results = [{"type": "tool_result", "tool_use_id": "call_a", "content": "r"}]
    turns = [
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": native["content"]},
        {"role": "user", "content": results},
    ]
    body, dropped = to_responses(ANTHROPIC, messages=turns)
    assert body["input"][1] == {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "First.\n\nThen."}],
        "encrypted_content": "gAAA",
    }
    assert dropped == ()
    same = ANTHROPIC.peek(json.dumps({"model": "m", "max_tokens": 9, "messages": turns}).encode(), "chat")
    sent, named = ANTHROPIC.encode_request(ANTHROPIC.decode_request(same), CLAUDE, QUIRKS)
    assert b"freehold" not in sent and named == ("thinking",)  # Anthropic would refuse what OpenAI issued


@pytest.mark.parametrize("stream_in", [True, False])
def test_openais_encrypted_reasoning_survives_a_turn_through_a_chat_client(stream_in: bool) -> None:
    message = chat_message(RESPONSES_STREAM if stream_in else json.dumps(RESPONSE).encode(), stream_in)
    turns = [{"role": "user", "content": "u"}, message, {"role": "tool", "tool_call_id": "call_a", "content": "r"}]
    body, dropped = to_responses(CHAT, messages=turns)
    assert body["input"][1]["encrypted_content"] == "gAAA"
    assert "messages[].thinking" not in dropped
    native, named = across(CHAT, ANTHROPIC, {"model": "m", "messages": turns}, CLAUDE)
    assert "thinking" in named and "thinking" not in [block["type"] for block in native["messages"][1]["content"]]


def test_encrypted_reasoning_streamed_to_a_chat_client_is_the_same() -> None:
    out = relayed(RESPONSES_STREAM, RESPONSES, CHAT, True, True)
    chunks = [json.loads(line[6:]) for line in out.decode().split("\n\n") if line.startswith("data: {")]
    details = [
        detail for chunk in chunks for choice in chunk["choices"] for detail in choice["delta"].get("reasoning_details") or []
    ]
    whole = chat_message(RESPONSES_STREAM, True)["reasoning_details"]
    assert "".join(detail.get("text", "") for detail in details) == whole[0]["text"] == "First.\n\nThen."
    assert [detail["signature"] for detail in details if detail.get("signature")] == [whole[0]["signature"]]


def test_a_native_providers_proof_is_never_shown_to_another_maker() -> None:
    items = [
        {"role": "user", "content": "u"},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "t"}], "encrypted_content": "gAAA"},
        {"role": "assistant", "content": "a"},
        {"role": "user", "content": "go on"},
    ]
    for target, quirks in ((ANTHROPIC, QUIRKS), (CHAT, QUIRKS), (CHAT, Quirks(reasoning="reasoning_object"))):
        body, dropped = from_responses(target, quirks, input=items)
        assert "gAAA" not in json.dumps(body) and any("thinking" in name for name in dropped)


# --- attacks ----------------------------------------------------------------------------------------


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.sampled_from(["", "x", "auto", "user", "c1", "data:image/png;base64,QQ=="]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["type", "text", "name", "id"]), inner, max_size=3)
    ),
    max_leaves=4,
)
KNOBS = ["tools", "tool_choice", "text", "reasoning", "include", "metadata", "top_logprobs", "instructions", "stream", "other"]


@given(
    st.dictionaries(st.sampled_from(KNOBS), JSON), st.integers(0, 6), st.sampled_from(["content", "output", "type", "role"]), JSON
)
def test_any_request_is_refused_with_a_reason_or_carried(fields: Body, number: int, key: str, value: Any) -> None:
    items = [dict(item) for item in CONVERSATION["input"]]
    items[number][key] = value
    for target in (CHAT, ANTHROPIC):
        try:
            from_responses(target, input=items, **fields)
        except (InvalidRequest, Unsupported) as error:
            assert error.message


def test_a_changed_prompt_text_is_what_is_sent() -> None:
    """What the gateway puts in the place of a text (a mask, say) reaches the target, in this dialect and in others."""
    peek = RESPONSES.peek(json.dumps({"model": "m", **CONVERSATION}).encode(), "chat")
    for target in (RESPONSES, CHAT, ANTHROPIC):
        request = RESPONSES.decode_request(peek)
        for message in request.messages:
            for part in message.parts:
                if isinstance(part, Text):
                    part.text = "***"
        body, _ = target.encode_request(request, CLAUDE, QUIRKS)
        texts = _prompt(target, json.loads(body))
        assert texts.count("***") == 4, target.name
