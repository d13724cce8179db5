"""`freehold spend`: the record of calls, added up: the ledger, and what has not been shipped into it yet."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import json

from freehold.cli.settings import existing
from freehold.cli.table import table
from freehold.cli.when import when_ms
from freehold.policy.pricing import format_usd
from freehold.store.address import database
from freehold.store.spool import LedgerLine, read_lines
from freehold.store.total import Sum

if TYPE_CHECKING:
    from freehold.control.usage import Row

WORKSPACE = "default"
DAY_MS = 86_400_000


def render(data: Path, by: str, since: str | None, *, as_json: bool) -> str:
    from_ms = when_ms(since, "--since", time.time()) if since else 0
    # The spool first: what is shipped after that is in the ledger, and seen there. The other way round it could be missed.
    waiting = [line for line in read_lines(existing(data)) if line.ended_ms >= from_ms]
    recorded, waiting = _recorded(data, by, from_ms, waiting)
    groups, total = add_up(waiting, by)
    for name, part in recorded:
        groups.setdefault(name, Sum()).add_sum(part)
        total.add_sum(part)
    ordered = sorted(groups.items(), key=lambda g: g[0] if by == "day" else (-g[1].cost_nusd, -g[1].calls, g[0]))
    if as_json:
        rows = [{by: name, **_described(s)} for name, s in ordered]
        return json.format(
            json.encode({"by": by, "since_ms": from_ms, "rows": rows, "total": _described(total)}), indent=2
        ).decode()
    cells = [(name or "-", *_cells(s)) for name, s in ordered] + [("total", *_cells(total))]
    heads = (by.upper(), "CALLS", "FAILED", "INPUT", "CACHED", "OUTPUT", "COST USD", "UNPRICED")
    return table(heads, cells, right=range(1, len(heads)))


def _recorded(data: Path, by: str, from_ms: int, lines: list[LedgerLine]) -> tuple[list[tuple[str, Sum]], list[LedgerLine]]:
    """What the ledger holds, in parts, and those of `lines` that it does not. Raises StoreError."""
    address = database(data, os.environ)
    if address.file is not None and not address.file.exists():
        return [], lines
    # Slow to load, and of no use until there is a ledger.
    from freehold.control.usage import Question, ask
    from freehold.store import ledger, migrate
    from freehold.store.engine import explained, open_engine, reading

    measures = ("calls", "failed", "input", "output", "cache_read", "cache_write", "cost_nusd", "unpriced")  # as in Sum
    names = {"day": (), "model": ("provider", "model")}.get(by, (by,))
    question = Question(workspace=WORKSPACE, measures=measures, by=names, step="day" if by == "day" else "none", from_ms=from_ms)
    with explained(address):
        engine = open_engine(address)
        if not migrate.revision(engine):
            return [], lines
        migrate.require_current(engine, address)
        with reading(engine) as connection:
            rows = ask(connection, question).rows
            there = ledger.known(connection, (line.call_id for line in lines))
    parts = [(_named(row), Sum(*(n or 0 for n in row.values))) for row in rows]
    return parts, [line for line in lines if line.call_id not in there]


def _named(row: Row) -> str:
    if row.at_ms is not None:
        return _day(row.at_ms // DAY_MS)
    return "/".join(row.group) if row.group[0] else ""


def add_up(lines: Iterable[LedgerLine], by: str, from_ms: int = 0) -> tuple[dict[str, Sum], Sum]:
    """Sums by key, model (provider/model), route or UTC day, and over everything. `from_ms`: calls that ended then or later."""
    groups: dict[str, Sum] = {}
    total = Sum()
    for line in lines:
        if line.ended_ms >= from_ms:
            groups.setdefault(_group(line, by), Sum()).add(line)
            total.add(line)
    return groups, total


def _group(line: LedgerLine, by: str) -> str:
    match by:
        case "key":
            return line.key
        case "model":
            return f"{line.provider}/{line.model}" if line.provider else ""
        case "route":
            return line.route
    return _day(line.ended_ms // DAY_MS)


def _day(number: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(number * DAY_MS / 1000))


def _cells(s: Sum) -> tuple[str, ...]:
    numbers = (s.calls, s.failed, s.input, s.cache_read, s.output)
    return (*(f"{n:,}" for n in numbers), format_usd(s.cost_nusd), f"{s.unpriced:,}")


def _described(s: Sum) -> dict[str, object]:
    return {
        "calls": s.calls,
        "failed_calls": s.failed,
        "unpriced_calls": s.unpriced,
        "input_tokens": s.input,
        "output_tokens": s.output,
        "cache_read_tokens": s.cache_read,
        "cache_write_tokens": s.cache_write,
        "cost_usd": format_usd(s.cost_nusd),
        "cost_nusd": s.cost_nusd,
    }
