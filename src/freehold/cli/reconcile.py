"""`freehold spend reconcile`: a provider's bill against the ledger, line by line."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, time
from pathlib import Path

from msgspec import json, structs

from freehold.cli.ledger import WORKSPACE, opened, waiting
from freehold.cli.settings import Failed
from freehold.cli.table import table
from freehold.control.invoice import Amounts, Invoice, InvoiceError, read_invoice
from freehold.control.reconcile import Comparison, Line, ReconcileError, days_of, reconcile
from freehold.policy.pricing import format_usd
from freehold.store.engine import reading
from freehold.store.grains import DAY_MS

_SHOWN = {"input": "INPUT", "output": "OUTPUT", "cost_nusd": "COST USD"}


def render(data: Path, file: Path, provider: str, month: str, tolerance: float, *, as_json: bool) -> tuple[str, bool]:
    """What to print, and whether the two agree. Raises Failed, StoreError, OSError."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as text:
            invoice: Invoice = read_invoice(text)
        with opened(data) as engine:
            missing = waiting(data, engine, *_span(invoice, month))
            with reading(engine) as connection:
                found = reconcile(connection, WORKSPACE, invoice, provider=provider, month=month, tolerance_percent=tolerance)
    except InvoiceError as error:
        raise Failed(f"{file}: {error}") from None
    except ReconcileError as error:
        raise Failed(str(error)) from None
    if missing:
        print(f"note: {missing}", file=sys.stderr)
    return (_json(found, missing) if as_json else _text(found)), found.agrees


def _span(invoice: Invoice, month: str) -> tuple[int, int]:
    first, last = days_of(invoice, month)
    first_ms, last_ms = (int(datetime.combine(day, time(), UTC).timestamp() * 1000) for day in (first, last))
    return first_ms, last_ms + DAY_MS


def _text(found: Comparison) -> str:
    heads = ["DAY", "MODEL"]
    for name in found.told:
        heads += [f"{_SHOWN[name]} BILLED", "OURS", "DIFFERENCE"]
    heads += ["%", "VERDICT"]
    rows = [_cells(line, found.told) for line in (*found.lines, found.total)]
    rows[-1][0] = ""
    differing = sum(line.verdict != "ok" for line in found.lines)
    unpriced = found.total.unpriced_calls
    said = f"{found.provider}, {found.first} to {found.last} (UTC): "
    said += "the bill and the ledger agree" if not differing else f"{differing} of {len(found.lines)} lines differ"
    if unpriced:
        said += f"; {unpriced:,} calls in the ledger have no price"
    return table(heads, rows, right=range(2, len(heads) - 1)) + "\n" + said


def _cells(line: Line, told: tuple[str, ...]) -> list[str]:
    cells = [str(line.day), line.model]
    for name in told:
        theirs, ours = getattr(line.theirs, name) or 0, getattr(line.ours, name) or 0
        cells += [_shown(name, theirs), _shown(name, ours), _shown(name, ours - theirs)]
    percent = "-" if line.difference_percent is None else f"{line.difference_percent:+.2f}"
    return [*cells, percent, line.verdict]


def _shown(name: str, value: int) -> str:
    if name != "cost_nusd":
        return f"{value:,}"
    return ("-" if value < 0 else "") + format_usd(abs(value))


def _json(found: Comparison, missing: str) -> str:
    whole = {
        "provider": found.provider,
        "first": found.first,
        "last": found.last,
        "compared": found.told,
        "agrees": found.agrees,
        "note": missing,
        "lines": [_described(line) for line in found.lines],
        "total": _described(found.total),
    }
    return json.format(json.encode(whole), indent=2).decode()


def _described(line: Line) -> dict[str, object]:
    def amounts(of: Amounts) -> dict[str, object]:
        return {name: value for name, value in structs.asdict(of).items() if value is not None}

    return structs.asdict(line) | {"theirs": amounts(line.theirs), "ours": amounts(line.ours)}
