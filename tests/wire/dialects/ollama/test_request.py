"""Requests: from this dialect and back, and what other dialects see of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freehold.base.errors import InvalidRequest
from freehold.wire.chat import Image, OutputFormat, Reasoning, Text, Thinking, ToolResult, ToolUse
from tests.wire.dialects.ollama.samples import DIALECT, PNG, QUIRKS, decoded, encoded, opened, prompted

CALL = {"function": {"name": "f", "arguments": {"a": 1}}}
EVERYTHING: dict[str, Any] = {
    "messages": [
        {"role": "system", "content": "S"},
        {"role": "User", "content": "look", "images": [PNG, "/9j/AAAA"], "x": {"y": 1}},
        {
            "role": "assistant",
            "content": "",
            "thinking": "hm",
            "tool_calls": [CALL, {"id": "c9", "type": "function", **CALL, "z": 1}],
        },
        {"role": "tool", "content": "one", "tool_name": "f"},
        {"role": "tool", "content": "", "tool_call_id": "c9", "images": [PNG]},
        {"role": "assistant", "content": None, "tool_calls": [{"function": {"index": 0, "name": "g", "arguments": {}}}]},
        {"role": "tool", "name": "g", "content": "r"},
        {"role": "user", "content": "so?", "images": [], "thinking": "", "tool_calls": None},
    ],
    "tools": [
        {
            "type": "function",
            "function": {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True, "e": 1},
            "items": None,
        },
        {"function": {"name": "g", "parameters": None, "description": None}},
        {"type": "web_search"},
    ],
    "format": {"type": "object", "properties": {"a": {"type": "string"}}},
    "think": "high",
    "keep_alive": -1,
    "truncate": False,
    "logprobs": True,
    "top_logprobs": 3,
    "options": {
        "temperature": 0,
        "top_p": 0.9,
        "top_k": 40,
        "min_p": 0.05,
        "seed": 42,
        "num_predict": 100,
        "stop": ["A", "B"],
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "repeat_penalty": 1.1,
        "num_ctx": 8192,
        "mirostat": None,
    },
}


def test_everything_goes_back_as_it_came() -> None:
    request = decoded(**EVERYTHING)
    assert encoded(request) == {"model": "m", **EVERYTHING}
    assert DIALECT.encode_request(request, "m", QUIRKS)[1] == ()


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"stream": None},
        {"stream": True},
        {"stream": False},
        {"messages": ...},
        {"messages": []},
        {"messages": None},
        {"tools": [], "format": "", "think": None, "options": None, "keep_alive": None},
        {"format": "json", "think": True, "options": {}},
        {"think": False, "keep_alive": 0},
        {"think": "max"},
        {"options": {"stop": "END", "num_predict": -1, "seed": None, "top_k": None}},
        {"options": {"stop": [], "num_predict": None}},
        {"tools": [{"type": "", "function": {"name": "f"}}]},
    ],
)
def test_each_way_of_writing_goes_back_as_it_came(fields: dict[str, Any]) -> None:
    peek = opened(**fields)
    body, dropped = DIALECT.encode_request(DIALECT.decode_request(peek), "m", QUIRKS)
    assert (json.loads(body), dropped) == (json.loads(DIALECT.patch(peek, "m", QUIRKS)[0]), ())


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"prompt": ""},
        {"prompt": None, "keep_alive": 0},
        {"system": "S", "images": [PNG], "think": "low", "format": "json"},
        {"suffix": "}", "options": {"num_predict": 5}, "stream": False},
        {"raw": True, "template": "{{ .Prompt }}", "context": [1, 2]},
        {"raw": False, "template": "", "context": [], "system": "", "images": [], "format": "", "suffix": None},
        {"prompt": "", "images": [PNG]},
        {"width": 512, "height": 512, "steps": 4},
    ],
)
def test_each_generate_call_goes_back_as_it_came(fields: dict[str, Any]) -> None:
    peek = prompted(**fields)
    body, dropped = DIALECT.encode_request(DIALECT.decode_request(peek), "m", QUIRKS)
    assert (json.loads(body), dropped) == (json.loads(DIALECT.patch(peek, "m", QUIRKS)[0]), ())


def test_what_the_canonical_form_says() -> None:
    request = decoded(**EVERYTHING)
    user, calls, first, second, _, third = request.messages[1:7]
    assert [type(part) for part in user.parts] == [Text, Image, Image]
    assert [part.media.media_type for part in user.parts if isinstance(part, Image)] == ["image/png", "image/jpeg"]
    thinking, made, given = calls.parts
    assert isinstance(thinking, Thinking) and thinking.text == "hm"
    assert isinstance(made, ToolUse) and (made.id, made.name, made.arguments) == ("call_2_0", "f", '{"a": 1}')
    assert isinstance(given, ToolUse) and given.id == "c9"
    results = [message.parts[0] for message in (first, second, third)]
    assert [part.call_id for part in results if isinstance(part, ToolResult)] == ["call_2_0", "c9", "call_5_0"]
    assert (request.max_tokens, request.stop, request.seed, request.stream) == (100, ["A", "B"], 42, True)
    assert request.reasoning == Reasoning(enabled=True, effort="high")
    assert sorted(request.extras) == ["keep_alive", "options.mirostat", "options.num_ctx", "options.repeat_penalty", "truncate"]
    assert decoded(format="json").output == OutputFormat(kind="json")


def test_arguments_keep_the_text_they_came_in() -> None:
    text = '{"b": 1.50, "a": [1,2 ] ,"c":"\\u00e9"}'
    body = (
        b'{"model":"m","messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":%b}}]}]}' % text.encode()
    )
    request = DIALECT.decode_request(DIALECT.peek(body, "chat"))
    (part,) = request.messages[0].parts
    assert isinstance(part, ToolUse) and part.arguments == text
    assert text.encode() in DIALECT.encode_request(request, "m", QUIRKS)[0]


def results_of(*results: dict[str, Any], calls: list[Any] | None = None) -> list[str]:
    named = [{"function": {"name": name, "arguments": {}}} for name in ("f", "g", "f")]
    messages = [
        {"role": "assistant", "tool_calls": calls or named},
        *({"role": "tool", "content": "r", **one} for one in results),
    ]
    found = [part for message in decoded(messages=messages).messages[1:] for part in message.parts]
    return [part.call_id for part in found if isinstance(part, ToolResult)]


def test_results_belong_to_calls_by_name_and_order() -> None:
    assert results_of({"tool_name": "g"}, {"tool_name": "f"}, {"tool_name": "f"}) == ["call_0_1", "call_0_0", "call_0_2"]
    assert results_of({}, {}, {}) == ["call_0_0", "call_0_1", "call_0_2"]
    assert results_of({"tool_name": "other"}, {"tool_name": "f"}) == ["call_0_0", "call_0_2"]
    assert results_of({}, {}, {}, {}) == ["call_0_0", "call_0_1", "call_0_2", "call_4"]


def test_results_belong_to_calls_by_id_first() -> None:
    calls = [{"id": name, "function": {"name": "f", "arguments": {}}} for name in ("x", "y")]
    assert results_of({"tool_call_id": "y", "tool_name": "f"}, {"tool_name": "f"}, calls=calls) == ["y", "x"]
    assert results_of({"tool_call_id": "nobody's"}, {}, calls=calls) == ["nobody's", "x"]


def test_ids_are_the_same_in_every_turn() -> None:
    first = EVERYTHING["messages"][:5]
    later = decoded(messages=EVERYTHING["messages"]).messages[:5]
    assert decoded(messages=first).messages == later


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "robot", "content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": "", "images": "x"}]}, "messages[0].images"),
        ({"messages": [{"role": "user", "content": "", "images": [5]}]}, "messages[0].images[0]"),
        ({"messages": [{"role": "user", "content": "", "images": ["data:image/png;base64,QQ"]}]}, "messages[0].images"),
        ({"messages": [{"role": "assistant", "tool_calls": [5]}]}, "messages[0].tool_calls[0]"),
        ({"messages": [{"role": "assistant", "tool_calls": [{}]}]}, "messages[0].tool_calls[0].function"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}]},
            "messages[0].tool_calls[0].function.arguments",
        ),
        ({"options": {"temperature": "hot"}}, "options.temperature"),
        ({"options": {"top_k": 1.5}}, "options.top_k"),
        ({"options": {"stop": [1]}}, "options.stop"),
        ({"tools": 5}, "tools"),
        ({"tools": [1]}, "tools[0]"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"format": "xml"}, "format"),
        ({"think": "hard"}, "think"),
        ({"think": 5}, "think"),
        ({"logprobs": 1}, "logprobs"),
        ({"options.num_ctx": 5}, "options"),
    ],
)
def test_a_clients_mistake_is_named_by_its_path(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decoded(**fields)
    assert caught.value.param == param
