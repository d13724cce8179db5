"""Remove what is older than the record is kept: single calls, and sums by hour. Sums by day stay.

In small transactions with pauses between them, so that whoever puts calls into the ledger waits for one of them at most; rows are
never loaded. May be stopped anywhere and run by several nodes: it goes on with whatever is old.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct
from sqlalchemy import Column, Connection, Engine, Table, delete, func, insert, select, tuple_, update

from freehold.store.engine import reading, writing
from freehold.store.grains import DAY_MS, GRAINS, HOUR_MS
from freehold.store.schema import calls, latencies, retained, rollups

LEAST, MOST = 50, 10_000  # rows in one transaction
_AIM_S = 0.05  # for one transaction
_HOURS = [grain.number for grain in GRAINS if grain.span_ms == HOUR_MS]


class Removed(Struct):
    """Rows. `finished`: nothing old is left."""

    calls: int = 0
    sums: int = 0
    finished: bool = False


class _Job(Struct):
    table: Table
    key: tuple[Column[object], ...]  # the primary key
    age: Column[int]
    before: int
    grains: Sequence[int] = ()


def trim(
    engine: Engine,
    now_ms: int,
    calls_days: int | None,
    hours_days: int | None,
    *,
    for_s: float,
    pause: Callable[[float], object] = time.sleep,
) -> Removed:
    """Remove what ended before the UTC day that is so many days ago (None: nothing), for about `for_s` seconds.

    `pause` sleeps that many seconds, and returns something true to stop early. Raises SQLAlchemyError.
    """
    removed = Removed()
    until = time.monotonic() + for_s
    for what, days in (("calls", calls_days), ("hours", hours_days)):
        if days is None:
            continue
        before_ms = (now_ms // DAY_MS - days) * DAY_MS
        _announce(engine, what, before_ms)
        for job in _jobs(what, before_ms):
            for count in _batches(engine, job):
                if what == "calls":
                    removed.calls += count.rows
                else:
                    removed.sums += count.rows
                # As long as it took: others get their turn.
                if pause(count.took_s) or time.monotonic() > until:
                    return removed
    removed.finished = True
    return removed


def _announce(engine: Engine, what: str, before_ms: int) -> None:
    """Said before the first is removed: who sums up reads no further back than all is there."""
    c = retained.c
    with reading(engine) as connection:
        said = connection.scalar(select(c.from_ms).where(c.what == what))
    if said is not None and said >= before_ms:
        return
    with writing(engine, "retained") as connection:
        if not connection.execute(
            update(retained).where(c.what == what, c.from_ms < before_ms).values(from_ms=before_ms)
        ).rowcount:
            there = connection.scalar(select(c.from_ms).where(c.what == what))
            if there is None:
                connection.execute(insert(retained).values(what=what, from_ms=before_ms))


def _jobs(what: str, before_ms: int) -> list[_Job]:
    if what == "calls":
        return [_Job(calls, (calls.c.call_id,), calls.c.ended_ms, before_ms)]
    return [
        _Job(table, (table.c.workspace, table.c.grain, table.c.at, table.c.series), table.c.at, before_ms // HOUR_MS, _HOURS)
        for table in (latencies, rollups)
    ]


class _Batch(Struct, frozen=True):
    rows: int
    took_s: float


def _batches(engine: Engine, job: _Job) -> Iterator[_Batch]:
    """Each is a transaction of its own, of as many rows as take about _AIM_S."""
    size = LEAST
    for workspace in _workspaces(engine, job.table):
        for grain in job.grains or (None,):
            within = [job.table.c.workspace == workspace, job.age < job.before]
            if grain is not None:
                within.append(job.table.c.grain == grain)
            while True:
                old = select(*job.key).where(*within).order_by(job.age).limit(size)
                key = job.key[0] if len(job.key) == 1 else tuple_(*job.key)
                began = time.monotonic()
                with writing(engine, "retention") as connection:
                    rows = connection.execute(delete(job.table).where(key.in_(old))).rowcount
                took_s = time.monotonic() - began
                if rows:
                    yield _Batch(rows, took_s)
                if rows < size:
                    break
                size = max(LEAST, min(MOST, size * 2 if took_s < _AIM_S / 2 else size // 2 if took_s > _AIM_S * 2 else size))


def _workspaces(engine: Engine, table: Table) -> list[str]:
    """Those that have rows, one step in the index for each: all rows need not be looked at."""
    found: list[str] = []
    with reading(engine) as connection:
        while (one := _next(connection, table, found[-1] if found else None)) is not None:
            found.append(one)
    return found


def _next(connection: Connection, table: Table, after: str | None) -> str | None:
    smallest = select(func.min(table.c.workspace))
    found: str | None = connection.scalar(smallest if after is None else smallest.where(table.c.workspace > after))
    return found
