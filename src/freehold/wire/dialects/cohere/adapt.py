"""A request from another dialect -> one that Cohere's API accepts, still in canonical form.

Decisions, where the APIs differ:
- Text of an assistant message that also calls tools becomes its `tool_plan`, which is what such text is there.
- A message with tool results becomes one `tool` message a result, in order, then one user message with the rest. An error
  result has no mark on this wire: its text is prefixed with "Error: " unless it begins so.
- Files of plain text become text; other files, audio, and media in tool results are refused.
- A forced call of one tool, which this API can't ask for, becomes REQUIRED with only that tool offered.
- Strictness is asked for all tools or for none.
Tuning knobs are the business of knobs.py.
"""

from __future__ import annotations

import binascii
from base64 import b64decode

from msgspec import Raw

from freehold.base.errors import Unsupported
from freehold.wire.chat import (
    AnyPart,
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
from freehold.wire.dialect import Quirks
from freehold.wire.dialects.cohere.knobs import adapt_knobs
from freehold.wire.dialects.cohere.words import IN, NAME
from freehold.wire.dropped import Dropped, asks, name_extras

_NO_PARAMETERS = Raw(b'{"type":"object","properties":{}}')


def adapt(request: ChatRequest, model: str, quirks: Quirks, dropped: Dropped) -> ChatRequest:
    """Raises Unsupported for content that can't be carried, Unsupported for a tool choice that can't be meant."""
    if request.n is not None and request.n > 1:
        raise Unsupported(f"n: is {request.n}; this target gives one choice. Send several requests.", param="n")
    if "audio" in request.extras and asks(request.extras["audio"]):
        raise Unsupported("audio: this target answers in text only.", param="audio")
    name_extras(request.extras, "", dropped)
    adapted = ChatRequest(dialect=NAME, model=request.model, messages=_Messages(dropped).adapt(request.messages))
    _tools(request, adapted, dropped)
    adapt_knobs(request, adapted, model, quirks, dropped)
    return adapted


# --- tools ----------------------------------------------------------------------------


def _tools(request: ChatRequest, adapted: ChatRequest, dropped: Dropped) -> None:
    choice = request.tool_choice
    tools = request.tools
    if choice is not None:
        name_extras(choice.extras, "tool_choice.", dropped)
        if choice.mode in ("required", "tool") and not tools:
            raise Unsupported("tool_choice: asks for a tool call, but there are no tools", param="tool_choice")
        if choice.mode == "tool":
            tools = [tool for tool in tools if tool.name == choice.name]
            if not tools:
                raise Unsupported(f"tool_choice: there is no tool named {choice.name[:100]!r}", param="tool_choice")
        if tools and choice.mode != "auto":
            adapted.tool_choice = ToolChoice(mode="none" if choice.mode == "none" else "required")
    adapted.tools = [_tool(tool, n, dropped) for n, tool in enumerate(tools)]
    strict = [tool.strict is True for tool in tools]
    if strict and all(strict):
        adapted.spelling["strict_tools"] = "true"
    elif any(strict):
        dropped["tools[].strict"] = None
    if request.parallel_tools is False and tools:
        dropped["parallel_tool_calls"] = None


def _tool(tool: Tool, number: int, dropped: Dropped) -> Tool:
    if tool.raw is not None:
        path = f"tools[{number}]"
        raise Unsupported(f"{path}: the built-in tool {tool.name[:100]!r} does not exist on this target", param=path)
    name_extras(tool.extras, "tools[].", dropped)
    if tool.cache is not None:
        dropped["cache_control"] = None
    return Tool(name=tool.name, description=tool.description, parameters=tool.parameters or _NO_PARAMETERS)


# --- messages -------------------------------------------------------------------------


class _Messages:
    def __init__(self, dropped: Dropped) -> None:
        self._dropped = dropped

    def adapt(self, messages: list[Message]) -> list[Message]:
        adapted: list[Message] = []
        for number, message in enumerate(messages):
            if message.name:
                self._dropped["messages[].name"] = None
            name_extras(message.extras, "messages[].", self._dropped)
            path = f"messages[{number}]"
            if message.role == "assistant":
                adapted.append(self._assistant(message, path))
            elif message.role in ("system", "developer"):
                adapted.append(Message(role="system", parts=self._system(message, path), plain=message.plain))
            else:
                adapted.extend(self._user(message, path))
        return adapted

    def _system(self, message: Message, path: str) -> list[AnyPart]:
        parts: list[AnyPart] = []
        for part in message.parts:
            if not isinstance(part, Text):
                raise Unsupported(f"{path}: system messages hold only text on this target", param=f"{path}.content")
            parts.append(self._text(part, part.text))
        return parts

    def _user(self, message: Message, path: str) -> list[Message]:
        """One message a tool result, then one with the rest."""
        results = [part for part in message.parts if isinstance(part, ToolResult)]
        rest = [part for part in message.parts if not isinstance(part, ToolResult)]
        adapted = [Message(role="tool", parts=[self._result(result, path)]) for result in results]
        if rest or not results:
            parts = [self._content(part, path) for part in rest]
            adapted.append(Message(role="user", parts=parts, plain=message.plain))
        return adapted

    def _assistant(self, message: Message, path: str) -> Message:
        calls = [part for part in message.parts if isinstance(part, ToolUse)]
        adapted = Message(role="assistant", parts=[], plain=message.plain and not calls)
        for part in message.parts:
            if isinstance(part, Text | Refusal):
                text = self._text(part, part.text)
                if calls:
                    text.spelling[IN] = "tool_plan"
                adapted.parts.append(text)
            elif isinstance(part, ToolUse):
                self._note(part)
                adapted.parts.append(ToolUse(id=part.id, name=part.name, arguments=part.arguments or "{}"))
            elif isinstance(part, Thinking):
                if part.text:
                    adapted.parts.append(Thinking(text=part.text))
                else:
                    self._dropped["messages[].thinking"] = None
            elif isinstance(part, Opaque):
                self._dropped[f"{path} ({part.kind})"] = None
            else:
                raise _refused(part, path, "assistant")
        if not any(not isinstance(part, ToolUse) and IN not in part.spelling for part in adapted.parts):
            if calls:
                adapted.spelling["content"] = "absent"
            else:
                adapted.parts, adapted.plain = [Text(text="")], True
        return adapted

    def _result(self, result: ToolResult, path: str) -> ToolResult:
        self._note(result)
        adapted = ToolResult(call_id=result.call_id, plain=result.plain)
        for part in result.parts:
            if isinstance(part, Image):
                raise _refused(part, path, "tool")
            adapted.parts.append(self._content(part, path))
        first = adapted.parts[0] if adapted.parts else None
        if not isinstance(first, Text):
            first = Text(text="")
            adapted.parts, adapted.plain = [first], True
        if result.is_error and first.text[:5].lower() != "error":
            first.text = f"Error: {first.text}"
        return adapted

    def _content(self, part: AnyPart, path: str) -> AnyPart:
        """What one part of a user message or tool result becomes."""
        if isinstance(part, Text | Refusal):
            return self._text(part, part.text)
        self._note(part)
        if isinstance(part, Image):
            if part.media.kind not in ("base64", "url"):
                raise Unsupported(f"{path}: this target can't read a file id of another provider", param=f"{path}.content")
            return Image(media=part.media, detail=part.detail)
        if isinstance(part, File):
            text = _file_text(part.media, path)
            return Text(text=f"{part.name}\n\n{text}" if part.name else text)
        raise _refused(part, path, "user")

    def _text(self, part: Text | Refusal, text: str) -> Text:
        self._note(part)
        if isinstance(part, Text) and part.citations:
            self._dropped["messages[].content[].citations"] = None
        return Text(text=text)

    def _note(self, part: AnyPart) -> None:
        """Name what a part loses on the way."""
        if part.cache is not None:
            self._dropped["cache_control"] = None
        name_extras(part.extras, "messages[].content[].", self._dropped)


def _file_text(media: Media, path: str) -> str:
    """The text of a plain-text file. Raises Unsupported for any other."""
    if media.kind == "text":
        return media.value
    if media.kind == "base64" and (media.media_type.startswith("text/") or media.media_type == "application/json"):
        try:
            return b64decode(media.value, validate=True).decode()
        except (binascii.Error, ValueError):
            raise Unsupported(f"{path}: the file is not base64 of UTF-8 text", param=f"{path}.content") from None
    said = repr(media.media_type[:60]) if media.media_type else "one of unknown type"
    raise Unsupported(f"{path}: this target takes files of plain text only, not {said}", param=f"{path}.content")


def _refused(part: AnyPart, path: str, role: str) -> Unsupported:
    kind = f"{part.kind} content" if isinstance(part, Opaque) else type(part).__name__.lower()
    return Unsupported(f"{path}: this target takes no {kind} in a message of role {role}", param=f"{path}.content")
