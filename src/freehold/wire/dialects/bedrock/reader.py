"""Converse replies -> canonical events, streamed and whole. Unreadable bytes yield a Failure, never an exception.

Only tool calls announce their block; others begin with their first delta. Blocks that are known when they are whole
(withheld thinking, images, server-side tools and their results) are held until then. The finish waits for the metadata
event, which comes after messageStop and tells the rest of it. Unknown events and deltas are skipped.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

from msgspec import Raw, Struct, json

from freehold.base.errors import InvalidRequest
from freehold.wire.chat import (
    AnyPart,
    ChatReply,
    Choice,
    Delta,
    End,
    Event,
    Extras,
    Failure,
    Opaque,
    PartEnd,
    PartStart,
    Start,
    Text,
    Thinking,
    ToolUse,
    UsageReport,
)
from freehold.wire.dialects.bedrock import content
from freehold.wire.dialects.bedrock.events import (
    ABSENT,
    FINISH_EXTRAS,
    WireDelta,
    WireEvent,
    broken,
    decode_event,
    failure,
    finish,
    is_failure,
)
from freehold.wire.dialects.bedrock.usage import canonical, extras_of
from freehold.wire.dialects.bedrock.words import IN, NAME
from freehold.wire.eventstream import EventStreamDecoder, EventStreamError, Message
from freehold.wire.fold import unfold
from freehold.wire.wholereader import WholeReader

_fields = json.Decoder(dict[str, Raw]).decode
_encode = json.Encoder().encode
_any = json.Decoder().decode
_MAX_HELD_BYTES = 8 * 1024 * 1024  # of one reply; written again, it fits into one message


class _ToolStart(Struct):
    toolUseId: str
    name: str
    type: str = ""


_tool_start = json.Decoder(_ToolStart).decode


class _Open:
    """A content block between its first word and its stop."""

    __slots__ = ("body", "held", "kind", "number")

    def __init__(self, number: int, body: AnyPart | None, kind: str = "", held: Any = None) -> None:
        self.number = number  # of the part
        self.body = body  # None: held until it is whole
        self.kind = kind
        self.held: dict[str, Any] = held or {}


class StreamReader:
    __slots__ = ("_decoder", "_ended", "_extras", "_held_bytes", "_open", "_parts", "_reason", "_stopped")

    def __init__(self) -> None:
        self._decoder = EventStreamDecoder()
        self._open: dict[int, _Open] = {}
        self._parts = 0
        self._extras: Extras = {}
        self._reason = ""
        self._stopped = False  # messageStop has come
        self._ended = False  # nothing that follows counts
        self._held_bytes = 0

    def feed(self, chunk: bytes) -> list[Event]:
        if self._ended:
            return []
        try:
            return self._read(self._decoder.feed(chunk))
        except EventStreamError as error:
            return self._end() if self._stopped else self._fail(broken(str(error)))

    def close(self) -> list[Event]:
        """A stream that said messageStop is whole, with its metadata or without."""
        if self._ended:
            return []
        if self._stopped:
            return self._end()
        try:
            self._decoder.close()
        except EventStreamError as error:
            return self._fail(broken(str(error))) if not self._decoder.rest else []  # one that was cut is not broken
        return []

    def _fail(self, found: Failure) -> list[Event]:
        self._ended = True
        return [found]

    def _end(self) -> list[Event]:
        self._ended = True
        return [finish(self._reason, self._extras), End()]

    def _read(self, messages: list[Message]) -> list[Event]:
        events: list[Event] = []
        for message in messages:
            if self._ended:
                break
            if is_failure(message):
                events += self._fail(failure(message))
                break
            try:
                self._event(message.text(":event-type"), decode_event(message.payload), message.payload, events)
            except (ValueError, TypeError, RecursionError):
                events += self._fail(broken("an event of the stream is not JSON of the expected shape"))
        return events

    def _event(self, kind: str, event: WireEvent, data: bytes, events: list[Event]) -> None:
        if kind == "contentBlockDelta":
            if event.delta is not None:
                self._delta(event.contentBlockIndex, event.delta, events)
        elif kind == "contentBlockStart":
            if event.start != ABSENT:
                self._block_start(event.contentBlockIndex, _fields(event.start), events)
        elif kind == "contentBlockStop":
            if (block := self._open.pop(event.contentBlockIndex, None)) is not None:
                self._block_stop(block, events)
        elif kind == "messageStart":
            events.append(Start(dialect=NAME))
        elif kind == "messageStop":
            self._stop_all(events)
            self._stopped = True
            self._reason = event.stopReason or ""
            self._keep(data)
        elif kind == "metadata":
            self._keep(data)
            if event.usage is not None:
                usage = canonical(event.usage, event.serviceTier, extras_of(_fields(data)["usage"]))
                events.append(UsageReport(usage=usage))
            if self._stopped:
                events += self._end()

    def _keep(self, data: bytes) -> None:
        self._extras |= {name: raw for name, raw in _fields(data).items() if name in FINISH_EXTRAS}

    # --- blocks

    def _begin(self, index: int, body: AnyPart | None, events: list[Event], kind: str = "", held: Any = None) -> _Open:
        if index in self._open:  # a server that never says stop
            self._block_stop(self._open.pop(index), events)
        block = self._open[index] = _Open(self._parts, body, kind, held)
        self._parts += 1
        if body is not None:
            events.append(PartStart(part=block.number, body=body))
        return block

    def _block_start(self, index: int, start: dict[str, Raw], events: list[Event]) -> None:
        kind = next(iter(start), "")
        if kind == "toolUse":
            tool = _tool_start(start[kind])
            if tool.type != "server_tool_use":
                extras = {name: raw for name, raw in _fields(start[kind]).items() if name not in ("toolUseId", "name")}
                self._begin(index, ToolUse(id=tool.toolUseId, name=tool.name, extras=extras), events)
                return
        if kind:
            self._begin(index, None, events, kind, dict(_fields(start[kind])))

    def _delta(self, index: int, delta: WireDelta, events: list[Event]) -> None:
        block = self._open.get(index)
        if block is not None and block.body is None:
            self._hold(block, delta)
            return
        text = signature = ""
        citation: Raw | None = None
        body: AnyPart | None = None
        if delta.text is not None:
            text, body = delta.text, Text(text="")
        elif delta.toolUse is not None:
            if block is None:
                raise ValueError("input without its tool call")
            text, body = delta.toolUse.input or "", block.body
        elif delta.citation != ABSENT:
            citation, body = delta.citation, Text(text="", spelling={IN: "citationsContent"})
        elif (reasoning := delta.reasoningContent) is not None:
            if reasoning.redactedContent is not None and block is None:
                self._hold(self._begin(index, None, events, "redactedContent"), delta)
                return
            text, signature, body = reasoning.text or "", reasoning.signature or "", Thinking()
        if body is None:
            if delta.image != ABSENT and block is None:
                self._hold(self._begin(index, None, events, "image"), delta)
            return
        if block is None or type(block.body) is not type(body):
            block = self._begin(index, body, events)
        if text or signature or citation is not None:
            events.append(Delta(part=block.number, text=text, signature=signature, citation=citation))

    def _hold(self, block: _Open, delta: WireDelta) -> None:
        """Collect a held block's deltas: pieces of input and bytes are joined, results are listed."""
        held = block.held
        size = 0
        if delta.toolUse is not None:
            held.setdefault("pieces", []).append(delta.toolUse.input or "")
            size = len(delta.toolUse.input or "")
        elif delta.toolResult != ABSENT:
            held.setdefault("content", []).extend(json.decode(delta.toolResult, type=list[Raw]))
            size = len(bytes(delta.toolResult))
        elif delta.reasoningContent is not None:
            held.setdefault("bytes", []).append(delta.reasoningContent.redactedContent or "")
            size = len(delta.reasoningContent.redactedContent or "")
        elif delta.image != ABSENT:
            image = _any(delta.image)
            size = len(bytes(delta.image))
            source = image.get("source") if isinstance(image, dict) else None
            if isinstance(source, dict) and isinstance(source.get("bytes"), str):
                held.setdefault("bytes", []).append(source["bytes"])
            elif isinstance(image, dict):
                held |= image
        self._held_bytes += size
        if self._held_bytes > _MAX_HELD_BYTES:
            raise ValueError("too much to hold")

    def _block_stop(self, block: _Open, events: list[Event]) -> None:
        if block.body is None:
            events.append(PartStart(part=block.number, body=_held_part(block)))
        events.append(PartEnd(part=block.number))

    def _stop_all(self, events: list[Event]) -> None:
        for block in self._open.values():
            self._block_stop(block, events)
        self._open.clear()


