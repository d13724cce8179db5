"""Find the fields of a multipart/form-data body (RFC 7578) without copying or looking into its files.

Strict where two readers could disagree about where a part ends or what it is called: the gateway must read the same
model name as the provider behind it. The body is passed on as it came but for that name. Sans-IO.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from msgspec import Struct

from freehold.base.errors import InvalidRequest

MAX_PARTS = 256
MAX_PART_HEAD_BYTES = 8 * 1024
MAX_TEXT_BYTES = 256 * 1024  # of a field that is read; files have no bound but the body's

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_BOUNDARY = re.compile(
    rb"multipart/form-data(?:[ \t]*;[ \t]*(?!boundary)%b=(?:%b|\"[^\"]*\"))*[ \t]*;[ \t]*boundary=(?:\"([^\"]+)\"|(%b))"
    rb"(?:[ \t]*;[ \t]*(?!boundary)%b=(?:%b|\"[^\"]*\"))*[ \t]*" % ((_TOKEN,) * 5),
    re.IGNORECASE,
)
_BOUNDARY_CHARS = re.compile(rb"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
_DISPOSITION = re.compile(
    rb"content-disposition:[ \t]*form-data((?:[ \t]*;[ \t]*%b=(?:%b|\"(?:[^\"\\]|\\.)*\"))+)[ \t]*" % (_TOKEN, _TOKEN), re.I
)
_PARAMETER = re.compile(rb";[ \t]*(%b)=(?:\"((?:[^\"\\]|\\.)*)\"|(%b))" % (_TOKEN, _TOKEN))
_HEADER = re.compile(rb"(%b):[\t\x20-\x7e\x80-\xff]*" % _TOKEN)


class Upload(Struct):
    """A body that is passed on as it came. `model`: where in it the model's name stands, None where it names none."""

    content_type: bytes
    body: bytes
    model: tuple[int, int] | None = None

    def pieces(self, model: str) -> tuple[bytes | memoryview, ...]:
        """The body for a target whose name for the model is this one. Large parts are views, not copies."""
        if self.model is None:
            return (self.body,)
        start, end = self.model
        view = memoryview(self.body)
        return (view[:start], model.encode(), view[end:])


class Form(Struct):
    """The wanted text fields of a form, and where each one's value stands."""

    texts: dict[str, str]
    spans: dict[str, tuple[int, int]]
    names: list[str]  # of all parts, in order


def is_form(content_type: bytes) -> bool:
    return content_type[:19].lower() == b"multipart/form-data"


def read_form(content_type: bytes, body: bytes, wanted: frozenset[str]) -> Form:
    """Raises InvalidRequest."""
    scanner = FormScanner(content_type, wanted)
    scanner.feed(body)
    scanner.close()
    return scanner.form


