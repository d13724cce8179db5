"""The canonical ChatRequest -> a Messages request.

One from this dialect is written back as it came. One from another dialect is first adapted (adapt.py) into one that
this dialect could have sent.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw, json

from freehold.base.errors import Unsupported
from freehold.wire.chat import AnyPart, ChatRequest, File, Image, Message, Text, Thinking, Tool, ToolChoice, ToolResult
from freehold.wire.dialect import Quirks
from freehold.wire.dialects.anthropic.adapt import adapt
from freehold.wire.dialects.anthropic.blocks import NAME, Fields, block, cache_control

Object = dict[str, Any]

_encode = json.Encoder().encode
_fields_or_null = json.Decoder(Fields | None).decode
_CHOICES = {"auto": "auto", "none": "none", "required": "any", "tool": "tool"}


def encode_request(request: ChatRequest, model: str, quirks: Quirks) -> tuple[bytes, tuple[str, ...]]:
    """The body and the names of what was left out. Raises Unsupported."""
    dropped: dict[str, None] = {}
    if request.dialect != NAME:
        request = adapt(request, model, dropped)
    if quirks.unsupported:
        _refuse(request, quirks)
    body = _body(request, model, dropped)
    for name in quirks.drop:
        if body.pop(name, None) is not None:
            dropped[name] = None
    if quirks.rename:
        body = {quirks.rename.get(name, name): value for name, value in body.items()}
    return _encode(body), tuple(dropped)


def _body(request: ChatRequest, model: str, dropped: dict[str, None]) -> Object:
    extras = dict(request.extras)
    if extras.pop("anthropic_beta", None) is not None:
        dropped["anthropic_beta"] = None  # Bedrock's field for what is a header here
    out: Object = {"model": model}
    if request.max_tokens is not None:
        out["max_tokens"] = request.max_tokens
    leading = _leading_system(request)
    if leading:
        out["system"] = _content(leading, request.spelling, dropped)
    out["messages"] = [_message(m, request.spelling, dropped) for m in request.messages[len(leading) :]]
    if request.tools:
        out["tools"] = [_tool(tool, request.spelling) for tool in request.tools]
    if request.tool_choice is not None:
        out["tool_choice"] = _choice(request.tool_choice, request.parallel_tools)
    for name, value in (
        ("temperature", request.temperature),
        ("top_p", request.top_p),
        ("top_k", request.top_k),
        ("stop_sequences", request.stop or None),
        ("service_tier", request.service_tier),
        ("stream", request.stream),
    ):
        if value is not None:
            out[name] = value
    if request.user is not None:
        out["metadata"] = {"user_id": request.user, **_opened(extras.pop("metadata", None))}
    _thinking_and_format(request, out, extras)
    return out | extras


def _leading_system(request: ChatRequest) -> list[Message]:
    """The messages that go into the top-level `system`; later ones stay in place."""
    limit = int(request.spelling.get("system", len(request.messages)))
    leading: list[Message] = []
    for message in request.messages[:limit]:
        if message.role != "system":
            break
        leading.append(message)
    return leading


def _content(messages: list[Message], spelling: dict[str, str], dropped: dict[str, None]) -> str | list[Any]:
    """The content of one message, or of several joined."""
    if len(messages) == 1 and messages[0].plain:
        only = messages[0].parts
        if len(only) == 1 and type(only[0]) is Text and only[0].cache is None:
            return only[0].text
    blocks = [_block(part, spelling, dropped) for message in messages for part in message.parts]
    return [item for item in blocks if item is not None]


def _message(message: Message, spelling: dict[str, str], dropped: dict[str, None]) -> Object:
    return {"role": message.role, "content": _content([message], spelling, dropped), **message.extras}


def _block(part: AnyPart, spelling: dict[str, str], dropped: dict[str, None]) -> Object | Raw | None:
    if type(part) is ToolResult:
        return _tool_result(part, spelling, dropped)
    if type(part) is Thinking and (not (part.signature or part.redacted) or part.signed_by not in ("", NAME)):
        dropped["thinking"] = None  # the API refuses thinking without its own signature
        return None
    return block(part, same_dialect=True)


def _tool_result(part: ToolResult, spelling: dict[str, str], dropped: dict[str, None]) -> Object:
    out: Object = {"type": "tool_result", "tool_use_id": part.call_id}
    if part.plain and len(part.parts) == 1 and type(part.parts[0]) is Text:
        out["content"] = part.parts[0].text
    elif part.parts:
        out["content"] = [_block(inner, spelling, dropped) for inner in part.parts]
    if part.is_error or f"is_error {part.call_id}" in spelling:
        out["is_error"] = part.is_error
    if part.cache is not None:
        out["cache_control"] = cache_control(part.cache)
    return out | part.extras


def _tool(tool: Tool, spelling: dict[str, str]) -> Object | Raw:
    if tool.raw is not None:
        return tool.raw
    out: Object = {"name": tool.name}
    if kind := spelling.get(f"tool {tool.name}"):
        out["type"] = kind
    if tool.description is not None:
        out["description"] = tool.description
    out["input_schema"] = tool.parameters
    if tool.strict is not None:
        out["strict"] = tool.strict
    if tool.cache is not None:
        out["cache_control"] = cache_control(tool.cache)
    return out | tool.extras


def _choice(choice: ToolChoice, parallel: bool | None) -> Object:
    out: Object = {"type": _CHOICES[choice.mode]}
    if choice.mode == "tool":
        out["name"] = choice.name
    if parallel is not None:
        out["disable_parallel_tool_use"] = not parallel
    return out | choice.extras


def _thinking_and_format(request: ChatRequest, out: Object, extras: Fields) -> None:
    config: Object = {}
    if (reasoning := request.reasoning) is not None:
        if reasoning.effort:
            config["effort"] = reasoning.effort
        if reasoning.enabled is not None:
            kind = "adaptive" if reasoning.adaptive else "enabled" if reasoning.enabled else "disabled"
            thinking: Object = {"type": kind}
            if reasoning.budget_tokens is not None:
                thinking["budget_tokens"] = reasoning.budget_tokens
            out["thinking"] = thinking | reasoning.extras
    if (output := request.output) is not None:
        form = {"type": "json_schema", "schema": output.schema, **output.extras}
        if "output" in request.spelling:
            out["output_format"] = form
        else:
            config["format"] = form
    if config:
        out["output_config"] = {**config, **_opened(extras.pop("output_config", None))}


def _opened(raw: Raw | None) -> Fields:
    return (_fields_or_null(raw) or {}) if raw is not None else {}


def _refuse(request: ChatRequest, quirks: Quirks) -> None:
    refused = quirks.unsupported
    if request.tools and "tools" in refused:
        raise Unsupported("This target takes no tools.", param="tools")
    if request.output is not None and "schema" in refused:
        raise Unsupported("This target can't be held to a JSON schema.", param="response_format")
    for number, message in enumerate(request.messages):
        for part in message.parts:
            inside = part.parts if type(part) is ToolResult else [part]
            for item in inside:
                kind = "image" if type(item) is Image else "file" if type(item) is File else ""
                if kind and kind in refused:
                    raise Unsupported(f"This target takes no {kind}s.", param=f"messages[{number}]")
