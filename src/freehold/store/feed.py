"""The node's own copy of what the database's administrators decided: DATA/objects/feed.jsonl, from which workers serve.

A file begins with a Head, then come all objects, then a Mark: the whole of it appears at once, by a rename. Each change after
that is lines at its end and another Mark. Only what ends with a line feed counts: whoever writes may be killed at any byte.
A line is an object as it now is, or Gone. When the additions have grown, another whole file takes its place.

It holds digests and sealed values, no secret. Loads no database library.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from msgspec import DecodeError, Struct, ValidationError, json

VERSION = 1
FOLDER = "objects"
FILE = "feed.jsonl"
SLICE_BYTES = 64 * 1024  # read and applied at once: about 2 ms
_LONGEST_LINE_BYTES = 16 * 1024 * 1024
_BUFFER_BYTES = 256 * 1024
_MARK_BYTES = 200  # the longest that a Mark can be, and more
_KEY_START = b'{"type":"key"'


class Head(Struct, tag="head", omit_defaults=True):
    version: int
    made_ms: int


class Mark(Struct, tag="mark"):
    """All changes up to this revision are above."""

    revision: int


class WorkspaceLine(Struct, tag="workspace", omit_defaults=True, kw_only=True):
    """`data_key`: wrapped by the master key (store/sealing.py); None: nothing is sealed here."""

    id: str
    disabled: bool = False
    data_key: bytes | None = None


class KeyLine(Struct, tag="key", omit_defaults=True, kw_only=True):
    """`off`: what is switched off, so that the key is refused. `limits`, `budgets`, `capture`: as the database has them."""

    workspace: str
    id: str
    name: str
    digest: bytes
    off: Literal["", "key", "app", "member"] = ""
    old_digest: bytes | None = None
    old_until_ms: int | None = None
    expires_ms: int | None = None
    models: tuple[str, ...] = ("*",)
    addresses: tuple[str, ...] = ()
    limits: tuple[dict[str, int | float | str], ...] = ()
    budgets: tuple[dict[str, int | float | str], ...] = ()
    capture: str = ""
    app: str = ""  # ids
    team: str = ""
    member: str = ""


class ProviderLine(Struct, tag="provider", kw_only=True):
    """`config`: as under `providers` in freehold.yaml."""

    workspace: str
    id: str
    name: str
    config: object


class RouteLine(Struct, tag="route", kw_only=True):
    workspace: str
    id: str
    name: str
    config: object


class CredentialLine(Struct, tag="credential", omit_defaults=True, kw_only=True):
    """`provider`: the name of the one that it is for. `secret`: sealed with the workspace's key."""

    workspace: str
    id: str
    provider: str
    secret: bytes
    disabled: bool = False


class Gone(Struct, tag="gone", kw_only=True):
    """There is no such object any more. `kind` workspace: nor anything in it."""

    kind: str
    workspace: str
    id: str


Object = WorkspaceLine | KeyLine | ProviderLine | RouteLine | CredentialLine | Gone
Line = Head | Mark | Object


class FeedError(Exception):
    """The file cannot be used; the message says why."""


_decode = json.Decoder(Line).decode


def path(data: Path) -> Path:
    return data / FOLDER / FILE


# --- writing: the control plane's process, one at a time ---


class FeedWriter:
    """Holds the lock of DATA/objects from `opened` on."""

    def __init__(self, data: Path) -> None:
        self._folder = data / FOLDER
        self._file = path(data)
        self._fd = -1
        self.base_bytes = 0
        self.added_bytes = 0

    def replace(self, lines: Iterable[Object], revision: int, now_ms: int) -> int:
        """Write a whole new file and put it in the old one's place. The number of lines. Raises OSError: the old one stays."""
        self.close()
        temporary = self._folder / f"{FILE}.tmp"
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        count = 0
        try:
            encoder, buffer = json.Encoder(), bytearray(json.encode(Head(VERSION, now_ms)) + b"\n")
            for line in lines:
                buffer += encoder.encode(line) + b"\n"
                count += 1
                if len(buffer) > _BUFFER_BYTES:
                    _write_all(fd, buffer)
                    buffer.clear()
            buffer += encoder.encode(Mark(revision)) + b"\n"
            _write_all(fd, buffer)
            os.fsync(fd)
            self.base_bytes, self.added_bytes = os.fstat(fd).st_size, 0
            os.rename(temporary, self._file)
        except BaseException:
            os.close(fd)
            temporary.unlink(missing_ok=True)
            raise
        _sync(self._folder)
        self._fd = fd
        return count

    def append(self, lines: Iterable[Object], revision: int) -> None:
        """Add a change, after `replace`. Raises OSError; then only `replace` may follow: a line may be half there."""
        encoder, buffer = json.Encoder(), bytearray()
        for line in lines:
            buffer += encoder.encode(line) + b"\n"
            if len(buffer) > _BUFFER_BYTES:
                self._add(buffer)
                buffer.clear()
        self._add(buffer + encoder.encode(Mark(revision)) + b"\n")

    def is_there(self) -> bool:
        """Whether the file is still the one that was written last: a restored backup takes it away."""
        try:
            return self._fd >= 0 and os.stat(self._file).st_ino == os.fstat(self._fd).st_ino
        except FileNotFoundError:
            return False

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _add(self, data: bytes | bytearray) -> None:
        try:
            _write_all(self._fd, data)
        except OSError:
            self.close()
            raise
        self.added_bytes += len(data)


