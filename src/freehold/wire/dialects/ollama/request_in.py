"""A chat or generate call -> ChatRequest: everything above the messages.

Members of `options` without a canonical word are extras under "options.<name>", so that other dialects name them so in
`dropped`. A field that asks for nothing (null, "", [], {}; raw: false) is only noted in `spelling`, as its JSON text.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Raw, json

from freehold.base.errors import InvalidRequest
from freehold.wire.chat import ChatRequest, OutputFormat, Reasoning, Tool
from freehold.wire.dialect import Peek
from freehold.wire.dialects.ollama.messages_in import decode_messages, decode_prompt
from freehold.wire.dialects.ollama.words import (
    FORM,
    GENERATE,
    INNER,
    NAME,
    NOTHING,
    Fields,
    flag_of,
    integer_of,
    list_of,
    number_of,
    object_of,
    raw,
    string_of,
    text,
    wrong,
)
from freehold.wire.dialects.openai_chat.peek import json_type

_LEVELS = ("low", "medium", "high", "max")
_PROMPT = frozenset(("system", "prompt", "images", "context", "template", "raw", "suffix"))
_stops = json.Decoder(list[str]).decode

# option -> (attribute, decoder)
OPTIONS: dict[str, tuple[str, Callable[[Raw, str], Any]]] = {
    "temperature": ("temperature", number_of),
    "top_p": ("top_p", number_of),
    "top_k": ("top_k", integer_of),
    "min_p": ("min_p", number_of),
    "seed": ("seed", integer_of),
    "frequency_penalty": ("frequency_penalty", number_of),
    "presence_penalty": ("presence_penalty", number_of),
}


def decode_request(opened: Peek) -> ChatRequest:
    """Raises InvalidRequest with the path of the offending field."""
    request = ChatRequest(dialect=NAME, model=opened.model, messages=[], stream=opened.stream)
    members = dict(opened.fields)
    for name in ("model", "messages"):
        members.pop(name, None)
    stream = members.pop("stream", None)
    if stream is None or bytes(stream) == b"null":
        request.spelling["stream"] = "absent" if stream is None else "null"
    generate = opened.form == GENERATE
    prompt: Fields = {}
    for name, value in members.items():
        if generate and name in _PROMPT:
            if bytes(value) in NOTHING or (name == "raw" and bytes(value) == b"false"):
                request.spelling[name] = text(value)
            else:
                prompt[name] = value
        elif name in _FIELDS and bytes(value) in NOTHING:
            request.spelling[name] = text(value)
        elif name in _FIELDS:
            _FIELDS[name](request, value)
        elif name.startswith("options."):
            raise InvalidRequest(f"{name[:60]!r} is no field of this API; put it into 'options'", param="options")
        else:
            request.extras[name] = value
    if generate:
        request.spelling[FORM] = GENERATE
        request.messages = decode_prompt(prompt)
    else:
        held = opened.fields.get("messages")
        request.messages = decode_messages(held)
        if held is not None and bytes(held) in NOTHING:
            request.spelling["messages"] = text(held)
    return request


def _keep_alive(request: ChatRequest, value: Raw) -> None:
    request.extras["keep_alive"] = value


def _options(request: ChatRequest, value: Raw) -> None:
    for name, member in object_of(value, "options").items():
        path = f"options.{name}"
        known = OPTIONS.get(name)
        if bytes(member) == b"null" and (known or name in ("stop", "num_predict")):
            request.spelling[path] = "null"
        elif known is not None:
            setattr(request, known[0], known[1](member, path))
        elif name == "num_predict":
            limit = integer_of(member, path)
            if limit > 0:
                request.max_tokens = limit
            else:
                request.spelling[path] = text(member)  # no bound
        elif name == "stop":
            _stop(request, member, path)
        else:
            request.extras[path] = member


def _stop(request: ChatRequest, value: Raw, path: str) -> None:
    if json_type(value) == "a string":
        request.stop = [string_of(value, path)]
        request.spelling[path] = "string"
        return
    try:
        request.stop = _stops(value)
    except ValueError:
        raise wrong(value, path, "a string or an array of strings") from None
    if not request.stop:
        request.spelling[path] = "[]"


def _tools(request: ChatRequest, value: Raw) -> None:
    for place, item in enumerate(list_of(value, "tools")):
        path = f"tools[{place}]"
        members = object_of(item, path)
        kind = string_of(members["type"], f"{path}.type") if "type" in members else ""
        if "function" not in members or kind not in ("function", ""):
            request.tools.append(Tool(name=kind or "unnamed", raw=item))
            continue
        function = object_of(members["function"], f"{path}.function")
        tool = Tool(name=string_of(function.pop("name", None), f"{path}.function.name"))
        if not kind:
            tool.spelling["type"] = text(members["type"]) if "type" in members else "absent"
        if "description" in function and bytes(function["description"]) != b"null":
            tool.description = string_of(function.pop("description"), f"{path}.function.description")
        if "parameters" in function and json_type(function["parameters"]) == "an object":
            tool.parameters = function.pop("parameters")
        if "strict" in function and bytes(function["strict"]) != b"null":  # OpenAI's, which Ollama passes over
            tool.strict = flag_of(function.pop("strict"), f"{path}.function.strict")
        if function:
            tool.spelling[INNER] = text(raw(function))
        tool.extras = {name: member for name, member in members.items() if name not in ("type", "function")}
        request.tools.append(tool)


def _format(request: ChatRequest, value: Raw) -> None:
    if json_type(value) == "an object":
        request.output = OutputFormat(kind="schema", schema=value)
    elif bytes(value) == b'"json"':
        request.output = OutputFormat(kind="json")
    else:
        raise InvalidRequest("'format' must be \"json\" or a JSON schema", param="format")


def _think(request: ChatRequest, value: Raw) -> None:
    if bytes(value) in (b"true", b"false"):
        request.reasoning = Reasoning(enabled=bytes(value) == b"true")
        return
    level = string_of(value, "think") if json_type(value) == "a string" else ""
    if level not in _LEVELS:
        raise InvalidRequest(f"'think' must be true, false or one of {', '.join(_LEVELS)}", param="think")
    request.reasoning = Reasoning(enabled=True, effort=level)


def _logprobs(request: ChatRequest, value: Raw) -> None:
    request.logprobs = flag_of(value, "logprobs")


def _top_logprobs(request: ChatRequest, value: Raw) -> None:
    request.top_logprobs = integer_of(value, "top_logprobs")


_FIELDS: dict[str, Callable[[ChatRequest, Raw], None]] = {
    "keep_alive": _keep_alive,
    "options": _options,
    "tools": _tools,
    "format": _format,
    "think": _think,
    "logprobs": _logprobs,
    "top_logprobs": _top_logprobs,
}
