"""Upstream bytes of chat and generate -> canonical events, streamed or whole. The line's own members tell which it is.

Tool calls come whole. One without an id gets one made of the reply's time and its place. Unreadable bytes yield a Failure.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from freehold.wire.chat import (
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
from freehold.wire.dialects.ollama.lines import (
    UNREADABLE,
    Call,
    Line,
    LineDecoder,
    TooLong,
    decode_line,
    failure_in,
    seconds_of,
    usage_of,
)
from freehold.wire.dialects.ollama.words import (
    FINISH_IN,
    MADE,
    NAME,
    Fields,
    decode_fields,
    decode_str,
    encode,
    raw,
    text,
)
from freehold.wire.wholereader import WholeReader

_WORDS = frozenset(("model", "created_at", "message", "response", "thinking", "tool_calls", "logprobs", "done", "done_reason"))


class _Reply:
    """Lines of one reply -> events."""

    def __init__(self) -> None:
        self.over = False  # ended or failed: nothing that follows counts
        self._started = False
        self._parts = 0
        self._open: tuple[int, type[Any]] | None = None
        self._calls = 0
        self._seed = ""

    def line(self, data: bytes, events: list[Event], whole: bool = False) -> None:
        if self.over:
            return
        try:
            line = decode_line(data)
            members = decode_fields(data) if line.done is True or whole else {}
        except (ValueError, RecursionError):
            self.fail(UNREADABLE, events)
            return
        message = line.message
        if line.error:
            self.fail(failure_in(line.error), events)
        elif message is None and line.response is None and line.done is not True:
            if whole:
                self.fail(UNREADABLE, events)
            # else progress of some kind, which no client of a chat waits for
        else:
            self._start(line, events)
            if message is not None:
                self._deltas(message.thinking, message.content, message.tool_calls, line, events)
            else:
                self._deltas(line.thinking, line.response, line.tool_calls, line, events)
            if line.done is True or whole:
                self._end(line, members, events)

    def fail(self, failure: Failure, events: list[Event]) -> None:
        if not self.over:
            self.over = True
            events.append(failure)

    def _start(self, line: Line, events: list[Event]) -> None:
        if self._started:
            return
        self._started = True
        created = line.created_at if isinstance(line.created_at, str) else ""
        self._seed = "".join(char for char in created if char in "0123456789")[:24]
        events.append(
            Start(
                model=line.model if isinstance(line.model, str) else "",
                created_s=seconds_of(created),
                dialect=NAME,
                extras={"created_at": raw(created)} if created else {},
            )
        )

    def _deltas(self, thinking: Any, content: Any, calls: list[Call] | None, line: Line, events: list[Event]) -> None:
        if isinstance(thinking, str) and thinking:
            self._text(Thinking(), thinking, events)
        if isinstance(content, str) and content:
            self._text(Text(text=""), content, events)
        if isinstance(line.logprobs, list):
            self._logprobs(line.logprobs, events)
        for call in calls or ():
            if call.function is not None:
                self._call(call, events)

    def _text(self, body: Text | Thinking, piece: str, events: list[Event]) -> None:
        if self._open is None or self._open[1] is not type(body):
            self._close(events)
            self._open = (self._parts, type(body))
            self._parts += 1
            events.append(PartStart(part=self._open[0], body=body))
        events.append(Delta(part=self._open[0], text=piece))

    def _close(self, events: list[Event]) -> None:
        if self._open is not None:
            events.append(PartEnd(part=self._open[0]))
            self._open = None

    def _logprobs(self, items: list[Any], events: list[Event]) -> None:
        """A list of what OpenAI calls `content`: {"token", "logprob", "bytes"?, "top_logprobs"?}."""
        tokens = [
            {**item, "bytes": item.get("bytes"), "top_logprobs": item.get("top_logprobs") or []}
            for item in items
            if isinstance(item, dict)
        ]
        if not tokens:
            return
        found = raw({"content": tokens, "refusal": None})
        if events and type(events[-1]) is Delta and events[-1].logprobs is None:
            events[-1].logprobs = found
            return
        if self._open is None:
            self._open = (self._parts, Text)
            self._parts += 1
            events.append(PartStart(part=self._open[0], body=Text(text="")))
        events.append(Delta(part=self._open[0], logprobs=found))

    def _call(self, call: Call, events: list[Event]) -> None:
        function = call.function
        assert function is not None
        self._close(events)
        body = ToolUse(
            id=call.id if isinstance(call.id, str) else "", name=function.name if isinstance(function.name, str) else ""
        )
        if not body.id:
            body.id = f"call_{self._seed}_{self._calls}" if self._seed else f"call_{self._calls}"
            body.spelling["id"] = MADE
        if function.index is not None:
            body.spelling["index"] = encode(function.index).decode()
        self._calls += 1
        arguments = _arguments(function.arguments)
        events.append(PartStart(part=self._parts, body=body))
        if arguments:
            events.append(Delta(part=self._parts, text=arguments))
        events.append(PartEnd(part=self._parts))
        self._parts += 1

    def _end(self, line: Line, members: Fields, events: list[Event]) -> None:
        self._close(events)
        self.over = True
        word = line.done_reason if isinstance(line.done_reason, str) else ""
        reason = FINISH_IN.get(word, "unknown")
        if self._calls and reason in ("stop", "unknown"):
            reason = "tool_use"  # Ollama says "stop" after a tool call
        usage = usage_of(line)
        extras = {name: value for name, value in members.items() if name not in _WORDS}
        events.append(Finish(reason=reason, raw_reason=word, extras=extras))
        if usage is not None:
            events.append(UsageReport(usage=usage))
        events.append(End())


def _arguments(value: Raw) -> str:
    """The object as it was written; the text of a string, which some servers send instead."""
    first = memoryview(value)[0]
    if first == 0x22:
        try:
            return decode_str(value)
        except ValueError:
            return ""
    return "" if first == 0x6E else text(value)


class StreamReader:
    """One JSON object a line, in any chunking."""

    def __init__(self) -> None:
        self._lines = LineDecoder()
        self._reply = _Reply()

    def feed(self, chunk: bytes) -> list[Event]:
        events: list[Event] = []
        if self._reply.over:
            return events
        try:
            lines = self._lines.feed(chunk)
        except TooLong:
            self._reply.fail(UNREADABLE, events)
            return events
        for line in lines:
            self._reply.line(line, events)
        return events

    def close(self) -> list[Event]:
        """A last line without its line end counts if it is whole; else the reply was cut there."""
        events: list[Event] = []
        rest = self._lines.close()
        try:
            decode_fields(rest)
        except (ValueError, RecursionError):
            return events
        self._reply.line(rest, events)
        return events


def whole_reader() -> WholeReader:
    return WholeReader(_whole, UNREADABLE)


def _whole(body: bytes) -> list[Event]:
    events: list[Event] = []
    _Reply().line(body, events, whole=True)
    return events
