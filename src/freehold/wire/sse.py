"""Server-sent events: bytes in any chunking -> events, and back (WHATWG HTML, section 9.2).

Only what model APIs use: `event` and `data`; comments, `id` and `retry` are skipped. All three line endings are
accepted. An event's data larger than `max_event_bytes` raises SSEError: memory stays bounded. Every byte is looked at
once and copied a bounded number of times, however small the chunks are.
"""

from __future__ import annotations

import re

from msgspec import Struct

MAX_EVENT_BYTES = 16 * 1024 * 1024
_BLANK_LINE = re.compile(rb"\r\n\r\n|\n\n|\r\r|\r\n\n|\n\r\n")
_LINE = re.compile(rb"\r\n|\n|\r")
_OVERLAP = 3  # a blank line is at most four bytes: look back three at a seam


class SSEError(ValueError):
    """The stream broke a bound. The message is safe to show."""


class SSEvent(Struct, frozen=True):
    data: bytes
    event: bytes = b""


class SSEDecoder:
    """Feed chunks, get the events that are complete. `rest` is the unfinished tail."""

    __slots__ = ("_buffer", "_max", "_seen")

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._buffer = bytearray()
        self._seen = 0  # no blank line ends before this index
        self._max = max_event_bytes

    @property
    def rest(self) -> bytes:
        return bytes(self._buffer)

    def feed(self, chunk: bytes) -> list[SSEvent]:
        """The events that end within `chunk`. Raises SSEError when an unfinished one grows over the bound."""
        held = self._buffer
        if held:
            held += chunk
            events, used = _scan(held, max(0, self._seen - _OVERLAP))
            if used:
                del held[:used]
        else:
            events, used = _scan(chunk, 0)
            if used < len(chunk):
                held += chunk[used:]
        self._seen = len(held)
        if len(held) > self._max:
            raise SSEError(f"an event is larger than {self._max} bytes")
        return events

    def close(self) -> list[SSEvent]:
        """The stream ended: a last event without its blank line still counts (several providers send that)."""
        event = parse_block(self.rest)
        self._buffer.clear()
        return [event] if event is not None else []


def _scan(buffer: bytes | bytearray, search_from: int) -> tuple[list[SSEvent], int]:
    """The events in `buffer` and where the unfinished rest starts; the first blank line ends after `search_from`."""
    # A CR at the very end may be half of a CRLF: wait for the next byte before deciding where the event ends.
    limit = len(buffer) - 1 if buffer.endswith(b"\r") else len(buffer)
    events: list[SSEvent] = []
    start = 0
    for blank, end in blank_lines(buffer, search_from, limit):
        event = parse_block(bytes(buffer[start:blank]))
        start = end
        if event is not None:
            events.append(event)
    return events, start


def blank_lines(buffer: bytes | bytearray, start: int = 0, limit: int | None = None) -> list[tuple[int, int]]:
    """Where the blank lines that end events begin and end. `find` is ten times as fast as the pattern: most use it."""
    stop = len(buffer) if limit is None else limit
    if buffer.find(b"\r", start, stop) >= 0:
        return [found.span() for found in _BLANK_LINE.finditer(buffer, start, stop)]
    spans: list[tuple[int, int]] = []
    at = buffer.find(b"\n\n", start, stop)
    while at >= 0:
        spans.append((at, at + 2))
        at = buffer.find(b"\n\n", at + 2, stop)
    return spans


def parse_block(block: bytes) -> SSEvent | None:
    """One event's lines -> the event; None where it has no data (a comment or keep-alive)."""
    if block.startswith(b"data: ") and b"\n" not in block and b"\r" not in block:
        return SSEvent(block[6:])
    name = b""
    data: list[bytes] = []
    for line in _LINE.split(block):
        key, _, value = line.partition(b":")
        if value.startswith(b" "):
            value = value[1:]
        if key == b"data":
            data.append(value)
        elif key == b"event":
            name = value
    return SSEvent(b"\n".join(data), name) if data else None


def encode(data: bytes, event: bytes = b"") -> bytes:
    """One event as bytes. `data` must hold no line break (compact JSON never does)."""
    if event:
        return b"event: " + event + b"\ndata: " + data + b"\n\n"
    return b"data: " + data + b"\n\n"
