"""A Messages request -> the canonical ChatRequest.

Law: encoding the result for the same dialect gives equal JSON. A field whose value canonical words can't hold exactly
(null, an empty list, an unknown shape) therefore stays in `extras` as written; two ways to write one thing are told
apart in `spelling`, with these keys:
    "system"            how many of the leading system messages stood in the top-level `system` field ("0" or "1")
    "output"            "output_format": the older top-level field, instead of output_config.format
    "tool NAME"         "custom": the tool wrote its type out
    "is_error ID"       "false": the tool result said so
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw, Struct, json

from freehold.base.errors import InvalidRequest
from freehold.wire.chat import ChatRequest, Extras, Message, OutputFormat, Reasoning, Role, Text, Tool, ToolChoice
from freehold.wire.dialect import Peek
from freehold.wire.dialects.anthropic.blocks import (
    NAME,
    Fields,
    flag,
    listed,
    opened,
    parts,
    take_cache,
    take_text,
    text_of,
    text_or_list,
)

_ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system"}
_encode = json.Encoder().encode
_float = json.Decoder(float | None).decode
_int = json.Decoder(int | None).decode
_texts = json.Decoder(list[str] | None).decode


class _Thinking(Struct):
    type: str
    budget_tokens: int | None = None


_thinking = json.Decoder(_Thinking).decode


def decode_request(peek: Peek) -> ChatRequest:
    """Raises InvalidRequest with the path of the offending field."""
    fields = dict(peek.fields)
    spelling: dict[str, str] = {}
    messages = _system(fields, spelling)
    from_field = len(messages)
    raws = listed(fields.pop("messages"), "messages")
    if not raws:
        raise InvalidRequest("messages: is empty; send at least one message.", param="messages")
    messages += [_message(raw, f"messages[{number}]", spelling) for number, raw in enumerate(raws)]
    if len(messages) > from_field and messages[from_field].role == "system":
        spelling["system"] = str(from_field)
    request = ChatRequest(dialect=NAME, model=peek.model, messages=messages, max_tokens=peek.max_output, spelling=spelling)
    for name in ("model", "max_tokens"):
        fields.pop(name, None)
    if "stream" in fields:
        request.stream = flag(fields.pop("stream"), "stream")
    _tools(request, fields)
    _knobs(request, fields)
    _thoughts_and_format(request, fields)
    request.extras = fields
    return request


def _system(fields: Fields, spelling: dict[str, str]) -> list[Message]:
    content = text_or_list(fields.get("system"), "system")
    if content is None or content == []:
        return []
    del fields["system"]
    if isinstance(content, str):
        return [Message(role="system", parts=[Text(text=content)], plain=True)]
    return [Message(role="system", parts=parts(content, "system", spelling))]


def _message(raw: Raw, path: str, spelling: dict[str, str]) -> Message:
    fields = opened(raw, path)
    written = text_of(fields.pop("role", None), f"{path}.role")
    role = _ROLES.get(written)
    if role is None:
        raise InvalidRequest(f"{path}.role: is {written[:40]!r}; it must be user, assistant or system", param=f"{path}.role")
    content = text_or_list(fields.pop("content", None), f"{path}.content")
    if content is None:
        raise InvalidRequest(f"{path}.content: is missing", param=f"{path}.content")
    if isinstance(content, str):
        return Message(role=role, parts=[Text(text=content)], plain=True, extras=fields)
    return Message(role=role, parts=parts(content, f"{path}.content", spelling), extras=fields)


def _tools(request: ChatRequest, fields: Fields) -> None:
    if "tools" in fields:
        raws = listed(fields["tools"], "tools")
        request.tools = [_tool(raw, f"tools[{number}]", request.spelling) for number, raw in enumerate(raws)]
        if raws:
            del fields["tools"]
    if "tool_choice" not in fields:
        return
    choice = opened(fields["tool_choice"], "tool_choice")
    kind = text_of(choice.pop("type", None), "tool_choice.type")
    if "disable_parallel_tool_use" in choice:
        request.parallel_tools = not flag(choice.pop("disable_parallel_tool_use"), "tool_choice.disable_parallel_tool_use")
    if kind == "auto":
        request.tool_choice = ToolChoice(mode="auto")
    elif kind == "any":
        request.tool_choice = ToolChoice(mode="required")
    elif kind == "none":
        request.tool_choice = ToolChoice(mode="none")
    elif kind == "tool":
        request.tool_choice = ToolChoice(mode="tool", name=text_of(choice.pop("name", None), "tool_choice.name"))
    else:
        raise InvalidRequest(f"tool_choice.type: is {kind[:40]!r}; it must be auto, any, tool or none", param="tool_choice.type")
    request.tool_choice.extras = choice
    del fields["tool_choice"]


def _tool(raw: Raw, path: str, spelling: dict[str, str]) -> Tool:
    fields = opened(raw, path)
    kind = take_text(fields, "type", path)
    if kind not in ("", "custom"):
        return Tool(name=take_text(fields, "name", path) or kind, raw=raw)
    name = text_of(fields.pop("name", None), f"{path}.name")
    if kind:
        spelling[f"tool {name}"] = kind
    schema = fields.pop("input_schema", None)
    if schema is None:
        raise InvalidRequest(f"{path}.input_schema: is missing; it must be a JSON Schema object", param=f"{path}.input_schema")
    opened(schema, f"{path}.input_schema")
    tool = Tool(name=name, parameters=schema, cache=take_cache(fields))
    if "description" in fields:
        description = take_text(fields, "description", path)
        if description:
            tool.description = description
    if "strict" in fields and bytes(fields["strict"]) != b"null":
        tool.strict = flag(fields.pop("strict"), f"{path}.strict")
    tool.extras = fields
    return tool


def _knobs(request: ChatRequest, fields: Fields) -> None:
    request.temperature = _take(fields, "temperature", _float, "a number")
    request.top_p = _take(fields, "top_p", _float, "a number")
    request.top_k = _take(fields, "top_k", _int, "a whole number")
    request.stop = _take(fields, "stop_sequences", _texts, "a list of strings") or []
    request.service_tier = take_text(fields, "service_tier") or None
    if "metadata" in fields and bytes(fields["metadata"]) != b"null":
        metadata = opened(fields.pop("metadata"), "metadata")
        request.user = take_text(metadata, "user_id", "metadata") or None
        if metadata or request.user is None:
            fields["metadata"] = Raw(_encode(metadata))


def _take(fields: Fields, name: str, decode: Any, kind: str) -> Any:
    """Remove an optional value; null and [] stay among the extras."""
    raw = fields.get(name)
    if raw is None:
        return None
    try:
        value = decode(raw)
    except (ValueError, RecursionError):
        raise InvalidRequest(f"{name}: must be {kind}", param=name) from None
    if value is not None and value != []:
        del fields[name]
    return value


def _thoughts_and_format(request: ChatRequest, fields: Fields) -> None:
    reasoning = _reasoning(fields)
    config: Fields | None = None
    if "output_config" in fields and bytes(fields["output_config"]) != b"null":
        config = opened(fields.pop("output_config"), "output_config")
        if effort := take_text(config, "effort", "output_config"):
            reasoning = reasoning or Reasoning()
            reasoning.effort = effort
        request.output = _format(config, "format")
        if config or not (effort or request.output):
            fields["output_config"] = Raw(_encode(config))
    if request.output is None and "output_format" in fields:
        request.output = _format(fields, "output_format")
        if request.output is not None:
            request.spelling["output"] = "output_format"
    request.reasoning = reasoning


def _reasoning(fields: Fields) -> Reasoning | None:
    """`thinking`, where it is of a known type; another stays among the extras for the provider to judge."""
    raw = fields.get("thinking")
    if raw is None:
        return None
    try:
        thinking = _thinking(raw)
    except (ValueError, RecursionError):
        return None
    rest: Extras = opened(raw, "thinking")
    del rest["type"]
    if thinking.budget_tokens is not None:
        del rest["budget_tokens"]
    if thinking.type == "adaptive":
        found = Reasoning(enabled=True, adaptive=True, budget_tokens=thinking.budget_tokens, extras=rest)
    elif thinking.type in ("enabled", "disabled"):
        found = Reasoning(enabled=thinking.type == "enabled", budget_tokens=thinking.budget_tokens, extras=rest)
    else:
        return None
    del fields["thinking"]
    return found


def _format(fields: Fields, name: str) -> OutputFormat | None:
    """A `json_schema` format, removed from `fields`; another kind stays there."""
    raw = fields.get(name)
    if raw is None or bytes(raw) == b"null":
        return None
    found = opened(raw, name)
    if bytes(found.get("type", b"")) != b'"json_schema"' or "schema" not in found:
        return None
    opened(found["schema"], f"{name}.schema")
    del fields[name], found["type"]
    return OutputFormat(kind="schema", schema=found.pop("schema"), extras=found)
