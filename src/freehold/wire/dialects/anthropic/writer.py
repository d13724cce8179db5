"""Canonical events -> Anthropic replies, streamed and whole.

A stream never has two open blocks: text that another block interrupts goes on in a new block; what begins while a tool
call is open waits until that one ends. Anthropic's own calls end when they say so; those of other dialects, which may
come back to an earlier call at any time, end when the reply finishes: the first call streams, later ones follow then.
Blocks open with their first content, so an empty one is never sent (clients send replies back as history, where the API
refuses empty text). Choices after the first are left out.

Tool arguments that are not a JSON object: a stream passes the model's text on as it is; a whole reply, whose `input`
must be an object, has {"INVALID_JSON": "<the text>"}, the form that Anthropic's documentation recommends for it.

A call that its model signed (Gemini does) comes behind an empty thinking block with that signature: clients send thinking
back unchanged, and the signature with it.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw, json, structs

from freehold.wire.chat import (
    AnyPart,
    ChatReply,
    Choice,
    Delta,
    End,
    Event,
    Finish,
    FinishReason,
    Opaque,
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
from freehold.wire.dialects.anthropic import usage as usages
from freehold.wire.dialects.anthropic.blocks import NAME, arguments_object, block, signed
from freehold.wire.sse import encode as sse
from freehold.wire.wholewriter import WholeWriter

_encode = json.Encoder().encode
_fields = json.Decoder(dict[str, Raw]).decode
_REASONS: dict[FinishReason, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_use": "tool_use",
    "stop_sequence": "stop_sequence",
    "content_filter": "refusal",
    "refusal": "refusal",
    "pause": "pause_turn",
}


def _stop_reason(finish: FinishReason, raw_reason: str, same_dialect: bool, parts: set[type]) -> str:
    """Anthropic's own word goes back unchanged. Some servers say "stop" after a tool call or a refusal: the parts decide."""
    if same_dialect and raw_reason:
        return raw_reason
    if finish in ("stop", "unknown", "error"):
        return "tool_use" if ToolUse in parts else "refusal" if Refusal in parts else "end_turn"
    if finish == "tool_use" and ToolUse not in parts:
        return "end_turn"
    return _REASONS[finish]


def _message(options: WriterOptions, start: Start | ChatReply) -> dict[str, Any]:
    out: dict[str, Any] = {
        "id": start.id or f"msg_{options.call_id}",
        "type": "message",
        "role": "assistant",
        "model": start.model or options.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }
    return out | start.extras if start.dialect == NAME else out


class _Slot:
    """A part on its way into a block."""

    __slots__ = ("body", "ended", "index", "waiting")

    def __init__(self, body: AnyPart) -> None:
        self.body = body
        self.index = -1  # of its block, while that is open
        self.waiting: list[Delta] = []
        self.ended = False


