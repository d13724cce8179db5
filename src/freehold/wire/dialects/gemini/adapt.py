"""A request from another dialect -> one that this dialect could have sent, still in canonical form.

Decisions, where the APIs differ:
- System and developer messages all go into systemInstruction, later ones at its end.
- Messages of one role that follow each other are merged: Gemini wants all results of a turn's calls in one content.
- A result needs its function's name, so it must follow its call. Ids go along on both.
- Images and files in a result go into the function response where the model takes them there, else behind it.
- Thinking of other providers is left out (named "thinking"). An empty one with a signature directly before a tool call is
  how this gateway shows Gemini's own signature to clients of other APIs: it goes back on the call.
- Gemini 3 refuses calls without a signature. Those that another model made get the value that Google gives for this.
- A file at a URL is sent as a URL (Google fetches it); its type is guessed from the name.
Tuning knobs are the business of knobs.py, schemas of schema.py.
"""

from __future__ import annotations

import re
from base64 import b64encode

from freehold.base.errors import Unsupported
from freehold.wire.arguments import arguments_object
from freehold.wire.chat import (
    AnyPart,
    Audio,
    ChatRequest,
    File,
    Image,
    Media,
    Message,
    Opaque,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    ToolResult,
    ToolUse,
)
from freehold.wire.dialects.gemini.knobs import adapt_knobs
from freehold.wire.dialects.gemini.models import Traits
from freehold.wire.dialects.gemini.words import NAME
from freehold.wire.dropped import Dropped, name_extras

# "Do not validate": for calls that no Gemini model signed. From Google's documentation of thought signatures.
UNSIGNED = "skip_thought_signature_validator"
_FUNCTION_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_:.-]{0,127}")
_FOREIGN_FILE = "this target can't read a file id of another provider; send the file itself."
_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "heic": "image/heic",
    "heif": "image/heif",
    "avif": "image/avif",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "xml": "text/xml",
    "json": "application/json",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "mov": "video/mov",
    "mp3": "audio/mp3",
    "wav": "audio/wav",
    "ogg": "audio/ogg",
    "flac": "audio/flac",
}
_EXTENSION = re.compile(r"\.([A-Za-z0-9]{1,5})(?:[?#]|$)")


def adapt(request: ChatRequest, known: Traits, dropped: Dropped) -> ChatRequest:
    """Raises Unsupported for content that can't be carried, Unsupported for a history that no API takes."""
    if "audio" in request.extras and bytes(request.extras["audio"]) != b"null":
        raise Unsupported("audio: spoken answers can't be asked of this target in this way.", param="audio")
    name_extras(request.extras, "", dropped)
    adapted = ChatRequest(
        dialect=NAME,
        model=request.model,
        messages=_Turns(request, known, dropped).messages(),
        tools=[_tool(tool, number, dropped) for number, tool in enumerate(request.tools)],
        tool_choice=_choice(request, dropped),
        stream=request.stream,
    )
    adapt_knobs(request, adapted, dropped)
    return adapted


# --- tools --------------------------------------------------------------------


def _tool(tool: Tool, number: int, dropped: Dropped) -> Tool:
    if tool.raw is not None:
        path = f"tools[{number}]"
        raise Unsupported(f"{path}: the built-in tool {tool.name[:100]!r} does not exist on this target.", param=path)
    if not _FUNCTION_NAME.fullmatch(tool.name):
        raise Unsupported(
            f"tools[{number}]: the name {tool.name[:140]!r} must begin with a letter or '_' and hold 1 to 128 letters, digits, "
            "'_', '-', ':' or '.' for this target.",
            param=f"tools[{number}].name",
        )
    name_extras(tool.extras, "tools[].", dropped)
    if tool.strict:
        dropped["tools[].strict"] = None
    if tool.cache is not None:
        dropped["cache_control"] = None
    return Tool(name=tool.name, description=tool.description, parameters=tool.parameters)


def _choice(request: ChatRequest, dropped: Dropped) -> ToolChoice | None:
    choice = request.tool_choice
    if choice is None:
        return None
    if not request.tools:
        if choice.mode in ("required", "tool"):
            raise Unsupported("tool_choice: asks for a tool call, but there are no tools.", param="tool_choice")
        return None
    name_extras(choice.extras, "tool_choice.", dropped)
    return ToolChoice(mode=choice.mode, name=choice.name)


# --- messages -----------------------------------------------------------------


