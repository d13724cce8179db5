"""Canonical events -> Gemini replies: server-sent events, one object, or one JSON array of a stream's objects.

Every chunk is a whole reply object, and a function call is never split over chunks: calls are written when they end.
Those of other dialects, which may come back to an earlier call at any time, end when the reply finishes; what follows
them waits, so that the order of parts stays. Finish reasons and usage come in the last chunk.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw, structs

from freehold.wire.chat import (
    AnyPart,
    ChatReply,
    Choice,
    Delta,
    End,
    Event,
    Finish,
    PartEnd,
    PartStart,
    Refusal,
    Start,
    Text,
    Thinking,
    ToolUse,
    Usage,
    UsageReport,
)
from freehold.wire.dialect import WriterOptions
from freehold.wire.dialects.gemini import parts
from freehold.wire.dialects.gemini.events import FINISH_OUT
from freehold.wire.dialects.gemini.usage import logprobs_out, wire_usage
from freehold.wire.dialects.gemini.words import NAME, decode_any, decode_fields, encode
from freehold.wire.wholewriter import WholeWriter

_Fields = dict[str, Any]
_COMPUTED = ("content", "finishReason", "logprobsResult", "candidates")


def _head(options: WriterOptions, start: Start | ChatReply) -> _Fields:
    own = start.dialect == NAME
    out: _Fields = {"modelVersion": start.model or options.model, "responseId": start.id or options.call_id}
    if own:
        out = {name: value for name, value in (("modelVersion", start.model), ("responseId", start.id)) if value}
        out |= start.extras
    return out


def _written(part: AnyPart, own: bool) -> Any:
    """A part of a reply; None for what stays behind: other dialects' own content, and their redacted thinking."""
    if not own and isinstance(part, Thinking) and not (part.text or part.signature):
        return None
    if not own and isinstance(part, Text | Refusal) and not part.text:
        return None
    return parts.write(part, own)


def _ended(finish: Finish | Choice, own: bool, index: int) -> _Fields:
    """What a candidate says at its end, besides its content."""
    reason = finish.reason if isinstance(finish, Finish) else finish.finish
    if not own:
        return {"finishReason": FINISH_OUT[reason], "index": index}
    extras = {name: raw for name, raw in finish.extras.items() if name not in _COMPUTED}
    word: Any = finish.extras.get("finishReason") or finish.raw_reason
    return ({"finishReason": word} if word else {}) | extras


def whole_writer(options: WriterOptions) -> WholeWriter:
    return WholeWriter(_whole, options)


def _whole(reply: ChatReply, options: WriterOptions) -> bytes:
    own = reply.dialect == NAME
    out: _Fields = {}
    candidates = [_candidate(choice, own) for choice in reply.choices if "candidates" not in choice.extras]
    if candidates or not own:
        out["candidates"] = candidates
    if reply.usage is not None:
        out["usageMetadata"] = wire_usage(reply.usage, own)
    return encode(out | _head(options, reply))


def _candidate(choice: Choice, own: bool) -> _Fields:
    written = [one for part in choice.parts if (one := _written(part, own)) is not None]
    out: _Fields = {}
    if own:
        held = choice.extras.get("content")
        if written or held is not None:
            inner: _Fields = dict(decode_fields(held)) if held is not None else {"role": "model"}
            out["content"] = inner | ({"parts": written} if written else {})
    else:
        out["content"] = {"parts": written or [{"text": ""}], "role": "model"}
    out |= _ended(choice, own, choice.index)
    if own and "logprobsResult" in choice.extras:
        out["logprobsResult"] = choice.extras["logprobsResult"]
    elif choice.logprobs is not None and (result := _logprobs(choice.logprobs)) is not None:
        out["logprobsResult"] = result
    return out


def _logprobs(raw: Raw) -> _Fields | None:
    try:
        return logprobs_out(decode_any(raw))
    except (ValueError, RecursionError):
        return None


class _Slot:
    """A part on its way out. One that must be whole is collected; text goes on at once."""

    __slots__ = ("body", "collects", "ended", "pieces", "sent")

    def __init__(self, body: AnyPart) -> None:
        self.body = body
        self.collects = not isinstance(body, Text | Refusal | Thinking) or bool(body.signature)
        self.pieces: list[str] = []
        self.ended = False
        self.sent = False

    def whole(self) -> AnyPart:
        text = "".join(self.pieces)
        if isinstance(self.body, ToolUse):
            return structs.replace(self.body, arguments=self.body.arguments + text)
        if isinstance(self.body, Text | Refusal | Thinking):
            return structs.replace(self.body, text=self.body.text + text)
        return self.body


