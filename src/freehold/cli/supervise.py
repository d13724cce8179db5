"""Several workers on one listening socket: start them, restart one that dies, pass signals on, wait until they have drained.

The kernel hands each new connection to one of the workers; a worker's death loses no connection that waits to be accepted.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Sequence

from freehold.cli.settings import Failed
from freehold.observe import log

FIRST_DELAY_S = 0.2
MAX_DELAY_S = 10.0
STEADY_S = 30.0  # a worker that lived this long is restarted without delay
KILL_AFTER_DRAIN_S = 5.0


def supervise(count: int, command: Sequence[str], listener: socket.socket, on_ready: Callable[[], None], drain_s: float) -> None:
    """Keep `count` processes of `command` running (with --fd and --link added) until SIGTERM or SIGINT, then drain them.

    `on_ready` is called once, when all serve for the first time. Raises Failed if one ends before it ever served.
    """
    asyncio.run(_Supervisor(count, command, listener, on_ready, drain_s).run())


class _Supervisor:
    def __init__(
        self, count: int, command: Sequence[str], listener: socket.socket, on_ready: Callable[[], None], drain_s: float
    ) -> None:
        self._count = count
        self._command = command
        self._listener = listener
        self._on_ready = on_ready
        self._drain_s = drain_s
        self._stopping = asyncio.Event()
        self._ready: set[int] = set()  # places whose worker has served at least once

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        places = [asyncio.create_task(self._keep(place)) for place in range(self._count)]
        try:
            await asyncio.gather(*places)
        finally:
            self._stopping.set()
            await asyncio.gather(*places, return_exceptions=True)

    async def _keep(self, place: int) -> None:
        loop = asyncio.get_running_loop()
        delay = FIRST_DELAY_S
        while not self._stopping.is_set():
            began = loop.time()
            try:
                code = await self._run_one(place)
            except OSError:
                if self._stopping.is_set():
                    return  # it was about to be started when the listener closed
                raise
            if self._stopping.is_set():
                return
            if place not in self._ready:
                raise Failed(f"a worker ended with code {code} before it served; see its message above")
            delay = FIRST_DELAY_S if loop.time() - began >= STEADY_S else min(delay * 2, MAX_DELAY_S)
            log.event("error", "worker_died", place=place, code=code, restart_in_s=delay)
            await self._stopped_within(delay)

    async def _run_one(self, place: int) -> int:
        """A worker's whole life. Returns its exit code (negative: the signal that ended it)."""
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                fds = (self._listener.fileno(), theirs.fileno())
                arguments = (*self._command, "--fd", str(fds[0]), "--link", str(fds[1]))
                process = await asyncio.create_subprocess_exec(*arguments, pass_fds=fds)
            ours.setblocking(False)
            tasks = (asyncio.create_task(self._await_ready(place, ours)), asyncio.create_task(self._stop(process)))
            try:
                return await process.wait()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _await_ready(self, place: int, link: socket.socket) -> None:
        if await asyncio.get_running_loop().sock_recv(link, 1) and place not in self._ready:
            self._ready.add(place)
            if len(self._ready) == self._count:
                self._on_ready()

    async def _stop(self, process: asyncio.subprocess.Process) -> None:
        await self._stopping.wait()
        self._listener.close()  # the workers close theirs; with ours open, clients would wait for an answer that never comes
        process.terminate()
        await asyncio.sleep(self._drain_s + KILL_AFTER_DRAIN_S)
        process.kill()

    async def _stopped_within(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return
