"""Rows for every table there is or will be, from what the tables say of themselves; and all rows of a database, to compare."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Boolean, Column, Connection, Engine, Float, Integer, LargeBinary, MetaData, Text, insert, select

from freehold.store.engine import reading, writing

ROWS = 3  # of each table
TRICKY = "é\U0001f600\\N\t\r\n'\"\x01,{}"


def fill(engine: Engine, tables: MetaData) -> None:
    """References lead to rows that are there; every third row has NULL where that may be."""
    with writing(engine, "samples") as connection:
        made: dict[str, list[dict[str, Any]]] = {}
        for table in tables.sorted_tables:
            rows = made[table.name] = [{c.name: _value(c, i) for c in table.columns} for i in range(ROWS)]
            for i, row in enumerate(rows):
                for foreign in table.foreign_key_constraints:
                    for element in foreign.elements:
                        column = element.parent
                        if row[column.name] is not None:
                            row[column.name] = made[element.column.table.name][i][element.column.name]
            connection.execute(insert(table), rows)


def _value(column: Column[Any], i: int) -> Any:
    if column.nullable and i == ROWS - 1:
        return None
    kind = column.type
    if isinstance(kind, Boolean):
        return bool(i % 2)
    if isinstance(kind, Integer):
        return (-(2**63), 0, 2**63 - 1)[i]
    if isinstance(kind, Float):
        return (0.1, -1e300, 5.0)[i]
    if isinstance(kind, JSON):
        return ({"b": [i, None, TRICKY], "a": 1.5}, [], {})[i]
    if isinstance(kind, LargeBinary):
        return bytes(range(256)) * i + column.name.encode() + bytes([i])
    assert isinstance(kind, Text), f"{column}: no sample for {kind}"
    return f"{column.name} {i} {TRICKY * i}"


def content(engine: Engine, tables: MetaData) -> dict[str, list[str]]:
    """Table -> its rows as text, sorted."""
    with reading(engine) as connection:
        return content_within(connection, tables)


def content_within(connection: Connection, tables: MetaData) -> dict[str, list[str]]:
    return {table.name: sorted(repr(tuple(row)) for row in connection.execute(select(table))) for table in tables.sorted_tables}
