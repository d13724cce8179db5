"""AWS binary event streams: bytes in any chunking -> messages, and back (the media type application/vnd.amazon.eventstream).

A message is a prelude (its whole length, the length of its headers, a CRC-32 of those eight bytes), headers, payload and
a CRC-32 of all before it; numbers are big-endian. Both checksums are verified: a stream that fails one can't be followed
any further. A message larger than `max_message_bytes` raises EventStreamError: memory stays bounded.
What the headers mean (`:event-type`, `:exception-type`) is the dialects' business.
"""

from __future__ import annotations

from struct import Struct as Layout
from struct import error as LayoutError
from uuid import UUID
from zlib import crc32

from msgspec import Struct, field

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
MAX_HEADERS_BYTES = 128 * 1024
PRELUDE_BYTES = 12
OVERHEAD_BYTES = 16  # prelude and message checksum: the smallest message there is

HeaderValue = bool | int | bytes | str | UUID

_PRELUDE = Layout(">III")
_LENGTHS = Layout(">II")
_U16 = Layout(">H")
_U32 = Layout(">I")
# Header types in the order of their numbers. True, false, bytes, string and UUID are read by hand.
_TRUE, _FALSE, _BYTE, _SHORT, _INT, _LONG, _BYTES, _STRING, _TIMESTAMP, _UUID = range(10)
_NUMBERS = {_BYTE: Layout(">b"), _SHORT: Layout(">h"), _INT: Layout(">i"), _LONG: Layout(">q"), _TIMESTAMP: Layout(">q")}


class EventStreamError(ValueError):
    """The bytes are no event stream, or broke a bound. The message is safe to show."""


class Message(Struct, frozen=True):
    """`headers` by name, the last of a repeated one. A timestamp is an int of milliseconds since 1970."""

    payload: bytes
    headers: dict[str, HeaderValue] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """A string header; "" where it is absent or of another type."""
        value = self.headers.get(name)
        return value if isinstance(value, str) else ""


class EventStreamDecoder:
    """Feed chunks, get the messages that are complete. `rest` is the unfinished tail."""

    __slots__ = ("_broken", "_buffer", "_max")

    def __init__(self, max_message_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self._buffer = bytearray()
        self._max = max_message_bytes
        self._broken: EventStreamError | None = None

    @property
    def rest(self) -> bytes:
        return bytes(self._buffer)

    def feed(self, chunk: bytes) -> list[Message]:
        """The messages that end within `chunk`; those before a fault are given before it is raised, by the next call.

        Raises EventStreamError, and again for whatever follows.
        """
        if self._broken is not None:
            raise self._broken
        buffer = self._buffer
        buffer += chunk
        messages: list[Message] = []
        start = 0
        try:
            while (end := message_end(buffer, start, self._max)) and end <= len(buffer):
                messages.append(decode(bytes(buffer[start:end])))
                start = end
        except EventStreamError as error:
            self._broken = error
            buffer.clear()
            if not messages:
                raise
            return messages
        if start:
            del buffer[:start]
        return messages

    def close(self) -> None:
        """The stream ended. Raises EventStreamError where that was in the middle of a message, or a fault is untold."""
        if self._broken is not None:
            raise self._broken
        if self._buffer:
            raise EventStreamError(f"the stream ends inside a message ({len(self._buffer)} bytes of it came)")


def message_end(buffer: bytes | bytearray, start: int, max_message_bytes: int = MAX_MESSAGE_BYTES) -> int:
    """Where the message that begins at `start` ends (perhaps past the buffer); 0 where its prelude is not yet whole.

    Raises EventStreamError: a wrong checksum, impossible lengths, or larger than the bound.
    """
    if len(buffer) - start < PRELUDE_BYTES:
        return 0
    total, headers, checksum = _PRELUDE.unpack_from(buffer, start)
    if crc32(buffer[start : start + 8]) != checksum:
        raise EventStreamError("a message's prelude has a wrong checksum")
    if total > max_message_bytes:
        raise EventStreamError(f"a message of {total} bytes is larger than {max_message_bytes} bytes")
    if headers > MAX_HEADERS_BYTES or headers + OVERHEAD_BYTES > total:
        raise EventStreamError(f"a message of {total} bytes can't hold {headers} bytes of headers")
    return start + int(total)


def decode(message: bytes) -> Message:
    """One whole message, whose prelude `message_end` has checked. Raises EventStreamError."""
    if crc32(message[:-4]) != _U32.unpack_from(message, len(message) - 4)[0]:
        raise EventStreamError("a message has a wrong checksum")
    end = PRELUDE_BYTES + _LENGTHS.unpack_from(message)[1]
    return Message(payload=message[end:-4], headers=_headers(message, PRELUDE_BYTES, end))


def _headers(message: bytes, at: int, end: int) -> dict[str, HeaderValue]:
    headers: dict[str, HeaderValue] = {}
    try:
        while at < end:
            name_end = at + 1 + message[at]
            name = message[at + 1 : name_end].decode()
            kind = message[name_end]
            at = name_end + 1
            value: HeaderValue
            if kind in (_STRING, _BYTES):
                start = at + 2
                at = start + _U16.unpack_from(message, at)[0]
                value = message[start:at].decode() if kind == _STRING else message[start:at]
            elif kind in (_TRUE, _FALSE):
                value = kind == _TRUE
            elif kind == _UUID:
                value = UUID(bytes=message[at : at + 16])
                at += 16
            elif kind in _NUMBERS:
                layout = _NUMBERS[kind]
                value = int(layout.unpack_from(message, at)[0])
                at += layout.size
            else:
                raise EventStreamError(f"a header has the unknown type {kind}")
            headers[name] = value
    except EventStreamError:
        raise
    except (IndexError, ValueError, LayoutError):
        raise EventStreamError("a message's headers can't be read") from None
    if at != end:
        raise EventStreamError("a message's headers are longer than it says")
    return headers


def encode(payload: bytes, headers: dict[str, HeaderValue]) -> bytes:
    """One message. Integers are written as 64-bit ones. Raises ValueError for a name or value that doesn't fit."""
    block = b"".join(_header(name, value) for name, value in headers.items())
    total = len(block) + len(payload) + OVERHEAD_BYTES
    if len(block) > MAX_HEADERS_BYTES or total > MAX_MESSAGE_BYTES:
        raise ValueError(f"a message of {total} bytes with {len(block)} bytes of headers is too large for an event stream")
    lengths = _LENGTHS.pack(total, len(block))
    message = b"%b%b%b%b" % (lengths, _U32.pack(crc32(lengths)), block, payload)
    return message + _U32.pack(crc32(message))


def _header(name: str, value: HeaderValue) -> bytes:
    key = name.encode()
    if not 0 < len(key) < 256:
        raise ValueError(f"the header name {name[:40]!r} must be 1 to 255 bytes long")
    start = b"%c%b" % (len(key), key)
    if isinstance(value, bool):
        return start + (b"\x00" if value else b"\x01")
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise ValueError(f"the header {name!r} is {value}; it must fit in 64 bits")
        return start + b"%c%b" % (_LONG, _NUMBERS[_LONG].pack(value))
    if isinstance(value, UUID):
        return start + b"%c%b" % (_UUID, value.bytes)
    kind, data = (_STRING, value.encode()) if isinstance(value, str) else (_BYTES, value)
    if len(data) >= 2**15:
        raise ValueError(f"the header {name!r} is {len(data)} bytes long; it may have {2**15 - 1}")
    return start + b"%c%b%b" % (kind, _U16.pack(len(data)), data)
