"""request_in.py, items_in.py and their way back: what a request means, and that nothing of it is lost."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.base.errors import InvalidRequest
from freehold.wire.chat import Audio, File, Image, Media, Opaque, Refusal, Text, Thinking, ToolResult, ToolUse
from freehold.wire.seal import seal

from .bodies import DIALECT, decoded, encoded

CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "c1", "output": "r"}


def again(**fields: Any) -> None:
    """Decoding and encoding gives equal JSON, and nothing is named as left out."""
    body = {"model": "m", "input": "hi", **fields}
    got, dropped = encoded(decoded(**fields))
    assert got == {k: v for k, v in body.items() if v is not ...}
    assert dropped == ()


# --- items ---------------------------------------------------------------------------


def test_what_the_assistant_did_in_one_go_is_one_turn_in_order() -> None:
    request = decoded(
        input=[
            {"role": "user", "content": "q"},
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "enc"},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a", "annotations": []}]},
            CALL,
            {**CALL, "call_id": "c2"},
            RESULT,
            {**RESULT, "call_id": "c2"},
            {"role": "user", "content": "so?"},
        ]
    )
    assert [message.role for message in request.messages] == ["user", "assistant", "tool", "user"]
    thinking, text, first, second = request.messages[1].parts
    assert isinstance(thinking, Thinking)
    assert (thinking.id, thinking.text, thinking.signature, thinking.signed_by) == ("rs_1", "hm", "enc", "openai_responses")
    assert isinstance(text, Text) and text.text == "a"
    assert isinstance(first, ToolUse) and (first.id, first.name, first.arguments) == ("c1", "f", "{}")
    assert isinstance(second, ToolUse) and second.id == "c2"
    results = request.messages[2].parts
    assert [part.call_id for part in results if isinstance(part, ToolResult)] == ["c1", "c2"]


def test_a_further_assistant_message_is_a_further_turn_unless_calls_wait() -> None:
    said = {"role": "assistant", "content": "a"}
    roles = [m.role for m in decoded(input=[said, said, CALL, said, RESULT, said]).messages]
    assert roles == ["assistant", "assistant", "tool", "assistant"]


def test_instructions_are_the_first_system_message_wherever_they_stand() -> None:
    request = decoded(instructions="be brief", input=[{"role": "developer", "content": "d"}, {"role": "user", "content": "u"}])
    assert [(m.role, m.parts[0].text) for m in request.messages if isinstance(m.parts[0], Text)] == [
        ("system", "be brief"),
        ("developer", "d"),
        ("user", "u"),
    ]
    again(instructions="be brief", input=[{"role": "system", "content": "d"}])
    again(instructions="", input="x")
    again(instructions=None, input="x")


def test_content_parts_have_their_canonical_form() -> None:
    content = [
        {"type": "input_text", "text": "t"},
        {"type": "input_image", "image_url": "data:image/png;base64,QQ==", "detail": "high"},
        {"type": "input_image", "image_url": "https://a.example/x.png"},
        {"type": "input_image", "file_id": "file_1", "image_url": None},
        {"type": "input_file", "file_data": "data:application/pdf;base64,QQ==", "filename": "a.pdf"},
        {"type": "input_file", "file_url": "https://a.example/a.pdf"},
        {"type": "input_file", "file_id": "file_2"},
        {"type": "input_audio", "input_audio": {"data": "QQ==", "format": "wav"}},
        {"type": "input_video", "video_url": "v"},
    ]
    parts = decoded(input=[{"role": "user", "content": content}]).messages[0].parts
    media = [part.media for part in parts if isinstance(part, Image | File | Audio)]
    assert media == [
        Media(kind="base64", value="QQ==", media_type="image/png"),
        Media(kind="url", value="https://a.example/x.png"),
        Media(kind="file_id", value="file_1"),
        Media(kind="base64", value="QQ==", media_type="application/pdf"),
        Media(kind="url", value="https://a.example/a.pdf"),
        Media(kind="file_id", value="file_2"),
        Media(kind="base64", value="QQ==", media_type="audio/wav"),
    ]
    assert isinstance(parts[-1], Opaque) and parts[-1].kind == "input_video"
    again(input=[{"role": "user", "content": content}])


ITEMS: list[dict[str, Any]] = [
    {"role": "user", "content": "x"},
    {"role": "user", "content": []},
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "", "prompt_cache_breakpoint": {}}]},
    {"role": "assistant", "content": "x"},
    {"role": "assistant", "content": []},
    {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "phase": "commentary", "content": []},
    {
        "type": "message",
        "id": None,
        "status": None,
        "role": "assistant",
        "phase": "final_answer",
        "content": [
            {"type": "output_text", "text": "a", "annotations": [{"type": "url_citation", "url": "u"}], "logprobs": []},
            {"type": "output_text", "text": "b", "annotations": None, "logprobs": [{"token": "b"}]},
            {"type": "refusal", "refusal": "no", "more": 1},
            {"type": "text", "text": "c"},
            {"type": "output_audio", "data": "QQ=="},
        ],
    },
    {"type": "message", "role": "user", "content": [{"type": "output_text", "text": "odd"}, {"type": "input_image"}]},
    {"type": "reasoning", "summary": []},
    {"type": "reasoning", "id": "rs_1", "summary": [], "content": [], "encrypted_content": None, "status": "completed"},
    {"type": "reasoning", "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b\n\nc"}]},
    {"type": "reasoning", "summary": [{"type": "summary_text", "text": ""}], "encrypted_content": "e"},
    {"type": "reasoning", "summary": [{"type": "other", "text": "a"}]},
    {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "own words"}]},
    {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "s"}],
        "content": [{"type": "reasoning_text", "text": "c"}],
        "new": {"x": 1},
    },
    {"type": "reasoning", "id": None, "content": [{"type": "reasoning_text", "text": "c"}]},
    CALL,
    {**CALL, "arguments": "", "call_id": "c" * 100},
    {**CALL, "id": "fc_1", "status": "completed", "namespace": "n", "arguments": '{"b": 1,  "a": 2}'},
    RESULT,
    {**RESULT, "id": None, "status": "completed", "caller": {"type": "direct"}},
    {**RESULT, "output": []},
    {**RESULT, "output": [{"type": "input_text", "text": "t"}, {"type": "input_image", "image_url": "u", "detail": "auto"}]},
    {"type": "item_reference", "id": "msg_1"},
    {"id": "msg_1"},
    {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}},
    {"type": "custom_tool_call", "call_id": "c", "name": "n", "input": "i"},
    {"type": "custom_tool_call_output", "call_id": "c", "output": "o"},
    {"type": "compaction", "encrypted_content": "x"},
    {"type": "mcp_list_tools", "id": "m", "server_label": "s", "tools": []},
]


@pytest.mark.parametrize("item", ITEMS)
def test_every_item_goes_back_as_it_came(item: dict[str, Any]) -> None:
    again(input=[item])


@given(st.lists(st.sampled_from(ITEMS), min_size=1, max_size=8))
def test_items_go_back_in_any_company_and_order(items: list[dict[str, Any]]) -> None:
    again(input=items)


def test_a_changed_text_goes_back_changed_in_the_form_that_still_fits() -> None:
    request = decoded(input=[ITEMS[10], {"role": "user", "content": "secret"}])
    thinking, said = request.messages[0].parts[0], request.messages[1].parts[0]
    assert isinstance(thinking, Thinking) and isinstance(said, Text)
    thinking.text, said.text = "shorter", "***"
    assert encoded(request)[0]["input"] == [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "shorter"}]},
        {"role": "user", "content": "***"},
    ]


def test_provider_side_calls_are_the_assistants_and_other_unknown_items_are_a_users() -> None:
    kinds = ["web_search_call", "mcp_list_tools", "item_reference", "compaction", "custom_tool_call_output"]
    roles = [decoded(input=[{"type": kind, "id": "x"}]).messages[0].role for kind in kinds]
    assert roles == ["assistant", "assistant", "user", "user", "user"]


def test_sealed_reasoning_is_its_makers_again() -> None:
    sealed = [
        {
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "t"}],
            "encrypted_content": seal("a", "signature", "s.1"),
        },
        {"type": "reasoning", "summary": [], "encrypted_content": seal("b", "redacted", "r")},
        {"type": "reasoning", "summary": [], "encrypted_content": seal("g", "call", "proof")},
        CALL,
    ]
    request = decoded(input=sealed)
    signed, redacted, call = request.messages[0].parts
    assert isinstance(signed, Thinking) and (signed.text, signed.signature, signed.signed_by) == ("t", "s.1", "a")
    assert isinstance(redacted, Thinking) and (redacted.redacted, redacted.signed_by) == ("r", "b")
    assert isinstance(call, ToolUse) and (call.signature, call.signed_by) == ("proof", "g")
    body, dropped = encoded(request)  # to this dialect: no maker takes another's proof
    assert (body["input"], dropped) == ([CALL], ("messages[].thinking",))


# --- everything above the items ---------------------------------------------------------


def test_knobs_have_their_canonical_words() -> None:
    request = decoded(
        max_output_tokens=50,
        temperature=0.5,
        top_p=0.9,
        parallel_tool_calls=False,
        service_tier="flex",
        user="u",
        include=["reasoning.encrypted_content", "message.output_text.logprobs"],
        top_logprobs=2,
        reasoning={"effort": "low", "summary": "auto"},
        text={"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}, "verbosity": "low"},
    )
    assert (request.max_tokens, request.temperature, request.top_p, request.parallel_tools) == (50, 0.5, 0.9, False)
    assert (request.service_tier, request.user, request.logprobs, request.top_logprobs) == ("flex", "u", True, 2)
    assert request.reasoning is not None and request.reasoning.effort == "low"
    output = request.output
    assert output is not None and (output.kind, output.name, output.strict) == ("schema", "n", True)
    assert list(request.extras) == ["text.verbosity"]


@pytest.mark.parametrize(
    "fields",
    [
        {"store": False, "background": False, "truncation": "disabled", "previous_response_id": None, "conversation": None},
        {"store": None, "truncation": "auto", "prompt": None, "metadata": {"a": "b"}, "prompt_cache_key": "k"},
        {"include": []},
        {"include": ["reasoning.encrypted_content", "web_search_call.action.sources"]},
        {"top_logprobs": 0},
        {"top_logprobs": 3},
        {"top_logprobs": 3, "include": ["message.output_text.logprobs"]},
        {"tools": []},
        {"tools": None, "tool_choice": None, "text": None, "reasoning": None, "include": None, "stream": None},
        {"text": {}, "reasoning": {}},
        {"text": {"format": {"type": "text"}}},
        {"text": {"format": {"type": "json_object"}, "verbosity": None}},
        {"text": {"format": None}},
        {"text": {"format": {"type": "grammar", "syntax": "lark"}}},
        {"text": {"format": {"type": "json_schema", "name": "", "description": None, "schema": {}, "strict": None, "x": 1}}},
        {"reasoning": {"effort": None, "summary": None}},
        {"reasoning": {"effort": ""}},
        {"reasoning": {"effort": "max", "context": "all_turns", "mode": "pro"}},
        {"reasoning": {"generate_summary": "auto"}},
        {"tool_choice": "required"},
        {"tool_choice": {"type": "function", "name": "f"}},
        {"tool_choice": {"type": "function", "name": "f", "extra": 1}},
        {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]}},
        {"tool_choice": {"type": "custom", "name": "f"}},
        {"tool_choice": {"type": "web_search_preview"}},
        {"tools": [{"type": "function", "name": "f", "parameters": None, "strict": None, "description": None}]},
        {
            "tools": [
                {"type": "function", "name": "f", "parameters": {}, "strict": True, "description": "", "defer_loading": True}
            ]
        },
        {"tools": [{"type": "web_search"}, {"type": "custom", "name": "c"}, {"type": "mcp", "server_label": "s"}]},
        {"stream": True, "stream_options": {"include_obfuscation": False}, "max_tool_calls": 3, "safety_identifier": "s"},
        {"frequency_penalty": 0.5, "presence_penalty": 0, "unknown": {"a": [1, None, "x"]}},
    ],
)
def test_every_field_goes_back_as_it_came(fields: dict[str, Any]) -> None:
    again(**fields)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("store", True),
        ("previous_response_id", "resp_1"),
        ("conversation", "conv_1"),
        ("conversation", {"id": "conv_1"}),
        ("background", True),
        ("prompt", {"id": "pmpt_1"}),
    ],
)
def test_what_a_provider_keeps_is_refused_where_a_request_is_translated(name: str, value: Any) -> None:
    with pytest.raises(InvalidRequest, match=f"'{name}' can't be used") as caught:
        decoded(**{name: value})
    assert caught.value.param == name


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": [3]}, "input[0]"),
        ({"input": [{"role": "user", "content": "x"}, {}]}, "input[1].type"),
        ({"input": [{"role": "robot", "content": "x"}]}, "input[0].role"),
        ({"input": [{"type": "message", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": 3}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": ["x"]}]}, "input[0].content[0]"),
        ({"input": [{"role": "user", "content": [{"text": "x"}]}]}, "input[0].content[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
        ({"input": [{"type": "function_call", "name": "f", "arguments": ""}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": {}}]}, "input[0].arguments"),
        ({"input": [{"type": "function_call_output", "call_id": "c"}]}, "input[0].output"),
        ({"temperature": "hot"}, "temperature"),
        ({"tools": {}}, "tools"),
        ({"tools": [3]}, "tools[0]"),
        ({"tools": [{"name": "f"}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{"type": "function", "name": "f", "strict": "yes"}]}, "tools[0].strict"),
        ({"tool_choice": "any"}, "tool_choice"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.name"),
        ({"text": "x"}, "text"),
        ({"text": {"format": {"name": "n"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "schema": 3}}}, "text.format.schema"),
        ({"reasoning": {"effort": 3}}, "reasoning.effort"),
        ({"include": "x"}, "include"),
        ({"instructions": ["x"]}, "instructions"),
    ],
)
def test_a_clients_mistake_is_refused_with_the_path_of_the_field(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decoded(**fields)
    assert caught.value.param == param


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.sampled_from(["", "user", "assistant", "message", "reasoning", "input_text"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "role", "content", "text", "summary", "id", "output", "call_id", "name", "arguments", "status"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(st.lists(JSON, min_size=1, max_size=4), st.dictionaries(st.sampled_from(["text", "tools", "reasoning", "include"]), JSON))
def test_any_shape_is_refused_or_goes_back_as_it_came(items: list[Any], fields: dict[str, Any]) -> None:
    try:
        decoded(input=items, **fields)
    except InvalidRequest as error:
        assert error.param
    else:
        again(input=items, **fields)


def test_invalid_utf8_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        DIALECT.decode_request(DIALECT.peek(b'{"model":"m","input":[{"role":"user","content":"\xff"}]}', "chat"))


def test_a_refusal_is_a_part_of_its_own() -> None:
    parts = decoded(input=[{"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}]).messages[0].parts
    assert isinstance(parts[0], Refusal) and parts[0].text == "no"
