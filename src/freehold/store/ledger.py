"""The ledger table and its roll-up by hour: put calls in, each of them once, and add them up.

Every function works within a transaction that its caller has begun. Sums are integers all the way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import islice
from operator import add, itemgetter
from typing import Any

from msgspec import json, structs
from sqlalchemy import ColumnElement, Connection, Select, case, func, literal, select, union_all

from freehold.store.schema import calls, calls_hourly
from freehold.store.spool import AttemptLine, LedgerLine
from freehold.store.total import Sum

HOUR_MS = 3_600_000
# The most that one number of a call may be (10,000 US dollars, 10 trillion tokens): an absurd one, which a provider can report,
# must neither be refused by the database nor let the sum of an hour overflow.
LIMIT = 10**13
_IDS_AT_ONCE = 500

_Row = tuple[Any, ...]
_COLUMNS = tuple(c.name for c in calls.columns)  # in the order of LedgerLine's fields
_SERIES = ("key_id", "key", "route", "provider", "model", "outcome")
_SUMMED = (
    *("input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning", "audio_in", "audio_out", "web_searches"),
    *("total_us", "first_us", "overhead_us"),
)
_MEASURES = ("calls", "unpriced", "estimated", "cost_nusd", *_SUMMED)
_ROLLED = ("workspace", "hour", "series", *_SERIES, *_MEASURES)


def _at(*names: str) -> Any:
    return itemgetter(*(_COLUMNS.index(name) for name in names))


_texts = _at(*(c.name for c in calls.columns if c.type.python_type is str))
_numbers = _at(*(c.name for c in calls.columns if c.type.python_type is int and not c.nullable))
_group = _at("workspace", *_SERIES)
_summed = _at(*_SUMMED)
_priced = _at("ended_ms", "cost_nusd", "input", "output", "estimated")
_COST, _ATTEMPTS = _COLUMNS.index("cost_nusd"), _COLUMNS.index("attempts")


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
    _roll_up(connection, rows)
    return len(rows)


def known(connection: Connection, call_ids: Iterable[str]) -> set[str]:
    """Which of these calls are in the ledger. Ids are unique over all workspaces."""
    found: set[str] = set()
    rest = iter(call_ids)
    while some := list(islice(rest, _IDS_AT_ONCE)):
        found.update(connection.scalars(select(calls.c.call_id).where(calls.c.call_id.in_(some))))
    return found


def _row(line: LedgerLine) -> _Row:
    """The values of a row, as any database can hold them."""
    row: _Row = structs.astuple(line)
    numbers, cost = _numbers(row), row[_COST]
    values = list(row)
    if max(numbers) > LIMIT or min(numbers) < 0 or not 0 <= (cost or 0) <= LIMIT or "\0" in "".join(_texts(row)):
        values = [_storable(value) for value in row]
    values[_ATTEMPTS] = json.encode([_tame(attempt) for attempt in line.attempts]).decode()
    return tuple(values)


def _storable(value: Any) -> Any:
    if type(value) is int:
        return min(max(value, 0), LIMIT)
    return value.replace("\0", "\ufffd") if type(value) is str else value  # PostgreSQL's texts hold no NUL


def _tame(attempt: AttemptLine) -> AttemptLine:
    return attempt if "\0" not in attempt.target + attempt.reason else AttemptLine(*map(_storable, structs.astuple(attempt)))


def _insert(connection: Connection, rows: Sequence[_Row]) -> int:
    """How many were not there. Straight to the driver: compiling values for each row would cost as much as inserting them."""
    sql = f"INSERT INTO calls ({_names(_COLUMNS)}) VALUES ({_marks(connection, len(_COLUMNS))}) ON CONFLICT DO NOTHING"
    return connection.exec_driver_sql(sql, list(rows)).rowcount


def _roll_up(connection: Connection, rows: Iterable[_Row]) -> None:
    sums: dict[_Row, list[int]] = {}
    for row in rows:
        ended_ms, cost, input, output, estimated = _priced(row)
        unpriced = cost is None and (input > 0 or output > 0)
        new = (1, int(unpriced), int(estimated), cost or 0, *_summed(row))
        key = (ended_ms // HOUR_MS, *_group(row))
        old = sums.get(key)
        sums[key] = list(new) if old is None else list(map(add, old, new))
    ready = []
    for (hour, workspace, *texts), measures in sums.items():
        series = sha256("\0".join(texts).encode()).digest()[:16]
        ready.append((workspace, hour, series, *texts, *measures))
    if not ready:
        return
    ready.sort(key=itemgetter(0, 1, 2))  # two shippers lock rows in the same order, and never wait for each other in a circle
    added = ", ".join(f'"{name}" = calls_hourly."{name}" + excluded."{name}"' for name in _MEASURES)
    sql = f"INSERT INTO calls_hourly ({_names(_ROLLED)}) VALUES ({_marks(connection, len(_ROLLED))})"
    connection.exec_driver_sql(f"{sql} ON CONFLICT (workspace, hour, series) DO UPDATE SET {added}", ready)


def _names(columns: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in columns)


def _marks(connection: Connection, count: int) -> str:
    return ", ".join(["?" if connection.dialect.name == "sqlite" else "%s"] * count)


def sums(connection: Connection, workspace: str, by: str, from_ms: int = 0) -> Iterator[tuple[str | int, Sum]]:
    """Over calls of `workspace` that ended at `from_ms` or later, for each key, route, model (provider/model) or day (unix days).

    Whole hours come from the roll-up, so that a month costs no more than its hours.
    """
    first_hour = -(-from_ms // HOUR_MS)
    rolled, single = calls_hourly.c, calls.c
    group = _grouping(by, rolled, rolled.hour // 24)
    parts = [
        _summing(group, rolled, rolled.calls, rolled.unpriced).where(rolled.workspace == workspace, rolled.hour >= first_hour)
    ]
    if from_ms < first_hour * HOUR_MS:
        unpriced = case((single.cost_nusd.is_(None) & ((single.input > 0) | (single.output > 0)), 1), else_=0)
        group = _grouping(by, single, single.ended_ms // (24 * HOUR_MS))
        within = (single.workspace == workspace, single.ended_ms >= from_ms, single.ended_ms < first_hour * HOUR_MS)
        parts.append(_summing(group, single, literal(1), unpriced).where(*within))
    for name, *numbers in connection.execute(union_all(*parts)):
        yield name, Sum(*map(int, numbers))  # PostgreSQL's sums are decimals


def _grouping(by: str, table: Any, day: ColumnElement[int]) -> ColumnElement[Any]:
    match by:
        case "key":
            return table.key  # type: ignore[no-any-return]
        case "route":
            return table.route  # type: ignore[no-any-return]
        case "model":
            return case((table.provider == "", ""), else_=table.provider + "/" + table.model)
    return day


def _summing(group: ColumnElement[Any], table: Any, count: ColumnElement[int], unpriced: ColumnElement[int]) -> Select[Any]:
    failed = case((table.outcome != "ok", count), else_=0)
    plain = (table.input, table.output, table.cache_read, table.cache_write, func.coalesce(table.cost_nusd, 0))
    summed = [func.sum(column) for column in (count, failed, *plain, unpriced)]
    return select(group.label("of"), *summed).group_by(group)
