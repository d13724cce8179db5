"""The tables. Every row of a tenant names its workspace, and every query must.

A change here needs a migration (store/migrations) and a new HEAD; tests compare the two.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Double, Index, Integer, LargeBinary, Table, Text, UniqueConstraint
from sqlalchemy import text as sql

from freehold.store import grains
from freehold.store.columns import document, flag, maybe_sealed, metadata, number, text

HEAD = "0003"  # the newest migration: known here, so that most programs need not load Alembic


def _only(condition: str) -> dict[str, Any]:
    """An index over those rows alone."""
    return {"sqlite_where": sql(condition), "postgresql_where": sql(condition)}


workspaces = Table(
    "workspaces",
    metadata,
    Column("id", Text, primary_key=True),
    text("name"),
    number("created_ms"),
    document("metadata"),
    number("updated_ms"),
    number("version"),
    flag("disabled"),
    maybe_sealed("data_key"),  # wrapped by the master key; NULL: not made yet
)

# The ledger: one row a call, its columns the fields of spool.LedgerLine in their order, with their meaning and units.
# No foreign keys: a record outlives what it speaks of.
calls = Table(
    "calls",
    metadata,
    Column("call_id", Text, primary_key=True),
    number("ended_ms"),
    text("kind"),
    text("dialect"),
    text("workspace"),
    text("key_id"),
    text("key"),
    text("team"),
    text("app"),
    text("member"),
    text("end_user"),
    text("session"),
    document("tags"),
    text("route"),
    text("provider"),
    text("model"),
    text("answered_by"),
    text("zone"),
    text("region"),
    flag("stream"),
    flag("translated"),
    number("status"),
    text("outcome"),
    text("error"),
    text("finish"),
    number("input"),
    number("output"),
    number("cache_read"),
    number("cache_write"),
    number("cache_write_1h"),
    number("reasoning"),
    number("audio_in"),
    number("audio_out"),
    number("web_searches"),
    Column("seconds", Double, nullable=False),
    number("characters"),
    number("rerank_searches"),
    number("images"),
    text("service_tier"),
    flag("estimated"),
    Column("cost_nusd", BigInteger),  # NULL: unpriced
    text("price_source"),
    number("total_us"),
    number("first_us"),
    number("overhead_us"),
    Column("attempts", JSON, nullable=False),
    text("upstream_id"),
    text("client_id"),
    Index("calls_by_time", "workspace", "ended_ms"),
    # Most calls name neither: those cost these indexes nothing.
    Index("calls_by_end_user", "workspace", "end_user", "ended_ms", **_only("end_user <> ''")),
    Index("calls_by_session", "workspace", "session", "ended_ms", **_only("session <> ''")),
)

# The texts that rows of the roll-ups have in common: grains.DIMENSIONS, "" where a grain does not know one. `digest`: of those
# texts, since an index over texts as long as clients may send them can exceed what PostgreSQL allows.
series = Table(
    "series",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    text("workspace"),
    Column("digest", LargeBinary, nullable=False),
    *(text(name) for name in grains.DIMENSIONS),
    UniqueConstraint("workspace", "digest"),
)


def _rolled(name: str, *columns: Column[Any]) -> Table:
    """`grain`: its number; `at`: unix time in its spans; `series`: an id. A range of time is read in one sweep."""
    key = (Column(part, BigInteger, primary_key=True, autoincrement=False) for part in ("grain", "at", "series"))
    return Table(name, metadata, Column("workspace", Text, primary_key=True), *key, *columns, sqlite_with_rowid=False)


# The ledger summed up. The histograms (histogram.py) are apart, since most questions do not ask for them.
rollups = _rolled("rollups", *(number(name) for name in grains.MEASURES))
latencies = _rolled("latencies", *(Column(name, LargeBinary, nullable=False) for name in grains.LATENCIES))

# What retention has removed: `what` is "calls" or "hours"; those before `from_ms` are not all there any more.
retained = Table("retained", metadata, Column("what", Text, primary_key=True), number("from_ms"))

# How far each segment of a spool is in the ledger. `unreadable`: lines of it that were not records.
spool_segments = Table(
    "spool_segments",
    metadata,
    Column("segment", Text, primary_key=True),
    number("position"),
    number("unreadable"),
    number("shipped_ms"),
)
