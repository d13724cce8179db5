"""A Messages request in canonical form: what the words become, and that none is lost."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.base.errors import InvalidRequest, Unsupported
from freehold.wire.chat import (
    CacheMark,
    ChatRequest,
    File,
    Image,
    Media,
    Opaque,
    Reasoning,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from tests.traffic import cases, exchanges
from tests.wire.dialects.anthropic.samples import DIALECT, QUIRKS, body

MARK = {"type": "ephemeral"}


def decoded(**fields: Any) -> ChatRequest:
    return DIALECT.decode_request(DIALECT.peek(body(**fields), "chat"))


def again(data: bytes) -> Any:
    """The request decoded and encoded by the same dialect."""
    peek = DIALECT.peek(data, "chat")
    encoded, dropped = DIALECT.encode_request(DIALECT.decode_request(peek), peek.model, QUIRKS)
    assert dropped == ()
    return json.loads(encoded)


def test_words_become_canonical_ones() -> None:
    request = decoded(
        system="Be kind.",
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Look", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QQ=="}},
                    {"type": "document", "source": {"type": "url", "url": "https://x/y.pdf"}, "title": "Y"},
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "s"},
                    {"type": "redacted_thinking", "data": "r"},
                    {"type": "tool_use", "id": "t1", "name": "f", "input": {"b": 1, "a": [1, 2]}},
                ],
            },
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "no", "is_error": True}]},
        ],
        tools=[{"name": "f", "input_schema": {"type": "object"}, "cache_control": MARK, "strict": True}],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
        thinking={"type": "enabled", "budget_tokens": 2000},
        output_config={"effort": "low", "format": {"type": "json_schema", "schema": {"type": "object"}}},
        metadata={"user_id": "u"},
        stop_sequences=["END"],
    )
    system, user, assistant, result = request.messages
    assert (system.role, system.plain, system.parts) == ("system", True, [Text(text="Be kind.")])
    assert user.parts == [
        Text(text="Look", cache=CacheMark(ttl="1h")),
        Image(media=Media(kind="base64", value="QQ==", media_type="image/png")),
        File(media=Media(kind="url", value="https://x/y.pdf"), name="Y"),
    ]
    assert assistant.parts == [
        Thinking(text="hm", signature="s"),
        Thinking(redacted="r"),
        ToolUse(id="t1", name="f", arguments='{"b": 1, "a": [1, 2]}'),
    ]
    assert result.parts == [ToolResult(call_id="t1", parts=[Text(text="no")], plain=True, is_error=True)]
    tool = request.tools[0]
    assert (tool.name, tool.strict, tool.cache, bytes(tool.parameters or b"")) == ("f", True, CacheMark(), b'{"type": "object"}')
    assert request.tool_choice is not None and request.tool_choice.mode == "required"
    assert request.parallel_tools is False
    assert request.reasoning == Reasoning(enabled=True, budget_tokens=2000, effort="low")
    assert request.output is not None and bytes(request.output.schema or b"") == b'{"type": "object"}'
    assert (request.user, request.stop, request.extras) == ("u", ["END"], {})


def test_content_that_only_this_api_knows_is_carried_whole() -> None:
    search = {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "x"}]}
    request = decoded(
        messages=[{"role": "user", "content": [search]}], tools=[{"type": "web_search_20250305", "name": "web_search"}]
    )
    part = request.messages[0].parts[0]
    assert isinstance(part, Opaque) and part.kind == "search_result" and json.loads(bytes(part.raw)) == search
    assert request.tools[0].raw is not None and request.tools[0].name == "web_search"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": [7]}, "messages[0]"),
        ({"messages": [{"content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": 7}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages[0].content[0].source"),
        (
            {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": "{}"}]}]},
            "messages[0].content[0].input",
        ),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text"}]}]}
                ]
            },
            "messages[0].content[0].content[0].text",
        ),
        ({"system": 7}, "system"),
        ({"tools": {}}, "tools"),
        ({"tools": [{"name": "f"}]}, "tools[0].input_schema"),
        ({"tools": [{"name": "f", "input_schema": "x"}]}, "tools[0].input_schema"),
        ({"tool_choice": {"type": "perhaps"}}, "tool_choice.type"),
        ({"temperature": "hot"}, "temperature"),
        ({"stop_sequences": "END"}, "stop_sequences"),
        ({"metadata": []}, "metadata"),
    ],
)
def test_a_wrong_value_is_refused_with_its_path(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decoded(**fields)
    assert caught.value.param == param
    assert param in caught.value.message


def test_every_recorded_request_decodes_and_encodes_to_equal_json() -> None:
    recorded = exchanges(endpoint="messages", provider="anthropic")
    assert len(recorded) > 200
    for one in recorded:
        assert again(json.dumps(one.request).encode()) == one.request, one.id


def test_every_case_request_decodes_and_encodes_to_equal_json() -> None:
    requests = [
        case.of("anthropic", turn)["request"]
        for case in cases()
        for turn in ("", "followup-")
        if "request" in case.of("anthropic", turn)
    ]
    assert len(requests) > 50
    for request in requests:
        assert again(json.dumps(request).encode()) == request


@pytest.mark.parametrize(
    "fields",
    [
        {"system": []},
        {"system": None},
        {"system": [{"type": "text", "text": "a", "cache_control": None}]},
        {"messages": [{"role": "system", "content": "first"}, {"role": "user", "content": "x"}]},
        {"system": "top", "messages": [{"role": "system", "content": "second"}, {"role": "user", "content": "x"}]},
        {"messages": [{"role": "user", "content": []}]},
        {"messages": [{"role": "user", "content": "", "odd": {"x": 1}}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "", "citations": []}]}]},
        {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a"}]}]},
        {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": []}]}]},
        {
            "messages": [
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "", "is_error": False}]}
            ]
        },
        {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "scope": "x"}}]}
            ]
        },
        {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "file", "file_id": "f"}}]}]},
        {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "moon", "x": 1}}]}]},
        {
            "messages": [
                {"role": "user", "content": [{"type": "document", "source": {"type": "content", "content": "x"}, "title": None}]}
            ]
        },
        {"tools": []},
        {
            "tools": [
                {"type": "custom", "name": "f", "input_schema": {"type": "object"}, "defer_loading": True, "description": ""}
            ]
        },
        {"tools": [{"type": None, "name": "f", "input_schema": {}, "strict": None}]},
        {"tools": [{"type": "mcp_toolset", "mcp_server_name": "s"}]},
        {"tool_choice": {"type": "none"}},
        {"tool_choice": {"type": "auto", "disable_parallel_tool_use": False}},
        {"thinking": {"type": "disabled"}},
        {"thinking": {"type": "adaptive", "display": "omitted"}},
        {"thinking": {"type": "of tomorrow"}},
        {"output_config": {}},
        {"output_config": None},
        {"output_config": {"effort": None, "task_budget": {"type": "tokens", "total": 5000}}},
        {"output_config": {"effort": "high", "x": 1}, "output_format": {"type": "json_schema", "schema": {}}},
        {"output_config": {"format": {"type": "xml"}}},
        {"metadata": {}},
        {"metadata": None},
        {"metadata": {"user_id": None, "x": 1}},
        {"metadata": {"user_id": "u", "x": 1}},
        {"stop_sequences": []},
        {"temperature": 1, "top_p": 0.5, "top_k": 0, "service_tier": "auto", "stream": False, "container": "c", "betas": ["b"]},
    ],
)
def test_every_spelling_survives(fields: dict[str, Any]) -> None:
    data = body(**fields)
    assert again(data) == json.loads(data)


def test_tool_results_nested_without_end_are_carried_not_followed() -> None:
    block: dict[str, Any] = {"type": "text", "text": "x"}
    for _ in range(400):
        block = {"type": "tool_result", "tool_use_id": "a", "content": [block]}
    data = body(messages=[{"role": "user", "content": [block]}])
    assert again(data) == json.loads(data)


def test_unsigned_thinking_is_left_out_and_named() -> None:
    request = decoded(
        messages=[{"role": "assistant", "content": [{"type": "thinking", "thinking": "x"}, {"type": "text", "text": "y"}]}]
    )
    encoded, dropped = DIALECT.encode_request(request, "m", QUIRKS)
    assert json.loads(encoded)["messages"][0]["content"] == [{"type": "text", "text": "y"}]
    assert dropped == ("thinking",)


# --- generated requests --------------------------------------------------------

_text = st.text(max_size=8)
_id = st.from_regex(r"[a-zA-Z0-9_-]{1,8}", fullmatch=True)
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _text,
    lambda x: st.lists(x, max_size=3) | st.dictionaries(_text, x, max_size=3),
)
_object = st.dictionaries(_text, _json, max_size=3)


def _with(required: dict[str, Any], **optional: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {k: v if isinstance(v, st.SearchStrategy) else st.just(v) for k, v in required.items()}, optional=optional
    )


_cache = st.none() | _with({"type": "ephemeral"}, ttl=st.sampled_from(["5m", "1h"]))
_text_block = _with({"type": "text", "text": _text}, cache_control=_cache, citations=st.none() | st.lists(_object, max_size=2))
_source = (
    _with({"type": "base64", "media_type": st.sampled_from(["image/png", "application/pdf"]), "data": _text})
    | _with({"type": "url", "url": _text})
    | _with({"type": "file", "file_id": _text})
    | _with({"type": "text", "media_type": "text/plain", "data": _text})
)
_image = _with({"type": "image", "source": _source}, cache_control=_cache)
_document = _with({"type": "document", "source": _source}, title=st.none() | _text, context=st.none() | _text, citations=_object)
_opaque = st.builds(
    lambda kind, rest: {**rest, "type": kind}, st.sampled_from(["container_upload", "search_result", "new_thing"]), _object
)
_result = _with(
    {"type": "tool_result", "tool_use_id": _id},
    content=st.none() | _text | st.lists(_text_block | _image | _opaque, max_size=2),
    is_error=st.booleans(),
    cache_control=_cache,
)
_user = _with({"role": "user", "content": _text | st.lists(_text_block | _image | _document | _result | _opaque, max_size=4)})
_thinking = _with({"type": "thinking", "thinking": _text, "signature": st.text(min_size=1, max_size=8)})
_use = _with({"type": "tool_use", "id": _id, "name": _id, "input": _object}, cache_control=_cache, caller=_object)
_assistant = _with({"role": "assistant", "content": _text | st.lists(_text_block | _thinking | _use | _opaque, max_size=4)})
_system_message = _with({"role": "system", "content": _text})
_tool = _with(
    {"name": _id, "input_schema": _object},
    type=st.sampled_from([None, "custom"]),
    description=st.none() | _text,
    strict=st.none() | st.booleans(),
    cache_control=_cache,
    input_examples=st.lists(_object, max_size=1),
)
_request = _with(
    {
        "model": st.text(min_size=1, max_size=8),
        "max_tokens": st.integers(0, 10**6),
        "messages": st.lists(_user | _assistant | _system_message, min_size=1, max_size=4),
    },
    system=st.none() | _text | st.lists(_text_block, max_size=2),
    tools=st.lists(_tool, max_size=3, unique_by=lambda tool: tool["name"]),
    tool_choice=_with({"type": st.sampled_from(["auto", "any", "none"])}, disable_parallel_tool_use=st.booleans())
    | _with({"type": "tool", "name": _id}),
    thinking=_with({"type": st.sampled_from(["enabled", "disabled", "adaptive", "new"])}, budget_tokens=st.integers(0, 9999)),
    output_config=st.none()
    | _with({}, effort=st.none() | _id, format=_with({"type": "json_schema", "schema": _object}), other=_json),
    metadata=st.none() | _with({}, user_id=st.none() | _text, other=_json),
    stop_sequences=st.none() | st.lists(_text, max_size=2),
    temperature=st.none() | st.floats(0, 2),
    top_p=st.floats(0, 1),
    top_k=st.none() | st.integers(0, 500),
    service_tier=st.none() | _text,
    stream=st.booleans(),
    mcp_servers=_json,
)


@settings(max_examples=150, deadline=None)
@given(_request)
def test_any_request_decodes_and_encodes_to_equal_json(request: dict[str, Any]) -> None:
    if _contradicts(request):
        return
    assert again(json.dumps(request).encode()) == request


def _contradicts(request: dict[str, Any]) -> bool:
    """One id answered twice, once as an error and once said not to be: no client means that."""
    said: dict[str, set[Any]] = {}
    for message in request["messages"]:
        for block in message["content"] if isinstance(message["content"], list) else []:
            if block["type"] == "tool_result":
                said.setdefault(block["tool_use_id"], set()).add(block.get("is_error"))
    return any(len(values) > 1 for values in said.values())


@settings(max_examples=300, deadline=None)
@given(_request, st.data())
def test_a_mutated_request_is_read_or_refused_and_nothing_else(request: dict[str, Any], data: st.DataObject) -> None:
    raw = bytearray(json.dumps(request).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 3))] = data.draw(
            st.binary(max_size=3) | st.sampled_from([b'"', b"{", b"[", b"null", b"\xff"])
        )
    try:
        peek = DIALECT.peek(bytes(raw), "chat")
        found = DIALECT.decode_request(peek)
        DIALECT.encode_request(found, "claude-opus-4-6", QUIRKS)
        found.dialect = "another"
        DIALECT.encode_request(found, "claude-opus-4-6", QUIRKS)
    except (InvalidRequest, Unsupported):
        pass
