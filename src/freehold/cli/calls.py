"""`freehold calls`: single calls of the ledger, to look at or to take away."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct, json

from freehold.cli.ledger import WORKSPACE, opened, waiting
from freehold.cli.settings import Failed
from freehold.cli.table import table
from freehold.cli.usage import pairs, target
from freehold.cli.when import when_ms
from freehold.control import calls
from freehold.control.calls import CallsError, Filter
from freehold.control.export import CALL_COLUMNS, ExportError, Format, call_rows, moment, write
from freehold.policy.pricing import format_usd
from freehold.store.engine import reading
from freehold.store.spool import LedgerLine


class Asked(Struct, frozen=True, kw_only=True):
    since: str | None = None
    until: str | None = None
    where: tuple[str, ...] = ()
    limit: int = 50


def show(data: Path, asked: Asked, form: str, output: Path | None) -> None:
    """The newest `limit` as a table or JSON; all, the oldest first, as CSV or Parquet. Raises Failed, StoreError, OSError."""
    now_s = time.time()
    from_ms = when_ms(asked.since, "--from", now_s) if asked.since else 0
    to_ms = when_ms(asked.until, "--to", now_s) if asked.until else None
    wanted = Filter(workspace=WORKSPACE, where=pairs(asked.where), from_ms=from_ms, to_ms=to_ms)
    with opened(data) as engine, target(output, form) as out:
        missing = waiting(data, engine, from_ms, to_ms)
        if missing:
            print(f"note: {missing}", file=sys.stderr)
        try:
            if form in ("table", "json"):
                with reading(engine) as connection:
                    page = calls.page(connection, wanted, limit=asked.limit)
                lines = page.calls
                text = json.format(json.encode(lines), indent=2) if form == "json" else _table(lines).encode()
                out.write(text + b"\n")
                if page.next:
                    print(f"note: these are the newest {len(lines)}; --limit shows more", file=sys.stderr)
            else:
                shape: Format = "csv" if form == "csv" else "parquet"
                write(shape, CALL_COLUMNS, call_rows(calls.batches(engine, wanted)), out)
        except (CallsError, ExportError) as error:
            raise Failed(str(error)) from None


def one(data: Path, call_id: str) -> str:
    """As JSON. Raises Failed."""
    with opened(data) as engine:
        missing = waiting(data, engine)
        with reading(engine) as connection:
            found = calls.one(connection, WORKSPACE, call_id)
    if found is None:
        raise Failed(f"there is no call {call_id!r} in the ledger" + (f"; {missing}" if missing else ""))
    return json.format(json.encode(found), indent=2).decode()


def _table(lines: list[LedgerLine]) -> str:
    heads = ("ENDED", "CALL", "KEY", "ROUTE", "TARGET", "STATUS", "OUTCOME", "INPUT", "OUTPUT", "COST USD", "MS")
    return table(heads, [tuple(_cells(line)) for line in lines], right=(5, 7, 8, 9, 10))


def _cells(line: LedgerLine) -> Iterator[str]:
    yield moment(line.ended_ms)
    yield line.call_id
    yield line.key or "-"
    yield line.route or "-"
    yield f"{line.provider}/{line.model}" if line.provider else "-"
    yield str(line.status)
    yield line.outcome if not line.error else f"{line.outcome} ({line.error})"
    yield f"{line.input:,}"
    yield f"{line.output:,}"
    yield "-" if line.cost_nusd is None else format_usd(line.cost_nusd)
    yield f"{line.total_us / 1000:,.1f}"
