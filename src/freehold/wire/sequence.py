"""Canonical events -> the same, so that one part follows another: for streams in which blocks can't overlap.

Text that another part interrupts goes on in a new part. What begins while a tool call is open waits until that one ends.
Calls of the writer's own dialect end when they say so; those of other dialects, which may come back to an earlier call at
any time, end when the reply finishes: the first call streams, later ones follow then. A part begins with its first
content, so an empty text is never begun. Parts are numbered from 0 as they come out; choices after the first are left out.
"""

from __future__ import annotations

from collections import deque

from msgspec import structs

from freehold.wire.chat import AnyPart, Delta, End, Event, Finish, PartEnd, PartStart, Refusal, Text, Thinking, ToolUse


class _Slot:
    """A part on its way out."""

    __slots__ = ("body", "ended", "number", "queued", "waiting", "whole")

    def __init__(self, body: AnyPart) -> None:
        self.body = body
        self.number = -1  # while it is open
        self.queued = False
        self.waiting: list[Delta] = []
        self.ended = False
        # It has no deltas: everything is in its body.
        self.whole = body.redacted != "" if isinstance(body, Thinking) else not isinstance(body, Text | Refusal | ToolUse)


class Sequence:
    """`own`: the reply is of the writer's own dialect. A tool call's PartEnd is its last word; citations are content."""

    __slots__ = ("_finished", "_open", "_out", "_parts", "_queue", "_slots", "own")

    def __init__(self) -> None:
        self.own = False
        self._out: list[Event] = []
        self._slots: dict[int, _Slot] = {}
        self._queue: deque[_Slot] = deque()
        self._open: _Slot | None = None
        self._parts = 0
        self._finished = False

    def add(self, event: Event) -> list[Event]:
        if type(event) is Delta and event.text and not event.choice:
            slot = self._slots.get(event.part)
            if slot is not None and slot.number >= 0 and not slot.whole:  # most of a stream: more text of the open part
                return [event if slot.number == event.part else structs.replace(event, part=slot.number)]
        if type(event) is Finish or type(event) is End:
            if type(event) is Finish and event.choice:
                return []
            self._close_all()
            self._out.append(event)
        elif type(event) is PartStart or type(event) is Delta or type(event) is PartEnd:
            if not event.choice:
                self._part(event)
        else:
            self._out.append(event)
        out, self._out = self._out, []
        return out

    def _part(self, event: PartStart | Delta | PartEnd) -> None:
        if type(event) is PartStart:
            self._start(event)
        elif (slot := self._slots.get(event.part)) is None:
            return
        elif type(event) is Delta:
            self._delta(slot, event)
        else:
            self._end(slot)

    def _start(self, event: PartStart) -> None:
        slot = self._slots[event.part] = _Slot(structs.replace(event.body))
        body = slot.body
        if slot.whole:
            self._begin(slot)
        elif isinstance(body, ToolUse):
            text, body.arguments = body.arguments, ""
            self._begin(slot)
            self._delta(slot, Delta(part=0, text=text))
        elif isinstance(body, Text | Refusal | Thinking):
            text, body.text = body.text, ""
            citations: list[Delta] = []
            if isinstance(body, Text):
                citations, body.citations = [Delta(part=0, citation=raw) for raw in body.citations], []
            for delta in (*citations, Delta(part=0, text=text)):
                self._delta(slot, delta)

    def _begin(self, slot: _Slot) -> None:
        """Open the slot, or queue it behind an open tool call."""
        if self._open is not None:
            if isinstance(self._open.body, ToolUse) and not self._open.ended:
                if not slot.queued:
                    slot.queued = True
                    self._queue.append(slot)
                return
            self._stop()
        self._open = slot
        slot.number = self._parts
        self._parts += 1
        body = slot.body
        if isinstance(body, Thinking) and not slot.whole:
            body = structs.replace(body, signature="")  # comes after the text
        self._out.append(PartStart(part=slot.number, body=body))

    def _delta(self, slot: _Slot, delta: Delta) -> None:
        if slot.whole or not (delta.text or delta.signature or (self.own and delta.citation is not None)):
            return
        if slot.number < 0 and not slot.queued:
            self._begin(slot)
        if slot.number < 0:
            slot.waiting.append(delta)
        else:
            self._out.append(structs.replace(delta, part=slot.number))

    def _end(self, slot: _Slot) -> None:
        body = slot.body
        if isinstance(body, Thinking) and body.signature and not slot.ended:
            self._delta(slot, Delta(part=0, signature=body.signature))  # told at the part's start, as whole replies do
        if isinstance(body, ToolUse) and not self.own and not self._finished:
            return
        slot.ended = True
        if self._open is slot:
            self._stop()
            self._drain()

    def _stop(self) -> None:
        if self._open is not None:
            self._out.append(PartEnd(part=self._open.number))
            self._open.number = -1
            self._open = None

    def _drain(self) -> None:
        """Open what waited; stop at a tool call that is still going on."""
        while self._queue and self._open is None:
            slot = self._queue.popleft()
            slot.queued = False
            self._begin(slot)
            waiting, slot.waiting = slot.waiting, []
            if isinstance(slot.body, ToolUse) and waiting:
                waiting = [Delta(part=0, text="".join(delta.text for delta in waiting))]
            for delta in waiting:
                self._delta(slot, delta)
            if slot.ended or (self._queue and not isinstance(slot.body, ToolUse)):
                self._stop()  # more of this text would come in a new part

    def _close_all(self) -> None:
        self._finished = True
        for slot in (*self._queue, *self._slots.values()):  # what waits first: it comes out complete
            if not slot.ended:
                self._end(slot)
        self._stop()
        self._drain()