class _Turns:
    """Builds alternating turns, keeping track of which tool calls still want their result."""

    def __init__(self, request: ChatRequest, known: Traits, dropped: Dropped) -> None:
        self._request = request
        self._known = known
        self._dropped = dropped
        self._turns: list[Message] = []
        self._waiting: dict[str, list[str]] = {}  # id -> the names of its calls without a result yet

    def messages(self) -> list[Message]:
        system: list[AnyPart] = []
        for number, message in enumerate(self._request.messages):
            if message.name:
                self._dropped["messages[].name"] = None
            name_extras(message.extras, "messages[].", self._dropped)
            path = f"messages[{number}]"
            if message.role in ("system", "developer"):
                system.extend(part for raw in message.parts for part in self._system_part(raw, path))
            else:
                self._add("assistant" if message.role == "assistant" else "user", message, path)
        if not self._turns:
            raise Unsupported("messages: this target needs at least one user message that is not empty.", param="messages")
        self._finish()
        return [Message(role="system", parts=system), *self._turns] if system else self._turns

    def _add(self, role: str, message: Message, path: str) -> None:
        starts = not self._turns or self._turns[-1].role != role
        if role == "assistant" and starts:
            self._waiting = {}
        given = _with_signatures(message.parts) if role == "assistant" else message.parts
        parts = [part for raw in given for part in self._part(raw, role, path)]
        if not parts:
            return
        if starts:
            self._turns.append(Message(role="assistant" if role == "assistant" else "user", parts=parts))
        else:
            self._turns[-1].parts.extend(parts)

    def _finish(self) -> None:
        for turn in self._turns:
            if turn.role == "user":
                turn.parts.sort(key=lambda part: type(part) is not ToolResult)
            elif self._known.signed_calls:
                first = next((part for part in turn.parts if type(part) is ToolUse), None)
                if first is not None and not first.signature:
                    first.signature = UNSIGNED

    # Each of these yields what one part becomes: itself in this dialect's terms, or nothing.

    def _system_part(self, part: AnyPart, path: str) -> list[AnyPart]:
        if type(part) is not Text:
            raise Unsupported(f"{path}: system messages hold only text on this target.", param=f"{path}.content")
        return self._text(part)

    def _part(self, part: AnyPart, role: str, path: str) -> list[AnyPart]:
        name_extras(part.extras, "messages[].content[].", self._dropped)
        if part.cache is not None:
            self._dropped["cache_control"] = None
        if isinstance(part, Text):
            return self._text(part)
        if isinstance(part, Refusal):
            return self._text(Text(text=part.text))
        if role == "assistant":
            if isinstance(part, ToolUse):
                return [self._tool_use(part, path)]
            if isinstance(part, Thinking):
                self._dropped["thinking"] = None
                return []
        elif isinstance(part, ToolResult):
            return self._tool_result(part, path)
        if isinstance(part, Image | File | Audio):
            return [self._media(part, path)]
        kind = f"{part.kind} content" if isinstance(part, Opaque) else type(part).__name__.lower()
        raise Unsupported(f"{path}: this target takes no {kind} in a message of role {role}.", param=f"{path}.content")

    def _text(self, part: Text) -> list[AnyPart]:
        if part.citations:
            self._dropped["messages[].content[].annotations"] = None
        if part.cache is not None:
            self._dropped["cache_control"] = None
        return [Text(text=part.text)] if part.text else []

    def _tool_use(self, part: ToolUse, path: str) -> ToolUse:
        if arguments_object(part.arguments) is None:
            where = f"{path}.tool_calls"
            raise Unsupported(
                f"{where}: the arguments of call {part.id[:100]!r} ({part.name[:100]}) are not a JSON object.", param=where
            )
        self._waiting.setdefault(part.id, []).append(part.name)
        return ToolUse(id=part.id, name=part.name, arguments=part.arguments, signature=part.signature)

    def _tool_result(self, part: ToolResult, path: str) -> list[AnyPart]:
        names = self._waiting.get(part.call_id)
        if not names:
            raise Unsupported(
                f"{path}: the tool result's id {part.call_id[:100]!r} belongs to no unanswered tool call of the assistant "
                "message before it.",
                param=f"{path}.tool_call_id",
            )
        inner = [found for item in part.parts for found in self._part(item, "tool", path)]
        texts: list[AnyPart] = [item for item in inner if isinstance(item, Text)]
        media: list[AnyPart] = [item for item in inner if not isinstance(item, Text)]
        behind: list[AnyPart] = []
        if media and not (self._known.media_in_results and all(_inline(item) for item in media)):
            behind = [Text(text=f"Attachments from tool call {part.call_id}:"), *media]
            media = []
        result = ToolResult(call_id=part.call_id, parts=texts + media, is_error=part.is_error)
        result.spelling["name"] = names.pop(0)
        return [result, *behind]

    def _media(self, part: Image | File | Audio, path: str) -> AnyPart:
        media = part.media
        if isinstance(part, Image) and part.detail not in ("", "auto"):
            self._dropped["messages[].content[].image_url.detail"] = None
        where = f"{path}.content"
        if media.kind == "file_id":
            raise Unsupported(f"{path}: {_FOREIGN_FILE}", param=where)
        name = part.name if isinstance(part, File) else ""
        if media.kind == "text":
            data = b64encode(media.value.encode("utf-8", "replace")).decode()
            return File(media=Media(kind="base64", value=data, media_type="text/plain"))
        kind = media.media_type or _guessed(name) or (_guessed(media.value) if media.kind == "url" else "")
        if media.kind == "base64" and not kind:
            raise Unsupported(f"{path}: the type of this file is unknown; send it as data:TYPE;base64,...", param=where)
        found = Media(kind=media.kind, value=media.value, media_type="image/jpeg" if kind == "image/jpg" else kind)
        return (
            Image(media=found)
            if isinstance(part, Image)
            else Audio(media=found)
            if isinstance(part, Audio)
            else File(media=found)
        )


def _with_signatures(parts: list[AnyPart]) -> list[AnyPart]:
    """Empty thinking with a signature, directly before a tool call, gives it to the call."""
    out: list[AnyPart] = []
    signature = ""
    for number, part in enumerate(parts):
        following = parts[number + 1] if number + 1 < len(parts) else None
        if isinstance(part, Thinking) and part.signature and not part.text and isinstance(following, ToolUse):
            signature = part.signature
            continue
        if isinstance(part, ToolUse) and signature and not part.signature:
            part = ToolUse(id=part.id, name=part.name, arguments=part.arguments, signature=signature, cache=part.cache)
        signature = ""
        out.append(part)
    return out


def _inline(part: AnyPart) -> bool:
    return isinstance(part, Image | File | Audio) and part.media.kind == "base64"


def _guessed(name: str) -> str:
    found = _EXTENSION.search(name)
    return _TYPES.get(found[1].lower(), "") if found is not None else ""
