"""Anthropic replies -> canonical events, streamed and whole. Unreadable bytes yield a Failure, never an exception.

A block that becomes Opaque is held until it is complete (its input comes in pieces); all others stream. Unknown event
types, pings and unknown deltas of known blocks are skipped, as the API's versioning rules ask of clients.
"""

from __future__ import annotations

from msgspec import Raw, Struct, json, structs

from freehold.base.errors import InvalidRequest
from freehold.wire.arguments import arguments_object
from freehold.wire.chat import (
    AnyPart,
    ChatReply,
    Choice,
    Delta,
    End,
    Event,
    Extras,
    Failure,
    Finish,
    Opaque,
    PartEnd,
    PartStart,
    Start,
    Text,
    Thinking,
    ToolUse,
    Usage,
    UsageReport,
)
from freehold.wire.dialects.anthropic import blocks
from freehold.wire.dialects.anthropic.blocks import NAME
from freehold.wire.dialects.anthropic.events import (
    ABSENT,
    FINISH,
    WireDelta,
    WireError,
    WireEvent,
    WireMessage,
    broken,
    decode_event,
    failure,
)
from freehold.wire.dialects.anthropic.usage import WireUsage, at_start, canonical, extras_of
from freehold.wire.fold import unfold
from freehold.wire.sse import SSEDecoder, SSEError, SSEvent
from freehold.wire.wholereader import WholeReader

_fields = json.Decoder(dict[str, Raw]).decode
_encode = json.Encoder().encode
_MESSAGE_WORDS = frozenset(("type", "id", "model", "role", "content", "usage", "stop_reason", "stop_sequence"))
# Told with the end of a reply: in message_delta of a stream, at the top level of a whole one.
_FINISH_EXTRAS = frozenset(("stop_details", "container", "context_management"))


class _Open:
    """A content block between its start and its stop."""

    __slots__ = ("body", "held", "initial", "number", "pieces")

    def __init__(self, number: int, body: AnyPart) -> None:
        self.number = number  # of the part
        self.body = body
        self.initial = ""  # a tool's input as told at the start, for when no pieces follow
        self.held: Extras = {}  # the fields of an Opaque block
        self.pieces: list[str] = []  # of its input


class _RawDelta(Struct):
    delta: dict[str, Raw]
    usage: Raw = ABSENT
    context_management: Raw = ABSENT


class _RawMessage(Struct):
    message: dict[str, Raw]


_raw_delta = json.Decoder(_RawDelta).decode
_raw_message = json.Decoder(_RawMessage).decode


