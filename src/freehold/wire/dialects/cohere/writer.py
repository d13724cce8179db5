"""Canonical events -> Cohere's v2 chat replies, streamed and whole.

Text, refusals and thinking are content blocks; text that Cohere itself gave as a plan is one again. Content blocks and tool
calls are numbered apart. Choices after the first, opaque parts, withheld thinking and other dialects' citations stay
behind. The end waits for the usage, which comes after the finish.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from freehold.wire.chat import (
    AnyPart,
    ChatReply,
    Choice,
    Delta,
    End,
    Event,
    Finish,
    FinishReason,
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
from freehold.wire.dialects.cohere.usage import write_usage
from freehold.wire.dialects.cohere.words import IN, NAME, encode, finish_word
from freehold.wire.sse import encode as sse
from freehold.wire.wholewriter import WholeWriter

Object = dict[str, Any]


def _field_of(part: AnyPart, own: bool) -> str:
    """Where a part stands in a message: "content", "tool_plan", "tool_calls", or "" for what has no place."""
    if isinstance(part, ToolUse):
        return "tool_calls"
    if isinstance(part, Text) and own and IN in part.spelling:
        return part.spelling[IN]
    if isinstance(part, Text | Refusal) or (isinstance(part, Thinking) and not part.redacted):
        return "content"
    return ""


def _reason(reason: FinishReason, raw_reason: str, own: bool, called: bool) -> str:
    """Some servers say "stop" after a tool call: the parts decide."""
    if called and not own and reason in ("stop", "unknown"):
        reason = "tool_use"
    return finish_word(reason, raw_reason, own)


class _Slot:
    """A part on its way: the field it goes to, its number there, and what has been sent of it."""

    __slots__ = ("field", "index", "key", "open", "sent")

    def __init__(self, field: str, index: int, key: str) -> None:
        self.field = field
        self.index = index
        self.key = key  # "text" or "thinking"
        self.open = True
        self.sent = False


class StreamWriter:
    __slots__ = ("_citations", "_done", "_finish", "_numbers", "_options", "_out", "_own", "_slots", "_started", "_usage")

    def __init__(self, options: WriterOptions) -> None:
        self._options = options
        self._out: list[bytes] = []
        self._slots: dict[int, _Slot] = {}
        self._numbers: dict[str, int] = {}  # the next one, by field
        self._citations = 0
        self._finish: Finish | None = None
        self._usage: Usage | None = None
        self._own = False
        self._started = False
        self._done = False

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
        if type(event) is Start:
            self._start(event)
        elif type(event) is UsageReport:
            self._usage = event.usage
        elif type(event) is End:
            self._end()
        elif getattr(event, "choice", 0):
            return
        elif type(event) is Delta:
            slot = self._slots.get(event.part)
            if slot is not None:
                self._delta(slot, event)
        elif type(event) is PartStart:
            self._part_start(event)
        elif type(event) is PartEnd:
            slot = self._slots.get(event.part)
            if slot is not None:
                self._part_end(slot)
        elif type(event) is Finish:
            self._finish = event

    def _emit(self, name: str, slot: _Slot | None = None, message: Object | None = None, **fields: Any) -> None:
        body: Object = {"type": name}
        if slot is not None:
            body["index"] = slot.index
        if message is not None:
            body["delta"] = {"message": message}
        self._out.append(sse(encode(body | fields), name.encode()))

    def _start(self, start: Start) -> None:
        if self._started:
            return
        self._started = True
        self._own = start.dialect == NAME
        self._usage = start.usage
        message = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
        self._emit("message-start", None, message, id=start.id or self._options.call_id)

    def _part_start(self, event: PartStart) -> None:
        if not self._started:
            self._start(Start())
        body = event.body
        field = _field_of(body, self._own)
        if not field or event.part in self._slots:
            return
        index = self._numbers.get(field, 0)
        self._numbers[field] = index + 1
        slot = self._slots[event.part] = _Slot(field, index, "thinking" if isinstance(body, Thinking) else "text")
        if isinstance(body, ToolUse):
            function = {"name": body.name, "arguments": body.arguments}
            slot.sent = bool(body.arguments)
            self._emit("tool-call-start", slot, {"tool_calls": {"id": body.id, "type": "function", "function": function}})
        elif isinstance(body, Text | Refusal | Thinking):
            if field == "content":
                self._emit("content-start", slot, {"content": {"type": slot.key, slot.key: ""}})
            if body.text:
                self._delta(slot, Delta(part=event.part, text=body.text))
            for citation in body.citations if isinstance(body, Text) else ():
                self._delta(slot, Delta(part=event.part, citation=citation))

    def _delta(self, slot: _Slot, event: Delta) -> None:
        if event.text and slot.open:
            slot.sent = True
            if slot.field == "content":
                logprobs = event.extras.get("logprobs") if self._own else None
                more = {} if logprobs is None else {"logprobs": logprobs}
                self._emit("content-delta", slot, {"content": {slot.key: event.text}}, **more)
            elif slot.field == "tool_plan":
                self._emit("tool-plan-delta", None, {"tool_plan": event.text})
            else:
                self._emit("tool-call-delta", slot, {"tool_calls": {"function": {"arguments": event.text}}})
        if event.citation is not None and self._own:
            number = _Slot("citations", self._citations, "")
            self._citations += 1
            self._emit("citation-start", number, {"citations": event.citation})
            self._emit("citation-end", number)

    def _part_end(self, slot: _Slot) -> None:
        if not slot.open:
            return
        if slot.field == "tool_calls" and not slot.sent and not self._own:
            # Clients parse the joined arguments as JSON: a call without any must still be an object.
            self._emit("tool-call-delta", slot, {"tool_calls": {"function": {"arguments": "{}"}}})
        slot.open = False
        if slot.field != "tool_plan":
            self._emit("tool-call-end" if slot.field == "tool_calls" else "content-end", slot)

    def _end(self) -> None:
        if not self._started:
            self._start(Start())
        for slot in self._slots.values():
            self._part_end(slot)
        called = any(slot.field == "tool_calls" for slot in self._slots.values())
        finish = self._finish or Finish(reason="unknown")
        delta: Object = {"finish_reason": _reason(finish.reason, finish.raw_reason, self._own, called)}
        if self._usage is not None:
            delta["usage"] = write_usage(self._usage, self._own)
        self._emit("message-end", delta=delta)
        self._out.append(sse(b"[DONE]"))
        self._done = True


def whole_writer(options: WriterOptions) -> WholeWriter:
    return WholeWriter(_whole, options)


def _whole(reply: ChatReply, options: WriterOptions) -> bytes:
    own = reply.dialect == NAME
    choice = next((choice for choice in reply.choices if choice.index == 0), Choice())
    called = any(isinstance(part, ToolUse) for part in choice.parts)
    body: Object = {
        "id": reply.id or options.call_id,
        "message": _message(choice.parts, own),
        "finish_reason": _reason(choice.finish, choice.raw_reason, own, called),
    }
    if reply.usage is not None:
        body["usage"] = write_usage(reply.usage, own)
    return encode(body | reply.extras if own else body)


def _message(parts: list[AnyPart], own: bool) -> Object:
    message: Object = {"role": "assistant"}
    citations: list[Raw] = []
    for part in parts:
        field = _field_of(part, own)
        if isinstance(part, ToolUse):
            function = {"name": part.name, "arguments": part.arguments or "{}"}
            message.setdefault(field, []).append({"id": part.id, "type": "function", "function": function})
        elif isinstance(part, Thinking) and field:
            message.setdefault(field, []).append({"type": "thinking", "thinking": part.text})
        elif isinstance(part, Text | Refusal):
            if field == "tool_plan":
                message[field] = message.get(field, "") + part.text
            else:
                message.setdefault(field, []).append({"type": "text", "text": part.text})
            citations += part.citations if own and isinstance(part, Text) else []
    if citations:
        message["citations"] = citations
    return message
