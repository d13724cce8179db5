"""Connections and transactions, the same on SQLite and PostgreSQL. For the control plane and commands, never for a worker.

SQLite comes with pysqlite3: the one of many systems has a bug in its write-ahead log that can corrupt the file.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from zlib import crc32

from pysqlite3 import dbapi2 as sqlite
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from freehold.store.address import Address, StoreError

BUSY_S = 10
CONNECT_S = 5
_WRITES = "freehold_writes"
_ADVISORY = 0x46524545  # first half of our advisory locks in PostgreSQL; the second says what is locked


def open_engine(address: Address) -> Engine:
    """Connects at the first use. A SQLite file is made, readable for its owner only. Raises StoreError, OSError."""
    if address.file is not None:
        return _sqlite(address)
    try:
        url = make_url(address.url)
        given = {"connect_timeout": CONNECT_S, "application_name": "freehold"}
        return create_engine(
            url, pool_pre_ping=True, pool_size=2, connect_args={k: v for k, v in given.items() if k not in url.query}
        )
    except (ArgumentError, ValueError):
        raise StoreError(f"the URL of {address.name} cannot be read; check its form") from None


def _sqlite(address: Address) -> Engine:
    assert address.file is not None
    address.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(address.file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    # Said, since for a URL without a file it would be a pool that closes connections of other threads while they are in use.
    pool = {"poolclass": QueuePool, "pool_size": 5, "max_overflow": 50}
    engine = create_engine("sqlite://", module=sqlite, creator=lambda: _connect(str(address.file)), **pool)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A writer that began as a reader could fail half-way when another one wrote in between.
        writes = connection.get_execution_options().get(_WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _connect(file: str) -> DBAPIConnection:
    # isolation_level None: the driver begins no transactions of its own, so that DDL too is part of ours.
    connection = sqlite.connect(file, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    _use_wal(connection)
    # FULL: what is committed is on the disk before its spool segment is deleted. NORMAL could lose it in a power cut.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection  # type: ignore[no-any-return]


def _use_wal(connection: DBAPIConnection) -> None:
    """The first one to open a new file changes it, and who comes at that moment is told "locked" without any wait."""
    until = time.monotonic() + BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() >= until:
                raise
            time.sleep(0.01)


@contextmanager
def writing(engine: Engine, what: str) -> Iterator[Connection]:
    """A transaction that changes `what`: one at a time for each name on PostgreSQL, one at a time for all on SQLite."""
    with engine.connect().execution_options(**{_WRITES: True}) as connection, connection.begin():
        alone(connection, what)
        yield connection


def alone(connection: Connection, what: str) -> None:
    """From here to the end of this writing transaction, nobody else changes `what`."""
    if connection.dialect.name == "postgresql":
        lock = crc32(what.encode()) - 2**31  # a signed 32-bit number
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s, %s)", (_ADVISORY, lock))


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that sees one moment, whatever is committed meanwhile, and holds nobody up."""
    with engine.connect() as connection, connection.begin():
        if is_postgresql(engine):
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield connection


@contextmanager
def explained(address: Address) -> Iterator[None]:
    """Turns the libraries' errors into StoreError with the database's own words, without statements, values or passwords."""
    try:
        yield
    except SQLAlchemyError as error:
        words = str(error.orig).strip().splitlines() if isinstance(error, DBAPIError) else []
        said = words[0][:300] if words else type(error).__name__
        hint = "; check that it runs and can be reached" if isinstance(error, OperationalError) else ""
        raise StoreError(f"{address.name}: {said}{hint}") from error


def is_postgresql(engine: Engine) -> bool:
    return engine.dialect.name == "postgresql"
