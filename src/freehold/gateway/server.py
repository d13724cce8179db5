"""The gateway's HTTP/1.1 server: listens, counts, sweeps deadlines, drains. Knows nothing of dialects, keys or routes.

No HTTP/2 and no WebSocket: a front proxy's work, and another module's.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time

from freehold.base.aio import Outbox
from freehold.base.errors import GatewayError, Unavailable
from freehold.config.schema import ServerConfig
from freehold.gateway.connection import Connection
from freehold.gateway.head import HeadReader
from freehold.gateway.request import Handler

_SWEEP_S = 0.25
_TLS_CLOSE_S = 5.0  # for a client to agree to the end of a TLS session
_FORCE_S = 2.0  # for cancelled calls to write their records
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def listen(host: str, port: int, backlog: int = 1024) -> list[socket.socket]:
    """Sockets that listen on every address of `host` (port 0: one free port for all). Raises OSError."""
    sockets: list[socket.socket] = []
    try:
        for family, _, _, _, address in dict.fromkeys(
            socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        ):
            if sockets and not port:
                address = (address[0], sockets[0].getsockname()[1], *address[2:])
            sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            sockets.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(address)
            sock.listen(backlog)
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    return sockets


class Server:
    """One event loop's share of the gateway. Call `start` once, in the loop; then `drain`."""

    def __init__(self, handler: Handler, config: ServerConfig, *, ssl_context: ssl.SSLContext | None = None) -> None:
        self.handler = handler
        self.head_reader = HeadReader()
        self.max_body_bytes = int(config.max_body_mib * 1024 * 1024)
        self.max_upload_bytes = int(config.max_upload_mib * 1024 * 1024)
        self.header_timeout_s = config.header_timeout
        self.body_timeout_s = config.body_timeout
        self.idle_timeout_s = config.idle_timeout
        self.send_timeout_s = config.send_timeout
        self.outbox = Outbox()
        self.active_calls = 0
        self.draining = False
        self.now = time.monotonic()  # coarse: as of the last sweep
        self.date_line = b""  # "date: ...", of this second
        self._date_s = 0
        self._max_connections = config.max_connections
        # Turned-away clients are answered, but not without end: beyond this they find a closed door.
        self._hard_max_connections = config.max_connections + max(64, config.max_connections // 10)
        self._ssl_context = ssl_context
        timeouts = (config.header_timeout, config.body_timeout, config.idle_timeout, config.send_timeout)
        self._sweep_s = min(_SWEEP_S, min(timeouts) / 4)
        self._connections: set[Connection] = set()
        self._sockets: list[socket.socket] = []
        self._listeners: list[asyncio.Server] = []
        self._sweeper: asyncio.TimerHandle | None = None
        self._emptied: asyncio.Event = asyncio.Event()

    @property
    def open_connections(self) -> int:
        return len(self._connections)

    @property
    def addresses(self) -> list[tuple[str, int]]:
        return [sock.getsockname()[:2] for sock in self._sockets]

    async def start(self, sockets: list[socket.socket]) -> None:
        """Accept connections on listening sockets; they are the server's from now on."""
        self._loop = asyncio.get_running_loop()
        self.call_soon = self._loop.call_soon
        self._sockets = sockets
        self._sweep()
        await self.resume()

    def pause(self) -> None:
        """Accept no more connections; those that come wait in the kernel's backlog."""
        for listener in self._listeners:
            listener.close()
        self._listeners = []

    async def resume(self) -> None:
        """Accept connections again after `pause`."""
        if self._listeners or self.draining:
            return
        for sock in self._sockets:
            # A duplicate: closing a listener closes its socket, and ours has to survive a pause.
            self._listeners.append(
                await self._loop.create_server(
                    lambda: Connection(self),
                    sock=sock.dup(),
                    ssl=self._ssl_context,
                    ssl_handshake_timeout=self.header_timeout_s if self._ssl_context else None,
                    ssl_shutdown_timeout=_TLS_CLOSE_S if self._ssl_context else None,
                    backlog=1024,
                )
            )

    async def drain(self, timeout_s: float) -> None:
        """Accept no more, let calls in flight finish, close idle connections; after `timeout_s` end what is left."""
        self.draining = True
        self.pause()
        for sock in self._sockets:
            sock.close()
        for connection in list(self._connections):
            connection.close_if_idle()
        if not await self._all_closed(timeout_s):
            for connection in list(self._connections):
                connection.force()
            await self._all_closed(_FORCE_S)
        if self._sweeper is not None:
            self._sweeper.cancel()

    def enter(self, connection: Connection) -> GatewayError | None:
        """A new connection; the answer is why it can't stay, if so."""
        self._connections.add(connection)
        if len(self._connections) > self._hard_max_connections:
            connection.force()
        elif len(self._connections) > self._max_connections:
            message = f"all {self._max_connections} connections are in use; try again soon, or raise server.max_connections"
            return Unavailable(message, retry_after_s=1)
        elif self.draining:
            return Unavailable("the gateway is shutting down; try again, another one will answer", retry_after_s=1)
        return None

    def leave(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._emptied.set()

    async def _all_closed(self, timeout_s: float) -> bool:
        """Whether every connection is closed and every call has ended, waiting for it at most `timeout_s`."""
        end = time.monotonic() + timeout_s
        while self._connections or self.active_calls:
            left = end - time.monotonic()
            if left <= 0:
                return False
            self._emptied.clear()
            try:
                # Calls end without a signal of their own, so look now and then as well.
                await asyncio.wait_for(self._emptied.wait(), min(left, 0.05))
            except TimeoutError:
                continue
        return True

    def _sweep(self) -> None:
        """Keep the coarse clock and the date, and end what has waited too long: no timer per request."""
        now = self.now = time.monotonic()
        seconds = int(time.time())
        if seconds != self._date_s:
            self._date_s = seconds
            self.date_line = _date_line(seconds)
        for connection in [c for c in self._connections if c.deadline < now]:
            connection.expire()
        self._sweeper = self._loop.call_later(self._sweep_s, self._sweep)


def _date_line(seconds: int) -> bytes:
    """The date header in the one format that is left to send (RFC 9110, 5.6.7), whatever the locale."""
    t = time.gmtime(seconds)
    clock = f"{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02} GMT"
    return f"date: {_DAYS[t.tm_wday]}, {t.tm_mday:02} {_MONTHS[t.tm_mon - 1]} {t.tm_year} {clock}\r\n".encode()
