"""PASS: bytes go through unchanged; usage, model, finish reason, errors and the end are read from them on the way.

Of a stream only messageStop, metadata and exceptions are parsed. Deltas are kept as they came, to a bound, so that
`produced` can count them if the reply is cut. An exception and what follows it are not forwarded (the pipeline tells the
error in our own words); for that an unfinished message is held back, to a bound.
"""

from __future__ import annotations

import re

from msgspec import Raw, json

from freehold.wire.chat import Failure, Usage
from freehold.wire.dialect import CountTokens
from freehold.wire.dialects.bedrock.events import ABSENT, WireEvent, broken, decode_event, failure, is_failure
from freehold.wire.dialects.bedrock.usage import canonical
from freehold.wire.eventstream import EventStreamError, decode, message_end
from freehold.wire.produced import CHUNK_COST, KEEP_BYTES, Produced, unescaped
from freehold.wire.wholetap import BodyTap

_HOLD_BYTES = 1024 * 1024  # an unfinished message above this is forwarded as it comes, and not read
_NAME_WITHIN = 48  # the first header, which is the event's type, ends within so many bytes


class Frames:
    """What the taps of this format share: bytes -> whole messages, and what may be forwarded."""

    __slots__ = ("_due", "_passing", "_tail", "done", "failure", "finish", "model", "usage")

    def __init__(self) -> None:
        self._tail = bytearray()  # an unfinished message
        self._due = 0  # its size, once known
        self._passing = 0  # bytes to come of a message that is too large to hold
        self.usage: Usage | None = None
        self.done = False
        self.failure: Failure | None = None
        self.model = ""
        self.finish = ""

    def feed(self, chunk: bytes) -> bytes:
        if self.failure is not None:
            return b""
        tail = self._tail
        if tail:
            tail += chunk
            if len(tail) < self._due:
                return b""
            chunk = bytes(tail)
            tail.clear()
        size = len(chunk)
        start = min(self._passing, size)
        self._passing -= start
        self._due = 0
        try:
            while (end := message_end(chunk, start)) and end <= size:
                if not self._frame(chunk, start, end):
                    return chunk[:start]
                start = end
        except EventStreamError as error:
            self.failure = broken(str(error))
            return chunk[:start]
        if end - start > _HOLD_BYTES:
            self._passing = end - size
            return chunk
        if start == size:
            return chunk
        self._due = end - start
        tail += chunk[start:]
        return chunk[:start]

    def close(self) -> bytes:
        """What is left is a piece of a message, of no use to anyone."""
        self._tail.clear()
        return b""

    def _frame(self, data: bytes, start: int, end: int) -> bool:
        """Learn from one message. False where it, and all after it, must not be forwarded: `failure` says why."""
        raise NotImplementedError


class StreamTap(Frames):
    __slots__ = ("_kept", "_kept_bytes", "_produced", "_stopped")

    def __init__(self, count: CountTokens) -> None:
        super().__init__()
        self._produced = Produced(count)
        self._kept: list[bytes] = []
        self._kept_bytes = 0
        self._stopped = False  # messageStop has come

    def feed(self, chunk: bytes) -> bytes:
        out = super().feed(chunk)
        if out:
            self._kept.append(out)
            self._kept_bytes += len(out) + CHUNK_COST
            if self._kept_bytes > KEEP_BYTES:
                self._extract()
        return out

    def close(self) -> bytes:
        if self.failure is None and self._stopped:
            self.done = True  # without its metadata: still whole
        return super().close()

    def produced(self) -> int:
        self._extract()
        return self._produced.tokens()

    def _frame(self, data: bytes, start: int, end: int) -> bool:
        if data.find(b"contentBlock", start, start + _NAME_WITHIN) >= 0:
            return True
        message = decode(data[start:end])
        if is_failure(message):
            self.failure = failure(message)
            return False
        kind = message.text(":event-type")
        if kind not in ("messageStop", "metadata"):
            return True
        try:
            event = decode_event(message.payload)
        except (ValueError, RecursionError):
            self.failure = broken("an event of the stream is not JSON of the expected shape")
            return False
        if kind == "messageStop":
            self.finish = event.stopReason or ""
            self._stopped = True
            return True
        self.model = event.model()
        if event.usage is not None:
            self.usage = canonical(event.usage, event.serviceTier)
        self.done = self._stopped
        return True

    def _extract(self) -> None:
        """Kept bytes -> the text in them."""
        kept = b"".join(self._kept)
        self._kept.clear()
        self._kept_bytes = 0
        self._produced.add(unescaped(b"".join(_PIECES.findall(kept))))


# The texts of deltas, wherever they stand. A regular expression takes a tenth of the time of parsing each event, and
# this text is only ever counted. The bytes between messages hold no such run.
_PIECES = re.compile(rb'"(?:text|input|name)":\s*"([^"\\]*(?:\\.[^"\\]*)*)"')


class _Whole(WireEvent):
    output: Raw = ABSENT


_whole = json.Decoder(_Whole).decode


class TextsTap(BodyTap):
    """A whole reply whose texts are found as those of a stream are."""

    pieces: re.Pattern[bytes]

    def text(self, body: bytes) -> str:
        return unescaped(b"".join(self.pieces.findall(body)))


class WholeTap(TextsTap):
    """A Converse reply, and one of count-tokens, which has no usage."""

    wanted = frozenset(("usage", "stopReason", "serviceTier"))
    pieces = _PIECES

    def learn(self, body: bytes) -> None:
        reply = _whole(body)
        self.model = reply.model()
        self.finish = reply.stopReason or ""
        if reply.usage is not None:
            self.usage = canonical(reply.usage, reply.serviceTier)
