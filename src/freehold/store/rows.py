"""Whole tables read and written as plain rows, the same from SQLite and PostgreSQL: what a backup is made of.

A row is a list in the order of the table's columns. Truth values are 0 and 1 and JSON is its text, so that what was read from one
kind of database can be written into the other. Neither side goes through SQLAlchemy's rows: that would cost as much again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, Column, Connection, Float, Integer, LargeBinary, Table, Text

from freehold.store.address import StoreError
from freehold.store.engine import is_postgresql

Row = Sequence[Any]

BATCH_ROWS = 500
BATCH_BYTES = 1_000_000  # of what is large in them: bytes and documents

# SQLAlchemy's type -> PostgreSQL's of the plain value.
_PLAIN: tuple[tuple[type[Any], str], ...] = (
    (JSON, "text"),
    (Text, "text"),
    (Boolean, "int4"),
    (BigInteger, "int8"),
    (Integer, "int8"),
    (Float, "float8"),
    (LargeBinary, "bytea"),
)


def plain_type(column: Column[Any]) -> str:
    """Raises StoreError for a kind of column that backups do not know: it would be lost or changed."""
    for kind, name in _PLAIN:
        if isinstance(column.type, kind):
            return name
    raise StoreError(f"column {column.table.name}.{column.name} of type {column.type} cannot be backed up; please report it")


def lock(connection: Connection, tables: Iterable[Table]) -> None:
    """Let nobody change what the tables look like while they are read. Comes before the first query of a PostgreSQL transaction,
    which fixes the moment that is seen. A SQLite transaction sees one moment in this too.
    """
    if is_postgresql(connection.engine):
        names = ", ".join(_name(connection, table) for table in tables)
        connection.exec_driver_sql(f"LOCK TABLE {names} IN ACCESS SHARE MODE")


def read(connection: Connection, table: Table) -> Iterator[list[Row]]:
    """All rows in batches, in any order, within the connection's transaction. Raises StoreError."""
    plain = [(_name(connection, column), plain_type(column)) for column in table.columns]
    name = _name(connection, table)
    with closing(connection.connection.cursor()) as opened, _explained(connection, table):
        cursor: Any = opened
        if is_postgresql(connection.engine):
            chosen = ", ".join(f"{column}::{kind}" for column, kind in plain)
            with cursor.copy(f"COPY (SELECT {chosen} FROM {name}) TO STDOUT (FORMAT BINARY)") as copy:
                copy.set_types([kind for _, kind in plain])
                yield from _batches(copy.rows(), plain)
        else:
            cursor.execute(f"SELECT {', '.join(column for column, _ in plain)} FROM {name}")
            yield from _batches(cursor, plain)


def _batches(rows: Iterable[Row], plain: Sequence[tuple[str, str]]) -> Iterator[list[Row]]:
    large = [i for i, (_, kind) in enumerate(plain) if kind in ("bytea", "text")]
    batch: list[Row] = []
    size = 0
    for row in rows:
        batch.append(row)
        for i in large:
            if row[i]:
                size += len(row[i])
        if len(batch) >= BATCH_ROWS or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


class Writer:
    """Writes rows into one table after the other. References between them are checked at the end of the transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        if not is_postgresql(connection.engine):
            connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")

    def write(self, table: Table, batches: Iterable[list[Row]]) -> None:
        """Raises StoreError."""
        connection = self._connection
        names = ", ".join(_name(connection, column) for column in table.columns)
        into = f"{_name(connection, table)} ({names})"
        with closing(connection.connection.cursor()) as opened, _explained(connection, table):
            cursor: Any = opened
            if is_postgresql(connection.engine):
                # As text: its input takes 0 and 1 for truth values and text for JSON.
                with cursor.copy(f"COPY {into} FROM STDIN") as copy:
                    for batch in batches:
                        for row in batch:
                            copy.write_row(row)
                self._advance(table)
            else:
                sql = f"INSERT INTO {into} VALUES ({', '.join('?' * len(table.columns))})"
                for batch in batches:
                    cursor.executemany(sql, batch)

    def _advance(self, table: Table) -> None:
        """Sequences go on after what was written."""
        name, run = _name(self._connection, table), self._connection.exec_driver_sql
        for column in table.columns:
            if column.primary_key and isinstance(column.type, Integer | BigInteger):
                sequence = run("SELECT pg_get_serial_sequence(%s, %s)", (name, column.name)).scalar()
                newest = run(f"SELECT max({_name(self._connection, column)}) FROM {name}").scalar() if sequence else None
                if newest is not None:
                    run("SELECT setval(%s, %s)", (sequence, newest))


@contextmanager
def _explained(connection: Connection, table: Table) -> Iterator[None]:
    """The driver's own errors, as engine.explained does SQLAlchemy's: what follows their first line holds values."""
    assert connection.dialect.dbapi is not None
    try:
        yield
    except connection.dialect.dbapi.Error as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise StoreError(f"table {table.name}: {said}") from error


def count(connection: Connection, table: Table) -> int:
    return int(connection.exec_driver_sql(f"SELECT count(*) FROM {_name(connection, table)}").scalar() or 0)


def _name(connection: Connection, of: Table | Column[Any]) -> str:
    return connection.dialect.identifier_preparer.quote(of.name)
