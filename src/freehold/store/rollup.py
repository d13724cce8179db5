"""Add calls to the roll-ups: sums and histograms by every grain, within the transaction that puts them into the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import groupby
from operator import add, itemgetter
from typing import Any

from msgspec import json
from sqlalchemy import Connection, func, select

from freehold.store import histogram
from freehold.store.engine import alone
from freehold.store.grains import (
    DAY_MS,
    DAYS,
    DAYS_END_USER,
    DAYS_TAG,
    DAYS_WHAT,
    DAYS_WHO,
    DIMENSIONS,
    HOUR_MS,
    HOURS,
    HOURS_WHAT,
    LATENCIES,
    MAX_LABELS,
    MEASURES,
    OTHERS,
    Grain,
    tag_name,
)
from freehold.store.schema import calls, latencies, rollups, series

# The most that one number of a call may be (10,000 US dollars, 10 trillion tokens): an absurd one, which a provider can report,
# must neither be refused by the database nor let a sum overflow.
LIMIT = 10**13
_AT_ONCE = 500

Row = tuple[Any, ...]
_COLUMNS = tuple(c.name for c in calls.columns)
_BASE = HOURS.dimensions
NO_MODEL = "model_not_found"
_LABELLED = (DAYS_END_USER, DAYS_TAG)
_KEY = ("workspace", "grain", "at", "series")


def _at(*names: str) -> Any:
    return itemgetter(*(_COLUMNS.index(name) for name in names))


_texts = _at("workspace", *_BASE)
_marks = _at("ended_ms", "error", "estimated", "end_user", "tags", "app", "outcome")
_SUMMED = MEASURES[3:]  # the others are counted
_summed = _at(*("seconds" if name == "audio_ms" else name for name in _SUMMED))
_AUDIO, _COST, _FIRST_TIME = (_SUMMED.index(name) for name in ("audio_ms", "cost_nusd", LATENCIES[0]))
_ROUTE = _BASE.index("route")


class _Sum:
    """`numbers` in the order of MEASURES, `times` (histograms) in that of LATENCIES."""

    __slots__ = ("numbers", "times")

    def __init__(self) -> None:
        self.numbers: Sequence[int] = (0,) * len(MEASURES)
        self.times: Sequence[int] = (0,) * len(LATENCIES)

    def add(self, numbers: Iterable[int], times: Iterable[int]) -> None:
        self.numbers = tuple(map(add, self.numbers, numbers))
        self.times = tuple(map(add, self.times, times))


_Ready = tuple[tuple[str, int, int], _Sum]  # by workspace, `at` and series
# By workspace, unix time in spans, and the texts of the grain's dimensions.
_Sums = dict[tuple[str, int, tuple[str, ...]], _Sum]


def roll_up(connection: Connection, rows: Iterable[Row]) -> None:
    """`rows`: new ones of `calls`, in the order of its columns."""
    sums = _added_up(rows)
    if sums:
        # Histograms are read, added to and written again. Nobody else may do that meanwhile.
        alone(connection, "rollups")
        for grain, of_grain in sums.items():
            _store(connection, grain, of_grain)


def _added_up(rows: Iterable[Row]) -> dict[Grain, _Sums]:
    base: _Sums = {}
    by_user: _Sums = {}
    by_tag: _Sums = {}
    for row in rows:
        ended_ms, error, estimated, end_user, tags, app, outcome = _marks(row)
        workspace, *texts = _texts(row)
        if error == NO_MODEL:
            texts[_ROUTE] = ""  # names that clients invent must not become rows
        summed = list(_summed(row))
        unpriced = summed[_COST] is None and (summed[0] > 0 or summed[1] > 0)
        summed[_COST] = summed[_COST] or 0
        summed[_AUDIO] = min(round(summed[_AUDIO] * 1000), LIMIT)
        numbers = (1, int(unpriced), int(estimated), *summed)
        times = tuple(map(histogram.one, summed[_FIRST_TIME:]))
        _add(base, (workspace, ended_ms // HOUR_MS, tuple(texts)), numbers, times)
        if end_user:
            _add(by_user, (workspace, ended_ms // DAY_MS, (app, outcome, end_user)), numbers, times)
        if tags != "{}":
            for name in {tag_name(*tag) for tag in json.decode(tags).items()}:
                _add(by_tag, (workspace, ended_ms // DAY_MS, (app, outcome, name)), numbers, times)
    found = {HOURS: base}
    for grain in (HOURS_WHAT, DAYS, DAYS_WHAT, DAYS_WHO):
        found[grain] = _folded(base, grain)
    found |= {DAYS_END_USER: by_user, DAYS_TAG: by_tag}
    return {grain: of_grain for grain, of_grain in found.items() if of_grain}


def _add(sums: _Sums, key: tuple[str, int, tuple[str, ...]], numbers: Iterable[int], times: Iterable[int]) -> None:
    found = sums.get(key)
    if found is None:
        found = sums[key] = _Sum()
    found.add(numbers, times)


def _folded(base: _Sums, grain: Grain) -> _Sums:
    """Sums by hour and everything, by fewer dimensions or longer spans."""
    texts_of: Any = itemgetter(*(_BASE.index(name) for name in grain.dimensions))
    hours = grain.span_ms // HOUR_MS
    sums: _Sums = {}
    for (workspace, at, texts), part in base.items():
        _add(sums, (workspace, at // hours, texts_of(texts)), part.numbers, part.times)
    return sums


def _store(connection: Connection, grain: Grain, sums: _Sums) -> None:
    if grain in _LABELLED:
        sums = _bounded(connection, grain, sums)
    ids = _series(connection, grain, sums, make=True)
    # Sorted, so that what belongs to one span of a workspace is together, and rows are written in the order they are kept in.
    ready = sorted(
        (((workspace, at, ids[workspace, texts]), part) for (workspace, at, texts), part in sums.items()), key=itemgetter(0)
    )
    _store_numbers(connection, grain, ready)
    _store_times(connection, grain, ready)


def _store_numbers(connection: Connection, grain: Grain, ready: Sequence[_Ready]) -> None:
    added = ", ".join(f'"{name}" = rollups."{name}" + excluded."{name}"' for name in MEASURES)
    sql = _insert(connection, "rollups", (*_KEY, *MEASURES), f"(workspace, grain, at, series) DO UPDATE SET {added}")
    connection.exec_driver_sql(sql, [(key[0], grain.number, *key[1:], *part.numbers) for key, part in ready])


def _store_times(connection: Connection, grain: Grain, ready: Sequence[_Ready]) -> None:
    c, changed = latencies.c, []
    for (workspace, at), group in groupby(ready, lambda one: one[0][:2]):
        parts = {key[2]: part for key, part in group}
        where = (c.workspace == workspace, c.grain == grain.number, c.at == at)
        columns = (c.series, *(c[name] for name in LATENCIES))
        for some in _some(list(parts)):
            for number, *stored in connection.execute(select(*columns).where(*where, c.series.in_(some))):
                parts[number].times = tuple(map(add, parts[number].times, map(histogram.unpacked, stored)))
        for number, part in parts.items():
            changed.append((workspace, grain.number, at, number, *map(histogram.packed, part.times)))
    replaced = ", ".join(f"{name} = excluded.{name}" for name in LATENCIES)
    sql = _insert(connection, "latencies", (*_KEY, *LATENCIES), f"(workspace, grain, at, series) DO UPDATE SET {replaced}")
    connection.exec_driver_sql(sql, changed)


def _bounded(connection: Connection, grain: Grain, sums: _Sums) -> _Sums:
    """With no more rows than MAX_LABELS in each span, but for a row of OTHERS."""
    ids = _series(connection, grain, sums)
    bounded: _Sums = {}
    for (workspace, at), group in groupby(sorted(sums.items(), key=itemgetter(0)), lambda one: one[0][:2]):
        where = (rollups.c.workspace == workspace, rollups.c.grain == grain.number, rollups.c.at == at)
        parts = [(texts, part) for (_, _, texts), part in group]
        there: set[int] = set()
        for some in _some([ids[workspace, texts] for texts, _ in parts if (workspace, texts) in ids]):
            there.update(connection.scalars(select(rollups.c.series).where(*where, rollups.c.series.in_(some))))
        room = MAX_LABELS
        if len(there) < len(parts):
            room -= connection.scalar(select(func.count()).select_from(rollups).where(*where)) or 0
        for texts, part in parts:
            if ids.get((workspace, texts)) not in there:
                room -= 1
                if room < 0:
                    texts = (*texts[:-1], OTHERS)
            _add(bounded, (workspace, at, texts), part.numbers, part.times)
    return bounded


def _series(
    connection: Connection, grain: Grain, sums: _Sums, *, make: bool = False
) -> Mapping[tuple[str, tuple[str, ...]], int]:
    """The ids of those that are there; with `make`, of all."""
    digests = {(workspace, _digest(grain, texts)): (workspace, texts) for workspace, _, texts in sums}
    c = series.c
    found: dict[tuple[str, tuple[str, ...]], int] = {}

    def look() -> None:
        for workspace in {workspace for workspace, _ in digests}:
            for some in _some([digest for of, digest in digests if of == workspace and digests[of, digest] not in found]):
                rows = connection.execute(select(c.digest, c.id).where(c.workspace == workspace, c.digest.in_(some)))
                found.update((digests[workspace, bytes(digest)], number) for digest, number in rows)

    look()
    missing = [(*key, *texts[1]) for key, texts in digests.items() if texts not in found]
    if missing and make:
        rest = dict.fromkeys(DIMENSIONS, "")
        names = ("workspace", "digest", *DIMENSIONS)
        ready = []
        for workspace, digest, *texts in missing:
            ready.append((workspace, digest, *(rest | dict(zip(grain.dimensions, texts, strict=True))).values()))
        connection.exec_driver_sql(_insert(connection, "series", names, "(workspace, digest) DO NOTHING"), ready)
        look()
    return found


def _digest(grain: Grain, texts: tuple[str, ...]) -> bytes:
    named = "\0".join((",".join(grain.dimensions), *texts))
    return sha256(named.encode()).digest()[:16]


def _some(values: list[Any]) -> Iterator[list[Any]]:
    return (values[at : at + _AT_ONCE] for at in range(0, len(values), _AT_ONCE))


def _insert(connection: Connection, table: str, names: Sequence[str], conflict: str) -> str:
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    quoted = ", ".join(f'"{name}"' for name in names)
    return f"INSERT INTO {table} ({quoted}) VALUES ({', '.join([mark] * len(names))}) ON CONFLICT {conflict}"
