"""The `messages` of a chat, and the prompt of a generate call, -> canonical messages.

Parts of a message come in the order: thinking, content, images, tool calls (the wire keeps them in separate fields).

Tool calls have no ids in older versions and in most clients: a call without one gets `call_<message>_<place>`, the same in
every turn of a conversation. A result belongs to the call that its `tool_call_id` names, else to the first open call of
its `tool_name`, else to the first open call.
"""

from __future__ import annotations

from msgspec import Raw

from freehold.base.errors import InvalidRequest
from freehold.wire.chat import AnyPart, Image, Media, Message, Opaque, Role, Text, Thinking, ToolResult, ToolUse
from freehold.wire.dialects.ollama.words import (
    IN,
    INNER,
    LOAD,
    MADE,
    NAME,
    NOTHING,
    Fields,
    list_of,
    object_of,
    raw,
    string_of,
    text,
)

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "developer",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}
# How base64 of an image file begins. WebP's own mark comes four bytes after RIFF's, where no base64 digit begins.
_BEGINNINGS = (
    ("/9j/", "image/jpeg"),
    ("iVBORw0KGgo", "image/png"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
    ("Qk", "image/bmp"),
)
_UNKNOWN_TYPE = "application/octet-stream"


def decode_messages(value: Raw | None) -> list[Message]:
    """Raises InvalidRequest with the path of the offending field."""
    items = [] if value is None or bytes(value) == b"null" else list_of(value, "messages")
    if not items:
        return [Message(role="user", parts=[load()])]
    messages: list[Message] = []
    waiting: list[ToolUse] = []  # calls of the last assistant message that have no result yet
    for number, item in enumerate(items):
        path = f"messages[{number}]"
        message = _message(object_of(item, path), path, number, waiting)
        calls = [part for part in message.parts if isinstance(part, ToolUse)]
        if calls or message.role == "user":
            waiting = calls
        messages.append(message)
    return messages


def load() -> Opaque:
    """Stands for the missing prompt, so that targets that load nothing refuse the call."""
    return Opaque(dialect=NAME, kind=LOAD, raw=Raw(b"null"), spelling={IN: "load"})


def _message(members: Fields, path: str, number: int, waiting: list[ToolUse]) -> Message:
    word = string_of(members.pop("role", None), f"{path}.role")
    role = _ROLES.get(word.lower())
    if role is None:
        raise InvalidRequest(f"'{path}.role' is {word[:40]!r}; it must be one of {', '.join(_ROLES)}", param=f"{path}.role")
    message = Message(role=role, parts=[], plain=True)
    if word != role:
        message.spelling["role"] = word
    for name in ("content", "thinking", "images", "tool_calls"):
        if name in members and bytes(members[name]) in NOTHING:
            message.spelling[name] = text(members.pop(name))
    parts = message.parts
    if role == "assistant" and "thinking" in members:
        parts.append(Thinking(text=string_of(members.pop("thinking"), f"{path}.thinking")))
    if "content" in members:
        parts.append(Text(text=string_of(members.pop("content"), f"{path}.content")))
    if "images" in members:
        parts.extend(images(members.pop("images"), f"{path}.images"))
    if role == "assistant" and "tool_calls" in members:
        for place, item in enumerate(list_of(members.pop("tool_calls"), f"{path}.tool_calls")):
            where = f"{path}.tool_calls[{place}]"
            parts.append(_tool_call(object_of(item, where), where, f"call_{number}_{place}"))
    if role == "tool":
        call_id = _answered(message, members, path, waiting) or f"call_{number}"
        message.parts = [ToolResult(call_id=call_id, parts=parts, plain=True)]
    if "name" in members and bytes(members["name"]) not in NOTHING:
        message.name = string_of(members.pop("name"), f"{path}.name")
    message.extras = members
    return message


def _answered(message: Message, members: Fields, path: str, waiting: list[ToolUse]) -> str:
    """The id of the call that a result answers; "" where none is open. Takes it off `waiting`."""
    told: dict[str, str] = {}
    for key in ("tool_call_id", "tool_name"):
        if key in members and bytes(members[key]) not in NOTHING:
            told[key] = message.spelling[key] = string_of(members.pop(key), f"{path}.{key}")
    if not waiting:
        return told.get("tool_call_id", "")
    found = next((call for call in waiting if call.id == told.get("tool_call_id")), None)
    if found is None and "tool_call_id" in told:
        return told["tool_call_id"]
    found = found or next((call for call in waiting if call.name == told.get("tool_name")), waiting[0])
    waiting.remove(found)
    return found.id


def _tool_call(members: Fields, path: str, made_id: str) -> ToolUse:
    where = f"{path}.function"
    if "function" not in members:
        raise InvalidRequest(f"'{where}' is missing", param=where)
    function = object_of(members.pop("function"), where)
    part = ToolUse(id=made_id, name=string_of(function.pop("name", None), f"{where}.name"))
    arguments = function.pop("arguments", None)
    if arguments is not None:
        object_of(arguments, f"{where}.arguments")
        part.arguments = text(arguments)
    if "id" in members and bytes(members["id"]) not in NOTHING:
        part.id = string_of(members.pop("id"), f"{path}.id")
    else:
        part.spelling["id"] = MADE
    if "type" in members:
        part.spelling["type"] = text(members.pop("type"))
    if function:
        part.spelling[INNER] = text(raw(function))
    part.extras = members
    return part


def images(value: Raw, path: str) -> list[AnyPart]:
    """Base64 without a type: the type is told by how the bytes begin."""
    parts: list[AnyPart] = []
    for place, item in enumerate(list_of(value, path)):
        data = string_of(item, f"{path}[{place}]")
        if not data or data.startswith(("data:", "http:", "https:")):
            raise InvalidRequest(f"'{path}[{place}]' must be the image's bytes in base64, nothing before them", param=path)
        kind = next((kind for start, kind in _BEGINNINGS if data.startswith(start)), _UNKNOWN_TYPE)
        parts.append(Image(media=Media(kind="base64", value=data, media_type=kind)))
    return parts


# --- generate -----------------------------------------------------------------


_ONLY_HERE = ("context", "template", "raw", "suffix")  # what no chat API can carry: others refuse it


def decode_prompt(members: Fields) -> list[Message]:
    """A generate call as at most one system message and one user message. Members that ask for nothing are gone already."""
    messages: list[Message] = []
    if "system" in members:
        messages.append(Message(role="system", parts=[Text(text=string_of(members["system"], "system"))], plain=True))
    user = Message(role="user", parts=[], plain=True)
    for name in _ONLY_HERE:
        if name in members:
            user.parts.append(Opaque(dialect=NAME, kind=name, raw=members[name], spelling={IN: name}))
    if "prompt" in members:
        user.parts.append(Text(text=string_of(members["prompt"], "prompt")))
    if "images" in members:
        user.parts.extend(images(members["images"], "images"))
    if not user.parts:
        user.parts.append(load())
    return [*messages, user]
