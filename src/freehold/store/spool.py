"""The spool: one line per finished call, in this worker's own segment file before the client sees the end.

A segment is a file of fixed size, its blocks allocated before use, mapped into memory: a line is copied into the page cache
without a system call. The kernel owns those pages, so `kill -9` loses no finished call; what a crash of the whole machine may
lose is what it had not yet written back. Unused bytes are NUL; lines end at the first one. Since space is allocated ahead, a
full disk is met while there is still room for the lines of calls under way. Past that, lines are held in memory, in order;
past `MAX_HELD` the gateway stops taking calls (`Spool.full`) instead of losing records.

While it may still write to a segment, a worker holds a lock (flock) on it: a segment without one is finished, however its worker
ended. store/ship.py moves finished segments into the ledger and deletes them.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections import deque
from collections.abc import Iterator
from mmap import mmap
from pathlib import Path

from msgspec import DecodeError, Struct, ValidationError, field, json

SEGMENT_BYTES = 8 * 1024 * 1024  # some 15,000 calls
MAX_HELD = 10_000


class AttemptLine(Struct, omit_defaults=True):
    """One try at one target. `reason` is "" for the one that answered."""

    target: str
    us: int
    status: int = 0  # HTTP status, 0 if none came
    reason: str = ""


class LedgerLine(Struct, omit_defaults=True, kw_only=True):
    """One call. Tokens as in wire.chat.Usage; times in microseconds; money in nano-US-dollars (None: unpriced)."""

    call_id: str
    ended_ms: int  # unix time
    kind: str = ""  # wire.dialect.Kind, or "batch": one request of a batch
    dialect: str = ""  # what the client spoke
    workspace: str = "default"
    key_id: str = ""
    key: str = ""  # the key's name
    team: str = ""  # id; of the key's app or member
    app: str = ""  # id
    member: str = ""  # id
    end_user: str = ""  # whom the client named: on whose behalf it calls
    session: str = ""  # what the client named
    tags: dict[str, str] = field(default_factory=dict)  # what the client named; "" for a tag without a value
    route: str = ""  # the model name that the client asked for
    provider: str = ""
    model: str = ""  # as sent to the provider
    answered_by: str = ""  # the model that the provider says answered
    zone: str = ""
    region: str = ""  # of the provider, where it is configured
    stream: bool = False
    translated: bool = False
    status: int = 0  # as the client was shown
    outcome: str = ""  # ok, refused, upstream_error, cut, client_gone, error
    error: str = ""  # our error code
    finish: str = ""
    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    reasoning: int = 0
    audio_in: int = 0
    audio_out: int = 0
    web_searches: int = 0
    seconds: float = 0.0  # of audio
    characters: int = 0  # of text to be spoken
    rerank_searches: int = 0
    images: int = 0  # made
    service_tier: str = ""
    estimated: bool = False  # tokens counted by us
    cost_nusd: int | None = None
    price_source: str = ""
    total_us: int = 0
    first_us: int = 0  # to the first byte for the client
    overhead_us: int = 0  # until then, without waiting for the upstream
    attempts: list[AttemptLine] = field(default_factory=list)
    upstream_id: str = ""  # the provider's request id
    client_id: str = ""  # the request id that the client sent


_encode = json.Encoder().encode


class Spool:
    """One worker's segments: DATA/spool/<start>-<random>-<n>.jsonl. Not shared between processes or threads.

    A line (all its texts are cut to lengths) takes under 16 KB; a segment must hold several.
    """

    def __init__(self, data: Path, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        """Raises OSError when the directory cannot be made or has no room for a segment."""
        self._dir = data / "spool"
        self._dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._segment_bytes = segment_bytes
        self._name = f"{time.time_ns() // 1_000_000:013d}-{os.urandom(4).hex()}"
        self._number = 0
        self._held: deque[bytes] = deque()
        self._map, self._path = self._open()
        self._next: tuple[mmap, Path] | None = None
        self._at = 0

    @property
    def held(self) -> int:
        """Lines that wait in memory because the disk has no room."""
        return len(self._held)

    @property
    def full(self) -> bool:
        return len(self._held) >= MAX_HELD

    def append(self, line: LedgerLine) -> None:
        """Never raises: a line without room is held and retried with the next one and by `tend`."""
        data = _encode(line) + b"\n"
        end = self._at + len(data)
        if end <= self._segment_bytes and not self._held:
            self._map[self._at : end] = data
            self._at = end
        else:
            self._held.append(data)
            self.tend()

    def tend(self) -> None:
        """Called now and then: allocate the next segment ahead of need, and write what is held."""
        if self._next is None and (self._held or self._at > self._segment_bytes // 2):
            try:
                self._next = self._open()
            except OSError:
                pass  # held lines and `full` tell
        while self._held and self._fits(len(self._held[0])):
            data = self._held.popleft()
            end = self._at + len(data)
            self._map[self._at : end] = data
            self._at = end

    def close(self) -> None:
        self.tend()
        try:
            self._map.flush()
        except OSError:
            pass  # the disk's own trouble; the kernel goes on trying
        self._finish()
        if self._next is not None:
            self._next[0].close()
            self._next[1].unlink(missing_ok=True)

    def _fits(self, size: int) -> bool:
        """Room for a line of `size` bytes, in the next segment if need be."""
        if self._at + size <= self._segment_bytes:
            return True
        if self._next is None:
            return False
        self._finish()
        self._map, self._path = self._next
        self._next = None
        self._at = 0
        return size <= self._segment_bytes

    def _finish(self) -> None:
        """Nothing more comes into this segment: cut off what was not used. The kernel writes it back in its own time: waiting
        for the disk here would hold up every call."""
        self._map.close()
        try:
            os.truncate(self._path, self._at)
        except OSError:
            pass  # someone took the file away: its lines are theirs to keep, the next ones go on

    def _open(self) -> tuple[mmap, Path]:
        path = self._dir / f"{self._name}-{self._number:06d}.jsonl"
        # It gets its name once it is locked: one that can be seen without a lock would pass for finished, and be deleted.
        unnamed = path.with_suffix(".new")
        fd = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the mapping has a duplicate of `fd`, and so the lock
            # A mapped page without a block behind it would kill the process when the disk is full.
            os.posix_fallocate(fd, 0, self._segment_bytes)
            segment = mmap(fd, self._segment_bytes)
            os.rename(unnamed, path)
        except OSError:
            unnamed.unlink(missing_ok=True)
            raise
        finally:
            os.close(fd)
        self._number += 1
        return segment, path


def read_lines(data: Path) -> Iterator[LedgerLine]:
    """Every whole line in DATA/spool, segment by segment in the order they began. Torn lines are skipped."""
    decoder = json.Decoder(LedgerLine)
    for path in sorted((data / "spool").glob("*.jsonl")):
        try:
            file = path.open("rb")
        except FileNotFoundError:
            continue  # shipped meanwhile
        with file:
            for raw in file:
                if raw.startswith(b"\0"):  # from here on the segment is unused
                    break
                try:
                    yield decoder.decode(raw)
                except (DecodeError, ValidationError):
                    continue
