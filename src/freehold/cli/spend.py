"""`freehold spend`: the record of calls, added up. Integers all the way, so that sums are exact to the nano-dollar."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct, json

from freehold.cli.settings import Failed, existing
from freehold.cli.table import table
from freehold.policy.pricing import format_usd
from freehold.store.spool import LedgerLine, read_lines

_SPAN = re.compile(r"(\d{1,6})([mhd])\Z")
_SECONDS = {"m": 60, "h": 3600, "d": 86_400}


class Sum(Struct):
    """`input` includes cached tokens. `unpriced`: calls that used tokens of a model whose price nobody knows."""

    calls: int = 0
    failed: int = 0
    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cost_nusd: int = 0
    unpriced: int = 0

    def add(self, line: LedgerLine) -> None:
        self.calls += 1
        self.failed += line.outcome != "ok"
        self.input += line.input
        self.output += line.output
        self.cache_read += line.cache_read
        self.cache_write += line.cache_write
        if line.cost_nusd is not None:
            self.cost_nusd += line.cost_nusd
        elif line.input or line.output:
            self.unpriced += 1


def render(data: Path, by: str, since: str | None, *, as_json: bool) -> str:
    from_ms = since_ms(since, time.time()) if since else 0
    groups, total = add_up(read_lines(existing(data)), by, from_ms)
    ordered = sorted(groups.items(), key=lambda g: g[0] if by == "day" else (-g[1].cost_nusd, -g[1].calls, g[0]))
    if as_json:
        rows = [{by: name, **_described(s)} for name, s in ordered]
        return json.format(
            json.encode({"by": by, "since_ms": from_ms, "rows": rows, "total": _described(total)}), indent=2
        ).decode()
    cells = [(name or "-", *_cells(s)) for name, s in ordered] + [("total", *_cells(total))]
    heads = (by.upper(), "CALLS", "FAILED", "INPUT", "CACHED", "OUTPUT", "COST USD", "UNPRICED")
    return table(heads, cells, right=range(1, len(heads)))


def add_up(lines: Iterable[LedgerLine], by: str, from_ms: int = 0) -> tuple[dict[str, Sum], Sum]:
    """Sums by key, model (provider/model), route or UTC day, and over everything. `from_ms`: calls that ended then or later."""
    groups: dict[str, Sum] = {}
    total = Sum()
    for line in lines:
        if line.ended_ms >= from_ms:
            groups.setdefault(_group(line, by), Sum()).add(line)
            total.add(line)
    return groups, total


def since_ms(text: str, now_s: float) -> int:
    """Unix milliseconds for "30m", "24h", "7d" before now, or an ISO date or time (UTC if it names no zone). Raises Failed."""
    span = _SPAN.match(text)
    if span:
        return int((now_s - int(span[1]) * _SECONDS[span[2]]) * 1000)
    try:
        moment = datetime.fromisoformat(text)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise Failed(f"--since {text!r} is no time; write 30m, 24h, 7d, 2026-11-23 or 2026-11-23T08:00") from None


def _group(line: LedgerLine, by: str) -> str:
    match by:
        case "key":
            return line.key
        case "model":
            return f"{line.provider}/{line.model}" if line.provider else ""
        case "route":
            return line.route
    return time.strftime("%Y-%m-%d", time.gmtime(line.ended_ms / 1000))


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
