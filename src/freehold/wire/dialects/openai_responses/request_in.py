"""A Responses request -> ChatRequest: everything above the items, which are in items_in.py.

What has no word in the canonical form stays raw in `extras` (members of `text` and `reasoning` under their path,
"text.verbosity"); what can be written in two ways, or asks for nothing, is noted in `spelling`, so that encoding the
result again gives equal JSON.

A request that is translated can't use what the provider keeps: earlier responses, conversations, stored prompts,
background runs. Those are refused here; a target of this dialect gets them through `patch`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Raw, json

from freehold.base.errors import InvalidRequest
from freehold.wire.chat import ChatRequest, Message, OutputFormat, Reasoning, Text, Tool, ToolChoice
from freehold.wire.dialect import Peek
from freehold.wire.dialects.openai_chat.peek import json_type
from freehold.wire.dialects.openai_responses.items_in import decode_input
from freehold.wire.dialects.openai_responses.words import IN, NAME, typed
from freehold.wire.typed import is_null

_members = json.Decoder(dict[str, Raw]).decode
_items = json.Decoder(list[Raw]).decode
_strings = json.Decoder(list[str]).decode
_float, _int, _bool, _str = (json.Decoder(t).decode for t in (float, int, bool, str))

ENCRYPTED = "reasoning.encrypted_content"  # given in any case
LOGPROBS = "message.output_text.logprobs"


def _as_is(value: Raw) -> Raw:
    return value


# wire name -> (attribute, decoder, what it must be)
_PLAIN: dict[str, tuple[str, Callable[[Raw], Any], str]] = {
    "temperature": ("temperature", _float, "a number"),
    "top_p": ("top_p", _float, "a number"),
    "frequency_penalty": ("frequency_penalty", _float, "a number"),
    "presence_penalty": ("presence_penalty", _float, "a number"),
    "user": ("user", _str, "a string"),
    "service_tier": ("service_tier", _str, "a string"),
    "parallel_tool_calls": ("parallel_tools", _bool, "true or false"),
    "stream": ("stream", _bool, "true or false"),
    "max_output_tokens": ("max_tokens", _int, "a whole number"),
    "metadata": ("metadata", _as_is, "an object"),
}
# What the provider keeps for the client -> what to do instead.
_STATE = {
    "store": "responses can't be stored; set 'store' to false",
    "previous_response_id": "earlier responses are not kept; send the whole conversation in 'input'",
    "conversation": "conversations are not kept; send the whole conversation in 'input'",
    "background": "responses can't run in the background; leave 'background' out",
    "prompt": "stored prompts can't be read; send their text in 'instructions' or 'input'",
}
_ASKS_NOTHING = {"store": b"false", "background": b"false", "truncation": b'"disabled"'}


def decode_request(opened: Peek) -> ChatRequest:
    """Raises InvalidRequest with the path of the offending field."""
    request = ChatRequest(dialect=NAME, model=opened.model, messages=[])
    members = opened.fields
    for name, value in members.items():
        if name == "model":
            continue
        if bytes(value) == b"null" and (name in _PLAIN or name in _SPECIAL or name in _STATE):
            request.spelling[name] = "null"
        elif bytes(value) == _ASKS_NOTHING.get(name):
            request.spelling[name] = bytes(value).decode()
        elif name in _STATE:
            raise InvalidRequest(
                f"'{name}' can't be used with this model: its target speaks another API, so {_STATE[name]}", param=name
            )
        elif name in _PLAIN:
            attribute, decode, wanted = _PLAIN[name]
            setattr(request, attribute, typed(decode, value, name, wanted))
        elif name in _SPECIAL:
            _SPECIAL[name](request, value)
        else:
            request.extras[name] = value
    if is_null(members.get("input")):
        raise InvalidRequest("'input' is missing", param="input")
    _instructions(request, members.get("instructions"))
    if request.top_logprobs is not None and not request.logprobs:
        # Alone it gives nothing here, and other APIs refuse it alone.
        name = "top_logprobs"
        if request.top_logprobs:
            request.extras[name] = members[name]
        else:
            request.spelling[name] = "0"
        request.top_logprobs = None
    return request


def _object(value: Raw, path: str) -> dict[str, Raw]:
    return typed(_members, value, path, "an object")  # type: ignore[no-any-return]


def _text(value: Raw | None, path: str) -> str:
    if value is None:
        raise InvalidRequest(f"'{path}' is missing", param=path)
    return typed(_str, value, path, "a string")  # type: ignore[no-any-return]


def _input(request: ChatRequest, value: Raw) -> None:
    if json_type(value) == "a string":
        request.messages = [Message(role="user", parts=[Text(text=_text(value, "input"))], plain=True)]
        request.spelling["input"] = "string"
    elif json_type(value) == "an array":
        request.messages = decode_input(value)
    else:
        raise InvalidRequest(f"'input' must be a string or an array, not {json_type(value)}", param="input")


def _instructions(request: ChatRequest, value: Raw | None) -> None:
    """The first system message, wherever in the body the field stands."""
    if not is_null(value):
        text = Text(text=_text(value, "instructions"))
        request.messages.insert(0, Message(role="system", parts=[text], plain=True, spelling={IN: "instructions"}))


def _read_later(request: ChatRequest, value: Raw) -> None:
    pass


def _include(request: ChatRequest, value: Raw) -> None:
    wanted: list[str] = typed(_strings, value, "include", "an array of strings")
    if LOGPROBS in wanted:
        request.logprobs = True
    if all(name in (ENCRYPTED, LOGPROBS) for name in wanted):
        request.spelling["include"] = bytes(value).decode()
    else:
        request.extras["include"] = value


def _top_logprobs(request: ChatRequest, value: Raw) -> None:
    request.top_logprobs = typed(_int, value, "top_logprobs", "a whole number")


# --- tools --------------------------------------------------------------------


def _tools(request: ChatRequest, value: Raw) -> None:
    items = typed(_items, value, "tools", "an array")
    request.tools = [_tool(item, f"tools[{number}]") for number, item in enumerate(items)]
    if not items:
        request.spelling["tools"] = "[]"


def _tool(item: Raw, path: str) -> Tool:
    members = _object(item, path)
    kind = _text(members.get("type"), f"{path}.type")
    if kind != "function":
        named = members.get("name")
        return Tool(name=kind if is_null(named) else _text(named, f"{path}.name"), raw=item)
    tool = Tool(name=_text(members.get("name"), f"{path}.name"))
    for key, member in members.items():
        if key in ("type", "name"):
            continue
        if key == "parameters" and json_type(member) == "an object":
            tool.parameters = member
        elif key == "description" and not is_null(member):
            tool.description = _text(member, f"{path}.description")
        elif key == "strict" and not is_null(member):
            tool.strict = typed(_bool, member, f"{path}.strict", "true or false")
        else:
            tool.extras[key] = member
    return tool


def _tool_choice(request: ChatRequest, value: Raw) -> None:
    if json_type(value) == "a string":
        word = _text(value, "tool_choice")
        if word not in ("auto", "none", "required"):
            raise InvalidRequest(
                f"'tool_choice' must be auto, none, required or a named tool, not {word[:40]!r}", param="tool_choice"
            )
        request.tool_choice = ToolChoice(mode=word)  # type: ignore[arg-type]
        return
    members = _object(value, "tool_choice")
    kind = _text(members.get("type"), "tool_choice.type")
    if kind == "allowed_tools":
        mode = _text(members.get("mode"), "tool_choice.mode")
        choice = ToolChoice(mode="required" if mode == "required" else "auto", extras={"allowed_tools": value})
    elif kind == "function":
        choice = ToolChoice(mode="tool", name=_text(members.get("name"), "tool_choice.name"))
        if len(members) > 2:
            choice.extras["tool_choice"] = value
    else:
        named = members.get("name")
        choice = ToolChoice(mode="tool", name=kind if is_null(named) else _text(named, "tool_choice.name"))
        choice.extras["tool_choice"] = value
    request.tool_choice = choice


# --- output and reasoning -----------------------------------------------------


def _text_options(request: ChatRequest, value: Raw) -> None:
    members = _object(value, "text")
    if not members:
        request.spelling["text"] = "{}"
    for key, member in members.items():
        if key == "format" and json_type(member) == "an object":
            _format(request, member)
        else:
            request.extras[f"text.{key}"] = member


def _format(request: ChatRequest, value: Raw) -> None:
    members = _object(value, "text.format")
    kind = _text(members.pop("type", None), "text.format.type")
    if kind not in ("text", "json_object", "json_schema"):
        request.extras["text.format"] = value  # a grammar: that provider's own
        return
    if kind != "json_schema":
        request.output = OutputFormat(kind="text" if kind == "text" else "json", extras=members)
        return
    output = request.output = OutputFormat(kind="schema")
    for key, member in members.items():
        path = f"text.format.{key}"
        if is_null(member) or bytes(member) == b'""':
            output.extras[key] = member
        elif key == "schema":
            _object(member, path)
            output.schema = member
        elif key == "name":
            output.name = _text(member, path)
        elif key == "strict":
            output.strict = typed(_bool, member, path, "true or false")
        elif key == "description":
            output.description = _text(member, path)
        else:
            output.extras[key] = member


def _reasoning(request: ChatRequest, value: Raw) -> None:
    members = _object(value, "reasoning")
    if not members:
        request.spelling["reasoning"] = "{}"
        return
    reasoning = Reasoning()
    for key, member in members.items():
        if key == "effort" and not is_null(member) and bytes(member) != b'""':
            reasoning.effort = _text(member, "reasoning.effort")
            if reasoning.effort == "none":
                reasoning.enabled = False
        elif key in ("effort", "summary", "generate_summary"):  # a summary asks for no more than others give
            reasoning.extras[key] = member
        else:
            request.extras[f"reasoning.{key}"] = member
    if reasoning.effort or reasoning.extras:
        request.reasoning = reasoning


_SPECIAL: dict[str, Callable[[ChatRequest, Raw], None]] = {
    "input": _input,
    "instructions": _read_later,
    "include": _include,
    "top_logprobs": _top_logprobs,
    "tools": _tools,
    "tool_choice": _tool_choice,
    "text": _text_options,
    "reasoning": _reasoning,
}


def opened_again(extras: dict[str, Raw], name: str) -> dict[str, Raw]:
    """The members that `extras` holds under "name.": the other half of how they were taken apart."""
    prefix = name + "."
    return {key.removeprefix(prefix): member for key, member in extras.items() if key.startswith(prefix)}
