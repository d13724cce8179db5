"""Canonical events -> Anthropic replies, streamed and whole.

A stream's blocks follow one another (sequence.py). They open with their first content, so an empty one is never sent
(clients send replies back as history, where the API refuses empty text). Choices after the first are left out.

Tool arguments that are not a JSON object: a stream passes the model's text on as it is; a whole reply, whose `input`
must be an object, has {"INVALID_JSON": "<the text>"} (arguments.py).

A call that its model signed (Gemini does) comes behind an empty thinking block with that signature: clients send thinking
back unchanged, and the signature with it.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw, json, structs

from freehold.wire.arguments import complete
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
from freehold.wire.dialects.anthropic.blocks import NAME, block, signed
from freehold.wire.sequence import Sequence
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


class StreamWriter:
    __slots__ = (
        "_done", "_finish", "_index", "_kinds", "_open", "_options", "_out", "_same", "_sequence", "_started", "_usage",
    )  # fmt: skip

    def __init__(self, options: WriterOptions) -> None:
        self._options = options
        self._sequence = Sequence()
        self._out: list[bytes] = []
        self._open: AnyPart | None = None
        self._index = 0  # of the open block, or the next one
        self._kinds: set[type] = set()
        self._finish: Finish | None = None
        self._usage: Usage | None = None
        self._same = False
        self._started = False
        self._done = False

    def write(self, events: list[Event]) -> bytes:
        for event in events:
            if type(event) is not PartStart or self._takes(event):
                for one in self._sequence.add(event):
                    self._write(one)
        data = b"".join(self._out)
        self._out.clear()
        return data

    def close(self) -> bytes:
        return self.write([End()])

    def _takes(self, event: PartStart) -> bool:
        """A part with no place in this API must not come between the pieces of another."""
        body = event.body
        if not event.choice:
            self._kinds.add(type(body))
        return isinstance(body, Text | Refusal | Thinking | ToolUse) or (isinstance(body, Opaque) and body.dialect == NAME)

    def _write(self, event: Event) -> None:
        if self._done:
            return
        if type(event) is Delta:
            self._delta(event)
        elif type(event) is PartStart:
            self._part_start(event.body)
        elif type(event) is PartEnd:
            self._stop()
        elif type(event) is Start:
            self._start(event)
        elif type(event) is UsageReport:
            self._usage = event.usage
        elif type(event) is Finish:
            self._finish = event
        elif type(event) is End:
            self._end()

    def _emit(self, name: bytes, body: dict[str, Any]) -> None:
        self._out.append(sse(_encode({"type": name.decode(), **body}), name))

    def _start(self, start: Start) -> None:
        if self._started:
            return
        self._started = True
        self._same = self._sequence.own = start.dialect == NAME
        self._usage = start.usage
        message = _message(self._options, start)
        message["usage"] = usages.wire(start.usage or Usage(), self._same)
        self._emit(b"message_start", {"message": message})

    # --- blocks

    def _part_start(self, body: AnyPart) -> None:
        self._start(Start())  # an upstream that never said it began
        if isinstance(body, ToolUse) and body.signature:
            self._signature(body.signature)
        self._open = body
        if isinstance(body, Opaque):
            self._whole_block(body)
        else:
            self._begin(self._empty(body))

    def _begin(self, content_block: Any) -> None:
        self._emit(b"content_block_start", {"index": self._index, "content_block": content_block})

    def _change(self, delta: dict[str, Any]) -> None:
        self._emit(b"content_block_delta", {"index": self._index, "delta": delta})

    def _stop(self) -> None:
        self._emit(b"content_block_stop", {"index": self._index})
        self._index += 1

    def _signature(self, signature: str) -> None:
        """A block of its own for a call's signature."""
        self._begin(block(Thinking(), same_dialect=False))
        self._change({"type": "signature_delta", "signature": signature})
        self._stop()

    def _whole_block(self, body: Opaque) -> None:
        """A server tool's input goes in a delta, as Anthropic sends it: clients look for it there."""
        fields = _fields(body.raw)
        given = fields.get("input")
        if given is not None:
            fields["input"] = Raw(b"{}")
        self._begin(fields)
        if given is not None:
            self._change({"type": "input_json_delta", "partial_json": bytes(given).decode("utf-8", "replace")})

    def _empty(self, body: AnyPart) -> Any:
        if isinstance(body, ToolUse):
            return block(structs.replace(body, id=body.id or f"toolu_{self._options.call_id}_{self._index}"), self._same)
        if isinstance(body, Text | Refusal):
            return block(Text(text="", extras=body.extras), self._same)
        return block(body, self._same)

    def _delta(self, delta: Delta) -> None:
        body = self._open
        if isinstance(body, ToolUse):
            self._change({"type": "input_json_delta", "partial_json": delta.text})
        elif isinstance(body, Thinking):
            if delta.text:
                self._change({"type": "thinking_delta", "thinking": delta.text})
            if delta.signature:
                self._change({"type": "signature_delta", "signature": signed(body, "signature", delta.signature)})
        elif delta.text:
            self._change({"type": "text_delta", "text": delta.text})
        else:
            self._change({"type": "citations_delta", "citation": delta.citation if self._same else None})

    # --- the end

    def _end(self) -> None:
        """Late usage (OpenAI sends it after the finish reason) is why message_delta waits until here."""
        self._start(Start())
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
        part = complete(part, call_id)
    return block(part, same)
