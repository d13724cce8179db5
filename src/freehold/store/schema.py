"""The tables. Every row of a tenant names its workspace, and every query must.

A change here needs a migration (store/migrations) and a new HEAD; tests compare the two.
"""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Double, Index, LargeBinary, MetaData, Table, Text

HEAD = "0001"  # the newest migration: known here, so that most programs need not load Alembic

metadata = MetaData()


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _number(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False)


workspaces = Table(
    "workspaces",
    metadata,
    Column("id", Text, primary_key=True),
    _text("name"),
    _number("created_ms"),
)

# The ledger: one row a call, its columns the fields of spool.LedgerLine in their order, with their meaning and units.
# No foreign keys: a record outlives what it speaks of.
calls = Table(
    "calls",
    metadata,
    Column("call_id", Text, primary_key=True),
    _number("ended_ms"),
    _text("kind"),
    _text("dialect"),
    _text("workspace"),
    _text("key_id"),
    _text("key"),
    _text("route"),
    _text("provider"),
    _text("model"),
    _text("answered_by"),
    _text("zone"),
    _flag("stream"),
    _flag("translated"),
    _number("status"),
    _text("outcome"),
    _text("error"),
    _text("finish"),
    _number("input"),
    _number("output"),
    _number("cache_read"),
    _number("cache_write"),
    _number("cache_write_1h"),
    _number("reasoning"),
    _number("audio_in"),
    _number("audio_out"),
    _number("web_searches"),
    Column("seconds", Double, nullable=False),
    _number("characters"),
    _number("rerank_searches"),
    _text("service_tier"),
    _flag("estimated"),
    Column("cost_nusd", BigInteger),  # NULL: unpriced
    _text("price_source"),
    _number("total_us"),
    _number("first_us"),
    _number("overhead_us"),
    Column("attempts", JSON, nullable=False),
    _text("upstream_id"),
    _text("client_id"),
    Index("calls_by_time", "workspace", "ended_ms"),
)

# The ledger summed up by hour. `hour`: unix time / 3600. `series`: digest of the texts, since an index over texts as long as
# clients may send them can exceed what PostgreSQL allows.
calls_hourly = Table(
    "calls_hourly",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("hour", BigInteger, primary_key=True, autoincrement=False),
    Column("series", LargeBinary, primary_key=True),
    _text("key_id"),
    _text("key"),
    _text("route"),
    _text("provider"),
    _text("model"),
    _text("outcome"),
    _number("calls"),
    _number("unpriced"),  # calls that used tokens of a model whose price nobody knows
    _number("estimated"),  # calls whose tokens were counted by us
    _number("input"),
    _number("output"),
    _number("cache_read"),
    _number("cache_write"),
    _number("cache_write_1h"),
    _number("reasoning"),
    _number("audio_in"),
    _number("audio_out"),
    _number("web_searches"),
    _number("cost_nusd"),
    _number("total_us"),
    _number("first_us"),
    _number("overhead_us"),
    sqlite_with_rowid=False,  # kept in the order of its key: a range of hours is read in one sweep
)

# How far each segment of a spool is in the ledger. `unreadable`: lines of it that were not records.
spool_segments = Table(
    "spool_segments",
    metadata,
    Column("segment", Text, primary_key=True),
    _number("position"),
    _number("unreadable"),
    _number("shipped_ms"),
)