class FormScanner:
    """Reads a form as it comes. `form` holds what has been read so far; its spans count from the body's first byte.

    Of a file nothing is kept but the last bytes, which may begin a boundary: feeding it in any pieces costs the same.
    """

    def __init__(self, content_type: bytes, wanted: frozenset[str]) -> None:
        """Raises InvalidRequest."""
        self.form = Form({}, {}, [])
        self._delimiter = b"\r\n--" + boundary_of(content_type)
        self._wanted = wanted
        self._held = b""  # what may be read only together with what follows
        self._at = 0  # index in it
        self._base = 0  # of its first byte, in the body
        self._start = 0  # of the part's content, in the body
        self._name = ""  # of the part, where it is wanted
        self._text: bytearray | None = None  # its content so far
        self._step: Callable[[], bool] = self._first

    def feed(self, data: bytes) -> None:
        """Raises InvalidRequest: a wanted field that can't be taken, or a form that can be read in two ways."""
        self._held = self._held + data if self._held else data
        while self._step():
            pass
        self._base += self._at
        self._held = self._held[self._at :]
        self._at = 0

    def close(self) -> None:
        """The body is over. Raises InvalidRequest where the form is not."""
        if self._step == self._first:
            raise _malformed("it does not begin with its boundary")
        if self._step == self._head:
            raise _malformed(f"a part's head does not end within {MAX_PART_HEAD_BYTES} bytes")
        if self._step == self._content:
            raise _malformed("a part has no body, or the last boundary is missing")
        if self._step == self._after or self._held == b"\r":
            raise _malformed("something other than a line's end follows a boundary")

    # Steps: each reads from _held[_at:], and says whether another can follow at once

    def _first(self) -> bool:
        opening = self._delimiter[2:]
        held = self._held[: len(opening)]
        if not opening.startswith(held):
            raise _malformed("it does not begin with its boundary")
        if len(held) < len(opening):
            return False
        self._at = len(opening)
        self._step = self._after
        return True

    def _after(self) -> bool:
        """After a boundary."""
        two = self._held[self._at : self._at + 2]
        if len(two) < 2 and two in (b"", b"\r", b"-"):
            return False
        if two not in (b"\r\n", b"--"):
            raise _malformed("something other than a line's end follows a boundary")
        self._at += 2
        self._step = self._head if two == b"\r\n" else self._end
        return True

    def _head(self) -> bool:
        at, form = self._at, self.form
        end = self._held.find(b"\r\n\r\n", at, at + MAX_PART_HEAD_BYTES)
        if end < 0:
            if len(self._held) - at >= MAX_PART_HEAD_BYTES:
                raise _malformed(f"a part's head does not end within {MAX_PART_HEAD_BYTES} bytes")
            return False
        name, is_file = _part(self._held[at:end])
        form.names.append(name)
        if len(form.names) > MAX_PARTS:
            raise _malformed(f"it has more than {MAX_PARTS} parts")
        if name in self._wanted:
            if is_file:
                raise InvalidRequest(f"{name!r} must be a plain field of the form, not a file", param=name)
            if name in form.texts:
                raise InvalidRequest(f"the form has more than one {name!r}; send one", param=name)
            self._name, self._text = name, bytearray()
        # From the blank line on: a delimiter that begins with it would leave the part without a body.
        self._at = end + 2
        self._start = self._base + end + 4
        self._step = self._content
        return True

    def _content(self) -> bool:
        delimiter, held = self._delimiter, self._held
        end = held.find(delimiter, self._at)
        if end < 0:
            self._pass(max(self._at, len(held) - len(delimiter) + 1))
            return False
        if self._base + end < self._start:
            raise _malformed("a part has no body, or the last boundary is missing")
        self._pass(end)
        if self._text is not None:
            self._keep(self._text)
        self._at = end + len(delimiter)
        self._step = self._after
        return True

    def _end(self) -> bool:
        if self._held[self._at :] not in (b"", b"\r", b"\r\n"):
            raise _malformed("something other than a line's end follows a boundary")
        return False

    def _pass(self, end: int) -> None:
        """Content up to this index of `_held`."""
        text = self._text
        if text is not None and self._base + end > self._start:
            text += self._held[max(self._at, self._start - self._base) : end]
            if len(text) > MAX_TEXT_BYTES:
                message = f"{self._name!r} has more than {MAX_TEXT_BYTES} bytes, the most that are read"
                raise InvalidRequest(message, param=self._name)
        self._at = end

    def _keep(self, text: bytearray) -> None:
        name, self._text = self._name, None
        try:
            self.form.texts[name] = text.decode()
        except UnicodeDecodeError:
            raise InvalidRequest(f"{name!r} is not valid UTF-8", param=name) from None
        self.form.spans[name] = (self._start, self._start + len(text))


def boundary_of(content_type: bytes) -> bytes:
    """Raises InvalidRequest where the header has none, or more than one."""
    match = _BOUNDARY.fullmatch(content_type) if content_type.isascii() else None
    boundary = (match[1] or match[2]) if match is not None else b""
    if not _BOUNDARY_CHARS.fullmatch(boundary):
        raise InvalidRequest("the header content-type must be multipart/form-data with one boundary of 1 to 70 characters")
    return boundary


def _part(head: bytes) -> tuple[str, bool]:
    """A part's name, and whether it is a file."""
    disposition: re.Match[bytes] | None = None
    for line in head.split(b"\r\n"):
        header = _HEADER.fullmatch(line)
        if header is None:
            raise _malformed("a part's head has a line that is not a header")
        lowered = header[1].lower()
        if lowered == b"content-transfer-encoding":
            raise _malformed("a part has a content-transfer-encoding; send parts as they are")
        if lowered == b"content-disposition":
            if disposition is not None:
                raise _malformed("a part has two content-dispositions")
            disposition = _DISPOSITION.fullmatch(line)
            if disposition is None:
                raise _malformed("a part's content-disposition can't be read")
    if disposition is None:
        raise _malformed("a part has no content-disposition")
    values: dict[bytes, bytes] = {}
    for parameter in _PARAMETER.finditer(disposition[1]):
        key = parameter[1].lower()
        if key in values or key == b"name*":
            raise _malformed("a part's name can be read in two ways")
        values[key] = parameter[3] if parameter[2] is None else re.sub(rb"\\(.)", rb"\1", parameter[2])
    if b"name" not in values:
        raise _malformed("a part has no name")
    return values[b"name"].decode("utf-8", "replace"), b"filename" in values or b"filename*" in values


def _malformed(what: str) -> InvalidRequest:
    return InvalidRequest(f"malformed multipart body: {what}")
