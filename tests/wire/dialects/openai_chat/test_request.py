"""Requests: decode then encode gives equal JSON, wrong shapes name their path, and words get their meaning."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from freehold.base.errors import InvalidRequest
from freehold.wire.chat import CacheMark, Image, Media, Refusal, Text, Thinking, ToolResult, ToolUse
from freehold.wire.dialect import Quirks

from .bodies import ALWAYS, DIALECT, decoded, dump, encoded, opened

TEXT = st.text(max_size=8)
WORD = st.text(alphabet="abcdefg_", min_size=1, max_size=6)
EXTRA = st.dictionaries(st.sampled_from(["x", "index", "~odd", "cache_control"]), st.none() | st.integers() | TEXT, max_size=2)
MARK = st.sampled_from(
    [{"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}, {"type": "other"}, {"type": "ephemeral", "x": 1}, None]
)
URL = st.sampled_from(["data:image/png;base64,QUJD", "https://a.b/c.png", "data:text/plain,hi", "data:;base64,QQ==", ""])


def objects(required: dict[str, Any], optional: dict[str, Any] | None = None) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(required, optional=optional or {})


def mixed(strategy: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """With unknown members, or a cache mark, or neither."""
    marks = MARK.map(lambda mark: {"cache_control": mark})
    return st.tuples(strategy, EXTRA | marks | st.just({})).map(lambda pair: {**pair[1], **pair[0]})


TEXT_PART = mixed(objects({"type": st.just("text"), "text": TEXT}))
PARTS = st.one_of(
    TEXT_PART,
    mixed(objects({"type": st.just("image_url"), "image_url": objects({"url": URL}, {"detail": TEXT, "format": TEXT})})),
    mixed(objects({"type": st.just("image_url"), "image_url": URL})),
    mixed(
        objects(
            {
                "type": st.just("file"),
                "file": objects({}, {"file_data": URL | TEXT, "file_id": TEXT, "file_url": URL, "filename": TEXT, "x": TEXT}),
            }
        )
    ),
    mixed(objects({"type": st.just("file_url"), "file_url": objects({"url": URL | TEXT})})),
    mixed(objects({"type": st.just("document_url"), "document_url": URL}, {"document_name": TEXT})),
    mixed(objects({"type": st.just("input_audio"), "input_audio": objects({"data": TEXT, "format": WORD}, {"x": TEXT})})),
    mixed(objects({"type": st.sampled_from(["video_url", "audio", "tool_calls"]), "video_url": TEXT})),
)
THOUGHT = objects({"type": st.just("text"), "text": TEXT})
ASSISTANT_PARTS = st.one_of(
    TEXT_PART,
    mixed(objects({"type": st.just("refusal"), "refusal": TEXT})),
    mixed(objects({"type": st.just("thinking"), "thinking": st.lists(THOUGHT, max_size=2)}, {"closed": st.booleans()})),
)
DETAIL = objects(
    {"type": st.sampled_from(["reasoning.text", "reasoning.summary", "reasoning.encrypted", "new.kind"])},
    {
        "text": TEXT,
        "summary": TEXT,
        "data": TEXT,
        "signature": TEXT | st.none(),
        "format": st.sampled_from(["anthropic-claude-v1", "openai-responses-v1", None]),
        "index": st.integers(0, 3),
        "id": TEXT,
    },
)
BLOCK = st.one_of(
    objects({"type": st.just("thinking"), "thinking": TEXT}, {"signature": TEXT}),
    objects({"type": st.just("redacted_thinking"), "data": TEXT}),
)
CALL = st.one_of(
    mixed(
        objects({"id": TEXT, "function": objects({"name": WORD, "arguments": TEXT}, {"x": TEXT})}, {"type": st.just("function")})
    ),
    objects({"id": TEXT, "type": st.just("custom"), "custom": objects({"name": WORD, "input": TEXT})}),
)
CONTENT = TEXT | st.lists(PARTS, max_size=3)
MESSAGES = st.lists(
    st.one_of(
        mixed(objects({"role": st.sampled_from(["system", "developer", "user"]), "content": CONTENT}, {"name": TEXT})),
        mixed(objects({"role": st.just("tool"), "tool_call_id": TEXT, "content": CONTENT}, {"name": WORD})),
        mixed(objects({"role": st.just("function"), "name": WORD, "content": TEXT})),
        mixed(
            objects(
                {"role": st.just("assistant")},
                {
                    "content": st.none() | TEXT | st.lists(ASSISTANT_PARTS, max_size=3),
                    "refusal": st.none() | TEXT,
                    "audio": st.none() | st.just({"id": "a1"}),
                    "tool_calls": st.none() | st.lists(CALL, max_size=3),
                    "function_call": st.none() | objects({"name": WORD, "arguments": TEXT}),
                    "reasoning": st.none() | TEXT,
                    "reasoning_content": st.none() | TEXT,
                    "reasoning_details": st.none() | st.lists(DETAIL, max_size=3),
                    "thinking_blocks": st.lists(BLOCK, max_size=2),
                    "name": TEXT,
                },
            )
        ),
    ),
    min_size=1,
    max_size=4,
)
FUNCTION = objects(
    {"name": WORD},
    {
        "description": st.none() | TEXT,
        "parameters": st.none() | st.just({"type": "object", "properties": {"a": {"type": "string"}}}),
        "strict": st.none() | st.booleans(),
        "x": TEXT,
        "cache_control": MARK,
    },
)
TOOL = (
    mixed(objects({"type": st.just("function"), "function": FUNCTION}))
    | st.just({"type": "custom", "custom": {"name": "c"}})
    | st.just({"type": "web_search"})
)
NUMBER = st.none() | st.integers(-5, 5) | st.floats(-2, 2)
FIELDS = objects(
    {"model": WORD, "messages": MESSAGES},
    {
        "temperature": NUMBER,
        "top_p": NUMBER,
        "top_k": st.none() | st.integers(0, 50),
        "seed": st.none() | st.integers(),
        "n": st.none() | st.integers(1, 3),
        "max_tokens": st.none() | st.integers(1, 10**6),
        "max_completion_tokens": st.none() | st.integers(1, 10**6),
        "stop": st.none() | TEXT | st.lists(TEXT, max_size=2),
        "logprobs": st.none() | st.booleans() | st.integers(0, 5),
        "logit_bias": st.none() | st.just({"50256": -100}),
        "metadata": st.none() | st.just({"a": "b"}),
        "user": st.none() | TEXT,
        "service_tier": st.none() | TEXT,
        "parallel_tool_calls": st.none() | st.booleans(),
        "stream": st.none() | st.booleans(),
        "stream_options": st.none()
        | objects({}, {"include_usage": st.none() | st.booleans(), "include_obfuscation": st.booleans()}),
        "tools": st.none() | st.lists(TOOL, max_size=3),
        "functions": st.none() | st.lists(FUNCTION, max_size=2),
        "function_call": st.none() | st.sampled_from(["auto", "none", {"name": "f"}, {"name": "f", "x": 1}]),
        "tool_choice": st.none()
        | st.sampled_from(
            [
                "auto",
                "none",
                "required",
                "any",
                {"type": "function", "function": {"name": "f"}},
                {"type": "custom", "custom": {"name": "f"}},
                {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [{"type": "function"}]}},
            ]
        ),
        "response_format": st.none()
        | st.sampled_from([{"type": "text"}, {"type": "json_object"}, {"type": "grammar", "grammar": "x"}])
        | objects(
            {
                "type": st.just("json_schema"),
                "json_schema": objects(
                    {}, {"name": TEXT, "schema": st.none() | st.just({"type": "object"}), "strict": st.booleans(), "x": TEXT}
                ),
            },
            {"~inner": TEXT, "x": TEXT},
        ),
        "reasoning_effort": st.none() | st.sampled_from(["none", "low", "high"]),
        "reasoning": st.none()
        | objects({}, {"effort": st.none() | WORD, "max_tokens": st.integers(1, 9), "exclude": st.booleans()}),
        "thinking": st.none() | objects({"type": st.sampled_from(["enabled", "disabled"])}, {"budget_tokens": st.integers(1, 9)}),
        "prediction": st.just({"type": "content", "content": "x"}),
        "modalities": st.just(["text", "audio"]),
        "web_search_options": st.just({}),
        "~hint": st.integers(),
    },
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(FIELDS)
def test_decode_then_encode_gives_equal_json(body: dict[str, Any]) -> None:
    peek = DIALECT.peek(dump(body), "chat")
    encoded_body, dropped = DIALECT.encode_request(DIALECT.decode_request(peek), peek.model, ALWAYS)
    assert json.loads(encoded_body) == body
    assert dropped == ()


def test_tool_schemas_go_back_byte_for_byte() -> None:
    """Prompt caches depend on it: key order and number spelling stay."""
    schema = b'{"type" : "object", "b":1.0, "a": 1e2}'
    body = (
        b'{"model":"m","messages":[{"role":"user","content":"x"}],'
        b'"tools":[{"type":"function","function":{"name":"f","parameters":' + schema + b"}}]}"
    )
    out, _ = DIALECT.encode_request(DIALECT.decode_request(DIALECT.peek(body, "chat")), "m", ALWAYS)
    assert schema in out


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": [3]}, "messages[0]"),
        ({"messages": [{"content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "messages[0].content[0].image_url.url",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "file"}]}]}, "messages[0].content[0].file"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"messages": [{"role": "assistant", "tool_calls": {}}]}, "messages[0].tool_calls"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "1", "type": "function"}]}]},
            "messages[0].tool_calls[0].function",
        ),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": {}}}]}]},
            "messages[0].tool_calls[0].function.arguments",
        ),
        ({"temperature": "hot"}, "temperature"),
        ({"n": 1.5}, "n"),
        ({"user": 4}, "user"),
        ({"stop": [1]}, "stop"),
        ({"tools": {}}, "tools"),
        ({"tools": [{}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"tool_choice": "maybe"}, "tool_choice"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.function.name"),
        ({"function_call": "maybe"}, "function_call"),
        ({"response_format": "json"}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"reasoning_effort": 3}, "reasoning_effort"),
        ({"reasoning": "high"}, "reasoning"),
        ({"thinking": {}}, "thinking.type"),
        ({"stream_options": []}, "stream_options"),
        ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
    ],
)
def test_a_wrong_shape_is_refused_with_the_path_of_the_field(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        decoded(**fields)
    assert error.value.param == param
    assert param in error.value.message


def test_content_becomes_parts() -> None:
    request = decoded(
        messages=[
            {"role": "system", "content": "s"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "t", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD", "detail": "low"}},
                ],
            },
        ]
    )
    assert request.messages[0].plain
    assert request.messages[0].parts == [Text(text="s")]
    assert request.messages[1].parts == [
        Text(text="t", cache=CacheMark(ttl="1h")),
        Image(media=Media(kind="base64", value="QUJD", media_type="image/png"), detail="low"),
    ]


def test_tool_calls_and_results_keep_their_order_and_ids() -> None:
    calls = [{"id": f"c{i}", "type": "function", "function": {"name": f"f{i}", "arguments": '{"i": 1.0}'}} for i in range(3)]
    results = [{"role": "tool", "tool_call_id": f"c{i}", "content": f"r{i}"} for i in (2, 0, 1)]
    request = decoded(messages=[{"role": "assistant", "content": None, "tool_calls": calls}, *results])
    assert [(p.id, p.name, p.arguments) for p in request.messages[0].parts if isinstance(p, ToolUse)] == [
        (f"c{i}", f"f{i}", '{"i": 1.0}') for i in range(3)
    ]
    assert [m.parts[0].call_id for m in request.messages[1:] if isinstance(m.parts[0], ToolResult)] == ["c2", "c0", "c1"]


def test_the_older_function_calling_becomes_tools() -> None:
    request = decoded(
        messages=[
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "42"},
        ],
        functions=[{"name": "f", "parameters": {"type": "object"}}],
        function_call={"name": "f"},
    )
    use, result = request.messages[0].parts[0], request.messages[1].parts[0]
    assert isinstance(use, ToolUse)
    assert isinstance(result, ToolResult)
    assert use.id == result.call_id != ""
    assert [tool.name for tool in request.tools] == ["f"]
    assert request.tool_choice is not None
    assert (request.tool_choice.mode, request.tool_choice.name) == ("tool", "f")


def test_signed_thinking_is_read_from_reasoning_details() -> None:
    details = [
        {"type": "reasoning.text", "text": "hm", "signature": "sig", "format": "anthropic-claude-v1", "index": 0},
        {"type": "reasoning.encrypted", "data": "blob", "format": "anthropic-claude-v1", "index": 1},
    ]
    parts = decoded(messages=[{"role": "assistant", "content": "x", "reasoning_content": "hm", "reasoning_details": details}])
    held = [(p.text, p.signature, p.redacted) for p in parts.messages[0].parts if isinstance(p, Thinking)]
    assert held == [("hm", "sig", ""), ("", "", "blob")]


def test_signed_thinking_is_read_from_thinking_blocks() -> None:
    blocks = [{"type": "thinking", "thinking": "hm", "signature": "sig"}, {"type": "redacted_thinking", "data": "blob"}]
    parts = decoded(messages=[{"role": "assistant", "content": "x", "thinking_blocks": blocks}]).messages[0].parts
    held = [(p.text, p.signature, p.redacted) for p in parts if isinstance(p, Thinking)]
    assert held == [("hm", "sig", ""), ("", "", "blob")]


def test_another_makers_signature_is_never_taken_for_anthropics() -> None:
    details = [
        {"type": "reasoning.text", "text": "hm", "signature": "g", "format": "google-gemini-v1"},
        {"type": "reasoning.encrypted", "data": "o", "format": "openai-responses-v1"},
    ]
    parts = decoded(messages=[{"role": "assistant", "content": "x", "reasoning_details": details}]).messages[0].parts
    held = [(part.text, part.signature, part.redacted) for part in parts if isinstance(part, Thinking)]
    assert held == [("hm", "", ""), ("", "", "")]


def test_nothing_that_only_repeats_or_spells_is_left_in_extras() -> None:
    """Another dialect names extras as dropped: a client must not read there that its thinking or cache mark was."""
    details = [{"type": "reasoning.text", "text": "hm", "signature": "s", "format": "anthropic-claude-v1", "index": 0}]
    assistant = {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "reasoning": "hm",
        "reasoning_content": "hm",
        "reasoning_details": details,
        "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        "cache_control": {"type": "ephemeral"},
    }
    request = decoded(messages=[assistant], stop="x", max_tokens=5, temperature=None, tool_choice="any")
    assert request.extras == {}
    assert request.messages[0].extras == {}
    assert all(part.extras == {} for part in request.messages[0].parts)
    assert encoded(request)["messages"] == [assistant]


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning"])
def test_bare_reasoning_is_unsigned_thinking(key: str) -> None:
    part = decoded(messages=[{"role": "assistant", "content": "x", key: "hm"}]).messages[0].parts[0]
    assert isinstance(part, Thinking)
    assert (part.text, part.signature) == ("hm", "")


@pytest.mark.parametrize(
    ("fields", "effort", "budget", "enabled"),
    [
        ({"reasoning_effort": "high"}, "high", None, None),
        ({"reasoning_effort": "none"}, "none", None, False),
        ({"reasoning": {"max_tokens": 2000}}, "", 2000, None),
        ({"reasoning": {"enabled": True}}, "", None, True),
        ({"thinking": {"type": "enabled", "budget_tokens": 5}}, "", 5, True),
        ({"thinking": {"type": "disabled"}}, "", None, False),
    ],
)
def test_every_spelling_of_reasoning_is_understood(fields: dict[str, Any], effort: str, budget: int | None, enabled: Any) -> None:
    reasoning = decoded(**fields).reasoning
    assert reasoning is not None
    assert (reasoning.effort, reasoning.budget_tokens, reasoning.enabled) == (effort, budget, enabled)


def test_a_cache_mark_on_a_message_counts_for_its_last_part() -> None:
    message = {"role": "user", "content": "long", "cache_control": {"type": "ephemeral"}}
    request = decoded(messages=[message])
    assert request.messages[0].parts[0].cache == CacheMark()
    assert encoded(request)["messages"] == [message]


def test_a_message_field_refusal_is_a_refusal() -> None:
    part = decoded(messages=[{"role": "assistant", "content": None, "refusal": "no"}]).messages[0].parts[0]
    assert part == Refusal(text="no")


def test_streaming_asks_for_usage_where_the_provider_needs_it() -> None:
    request = decoded(stream=True, stream_options={"include_obfuscation": False})
    assert encoded(request, Quirks())["stream_options"] == {"include_obfuscation": False, "include_usage": True}


def test_quirks_rename_and_drop_what_was_encoded() -> None:
    body, dropped = DIALECT.encode_request(
        decoded(max_completion_tokens=5, top_k=3), "m", Quirks(rename={"max_completion_tokens": "max_tokens"}, drop=("top_k",))
    )
    assert json.loads(body)["max_tokens"] == 5
    assert dropped == ("top_k",)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | TEXT,
        lambda x: (
            st.lists(x, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "role",
                        "content",
                        "type",
                        "text",
                        "tool_calls",
                        "function",
                        "id",
                        "name",
                        "arguments",
                        "image_url",
                        "url",
                        "file",
                        "reasoning_details",
                        "thinking_blocks",
                        "thinking",
                        "cache_control",
                        "ttl",
                        "refusal",
                    ]
                ),
                x,
                max_size=4,
            )
        ),
        max_leaves=20,
    )
)
def test_messages_of_any_json_decode_or_are_refused(value: Any) -> None:
    for messages in ([value], [{"role": "assistant", "content": value}], [{"role": "user", "content": [value]}]):
        try:
            request = DIALECT.decode_request(opened(messages=messages))
        except InvalidRequest:
            continue
        assert encoded(request)["messages"] == messages
