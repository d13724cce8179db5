"""A request body that is given on as it arrives: what is buffered of it is bounded, and holds the client back.

While nobody reads, nothing is read from the client, so its end can't be seen in the usual way: the server's sweep asks the
kernel. (A client that dies with bytes unsent is seen only once there is room for them: TCP tells no sooner.)
"""

from __future__ import annotations

import asyncio
import select
from typing import TYPE_CHECKING

from freehold.base.errors import GatewayError, RequestTimeout
from freehold.gateway.chunked import ChunkedBody

if TYPE_CHECKING:
    from freehold.gateway.connection import Connection

HIGH_BYTES = 64 * 1024  # buffered above this, the client waits; one read of up to 256 KB may come on top
_GONE = select.POLLERR | select.POLLHUP | getattr(select, "POLLRDHUP", 0)


class Incoming:
    """See pipeline.input.Input. `length` None: the body comes in chunks; at most `limit` bytes are taken."""

    def __init__(self, connection: Connection, length: int | None, limit: int, hold_bytes: int, keep_alive: bool) -> None:
        self.length = length
        self.hold_bytes = hold_bytes
        self.keep_alive = keep_alive  # whether the connection may serve another request once the body is whole
        self.complete = False
        self.error: GatewayError | None = None
        self._connection = connection
        self._chunks = ChunkedBody(limit, self) if length is None else None
        self._left = length or 0
        self._pieces: list[bytes] = []
        self._size = 0
        self.held = False  # the client waits
        self._waiter: asyncio.Future[None] | None = None

    async def read(self) -> bytes:
        while not self._pieces:
            if self.error is not None:
                raise self.error
            if self.complete:
                return b""
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._pieces = []
        self._size = 0
        if self.held:
            self.held = False
            self._connection.hold(False)
            self._wait_on()
        return data

    # --- the connection's side ---

    def take(self, data: bytes, at: int) -> int:
        """Read `data` from index `at`; return the index after the last byte of the body. Sets `complete` or `error`."""
        if self.error is not None:
            return len(data)  # the call is about to say so
        try:
            if self._chunks is not None:
                at = self._chunks.feed(data, at)
                self.complete = self._chunks.done
            else:
                piece = data[at : at + self._left]
                at += len(piece)
                self._left -= len(piece)
                self.complete = not self._left
                self.write(piece)
        except GatewayError as error:
            self.fail(error)
            return len(data)
        self._wake()
        return at

    def receive(self, data: bytes) -> None:
        at = self.take(data, 0)
        if self.complete:
            self._connection.body_ended(self, data, at)
        elif not self.held:
            self._wait_on()

    def write(self, data: bytes) -> None:
        if data:
            self._pieces.append(data)
            self._size += len(data)
            if self._size > HIGH_BYTES and not self.held and not self.complete:
                self.held = True
                self._connection.hold(True)
                self._connection.deadline = 0.0  # the next sweep calls `expire`, and each one after it

    def expire(self) -> bool:
        """The deadline has passed. True: the client has gone."""
        if self.held:
            return self._has_gone()
        self.fail(RequestTimeout("the request body did not arrive in time; send it without pauses"))
        self._connection.deadline = float("inf")
        return False

    def fail(self, error: GatewayError) -> None:
        """Nothing more comes. What is here already can still be read."""
        if self.error is None and not self.complete:
            self.error = error
        self._wake()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _wait_on(self) -> None:
        """It is the client's turn again."""
        if not self.complete and self.error is None:
            server = self._connection.server
            self._connection.deadline = server.now + server.body_timeout_s

    def _has_gone(self) -> bool:
        raw = self._connection.transport.get_extra_info("socket")
        if raw is None:
            return False
        poll = select.poll()
        try:
            poll.register(raw.fileno(), _GONE & ~select.POLLHUP & ~select.POLLERR)  # these two are always told
            return any(events & _GONE for _, events in poll.poll(0))
        except (OSError, ValueError):
            return True