class StreamReader:
    __slots__ = ("_decoder", "_ended", "_finished", "_open", "_parts", "_usage", "_usage_extras")

    def __init__(self) -> None:
        self._decoder = SSEDecoder()
        self._open: dict[int, _Open] = {}
        self._parts = 0
        self._usage = WireUsage()
        self._usage_extras: Extras = {}
        self._finished = False
        self._ended = False  # nothing that follows counts

    def feed(self, chunk: bytes) -> list[Event]:
        try:
            return self._read(self._decoder.feed(chunk))
        except SSEError as error:
            return self._fail(broken(str(error)))

    def close(self) -> list[Event]:
        return self._read(self._decoder.close())

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
                self._event(decode_event(item.data), item.data, events)
            except (ValueError, RecursionError):
                events += self._fail(broken("an event of the stream is not JSON of the expected shape"))
        return events

    def _event(self, event: WireEvent, data: bytes, events: list[Event]) -> None:
        kind = event.type
        if kind == "content_block_delta":
            if event.delta is not None and (block := self._open.get(event.index)) is not None:
                self._delta(block, event.delta, data, events)
        elif kind == "content_block_start":
            if event.content_block != ABSENT:
                self._block_start(event.index, event.content_block, events)
        elif kind == "content_block_stop":
            if (block := self._open.pop(event.index, None)) is not None:
                self._block_stop(block, events)
        elif kind == "message_start":
            if event.message is not None:
                self._start(event.message, data, events)
        elif kind == "message_delta":
            self._finish(event, data, events)
        elif kind == "message_stop":
            self._stop_all(events)
            self._ended = True
            events.append(End())
        elif kind == "error":
            events += self._fail(failure(event.error))

    def _start(self, message: WireMessage, data: bytes, events: list[Event]) -> None:
        fields = _raw_message(data).message
        extras = {n: raw for n, raw in fields.items() if n not in _MESSAGE_WORDS and n not in _FINISH_EXTRAS}
        usage: Usage | None = None
        if message.usage is not None:
            self._usage = message.usage
            self._usage_extras = extras_of(fields["usage"])
            usage = structs.replace(at_start(message.usage), extras=self._usage_extras)
        events.append(Start(id=message.id or "", model=message.model or "", usage=usage, dialect=NAME, extras=extras))

    def _block_start(self, index: int, raw: Raw, events: list[Event]) -> None:
        if index in self._open:  # a server that never says stop
            self._block_stop(self._open.pop(index), events)
        body = reply_part(raw)
        block = self._open[index] = _Open(self._parts, body)
        self._parts += 1
        if isinstance(body, Opaque):
            block.held = _fields(raw)
            return
        if isinstance(body, ToolUse):
            block.initial, body.arguments = body.arguments, ""
        events.append(PartStart(part=block.number, body=body))

    def _delta(self, block: _Open, delta: WireDelta, data: bytes, events: list[Event]) -> None:
        body = block.body
        if isinstance(body, Opaque):
            self._hold(block, delta, data)
        elif isinstance(body, Text):
            if delta.text:
                events.append(Delta(part=block.number, text=delta.text))
            elif delta.citation != ABSENT:
                events.append(Delta(part=block.number, citation=delta.citation))
        elif isinstance(body, ToolUse):
            if delta.partial_json:
                block.initial = ""
                events.append(Delta(part=block.number, text=delta.partial_json))
        elif isinstance(body, Thinking):
            if delta.thinking:
                events.append(Delta(part=block.number, text=delta.thinking))
            elif delta.signature:
                events.append(Delta(part=block.number, signature=delta.signature))

    def _hold(self, block: _Open, delta: WireDelta, data: bytes) -> None:
        """Collect an Opaque block's deltas: pieces of input are joined, other fields replace or extend the block's."""
        if delta.partial_json is not None:
            block.pieces.append(delta.partial_json)
            return
        for name, raw in _raw_delta(data).delta.items():
            if name != "type":
                block.held[name] = _extended(block.held.get(name), raw)

    def _block_stop(self, block: _Open, events: list[Event]) -> None:
        body = block.body
        if isinstance(body, Opaque):
            if block.pieces and (whole := arguments_object("".join(block.pieces))) is not None:
                block.held["input"] = whole
            events.append(PartStart(part=block.number, body=structs.replace(body, raw=Raw(_encode(block.held)))))
        elif block.initial not in ("", "{}"):
            events.append(Delta(part=block.number, text=block.initial))
        events.append(PartEnd(part=block.number))

    def _stop_all(self, events: list[Event]) -> None:
        for block in self._open.values():
            self._block_stop(block, events)
        self._open.clear()

    def _finish(self, event: WireEvent, data: bytes, events: list[Event]) -> None:
        raw = _raw_delta(data)
        delta = event.delta
        if delta is not None and delta.stop_reason is not None and not self._finished:
            self._finished = True
            self._stop_all(events)
            extras = {name: value for name, value in raw.delta.items() if name in _FINISH_EXTRAS}
            if raw.context_management != ABSENT:
                extras["context_management"] = raw.context_management
            reason = FINISH.get(delta.stop_reason, "unknown")
            events.append(Finish(reason=reason, raw_reason=delta.stop_reason, stop_sequence=delta.stop_sequence, extras=extras))
        if event.usage is not None:
            self._usage.absorb(event.usage)
            self._usage_extras = self._usage_extras | extras_of(raw.usage)
            events.append(UsageReport(usage=canonical(self._usage, self._usage_extras)))


def _extended(held: Raw | None, more: Raw) -> Raw:
    """A string grows by a string; anything else is replaced."""
    try:
        return Raw(_encode(json.decode(held, type=str) + json.decode(more, type=str))) if held is not None else more
    except ValueError:
        return more


def reply_part(raw: Raw) -> AnyPart:
    """A block of a reply. One that doesn't fit its own type is carried as Opaque rather than refused.

    Raises ValueError where it is no object at all.
    """
    try:
        return blocks.part(raw, "content", {})
    except InvalidRequest:
        _fields(raw)
        return Opaque(dialect=NAME, kind="unknown", raw=raw)


def whole_reader() -> WholeReader:
    return WholeReader(_whole, broken("the reply is not the JSON of a message"))


class _WholeBody(WireMessage):
    error: WireError | None = None


_whole_body = json.Decoder(_WholeBody).decode


def _whole(body: bytes) -> list[Event]:
    message = _whole_body(body)
    if message.error is not None or message.type == "error":
        return [failure(message.error)]
    if message.content is None:
        return [broken("the reply holds no content")]
    fields = _fields(body)
    usage = None
    if message.usage is not None:
        usage = canonical(message.usage, extras_of(fields["usage"]))
    choice = Choice(parts=[reply_part(raw) for raw in message.content])
    for part in choice.parts:
        if isinstance(part, ToolUse) and part.arguments == "{}":
            part.arguments = ""  # as a stream tells it
    if message.stop_reason is not None:
        choice.finish, choice.raw_reason = FINISH.get(message.stop_reason, "unknown"), message.stop_reason
        choice.stop_sequence = message.stop_sequence
        choice.extras = {name: raw for name, raw in fields.items() if name in _FINISH_EXTRAS}
    extras = {name: raw for name, raw in fields.items() if name not in _MESSAGE_WORDS and name not in _FINISH_EXTRAS}
    return unfold(
        ChatReply(dialect=NAME, id=message.id or "", model=message.model or "", choices=[choice], usage=usage, extras=extras)
    )
