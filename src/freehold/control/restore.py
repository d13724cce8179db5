"""Bring back what a backup holds: into an empty database and data directory, or in place of what is there.

The file is read twice: first to its end, so that one that is cut short, damaged or locked differently changes nothing. Then
everything goes into the database in one transaction: its old tables out, the schema of the backup's version in, the rows, and the
upgrades since. Files come after the commit; until then they lie beside their places.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct
from sqlalchemy import Connection, MetaData, delete, select

from freehold.control import audit, keyfile
from freehold.control.actor import Actor
from freehold.control.archive import FORMAT, Head, Message, Piece, Rows, Tail, messages
from freehold.control.backup import columns_of, sync
from freehold.store import feed, masterkey, rows
from freehold.store.address import Address, StoreError
from freehold.store.columns import metadata
from freehold.store.container import ContainerError, Lock, Reader
from freehold.store.engine import explained, open_engine, writing
from freehold.store.migrate import VERSION_TABLE, require_known, revision_within, tables_at, upgrade_within
from freehold.store.schema import workspaces
from freehold.store.sealing import MasterKey
from freehold.store.segment import segment_paths


class Found(Struct, frozen=True):
    """A backup that is whole."""

    head: Head
    tail: Tail


def verify(file: BinaryIO, lock: Lock) -> Found:
    """Read it to its end. Raises ContainerError, SealError, StoreError for one of a newer Freehold, OSError."""
    file.seek(0)
    head: Head | None = None
    for message in messages(Reader(file, lock)):
        if isinstance(message, Head):
            head = message
            if head.format != FORMAT:
                raise ContainerError(f"it has format {head.format}, this Freehold reads {FORMAT}; install the newer one")
            require_known(head.revision, "the backup")
        elif isinstance(message, Tail):
            assert head is not None
            return Found(head, message)
        elif isinstance(message, Piece):
            _safe(message)
        elif head is None or message.table not in head.tables:
            raise ContainerError("it holds rows of a table that it does not name: use another backup")
    raise AssertionError("messages end with Tail")


def restore(
    file: BinaryIO, data: Path, address: Address, lock: Lock, *, force: bool = False, actor: Actor | None = None
) -> Found:
    """Raises what `verify` does, and StoreError where something is there already and `force` is not given.

    `actor`, if given, goes into the audit log as who did it.
    """
    found = verify(file, lock)
    tables = tables_at(found.head.revision)
    if columns_of(tables) != found.head.tables:
        raise ContainerError(f"its tables are not those of schema {found.head.revision}: use another backup")
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    _files_may_come(data, found.tail, force)
    staged = Path(tempfile.mkdtemp(dir=data, prefix=".restore-"))
    try:
        with explained(address):
            engine = open_engine(address)
            try:
                with writing(engine, "schema") as connection:
                    _clear(connection, address, tables, force)
                    upgrade_within(connection, found.head.revision)
                    file.seek(0)
                    _fill(connection, tables, found, messages(Reader(file, lock)), staged)
                    upgrade_within(connection)
                    if actor is not None:
                        _record(connection, actor, found, _master(connection, staged, data))
            finally:
                engine.dispose()
        _place(staged, data)
        # Of the database as it was before: no gateway shall start from it.
        feed.path(data).unlink(missing_ok=True)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return found


def _files_may_come(data: Path, tail: Tail, force: bool) -> None:
    master = masterkey.path(data)
    if master.name in tail.files and master.exists():
        raise StoreError(f"the backup holds a master key and {master} exists; move that away if the backup's is the right one")
    there = [str(path) for path in (keyfile.path(data), *segment_paths(data)) if path.exists()]
    if there and not force:
        raise StoreError(f"{there[0]} exists; restore into an empty data directory, or replace what is there with --force")


def _clear(connection: Connection, address: Address, tables: MetaData, force: bool) -> None:
    """Nothing is left of ours. In a database that others administer, tables of other names are theirs."""
    names = {VERSION_TABLE, *metadata.tables, *tables.tables}
    ours = MetaData()
    ours.reflect(connection, only=lambda name, _: address.own or name in names)
    if not ours.tables:
        return
    if not force:
        now = revision_within(connection)
        raise StoreError(
            f"{address.name} is not empty (schema {now or 'unknown'}); restore into an empty database, or replace what is there "
            "with --force"
        )
    ours.drop_all(connection)


def _fill(connection: Connection, tables: MetaData, found: Found, stream: Iterator[Message], staged: Path) -> None:
    for table in reversed(tables.sorted_tables):
        connection.execute(delete(table))  # what migrations put in: the backup has it
    writer = rows.Writer(connection)
    # They come in the order of `sorted_tables`: what others refer to is there before them.
    for message in stream:
        while isinstance(message, Rows):
            batches = _Batches(message, stream)
            writer.write(tables.tables[message.table], batches)
            message = batches.after
        if isinstance(message, Piece):
            _stage(staged, message)
    for name, counted in found.tail.tables.items():
        there = rows.count(connection, tables.tables[name])
        if there != counted.size:
            raise ContainerError(f"of table {name} {there:,} rows arrived, not {counted.size:,}; nothing was changed")


def _master(connection: Connection, staged: Path, data: Path) -> MasterKey:
    """What will be in use. Raises SealError where there is none and something was sealed with it."""
    used = connection.scalar(select(workspaces.c.id).where(workspaces.c.data_key.is_not(None)).limit(1)) is not None
    come = masterkey.path(staged).exists()
    return MasterKey.load(os.environ, staged if come else data, make=not come and not used)


def _record(connection: Connection, actor: Actor, found: Found, master: MasterKey) -> None:
    made = {"made_ms": found.head.made_ms, "schema": found.head.revision, "kind": found.head.kind}
    audit.append(connection, master, actor, time.time_ns() // 1_000_000, audit.Act("restore", "backup", "", "", None, made))


class _Batches:
    """The batches of one table, from its first message on. `after`: the message that ended them."""

    def __init__(self, first: Rows, stream: Iterator[Message]) -> None:
        self._first = first
        self._stream = stream
        self.after: Message = first

    def __iter__(self) -> Iterator[list[rows.Row]]:
        for message in chain((self._first,), self._stream):
            if not isinstance(message, Rows) or message.table != self._first.table:
                self.after = message
                return
            yield message.rows  # type: ignore[misc]


def _safe(piece: Piece) -> None:
    """Its path leads to one of the places that we restore, whoever made the file."""
    folder, _, name = piece.path.rpartition("/")
    known = name in (keyfile.path(Path()).name, masterkey.FILE) if not folder else folder == "spool" and name.endswith(".jsonl")
    if not known or name.startswith(".") or "\0" in name:
        raise ContainerError("it holds a file that this Freehold does not know: install the version that made it")


def _stage(staged: Path, piece: Piece) -> None:
    path = staged / piece.path
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600), "ab") as file:
        file.write(piece.data)


def _place(staged: Path, data: Path) -> None:
    for path in sorted(staged.rglob("*")):
        if path.is_dir():
            continue
        with path.open("rb") as file:
            os.fsync(file.fileno())
        to = data / path.relative_to(staged)
        to.parent.mkdir(mode=0o700, exist_ok=True)
        # A segment that is still there has grown since.
        if not (to.parent.name == "spool" and to.exists()):
            os.rename(path, to)
        sync(to.parent)
    sync(data)