class StreamWriter:
    __slots__ = (
        "_blocks", "_done", "_finish", "_kinds", "_open", "_options", "_out", "_queue", "_same", "_slots", "_started", "_usage",
    )  # fmt: skip

    def __init__(self, options: WriterOptions) -> None:
        self._options = options
        self._out: list[bytes] = []
        self._slots: dict[int, _Slot] = {}
        self._queue: list[_Slot] = []  # tool calls that wait for the open one
        self._open: _Slot | None = None
        self._blocks = 0
        self._kinds: set[type] = set()
        self._finish: Finish | None = None
        self._usage: Usage | None = None
        self._same = False
        self._started = False
        self._done = False

    def write(self, events: list[Event]) -> bytes:
        for event in events:
            self._write(event)
        data = b"".join(self._out)
        self._out.clear()
        return data

    def close(self) -> bytes:
        return self.write([End()])

    def _write(self, event: Event) -> None:
        if self._done:
            return
        if type(event) is Start:
            self._start(event)
        elif type(event) is UsageReport:
            self._usage = event.usage
        elif type(event) is End:
            self._end()
        elif getattr(event, "choice", 0):
            return
        elif type(event) is Delta:
            if (slot := self._slots.get(event.part)) is not None:
                self._delta(slot, event)
        elif type(event) is PartStart:
            self._part_start(event)
        elif type(event) is PartEnd:
            if (slot := self._slots.get(event.part)) is not None:
                self._part_end(slot)
        elif type(event) is Finish:
            self._finish = event
            self._close_all()

    def _emit(self, name: bytes, body: dict[str, Any]) -> None:
        self._out.append(sse(_encode({"type": name.decode(), **body}), name))

    def _start(self, start: Start) -> None:
        if self._started:
            return
        self._started = True
        self._same = start.dialect == NAME
        self._usage = start.usage
        message = _message(self._options, start)
        message["usage"] = usages.wire(start.usage or Usage(), self._same)
        self._emit(b"message_start", {"message": message})

    # --- blocks

    def _part_start(self, event: PartStart) -> None:
        body = event.body
        self._kinds.add(type(body))
        if not isinstance(body, Text | Refusal | Thinking | ToolUse | Opaque):
            return
        slot = self._slots[event.part] = _Slot(structs.replace(body))
        if isinstance(body, Opaque):
            if body.dialect != NAME:
                del self._slots[event.part]
                return
            self._begin(slot)
        elif isinstance(body, ToolUse):
            self._begin(slot)
            if body.arguments:
                self._delta(slot, Delta(part=event.part, text=body.arguments))
        elif isinstance(body, Thinking) and body.redacted:
            self._begin(slot)
        else:
            for citation in body.citations if isinstance(body, Text) else ():
                self._delta(slot, Delta(part=event.part, citation=citation))
            self._delta(slot, Delta(part=event.part, text=body.text))

    def _begin(self, slot: _Slot) -> None:
        """Open the slot's block, or queue it behind an open tool call."""
        if self._open is not None:
            if isinstance(self._open.body, ToolUse) and not self._open.ended:
                if slot not in self._queue:
                    self._queue.append(slot)
                return
            self._stop()
        self._start(Start())  # an upstream that never said it began
        if isinstance(slot.body, ToolUse) and slot.body.signature:
            self._signature(slot.body.signature)
        self._open = slot
        slot.index = self._blocks
        self._blocks += 1
        if isinstance(slot.body, Opaque):
            self._whole_block(slot, slot.body)
        else:
            self._emit(b"content_block_start", {"index": slot.index, "content_block": self._empty(slot)})

    def _signature(self, signature: str) -> None:
        """A block of its own for a call's signature."""
        index = self._blocks
        self._blocks += 1
        self._emit(b"content_block_start", {"index": index, "content_block": block(Thinking(), same_dialect=False)})
        delta = {"type": "signature_delta", "signature": signature}
        self._emit(b"content_block_delta", {"index": index, "delta": delta})
        self._emit(b"content_block_stop", {"index": index})

    def _whole_block(self, slot: _Slot, body: Opaque) -> None:
        """A server tool's input goes in a delta, as Anthropic sends it: clients look for it there."""
        fields = _fields(body.raw)
        given = fields.get("input")
        if given is not None:
            fields["input"] = Raw(b"{}")
        self._emit(b"content_block_start", {"index": slot.index, "content_block": fields})
        if given is not None:
            self._change(slot, {"type": "input_json_delta", "partial_json": bytes(given).decode("utf-8", "replace")})

    def _empty(self, slot: _Slot) -> Any:
        body = slot.body
        if isinstance(body, ToolUse):
            used = structs.replace(body, id=body.id or f"toolu_{self._options.call_id}_{slot.index}", arguments="")
            return block(used, self._same)
        if isinstance(body, Text | Refusal):
            return block(Text(text="", extras=body.extras), self._same)
        return block(structs.replace(body, text="", signature="") if isinstance(body, Thinking) else body, self._same)

    def _delta(self, slot: _Slot, delta: Delta) -> None:
        body = slot.body
        citation = delta.citation if self._same else None
        if isinstance(body, Opaque) or (isinstance(body, Thinking) and body.redacted):
            return  # whole from the start
        if not (delta.text or delta.signature or citation is not None):
            return
        if slot.index < 0 and (slot.waiting or slot in self._queue):
            slot.waiting.append(delta)
            return
        if slot.index < 0:
            self._begin(slot)
            if slot.index < 0:
                slot.waiting.append(delta)
                return
        if isinstance(body, ToolUse):
            change: dict[str, Any] = {"type": "input_json_delta", "partial_json": delta.text}
        elif isinstance(body, Thinking):
            if delta.text:
                self._change(slot, {"type": "thinking_delta", "thinking": delta.text})
            if not delta.signature:
                return
            change = {"type": "signature_delta", "signature": signed(body, "signature", delta.signature)}
        elif delta.text:
            change = {"type": "text_delta", "text": delta.text}
        else:
            change = {"type": "citations_delta", "citation": citation}
        self._change(slot, change)

    def _change(self, slot: _Slot, change: dict[str, Any]) -> None:
        self._emit(b"content_block_delta", {"index": slot.index, "delta": change})

    def _part_end(self, slot: _Slot) -> None:
        body = slot.body
        if isinstance(body, Thinking) and body.signature and not slot.ended and (slot.index >= 0 or not body.redacted):
            self._delta(slot, Delta(part=0, signature=body.signature))  # told at the part's start, as whole replies do
        if isinstance(body, ToolUse) and not self._same and self._finish is None:
            return  # OpenAI-compatible servers may come back to it: it stays open, and later calls wait, until the finish
        slot.ended = True
        if self._open is slot:
            self._stop()
            self._drain()

    def _stop(self) -> None:
        if self._open is not None:
            self._emit(b"content_block_stop", {"index": self._open.index})
            self._open.index = -1
            self._open = None

    def _drain(self) -> None:
        """Open what waited; stop at a tool call that is still going on."""
        while self._queue and self._open is None:
            slot = self._queue.pop(0)
            self._begin(slot)
            waiting, slot.waiting = slot.waiting, []
            if isinstance(slot.body, ToolUse):
                waiting = [Delta(part=0, text="".join(delta.text for delta in waiting))]
            for delta in waiting:
                self._delta(slot, delta)
            if slot.ended:
                self._stop()

    def _close_all(self) -> None:
        for slot in list(self._slots.values()):
            if not slot.ended:
                self._part_end(slot)
        for slot in self._queue:
            slot.ended = True
        self._stop()
        self._drain()

    # --- the end

    def _end(self) -> None:
        """Late usage (OpenAI sends it after the finish reason) is why message_delta waits until here."""
        self._start(Start())
        self._close_all()
        finish = self._finish or Finish(reason="unknown")
        same = self._same
        extras = dict(finish.extras) if same else {}
        management = extras.pop("context_management", None)
        delta = {
            "stop_reason": _stop_reason(finish.reason, finish.raw_reason, same, self._kinds),
            "stop_sequence": finish.stop_sequence,
            **extras,
        }
        body: dict[str, Any] = {"delta": delta, "usage": usages.wire(self._usage or Usage(), same)}
        if management is not None:
            body["context_management"] = management
        self._emit(b"message_delta", body)
        self._emit(b"message_stop", {})
        self._done = True


