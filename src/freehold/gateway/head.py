"""Read the head of an HTTP/1.x request: strict where two readers could disagree about where a message ends.

llhttp (through httptools) does the tokenising; the checks on top are the places where it is looser than we want:
the shape of the request line, versions, Host, transfer codings. A parser serves one head and is dropped, since making
one costs 0.3 µs; the framing of bodies is then ours alone and no parser state outlives a head. Sans-IO.
"""

from __future__ import annotations

import re

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from freehold.base.errors import GatewayError
from freehold.gateway.request import CHUNKED, Request, refused

MAX_HEAD_BYTES = 32 * 1024
MAX_TARGET_BYTES = 8 * 1024
MAX_HEADERS = 100

# Two of these in one request mean that two readers may take different ones for true.
_SINGLE = frozenset(
    (b"host", b"content-length", b"transfer-encoding", b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key", b"expect")
)
_REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) [!-~]+ HTTP/(\d\.\d)\r\n")
_METHODS = {name.encode(): name for name in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")}
_MAX_LENGTH_DIGITS = 19


class HeadReader:
    """Turns heads into requests, one at a time. Not to be shared between threads."""

    __slots__ = ("_headers", "_lines")

    def __init__(self) -> None:
        self._headers: dict[bytes, bytes] = {}
        self._lines = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """httptools calls this once for each header line."""
        name = name.lower()
        headers = self._headers
        if name in headers:
            self._repeated(name, value)
        else:
            headers[name] = value.rstrip()  # llhttp has stripped the left, and refuses other white space than SP and HT

    def _repeated(self, name: bytes, value: bytes) -> None:
        self._lines += 1
        if name in _SINGLE:
            self._headers[b""] = name  # no real header has an empty name; `read` turns it into the refusal
        else:
            self._headers[name] += b", " + value.rstrip()

    def read(self, head: bytes, client_ip: str) -> Request:
        """`head` reaches from the first byte of the request line to the blank line's CRLF, included.

        Raises GatewayError with status 400, 414, 417, 431, 501 or 505.
        """
        try:
            verb, target, rest = head.split(b" ", 2)
        except ValueError:
            raise _bad_request_line(head) from None
        method = _METHODS.get(verb)
        http11 = rest[:10] == b"HTTP/1.1\r\n"
        # llhttp would skip empty lines before the method, and take a line without a version for HTTP/0.9.
        if method is None or not (http11 or rest[:10] == b"HTTP/1.0\r\n") or b"\n" in target:
            raise _bad_request_line(head)
        if len(target) > MAX_TARGET_BYTES:
            raise refused(414, f"the request target has {len(target)} bytes; at most {MAX_TARGET_BYTES} are read")

        headers: dict[bytes, bytes] = {}
        self._headers = headers
        self._lines = 0
        try:
            HttpRequestParser(self).feed_data(head)
        except HttpParserUpgrade:
            pass  # an offer that we may decline by answering in HTTP/1.1 (RFC 9110, 7.8)
        except HttpParserError as error:
            raise refused(400, f"malformed request: {error}") from None
        if b"" in headers:
            raise refused(400, f"the header {headers[b''].decode()} is sent more than once; send one")
        if len(headers) + self._lines > MAX_HEADERS:
            raise refused(431, f"the request has {len(headers) + self._lines} headers; at most {MAX_HEADERS} are read")

        path, _, query = (target if target[:1] == b"/" else _origin_form(verb, target)).partition(b"?")
        if http11:
            if b"host" not in headers:
                raise refused(400, "the header host is missing; HTTP/1.1 requires one")
            keep_alive = b"connection" not in headers or not _has_token(headers[b"connection"], b"close")
        else:
            keep_alive = b"connection" in headers and _has_token(headers[b"connection"], b"keep-alive")
        length = headers.get(b"content-length")
        if length is None:
            content_length = 0 if b"transfer-encoding" not in headers else _coding(headers[b"transfer-encoding"], http11)
        elif len(length) > _MAX_LENGTH_DIGITS:
            raise refused(400, "the header content-length is out of range")
        else:
            content_length = int(length)  # llhttp has refused all but digits, and both lengths at once
        if b"expect" in headers and http11 and headers[b"expect"].lower() != b"100-continue":
            raise refused(417, "unknown expectation in the header expect; only 100-continue is known")
        return Request(
            method,
            path.decode(),  # ASCII: llhttp has seen to it
            query,
            headers,
            http11,
            keep_alive,
            content_length,
            client_ip,
        )


def _bad_request_line(head: bytes) -> GatewayError:
    match = _REQUEST_LINE.match(head)
    if match is None:
        return refused(400, "malformed request line; it is a method, a target and HTTP/1.1, with one space between them")
    if match[2] not in (b"1.1", b"1.0"):
        return refused(505, "unknown HTTP version; this server speaks HTTP/1.1 and HTTP/1.0")
    return refused(501, f"unknown method {match[1][:20].decode()}; known are {', '.join(_METHODS.values())}")


def _has_token(value: bytes, token: bytes) -> bool:
    return token in [part.strip(b" \t") for part in value.lower().split(b",")]


def _coding(value: bytes, http11: bool) -> int:
    if not http11:
        raise refused(400, "transfer-encoding needs HTTP/1.1; send content-length")
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
