"""More about each call, and roll-ups by hour and day with histograms in place of those by hour, made from the calls.

Once released, a migration is never changed: there are databases that it has made. So it has its own copy of how calls are
summed up.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from math import log
from operator import add
from typing import Any

from alembic import op
from sqlalchemy import JSON, BigInteger, Column, Connection, Integer, LargeBinary, Table, Text, UniqueConstraint, insert, text

revision = "0002"
down_revision = "0001"

_DIMENSIONS = (
    *("team", "app", "member", "key_id", "key"),
    *("route", "provider", "model", "answered_by", "zone", "region", "kind", "outcome"),
    *("end_user", "tag"),
)
_ALL, _WHAT = _DIMENSIONS[:13], _DIMENSIONS[5:13]
_WHO = (*_DIMENSIONS[:5], "outcome")
_GRAINS = ((1, 1, _ALL), (2, 1, _WHAT), (3, 24, _ALL), (4, 24, _WHAT), (7, 24, _WHO))  # number, hours, dimensions
_LATENCIES = ("total_us", "first_us", "overhead_us")
_MEASURES = (
    *("calls", "unpriced", "estimated", "input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning"),
    *("audio_in", "audio_out", "audio_ms", "characters", "images", "web_searches", "rerank_searches", "cost_nusd"),
    *_LATENCIES,
)
_OLD = (*("key_id", "key", "route", "provider", "model", "answered_by", "zone", "kind", "outcome"), "error")
_NUMBERS = ("estimated", *_MEASURES[3:11], "seconds", "characters", *_MEASURES[14:])
_DAY_MS = 86_400_000
_Sums = dict[tuple[str, int, tuple[str, ...]], list[int]]


def upgrade() -> None:
    for name in ("team", "app", "member", "end_user", "session", "region"):
        op.add_column("calls", Column(name, Text, nullable=False, server_default=text("''")))
    op.add_column("calls", Column("tags", JSON, nullable=False, server_default=text("'{}'")))
    op.add_column("calls", Column("images", BigInteger, nullable=False, server_default=text("0")))
    for name in ("end_user", "session"):
        where = text(f"{name} <> ''")
        columns = ["workspace", name, "ended_ms"]
        op.create_index(f"calls_by_{name}", "calls", columns, sqlite_where=where, postgresql_where=where)
    series = op.create_table(
        "series",
        Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
        Column("workspace", Text, nullable=False),
        Column("digest", LargeBinary, nullable=False),
        *(Column(name, Text, nullable=False) for name in _DIMENSIONS),
        UniqueConstraint("workspace", "digest"),
    )
    rollups = _rolled("rollups", *(Column(name, BigInteger, nullable=False) for name in _MEASURES))
    latencies = _rolled("latencies", *(Column(name, LargeBinary, nullable=False) for name in _LATENCIES))
    op.create_table("retained", Column("what", Text, primary_key=True), Column("from_ms", BigInteger, nullable=False))
    op.drop_table("calls_hourly")
    _fill(op.get_bind(), series, rollups, latencies)


def _rolled(name: str, *columns: Column[Any]) -> Table:
    key = (Column(part, BigInteger, primary_key=True, autoincrement=False) for part in ("grain", "at", "series"))
    return op.create_table(name, Column("workspace", Text, primary_key=True), *key, *columns, sqlite_with_rowid=False)


def _fill(connection: Connection, series: Table, rollups: Table, latencies: Table) -> None:
    """A day at a time: no more than its sums are in memory."""
    ids: dict[tuple[str, tuple[str, ...]], int] = {}
    for base in _days(connection):
        for number, hours, names in _GRAINS:
            sums = _folded(base, hours, names)
            for workspace, _, texts in sums:
                if (workspace, texts) not in ids:
                    digest = sha256("\0".join((",".join(names), *texts)).encode()).digest()[:16]
                    row = dict.fromkeys(_DIMENSIONS, "") | dict(zip(names, texts, strict=True))
                    made = insert(series).values(workspace=workspace, digest=digest, **row).returning(series.c.id)
                    ids[workspace, texts] = connection.execute(made).scalar_one()
            numbers, times = [], []
            for (workspace, at, texts), summed in sums.items():
                key = {"workspace": workspace, "grain": number, "at": at, "series": ids[workspace, texts]}
                numbers.append(key | dict(zip(_MEASURES, summed, strict=False)))
                times.append(key | dict(zip(_LATENCIES, map(_packed, summed[-3:]), strict=True)))
            connection.execute(insert(rollups), numbers)
            connection.execute(insert(latencies), times)


def _days(connection: Connection) -> Iterator[_Sums]:
    """Sums by workspace, hour and texts: measures, then three histograms."""
    quoted = ", ".join(f'"{name}"' for name in (*_OLD, *_NUMBERS))
    some = text(f"SELECT ended_ms, {quoted} FROM calls WHERE workspace = :workspace AND ended_ms >= :first AND ended_ms < :last")
    spans = connection.execute(text("SELECT workspace, min(ended_ms), max(ended_ms) FROM calls GROUP BY workspace")).all()
    for workspace, day in ((of, day) for of, first, last in spans for day in range(first // _DAY_MS, last // _DAY_MS + 1)):
        sums: _Sums = {}
        within = {"workspace": workspace, "first": day * _DAY_MS, "last": (day + 1) * _DAY_MS}
        for row in connection.execute(some, within):
            ended_ms, key_id, key, route, *what, error, estimated = row[: len(_OLD) + 2]
            provider, model, answered_by, zone, kind, outcome = what
            route = "" if error == "model_not_found" else route
            texts = ("", "", "", key_id, key, route, provider, model, answered_by, zone, "", kind, outcome)
            *tokens, seconds, characters, web, rerank, cost, total, first, overhead = row[len(_OLD) + 2 :]
            unpriced = cost is None and (tokens[0] > 0 or tokens[1] > 0)
            audio_ms = min(round(seconds * 1000), 10**13)
            parts = (*tokens, audio_ms, characters, 0, web, rerank, cost or 0, total, first, overhead)
            new = (1, int(unpriced), int(estimated), *parts, *map(_one, (total, first, overhead)))
            place = (workspace, ended_ms // 3_600_000, texts)
            sums[place] = list(map(add, sums[place], new)) if place in sums else list(new)
        if sums:
            yield sums


def _folded(base: _Sums, hours: int, names: tuple[str, ...]) -> _Sums:
    at = [_ALL.index(name) for name in names]
    sums: _Sums = {}
    for (workspace, hour, texts), new in base.items():
        place = (workspace, hour // hours, tuple([texts[n] for n in at]))
        sums[place] = list(map(add, sums[place], new)) if place in sums else new
    return sums


def _one(us: int) -> int:
    return 1 << (40 * (1 + int(log(us) / log(1.1)))) if us > 0 else 0


def _packed(histogram: int) -> bytes:
    if not histogram:
        return b""
    first = ((histogram & -histogram).bit_length() - 1) // 40
    body = histogram >> (40 * first)
    return first.to_bytes(2, "little") + body.to_bytes((body.bit_length() + 7) // 8, "little")
