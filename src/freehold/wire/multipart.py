"""Find the fields of a multipart/form-data body (RFC 7578) without copying or looking into its files.

Strict where two readers could disagree about where a part ends or what it is called: the gateway must read the same
model name as the provider behind it. The body is passed on as it came but for that name. Sans-IO.
"""

from __future__ import annotations

import re

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
    delimiter = b"\r\n--" + boundary_of(content_type)
    if not body.startswith(delimiter[2:]):
        raise _malformed("it does not begin with its boundary")
    form = Form({}, {}, [])
    at = len(delimiter) - 2
    while body[at : at + 2] == b"\r\n":
        at += 2
        head_end = body.find(b"\r\n\r\n", at, at + MAX_PART_HEAD_BYTES)
        if head_end < 0:
            raise _malformed(f"a part's head does not end within {MAX_PART_HEAD_BYTES} bytes")
        name, is_file = _part(body[at:head_end])
        start = head_end + 4
        # From the blank line on: a delimiter that begins with it would leave the part without a body.
        end = body.find(delimiter, start - 2)
        if end < start:
            raise _malformed("a part has no body, or the last boundary is missing")
        form.names.append(name)
        if len(form.names) > MAX_PARTS:
            raise _malformed(f"it has more than {MAX_PARTS} parts")
        if name in wanted:
            _keep(form, name, is_file, body, start, end)
        at = end + len(delimiter)
    if body[at : at + 2] != b"--" or body[at + 2 :] not in (b"", b"\r\n"):
        raise _malformed("something other than a line's end follows a boundary")
    return form


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


def _keep(form: Form, name: str, is_file: bool, body: bytes, start: int, end: int) -> None:
    if is_file:
        raise InvalidRequest(f"{name!r} must be a plain field of the form, not a file", param=name)
    if name in form.texts:
        raise InvalidRequest(f"the form has more than one {name!r}; send one", param=name)
    if end - start > MAX_TEXT_BYTES:
        raise InvalidRequest(f"{name!r} has {end - start} bytes; at most {MAX_TEXT_BYTES} are read", param=name)
    try:
        form.texts[name] = body[start:end].decode()
    except UnicodeDecodeError:
        raise InvalidRequest(f"{name!r} is not valid UTF-8", param=name) from None
    form.spans[name] = (start, end)


def _malformed(what: str) -> InvalidRequest:
    return InvalidRequest(f"malformed multipart body: {what}")
