"""Write everything that a Freehold remembers into one encrypted file, while it runs.

The database is read in one transaction that sees one moment and holds up no writer. Segments of the spool are opened before that
moment and copied after it: a call that ended before the backup began is in the ledger, in a segment, or in both, and the ledger
takes it once. Nothing is kept in memory but a batch of rows.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct
from sqlalchemy import Connection, Engine, MetaData

from freehold import __version__
from freehold.control import keyfile
from freehold.control.archive import ArchiveWriter, Head, Piece, Rows, Tail
from freehold.store import masterkey, rows
from freehold.store.address import Address, StoreError
from freehold.store.container import Lock, Writer
from freehold.store.engine import explained, open_engine, reading
from freehold.store.migrate import require_known, revision, revision_within, tables_at
from freehold.store.segment import Segment, opened, segment_paths


class Made(Struct, frozen=True):
    """What a backup holds. `size`: of the file, in bytes."""

    revision: str
    tail: Tail
    size: int


def backup(target: Path, data: Path, address: Address, lock: Lock, *, with_master_key: bool = False) -> Made:
    """Make `target`, or replace it in one step; one that fails leaves what was there. Raises StoreError, OSError."""
    if address.file is not None and not address.file.exists():
        raise StoreError(f'there is no {address.name} to back up; name the data directory that "freehold up" uses with --data')
    with explained(address):
        engine = open_engine(address)
        try:
            now = revision(engine)
            if not now:
                raise StoreError(f"{address.name} holds nothing of Freehold's to back up")
            require_known(now, address.name)
            tables = tables_at(now)
            with _replacing(target) as file, ExitStack() as stack:
                archive = ArchiveWriter(Writer(file, lock))
                segments = [stack.enter_context(opened(path)) for path in segment_paths(data)]
                _database(archive, engine, now, tables)
                for path in (keyfile.path(data), *([masterkey.path(data)] if with_master_key else ())):
                    _file(archive, path)
                for segment in segments:
                    if segment is not None:
                        _segment(archive, segment)
                tail = archive.close()
                size = file.tell()
        finally:
            engine.dispose()
    return Made(now, tail, size)


def _database(archive: ArchiveWriter, engine: Engine, now: str, tables: MetaData) -> None:
    with reading(engine) as connection:
        rows.lock(connection, tables.sorted_tables)
        _unchanged(connection, now)
        columns = columns_of(tables)
        made_ms = time.time_ns() // 1_000_000
        archive.put(Head(freehold=__version__, revision=now, kind=engine.dialect.name, made_ms=made_ms, tables=columns))
        for table in tables.sorted_tables:
            for batch in rows.read(connection, table):
                archive.put(Rows(str(table.name), batch))  # type: ignore[arg-type]  # tuples are written as lists


def columns_of(tables: MetaData) -> dict[str, list[str]]:
    """For Head."""
    return {str(table.name): [str(column.name) for column in table.columns] for table in tables.sorted_tables}


def _unchanged(connection: Connection, now: str) -> None:
    if revision_within(connection) != now:
        raise StoreError("the database's schema was upgraded just as the backup began; make it again")


def _file(archive: ArchiveWriter, path: Path) -> None:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    archive.put(Piece(path.name, content))


def _segment(archive: ArchiveWriter, segment: Segment) -> None:
    for part in segment.content():
        archive.put(Piece(f"spool/{segment.name}", part))


@contextmanager
def _replacing(target: Path) -> Iterator[BinaryIO]:
    """A new file for its owner only, which takes `target`'s place, synced, unless an error comes out."""
    folder = target.absolute().parent
    if not folder.is_dir() or target.is_dir():
        raise StoreError(f"{str(target)!r} is no place for a file: name one in a directory that is there")
    fd, temporary = tempfile.mkstemp(dir=folder, prefix=f".{target.name}-", suffix=".tmp")  # made with mode 0600
    try:
        with os.fdopen(fd, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync(folder)


def sync(folder: Path) -> None:
    """New names in it survive a power cut."""
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
