"""The way upstream: `Pool.send` finds or opens a connection, sends, and returns when the reply's head is here.

One pool per worker, one bucket per origin, last used first. A coarse sweep keeps all deadlines, so a call sets no timer.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque

from freehold.base.aio import Outbox
from freehold.base.errors import UpstreamBroken, UpstreamTimeout
from freehold.upstream.connection import ASKED, CLOSED, HEAD, IDLE, Connection
from freehold.upstream.dial import Dialer
from freehold.upstream.reply import Reply
from freehold.upstream.sandbox import answer
from freehold.upstream.socket import Socket
from freehold.upstream.transport import Body, Origin, Streamed, Timeouts

# Below the 60 s of AWS load balancers and nginx's 75 s: closing first is cheaper than losing the race against their closing.
# Servers with less (Node and uvicorn: 5 s) say so in Keep-Alive, or close and are seen to.
MAX_IDLE_S = 55.0
SWEEP_S = 0.5  # a deadline is kept to within two sweeps, never early


class Bucket:
    """The connections to one origin. `open` counts those being dialled too; waiters are served in order."""

    __slots__ = ("connections", "idle", "limit", "max_idle_s", "open", "origin", "outbox", "waiters")

    def __init__(self, origin: Origin, limit: int, max_idle_s: float, outbox: Outbox) -> None:
        self.origin = origin
        self.outbox = outbox
        self.limit = limit
        self.max_idle_s = max_idle_s
        self.open = 0
        self.idle: list[Connection] = []
        self.connections: set[Connection] = set()
        self.waiters: deque[asyncio.Future[Connection | None]] = deque()
        if origin.max_connections:
            self.limit = origin.max_connections

    def take(self) -> Connection | None:
        """The connection used last, or None. Dead ones are dropped on the way."""
        idle = self.idle
        while idle:
            connection = idle.pop()
            if connection.phase == IDLE:
                return connection
        return None

    def release(self, connection: Connection, keep_alive: bytes | None) -> None:
        """A reply is whole: its connection is free."""
        connection.idle_limit_s = self.max_idle_s if keep_alive is None else min(self.max_idle_s, advertised_s(keep_alive))
        self.keep(connection)

    def keep(self, connection: Connection) -> None:
        if not self.waiters or not self._hand(connection):
            self.idle.append(connection)

    def forget(self, connection: Connection) -> None:
        """A connection is gone: its place goes to the first waiter."""
        if connection in self.connections:
            self.connections.discard(connection)
            self.free_place()

    def free_place(self) -> None:
        if not self.waiters or not self._hand(None):
            self.open -= 1

    def _hand(self, connection: Connection | None) -> bool:
        """Give a connection, or (None) the right to open one, to the first waiter still there."""
        while self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return True
        return False


_TIMEOUT = re.compile(rb"timeout=(\d{1,9})", re.IGNORECASE)


def advertised_s(keep_alive: bytes) -> float:
    """How long to keep a connection whose server said `Keep-Alive: timeout=N`: one second less than N, so that we close first."""
    match = _TIMEOUT.search(keep_alive)
    return float("inf") if match is None else int(match[1]) - 1.0


class Pool:
    """`max_connections` bounds each origin that has no bound of its own; a call over it waits its turn for `connect_s`.

    A call holds one connection upstream and one to its client, so by default the bound on clients is the bound here.
    """

    def __init__(self, max_connections: int = 10_000, max_idle_s: float = MAX_IDLE_S, sweep_s: float = SWEEP_S) -> None:
        self._max_connections = max_connections
        self._max_idle_s = max_idle_s
        self._sweep_s = sweep_s
        self._buckets: dict[Origin, Bucket] = {}
        self._dialer = Dialer()
        self._outbox = Outbox()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    async def send(self, origin: Origin, head: bytes, body: Body, timeouts: Timeouts) -> Reply:
        """Send one request; return when the reply's head, and all that came with it, has been parsed.

        `head` is the whole request head with its blank line. Raises UpstreamUnreachable, UpstreamTimeout, UpstreamBroken.
        When cancelled, the connection is closed at once.

        A request is repeated once, on a new connection, in one case: its connection had served another call before and
        was closed within STALE_WINDOW_S, without one byte of reply. That is a server dropping an idle connection just as
        we wrote to it. A POST is not idempotent, but here no server has begun to answer it; a fresh connection that dies
        the same way is never retried. Nor is a body that is sent as it arrives; it gets a new connection where there can be one.
        """
        if isinstance(body, Streamed):
            return await self._send_stream(origin, head, body, timeouts)
        bucket = self._buckets.get(origin)
        connection = bucket.take() if bucket is not None else None
        if connection is None:
            if origin.scheme == "sandbox":
                return await answer(head, bytes(body))
            bucket = self._bucket(origin)
            connection = await self._fetch(bucket, timeouts)
        reply = connection.start(head, body, timeouts)
        try:
            await reply.arrival()
        except UpstreamBroken:
            if not connection.stale:
                raise
        except BaseException:
            reply.close()
            raise
        else:
            return reply
        return await self._send_again(self._bucket(origin), head, body, timeouts)

    async def socket(self, origin: Origin) -> Socket:
        """A connection of its own, outside the pool, for what is not HTTP. Raises UpstreamUnreachable; its user closes it."""
        if self._closed:
            raise UpstreamTimeout("the gateway is shutting down")
        loop = asyncio.get_running_loop()
        return await self._dialer.connect(origin, lambda: Socket(loop))

    async def close(self) -> None:
        """Close every connection, the busy ones too, and refuse further calls."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for bucket in self._buckets.values():
            for connection in list(bucket.connections):
                connection.expire(UpstreamBroken("the gateway is shutting down"))
            while bucket.waiters:
                waiter = bucket.waiters.popleft()
                if not waiter.done():
                    waiter.set_exception(UpstreamTimeout("the gateway is shutting down"))
        await asyncio.sleep(0)  # let the transports finish closing

    async def _send_stream(self, origin: Origin, head: bytes, body: Streamed, timeouts: Timeouts) -> Reply:
        if origin.scheme == "sandbox":
            while await body.read():
                pass
            return await answer(head, b"")
        bucket = self._bucket(origin)
        spare = bucket.take() if bucket.open >= bucket.limit else None
        connection = spare or await self._fetch(bucket, timeouts)
        return await self._started(connection, head, body, timeouts)

    async def _send_again(self, bucket: Bucket, head: bytes, body: Body, timeouts: Timeouts) -> Reply:
        return await self._started(await self._fetch(bucket, timeouts), head, body, timeouts)

    async def _started(self, connection: Connection, head: bytes, body: Body, timeouts: Timeouts) -> Reply:
        reply = connection.start(head, body, timeouts)
        try:
            await reply.arrival()
        except BaseException:
            reply.close()
            raise
        return reply

    def _bucket(self, origin: Origin) -> Bucket:
        bucket = self._buckets.get(origin)
        if bucket is None:
            bucket = self._buckets[origin] = Bucket(origin, self._max_connections, self._max_idle_s, self._outbox)
        return bucket

    async def _fetch(self, bucket: Bucket, timeouts: Timeouts) -> Connection:
        """`_acquire` in a Task of its own: its deadline needs one, and a call on the hot path has none (base/aio.py)."""
        task = asyncio.get_running_loop().create_task(self._acquire(bucket, timeouts))
        try:
            return await task
        except BaseException:
            if task.done() and not task.cancelled() and task.exception() is None and task.result().phase == IDLE:
                bucket.keep(task.result())  # the caller left in the moment in which it was given
            raise

    async def _acquire(self, bucket: Bucket, timeouts: Timeouts) -> Connection:
        """A connection that is ready to use: a new one, or the next one given back where the origin is at its limit."""
        if self._closed:
            raise UpstreamTimeout("the gateway is shutting down")
        waiting = bucket.open >= bucket.limit
        try:
            async with asyncio.timeout(timeouts.connect_s):
                while bucket.open >= bucket.limit:
                    connection = await self._turn(bucket)
                    if connection is None:
                        break
                    if connection.phase == IDLE:
                        return connection
                else:
                    bucket.open += 1
                waiting = False
                return await self._open(bucket)
        except TimeoutError:
            after = f"{timeouts.connect_s:g} s"
            if waiting:
                busy = f"all {bucket.limit} connections to {bucket.origin} stayed busy for {after}; raise max_connections"
                raise UpstreamTimeout(busy) from None
            raise UpstreamTimeout(f"{bucket.origin} could not be connected to within {after}; check the network") from None

    async def _turn(self, bucket: Bucket) -> Connection | None:
        """Wait in line. Returns a connection, or None: a place to open one has been kept for the caller."""
        waiter: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        bucket.waiters.append(waiter)
        try:
            return await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:  # given, but its caller has gone
                given = waiter.result()
                if given is None:
                    bucket.free_place()
                elif given.phase == IDLE:
                    bucket.keep(given)
            raise

    async def _open(self, bucket: Bucket) -> Connection:
        """Dial into the place that the caller holds; on failure the place is given up."""
        loop = asyncio.get_running_loop()
        try:
            connection = await self._dialer.connect(bucket.origin, lambda: Connection(bucket, loop))
            if connection.phase == CLOSED or self._closed:
                connection.shut()
                raise UpstreamBroken(f"{bucket.origin} closed the connection as soon as it was open; look at that server's log")
        except BaseException:
            bucket.free_place()
            raise
        bucket.connections.add(connection)
        if self._timer is None:
            self._timer = loop.call_later(self._sweep_s, self._sweep)
        return connection

    def _sweep(self) -> None:
        """Keep the deadlines of all connections. Runs while there are any."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        alive = False
        for bucket in self._buckets.values():
            if bucket.connections:
                alive = True
                for connection in list(bucket.connections):
                    check(connection, bucket.origin, now)
                bucket.idle = [connection for connection in bucket.idle if connection.phase == IDLE]
        self._timer = loop.call_later(self._sweep_s, self._sweep) if alive else None


def check(connection: Connection, origin: Origin, now: float) -> None:
    """Close `connection` if a deadline passed: idle in the pool, waiting for a head, or silent within a body."""
    silent_s = now - connection.since
    phase = connection.phase
    if phase == IDLE:
        if silent_s > connection.idle_limit_s:
            connection.shut()
    elif phase in (ASKED, HEAD):
        limit_s = connection.timeouts.first_byte_s
        if silent_s > limit_s:
            connection.expire(UpstreamTimeout(f"{origin} did not answer within {limit_s:g} s; try again or raise first_byte"))
    elif connection.heard or connection.paused:
        connection.heard = False
        connection.since = now
    elif silent_s > connection.timeouts.idle_s:
        limit_s = connection.timeouts.idle_s
        connection.expire(UpstreamTimeout(f"{origin} fell silent for {limit_s:g} s in mid-reply; try again or raise idle"))
