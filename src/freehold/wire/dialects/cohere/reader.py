"""Cohere's chat replies -> canonical events, streamed and whole. Unreadable bytes yield a Failure, never an exception.

Content blocks and tool calls are numbered apart on this wire; a part's number is the order in which it began. A stream is
whole when its message-end has come. Unknown events and blocks are skipped.
"""

from __future__ import annotations

from msgspec import Raw, json

from freehold.wire.chat import (
    AnyPart,
    ChatReply,
    Choice,
    Delta,
    End,
    Event,
    Failure,
    Finish,
    PartEnd,
    PartStart,
    Start,
    Text,
    Thinking,
    ToolUse,
    UsageReport,
)
from freehold.wire.dialects.cohere.errors import failure
from freehold.wire.dialects.cohere.events import (
    PLAN,
    WireCall,
    WireContent,
    WireDelta,
    WireEvent,
    WireMessage,
    decode_citation,
    decode_event,
    decode_reply,
)
from freehold.wire.dialects.cohere.usage import read_usage
from freehold.wire.dialects.cohere.words import ABSENT, FINISH_IN, IN, NAME, UNREADABLE
from freehold.wire.fold import unfold
from freehold.wire.sse import SSEDecoder, SSEError, SSEvent
from freehold.wire.typed import checked
from freehold.wire.wholereader import WholeReader

_fields = json.Decoder(dict[str, Raw]).decode
_raws = json.Decoder(list[Raw]).decode
_REPLY_WORDS = frozenset(("id", "message", "finish_reason", "usage"))


def _plan(text: str = "") -> Text:
    return Text(text=text, spelling={IN: "tool_plan"})


class StreamReader:
    __slots__ = ("_calls", "_content", "_decoder", "_ended", "_open", "_parts", "_plan", "_started", "_texts")

    def __init__(self) -> None:
        self._decoder = SSEDecoder()
        self._parts = 0
        self._open: dict[int, None] = {}  # numbers of the parts that have not ended
        self._content: dict[int, int] = {}  # block index -> part number
        self._calls: dict[int, int] = {}  # tool call index -> part number
        self._texts: list[int] = []  # part numbers of text blocks
        self._plan: int | None = None
        self._started = False
        self._ended = False  # nothing that follows counts

    def feed(self, chunk: bytes) -> list[Event]:
        try:
            return self._read(self._decoder.feed(chunk))
        except SSEError:
            return self._fail(UNREADABLE)

    def close(self) -> list[Event]:
        """A last event that was cut is not told as an error: the missing end tells enough."""
        return [event for event in self._read(self._decoder.close()) if event is not UNREADABLE]

    def _fail(self, found: Failure) -> list[Event]:
        if self._ended:
            return []
        self._ended = True
        return [found]

    def _read(self, received: list[SSEvent]) -> list[Event]:
        events: list[Event] = []
        for item in received:
            if self._ended:
                break
            if item.data == b"[DONE]":
                continue
            try:
                event = decode_event(checked(item.data))
            except (ValueError, RecursionError):
                events += self._fail(UNREADABLE)
                break
            if event.type is None and isinstance(event.message, str):
                events += self._fail(failure(event.message))
            else:
                self._event(event, events)
        return events

    def _event(self, event: WireEvent, events: list[Event]) -> None:
        kind, index = event.type, event.index or 0
        if not self._started:
            self._started = True
            events.append(Start(id=event.id or "", dialect=NAME))
        message = event.delta.message if event.delta is not None else None
        if kind == "content-end":
            self._end(self._content.get(index), events)
        elif kind == "tool-call-end":
            self._end(self._calls.get(index), events)
        elif kind == "message-end":
            self._finish(event.delta or WireDelta(), events)
        elif message is None:
            return
        elif kind in ("content-delta", "content-start"):
            if isinstance(message.content, WireContent):
                self._block(kind, index, message.content, event.logprobs, events)
        elif kind == "tool-plan-delta":
            if message.tool_plan:
                if self._plan is None:
                    self._plan = self._begin(_plan(), events)
                events.append(Delta(part=self._plan, text=message.tool_plan))
        elif kind in ("tool-call-start", "tool-call-delta"):
            if isinstance(message.tool_calls, WireCall):
                self._call(kind, index, message.tool_calls, events)
        elif kind == "citation-start" and message.citations != ABSENT:
            self._citation(message.citations, events)

    def _begin(self, body: AnyPart, events: list[Event]) -> int:
        number = self._parts
        self._parts += 1
        self._open[number] = None
        events.append(PartStart(part=number, body=body))
        return number

    def _end(self, number: int | None, events: list[Event]) -> None:
        if number in self._open:
            del self._open[number]
            events.append(PartEnd(part=number))

    def _block(self, kind: str, index: int, content: WireContent, logprobs: Raw, events: list[Event]) -> None:
        number = self._content.get(index)
        if number is None or kind == "content-start":
            self._end(number, events)
            thinks = content.type == "thinking" or (content.type is None and content.thinking is not None)
            if content.type not in ("text", "thinking", None):
                self._content.pop(index, None)  # of a kind we don't know: its deltas would be skipped
                return
            number = self._content[index] = self._begin(Thinking() if thinks else Text(text=""), events)
            if not thinks:
                self._texts.append(number)
        text = content.thinking or content.text or ""
        if text or logprobs != ABSENT:
            events.append(Delta(part=number, text=text, extras={} if logprobs == ABSENT else {"logprobs": logprobs}))

    def _call(self, kind: str, index: int, call: WireCall, events: list[Event]) -> None:
        number = self._calls.get(index)
        function = call.function
        if kind == "tool-call-start":
            self._end(self._plan, events)
            self._end(number, events)
            name = (function.name if function is not None else None) or ""
            number = self._calls[index] = self._begin(ToolUse(id=call.id or "", name=name), events)
        if number is not None and function is not None and function.arguments:
            events.append(Delta(part=number, text=function.arguments))

    def _citation(self, raw: Raw, events: list[Event]) -> None:
        """To the text that it stands in; it may come after that has ended."""
        try:
            said = decode_citation(raw)
        except ValueError:
            return
        number = self._content.get(said.content_index) if said.content_index is not None else None
        if said.type == PLAN:
            number = self._plan
        elif number not in self._texts:
            number = self._texts[-1] if self._texts else None
        if number is not None:
            events.append(Delta(part=number, citation=raw))

    def _finish(self, delta: WireDelta, events: list[Event]) -> None:
        if delta.error:
            events += self._fail(failure(delta.error))
            return
        for number in list(self._open):
            self._end(number, events)
        word = delta.finish_reason or ""
        events.append(Finish(reason=FINISH_IN.get(word, "unknown"), raw_reason=word))
        usage = read_usage(delta.usage)
        if usage is not None:
            events.append(UsageReport(usage=usage))
        events.append(End())
        self._ended = True


