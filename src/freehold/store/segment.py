"""A segment of the spool as its reader sees it, while it is being written or after. Works on any file: nothing here raises for
what the bytes are.

Bytes are written once and in no particular order within a line, so in a segment that is still being written all before the first
NUL is final. In a finished one NULs are its unused end, or pages that a crash of the machine has lost.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import DecodeError, Struct, ValidationError, json

from freehold.store.spool import LedgerLine

PART_BYTES = 2 * 1024 * 1024  # read at once: some 4,000 calls
_FORGOTTEN_S = 60

_decode = json.Decoder(LedgerLine).decode


class Part(Struct):
    """What lies between two positions. `unreadable`: pieces that are not a record."""

    lines: list[LedgerLine]
    unreadable: int
    end: int


class Segment:
    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self.name = path.name
        self._fd = fd
        # Asked before anything is read: what a finished segment holds then is all that it will ever hold.
        self.finished = _unlocked(fd)

    def read(self, at: int) -> Part:
        """The whole lines from byte `at` on, up to PART_BYTES. `end` is `at` when there is nothing more (for now)."""
        data = self._whole(at)
        part = Part([], 0, at + len(data))
        for raw in data.split(b"\n"):
            if raw := raw.strip(b"\0"):
                try:
                    part.lines.append(_decode(raw))
                except (DecodeError, ValidationError):
                    part.unreadable += 1
        return part

    def content(self) -> Iterator[bytes]:
        """All whole lines as they are written, in parts: a copy in which every position means the same."""
        at = 0
        while data := self._whole(at):
            yield data
            at += len(data)

    def _whole(self, at: int) -> bytes:
        data = os.pread(self._fd, PART_BYTES, at)
        if self.finished:
            # The last piece has no end of line when its writer was killed.
            size = len(data) if len(data) < PART_BYTES else data.rfind(b"\n") + 1 or _unused(data) or len(data)
        else:
            size = data.rfind(b"\n", 0, data.find(b"\0") if b"\0" in data else len(data)) + 1
        return data[:size]

    def remove(self, *, unreadable: bool) -> None:
        """All of it is in the ledger. One with unreadable lines is kept, under a name that nobody reads, to be looked into."""
        try:
            if unreadable:
                os.rename(self.path, self.path.with_suffix(".unreadable"))
            else:
                os.unlink(self.path)
        except FileNotFoundError:
            pass  # another shipper was faster


def segment_paths(data: Path) -> list[Path]:
    """In the order they began."""
    return sorted((data / "spool").glob("*.jsonl"))


@contextmanager
def opened(path: Path) -> Iterator[Segment | None]:
    """None when it is not there any more."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    try:
        yield Segment(path, fd)
    finally:
        os.close(fd)


def sweep(data: Path) -> None:
    """Remove segments that a worker was killed in the middle of making: they have no name yet, and no lines."""
    for path in (data / "spool").glob("*.new"):
        with opened(path) as segment:
            # Its maker locks it right after making it: only an old one may be judged by its lock.
            if segment and segment.finished and time.time() - path.stat().st_mtime > _FORGOTTEN_S:
                path.unlink(missing_ok=True)


def _unused(data: bytes) -> int:
    return len(data) - len(data.lstrip(b"\0"))


def _unlocked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
