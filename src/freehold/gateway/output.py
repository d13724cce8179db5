"""The Output port over one HTTP/1.1 connection: frames a reply and carries the client's pace back to whoever writes.

One Reply per request: what still holds an old one can't write into the next reply. Deadlines and the life of the
connection are connection.py's.
"""

from __future__ import annotations

import asyncio
import http
import socket
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from freehold.gateway.request import Request

if TYPE_CHECKING:
    from freehold.gateway.connection import Connection

_STATUS_LINES: Final = {s.value: b"HTTP/1.1 %d %b\r\n" % (s.value, s.phrase.encode()) for s in http.HTTPStatus}
_BODYLESS: Final = frozenset((204, 304))  # by definition, whatever their headers say
_KEEP_ALIVE: Final = b"connection: keep-alive\r\n"
_CLOSE: Final = b"connection: close\r\n"
_COPY_LIMIT_BYTES: Final = 16 * 1024  # above it, a second write is cheaper than joining
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, no time


def status_line(status: int) -> bytes:
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


class Reply:
    """See pipeline.output.Output. After the client has gone every write is a no-op and `drained` raises.

    `put` is the server's outbox, `write` the transport's. `keep_alive`: the connection may serve another request.
    """

    __slots__ = (
        "_bodyless",
        "_chunked",
        "_connection",
        "_on_pause",
        "_on_resume",
        "_put",
        "_request",
        "_waiters",
        "_write",
        "ended",
        "gone",
        "keep_alive",
        "paused",
        "started",
    )

    def __init__(
        self,
        connection: Connection,
        request: Request,
        put: Callable[[Callable[[bytes], None], bytes], None],
        write: Callable[[bytes], None],
        keep_alive: bool,
        paused: bool,
    ) -> None:
        self._connection = connection
        self._request = request
        self._put = put
        self._write = write
        self._bodyless = False
        self._chunked = False
        self._on_pause: Callable[[], None] | None = None
        self._on_resume: Callable[[], None] | None = None
        self._waiters: list[asyncio.Future[None]] | None = None
        self.keep_alive = keep_alive
        self.paused = paused
        self.started = False
        self.ended = False
        self.gone = False

    def whole(self, status: int, headers: bytes, body: bytes) -> None:
        persistence = self._begin()
        self.ended = True
        if self.gone:
            return
        date = self._connection.server.date_line
        if status in _BODYLESS:
            self._put(self._write, b"%b%b%b%b\r\n" % (status_line(status), date, headers, persistence))
            return
        head = b"%b%b%b%bcontent-length: %d\r\n\r\n" % (status_line(status), date, headers, persistence, len(body))
        if self._request.method == "HEAD":
            self._put(self._write, head)
        elif len(body) <= _COPY_LIMIT_BYTES:
            self._put(self._write, head + body)
        else:
            self._send(head)
            self._send(body)

    def start(self, status: int, headers: bytes) -> None:
        http11 = self._request.http11
        self._bodyless = status in _BODYLESS or self._request.method == "HEAD"
        self._chunked = http11 and status not in _BODYLESS
        if not http11 and not self._bodyless:
            self.keep_alive = False  # HTTP/1.0 knows the end of this body by the connection's
        persistence = self._begin()
        if self.gone:
            return
        framing = b"transfer-encoding: chunked\r\n" if self._chunked else b""
        date = self._connection.server.date_line
        self._put(self._write, b"%b%b%b%b%b\r\n" % (status_line(status), date, headers, persistence, framing))

    def write(self, data: bytes) -> None:
        if self.ended or not self.started:
            self._refuse_order("write")
        elif self.gone or self._bodyless or not data:
            return
        elif self._chunked:
            self._send(b"%x\r\n%b\r\n" % (len(data), data))
        else:
            self._send(data)

    def end(self, data: bytes = b"") -> None:
        if self.ended or not self.started:
            self._refuse_order("end")
        self.ended = True
        if self.gone or self._bodyless:
            return
        if not self._chunked:
            self._send(data)
        elif data:
            self._send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data))
        else:
            self._send(b"0\r\n\r\n")

    def switch(self, headers: bytes, receive: Callable[[bytes], None]) -> None:
        if self.started or self.ended:
            self._refuse_order("switch")
        self.started = True
        self.keep_alive = False
        if self.gone:
            return
        self._put(self._write, b"%b%b%b\r\n" % (status_line(101), self._connection.server.date_line, headers))
        self._connection.switch(receive)

    def hold(self, held: bool) -> None:
        self._connection.hold(held)

    def abort(self) -> None:
        """Close without the last chunk. On HTTP/1.0 only a reset tells the client so, and takes unsent bytes with it."""
        if self.ended or self.gone:
            return
        self.ended = True
        self.keep_alive = False
        self.lose()
        if self.started and not self._chunked and not self._bodyless:
            raw = self._connection.transport.get_extra_info("socket")
            if raw is not None:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self._connection.transport.abort()
        else:
            self._connection.close()

    def when_writable(self, pause: Callable[[], None] | None, resume: Callable[[], None] | None) -> None:
        self._on_pause = pause
        self._on_resume = resume

    async def drained(self) -> None:
        self._connection.server.outbox.flush()  # only then is it known whether the client keeps up
        while True:
            if self.gone:
                raise ConnectionResetError("the client has gone")
            if not self.paused:
                return
            waiter = asyncio.get_running_loop().create_future()
            if self._waiters is None:
                self._waiters = []
            self._waiters.append(waiter)
            await waiter

    def pause(self) -> None:
        """The connection says: the client reads slower than we write."""
        self.paused = True
        if self._on_pause is not None:
            self._on_pause()

    def resume(self) -> None:
        self.paused = False
        self._wake()
        if self._on_resume is not None:
            self._on_resume()

    def lose(self) -> None:
        """The connection says: the client has gone."""
        self.gone = True
        self._wake()

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)

    def _send(self, data: bytes) -> None:
        """At the end of this turn; but much at once, so that `pause` comes before more is read for a client that is slow."""
        if len(data) > _COPY_LIMIT_BYTES:
            self._connection.server.outbox.flush()
            self._write(data)
        else:
            self._put(self._write, data)

    def _begin(self) -> bytes:
        """Mark the reply as started; return its connection header line, if it needs one."""
        if self.started or self.ended:
            self._refuse_order("begin")
        self.started = True
        if self.keep_alive and not self._connection.server.draining:
            return b"" if self._request.http11 else _KEEP_ALIVE
        self.keep_alive = False
        return _CLOSE

    def _refuse_order(self, what: str) -> None:
        """Out of order is a programming error; but what comes after an abort goes where the connection went."""
        if not self.gone:
            state = "ended" if self.ended else "begun" if self.started else "not begun"
            raise RuntimeError(f"can't {what}: the reply has {state}")
