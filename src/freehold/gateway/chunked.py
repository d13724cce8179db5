"""Decode a request body in chunked transfer coding, strictly: CRLF line ends only, every part bounded.

Strict because a reader in front of us may disagree about anything unusual, and then about where the next request
begins. Trailers are checked and dropped. Sans-IO.
"""

from __future__ import annotations

import re
from typing import Protocol

from freehold.gateway.request import refused

MAX_LINE_BYTES = 4 * 1024  # a size line with its extensions, or one trailer
MAX_EXTRAS_BYTES = 16 * 1024  # all extensions and trailers of one body

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})(;[\t\x20-\x7e\x80-\xff]*)?")
_TRAILER = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[\t\x20-\x7e\x80-\xff]*")
_FRAMING = frozenset((b"content-length", b"transfer-encoding", b"host"))

_SIZE_LINE, _DATA, _DATA_END, _TRAILERS = range(4)


class Sink(Protocol):
    def write(self, data: bytes, /) -> object: ...


class ChunkedBody:
    """Feed it what follows the head until `done`. The data, at most `limit` bytes, is written to `body`."""

    __slots__ = ("_extras", "_left", "_limit", "_line", "_size", "_state", "body", "done")

    def __init__(self, limit: int, body: Sink) -> None:
        self.body = body
        self.done = False
        self._limit = limit
        self._state = _SIZE_LINE
        self._line = b""  # a line whose end has not come yet
        self._size = 0  # of the body as announced so far
        self._left = 0
        self._extras = 0

    def feed(self, data: bytes, at: int) -> int:
        """Read `data` from index `at`; return the index after the last byte that belongs to the body.

        Raises GatewayError, 400 for bad framing and 413 when the body would pass the limit.
        """
        while not self.done and at < len(data):
            if self._state == _DATA:
                piece = data[at : at + self._left]
                self.body.write(piece)
                at += len(piece)
                self._left -= len(piece)
                if not self._left:
                    self._state = _DATA_END
                continue
            end = data.find(b"\n", at) + 1
            line = self._line + (data[at:end] if end else data[at:])
            if len(line) > MAX_LINE_BYTES:
                raise refused(400, f"malformed chunked body: a line has more than {MAX_LINE_BYTES} bytes")
            if self._state == _DATA_END and line not in (b"\r", b"\r\n"):
                raise refused(400, "malformed chunked body: a chunk is longer than its size says")
            if not end:
                self._line = line
                return len(data)
            self._line = b""
            at = end
            if line[-2:] != b"\r\n":
                raise refused(400, "malformed chunked body: a line ends in a bare LF")
            self._take_line(line[:-2])
        return at

    def _take_line(self, line: bytes) -> None:
        if self._state == _DATA_END:
            self._state = _SIZE_LINE
        elif self._state == _SIZE_LINE:
            self._open_chunk(line)
        elif not line:
            self.done = True
        else:
            match = _TRAILER.fullmatch(line)
            if match is None or match[1].lower() in _FRAMING:
                raise refused(400, "malformed chunked body: bad trailer")
            self._count(len(line))

    def _open_chunk(self, line: bytes) -> None:
        match = _SIZE.fullmatch(line)
        if match is None:
            raise refused(400, "malformed chunked body: bad chunk size")
        size = int(match[1], 16)
        self._size += size
        if self._size > self._limit:
            raise refused(413, f"the request body is larger than {self._limit} bytes, the most that is read")
        self._count(len(match[2] or b""))
        self._left = size
        self._state = _DATA if size else _TRAILERS

    def _count(self, extra_bytes: int) -> None:
        self._extras += extra_bytes
        if self._extras > MAX_EXTRAS_BYTES:
            raise refused(400, f"malformed chunked body: more than {MAX_EXTRAS_BYTES} bytes of extensions and trailers")
