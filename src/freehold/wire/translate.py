"""TRANSLATE: one upstream reply from its dialect into the client's, through canonical events."""

from __future__ import annotations

from freehold.wire.chat import (
    Delta,
    End,
    Event,
    Failure,
    Finish,
    PartStart,
    Refusal,
    Start,
    Text,
    Thinking,
    ToolUse,
    Usage,
    UsageReport,
)
from freehold.wire.dialect import CountTokens, Reader, Writer
from freehold.wire.produced import Produced


class Translation:
    """A Relay made of the upstream dialect's reader and the client dialect's writer."""

    __slots__ = ("_produced", "_reader", "_writer", "done", "failure", "finish", "model", "usage")

    def __init__(self, reader: Reader, writer: Writer, count: CountTokens) -> None:
        self._reader = reader
        self._writer = writer
        self._produced = Produced(count)
        self.usage: Usage | None = None
        self.done = False
        self.failure: Failure | None = None
        self.model = ""
        self.finish = ""

    def feed(self, chunk: bytes) -> bytes:
        return self._forward(self._reader.feed(chunk))

    def close(self) -> bytes:
        last = self._forward(self._reader.close())
        # A cut or failed reply gets no end of its own: the caller writes the error event or closes the connection.
        return last + self._writer.close() if self.done and self.failure is None else last

    def produced(self) -> int:
        return self._produced.tokens()

    def _forward(self, events: list[Event]) -> bytes:
        good: list[Event] = []
        for event in events:
            if self.failure is not None:
                break
            self._note(event)
            if type(event) is not Failure:
                good.append(event)
        return self._writer.write(good) if good else b""

    def _note(self, event: Event) -> None:
        if type(event) is Delta:
            self._produced.add(event.text)
        elif type(event) is PartStart:
            body = event.body
            if type(body) is ToolUse:
                self._produced.add(body.name + body.arguments)
            elif isinstance(body, Text | Thinking | Refusal):
                self._produced.add(body.text)
        elif type(event) is UsageReport:
            self.usage = event.usage
        elif type(event) is Start:
            self.model = event.model
            self.usage = event.usage or self.usage
        elif type(event) is Finish:
            self.finish = self.finish or event.raw_reason
        elif type(event) is Failure:
            self.failure = event
        elif type(event) is End:
            self.done = True
