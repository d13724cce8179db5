"""generateContent requests: decoded with every field in its place, encoded again as they came."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.base.errors import InvalidRequest, Unsupported
from freehold.wire.chat import Audio, File, Image, Message, Opaque, Text, Thinking, ToolResult, ToolUse
from freehold.wire.dialect import Quirks
from freehold.wire.dialects.gemini.words import _CAMEL

from .bodies import ASKED, DIALECT, again, decoded, dump, encoded

USER: dict[str, Any] = {"role": "user", "parts": [{"text": "u"}]}


def part_of(part: dict[str, Any], role: str = "user") -> Any:
    return decoded(contents=[{"role": role, "parts": [part]}]).messages[0].parts[0]


# --- parts ---------------------------------------------------------------------


def test_media_are_told_apart_by_type_and_place() -> None:
    assert isinstance(part_of({"inlineData": {"mimeType": "image/png", "data": "QQ=="}}), Image)
    audio = part_of({"inline_data": {"mime_type": "audio/L16;codec=pcm;rate=24000", "data": "QQ=="}})
    assert isinstance(audio, Audio) and audio.media.media_type == "audio/L16;codec=pcm;rate=24000"
    pdf = part_of({"inlineData": {"mimeType": "application/pdf", "data": "QQ==", "displayName": "a.pdf"}})
    assert isinstance(pdf, File) and (pdf.name, pdf.media.kind) == ("a.pdf", "base64")
    kinds = {
        "https://generativelanguage.googleapis.com/v1beta/files/x": "file_id",
        "gs://bucket/x.png": "file_id",
        "https://example.org/x.png": "url",
        "https://www.youtube.com/watch?v=x": "url",
    }
    for uri, kind in kinds.items():
        assert part_of({"fileData": {"fileUri": uri, "mimeType": "image/png"}}).media.kind == kind
    assert isinstance(part_of({"fileData": {"fileUri": "gs://x/v"}}), File)


def test_signatures_are_on_any_part_in_plain_base64() -> None:
    for part in ({"text": "t"}, {"text": "t", "thought": True}, {"functionCall": {"name": "f"}}):
        read = part_of({**part, "thoughtSignature": "a-_b"}, "model")
        assert read.signature == "a+/b"
    assert isinstance(part_of({"text": "t", "thought": True}, "model"), Thinking)
    assert isinstance(part_of({"thought": True, "thoughtSignature": "QQ=="}, "model"), Thinking)
    alone = part_of({"thoughtSignature": "QQ=="}, "model")
    assert (type(alone), alone.text, alone.signature) == (Text, "", "QQ==")


def test_what_has_no_word_is_carried_whole() -> None:
    for part in ({"executableCode": {"code": "1", "language": "PYTHON"}}, {"toolCall": {"id": "x"}}, {"newKind": {}}, {}):
        read = part_of(part, "model")
        assert isinstance(read, Opaque) and json.loads(bytes(read.raw)) == part


def test_calls_without_ids_get_them_and_results_find_them_by_name_and_order() -> None:
    request = decoded(
        contents=[
            {"role": "model", "parts": [{"functionCall": {"name": n}} for n in ("f", "g", "f")]},
            {"role": "user", "parts": [{"functionResponse": {"name": n, "response": {}}} for n in ("f", "f", "g", "h")]},
            {"role": "model", "parts": [{"functionCall": {"name": "f"}}, {"functionCall": {"name": "f", "id": "own"}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "f", "id": "own"}}, {"functionResponse": {"name": "f"}}]},
        ]
    )
    calls = [part.id for turn in request.messages for part in turn.parts if isinstance(part, ToolUse)]
    results = [part.call_id for turn in request.messages for part in turn.parts if isinstance(part, ToolResult)]
    assert len(set(calls)) == 5
    assert results[:3] == [calls[0], calls[2], calls[1]] and results[3] not in calls
    assert results[4:] == ["own", calls[3]]


def test_an_unanswered_call_of_an_earlier_turn_takes_no_later_result() -> None:
    request = decoded(
        contents=[
            {"role": "model", "parts": [{"functionCall": {"name": "f"}}]},
            USER,
            {"role": "model", "parts": [{"functionCall": {"name": "f"}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "f"}}]},
        ]
    )
    later = request.messages[2].parts[0]
    result = request.messages[3].parts[0]
    assert isinstance(later, ToolUse) and isinstance(result, ToolResult) and result.call_id == later.id


@pytest.mark.parametrize(
    ("response", "text", "is_error"),
    [
        ({"output": "t"}, "t", False),
        ({"result": "t"}, "t", False),
        ({"error": "t"}, "t", True),
        ({"output": 5}, '{"output": 5}', False),
        ({"output": "t", "x": 1}, '{"output": "t", "x": 1}', False),
        ({"a": [1]}, '{"a": [1]}', False),
        ({}, "{}", False),
    ],
)
def test_a_response_is_read_as_the_text_that_it_holds(response: Any, text: str, is_error: bool) -> None:
    part = {"functionResponse": {"name": "f", "response": response}}
    result = part_of(part)
    assert ([inner.text for inner in result.parts], result.is_error, result.plain) == ([text], is_error, True)
    assert again({"contents": [{"parts": [part]}]}) == {"contents": [{"parts": [part]}]}


def test_media_in_a_response_are_parts_of_the_result() -> None:
    inner = {"inline_data": {"mime_type": "application/pdf", "data": "QQ=="}}
    result = part_of({"functionResponse": {"name": "f", "response": {"output": "t"}, "parts": [inner]}})
    assert [type(part) for part in result.parts] == [Text, File]


def test_a_changed_result_text_is_what_is_sent() -> None:
    """Masking edits the canonical text: nothing of the original may leave."""
    for response in ({"output": "secret"}, {"deep": {"x": "secret"}}):
        request = decoded(contents=[{"parts": [{"functionResponse": {"name": "f", "response": response}}]}])
        result = request.messages[0].parts[0]
        assert isinstance(result, ToolResult) and isinstance(result.parts[0], Text)
        result.parts[0].text = result.parts[0].text.replace("secret", "***")
        assert "secret" not in json.dumps(encoded(request)) and "***" in json.dumps(encoded(request))


# --- the rest of the request -----------------------------------------------------


def test_every_setting_has_its_canonical_word() -> None:
    request = decoded(
        systemInstruction={"parts": [{"text": "S"}], "role": "user"},
        generationConfig={
            "temperature": 0.5,
            "topP": 0.25,
            "topK": 40.0,
            "candidateCount": 2,
            "maxOutputTokens": "100",
            "stopSequences": ["a"],
            "seed": 1,
            "presencePenalty": 0.5,
            "frequencyPenalty": 0.75,
            "responseLogprobs": True,
            "logprobs": 3,
            "responseModalities": ["TEXT"],
        },
        safetySettings=[{"category": "C"}],
        serviceTier="flex",
        labels={"a": "b"},
    )
    assert [request.messages[0].role, request.messages[1].role] == ["system", "user"]
    assert (request.temperature, request.top_p, request.top_k, request.n, request.max_tokens) == (0.5, 0.25, 40, 2, 100)
    assert (request.stop, request.seed, request.presence_penalty, request.frequency_penalty) == (["a"], 1, 0.5, 0.75)
    assert (request.logprobs, request.top_logprobs, request.service_tier) == (True, 3, "flex")
    assert set(request.extras) == {"safetySettings", "labels", "generationConfig.responseModalities"}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"thinkingBudget": 0}, (False, None, "", False)),
        ({"thinkingBudget": -1}, (True, None, "", True)),
        ({"thinking_budget": 100}, (True, 100, "", False)),
        ({"thinkingLevel": "HIGH"}, (True, None, "high", False)),
        ({"thinking_level": "low", "includeThoughts": True}, (True, None, "low", False)),
        ({"includeThoughts": True}, (None, None, "", False)),
    ],
)
def test_thinking_is_read_as_reasoning(config: Any, expected: Any) -> None:
    found = decoded(generationConfig={"thinkingConfig": config}).reasoning
    assert found is not None
    assert (found.enabled, found.budget_tokens, found.effort, found.adaptive) == expected


@pytest.mark.parametrize(
    ("config", "mode", "name"),
    [
        ({"mode": "AUTO"}, "auto", ""),
        ({"mode": "any"}, "required", ""),
        ({"mode": 3}, "none", ""),
        ({"mode": "VALIDATED"}, "auto", ""),
        ({"mode": "ANY", "allowed_function_names": ["f"]}, "tool", "f"),
        ({"mode": "ANY", "allowedFunctionNames": ["f", "g"]}, "required", ""),
        ({}, "auto", ""),
    ],
)
def test_modes_of_function_calling(config: Any, mode: str, name: str) -> None:
    choice = decoded(toolConfig={"functionCallingConfig": config}).tool_choice
    assert choice is not None and (choice.mode, choice.name) == (mode, name)


def test_a_changed_choice_is_what_is_sent() -> None:
    request = decoded(tool_config={"function_calling_config": {"mode": "any"}})
    assert request.tool_choice is not None
    request.tool_choice.mode = "none"
    assert encoded(request)["tool_config"] == {"functionCallingConfig": {"mode": "NONE"}}


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({"responseMimeType": "application/json"}, "json"),
        ({"responseMimeType": "application/json", "responseSchema": {"type": "OBJECT"}}, "schema"),
        ({"response_mime_type": "application/json", "response_json_schema": {"type": "object"}}, "schema"),
        ({"responseMimeType": "text/plain"}, "text"),
    ],
)
def test_formats(config: Any, kind: str) -> None:
    output = decoded(generationConfig=config).output
    assert output is not None and output.kind == kind
    if kind == "schema":
        assert output.schema is not None and json.loads(bytes(output.schema)) == {"type": "object"}


def test_a_format_that_others_lack_is_named_for_them() -> None:
    request = decoded(generationConfig={"responseMimeType": "text/x.enum", "responseSchema": {"type": "STRING", "enum": ["a"]}})
    assert request.output is None and "generationConfig.responseMimeType" in request.extras


SAMPLES: list[dict[str, Any]] = [
    {"contents": [USER], "tools": []},
    {"contents": [USER], "tools": [{}]},
    {"contents": [USER], "tools": [{"functionDeclarations": []}, {"googleSearch": {}, "urlContext": {}}, {"code_execution": {}}]},
    {"contents": [USER], "tools": {"function_declarations": [{"name": "f"}]}},
    {"contents": [USER], "tools": [{"functionDeclarations": [{"name": "f"}]}, {"functionDeclarations": [{"name": "g"}]}]},
    {"contents": [USER], "tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": 6}, "behavior": "BLOCKING"}]}]},
    {
        "contents": [USER],
        "toolConfig": {},
        "generationConfig": {},
        "cachedContent": "c",
        "system_instruction": {"parts": {"text": "S"}},
    },
    {
        "contents": [USER],
        "toolConfig": None,
        "generationConfig": None,
        "tools": None,
        "systemInstruction": None,
        "cachedContent": None,
    },
    {"contents": [USER], "generationConfig": {"stopSequences": [], "seed": None, "responseMimeType": "", "thinkingConfig": {}}},
    {
        "contents": [USER],
        "generation_config": {"top_k": 3, "response_json_schema": {"type": "object"}, "_responseJsonSchema": None},
    },
    {"contents": {"parts": {"text": "u"}}},
    {"contents": [{"parts": []}, {"role": "user"}, {"role": "function", "parts": [{"functionResponse": {"name": "f"}}]}]},
    {"contents": [{"role": "", "parts": [{"text": ""}, {"text": "t", "thought": False}]}]},
    {"contents": [{"role": "model", "parts": [{"functionCall": {"name": "f", "args": None, "id": ""}, "thoughtSignature": ""}]}]},
    {"contents": [{"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}, "willContinue": True}}]}]},
    {
        "contents": [
            {"parts": [{"functionResponse": {"name": "f", "response": {"output": "x"}, "parts": [], "scheduling": "SILENT"}}]}
        ]
    },
    {"contents": [{"parts": [{"functionResponse": {"name": "f", "parts": [{"functionResponse": {"name": "g"}}]}}]}]},
    {"contents": [{"parts": [{"text": "t", "thought_signature": "a_-b", "partMetadata": {}}, {"text": "t", "inlineData": {}}]}]},
    {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png"}}, {"fileData": {"fileUri": "u", "displayName": ""}}]}]},
    {"contents": [{"parts": [{"fileData": {"fileUri": "u"}, "videoMetadata": {"fps": 1}, "mediaResolution": {"level": "L"}}]}]},
    {"model": "gemini-2.5-flash", "contents": [USER]},
    {"model": "models/gemini-2.5-flash", "contents": [USER], "store": False, "newField": [1]},
]


@pytest.mark.parametrize("body", SAMPLES)
def test_a_request_is_written_back_as_it_came(body: dict[str, Any]) -> None:
    assert again(body) == body


def snake(value: Any) -> Any:
    """The same request in protobuf's own names."""
    names = {camel: name for name, camel in _CAMEL.items()}
    if isinstance(value, list):
        return [snake(item) for item in value]
    if isinstance(value, dict):
        return {names.get(name, name): item if name in ("args", "response") else snake(item) for name, item in value.items()}
    return value


