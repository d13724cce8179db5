"""A request from another dialect -> one that Anthropic's API accepts, still in canonical form.

Decisions, where the APIs differ:
- System and developer messages all go into `system`, later ones at its end: only the newest models take a system role
  among the messages, and as user text an instruction would lose its rank.
- Messages of one role that follow each other are merged; tool results come first in their turn, in their order. A tool
  call without a result, or a result without its call, is refused here: the provider's own error names neither.
- Ids of tool calls are made unique and spelt in the allowed characters, on calls and results alike.
- Blank text is left out: the API refuses it. So is thinking that another maker or nobody signed (named "thinking").
- `max_tokens` is sent as asked; where nothing was asked, models.py has the default.
- A JSON schema becomes output_config.format. "Any JSON object" has no equivalent here: dropped and named.
Tuning knobs are the business of knobs.py.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode

from msgspec import Raw, json, structs

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
from freehold.wire.dialects.anthropic.blocks import NAME, Fields
from freehold.wire.dialects.anthropic.knobs import adapt_knobs
from freehold.wire.dialects.anthropic.models import Traits, traits
from freehold.wire.dropped import Dropped, asks, name_extras

_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_NOT_ID = re.compile(r"[^a-zA-Z0-9_-]")
_IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_FOREIGN_FILE = "this target can't read a file id of another provider; send the file itself."
_NO_PARAMETERS = Raw(b'{"type":"object","properties":{}}')
_fields = json.Decoder(Fields).decode
_encode = json.Encoder().encode


def adapt(request: ChatRequest, model: str, dropped: Dropped) -> ChatRequest:
    """Raises Unsupported for what this API takes in no form: another target may."""
    if request.n is not None and request.n > 1:
        raise Unsupported(f"n: is {request.n}; this target gives one choice. Send several requests.", param="n")
    if "audio" in request.extras and asks(request.extras["audio"]):
        raise Unsupported("audio: this target answers in text only.", param="audio")
    name_extras(request.extras, "", dropped)
    known = traits(model)
    messages = Turns(request, dropped).messages()
    adapted = ChatRequest(
        dialect=NAME,
        model=request.model,
        messages=messages,
        tools=[_tool(tool, number, known, dropped) for number, tool in enumerate(request.tools)],
        tool_choice=_choice(request, dropped),
        parallel_tools=False if request.parallel_tools is False and request.tools else None,
        max_tokens=request.max_tokens if request.max_tokens is not None else known.default_max_tokens,
        stream=request.stream,
    )
    if adapted.parallel_tools is False:
        if adapted.tool_choice is None:
            adapted.tool_choice = ToolChoice(mode="auto")
        elif adapted.tool_choice.mode == "none":
            adapted.parallel_tools = None
    adapt_knobs(request, adapted, known, dropped)
    return adapted


# --- tools --------------------------------------------------------------------


def _tool(tool: Tool, number: int, known: Traits, dropped: Dropped) -> Tool:
    if tool.raw is not None:
        path = f"tools[{number}]"
        raise Unsupported(f"{path}: the built-in tool {tool.name[:100]!r} does not exist on this target.", param=path)
    if not _TOOL_NAME.fullmatch(tool.name):
        raise Unsupported(
            f"tools[{number}]: the name {tool.name[:140]!r} must be 1 to 128 letters, digits, '_' or '-' for this target.",
            param=f"tools[{number}].name",
        )
    name_extras(tool.extras, "tools[].", dropped)
    strict = tool.strict or None
    if strict and not known.strict_tools:
        strict = None
        dropped["tools[].strict"] = None
    return Tool(name=tool.name, description=tool.description, parameters=_schema(tool, number), strict=strict, cache=tool.cache)


def _schema(tool: Tool, number: int) -> Raw:
    """The parameters, with the `type` that this API insists on."""
    if tool.parameters is None:
        return _NO_PARAMETERS
    try:
        fields = _fields(tool.parameters)
    except (ValueError, RecursionError):
        path = f"tools[{number}].function.parameters"
        raise Unsupported(f"{path}: must be a JSON Schema object", param=path) from None
    return tool.parameters if "type" in fields else Raw(_encode({"type": "object", **fields}))


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


class Turns:
    """Builds alternating turns, keeping track of which tool calls still want their result."""

    max_id_chars: int | None = None  # of a tool call's id

    def __init__(self, request: ChatRequest, dropped: Dropped) -> None:
        self._request = request
        self._dropped = dropped
        self._turns: list[Message] = []
        self._used: set[str] = set()  # tool call ids as sent
        self._waiting: dict[str, list[str]] = {}  # id as it came -> ids as sent of unanswered calls of the last turn
        self._answered: dict[str, str] = {}

    def messages(self) -> list[Message]:
        leading: list[Message] = []
        for number, message in enumerate(self._request.messages):
            if message.name:
                self._dropped["messages[].name"] = None
            name_extras(message.extras, "messages[].", self._dropped)
            path = f"messages[{number}]"
            if message.role in ("system", "developer"):
                parts = [part for raw in message.parts for part in self._system_part(raw, path)]
                if parts:
                    leading.append(Message(role="system", parts=parts, plain=message.plain))
            elif message.role == "assistant":
                self._add("assistant", message, path)
            else:
                self._add("user", message, path)
        self._all_answered("the conversation ends")
        if not self._turns:
            raise Unsupported("messages: this target needs at least one user message that is not blank.", param="messages")
        self._finish()
        if len(leading) > 1:
            return [Message(role="system", parts=[part for message in leading for part in message.parts]), *self._turns]
        return leading + self._turns

    def _add(self, role: str, message: Message, path: str) -> None:
        starts = not self._turns or self._turns[-1].role != role
        if role == "assistant" and starts:
            self._all_answered(f"{path} (assistant) follows")
            self._answered = {}
        parts = [part for raw in message.parts for part in self._part(raw, role, path)]
        if not parts:
            return
        if starts:
            self._turns.append(Message(role="assistant" if role == "assistant" else "user", parts=parts, plain=message.plain))
        else:
            self._turns[-1].parts.extend(parts)
            self._turns[-1].plain = False

    def _all_answered(self, event: str) -> None:
        if self._waiting:
            first = next(iter(self._waiting))
            raise Unsupported(
                f"messages: the tool call {first[:100]!r} has no result, but {event}. Add a tool message for it.",
                param="messages",
            )

    def _finish(self) -> None:
        for turn in self._turns:
            if turn.role == "user" and len(turn.parts) > 1:
                turn.parts.sort(key=lambda part: type(part) is not ToolResult)
        last = self._turns[-1]
        if last.role == "assistant" and type(last.parts[-1]) is Text:
            last.parts[-1].text = last.parts[-1].text.rstrip()  # the API refuses white space at the end of a prefill

    # Each of these yields what one part becomes: itself in this dialect's terms, or nothing.

    def _system_part(self, part: AnyPart, path: str) -> list[AnyPart]:
        if type(part) is not Text:
            raise Unsupported(f"{path}: system messages hold only text on this target.", param=f"{path}.content")
        return self._text(part)

    def _part(self, part: AnyPart, role: str, path: str) -> list[AnyPart]:
        name_extras(part.extras, "messages[].content[].", self._dropped)
        if type(part) is Text:
            return self._text(part)
        if type(part) is Refusal:
            return self._text(Text(text=part.text))
        if role == "assistant":
            if type(part) is ToolUse:
                return [self._tool_use(part, path)]
            if type(part) is Thinking:
                if (part.redacted or part.signature) and part.signed_by in ("", NAME):
                    return [Thinking(text=part.text, signature=part.signature, redacted=part.redacted)]
                self._dropped["thinking"] = None
                return []
        elif type(part) is ToolResult:
            return [self._tool_result(part, path)]
        elif type(part) is Image:
            return [_image(part, path, self._dropped)]
        elif type(part) is File:
            return [_document(part, path)]
        kind = f"{part.kind} content" if type(part) is Opaque else "audio" if type(part) is Audio else type(part).__name__.lower()
        raise Unsupported(f"{path}: this target takes no {kind} in a message of role {role}.", param=f"{path}.content")

    def _text(self, part: Text) -> list[AnyPart]:
        if not part.text.strip():
            return []
        if part.citations:
            self._dropped["messages[].content[].annotations"] = None
        return [Text(text=part.text, cache=part.cache)]

    def _tool_use(self, part: ToolUse, path: str) -> ToolUse:
        if arguments_object(part.arguments) is None:
            where = f"{path}.tool_calls"
            raise Unsupported(
                f"{where}: the arguments of call {part.id[:100]!r} ({part.name[:100]}) are not a JSON object.", param=where
            )
        sent = wanted = _NOT_ID.sub("_", part.id)[: self.max_id_chars] or "call"
        number = 2
        while sent in self._used:  # some servers number the calls of each turn from 0 again
            sent = f"{wanted}_{number}"
            number += 1
        self._used.add(sent)
        if part.signature:
            self._dropped["messages[].tool_calls[].signature"] = None  # another maker's
        self._waiting.setdefault(part.id, []).append(sent)
        return ToolUse(id=sent, name=part.name, arguments=part.arguments, cache=part.cache)

    def _tool_result(self, part: ToolResult, path: str) -> ToolResult:
        waiting = self._waiting.get(part.call_id)
        if not waiting:
            again = part.call_id in self._answered
            said = "was answered before" if again else "belongs to no tool call of the assistant message before it"
            raise Unsupported(f"{path}: the tool result's id {part.call_id[:100]!r} {said}.", param=f"{path}.tool_call_id")
        sent = waiting.pop(0)
        if not waiting:
            del self._waiting[part.call_id]
        self._answered[part.call_id] = sent
        inner = [found for item in part.parts for found in self._part(item, "tool", path)]
        return ToolResult(call_id=sent, parts=inner, is_error=part.is_error, plain=part.plain, cache=part.cache)


def _image(part: Image, path: str, dropped: Dropped) -> Image:
    media = part.media
    if part.detail not in ("", "auto"):
        dropped["messages[].content[].image_url.detail"] = None
    if media.kind == "file_id":
        raise Unsupported(f"{path}: {_FOREIGN_FILE}", param=f"{path}.content")
    if media.kind == "base64":
        kind = "image/jpeg" if media.media_type == "image/jpg" else media.media_type
        if kind not in _IMAGE_TYPES:
            raise Unsupported(
                f"{path}: this target takes images as JPEG, PNG, GIF or WebP, not {media.media_type[:60]!r}.",
                param=f"{path}.content",
            )
        media = structs.replace(media, media_type=kind)
    return Image(media=media, cache=part.cache)


def _document(part: File, path: str) -> File:
    """PDF and plain text only. Other text types are sent as plain text, which is what they are."""
    media = part.media
    where = f"{path}.content"
    if media.kind == "file_id":
        raise Unsupported(f"{path}: {_FOREIGN_FILE}", param=where)
    if media.kind == "base64":
        kind = media.media_type or ("application/pdf" if part.name.lower().endswith(".pdf") else "")
        if kind == "application/pdf":
            media = structs.replace(media, media_type=kind)
        elif kind.startswith("text/") or kind == "application/json":
            try:
                text = b64decode(media.value, validate=True).decode()
            except (binascii.Error, ValueError):
                raise Unsupported(f"{path}: the file is not base64 of UTF-8 text.", param=where) from None
            media = Media(kind="text", value=text, media_type="text/plain")
        else:
            said = repr(kind[:60]) if kind else "an unknown type"
            raise Unsupported(f"{path}: this target takes PDF and text files, not {said}.", param=where)
    return File(media=media, name=part.name, cache=part.cache)