@contextmanager
def locked(data: Path, *, wait: bool = True) -> Iterator[FeedWriter]:
    """The one writer of a data directory. Raises BlockingIOError without `wait` while there is another; OSError."""
    folder = data / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        writer = FeedWriter(data)
        try:
            yield writer
        finally:
            writer.close()
    finally:
        os.close(lock)


def _write_all(fd: int, data: bytes | bytearray) -> None:
    view = memoryview(bytes(data))
    while view:
        view = view[os.write(fd, view) :]


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)  # the new name too must survive a power cut
    finally:
        os.close(fd)


# --- reading: every worker ---


class Part(Struct):
    """What was read at once. `fresh`: a whole file begins here: what it does not name by its first Mark is gone.

    `more`: there is more to read now. `unreadable`: lines that this version cannot read.
    """

    lines: list[Line]
    fresh: bool = False
    more: bool = False
    unreadable: int = 0


class FeedReader:
    """Follows the file, and the one that takes its place. Call `read` again and again; it never waits."""

    def __init__(self, data: Path) -> None:
        self._file = path(data)
        self._fd = -1
        self._inode = 0
        self._at = 0  # up to here it is read

    def read(self, size: int = SLICE_BYTES) -> Part | None:
        """About `size` bytes of whole lines; None if nothing is new. Raises OSError, FeedError for one of another version."""
        fresh = self._turn()
        if self._fd < 0:
            return None
        chunk, more = self._chunk(size)
        if not chunk:
            return None
        self._at += len(chunk)
        part = Part([], fresh, more)
        for raw in chunk.splitlines():
            try:
                part.lines.append(_decode(raw))
            except (DecodeError, ValidationError, UnicodeError):
                part.unreadable += 1
        if fresh:
            self._check(part)
        return part

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _turn(self) -> bool:
        """Open the file that has taken the place of ours, or ours again if it was cut. Whether reading begins anew."""
        try:
            there = os.stat(self._file)
        except FileNotFoundError:
            return False
        # While ours is open, no other file can get its number.
        if self._fd >= 0 and there.st_ino == self._inode and there.st_size >= self._at:
            return self._at == 0
        self.close()
        self._fd = os.open(self._file, os.O_RDONLY | os.O_CLOEXEC)
        self._inode, self._at = os.fstat(self._fd).st_ino, 0
        return True

    def _chunk(self, size: int) -> tuple[bytes, bool]:
        """Whole lines, and whether more follow."""
        while True:
            data = os.pread(self._fd, size, self._at)
            end = data.rfind(b"\n") + 1
            if end or len(data) < size:
                return data[:end], len(data) == size
            if size >= _LONGEST_LINE_BYTES:
                raise FeedError(f"{self._file} has a line of more than {_LONGEST_LINE_BYTES} bytes")
            size *= 2

    def _check(self, part: Part) -> None:
        head = part.lines[0] if part.lines else None
        if not isinstance(head, Head) or head.version != VERSION:
            found = f"version {head.version}" if isinstance(head, Head) else "no head"
            raise FeedError(f"{self._file} has {found}; this Freehold reads version {VERSION}")


class _Glance(Struct):
    id: str
    off: str = ""


def usable_keys(data: Path) -> int | None:
    """How many keys of the file are not switched off; None without a file. For a start's message: cheap, not of this moment."""
    decode = json.Decoder(_Glance).decode
    usable: set[str] = set()
    try:
        with path(data).open("rb") as file:
            for raw in file:
                if raw.startswith(_KEY_START) and raw.endswith(b"\n"):
                    key = decode(raw)
                    (usable.discard if key.off else usable.add)(key.id)
    except (OSError, DecodeError, ValidationError):
        return None
    return len(usable)


def revision(data: Path) -> int | None:
    """Up to which change the file has everything; None without a file, or where it ends in the middle of something."""
    try:
        with path(data).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _MARK_BYTES))
            last = file.read().rpartition(b"\n{")
        return json.decode(b"{" + last[2], type=Mark).revision
    except (OSError, DecodeError, ValidationError):
        return None
