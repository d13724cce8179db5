"""The ledger table: put calls in, each of them once, and into the roll-ups.

Every function works within a transaction that its caller has begun.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from operator import itemgetter
from typing import Any

from msgspec import json, structs
from sqlalchemy import Connection, select

from freehold.store.rollup import LIMIT, Row, roll_up
from freehold.store.schema import calls
from freehold.store.spool import AttemptLine, LedgerLine

_IDS_AT_ONCE = 500

_COLUMNS = tuple(c.name for c in calls.columns)  # in the order of LedgerLine's fields

_texts: Any = itemgetter(*(at for at, c in enumerate(calls.columns) if c.type.python_type is str))
_numbers: Any = itemgetter(*(at for at, c in enumerate(calls.columns) if c.type.python_type is int and not c.nullable))
_COST, _ATTEMPTS, _TAGS = (_COLUMNS.index(name) for name in ("cost_nusd", "attempts", "tags"))


def record(connection: Connection, lines: Iterable[LedgerLine]) -> int:
    """Put calls into the ledger and its roll-up. Those that are there already count for nothing. Returns how many were new."""
    rows = list({line.call_id: _row(line) for line in lines}.values())
    if not rows:
        return 0
    attempt = connection.begin_nested()
    if _insert(connection, rows) == len(rows):
        attempt.commit()
    else:
        # Some are there, and we must know which: a segment is shipped again.
        attempt.rollback()
        there = known(connection, [row[0] for row in rows])
        rows = [row for row in rows if row[0] not in there]
        if rows:
            _insert(connection, rows)
    roll_up(connection, rows)
    return len(rows)


def known(connection: Connection, call_ids: Iterable[str]) -> set[str]:
    """Which of these calls are in the ledger. Ids are unique over all workspaces."""
    found: set[str] = set()
    rest = iter(call_ids)
    while some := list(islice(rest, _IDS_AT_ONCE)):
        found.update(connection.scalars(select(calls.c.call_id).where(calls.c.call_id.in_(some))))
    return found


def _row(line: LedgerLine) -> Row:
    """The values of a row, as any database can hold them."""
    row: Row = structs.astuple(line)
    numbers, cost = _numbers(row), row[_COST]
    values = list(row)
    if max(numbers) > LIMIT or min(numbers) < 0 or not 0 <= (cost or 0) <= LIMIT or "\0" in "".join(_texts(row)):
        values = [_storable(value) for value in row]
    values[_TAGS] = json.encode({_storable(name): _storable(value) for name, value in line.tags.items()}).decode()
    values[_ATTEMPTS] = json.encode([_tame(attempt) for attempt in line.attempts]).decode()
    return tuple(values)


def _storable(value: Any) -> Any:
    if type(value) is int:
        return min(max(value, 0), LIMIT)
    return value.replace("\0", "\ufffd") if type(value) is str else value  # PostgreSQL's texts hold no NUL


def _tame(attempt: AttemptLine) -> AttemptLine:
    return attempt if "\0" not in attempt.target + attempt.reason else AttemptLine(*map(_storable, structs.astuple(attempt)))


def _insert(connection: Connection, rows: Sequence[Row]) -> int:
    """How many were not there. Straight to the driver: compiling values for each row would cost as much as inserting them."""
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    names = ", ".join(f'"{name}"' for name in _COLUMNS)
    sql = f"INSERT INTO calls ({names}) VALUES ({', '.join([mark] * len(_COLUMNS))}) ON CONFLICT DO NOTHING"
    return connection.exec_driver_sql(sql, list(rows)).rowcount
