"""Usage: any measure by any dimensions, in steps of time, of one workspace.

Answered from the roll-ups, so it costs what their rows cost, however many calls they stand for.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from operator import add
from typing import Literal, get_args

from msgspec import Struct, field, structs
from sqlalchemy import Connection

from freehold.store import histogram
from freehold.store.grains import DAY_MS, DIMENSIONS, HOUR_MS, LABELS, LATENCIES, MEASURES
from freehold.store.spans import Span
from freehold.store.sums import FAILED, Wanted, answerable, histograms, sums

Step = Literal["none", "hour", "day", "month"]
STEPS: tuple[str, ...] = get_args(Step)
_STEP_MS = {"none": 0, "hour": HOUR_MS, "day": DAY_MS, "month": DAY_MS}
_SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
SUMS = (*MEASURES, FAILED)
PERCENTILES = tuple(f"{share}_{name}" for name in LATENCIES for share in _SHARES)
USUAL = ("calls", FAILED, "input", "output", "cache_read", "cost_nusd", "unpriced")


class UsageError(ValueError):
    """The question cannot be answered as it is put; the message names the value and what would do."""


class Question(Struct, frozen=True, kw_only=True):
    """`measures`: of SUMS and PERCENTILES. `by` and `where`: by names of grains.DIMENSIONS; a call must have one of the values.

    `from_ms`, `to_ms` (None: up to now): unix time; months and days are UTC's. `order`: the measure that decides which groups
    come first and stay when there are more than `limit`; the first of `measures` where none is named.
    """

    workspace: str
    measures: tuple[str, ...] = USUAL
    by: tuple[str, ...] = ()
    step: Step = "none"
    from_ms: int = 0
    to_ms: int | None = None
    where: dict[str, tuple[str, ...]] = field(default_factory=dict)
    order: str = ""
    limit: int | None = None


class Row(Struct):
    """`at_ms`: where the step begins; None without steps. `values` in the order of `measures`; None: nothing was measured."""

    at_ms: int | None
    group: tuple[str, ...]
    values: tuple[int | None, ...]


class Usage(Struct):
    """`from_ms`, `to_ms`: what the answer covers. Wider than asked where the calls at the ends have been removed by retention.

    `groups`: how many there are, of which `rows` may show fewer.
    """

    by: tuple[str, ...]
    measures: tuple[str, ...]
    from_ms: int
    to_ms: int | None
    groups: int
    rows: list[Row]


_Key = tuple[int, tuple[str, ...]]


def ask(connection: Connection, question: Question) -> Usage:
    """By time, then the largest first. Within a transaction that sees one moment. Raises UsageError, SQLAlchemyError."""
    _check(question)
    ranked = question.order or question.measures[0]
    needed = tuple(dict.fromkeys((*question.measures, ranked)))
    summed = [name for name in needed if name in SUMS]
    timed = list(dict.fromkeys(name.partition("_")[2] for name in needed if name not in SUMS))
    span = Span(question.from_ms, question.to_ms)
    wanted = Wanted(question.workspace, span, question.by, question.where, _STEP_MS[question.step])
    wanted = structs.replace(wanted, span=answerable(connection, wanted))
    # Histograms alone would do, but groups that measured nothing should be told of too.
    numbers = _folded(((p.at, p.group, p.numbers) for p in sums(connection, wanted, summed or ["calls"])), question.step)
    times: dict[_Key, list[int]] = {}
    if timed:
        times = _folded(((p.at, p.group, p.numbers) for p in histograms(connection, wanted, timed)), question.step)
    kept, groups = _largest(question, ranked, summed, timed, numbers, times)
    rows = []
    for key, found in numbers.items():
        if key[1] in kept:
            values = _values(needed, summed, found, timed, times.get(key))
            rows.append(
                Row(key[0] if question.step != "none" else None, key[1], tuple(values[name] for name in question.measures))
            )
    rows.sort(key=lambda row: (row.at_ms or 0, kept[row.group]))
    return Usage(question.by, question.measures, wanted.span.from_ms, wanted.span.to_ms, groups, rows)


def _check(question: Question) -> None:
    _known("measure", (*question.measures, *([question.order] if question.order else [])), (*SUMS, *PERCENTILES))
    _known("dimension", (*question.by, *question.where), DIMENSIONS)
    _known("step", [question.step], STEPS)
    if not question.measures:
        raise UsageError("no measure is asked for; name at least one")
    if len(set(question.by)) < len(question.by):
        raise UsageError(f"a dimension is named twice in {', '.join(question.by)}; name each once")
    if question.limit is not None and question.limit < 1:
        raise UsageError(f"limit is {question.limit}; it must be at least 1")
    if question.to_ms is not None and question.to_ms <= question.from_ms:
        raise UsageError(f"the span ends ({_moment(question.to_ms)}) before it begins ({_moment(question.from_ms)})")
    labels = [name for name in LABELS if name in (*question.by, *question.where)]
    if labels and question.step == "hour":
        raise UsageError(f"usage by {labels[0]} is kept by day; ask for steps of day, month or none")
    others = sorted({*question.by, *question.where} - {*labels, "app", "outcome"})
    if labels and (len(labels) > 1 or others):
        raise UsageError(
            f"usage by {labels[0]} is kept apart by app and outcome alone, not by {(others or labels[1:])[0]}; "
            "for other questions export the calls themselves"
        )


def _known(kind: str, names: Iterable[str], all_names: Sequence[str]) -> None:
    for name in names:
        if name not in all_names:
            raise UsageError(f"{name!r} is no {kind}; there are: {', '.join(all_names)}")


def _folded(parts: Iterable[tuple[int, tuple[str, ...], list[int]]], step: Step) -> dict[_Key, list[int]]:
    """By unix milliseconds and group."""
    months: dict[int, int] = {}
    found: dict[_Key, list[int]] = {}
    for at, group, numbers in parts:
        if step == "month" and at not in months:
            months[at] = _month_ms(at)
        key = (months[at] if step == "month" else at * _STEP_MS[step], group)
        old = found.get(key)
        found[key] = numbers if old is None else list(map(add, old, numbers))
    return found


def _largest(
    question: Question,
    ranked: str,
    summed: list[str],
    timed: list[str],
    numbers: dict[_Key, list[int]],
    times: dict[_Key, list[int]],
) -> tuple[dict[tuple[str, ...], int], int]:
    """Groups by their place over the whole span, and how many there are."""
    whole = _folded(((0, group, found) for (_, group), found in numbers.items()), "none")
    whole_times = _folded(((0, group, found) for (_, group), found in times.items()), "none") if ranked not in SUMS else {}
    sizes = {key[1]: _values((ranked,), summed, found, timed, whole_times.get(key))[ranked] or 0 for key, found in whole.items()}
    ordered = sorted(sizes, key=lambda group: (-sizes[group], group))
    return {group: place for place, group in enumerate(ordered[: question.limit])}, len(ordered)


def _values(
    names: Sequence[str], summed: list[str], numbers: list[int], timed: list[str], times: list[int] | None
) -> dict[str, int | None]:
    values: dict[str, int | None] = dict(zip(summed, numbers, strict=False))
    for at, latency in enumerate(timed):
        if any(name.endswith(latency) and name not in SUMS for name in names):
            found = histogram.percentiles(times[at] if times else 0, list(_SHARES.values()))
            values.update(zip((f"{share}_{latency}" for share in _SHARES), found, strict=True))
    return values


def _month_ms(day: int) -> int:
    moment = time.gmtime(day * DAY_MS / 1000)
    return int(datetime(moment.tm_year, moment.tm_mon, 1, tzinfo=UTC).timestamp() * 1000)


def _moment(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="minutes")
