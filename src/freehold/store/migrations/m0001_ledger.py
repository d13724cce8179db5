"""The ledger, its roll-up by hour, how far the spool is shipped, and the first workspace.

Once released, a migration is never changed: there are databases that it has made.
"""

from __future__ import annotations

import time

from alembic import op
from sqlalchemy import JSON, BigInteger, Boolean, Column, Double, LargeBinary, Text

revision = "0001"
down_revision = None


def upgrade() -> None:
    workspaces = op.create_table(
        "workspaces",
        Column("id", Text, primary_key=True),
        _text("name"),
        _number("created_ms"),
    )
    now_ms = time.time_ns() // 1_000_000
    op.bulk_insert(workspaces, [{"id": "default", "name": "default", "created_ms": now_ms}])
    op.create_table(
        "calls",
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
        Column("cost_nusd", BigInteger),
        _text("price_source"),
        _number("total_us"),
        _number("first_us"),
        _number("overhead_us"),
        Column("attempts", JSON, nullable=False),
        _text("upstream_id"),
        _text("client_id"),
    )
    op.create_index("calls_by_time", "calls", ["workspace", "ended_ms"])
    op.create_table(
        "calls_hourly",
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
        _number("unpriced"),
        _number("estimated"),
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
        sqlite_with_rowid=False,
    )
    op.create_table(
        "spool_segments",
        Column("segment", Text, primary_key=True),
        _number("position"),
        _number("unreadable"),
        _number("shipped_ms"),
    )


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _number(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False)
