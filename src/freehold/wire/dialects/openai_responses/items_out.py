"""Canonical messages -> the `input` items of a Responses request.

From this dialect every item goes back as it was spelled. From another one:
- Each message becomes items in the order of its parts: content together in a message, calls and results on their own.
- Texts of a tool result become one string; with an image or a file the output is a list. An error result has no mark on
  this wire: its text is prefixed with "Error: " unless it starts with "error".
- Reasoning goes back only to the maker that signed it; any other signature would be refused. Unsigned reasoning goes
  where `Quirks.reasoning` says that the provider keeps its models' own words ("thinking_object").
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from freehold.base.errors import Unsupported
from freehold.wire.chat import (
    AnyPart,
    Audio,
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
from freehold.wire.dialects.openai_responses.items_in import usual_text
from freehold.wire.dialects.openai_responses.words import (
    BREAKS,
    CALL,
    IN,
    ITEM,
    ITEM_EXTRAS,
    JOINT,
    NAME,
    RESULT,
    WHOLE,
    decode_any,
)
from freehold.wire.dropped import Dropped, name_extras

_MAX_CALL_ID = 64  # characters that OpenAI takes
_AUDIO_FORMATS = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav"}
_EXTENSIONS = {"application/pdf": "pdf", "text/plain": "txt", "text/csv": "csv", "text/markdown": "md", "text/html": "html"}


class ItemEncoder:
    """Encodes the messages of one request. `dropped` collects what was left out, each name once."""

    def __init__(self, dialect: str, quirks: Quirks) -> None:
        self._own = dialect == NAME
        self._quirks = quirks
        self.dropped: Dropped = {}

    def encode(self, messages: list[Message], first: int = 0) -> list[Any]:
        """`first` is the number of the first message in the client's request, for the paths in errors."""
        items: list[Any] = []
        for number, message in enumerate(messages, first):
            items.extend(self._message(message, f"messages[{number}]"))
        return items

    def _message(self, message: Message, path: str) -> list[Any]:
        items: list[Any] = []
        held: list[AnyPart] = []  # content parts of the message item being gathered
        role = "user" if message.role == "tool" else message.role
        if not self._own:
            if message.name:
                self.dropped["messages[].name"] = None
            name_extras(message.extras, "messages[].", self.dropped)
            if role in ("system", "developer"):
                role = self._quirks.system_role
        for part in message.parts:
            item = self._item(part, path)
            if item is None:
                if held and ITEM in part.spelling and self._own:
                    items.append(self._content_item(role, held, path))
                    held = []
                held.append(part)
                continue
            if held:
                items.append(self._content_item(role, held, path))
                held = []
            items.extend(item)
        if held:
            items.append(self._content_item(role, held, path))
        return [item for item in items if item is not None]

    def _item(self, part: AnyPart, path: str) -> list[Any] | None:
        """The item that a part is ([] where it is left out), or None where it is content of a message."""
        if isinstance(part, Thinking):
            return self._thinking(part)
        if isinstance(part, ToolUse):
            self._mark(part)
            known = {"call_id": self._call_id(part.id), "name": part.name}
            return [self._around(part, {"type": CALL, **known, "arguments": part.arguments or ("" if self._own else "{}")})]
        if isinstance(part, ToolResult):
            self._mark(part)
            result = {"type": RESULT, "call_id": self._call_id(part.call_id), "output": self._output(part, path)}
            return [self._around(part, result)]
        if isinstance(part, Opaque) and part.dialect == NAME and part.spelling.get(ITEM) == WHOLE:
            return [part.raw]
        return None

    def _call_id(self, given: str) -> str:
        """An id that OpenAI takes: a longer one keeps its beginning and stays unique."""
        if self._own or len(given) <= _MAX_CALL_ID:
            return given
        return given[:39] + "_" + sha256(given.encode("utf-8", "surrogatepass")).hexdigest()[:24]

    def _around(self, part: AnyPart, item: dict[str, Any]) -> dict[str, Any]:
        return {**item, **item_members(part)} if self._own else item

    def _thinking(self, part: Thinking) -> list[Any]:
        if self._own and part.signed_by in ("", NAME):
            return [reasoning(part)]
        if part.signed_by == NAME and (part.signature or part.redacted):
            return [reasoning(Thinking(text=part.text, signature=part.signature or part.redacted))]
        if part.text and self._quirks.reasoning == "thinking_object":
            return [reasoning(Thinking(text=part.text, spelling={IN: "content"}))]
        self.dropped["messages[].thinking"] = None
        return []

    # --- content -------------------------------------------------------------

    def _content_item(self, role: str, parts: list[AnyPart], path: str) -> dict[str, Any] | None:
        first = parts[0]
        how = first.spelling.get(IN) if self._own else ""
        content: Any
        if len(parts) == 1 and isinstance(first, Text) and how in ("string", "empty"):
            content = first.text if how == "string" or first.text else []
        else:
            if role == "assistant" and not self._own:
                parts = [part for part in parts if not isinstance(part, Text) or part.text]
                if not parts:
                    return None  # an empty text says nothing, and OpenAI refuses it
            content = [self.part(part, role, f"{path}.content[{i}]") for i, part in enumerate(parts)]
        if not self._own:
            if role != "assistant" and len(parts) == 1 and isinstance(first, Text):
                content = first.text
            return {"type": "message", "role": role, "content": content}
        return {
            **({} if ITEM in first.spelling else {"type": "message"}),
            "role": role,
            "content": content,
            **item_members(first),
        }

    def _output(self, result: ToolResult, path: str) -> Any:
        if self._own:
            first = result.parts[0] if result.parts else None
            if len(result.parts) == 1 and isinstance(first, Text) and first.spelling.get(IN) == "string":
                return first.text
            return [self.part(part, "user", f"{path}.output[{i}]") for i, part in enumerate(result.parts)]
        text = "\n".join(part.text for part in result.parts if isinstance(part, Text | Refusal))
        if result.is_error and text[:5].lower() != "error":
            text = f"Error: {text}"
        media = [part for part in result.parts if not isinstance(part, Text | Refusal)]
        for part in result.parts:
            self._mark(part)
        if not media:
            return text
        rest = [self.part(part, "user", f"{path}.output[{i}]") for i, part in enumerate(media)]
        return [{"type": "input_text", "text": text}, *rest] if text else rest

    def part(self, part: AnyPart, role: str, path: str) -> Any:
        """One member of a content list. Raises Unsupported."""
        if isinstance(part, Opaque):
            if part.dialect != NAME:
                raise Unsupported(f"{path} is {part.kind!r}, which this target cannot carry; remove it", param=path)
            return part.raw
        item = self._body(part, role, path)
        if self._own:
            item.update((key, member) for key, member in part.extras.items() if key != ITEM_EXTRAS)
        else:
            name_extras(part.extras, "messages[].content[].", self.dropped)
        self._mark(part)
        return item

    def _body(self, part: AnyPart, role: str, path: str) -> dict[str, Any]:
        if isinstance(part, Text):
            return self._text(part, role)
        if isinstance(part, Refusal):
            return {"type": "refusal", "refusal": part.text} if role == "assistant" else {"type": "input_text", "text": part.text}
        if isinstance(part, Image):
            self._allow("image", path)
            item = {"type": "input_image", **self._source(part.media, "image_url", "image", path)}
            if part.detail or not self._own:
                item["detail"] = part.detail or "auto"
            return item
        if isinstance(part, File):
            return self._file(part, path)
        if isinstance(part, Audio):
            self._allow("audio", path)
            if part.media.kind != "base64":
                raise Unsupported(f"{path}: this target takes audio as bytes only, not by reference", param=path)
            form = part.media.media_type.removeprefix("audio/")
            form = form if self._own else _AUDIO_FORMATS.get(form, form)
            return {"type": "input_audio", "input_audio": {"data": part.media.value, "format": form}}
        raise Unsupported(f"{path}: a {type(part).__name__.lower()} has no place here", param=path)

    def _text(self, part: Text, role: str) -> dict[str, Any]:
        kind = part.spelling.get(IN, "") if self._own else ""
        item: dict[str, Any] = {"type": kind if kind not in ("", "string", "empty") else usual_text(role), "text": part.text}
        if self._own:
            if part.citations:
                item["annotations"] = part.citations
            for key in ("annotations", "logprobs"):
                if part.spelling.get(key) == "empty":
                    item.setdefault(key, [])
        elif part.citations:
            self.dropped["messages[].content[].annotations"] = None
        return item

    def _file(self, part: File, path: str) -> dict[str, Any]:
        media = part.media
        if media.kind == "text":
            return {"type": "input_text", "text": f"{part.name}\n\n{media.value}" if part.name else media.value}
        self._allow("file", path)
        by_url = media.kind == "url" if not self._own else part.spelling.get(IN) == "file_url"
        item = {"type": "input_file", **self._source(media, "file_url" if by_url else "file_data", "file", path)}
        name = part.name
        if not name and not self._own and media.kind == "base64":
            name = f"document.{_EXTENSIONS.get(media.media_type, 'bin')}"  # OpenAI requires one beside bytes
        if name:
            item["filename"] = name
        return item

    def _source(self, media: Media, field: str, what: str, path: str) -> dict[str, str]:
        if media.kind == "file_id":
            if self._own:
                return {"file_id": media.value}
            raise Unsupported(
                f"{path} names a {what} in another provider's file store, which this target cannot read; send its bytes",
                param=path,
            )
        if media.kind == "base64" and media.media_type:
            return {field: f"data:{media.media_type};base64,{media.value}"}
        return {field: media.value}

    # --- what is left out ----------------------------------------------------

    def _allow(self, what: str, path: str) -> None:
        if what in self._quirks.unsupported:
            raise Unsupported(f"{path}: this target takes no {what} input", param=path)

    def _mark(self, part: AnyPart) -> None:
        if part.cache is not None:
            self.dropped["cache_control"] = None


