"""A v2 chat request -> the canonical ChatRequest. Messages are in messages_in.py.

Law: encoding the result for the same dialect gives equal JSON. What has no canonical word stays in `extras` as written;
nulls and other second ways to write one thing are noted in `spelling`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Raw

from freehold.base.errors import InvalidRequest
from freehold.wire.chat import ChatRequest, Message, OutputFormat, Reasoning, Tool, ToolChoice
from freehold.wire.dialect import Peek
from freehold.wire.dialects.cohere.messages_in import decode_documents, decode_messages
from freehold.wire.dialects.cohere.words import INNER, NAME, encode
from freehold.wire.typed import (
    Fields,
    as_bool,
    as_fields,
    as_float,
    as_int,
    as_list,
    as_str,
    as_texts,
    kind_of,
    optional,
    required,
    typed,
)

# wire name -> (attribute, decoder, what it must be)
PLAIN: dict[str, tuple[str, Callable[[Raw], Any], str]] = {
    "temperature": ("temperature", as_float, "a number"),
    "p": ("top_p", as_float, "a number"),
    "k": ("top_k", as_int, "a whole number"),
    "seed": ("seed", as_int, "a whole number"),
    "frequency_penalty": ("frequency_penalty", as_float, "a number"),
    "presence_penalty": ("presence_penalty", as_float, "a number"),
    "max_tokens": ("max_tokens", as_int, "a whole number"),
    "logprobs": ("logprobs", as_bool, "true or false"),
    "stream": ("stream", as_bool, "true or false"),
}
_CHOICES = {"REQUIRED": "required", "NONE": "none"}


def decode_request(peek: Peek) -> ChatRequest:
    """Raises InvalidRequest with the path of the offending field."""
    fields = dict(peek.fields)
    fields.pop("model", None)  # it may stand in the URL
    request = ChatRequest(dialect=NAME, model=peek.model, messages=decode_messages(fields.pop("messages")))
    _documents(request, fields)
    for name, (attribute, decode, wanted) in PLAIN.items():
        if name in fields:
            setattr(request, attribute, optional(fields, name, decode, wanted, request.spelling))
    stop = optional(fields, "stop_sequences", as_texts, "an array of strings", request.spelling)
    request.stop = stop or []
    if stop == []:
        request.spelling["stop_sequences"] = "empty"
    _tools(request, fields)
    _format(request, fields)
    _thinking(request, fields)
    request.extras = fields
    return request


def _documents(request: ChatRequest, fields: Fields) -> None:
    raw = fields.get("documents")
    if raw is None or kind_of(raw) == "null":
        return
    found = decode_documents(fields.pop("documents"))
    if not found.parts:
        request.spelling["documents"] = "empty"
        return
    request.messages.insert(_last_user(request.messages), found)


def _last_user(messages: list[Message]) -> int:
    """Where the last user message stands; a call's result never follows it, so that a message may go before it."""
    return next((n for n in range(len(messages) - 1, -1, -1) if messages[n].role == "user"), 0)


def _tools(request: ChatRequest, fields: Fields) -> None:
    tools = optional(fields, "tools", as_list, "an array", request.spelling)
    request.tools = [_tool(raw, f"tools[{n}]") for n, raw in enumerate(tools or ())]
    if tools == []:
        request.spelling["tools"] = "empty"
    word = optional(fields, "tool_choice", as_str, "REQUIRED or NONE", request.spelling)
    if word is not None:
        if word not in _CHOICES:
            raise InvalidRequest(f"tool_choice: is {word[:40]!r}; it must be REQUIRED or NONE", param="tool_choice")
        request.tool_choice = ToolChoice(mode=_CHOICES[word])  # type: ignore[arg-type]
    strict = optional(fields, "strict_tools", as_bool, "true or false", request.spelling)
    if strict is not None:
        request.spelling["strict_tools"] = "true" if strict else "false"
        for tool in request.tools:
            tool.strict = strict


def _tool(raw: Raw, path: str) -> Tool:
    fields: Fields = dict(typed(raw, as_fields, path, "an object"))
    kind = required(fields, "type", as_str, "a string", path)
    if kind != "function":
        return Tool(name=kind, raw=raw)
    where = f"{path}.function"
    function: Fields = dict(required(fields, "function", as_fields, "an object", path))
    tool = Tool(name=required(function, "name", as_str, "a string", where), extras=fields)
    tool.description = optional(function, "description", as_str, "a string", tool.spelling, where)
    parameters = function.get("parameters")
    if parameters is not None and kind_of(parameters) != "null":
        typed(parameters, as_fields, f"{where}.parameters", "an object")
        tool.parameters = function.pop("parameters")
    if function:
        tool.spelling[INNER] = encode(function).decode()
    return tool


def _format(request: ChatRequest, fields: Fields) -> None:
    given = optional(fields, "response_format", as_fields, "an object", request.spelling)
    if given is None:
        return
    inner: Fields = dict(given)
    kind = required(inner, "type", as_str, "a string", "response_format")
    if kind not in ("text", "json_object"):
        raise InvalidRequest(
            f"response_format.type: is {kind[:40]!r}; it must be text or json_object", param="response_format.type"
        )
    output = OutputFormat(kind="text" if kind == "text" else "json")
    for name in ("json_schema", "schema"):  # the second is the older name
        if kind == "json_object" and output.schema is None and name in inner and kind_of(inner[name]) != "null":
            typed(inner[name], as_fields, f"response_format.{name}", "an object")
            output.kind, output.schema, output.spelling["schema"] = "schema", inner.pop(name), name
    output.extras = inner
    request.output = output


def _thinking(request: ChatRequest, fields: Fields) -> None:
    given = optional(fields, "thinking", as_fields, "an object", request.spelling)
    if given is None:
        return
    inner: Fields = dict(given)
    kind = required(inner, "type", as_str, "a string", "thinking")
    if kind not in ("enabled", "disabled"):
        raise InvalidRequest(f"thinking.type: is {kind[:40]!r}; it must be enabled or disabled", param="thinking.type")
    reasoning = Reasoning(enabled=kind == "enabled")
    reasoning.budget_tokens = optional(inner, "token_budget", as_int, "a whole number", request.spelling, "thinking")
    if request.spelling.pop("token_budget", None):
        inner["token_budget"] = Raw(b"null")
    reasoning.extras = inner
    request.reasoning = reasoning
