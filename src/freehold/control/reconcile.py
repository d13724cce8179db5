"""Compare a provider's bill with the ledger: theirs and ours by day and model, what differs, and by how much.

Days are UTC's, on both sides. A call counts for us on the day it ended, for most providers on the day it began: what runs over
midnight moves between two days, and cancels out in the total.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Literal

from msgspec import Struct
from sqlalchemy import Connection

from freehold.control.invoice import Amounts, Invoice
from freehold.control.usage import Question, ask

Verdict = Literal["ok", "differs", "only theirs", "only ours"]
CENT_NUSD = 10_000_000  # a difference up to this is rounding: bills are in cents
_DATED = re.compile(r"[-@]?(?:\d{4}-?\d{2}-?\d{2}|latest)(?:-v\d+)?$")
_MARKS = re.compile(r"[^a-z0-9]+")


class ReconcileError(Exception):
    """It can't be compared as asked; the message says what to do."""


class Line(Struct):
    """`model` as the bill names it, or as we do where it does not; `our_models`: the names that were compared with it.

    `difference_percent`: of ours from theirs, in the measure where it is largest; None: nothing of theirs to compare with.
    """

    day: date
    model: str
    our_models: list[str]
    theirs: Amounts
    ours: Amounts
    unpriced_calls: int
    difference_percent: float | None
    verdict: Verdict


class Comparison(Struct):
    """`told`: what the bill tells of input, output and cost_nusd; the rest was not compared."""

    provider: str
    first: date
    last: date
    told: tuple[str, ...]
    lines: list[Line]
    total: Line

    @property
    def agrees(self) -> bool:
        return all(line.verdict == "ok" for line in self.lines)


class _Ours(Struct):
    amounts: Amounts
    unpriced: int = 0


def reconcile(
    connection: Connection,
    workspace: str,
    invoice: Invoice,
    *,
    provider: str = "",
    month: str = "",
    tolerance_percent: float = 1.0,
) -> Comparison:
    """`provider`: its name in the ledger; where none is given, the one whose form the bill has. `month`: YYYY-MM, of which all
    days are compared; without it those from the bill's first to its last. Raises ReconcileError, SQLAlchemyError."""
    provider = provider or _provider(connection, workspace, invoice.form)
    first, last = days_of(invoice, month)
    theirs = {key: amounts for key, amounts in invoice.lines.items() if first <= key[0] <= last}
    ours = _ours(connection, workspace, provider, first, last)
    lines: list[Line] = []
    for day in sorted({day for day, _ in (*theirs, *ours)}):
        their_day = {model: theirs[at, model] for at, model in theirs if at == day}
        our_day = {model: ours[at, model] for at, model in ours if at == day}
        lines += _paired(day, their_day, our_day, invoice.told, tolerance_percent)
    total_theirs, total_ours = Amounts(), Amounts()
    for line in lines:
        total_theirs.add(line.theirs)
        total_ours.add(line.ours)
    unpriced = sum(line.unpriced_calls for line in lines)
    total = _line(last, "total", [], total_theirs, _Ours(total_ours, unpriced), invoice.told, tolerance_percent)
    return Comparison(provider, first, last, invoice.told, lines, total)


def family(model: str) -> str:
    """The name without its date and marks: what "gpt-4o-mini-2024-07-18" and "GPT-4o mini" have in common."""
    return _MARKS.sub("-", _DATED.sub("", model.strip().lower())).strip("-")


def _provider(connection: Connection, workspace: str, form: str) -> str:
    found = ask(connection, Question(workspace=workspace, measures=("calls",), by=("provider",))).rows
    names = sorted(row.group[0] for row in found if row.group[0])
    if form in names:
        return form
    raise ReconcileError(f"whose bill is it? name the provider with --provider; the ledger has: {', '.join(names) or 'none'}")


def days_of(invoice: Invoice, month: str) -> tuple[date, date]:
    """The first and the last day that are compared. Raises ReconcileError."""
    if not month:
        days = [day for day, _ in invoice.lines]
        if not days:
            raise ReconcileError("the bill has no lines; name the month that it is for with --month YYYY-MM")
        return min(days), max(days)
    try:
        first = datetime.strptime(month, "%Y-%m").date()
        return first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    except (ValueError, OverflowError):
        raise ReconcileError(f"--month {month!r} is no month; write it as 2026-11") from None


def _ours(connection: Connection, workspace: str, provider: str, first: date, last: date) -> dict[tuple[date, str], _Ours]:
    question = Question(
        workspace=workspace,
        measures=("input", "output", "cost_nusd", "unpriced"),
        by=("answered_by", "model"),
        step="day",
        from_ms=_ms(first),
        to_ms=_ms(last) + 86_400_000,
        where={"provider": (provider,)},
    )
    found: dict[tuple[date, str], _Ours] = {}
    for row in ask(connection, question).rows:
        input, output, cost, unpriced = (value or 0 for value in row.values)
        if input or output or cost:  # a bill does not list calls that failed
            key = (datetime.fromtimestamp((row.at_ms or 0) / 1000, UTC).date(), row.group[0] or row.group[1])
            one = found.setdefault(key, _Ours(Amounts()))
            one.amounts.add(Amounts(input, output, cost))
            one.unpriced += unpriced
    return found


def _ms(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)


def _paired(
    day: date, theirs: Mapping[str, Amounts], ours: Mapping[str, _Ours], told: tuple[str, ...], tolerance_percent: float
) -> list[Line]:
    """By the same name; what is left, by family: a bill may name the version where we know the alias, or the other way round."""
    groups = {model: [model] for model in theirs if model in ours}
    rest: dict[str, list[str]] = defaultdict(list)
    for model in ours:
        if model not in theirs:
            rest[family(model)].append(model)
    for model in theirs:
        if model not in groups:
            groups[model] = rest.pop(family(model), [])
    lines = []
    for model, names in groups.items():
        lines.append(_line(day, model, names, theirs[model], _added([ours[name] for name in names]), told, tolerance_percent))
    for names in rest.values():
        lines += [_line(day, name, [name], None, ours[name], told, tolerance_percent) for name in names]
    return sorted(lines, key=lambda line: line.model)


def _added(some: list[_Ours]) -> _Ours:
    total = _Ours(Amounts())
    for one in some:
        total.amounts.add(one.amounts)
        total.unpriced += one.unpriced
    return total


def _line(
    day: date, model: str, names: list[str], theirs: Amounts | None, ours: _Ours, told: tuple[str, ...], tolerance_percent: float
) -> Line:
    worst: float | None = None
    differs = False
    for measure in told:
        their, our = (getattr(theirs, measure) or 0) if theirs else 0, getattr(ours.amounts, measure) or 0
        if their:
            percent = (our - their) * 100 / abs(their)
            worst = percent if worst is None or abs(percent) > abs(worst) else worst
        far = abs(our - their) * 100 > tolerance_percent * abs(their)
        differs |= far and not (measure == "cost_nusd" and abs(our - their) <= CENT_NUSD)
    verdict: Verdict = "ok"
    if differs:
        verdict = "only ours" if theirs is None else "differs" if names or model == "total" else "only theirs"
    shown = None if worst is None else round(worst, 3)
    return Line(day, model, names, theirs or Amounts(), ours.amounts, ours.unpriced, shown, verdict)
