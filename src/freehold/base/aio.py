"""Run a coroutine without a Task, for the one place that starts tens of thousands a second.

A Task costs some 5 µs a call here: a WeakSet of all tasks, a scheduled first step, and one more for each wake-up.
A `Call` starts at once, in its caller's frame, and goes on in the callback of the future that it waits for.

What awaits inside must not need `asyncio.current_task()` (`asyncio.timeout` and task groups do): wrap that part in a
Task of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class Call:
    """Drives one coroutine that catches its own exceptions; one that escapes goes to the event loop's handler."""

    __slots__ = ("_cancelled", "_coroutine", "_waiting", "done")

    def __init__(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self._coroutine = coroutine
        self._waiting: asyncio.Future[Any] | None = None
        self._cancelled = False  # to be thrown in at the next step
        self.done = False

    def start(self) -> None:
        """Run to the first wait. `cancel` may have been called already."""
        self._step(None)

    def cancel(self) -> None:
        """Raise CancelledError where the coroutine waits, or at its next wait if it is running now."""
        if self.done:
            return
        waiting = self._waiting
        if waiting is None or not waiting.cancel():
            self._cancelled = True

    def _step(self, woken_by: asyncio.Future[Any] | None) -> None:
        self._waiting = None
        try:
            if self._cancelled:
                self._cancelled = False
                waiting = self._coroutine.throw(asyncio.CancelledError())
            else:
                waiting = self._coroutine.send(None)
        except (StopIteration, asyncio.CancelledError):
            self.done = True
            return
        except BaseException:
            self.done = True
            raise
        if waiting is None:  # a bare yield: asyncio.sleep(0)
            asyncio.get_running_loop().call_soon(self._step, None)
            return
        waiting._asyncio_future_blocking = False
        waiting.add_done_callback(self._step)
        self._waiting = waiting
        if self._cancelled and waiting.cancel():
            self._cancelled = False
