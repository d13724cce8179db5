"""The canonical ChatRequest -> a v2 chat request.

One from this dialect is written back as it came. One from another dialect is first adapted (adapt.py) into one that
this dialect could have sent.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from freehold.base.errors import Unsupported
from freehold.wire.chat import AnyPart, ChatRequest, File, Image, Message, Opaque, Text, Thinking, Tool, ToolResult, ToolUse
from freehold.wire.dialect import Quirks
from freehold.wire.dialects.cohere.adapt import adapt
from freehold.wire.dialects.cohere.decode import PLAIN
from freehold.wire.dialects.cohere.words import FORM, IN, INNER, NAME, decode_any, encode
from freehold.wire.dropped import Dropped
from freehold.wire.typed import nulls

Object = dict[str, Any]


def encode_request(request: ChatRequest, model: str, quirks: Quirks) -> tuple[bytes, tuple[str, ...]]:
    """The body and the names of what was left out. Raises Unsupported."""
    dropped: Dropped = {}
    if request.dialect != NAME:
        request = adapt(request, model, quirks, dropped)
    if quirks.unsupported:
        _refuse(request, quirks)
    body = _body(request, model)
    for name in quirks.drop:
        if body.pop(name, None) is not None:
            dropped[name] = None
    return encode({quirks.rename.get(name, name): value for name, value in body.items()}), tuple(dropped)


def _body(request: ChatRequest, model: str) -> Object:
    spelling = request.spelling
    out: Object = {"model": model}
    documents = [part for message in request.messages if _is_documents(message) for part in message.parts]
    out["messages"] = [_message(message) for message in request.messages if not _is_documents(message)]
    if documents:
        out["documents"] = [_document(part) if isinstance(part, File) else part for part in documents]
    if request.tools:
        out["tools"] = [_tool(tool) for tool in request.tools]
    if spelling.get("strict_tools") in ("true", "false"):
        out["strict_tools"] = spelling["strict_tools"] == "true"
    if request.tool_choice is not None and request.tool_choice.mode != "auto":
        out["tool_choice"] = request.tool_choice.mode.upper()
    for name, (attribute, _, _) in PLAIN.items():
        value = getattr(request, attribute)
        if value is not None:
            out[name] = value
    if request.stop:
        out["stop_sequences"] = request.stop
    _format_and_thinking(request, out)
    return {name: [] for name, how in spelling.items() if how == "empty"} | nulls(spelling) | out | request.extras


def _format_and_thinking(request: ChatRequest, out: Object) -> None:
    output, reasoning = request.output, request.reasoning
    if output is not None:
        form: Object = {"type": "text" if output.kind == "text" else "json_object"}
        if output.schema is not None:
            form[output.spelling.get("schema", "json_schema")] = output.schema
        out["response_format"] = form | output.extras
    if reasoning is not None:
        thinking: Object = {"type": "disabled" if reasoning.enabled is False else "enabled"}
        if reasoning.budget_tokens is not None:
            thinking["token_budget"] = reasoning.budget_tokens
        out["thinking"] = thinking | reasoning.extras


def _tool(tool: Tool) -> Object | Raw:
    if tool.raw is not None:
        return tool.raw
    function: Object = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.parameters is not None:
        function["parameters"] = tool.parameters
    return {"type": "function", "function": nulls(tool.spelling) | function | _inner(tool.spelling)} | tool.extras


# --- messages -------------------------------------------------------------------------


def _is_documents(message: Message) -> bool:
    return message.spelling.get(IN) == "documents"


def _message(message: Message) -> Object:
    item: Object = {"role": "system" if message.role == "developer" else message.role}
    parts, plain = message.parts, message.plain
    result = parts[0] if len(parts) == 1 else None
    if isinstance(result, ToolResult):
        item["tool_call_id"] = result.call_id
        parts, plain = result.parts, result.plain
    content = [part for part in parts if not _field_of(part, item)]
    first = content[0] if content else None
    if plain and len(content) == 1 and isinstance(first, Text):
        item["content"] = first.text
    elif content or "content" not in message.spelling:
        item["content"] = [_part(part) for part in content]
    lists: Object = {name: [] for name, how in message.spelling.items() if how == "empty"}
    return lists | nulls(message.spelling) | item | message.extras


def _field_of(part: AnyPart, item: Object) -> bool:
    """Put a part that its message holds in a field of its own there. False for content."""
    if isinstance(part, ToolUse):
        function: Object = {"name": part.name} | nulls({"arguments": part.spelling.get("arguments", "")})
        if part.arguments or "arguments" not in part.spelling:
            function["arguments"] = part.arguments
        call: Object = {"id": part.id} if part.spelling.get("type") == "absent" else {"id": part.id, "type": "function"}
        item.setdefault("tool_calls", []).append(call | {"function": function | _inner(part.spelling)} | part.extras)
    elif isinstance(part, Text) and part.spelling.get(IN) == "tool_plan":
        item["tool_plan"] = item.get("tool_plan", "") + part.text
    else:
        return False
    return True


def _part(part: AnyPart) -> Object | Raw:
    out: Object
    if isinstance(part, Text):
        out = {"type": "text", "text": part.text}
    elif isinstance(part, Thinking):
        out = {"type": "thinking", "thinking": part.text}
    elif isinstance(part, Image):
        out = {"type": "image_url", "image_url": _image(part)}
    elif isinstance(part, File):
        out = {"type": "document", "document": _document(part)}
    elif isinstance(part, Opaque) and part.dialect == NAME:
        return part.raw
    else:
        raise Unsupported(f"messages: this target can't take {type(part).__name__.lower()} content here", param="messages")
    return out | part.extras


def _image(part: Image) -> Object | str:
    media = part.media
    url = f"data:{media.media_type};base64,{media.value}" if media.kind == "base64" else media.value
    if part.spelling.get(FORM) == "string":
        return url
    detail = {"detail": part.detail} if part.detail else {}
    return {"url": url} | nulls(part.spelling) | detail | _inner(part.spelling)


def _document(part: File) -> Object | Raw | str:
    """A document as it came, its data as it is now."""
    form, text = part.spelling.get(FORM, "string"), part.media.value
    if form == "bare":
        return text
    data: Any = text if form == "string" else _data(text)
    if form == "flat":
        return data  # type: ignore[no-any-return]
    name = {"id": part.name} if part.name or part.spelling.get("id") == "empty" else {}
    return {"data": data} | nulls(part.spelling) | name | _inner(part.spelling)


def _data(text: str) -> Any:
    """JSON text as it is; where somebody made it something else, the text as a document of its own."""
    try:
        decode_any(text)
    except (ValueError, RecursionError):
        return {"text": text}
    return Raw(text.encode())


def _inner(spelling: dict[str, str]) -> Object:
    found: Object = decode_any(spelling[INNER]) if INNER in spelling else {}
    return found


def _refuse(request: ChatRequest, quirks: Quirks) -> None:
    refused = quirks.unsupported
    if request.tools and "tools" in refused:
        raise Unsupported("this target takes no tools; remove 'tools' or choose another model", param="tools")
    if request.output is not None and request.output.schema is not None and "schema" in refused:
        raise Unsupported("this target cannot hold its reply to a JSON schema", param="response_format")
    for number, message in enumerate(request.messages):
        if "image" in refused and any(isinstance(part, Image) for part in message.parts):
            raise Unsupported(f"messages[{number}]: this target takes no images", param=f"messages[{number}]")