def _held_part(block: _Open) -> AnyPart:
    held = block.held
    joined = _joined(held.pop("bytes", []))
    if block.kind == "redactedContent":
        return Thinking(redacted=joined)
    if block.kind == "toolUse":
        given = "".join(held.pop("pieces", [])) or "{}"
        held["input"] = Raw(given.encode("utf-8", "surrogatepass"))
        _any(held["input"])  # raises where it is no JSON
    elif block.kind == "toolResult":
        held.setdefault("content", [])
    elif joined:
        held["source"] = {"bytes": joined}
    return reply_part(Raw(_encode({block.kind: held})))


def _joined(pieces: list[str]) -> str:
    """Base64 texts -> one of all their bytes."""
    return pieces[0] if len(pieces) == 1 else b64encode(b"".join(b64decode(piece) for piece in pieces)).decode()


def reply_part(raw: Raw) -> AnyPart:
    """A block of a reply. One that doesn't fit its own kind, or a server-side tool's, is carried as Opaque.

    Raises ValueError where it is no object at all.
    """
    try:
        found = content.part(raw, "content")
    except InvalidRequest:
        return Opaque(dialect=NAME, kind=next(iter(_fields(raw)), ""), raw=raw)
    if type(found) is ToolUse and found.arguments == "{}":
        found.arguments = ""  # as a stream tells it
    return found if isinstance(found, Text | Thinking | ToolUse) else _whole(found, raw)


def _whole(found: AnyPart, raw: Raw) -> AnyPart:
    return found if isinstance(found, Opaque) else Opaque(dialect=NAME, kind=next(iter(_fields(raw)), ""), raw=raw)


class _Message(Struct):
    content: list[Raw] = []


class _Output(Struct):
    message: _Message | None = None


class _WholeBody(WireEvent):
    output: _Output | None = None


_whole_body = json.Decoder(_WholeBody).decode


def whole_reader() -> WholeReader:
    return WholeReader(_reply, broken("the reply is not the JSON of a Converse reply"))


def _reply(body: bytes) -> list[Event]:
    told = _whole_body(body)
    if told.output is None or told.output.message is None:
        return [broken("the reply holds no output message")]
    fields = _fields(body)
    ended = finish(told.stopReason or "", {name: raw for name, raw in fields.items() if name in FINISH_EXTRAS})
    choice = Choice(
        parts=[reply_part(raw) for raw in told.output.message.content],
        finish=ended.reason,
        raw_reason=ended.raw_reason,
        stop_sequence=ended.stop_sequence,
        extras=ended.extras,
    )
    usage = canonical(told.usage, told.serviceTier, extras_of(fields["usage"])) if told.usage is not None else None
    return unfold(ChatReply(dialect=NAME, model=told.model(), choices=[choice], usage=usage))
