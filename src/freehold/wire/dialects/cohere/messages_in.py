"""The `messages` and `documents` of a chat request -> canonical messages.

- Order inside an assistant message becomes: content, plan, tool calls (the wire keeps them in separate fields). A
  `tool_plan` is what the model says before it calls tools: a Text, marked in its spelling.
- A document is a File of plain text: its data as JSON text (or the string that it was), its id as the name. Those given
  beside the messages become a user message of their own before the last one, marked as well.
"""

from __future__ import annotations

import re

from msgspec import Raw

from freehold.base.errors import InvalidRequest
from freehold.wire.chat import AnyPart, File, Image, Media, Message, Opaque, Role, Text, Thinking, ToolResult, ToolUse
from freehold.wire.dialects.cohere.words import FORM, IN, INNER, NAME, encode
from freehold.wire.typed import NULL, Fields, as_fields, as_list, as_str, kind_of, optional, required, typed

_ROLES: dict[str, Role] = {"system": "system", "user": "user", "assistant": "assistant", "tool": "tool"}
_DATA_URL = re.compile(r"data:([^,;]+);base64,", re.ASCII)


def decode_messages(raw: Raw) -> list[Message]:
    """Raises InvalidRequest with the path of the offending field."""
    return [_message(item, f"messages[{n}]") for n, item in enumerate(typed(raw, as_list, "messages", "an array"))]


def _message(raw: Raw, path: str) -> Message:
    fields: Fields = dict(typed(raw, as_fields, path, "an object"))
    word = required(fields, "role", as_str, "a string", path)
    role = _ROLES.get(word)
    if role is None:
        raise InvalidRequest(f"{path}.role: is {word[:40]!r}; it must be one of {', '.join(_ROLES)}", param=f"{path}.role")
    message = Message(role=role, parts=[])
    if role == "tool":
        result = ToolResult(call_id=required(fields, "tool_call_id", as_str, "a string", path))
        result.parts, result.plain = _content(fields, message, path)
        message.parts = [result]
    else:
        message.parts, message.plain = _content(fields, message, path)
        if role == "assistant":
            _plan_and_calls(fields, message, path)
    message.extras = fields
    return message


def _content(fields: Fields, message: Message, path: str) -> tuple[list[AnyPart], bool]:
    """The content's parts, and whether it was a bare string."""
    raw = fields.pop("content", None)
    if raw is None or bytes(raw) == NULL:
        message.spelling["content"] = "absent" if raw is None else "null"
        return [], False
    if kind_of(raw) == "a string":
        return [Text(text=typed(raw, as_str, f"{path}.content", "a string"))], True
    items = typed(raw, as_list, f"{path}.content", "a string or an array")
    return [_part(item, f"{path}.content[{n}]") for n, item in enumerate(items)], False


def _plan_and_calls(fields: Fields, message: Message, path: str) -> None:
    plan = optional(fields, "tool_plan", as_str, "a string", message.spelling, path)
    if plan is not None:
        message.parts.append(Text(text=plan, spelling={IN: "tool_plan"}))
    calls = optional(fields, "tool_calls", as_list, "an array", message.spelling, path)
    if calls == []:
        message.spelling["tool_calls"] = "empty"
    message.parts.extend(_call(call, f"{path}.tool_calls[{n}]") for n, call in enumerate(calls or ()))


def _part(raw: Raw, path: str) -> AnyPart:
    fields: Fields = dict(typed(raw, as_fields, path, "an object"))
    kind = required(fields, "type", as_str, "a string", path)
    part: AnyPart
    if kind == "text":
        part = Text(text=required(fields, "text", as_str, "a string", path))
    elif kind == "thinking":
        part = Thinking(text=required(fields, "thinking", as_str, "a string", path))
    elif kind == "image_url":
        part = _image(fields, path)
    elif kind == "document":
        part = document(required(fields, "document", as_fields, "an object", path), f"{path}.document")
    else:
        return Opaque(dialect=NAME, kind=kind, raw=raw)
    part.extras = fields
    return part


def _image(fields: Fields, path: str) -> Image:
    where = f"{path}.image_url"
    raw = fields.get("image_url")
    if raw is not None and kind_of(raw) == "a string":
        url = required(fields, "image_url", as_str, "a string", path)
        return Image(media=_media(url), spelling={FORM: "string"})
    inner: Fields = dict(required(fields, "image_url", as_fields, "an object", path))
    image = Image(media=_media(required(inner, "url", as_str, "a string", where)))
    image.detail = optional(inner, "detail", as_str, "a string", image.spelling, where) or ""
    _keep_inner(image, inner)
    return image


def _media(url: str) -> Media:
    found = _DATA_URL.match(url)
    if found is None:
        return Media(kind="url", value=url)
    return Media(kind="base64", value=url[found.end() :], media_type=found[1])


def document(given: Fields, path: str) -> File:
    """{"data": {...} | "text", "id"}; an object without `data` is the data itself."""
    fields = dict(given)
    raw = fields.pop("data", None)
    if raw is None:
        return File(media=_plain_text(encode(given).decode()), spelling={FORM: "flat"})
    if kind_of(raw) == "a string":
        part = File(media=_plain_text(typed(raw, as_str, f"{path}.data", "a string")), spelling={FORM: "string"})
    else:
        typed(raw, as_fields, f"{path}.data", "an object or a string")
        part = File(media=_plain_text(bytes(raw).decode()), spelling={FORM: "object"})
    name = optional(fields, "id", as_str, "a string", part.spelling, path)
    part.name = name or ""
    if name == "":
        part.spelling["id"] = "empty"
    _keep_inner(part, fields)
    return part


def _plain_text(text: str) -> Media:
    return Media(kind="text", value=text, media_type="text/plain")


def _keep_inner(part: File | Image | ToolUse, inner: Fields) -> None:
    if inner:
        part.spelling[INNER] = encode(inner).decode()


def _call(raw: Raw, path: str) -> ToolUse:
    fields: Fields = dict(typed(raw, as_fields, path, "an object"))
    function: Fields = dict(required(fields, "function", as_fields, "an object", path))
    where = f"{path}.function"
    call = ToolUse(
        id=required(fields, "id", as_str, "a string", path), name=required(function, "name", as_str, "a string", where)
    )
    if "arguments" not in function:
        call.spelling["arguments"] = "absent"
    call.arguments = optional(function, "arguments", as_str, "a string", call.spelling, where) or ""
    if "type" not in fields:
        call.spelling["type"] = "absent"
    elif (kind := required(fields, "type", as_str, "a string", path)) != "function":
        raise InvalidRequest(f"{path}.type: is {kind[:40]!r}; it must be function", param=f"{path}.type")
    _keep_inner(call, function)
    call.extras = fields
    return call


def decode_documents(raw: Raw) -> Message:
    """`documents` as a message of its own."""
    message = Message(role="user", parts=[], spelling={IN: "documents"})
    for number, item in enumerate(typed(raw, as_list, "documents", "an array")):
        path = f"documents[{number}]"
        if kind_of(item) == "a string":
            part = File(media=_plain_text(typed(item, as_str, path, "a string")), spelling={FORM: "bare"})
        else:
            part = document(typed(item, as_fields, path, "a string or an object"), path)
        message.parts.append(part)
    return message
