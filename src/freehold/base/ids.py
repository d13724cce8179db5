"""Ids of our own making: sortable by time, unique across workers and restarts, safe in URLs and headers."""

from __future__ import annotations

import os
import time
from itertools import count

_worker = os.urandom(5).hex()
_next = count(int.from_bytes(os.urandom(2), "big"))


def new_call_id() -> str:
    """ "call_" + 11 hex of unix milliseconds + 10 of this process + a counter. Not a secret, not guess-proof."""
    return "call_%011x%s%06x" % (time.time_ns() // 1_000_000, _worker, next(_next))


def new_id(kind: str) -> str:
    """An object's id: "KIND_" + 11 hex of unix milliseconds + 16 random ones. Sorted by id, objects are sorted by age."""
    return f"{kind}_{time.time_ns() // 1_000_000:011x}{os.urandom(8).hex()}"


def after_fork() -> None:
    """Give a forked worker its own part of the id space."""
    global _worker
    _worker = os.urandom(5).hex()
