"""The spool: one line per finished call, appended to this worker's own segment file before the client sees the end.

A line is written with a single os.write on an O_APPEND file, so `kill -9` loses no finished call; what a crash of the whole
machine may lose is the page cache's last seconds (`fsync_s`). A line that could not be written (disk full) is kept in
memory, in order, and retried; past `MAX_HELD` the gateway stops taking calls (`Spool.full`) instead of losing records.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from msgspec import DecodeError, Struct, ValidationError, field, json

SEGMENT_BYTES = 64 * 1024 * 1024
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
    kind: str = ""  # chat, embeddings, count_tokens
    dialect: str = ""  # what the client spoke
    workspace: str = "default"
    key_id: str = ""
    key: str = ""  # the key's name
    route: str = ""  # the model name that the client asked for
    provider: str = ""
    model: str = ""  # as sent to the provider
    answered_by: str = ""  # the model that the provider says answered
    zone: str = ""
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


class Spool:
    """One worker's segments: DATA/spool/<start>-<random>-<n>.jsonl. Not shared between processes or threads."""

    def __init__(self, data: Path, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        """Raises OSError when the directory cannot be made or written."""
        self._dir = data / "spool"
        self._dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._segment_bytes = segment_bytes
        self._name = f"{time.time_ns() // 1_000_000:013d}-{os.urandom(4).hex()}"
        self._number = 0
        self._encoder = json.Encoder()
        self._held: deque[bytes] = deque()
        self._torn = False
        self._size = 0
        self._fd = self._open()

    @property
    def held(self) -> int:
        """Lines that wait in memory because the disk refused them."""
        return len(self._held)

    @property
    def full(self) -> bool:
        return len(self._held) >= MAX_HELD

    def append(self, line: LedgerLine) -> None:
        """Never raises: a refused line is held and retried with the next one and by `retry`."""
        data = bytearray(self._encoder.encode(line))
        data += b"\n"
        if self._held or not self._write(data):
            self._held.append(bytes(data))
            self.retry()

    def retry(self) -> None:
        while self._held and self._write(self._held[0]):
            self._held.popleft()

    def close(self) -> None:
        self.retry()
        os.fsync(self._fd)
        os.close(self._fd)

    def _write(self, data: bytes | bytearray) -> bool:
        try:
            if self._torn:  # end the half-written line, which readers skip
                self._torn = os.write(self._fd, b"\n") != 1
            written = os.write(self._fd, data)
        except OSError:
            return False
        if written != len(data):
            self._torn = True
            return False
        self._size += written
        if self._size >= self._segment_bytes:
            self._roll()
        return True

    def _roll(self) -> None:
        try:
            fd = self._open()
        except OSError:
            return  # go on in the old segment
        os.close(self._fd)
        self._fd = fd
        self._size = 0

    def _open(self) -> int:
        path = self._dir / f"{self._name}-{self._number:06d}.jsonl"
        self._number += 1
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_EXCL | os.O_CLOEXEC, 0o600)


def read_lines(data: Path) -> Iterator[LedgerLine]:
    """Every whole line in DATA/spool, segment by segment in the order they began. Torn lines are skipped."""
    decoder = json.Decoder(LedgerLine)
    for path in sorted((data / "spool").glob("*.jsonl")):
        with path.open("rb") as file:
            for raw in file:
                try:
                    yield decoder.decode(raw)
                except (DecodeError, ValidationError):
                    continue
