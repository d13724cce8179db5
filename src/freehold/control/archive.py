"""What a backup holds, as a stream of messages inside an encrypted container (store/container.py).

    Head | Rows... for one table after the other | Piece... for one file after the other | Tail

A message is its length in 4 bytes and a msgpack map. Tail counts and digests all that came before it, so that whoever reads to
the end knows that nothing is missing.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from msgspec import DecodeError, Struct, ValidationError, field, msgpack

from freehold.store.container import ContainerError, Reader, Writer

FORMAT = 1
MAX_MESSAGE_BYTES = 1 << 30

_LENGTH = struct.Struct(">I")


class Head(Struct, tag="head", tag_field="is", kw_only=True):
    """`revision`: of the database's schema. `kind`: sqlite, postgresql. `tables`: name -> its columns in order."""

    format: int = FORMAT
    freehold: str
    revision: str
    kind: str
    made_ms: int
    tables: dict[str, list[str]]


class Rows(Struct, tag="rows", tag_field="is"):
    """As store/rows.py reads them."""

    table: str
    rows: list[list[Any]]


class Piece(Struct, tag="piece", tag_field="is"):
    """More of a file. `path`: below the data directory, such as spool/x.jsonl."""

    path: str
    data: bytes


class Sum(Struct):
    """Of a table: rows; of a file: bytes. `digest`: SHA-256 of its messages, in hex."""

    size: int = 0
    digest: str = ""


class Tail(Struct, tag="tail", tag_field="is"):
    tables: dict[str, Sum] = field(default_factory=dict)
    files: dict[str, Sum] = field(default_factory=dict)


Message = Head | Rows | Piece | Tail

_encode = msgpack.Encoder().encode
_decode = msgpack.Decoder(Message).decode


class _Sums:
    """Counts and digests of what goes by."""

    def __init__(self) -> None:
        self._tables: dict[str, tuple[Sum, Any]] = {}
        self._files: dict[str, tuple[Sum, Any]] = {}

    def add(self, message: Message, raw: bytes) -> None:
        if isinstance(message, Rows):
            self._add(self._tables, message.table, len(message.rows), raw)
        elif isinstance(message, Piece):
            self._add(self._files, message.path, len(message.data), raw)

    @staticmethod
    def _add(sums: dict[str, tuple[Sum, Any]], name: str, size: int, raw: bytes) -> None:
        counted, digest = sums.setdefault(name, (Sum(), sha256()))
        counted.size += size
        digest.update(raw)

    def tail(self) -> Tail:
        def closed(sums: dict[str, tuple[Sum, Any]]) -> dict[str, Sum]:
            return {name: Sum(counted.size, digest.hexdigest()) for name, (counted, digest) in sums.items()}

        return Tail(closed(self._tables), closed(self._files))


class ArchiveWriter:
    def __init__(self, container: Writer) -> None:
        self._container = container
        self._sums = _Sums()

    def put(self, message: Head | Rows | Piece) -> None:
        """Raises OSError."""
        self._put(message)

    def close(self) -> Tail:
        tail = self._sums.tail()
        self._put(tail)
        self._container.close()
        return tail

    def _put(self, message: Message) -> None:
        raw = _encode(message)
        self._sums.add(message, raw)
        self._container.write(_LENGTH.pack(len(raw)))
        self._container.write(raw)


def messages(container: Reader) -> Iterator[Message]:
    """Head first and Tail last. Raises ContainerError, also where Tail does not fit what came before it."""
    sums = _Sums()
    first = True
    while True:
        length = container.read(_LENGTH.size)
        size = _LENGTH.unpack(length)[0] if length else 0
        if not 0 < size <= MAX_MESSAGE_BYTES:
            raise ContainerError("it has no end: use another backup")
        raw = container.read(size)
        try:
            message: Message = _decode(raw)
        except (DecodeError, ValidationError):
            raise ContainerError("it holds what this Freehold does not know: install the version that made it") from None
        if first != isinstance(message, Head):
            raise ContainerError("its parts are out of order: use another backup")
        first = False
        sums.add(message, raw)
        if isinstance(message, Tail) and (message != sums.tail() or container.read(1)):
            raise ContainerError("it does not hold what it says it does: use another backup")
        yield message
        if isinstance(message, Tail):
            return
