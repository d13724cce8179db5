"""Canonical events -> Converse replies, streamed and whole.

A stream's blocks follow one another (sequence.py); only tool calls announce theirs, as Bedrock's own do. `metrics` is a
member that clients read: where the upstream was no Bedrock its latencyMs is 0, since this side knows no clock.

Tool arguments that are not a JSON object: a stream passes the model's text on as it is; a whole reply, whose `input` must
be an object, has {"INVALID_JSON": "<the text>"}.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw, json

from freehold.wire.arguments import complete
from freehold.wire.chat import (
    AnyPart,
    ChatReply,
    Choice,
    Delta,
    End,
    Event,
    Extras,
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
from freehold.wire.dialects.bedrock import content
from freehold.wire.dialects.bedrock import usage as usages
from freehold.wire.dialects.bedrock.words import FINISH_OUT, NAME
from freehold.wire.eventstream import encode as encode_message
from freehold.wire.sequence import Sequence
from freehold.wire.wholewriter import WholeWriter

_encode = json.Encoder().encode
_fields = json.Decoder(dict[str, Raw]).decode
_IN_PIECES = ("toolUse", "toolResult", "image")
_NO_METRICS = {"latencyMs": 0}


def _stop_reason(finish: FinishReason, raw_reason: str, same_dialect: bool, has_tools: bool) -> str:
    """Bedrock's own word goes back unchanged. Some servers say "stop" after a tool call: the parts decide."""
    if same_dialect and raw_reason:
        return raw_reason
    if finish in ("stop", "unknown", "error") and has_tools:
        return "tool_use"
    if finish == "tool_use" and not has_tools:
        return "end_turn"
    return FINISH_OUT[finish]


def _ending(finish: Finish, usage: Usage | None, same_dialect: bool) -> dict[str, Any]:
    """Members of metadata, and of a whole reply."""
    out: dict[str, Any] = {"usage": usages.wire(usage or Usage(), same_dialect), "metrics": _NO_METRICS}
    if not same_dialect:
        return out
    out |= {name: raw for name, raw in finish.extras.items() if name != "additionalModelResponseFields"}
    if usage is not None and usage.service_tier and "serviceTier" not in out:
        out["serviceTier"] = {"type": usage.service_tier}
    return out


def _additional(finish: Finish, same_dialect: bool) -> dict[str, Any]:
    """A stop sequence of another dialect is told in the field of Claude's reply where Bedrock's clients look for it."""
    name = "additionalModelResponseFields"
    if same_dialect:
        return {name: finish.extras[name]} if name in finish.extras else {}
    return {name: {"stop_sequence": finish.stop_sequence}} if finish.stop_sequence is not None else {}


def event(kind: str, payload: dict[str, Any]) -> bytes:
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return encode_message(_encode(payload), {**headers})


