"""Canonical messages -> the `messages` of a chat.

From this dialect, everything goes back as it was spelled. From another one, choices are made:
- Content is one string here: several texts are joined, by a blank line (by nothing in an assistant message).
- Images stand beside the content, as bytes. Where texts and images alternate, the message becomes several of its role,
  one at each image that follows a text, so that the order is kept (Ollama's own OpenAI-compatible face does the same).
- A message with tool results becomes one `tool` message a result, in order, then one with the rest. A result names its
  tool and its call: newer versions read the id, older ones the name. Its images go with it.
- An error result has no mark on this wire: its text is prefixed with "Error: " unless it starts with "error".
- Thinking goes back as `thinking`, its text alone: no model here can read another provider's signature or sealed text.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from itertools import pairwise
from typing import Any

from msgspec import Raw, structs

from freehold.base.errors import Unsupported
from freehold.wire.chat import (
    AnyPart,
    Audio,
    File,
    Image,
    Message,
    Opaque,
    Refusal,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from freehold.wire.dialect import Quirks
from freehold.wire.dialects.ollama.words import IN, INNER, MADE, NAME, decode_any, decode_fields

_KINDS: dict[type, str] = {
    Audio: "audio",
    File: "a file",
    ToolUse: "a tool call",
    Thinking: "thinking",
    ToolResult: "a tool result",
}


class MessageEncoder:
    """Encodes the messages of one request. `dropped` collects what was left out, each name once."""

    def __init__(self, dialect: str, quirks: Quirks) -> None:
        self._own = dialect == NAME
        self._takes_images = "image" not in quirks.unsupported
        self._takes_files = "file" not in quirks.unsupported
        self._names: dict[str, str] = {}  # call id -> tool name
        self.dropped: dict[str, None] = {}

    def encode(self, messages: list[Message]) -> list[dict[str, Any]]:
        encoded: list[dict[str, Any]] = []
        for number, message in enumerate(messages):
            path = f"messages[{number}]"
            if self._own:
                encoded.extend(self._own_message(message, path))
            else:
                encoded.extend(self._foreign_message(message, path))
        return encoded

    # --- from this dialect ---------------------------------------------------

    def _own_message(self, message: Message, path: str) -> list[dict[str, Any]]:
        if any(isinstance(part, Opaque) and part.spelling.get(IN) == "load" for part in message.parts):
            return []
        parts = message.parts
        if len(parts) == 1 and isinstance(parts[0], ToolResult):
            parts = parts[0].parts
        item = {**message.extras, **self._item(message.role, parts, path)}
        if message.name:
            item["name"] = message.name
        for key, how in message.spelling.items():
            if key in ("role", "tool_name", "tool_call_id"):
                item[key] = how
            else:
                item.setdefault(key, decode_any(how))
        return [item]

    def _item(self, role: str, parts: list[AnyPart], path: str) -> dict[str, Any]:
        """One message of one content. Raises Unsupported, Unsupported."""
        item: dict[str, Any] = {"role": role}
        texts: list[str] = []
        pictures: list[str] = []
        calls: list[Any] = []
        for number, part in enumerate(parts):
            where = f"{path}.content[{number}]"
            if isinstance(part, Text | Refusal):
                texts.append(part.text)
            elif isinstance(part, Thinking) and role == "assistant":
                item["thinking"] = item.get("thinking", "") + part.text
            elif isinstance(part, Image):
                pictures.append(self._image(part, where))
            elif isinstance(part, ToolUse) and role == "assistant":
                calls.append(self._call(part, path))
            elif isinstance(part, File):
                texts.append(self._file(part, where))
            elif isinstance(part, Opaque):
                raise Unsupported(f"{where} is {part.kind!r}, which this target cannot carry; remove it", param=where)
            else:
                kind = _KINDS.get(type(part), "such content")
                raise Unsupported(f"{where} is {kind}, which this target cannot carry in a message of role {role}", param=where)
        if texts:
            item["content"] = ("" if role == "assistant" else "\n\n").join(texts)
        if pictures:
            item["images"] = pictures
        if calls:
            item["tool_calls"] = calls
        return item

    def _image(self, part: Image, path: str) -> str:
        if not self._takes_images:
            raise Unsupported(f"{path}: this target takes no image input", param=path)
        if part.media.kind != "base64":
            raise Unsupported(
                f"{path}: this target takes images as bytes only, not by reference; send the image itself", param=path
            )
        return part.media.value

    def _file(self, part: File, path: str) -> str:
        media = part.media
        text = media.value
        if media.kind == "base64" and (media.media_type.startswith("text/") or media.media_type == "application/json"):
            try:
                text = b64decode(media.value, validate=True).decode()
            except (binascii.Error, ValueError):
                raise Unsupported(f"{path}: the file is not base64 of UTF-8 text", param=path) from None
        elif media.kind != "text":
            raise Unsupported(f"{path} is a file, which this target cannot carry unless it is text; send its text", param=path)
        if not self._takes_files and media.kind != "text":
            raise Unsupported(f"{path}: this target takes no file input", param=path)
        return f"{part.name}\n\n{text}" if part.name else text

    def _call(self, part: ToolUse, path: str) -> dict[str, Any]:
        where = f"{path}.tool_calls"
        arguments = part.arguments or "{}"
        try:
            decode_fields(arguments)
        except (ValueError, RecursionError):
            raise Unsupported(
                f"{where}: the arguments of call {part.id[:100]!r} ({part.name[:100]}) are not a JSON object", param=where
            ) from None
        function: dict[str, Any] = {"name": part.name}
        if part.arguments or not self._own:
            function["arguments"] = Raw(arguments.encode())
        self._names[part.id] = part.name
        if not self._own:
            return {"id": part.id, "function": function}
        call: dict[str, Any] = {**part.extras, "function": function}
        if part.spelling.get("id") != MADE:
            call["id"] = part.id
        if "type" in part.spelling:
            call["type"] = Raw(part.spelling["type"].encode())
        if INNER in part.spelling:
            function.update(decode_any(part.spelling[INNER]))
        return call

    # --- from another dialect --------------------------------------------------

    def _foreign_message(self, message: Message, path: str) -> list[dict[str, Any]]:
        if message.name:
            self.dropped["messages[].name"] = None
        for part in message.parts:
            self._note(part)
        if message.role == "assistant":
            return [self._foreign_assistant(message, path)]
        if message.role in ("system", "developer"):
            return [{"content": "", **self._item("system", message.parts, path)}]
        encoded = [self._foreign_result(part, path) for part in message.parts if isinstance(part, ToolResult)]
        rest: list[AnyPart] = [part for part in message.parts if not isinstance(part, ToolResult)]
        if rest or not encoded:
            encoded.extend({"content": "", **self._item("user", parts, path)} for parts in _runs(rest))
        return encoded

    def _note(self, part: AnyPart) -> None:
        """What a part says that this wire has no word for."""
        if part.cache is not None:
            self.dropped["cache_control"] = None
        if isinstance(part, Image) and part.detail not in ("", "auto"):
            self.dropped["messages[].content[].image_url.detail"] = None
        if isinstance(part, Thinking) and part.redacted:
            self.dropped["messages[].thinking"] = None
        if isinstance(part, ToolResult):
            for inner in part.parts:
                self._note(inner)

    def _foreign_assistant(self, message: Message, path: str) -> dict[str, Any]:
        kept: list[AnyPart] = []
        for number, part in enumerate(message.parts):
            if isinstance(part, Opaque):
                self.dropped[f"{path}.content[{number}] ({part.kind})"] = None
            elif not (isinstance(part, Thinking) and not part.text):
                kept.append(part)
        return {"content": "", **self._item("assistant", kept, path)}

    def _foreign_result(self, result: ToolResult, path: str) -> dict[str, Any]:
        item = {"content": "", **self._item("tool", _with_error(result), path), "tool_call_id": result.call_id}
        name = self._names.get(result.call_id)
        if name is not None:
            item["tool_name"] = name
        return item


def _with_error(result: ToolResult) -> list[AnyPart]:
    """The parts of a result; a failed one's text says that it failed."""
    parts = result.parts
    if not result.is_error:
        return parts
    first = next((number for number, part in enumerate(parts) if isinstance(part, Text)), None)
    if first is None:
        return [Text(text="Error"), *parts]
    told = parts[first]
    assert isinstance(told, Text)
    if told.text[:5].lower() == "error":
        return parts
    return [*parts[:first], structs.replace(told, text=f"Error: {told.text}"), *parts[first + 1 :]]


def _runs(parts: list[AnyPart]) -> list[list[AnyPart]]:
    """The parts of a user message as messages of one content each. Images all before or all after the texts are one."""
    marks = [isinstance(part, Image) for part in parts]
    turns = sum(1 for before, after in pairwise(marks) if before != after)
    if turns < 2:
        return [parts]
    runs: list[list[AnyPart]] = [[]]
    for number, part in enumerate(parts):
        if marks[number] and number and not marks[number - 1]:
            runs.append([])
        runs[-1].append(part)
    return [run for run in runs if run]