def item_members(part: AnyPart) -> dict[str, Any]:
    """What the item around a part says besides its content, as it came."""
    members: dict[str, Any] = decode_any(part.spelling[ITEM]) if ITEM in part.spelling else {}
    if ITEM_EXTRAS in part.extras:
        members.update(decode_any(part.extras[ITEM_EXTRAS]))
    return members


def texts_of(part: Thinking) -> list[str]:
    """A reasoning text in the pieces that it came in; one piece where it was changed since."""
    texts: list[str] = []
    at = 0
    told = part.extras.get(BREAKS) or part.spelling.get(BREAKS, "[]")
    for offset in decode_any(told):
        if part.text[offset : offset + len(JOINT)] != JOINT:
            return [part.text]
        texts.append(part.text[at:offset])
        at = offset + len(JOINT)
    return [*texts, part.text[at:]] if texts or part.text else []


def reasoning(part: Thinking) -> dict[str, Any]:
    """A reasoning item, in the spelling of this dialect."""
    item: dict[str, Any] = {"type": "reasoning"}
    if part.id:
        item["id"] = part.id
    texts = texts_of(part)
    if part.spelling.get("summary") != "absent":
        item["summary"] = []
    if part.spelling.get(IN) == "content":
        item["content"] = [{"type": "reasoning_text", "text": text} for text in texts]
    elif texts or "summary" in item:
        item["summary"] = [{"type": "summary_text", "text": text} for text in texts]
    for name in ("content", "encrypted_content"):
        if name in part.spelling:
            item.setdefault(name, decode_any(part.spelling[name]))
    if part.signature:
        item["encrypted_content"] = part.signature
    around = decode_any(part.spelling[ITEM]) if ITEM in part.spelling else {}
    return {**item, **around, **{key: member for key, member in part.extras.items() if key != BREAKS}}
