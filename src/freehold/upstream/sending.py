"""A request body on its way upstream while it still arrives here: each piece is read once there is room for it.

It ends early where the upstream has answered in full, or the call has: the connection can't be used again then.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from freehold.base.errors import GatewayError
from freehold.observe import log
from freehold.upstream.transport import Streamed

if TYPE_CHECKING:
    from freehold.upstream.connection import Connection

_NEVER = float("inf")


class Sending:
    """One body. Starts at once, in a task of its own; `stop` ends it."""

    def __init__(self, connection: Connection, body: Streamed, loop: asyncio.AbstractEventLoop) -> None:
        self._connection = connection
        self._body = body
        self._loop = loop
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._task = loop.create_task(self._run())

    def stop(self) -> None:
        self._task.cancel()

    def pause(self) -> None:
        """The connection says: the upstream takes no more for now."""
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _run(self) -> None:
        connection, left = self._connection, self._body.size
        chunked = left is None
        try:
            while left != 0:
                connection.since = _NEVER  # the client's time runs, not the upstream's
                data = await self._body.read()
                connection.since = self._loop.time()
                if left is not None:
                    left -= len(data)
                    if not data or left < 0:
                        raise ValueError("the body is not as long as its announced length")
                elif not data:
                    break
                connection.put(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)
                await self._room()
            connection.sent(b"0\r\n\r\n" if chunked else b"")
        except GatewayError as error:
            connection.expire(error)
        except Exception as error:
            log.failure("upload_failed", error)
            connection.expire(GatewayError("sending the request body on failed inside the gateway; its log says why"))

    async def _room(self) -> None:
        await asyncio.sleep(0)  # what was put is written at the end of the turn; only then is it known whether it was much
        while self._paused:
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
            self._connection.since = self._loop.time()
