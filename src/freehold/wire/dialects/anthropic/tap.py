"""PASS: bytes go through unchanged; usage, model, finish reason, errors and the end are read from them on the way.

Only message_start, message_delta, message_stop and errors are parsed. All other events are kept as they came, to a
bound, so that `produced` can count them if the reply is cut. An error event and what follows it are not forwarded (the
pipeline tells the error in our own words); for that an unfinished event is held back, to a bound.
Until message_delta `usage` holds the input only and is marked estimated: output is then `max(usage.output, produced())`.
"""

from __future__ import annotations

import re

from msgspec import Raw, Struct, json

from freehold.wire.chat import Failure, Usage
from freehold.wire.dialect import CountTokens
from freehold.wire.dialects.anthropic.events import ABSENT, WireError, WireEvent, broken, decode_event, failure
from freehold.wire.dialects.anthropic.usage import WireUsage, at_start, canonical
from freehold.wire.produced import Produced
from freehold.wire.sse import blank_lines, parse_block
from freehold.wire.wholetap import BodyTap

_KEEP_BYTES = 64 * 1024  # raw bytes held before their text is taken out
_HOLD_BYTES = 64 * 1024  # an unfinished event above this is forwarded as it comes
_CHUNK_COST = 64  # what holding a small chunk costs beside its bytes
_str = json.Decoder(str).decode


class StreamTap:
    """`marks`, `patterns` and `_look` are the dialect's; another one whose events have names overrides them."""

    marks = (b"message_", b'"error"')  # what the events worth parsing hold

    __slots__ = (
        "_kept", "_kept_bytes", "_large", "_produced", "_seam", "_tail", "_told", "done", "failure", "finish", "model", "usage",
    )  # fmt: skip

    def __init__(self, count: CountTokens) -> None:
        self._produced = Produced(count)
        self._tail = bytearray()  # an unfinished event
        self._seam = 0  # no blank line ends in the tail before this
        self._large = False  # the tail's event is too large to hold: the rest of it is forwarded as it comes
        self._told = WireUsage()
        self._kept: list[bytes] = []
        self._kept_bytes = 0
        self.usage: Usage | None = None
        self.done = False
        self.failure: Failure | None = None
        self.model = ""
        self.finish = ""

    def feed(self, chunk: bytes) -> bytes:
        if self.failure is not None:
            return b""
        if self._tail or self._large or not chunk.endswith(b"\n\n"):
            chunk = self._align(chunk)
            if not chunk:
                return b""
        # JSON inside a string can't match: its quotes are escaped, and a false match is only slower.
        telling, failing = self.marks
        if chunk.find(telling) >= 0 or chunk.find(failing) >= 0:  # `in` costs five times as much on bytes
            chunk = self._read(chunk)
        self._kept.append(chunk)
        self._kept_bytes += len(chunk) + _CHUNK_COST
        if self._kept_bytes > _KEEP_BYTES:
            self._extract()
        return chunk

    def close(self) -> bytes:
        """A last event without its blank line is still an event, if it can be read."""
        tail = bytes(self._tail)
        self._tail.clear()
        if self._large or self.failure is not None:
            return b""
        found = parse_block(tail)
        if found is not None:
            self._look(found.data)
        return b"" if self.failure is not None else tail

    def produced(self) -> int:
        self._extract()
        return self._produced.tokens()

    def _align(self, chunk: bytes) -> bytes:
        """The events that are whole now; what follows them stays in the tail."""
        tail = self._tail
        tail += chunk
        spans = blank_lines(tail, max(0, self._seam - 3))
        end = spans[-1][1] if spans else 0
        if spans:
            self._large = False
        if self._large or len(tail) - end > _HOLD_BYTES:
            self._large = True
            end = max(end, len(tail) - 3)  # a blank line may lie across the seam
        out = bytes(tail[:end])
        del tail[:end]
        self._seam = len(tail)
        return out

    def _read(self, chunk: bytes) -> bytes:
        """Learn from whole events. Returns them up to an error."""
        start = 0
        for blank, end in blank_lines(chunk):
            found = parse_block(chunk[start:blank])
            if found is not None:
                self._look(found.data)
                if self.failure is not None:
                    return chunk[:start]
            start = end
        return chunk

    def _look(self, data: bytes) -> None:
        if data.find(b"message_") < 0 and data.find(b'"error"') < 0:
            return
        try:
            event = decode_event(data)
        except (ValueError, RecursionError):
            self.failure = self.failure or broken("an event of the stream is not JSON of the expected shape")
            return
        kind = event.type
        if kind == "message_start" and event.message is not None:
            self.model = event.message.model or ""
            if event.message.usage is not None:
                self._told = event.message.usage
                self.usage = at_start(self._told)
        elif kind == "message_delta":
            self._finished(event)
        elif kind == "message_stop":
            self.done = True
        elif kind == "error":
            self.failure = self.failure or failure(event.error)

    def _finished(self, event: WireEvent) -> None:
        if event.delta is not None and event.delta.stop_reason:
            self.finish = self.finish or event.delta.stop_reason
        if event.usage is not None:
            self._told.absorb(event.usage)
            self.usage = canonical(self._told)

    def patterns(self) -> tuple[re.Pattern[bytes], ...]:
        """What finds the text that a reply produced: the first group is the inside of a JSON string."""
        return _NAMES, _PIECES

    def _extract(self) -> None:
        """Kept bytes -> the text in them. What follows the last line end stays for later."""
        lines, _, rest = b"".join(self._kept).rpartition(b"\n")
        self._kept = [rest] if rest else []
        self._kept_bytes = len(rest)
        for pattern in self.patterns():
            self._produced.add(_unescaped(b"".join(pattern.findall(lines))))


# The members of a delta in the order in which Anthropic and its imitators write them. A regular expression takes a
# tenth of the time of parsing each event, and this text is only ever counted.
_PIECES = re.compile(rb'_delta",\s*"(?:text|thinking|partial_json)":\s*"([^"\\]*(?:\\.[^"\\]*)*)"')
_NAMES = re.compile(rb'"type":\s*"tool_use"[^\n]{0,200}?"name":\s*"([^"\\]{0,200})"')


def _unescaped(inside: bytes) -> str:
    """What stands between the quotes of a JSON string -> its text."""
    try:
        return _str(b'"%b"' % inside)
    except ValueError:
        return inside.decode("utf-8", "replace")


class _Block(Struct):
    type: str = ""
    text: str | None = None
    thinking: str | None = None
    name: str | None = None
    input: Raw = ABSENT


class _Whole(Struct):
    type: str | None = None
    model: str | None = None
    stop_reason: str | None = None
    usage: WireUsage | None = None
    error: WireError | None = None


class _Content(Struct):
    content: list[_Block] = []


_whole = json.Decoder(_Whole).decode
_content = json.Decoder(_Content).decode


class WholeTap(BodyTap):
    """A reply that is not a stream (also count_tokens, whose reply has no usage)."""

    wanted = frozenset(("type", "model", "stop_reason", "usage", "error"))

    def learn(self, body: bytes) -> None:
        reply = _whole(body)
        self.model = reply.model or ""
        self.finish = reply.stop_reason or ""
        if reply.usage is not None:
            self.usage = canonical(reply.usage)
        if reply.error is not None or reply.type == "error":
            self.failure = failure(reply.error)

    def text(self, body: bytes) -> str:
        blocks = _content(body).content
        return "\n".join([b.text or b.thinking or ((b.name or "") + bytes(b.input).decode("utf-8", "replace")) for b in blocks])