def _signed(part: AnyPart) -> list[AnyPart]:
    if isinstance(part, ToolUse) and part.signature:
        return [Thinking(signature=part.signature), part]
    return [part]


def whole_writer(options: WriterOptions) -> WholeWriter:
    return WholeWriter(_whole, options)


def _whole(reply: ChatReply, options: WriterOptions) -> bytes:
    same = reply.dialect == NAME
    choice = next((choice for choice in reply.choices if choice.index == 0), Choice())
    out = _message(options, reply)
    parts = [whole for part in choice.parts for whole in _signed(part)]
    out["content"] = [item for part in parts if (item := _block(part, f"toolu_{options.call_id}_{len(out)}", same)) is not None]
    out["stop_reason"] = _stop_reason(choice.finish, choice.raw_reason, same, {type(part) for part in choice.parts})
    out["stop_sequence"] = choice.stop_sequence
    if same:
        out |= choice.extras
    out["usage"] = usages.wire(reply.usage or Usage(), same)
    return _encode(out)


def _block(part: AnyPart, call_id: str, same: bool) -> Any:
    if isinstance(part, Refusal):
        part = Text(text=part.text)
    if isinstance(part, Text) and not part.text:
        return None
    if isinstance(part, Thinking) and not (part.text or part.signature or part.redacted):
        return None
    if isinstance(part, ToolUse):
        changes: dict[str, Any] = {}
        if not part.id:
            changes["id"] = call_id
        if arguments_object(part.arguments) is None:
            changes["arguments"] = _encode({"INVALID_JSON": part.arguments}).decode()
        part = structs.replace(part, **changes)
    return block(part, same)
