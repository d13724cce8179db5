"""Read the head of an HTTP/1.x request: strict where two readers could disagree about where a message ends.

Clients repeat themselves: of some seventeen header lines only one or two differ from one request of an SDK to the next.
So a line is parsed once and remembered, which costs a third of a parser's run over the whole head. Lines that carry a
secret are not remembered. Sans-IO.
"""

from __future__ import annotations

import re
from typing import Final

from freehold.gateway.request import CHUNKED, Request, refused

MAX_HEAD_BYTES: Final = 32 * 1024
MAX_TARGET_BYTES: Final = 8 * 1024
MAX_HEADERS: Final = 100

_SECRET: Final = frozenset((b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key", b"cookie", b"proxy-authorization"))
# Two of these in one request mean that two readers may take different ones for true.
_SINGLE = frozenset((b"host", b"content-length", b"transfer-encoding", b"expect")) | _SECRET - {b"cookie"}
_LINE: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*((?:[\x21-\x7e\x80-\xff][\t\x20-\x7e\x80-\xff]*)?)")
_REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([!-~]+) HTTP/(\d\.\d)")
_METHODS = {name.encode(): name for name in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")}
_DIGITS: Final = re.compile(rb"[0-9]{1,19}")
_REMEMBERED = 1024  # lines; then all are forgotten, which is simpler than choosing and costs a parse each
_REMEMBERED_BYTES: Final = 512  # a longer line is parsed each time


class _Lines(dict[bytes, tuple[bytes, bytes]]):
    """Header line -> (lower-case name, value without outer white space). Asked for an unknown line it parses it."""

    def __missing__(self, line: bytes) -> tuple[bytes, bytes]:
        match = _LINE.fullmatch(line)
        if match is None:
            raise refused(400, "malformed request: a header line is not a name, a colon and a value of printable characters")
        name = match[1].lower()
        pair = (name, match[2].rstrip(b" \t"))
        if len(line) <= _REMEMBERED_BYTES and name not in _SECRET:
            if len(self) >= _REMEMBERED:
                self.clear()
            self[line] = pair
        return pair


class _Target:
    """A request line, parsed. `path` is not percent-decoded."""

    __slots__ = ("http11", "method", "path", "query")

    def __init__(self, method: str, path: str, query: bytes, http11: bool) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.http11 = http11


class HeadReader:
    """Turns heads into requests, one at a time. Not to be shared between threads."""

    __slots__ = ("_line", "_targets")

    def __init__(self) -> None:
        self._line = _Lines().__getitem__
        self._targets: dict[bytes, _Target] = {}

    def read(self, head: bytes, client_ip: str) -> Request:
        """`head` reaches from the first byte of the request line to the blank line's CRLF, included.

        Raises GatewayError with status 400, 414, 417, 431, 501 or 505.
        """
        lines = head[:-4].split(b"\r\n")
        first = lines[0]
        target = self._targets.get(first) or self._request_line(first)
        del lines[0]
        if len(lines) > MAX_HEADERS:
            raise refused(431, f"the request has {len(lines)} headers; at most {MAX_HEADERS} are read")
        headers = dict(map(self._line, lines))
        if len(headers) != len(lines):
            headers = self._with_repeated(lines)
        http11 = target.http11
        if http11:
            if b"host" not in headers:
                raise refused(400, "the header host is missing; HTTP/1.1 requires one")
            keep_alive = b"connection" not in headers or not _has_token(headers[b"connection"], b"close")
        else:
            keep_alive = b"connection" in headers and _has_token(headers[b"connection"], b"keep-alive")
        length = headers.get(b"content-length")
        if b"transfer-encoding" in headers:
            if length is not None:
                raise refused(400, "content-length and transfer-encoding are both given; send one")
            content_length = _coding(headers[b"transfer-encoding"], http11)
        elif length is None:
            content_length = 0
        elif _DIGITS.fullmatch(length):
            content_length = int(length)
        else:
            raise refused(400, "the header content-length is not a number of bytes, or out of range")
        if b"expect" in headers and http11 and headers[b"expect"].lower() != b"100-continue":
            raise refused(417, "unknown expectation in the header expect; only 100-continue is known")
        return Request(target.method, target.path, target.query, headers, http11, keep_alive, content_length, client_ip)

    def _with_repeated(self, lines: list[bytes]) -> dict[bytes, bytes]:
        """Repeated headers joined by ", " (RFC 9110, 5.3)."""
        headers: dict[bytes, bytes] = {}
        for name, value in map(self._line, lines):
            if name not in headers:
                headers[name] = value
            elif name in _SINGLE:
                raise refused(400, f"the header {name.decode()} is sent more than once; send one")
            else:
                headers[name] += b", " + value
        return headers

    def _request_line(self, line: bytes) -> _Target:
        match = _REQUEST_LINE.fullmatch(line)
        if match is None:
            raise refused(400, "malformed request line; it is a method, a target and HTTP/1.1, with one space between them")
        verb, target, version = match.groups()
        if version not in (b"1.1", b"1.0"):
            raise refused(505, "unknown HTTP version; this server speaks HTTP/1.1 and HTTP/1.0")
        method = _METHODS.get(verb)
        if method is None:
            raise refused(501, f"unknown method {verb[:20].decode()}; known are {', '.join(_METHODS.values())}")
        if len(target) > MAX_TARGET_BYTES:
            raise refused(414, f"the request target has {len(target)} bytes; at most {MAX_TARGET_BYTES} are read")
        path, _, query = (target if target[:1] == b"/" else _origin_form(verb, target)).partition(b"?")
        parsed = _Target(method, path.decode(), query, version == b"1.1")
        if not query and len(line) <= _REMEMBERED_BYTES:  # a query may hold a key
            if len(self._targets) >= _REMEMBERED:
                self._targets.clear()
            self._targets[line] = parsed
        return parsed


def _has_token(value: bytes, token: bytes) -> bool:
    return token in [part.strip(b" \t") for part in value.lower().split(b",")]


def _coding(value: bytes, http11: bool) -> int:
    if not http11:
        raise refused(400, "transfer-encoding needs HTTP/1.1; send content-length")
    if not value.lower().endswith(b"chunked") or value[-8:-7] not in (b"", b",", b" ", b"\t"):
        raise refused(400, "the last transfer-encoding is not chunked: where the body ends can't be known")
    if value.lower() != b"chunked":
        raise refused(501, "unknown transfer-encoding; only chunked is known")
    return CHUNKED


def _origin_form(method: bytes, target: bytes) -> bytes:
    """The path and query of an absolute-form target, which every server must accept (RFC 9112, 3.2.2)."""
    if target == b"*" and method == b"OPTIONS":
        return target
    scheme, _, rest = target.partition(b"://")
    if scheme.lower() not in (b"http", b"https"):
        raise refused(400, "malformed request target: it starts with / or http://")
    cut = min(i for i in (rest.find(b"/"), rest.find(b"?"), len(rest)) if i >= 0)
    path = rest[cut:]
    return path if path[:1] == b"/" else b"/" + path