def whole_reader() -> WholeReader:
    return WholeReader(_whole, UNREADABLE)


def _whole(body: bytes) -> list[Event]:
    reply = decode_reply(checked(body))
    message = reply.message
    if isinstance(message, str):
        return [failure(message)]
    if message is None:
        return [UNREADABLE]
    choice = Choice(parts=_parts(message))
    if message.citations != ABSENT and bytes(message.citations) != b"null":
        _place_citations(_raws(message.citations), choice)
    if reply.finish_reason:
        choice.finish, choice.raw_reason = FINISH_IN.get(reply.finish_reason, "unknown"), reply.finish_reason
    extras = {name: raw for name, raw in _fields(body).items() if name not in _REPLY_WORDS}
    return unfold(ChatReply(dialect=NAME, id=reply.id or "", choices=[choice], usage=read_usage(reply.usage), extras=extras))


def _parts(message: WireMessage) -> list[AnyPart]:
    content = message.content
    if isinstance(content, str):
        content = WireContent(type="text", text=content)
    parts: list[AnyPart] = []
    for block in content if isinstance(content, list) else [content] if content is not None else []:
        if block.type == "thinking":
            parts.append(Thinking(text=block.thinking or ""))
        elif block.type == "text":
            parts.append(Text(text=block.text or ""))
    if message.tool_plan:
        parts.append(_plan(message.tool_plan))
    calls = message.tool_calls
    for call in calls if isinstance(calls, list) else [calls] if calls is not None else []:
        function = call.function
        if function is not None:
            arguments = "" if function.arguments in (None, "{}") else function.arguments  # as a stream tells it
            parts.append(ToolUse(id=call.id or "", name=function.name or "", arguments=arguments or ""))
    return parts


def _place_citations(citations: list[Raw], choice: Choice) -> None:
    """Each to the text that it stands in; `content_index` counts the content's blocks."""
    blocks = [part for part in choice.parts if isinstance(part, Thinking | Text) and IN not in part.spelling]
    texts = [part for part in blocks if isinstance(part, Text)]
    plans = [part for part in choice.parts if isinstance(part, Text) and IN in part.spelling]
    for raw in citations:
        said = decode_citation(raw)
        at = said.content_index
        named = blocks[at] if at is not None and 0 <= at < len(blocks) else None
        target = plans[0] if said.type == PLAN and plans else named if isinstance(named, Text) else None
        target = target or (texts[-1] if texts else None)
        if target is not None:
            target.citations.append(raw)
