"""One upstream reply as its reader sees it: status and headers, then bytes as they come, held back on request.

Whatever produces the bytes (a connection, the sandbox) feeds the reply; whoever serves the call takes, reads or pumps
them. While nobody takes them the buffer is bounded: the source is paused at HIGH_BYTES. No HTTP here.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Protocol

from freehold.base.errors import GatewayError, UpstreamBroken

HIGH_BYTES = 64 * 1024


class Source(Protocol):
    """What feeds a reply. `pause` and `resume` are hints about reading; `abort` ends it at once, with no more feeding."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def abort(self) -> None: ...


_FOLD = re.compile(rb"\r\n[ \t]+")


def parse_headers(head: bytes) -> dict[bytes, bytes]:
    """The header lines of a head that the HTTP parser has accepted."""
    if head.find(b"\r\n ") >= 0 or head.find(b"\r\n\t") >= 0:  # obsolete line folding
        head = _FOLD.sub(b" ", head)
    headers: dict[bytes, bytes] = {}
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        name = name.lower()
        value = value.strip(b" \t")
        headers[name] = headers[name] + b", " + value if name in headers else value
    return headers


class Reply:
    """`head` is the raw status line and header lines; `headers` have lower-case names, repeated ones are joined by ", ".
    `complete`: the last byte has arrived here.
    """

    __slots__ = (
        "_error",
        "_full",
        "_headers",
        "_held",
        "_loop",
        "_lower",
        "_pieces",
        "_sink",
        "_size",
        "_source",
        "_waiter",
        "complete",
        "head",
        "status",
    )

    def __init__(self, source: Source, loop: asyncio.AbstractEventLoop) -> None:
        self.status = 0
        self.head = b""
        self._headers: dict[bytes, bytes] | None = None
        self._lower = b""
        self.complete = False
        self._source: Source | None = source  # None: nothing more can come
        self._loop = loop
        self._pieces: list[bytes] = []
        self._size = 0
        self._full = False  # paused because nobody takes what is here
        self._held = False  # paused because the reader asked
        self._sink: Callable[[bytes], None] | None = None
        self._error: BaseException | None = None
        self._waiter: asyncio.Future[None] | None = None

    # --- the reader's side ---

    @property
    def headers(self) -> dict[bytes, bytes]:
        """Read from `head` when first asked for: half the price of a callback for each header, and often nobody asks."""
        if self._headers is None:
            self._headers = parse_headers(self.head)
        return self._headers

    def header(self, name: bytes) -> bytes:
        """One header's first value, b"" where there is none. `name` in lower case. For the few that every call asks for."""
        if not self._lower:
            self._lower = self.head.lower()
        at = self._lower.find(b"\r\n%b:" % name)
        if at < 0:
            return b""
        at += len(name) + 3
        end = self.head.find(b"\r\n", at)
        return self.head[at : end if end >= 0 else None].strip(b" \t")

    def take(self) -> bytes:
        """What is buffered now, b"" if nothing. Never waits, never raises."""
        pieces = self._pieces
        if not pieces:
            return b""
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._size = 0
        if self._full:
            self._full = False
            if not self._held and self._source is not None:
                self._source.resume()
        return data

    async def read(self) -> bytes:
        """The next bytes; b"" at the proper end. Raises UpstreamBroken (cut short) or UpstreamTimeout (silent)."""
        while True:
            if self._pieces:
                return self.take()
            if self.complete:
                return b""
            await self.arrival()

    async def pump(self, sink: Callable[[bytes], None]) -> None:
        """Give `sink` what is buffered, then each piece as it arrives, without a task switch. Returns at the end.

        Raises like `read`, and whatever `sink` raises. Once `close` was called elsewhere: UpstreamBroken.
        """
        data = self.take()
        if data:
            sink(data)
        if self.complete:
            return
        self._sink = sink
        try:
            await self.arrival()
        finally:
            self._sink = None

    def pause(self) -> None:
        """Stop reading from the upstream until `resume`. What was already on its way may still arrive."""
        if not self._held:
            self._held = True
            if self._source is not None and not self._full:
                self._source.pause()

    def resume(self) -> None:
        if self._held:
            self._held = False
            if self._source is not None and not self._full:
                self._source.resume()

    def close(self) -> None:
        """Drop what was not read and, where the reply is not complete, close the upstream connection at once. Idempotent."""
        self._pieces.clear()
        self._size = 0
        source = self._source
        if source is not None:
            self._source = None
            source.abort()
            self._settle(UpstreamBroken("this reply was closed by its reader"))

    # --- the source's side ---

    async def arrival(self) -> None:
        """Wait until something was fed. Raises the failure if there is one."""
        if self._error is not None:
            raise self._error
        waiter = self._waiter = self._loop.create_future()
        try:
            await waiter
        finally:
            self._waiter = None

    def feed(self, data: bytes) -> None:
        """More bytes (or none: the head alone). Wakes a waiting reader; a sink gets them right here."""
        sink = self._sink
        if sink is not None:
            if data:
                self._pour(sink, data)
            return
        if data:
            self._pieces.append(data)
            self._size += len(data)
            if self._size > HIGH_BYTES and not self._full and self._source is not None:
                self._full = True
                if not self._held:
                    self._source.pause()
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def finish(self, data: bytes = b"") -> None:
        """The last bytes. The source is let go of: it may serve another call from now on."""
        self._source = None
        self.complete = True
        sink = self._sink
        if sink is None:
            if data:
                self._pieces.append(data)
                self._size += len(data)
        elif data:
            self._pour(sink, data)
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def fail(self, error: GatewayError) -> None:
        """Nothing more will come: the reply was cut. Bytes already here can still be taken."""
        self._source = None
        self._settle(error)

    def _pour(self, sink: Callable[[bytes], None], data: bytes) -> None:
        try:
            sink(data)
        except BaseException as error:  # handed to the task that pumps: the event loop must not see it
            self._sink = None
            source = self._source
            self._source = None
            if source is not None:
                source.abort()
            self._settle(error)

    def _settle(self, error: BaseException) -> None:
        if self._error is None:
            self._error = error
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)