@pytest.mark.parametrize("body", SAMPLES)
def test_snake_case_means_the_same_and_is_written_back(body: dict[str, Any]) -> None:
    plain = DIALECT.decode_request(DIALECT.peek(dump(body), "chat", ASKED))
    other = DIALECT.decode_request(DIALECT.peek(dump(snake(body)), "chat", ASKED))
    assert again(snake(body)) == snake(body)
    assert [[type(part) for part in one.parts] for one in plain.messages] == [
        [type(part) for part in one.parts] for one in other.messages
    ]
    assert (plain.top_k, plain.tool_choice, len(plain.tools)) == (other.top_k, other.tool_choice, len(other.tools))


VALUES = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "x"]) | st.just([]) | st.just({}) | st.just([{}])
PARTS = st.dictionaries(
    st.sampled_from(["text", "thought", "thoughtSignature", "functionCall", "functionResponse", "inlineData", "x"]),
    VALUES
    | st.dictionaries(st.sampled_from(["name", "args", "id", "response", "parts", "data", "mimeType"]), VALUES, max_size=4),
    max_size=3,
)


TURNS = st.fixed_dictionaries({"parts": st.lists(PARTS, max_size=3)}, optional={"role": st.just("model")})


@settings(max_examples=300, deadline=None)
@given(
    st.lists(TURNS, min_size=1, max_size=3),
    st.dictionaries(st.sampled_from(["tools", "toolConfig", "generationConfig", "systemInstruction", "serviceTier"]), VALUES),
)
def test_any_request_is_refused_with_a_path_or_written_back_as_it_came(contents: Any, rest: Any) -> None:
    body = {"contents": contents, **rest}
    try:
        found = again(body)
    except InvalidRequest as error:
        assert error.param
    else:
        assert found == body


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"contents": [{"role": "system", "parts": []}]}, "contents[0].role"),
        ({"contents": [5]}, "contents[0]"),
        ({"contents": [{"parts": "x"}]}, "contents[0].parts"),
        ({"contents": [{"parts": [{"text": 5}]}]}, "contents[0].parts[0].text"),
        ({"contents": [{"parts": [{"functionCall": {"name": "f", "args": []}}]}]}, "contents[0].parts[0].functionCall.args"),
        ({"contents": [{"parts": [{"functionCall": {}}]}]}, "contents[0].parts[0].functionCall.name"),
        ({"contents": [{"parts": [{"functionResponse": {"name": 1}}]}]}, "contents[0].parts[0].functionResponse.name"),
        ({"systemInstruction": "x"}, "systemInstruction"),
        ({"tools": [{"functionDeclarations": [{}]}]}, "tools[0].functionDeclarations[0].name"),
        ({"tools": [{"functionDeclarations": [{"name": "f", "parameters": 5}]}]}, "tools[0].functionDeclarations[0].parameters"),
        ({"toolConfig": {"functionCallingConfig": {"mode": "SOME"}}}, "toolConfig.functionCallingConfig.mode"),
        ({"generationConfig": {"temperature": "hot"}}, "generationConfig.temperature"),
        ({"generationConfig": {"thinkingConfig": {"thinkingBudget": "x"}}}, "generationConfig.thinkingConfig.thinkingBudget"),
        ({"generationConfig": {"responseMimeType": 5}}, "generationConfig.responseMimeType"),
    ],
)
def test_a_mistake_is_told_with_its_path(fields: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decoded(**fields)
    assert caught.value.param == param and param in caught.value.message


def test_what_the_target_cannot_do_at_all_is_refused() -> None:
    image = {"inlineData": {"mimeType": "image/png", "data": "QQ=="}}
    lacking = Quirks(unsupported=("image", "tools", "schema", "n"))
    for fields in (
        {"contents": [{"parts": [image]}]},
        {"contents": [{"parts": [{"functionResponse": {"name": "f", "parts": [image]}}]}]},
        {"tools": [{"functionDeclarations": [{"name": "f"}]}]},
        {"generationConfig": {"responseMimeType": "application/json", "responseSchema": {}}},
        {"generationConfig": {"candidateCount": 2}},
    ):
        with pytest.raises(Unsupported):
            encoded(decoded(**fields), quirks=lacking)


def test_quirks_rename_and_drop_when_encoding() -> None:
    request = decoded(safetySettings=[], labels={"a": "b"})
    body, dropped = DIALECT.encode_request(request, "m", Quirks(drop=("labels",), rename={"safetySettings": "safety"}))
    assert dropped == ("labels",) and json.loads(body)["safety"] == []


def test_a_system_message_that_the_gateway_adds_joins_the_instruction() -> None:
    request = decoded(systemInstruction={"parts": [{"text": "S"}]})
    request.messages.insert(1, Message(role="system", parts=[Text(text="added")]))
    assert encoded(request)["systemInstruction"] == {"parts": [{"text": "S"}, {"text": "added"}]}