class StreamWriter:
    __slots__ = (
        "_done", "_finish", "_has_tools", "_index", "_no_input", "_open", "_options", "_out", "_same", "_sequence", "_started",
        "_usage", "_withheld",
    )  # fmt: skip

    def __init__(self, options: WriterOptions) -> None:
        self._options = options
        self._sequence = Sequence()
        self._out: list[bytes] = []
        self._open: AnyPart | None = None
        self._index = 0  # of the open block, or the next one
        self._no_input = False  # the open block is a tool call that said nothing yet
        self._withheld = False  # the open part is another dialect's alone
        self._finish: Finish | None = None
        self._usage: Usage | None = None
        self._has_tools = False
        self._same = False
        self._started = False
        self._done = False

    def write(self, events: list[Event]) -> bytes:
        for item in events:
            for one in self._sequence.add(item):
                self._write(one)
        data = b"".join(self._out)
        self._out.clear()
        return data

    def close(self) -> bytes:
        return self.write([End()])

    def _write(self, item: Event) -> None:
        if type(item) is Start:
            self._start(item)
        elif type(item) is PartStart:
            self._part_start(item)
        elif type(item) is Delta:
            self._delta(item)
        elif type(item) is PartEnd:
            self._part_end()
        elif type(item) is UsageReport:
            self._usage = item.usage
        elif type(item) is Finish:
            self._finish = item
        elif type(item) is End:
            self._end()

    def _emit(self, kind: str, payload: dict[str, Any]) -> None:
        self._out.append(event(kind, payload))

    def _start(self, start: Start) -> None:
        if self._started:
            return
        self._started = True
        self._same = self._sequence.own = start.dialect == NAME
        self._usage = start.usage
        self._emit("messageStart", {"role": "assistant"})

    def _part_start(self, item: PartStart) -> None:
        self._start(Start())  # an upstream that never said it began
        body = self._open = item.body
        self._withheld = False
        if isinstance(body, ToolUse):
            self._has_tools = True
            call_id = body.id or f"tooluse_{self._options.call_id}_{self._index}"
            tool = {"toolUseId": call_id, "name": body.name, **(body.extras if self._same else {})}
            self._emit("contentBlockStart", {"start": {"toolUse": tool}, "contentBlockIndex": self._index})
            self._no_input = True
        elif isinstance(body, Thinking) and body.redacted:
            self._change({"reasoningContent": {"redactedContent": body.redacted}})
        elif isinstance(body, Opaque) and body.dialect == NAME:
            self._opaque(_fields(body.raw))
        elif not isinstance(body, Text | Refusal | Thinking):
            self._withheld = True

    def _part_end(self) -> None:
        if self._withheld:
            return
        if self._no_input:
            self._change({"toolUse": {"input": "{}"}})  # clients parse what they collected
        self._emit("contentBlockStop", {"contentBlockIndex": self._index})
        self._index += 1

    def _opaque(self, block: dict[str, Raw]) -> None:
        """A whole block in the pieces that a stream has for it."""
        kind = next(iter(block), "")
        try:
            members = _fields(block[kind]) if kind in _IN_PIECES else None
        except (ValueError, RecursionError):
            members = None
        if members is None:
            self._withheld = True
            return
        changes: Any
        if kind == "image":
            changes = {"source": members.pop("source", {})}
        elif kind == "toolResult":
            changes = members.pop("content", [])
        else:
            changes = {"input": bytes(members.pop("input", b"{}")).decode("utf-8", "replace")}
        self._emit("contentBlockStart", {"start": {kind: members}, "contentBlockIndex": self._index})
        self._change({kind: changes})

    def _delta(self, item: Delta) -> None:
        body = self._open
        if isinstance(body, ToolUse):
            change: dict[str, Any] = {"toolUse": {"input": item.text}}
        elif isinstance(body, Thinking):
            if item.text:
                self._change({"reasoningContent": {"text": item.text}})
            if not item.signature:
                return
            change = {"reasoningContent": {"signature": item.signature}}
        elif item.text:
            change = {"text": item.text}
        elif item.citation is not None and self._same:
            change = {"citation": item.citation}
        else:
            return
        self._change(change)

    def _change(self, delta: dict[str, Any]) -> None:
        self._no_input = False
        self._emit("contentBlockDelta", {"delta": delta, "contentBlockIndex": self._index})

    def _end(self) -> None:
        """Late usage (OpenAI sends it after the finish reason) is why messageStop waits until here."""
        if self._done:
            return
        self._done = True
        self._start(Start())
        finish = self._finish or Finish(reason="unknown")
        reason = _stop_reason(finish.reason, finish.raw_reason, self._same, self._has_tools)
        self._emit("messageStop", {"stopReason": reason, **_additional(finish, self._same)})
        self._emit("metadata", _ending(finish, self._usage, self._same))


def whole_writer(options: WriterOptions) -> WholeWriter:
    return WholeWriter(_whole, options)


def _whole(reply: ChatReply, options: WriterOptions) -> bytes:
    same = reply.dialect == NAME
    choice = next((choice for choice in reply.choices if choice.index == 0), Choice())
    call_id = f"tooluse_{options.call_id}"
    blocks = [item for n, part in enumerate(choice.parts) if (item := _block(part, f"{call_id}_{n}", same)) is not None]
    has_tools = any(isinstance(part, ToolUse) for part in choice.parts)
    extras: Extras = choice.extras if same else {}
    finish = Finish(reason=choice.finish, stop_sequence=choice.stop_sequence, extras=extras)
    out: dict[str, Any] = {
        "output": {"message": {"role": "assistant", "content": blocks}},
        "stopReason": _stop_reason(choice.finish, choice.raw_reason, same, has_tools),
        **_ending(finish, reply.usage, same),
        **_additional(finish, same),
    }
    return _encode(out)


def _block(part: AnyPart, call_id: str, same: bool) -> Any:
    if isinstance(part, Refusal):
        part = Text(text=part.text)
    if isinstance(part, Text) and not (part.text or same):
        return None
    if isinstance(part, Thinking) and not (part.text or part.signature or part.redacted):
        return None
    if isinstance(part, ToolUse):
        part = complete(part, call_id)
    return content.block(part, same)
