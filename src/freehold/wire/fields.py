"""Split and join the top level of a JSON object without parsing its values.

Lets us rename a model in a 200 kB body and leave every other value byte-identical. `TopLevelScanner` does the reading
half for a document that arrives in pieces and is too large to hold: it keeps the values of a few chosen keys and tells
whether the document ended whole. Nested edits belong to the dialect codecs.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec import DecodeError, Raw, json

_decode_fields = json.Decoder(dict[str, Raw]).decode
_decode_string = json.Decoder(str).decode
_decode_any = json.Decoder().decode

MAX_DEPTH = 1000  # deeper nesting than any honest document; msgspec's own limit is near it
MAX_VALUE_BYTES = 64 * 1024

_NESTED = re.compile(rb'["{}\[\]]')
_TOP = re.compile(rb'["{}\[\],:]')
_CLOSER = {0x7B: 0x7D, 0x5B: 0x5D}
_QUOTE, _BACKSLASH, _COMMA, _COLON = 0x22, 0x5C, 0x2C, 0x3A


class FieldsError(ValueError):
    """Not a JSON object. The message says where and is safe to show (it quotes nothing)."""


def split(body: bytes) -> dict[str, Raw]:
    """The members of a JSON object in their order, values unparsed. The last of a repeated key counts.

    Values are checked to be well-formed JSON in UTF-8, so that whoever decodes one later finds no surprise. Raises FieldsError.
    """
    try:
        if not body.isascii():
            body.decode()
        return _decode_fields(body)
    except RecursionError:
        raise FieldsError("the JSON is nested too deeply") from None
    except (DecodeError, UnicodeDecodeError) as error:
        raise FieldsError(_explain(error, len(body))) from None


def _explain(error: DecodeError | UnicodeDecodeError, size: int) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "the JSON is not valid UTF-8"
    reason = str(error)
    if reason == "Input data was truncated":
        return f"the JSON ends early (byte {size})" if size else "the body is empty; it must be a JSON object"
    if reason.startswith("Expected `object`"):
        return f"the JSON must be an object{reason.removeprefix('Expected `object`')}"
    if reason.startswith("JSON is malformed"):
        return f"the {reason}"
    return "the JSON is not valid UTF-8"


join = json.Encoder().encode  # dict[str, Raw] -> bytes; raw values are written as they are


def raws(members: dict[str, Any]) -> dict[str, Raw]:
    """The members as JSON, each apart. One encoding of them all and one look over it cost less than one encoding a member."""
    return _decode_fields(join(members)) if members else {}


class TopLevelScanner:
    """Reads one JSON document in any chunking, in bounded memory, at the speed of `bytes.find`.

    values    the raw values of the `wanted` top-level keys seen so far (a value over `max_value_bytes` is left out)
    complete  the root has closed, and nothing but white space followed
    broken    brackets do not match, the root is not an object or array, or something follows it

    Only nesting and strings are checked, not the grammar between them: the reply goes to the client as it came.
    """

    __slots__ = (
        "_escaped",
        "_in_string",
        "_key",
        "_key_text",
        "_max",
        "_stack",
        "_started",
        "_text",
        "_value_key",
        "_wanted",
        "broken",
        "complete",
        "values",
    )

    def __init__(self, wanted: frozenset[str], max_value_bytes: int = MAX_VALUE_BYTES) -> None:
        self.values: dict[str, bytes] = {}
        self.complete = False
        self.broken = False
        self._wanted = wanted
        self._max = max_value_bytes
        self._stack = bytearray()  # the closers that are due
        self._started = False
        self._in_string = False
        self._escaped = False  # the chunk before ended inside an escape
        self._key = False  # at the top level, before the colon
        self._key_text: bytearray | None = None  # the key being read, quotes included
        self._value_key = ""  # the wanted key whose value is being read
        self._text: bytearray | None = None  # that value so far

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes. Never raises; look at `complete` and `broken`."""
        position, size = 0, len(chunk)
        mark = 0  # where the unsaved part of the key or value being captured starts in this chunk
        while position < size and not self.broken:
            if self._in_string:
                end = self._string_end(chunk, position)
                if end < 0:
                    break
                self._in_string = False
                position = end + 1
                if self._key_text is not None:
                    self._key_text += chunk[mark:position]
                    self._take_key()
                continue
            if not self._stack:
                position = self._outside(chunk, position)
                continue
            found = (_TOP if len(self._stack) == 1 else _NESTED).search(chunk, position)
            if found is None:
                break
            at = found.start()
            position = at + 1
            mark = self._structural(chunk, at, mark)
        self._save(chunk, mark)

    def joined(self) -> bytes:
        """The values as one JSON object, for whoever would have decoded the document."""
        return b"{%b}" % b",".join(b'"%b":%b' % (name.encode(), raw) for name, raw in self.values.items())

    def decoded(self) -> dict[str, Any]:
        """The values one by one; those that are no JSON are left out."""
        found: dict[str, Any] = {}
        for name, raw in self.values.items():
            try:
                found[name] = _decode_any(raw)
            except (ValueError, RecursionError):
                continue
        return found

    def _outside(self, chunk: bytes, position: int) -> int:
        """Before the root or after it: white space only, then one bracket."""
        rest = chunk[position : position + 64].lstrip(b" \t\r\n")
        if not rest:
            return min(position + 64, len(chunk))
        opener = rest[0]
        if self._started or opener not in _CLOSER:
            self.broken = True
            self.complete = False
            return len(chunk)
        self._started = True
        self._key = opener == 0x7B
        self._stack.append(_CLOSER[opener])
        return position + min(64, len(chunk) - position) - len(rest) + 1

    def _structural(self, chunk: bytes, at: int, mark: int) -> int:
        """One bracket, quote, comma or colon at `at`. Returns the new mark."""
        byte = chunk[at]
        stack = self._stack
        if byte == _QUOTE:
            self._in_string = True
            if self._key and len(stack) == 1:
                self._key_text = bytearray()
                return at
        elif byte in _CLOSER:
            stack.append(_CLOSER[byte])
            if len(stack) > MAX_DEPTH:
                self.broken = True
        elif byte == _COLON:
            self._key = False
            if self._value_key:
                self._text = bytearray()
                return at + 1
        else:
            if len(stack) == 1:
                self._end_value(chunk, mark, at)
                self._key = byte == _COMMA and stack[0] == 0x7D
            if byte != _COMMA and stack.pop() != byte:
                self.broken = True
            elif not stack:
                self.complete = True
        return mark

    def _end_value(self, chunk: bytes, mark: int, at: int) -> None:
        if self._text is not None:
            self._save(chunk[:at], mark)
            if self._text is not None:
                self.values[self._value_key] = bytes(self._text).strip(b" \t\r\n")
        self._text = None
        self._value_key = ""

    def _take_key(self) -> None:
        assert self._key_text is not None
        try:
            key = _decode_string(self._key_text)
        except (DecodeError, UnicodeDecodeError):
            key = ""
        self._key_text = None
        self._value_key = key if key in self._wanted else ""

    def _save(self, chunk: bytes, mark: int) -> None:
        """Keep what this chunk holds of the key or value being read; let go of one that grows over the bound."""
        if self._key_text is not None:
            self._key_text += chunk[mark:]
            if len(self._key_text) > self._max:
                self._key_text = None  # no wanted key is that long
        elif self._text is not None:
            if len(self._text) + len(chunk) - mark > self._max:
                self._text = None
                self._value_key = ""
            else:
                self._text += chunk[mark:]

    def _string_end(self, chunk: bytes, start: int) -> int:
        """The index of the quote that closes the string, or -1 where this chunk does not hold it."""
        skip = 1 if self._escaped else 0  # the first byte belongs to an escape begun in the chunk before
        self._escaped = False
        first = start + skip
        position = first
        while True:
            quote = chunk.find(b'"', position)
            run = quote - 1 if quote >= 0 else len(chunk) - 1
            slashes = 0
            while run >= first and chunk[run] == _BACKSLASH:
                slashes += 1
                run -= 1
            if quote < 0:
                self._escaped = slashes % 2 == 1
                return -1
            if slashes % 2 == 0:
                return quote
            position = first = quote + 1
