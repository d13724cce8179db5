"""Our own events as JSON lines on stderr. Calls are not logged here: the ledger is their record."""

from __future__ import annotations

import sys
import time
import traceback

from msgspec import json


def event(level: str, name: str, **fields: object) -> None:
    """One line: {"ts", "level", "event", ...}. Never pass a secret, a body or a header value."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    line = json.encode({"ts": stamp, "level": level, "event": name, **fields})
    try:
        sys.stderr.buffer.write(line + b"\n")
        sys.stderr.buffer.flush()
    except (OSError, ValueError):
        return  # nobody reads stderr any more: nothing left to tell it to


def failure(name: str, error: BaseException, **fields: object) -> None:
    """An unexpected exception: where it happened, without the values that local variables held."""
    where = [f"{f.filename.rpartition('freehold/')[2]}:{f.lineno} {f.name}" for f in traceback.extract_tb(error.__traceback__)]
    event("error", name, error=type(error).__name__, where=where[-6:], **fields)
