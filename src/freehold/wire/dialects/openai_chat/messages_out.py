"""Canonical messages -> the `messages` of a chat request.

From this dialect, everything goes back as it was spelled. From another one, choices are made, and each is the field's
most widely accepted form:
- One text becomes a string. Several become one string in system, assistant and tool messages (many servers take only a
  string there) and a list in user messages.
- A message with tool results becomes one `tool` message a result, in order, then one user message with the rest. Images
  and files in a result go into that user message under "Attachments from tool call <id>:", because `tool` takes text only.
- An error result has no mark on this wire: its text is prefixed with "Error: " unless it starts with "error".
- Thinking goes where the provider keeps it (`Quirks.reasoning`): `reasoning_details`, `reasoning_content`, or nowhere.
"""

from __future__ import annotations

from typing import Any

from freehold.base.errors import Unsupported
from freehold.wire.chat import (
    AnyPart,
    Audio,
    CacheMark,
    File,
    Image,
    Media,
    Message,
    Opaque,
    Refusal,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from freehold.wire.dialect import Quirks
from freehold.wire.dialects.openai_chat.reasoning import (
    block_out,
    details_out,
    may_be_anthropics,
    new_detail,
    sign_call,
    thinking_text,
)
from freehold.wire.dialects.openai_chat.words import CACHE_AT, IN, INNER, NAME, decode_any

_JOINT = {"system": "\n\n", "assistant": "", "tool": "\n"}
_AUDIO_FORMATS = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav"}
_EXTENSIONS = {"application/pdf": "pdf", "text/plain": "txt", "text/csv": "csv", "text/markdown": "md", "text/html": "html"}


class MessageEncoder:
    """Encodes the messages of one request. `dropped` collects what was left out, each name once."""

    def __init__(self, dialect: str, quirks: Quirks) -> None:
        self._dialect = dialect
        self._own = dialect == NAME
        self._quirks = quirks
        self.dropped: dict[str, None] = {}

    def encode(self, messages: list[Message]) -> list[dict[str, Any]]:
        encoded: list[dict[str, Any]] = []
        for number, message in enumerate(messages):
            path = f"messages[{number}]"
            if self._own:
                encoded.append(self._own_message(message, path))
            else:
                encoded.extend(self._foreign_message(message, path))
        return encoded

    # --- from this dialect ---------------------------------------------------

    def _own_message(self, message: Message, path: str) -> dict[str, Any]:
        item: dict[str, Any] = {"role": message.role}
        parts, plain = message.parts, message.plain
        if message.role == "tool" and len(parts) == 1 and isinstance(parts[0], ToolResult):
            result = parts[0]
            if "role" not in message.spelling:
                item["tool_call_id"] = result.call_id
            parts, plain = result.parts, result.plain
        fields: dict[str, Any] = {}
        content = [part for part in parts if not _field_of(part, fields)]
        if content:
            one = content[0]
            if plain and len(content) == 1 and isinstance(one, Text):
                item["content"] = one.text
            else:
                item["content"] = [self.part(p, f"{path}.content[{i}]") for i, p in enumerate(content)]
        if message.name:
            item["name"] = message.name
        if message.parts and message.parts[-1].cache is not None and CACHE_AT in message.parts[-1].spelling:
            item["cache_control"] = cache_out(message.parts[-1].cache)
        # Under a name that parts fill, an extra or a spelling only says how their absence was written.
        item = {**message.extras, **item, **fields}
        for key, how in message.spelling.items():
            if key == "role":
                item["role"] = how
            elif how == "same":
                item[key] = thinking_text(parts)
            else:
                item.setdefault(key, None if how == "null" else [])
        return item

    # --- from another dialect --------------------------------------------------

    def _foreign_message(self, message: Message, path: str) -> list[dict[str, Any]]:
        if message.role == "assistant":
            return [self._foreign_assistant(message, path)]
        if message.role in ("system", "developer"):
            return [{"role": self._quirks.system_role, "content": self._content(message.parts, "system", path)}]
        rest: list[AnyPart] = []
        encoded = [self._foreign_result(part, rest, path) for part in message.parts if isinstance(part, ToolResult)]
        rest.extend(part for part in message.parts if not isinstance(part, ToolResult))
        if rest or not encoded:
            user: dict[str, Any] = {"role": "user", "content": self._content(rest, "user", path)}
            if message.name:
                user["name"] = message.name
            encoded.append(user)
        return encoded

    def _foreign_result(self, result: ToolResult, attached: list[AnyPart], path: str) -> dict[str, Any]:
        texts: list[AnyPart] = [part for part in result.parts if isinstance(part, Text | Refusal)]
        media = [part for part in result.parts if not isinstance(part, Text | Refusal)]
        if media:
            attached.append(Text(text=f"Attachments from tool call {result.call_id}:"))
            attached.extend(media)
        content = self._content(texts, "tool", path)
        if result.is_error and not (isinstance(content, str) and content[:5].lower() == "error"):
            if isinstance(content, str):
                content = f"Error: {content}"
            else:
                content[0]["text"] = f"Error: {content[0]['text']}"
        return {"role": "tool", "tool_call_id": result.call_id, "content": content}

    def _foreign_assistant(self, message: Message, path: str) -> dict[str, Any]:
        item: dict[str, Any] = {"role": "assistant"}
        texts: list[AnyPart] = []
        thinking: list[Thinking] = []
        calls: list[dict[str, Any]] = []
        for number, part in enumerate(message.parts):
            if isinstance(part, Text):
                texts.append(part)
            elif isinstance(part, Refusal):
                item["refusal"] = item.get("refusal", "") + part.text
            elif isinstance(part, Thinking):
                thinking.append(part)
            elif isinstance(part, ToolUse):
                calls.append(self._foreign_call(part))
            elif isinstance(part, Opaque):
                self.dropped[f"{path}.content[{number}] ({part.kind})"] = None
            else:
                raise _unsupported(part, f"{path}.content[{number}]", "in an assistant message")
        content = self._content(texts, "assistant", path)
        # null only where something else stands in for it; a message with nothing at all is refused by every provider
        item["content"] = content or (None if calls or "refusal" in item else "")
        if message.name:
            item["name"] = message.name
        self._foreign_thinking(thinking, item)
        if calls:
            item["tool_calls"] = calls
        return item

    def _foreign_call(self, part: ToolUse) -> dict[str, Any]:
        call: dict[str, Any] = {
            "id": part.id,
            "type": "function",
            "function": {"name": part.name, "arguments": part.arguments or "{}"},
        }
        self._mark(call, part.cache)
        if part.signature:
            self.dropped["messages[].tool_calls[].signature"] = None  # most servers refuse fields they don't know
        return call

    def _foreign_thinking(self, thinking: list[Thinking], item: dict[str, Any]) -> None:
        if not thinking:
            return
        if self._quirks.reasoning == "reasoning_object" and all(may_be_anthropics(part) for part in thinking):
            item["reasoning_details"] = [new_detail(part, n, self._dialect) for n, part in enumerate(thinking)]
            return
        keeps = self._quirks.reasoning == "thinking_object"
        if keeps and any(part.text for part in thinking):
            item["reasoning_content"] = "".join(part.text for part in thinking)
        if not keeps or any(part.redacted for part in thinking):  # sealed thinking has no text to keep
            self.dropped["messages[].thinking"] = None

    def _content(self, parts: list[AnyPart], role: str, path: str) -> Any:
        """A string where it can be one, else a list of parts. `path` is the message's."""
        marks = self._quirks.cache_marks and any(part.cache is not None for part in parts)
        if not marks and all(isinstance(part, Text) for part in parts) and (len(parts) < 2 or role in _JOINT):
            for part in parts:
                self._mark({}, part.cache)
            return _JOINT.get(role, "").join(part.text for part in parts if isinstance(part, Text))
        return [self.part(part, f"{path}.content[{i}]") for i, part in enumerate(parts)]

    # --- parts ------------------------------------------------------------------

    def part(self, part: AnyPart, path: str) -> Any:
        """One member of a content list. Raises Unsupported."""
        if isinstance(part, Opaque):
            if part.dialect != NAME:
                raise Unsupported(f"{path} is {part.kind!r}, which this target cannot carry; remove it", param=path)
            return part.raw
        item = self._body(part, path)
        if self._own:
            item.update(part.extras)
        if not (self._own and CACHE_AT in part.spelling):
            self._mark(item, part.cache)
        return item

    def _mark(self, item: dict[str, Any], mark: CacheMark | None) -> None:
        if mark is None:
            return
        if self._own or self._quirks.cache_marks:
            item["cache_control"] = cache_out(mark)
        else:
            self.dropped["cache_control"] = None

    def _body(self, part: AnyPart, path: str) -> dict[str, Any]:
        where = ""
        inner: dict[str, Any] = {}
        if self._own:  # another dialect's spelling is its own
            where = part.spelling.get(IN, "")
            inner = decode_any(part.spelling[INNER]) if INNER in part.spelling else {}
        if isinstance(part, Text):
            return {"type": "text", "text": part.text}
        if isinstance(part, Image):
            self._allow("image", path)
            url = _url(part.media, "image", path)
            if where == "string":
                return {"type": "image_url", "image_url": url}
            return {"type": "image_url", "image_url": {"url": url, **({"detail": part.detail} if part.detail else {}), **inner}}
        if isinstance(part, File):
            return self._file(part, where, inner, path)
        if isinstance(part, Audio):
            self._allow("audio", path)
            form = part.media.media_type.removeprefix("audio/")
            data = {"data": _bytes_of(part.media, path), "format": form if self._own else _AUDIO_FORMATS.get(form, form)}
            return {"type": "input_audio", "input_audio": data}
        if isinstance(part, Refusal):
            return {"type": "refusal", "refusal": part.text}
        if isinstance(part, Thinking) and where == "content":
            return {"type": "thinking", "thinking": [{"type": "text", "text": part.text}]}
        raise _unsupported(part, path, "here")

    def _file(self, part: File, where: str, inner: dict[str, Any], path: str) -> dict[str, Any]:
        media = part.media
        if media.kind == "text":
            return {"type": "text", "text": f"{part.name}\n\n{media.value}" if part.name else media.value}
        self._allow("file", path)
        if where == "document_url":
            return {"type": where, where: _url(media, "file", path)}
        if where == "file_url":
            return {"type": where, where: {"url": _url(media, "file", path)}}
        file: dict[str, Any] = {}
        if media.kind == "file_id" and self._own:
            file["file_id"] = media.value
        elif where == "file.file_url":
            file["file_url"] = _url(media, "file", path)
        elif media.kind == "url" and not self._own:
            raise Unsupported(
                f"{path} is a file at a URL, which chat completions cannot carry; send its bytes instead", param=path
            )
        else:
            file["file_data"] = _url(media, "file", path)
        name = part.name or ("" if self._own else f"document.{_EXTENSIONS.get(media.media_type, 'bin')}")
        if name:
            file["filename"] = name
        return {"type": "file", "file": {**file, **inner}}

    def _allow(self, what: str, path: str) -> None:
        if what in self._quirks.unsupported:
            raise Unsupported(f"{path}: this target takes no {what} input", param=path)


def _field_of(part: AnyPart, fields: dict[str, Any]) -> bool:
    """Put a part that its message holds in a field of its own there. False for content."""
    where = part.spelling.get(IN, "")
    if isinstance(part, ToolUse):
        if where == "function_call":
            fields["function_call"] = {"name": part.name, "arguments": part.arguments}
            return True
        fields.setdefault("tool_calls", []).append(_own_call(part, where))
    elif isinstance(part, Thinking) and where != "content":
        if where == "reasoning_details":
            fields.setdefault("reasoning_details", []).extend(details_out(part))
        elif where == "thinking_blocks":
            fields.setdefault("thinking_blocks", []).append(block_out(part))
        else:
            key = where or "reasoning_content"
            fields[key] = fields.get(key, "") + part.text
    elif isinstance(part, Refusal) and where != "content":
        fields["refusal"] = fields.get("refusal", "") + part.text
    elif isinstance(part, Opaque) and where == "audio":
        fields["audio"] = part.raw
    elif isinstance(part, Opaque) and where:
        fields.setdefault(where, []).append(part.raw)
    else:
        return False
    return True


def _own_call(part: ToolUse, where: str) -> dict[str, Any]:
    inner: dict[str, Any] = decode_any(part.spelling[INNER]) if INNER in part.spelling else {}
    call: dict[str, Any] = {"id": part.id, "function": {"name": part.name, "arguments": part.arguments, **inner}}
    if where != "untyped":
        call["type"] = "function"
    call.update(part.extras)
    if part.cache is not None and CACHE_AT not in part.spelling:
        call["cache_control"] = cache_out(part.cache)
    return sign_call(call, part.signature)


def cache_out(mark: CacheMark) -> dict[str, str]:
    return {"type": "ephemeral", "ttl": mark.ttl} if mark.ttl else {"type": "ephemeral"}


def _url(media: Media, what: str, path: str) -> str:
    if media.kind == "url":
        return media.value
    if media.kind == "base64":
        return f"data:{media.media_type};base64,{media.value}" if media.media_type else media.value
    raise Unsupported(
        f"{path} names a {what} in another provider's file store, which this target cannot read; send its bytes", param=path
    )


def _bytes_of(media: Media, path: str) -> str:
    if media.kind != "base64":
        raise Unsupported(f"{path}: this target takes audio as bytes only, not by reference", param=path)
    return media.value


def _unsupported(part: AnyPart, path: str, where: str) -> Unsupported:
    kind = {Image: "an image", File: "a file", Audio: "audio", Thinking: "thinking", ToolUse: "a tool call"}.get(
        type(part), "a tool result"
    )
    return Unsupported(f"{path} is {kind}, which chat completions cannot carry {where}", param=path)
