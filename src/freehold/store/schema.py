"""The tables. Every row of a tenant names its workspace, and every query must.

A change here needs a migration (store/migrations) and a new HEAD; tests compare the two.
"""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Double, Index, LargeBinary, Table, Text

from freehold.store.columns import document, flag, maybe_sealed, metadata, number, text

HEAD = "0003"  # the newest migration: known here, so that most programs need not load Alembic

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
    text("route"),
    text("provider"),
    text("model"),
    text("answered_by"),
    text("zone"),
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
)

# The ledger summed up by hour. `hour`: unix time / 3600. `series`: digest of the texts, since an index over texts as long as
# clients may send them can exceed what PostgreSQL allows.
calls_hourly = Table(
    "calls_hourly",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("hour", BigInteger, primary_key=True, autoincrement=False),
    Column("series", LargeBinary, primary_key=True),
    text("key_id"),
    text("key"),
    text("route"),
    text("provider"),
    text("model"),
    text("outcome"),
    number("calls"),
    number("unpriced"),  # calls that used tokens of a model whose price nobody knows
    number("estimated"),  # calls whose tokens were counted by us
    number("input"),
    number("output"),
    number("cache_read"),
    number("cache_write"),
    number("cache_write_1h"),
    number("reasoning"),
    number("audio_in"),
    number("audio_out"),
    number("web_searches"),
    number("cost_nusd"),
    number("total_us"),
    number("first_us"),
    number("overhead_us"),
    sqlite_with_rowid=False,  # kept in the order of its key: a range of hours is read in one sweep
)

# How far each segment of a spool is in the ledger. `unreadable`: lines of it that were not records.
spool_segments = Table(
    "spool_segments",
    metadata,
    Column("segment", Text, primary_key=True),
    number("position"),
    number("unreadable"),
    number("shipped_ms"),
)