class StreamWriter:
    """`array`: the chunks are items of one JSON array instead of server-sent events."""

    def __init__(self, options: WriterOptions, array: bool = False) -> None:
        self._options = options
        self._array = array
        self._own = False
        self._head: _Fields = {}
        self._slots: dict[tuple[int, int], _Slot] = {}
        self._queue: dict[int, list[_Slot]] = {}  # by choice: a call that has not ended, and what waits behind it
        self._finishes: dict[int, Finish] = {}
        self._usage: Usage | None = None
        self._first = True
        self._done = False
        self._out: list[bytes] = []

    def write(self, events: list[Event]) -> bytes:
        for event in events:
            if not self._done:
                self._write(event)
        data = b"".join(self._out)
        self._out.clear()
        return data

    def close(self) -> bytes:
        return self.write([End()])

    def _write(self, event: Event) -> None:
        if type(event) is Delta:
            self._delta(event)
        elif type(event) is PartStart:
            self._part_start(event)
        elif type(event) is PartEnd:
            slot = self._slots.get((event.choice, event.part))
            # An OpenAI-compatible server may come back to a call: it goes on until the finish.
            if slot is not None and (self._own or not isinstance(slot.body, ToolUse)):
                self._end_slot(event.choice, slot)
        elif type(event) is Finish:
            self._finishes[event.choice] = event
            self._flush(event.choice)
        elif type(event) is UsageReport:
            self._usage = event.usage
        elif type(event) is Start:
            self._own = event.dialect == NAME
            self._usage = event.usage
            self._head = _head(self._options, event)
        elif type(event) is End:
            self._end()

    def _part_start(self, event: PartStart) -> None:
        slot = self._slots[event.choice, event.part] = _Slot(event.body)
        queue = self._queue.setdefault(event.choice, [])
        if slot.collects or queue:
            slot.collects = True
            queue.append(slot)
        elif isinstance(event.body, Text | Refusal | Thinking) and event.body.text:
            self._part(event.choice, event.body)
        if not isinstance(event.body, ToolUse | Text | Refusal | Thinking):
            slot.ended = True
            self._drain(event.choice)

    def _delta(self, event: Delta) -> None:
        slot = self._slots.get((event.choice, event.part))
        if slot is None or slot.sent:
            return
        if event.signature:
            if slot.collects:
                slot.body = structs.replace(slot.body, signature=event.signature)
            elif isinstance(slot.body, Text | Thinking):
                self._part(event.choice, structs.replace(slot.body, text="", signature=event.signature))
        if event.text and slot.collects:
            slot.pieces.append(event.text)
        elif event.text:
            self._part(event.choice, structs.replace(slot.body, text=event.text))
        if event.logprobs is not None and (result := _logprobs(event.logprobs)) is not None:
            self._candidate(event.choice, {"logprobsResult": result})

    def _end_slot(self, choice: int, slot: _Slot) -> None:
        slot.ended = True
        self._drain(choice)

    def _drain(self, choice: int) -> None:
        """Write what waited, up to a part that is still going on."""
        queue = self._queue.get(choice, [])
        while queue and queue[0].ended:
            slot = queue.pop(0)
            slot.sent = True
            self._part(choice, slot.whole())

    def _flush(self, choice: int) -> None:
        for slot in self._queue.get(choice, []):
            slot.ended = True
        self._drain(choice)

    def _part(self, choice: int, part: AnyPart) -> None:
        if (written := _written(part, self._own)) is not None:
            self._candidate(choice, {"content": {"parts": [written], "role": "model"}})

    def _candidate(self, choice: int, fields: _Fields) -> None:
        self._emit({"candidates": [fields | {"index": choice}], **self._head})

    def _emit(self, chunk: _Fields) -> None:
        if not self._head:
            self._head = _head(self._options, Start())
            chunk = chunk | self._head
        data = encode(chunk)
        if b"\n" in data or b"\r" in data:  # between the tokens of arguments that a model wrote over several lines
            data = data.replace(b"\n", b" ").replace(b"\r", b" ")
        if self._array:
            self._out += [b"[" if self._first else b",\r\n", data]
            self._first = False
        else:
            self._out += [b"data: ", data, b"\r\n\r\n"]

    def _end(self) -> None:
        """The last chunk: how the choices ended, and the usage."""
        self._done = True
        for choice in self._queue:
            self._flush(choice)
        candidates = []
        for index, finish in sorted(self._finishes.items()):
            if self._own and "candidates" in finish.extras:
                continue
            content: _Fields = {} if self._own and "content" not in finish.extras else {"content": {"role": "model"}}
            if content and not self._own:
                content = {"content": {"parts": [{"text": ""}], "role": "model"}}
            candidates.append(content | {"index": index} | _ended(finish, self._own, index))
        last: _Fields = {"candidates": candidates} if candidates or not self._own else {}
        if self._usage is not None:
            last["usageMetadata"] = wire_usage(self._usage, self._own)
        self._emit(last | self._head)
        if self._array:
            self._out.append(b"]")
