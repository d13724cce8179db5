"""Answers from the roll-ups equal those of a plain recount, whatever is asked."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import UTC, datetime
from math import ceil
from typing import Any

import pytest

from freehold.control.usage import PERCENTILES, SUMS, Question, Row, Usage, UsageError, ask
from freehold.store.engine import reading, writing
from freehold.store.grains import DAY_MS, HOUR_MS, LATENCIES, tag_name
from freehold.store.histogram import ERROR
from freehold.store.schema import calls, retained
from freehold.store.spool import LedgerLine
from tests.databases import Store
from tests.store.test_ledger import line, record

START_MS = int(datetime(2026, 1, 29, tzinfo=UTC).timestamp() * 1000)
DAYS = 5  # over the end of a month


def asked(store: Store, **question: Any) -> Usage:
    with reading(store.engine) as connection:
        return ask(connection, Question(workspace=question.pop("workspace", "default"), **question))


def traffic(count: int = 300) -> list[LedgerLine]:
    dice = random.Random(2)
    found = []
    for n in range(count):
        cost = dice.choice([None, 0, dice.randrange(10**9)])
        first_us = dice.randrange(10**6)
        who = {
            "key": dice.choice(["a", "b", "c"]),
            "app": dice.choice(["x", "y"]),
            "workspace": dice.choice(["default"] * 9 + ["o"]),
        }
        what = {"provider": "p", "model": dice.choice("mn"), "outcome": dice.choice(["ok", "ok", "refused", "upstream_error"])}
        said = {"end_user": dice.choice(["", "u1", "u2"]), "tags": dice.choice([{}, {"t": "1"}, {"t": "2", "z": ""}])}
        times = {"total_us": first_us * 3, "first_us": first_us, "overhead_us": dice.randrange(500)}
        tokens = {"input": dice.randrange(5000), "output": dice.randrange(500), "seconds": dice.randrange(9) / 4}
        ended_ms = START_MS + dice.randrange(DAYS * DAY_MS)
        found.append(line(f"{n}", ended_ms, cost_nusd=cost, **who, **what, **said, **times, **tokens))
    return found


TRAFFIC = traffic()


def _month_ms(ended_ms: int) -> int:
    moment = datetime.fromtimestamp(ended_ms / 1000, UTC)
    return int(datetime(moment.year, moment.month, 1, tzinfo=UTC).timestamp() * 1000)


def _texts(one: LedgerLine, by: tuple[str, ...]) -> list[tuple[str, ...]]:
    if "tag" in by:
        return [tuple(tag_name(*t) if name == "tag" else getattr(one, name) for name in by) for t in one.tags.items()]
    if "end_user" in by and not one.end_user:
        return []
    return [tuple(getattr(one, name) for name in by)]


def recount(question: Question) -> dict[tuple[int | None, tuple[str, ...]], dict[str, int | None]]:
    groups: dict[tuple[int | None, tuple[str, ...]], list[LedgerLine]] = defaultdict(list)
    for one in TRAFFIC:
        inside = question.from_ms <= one.ended_ms < (question.to_ms or 2**62)
        chosen = all(getattr(one, name) in values for name, values in question.where.items())
        if one.workspace == question.workspace and inside and chosen:
            steps = {"hour": one.ended_ms // HOUR_MS * HOUR_MS, "day": one.ended_ms // DAY_MS * DAY_MS}
            at = {"none": None, "month": _month_ms(one.ended_ms), **steps}[question.step]
            for group in _texts(one, question.by):
                groups[at, group].append(one)
    return {key: _measured(lines) for key, lines in groups.items()}


def _measured(lines: list[LedgerLine]) -> dict[str, int | None]:
    unpriced = sum(one.cost_nusd is None and (one.input > 0 or one.output > 0) for one in lines)
    counted = {"calls": len(lines), "failed": sum(one.outcome != "ok" for one in lines), "unpriced": unpriced}
    found: dict[str, int | None] = {
        name: sum(int(getattr(one, name, 0) or 0) for one in lines) for name in SUMS if name not in counted
    }
    found |= counted | {"audio_ms": sum(round(one.seconds * 1000) for one in lines)}
    for name in LATENCIES:
        times = sorted(us for one in lines if (us := getattr(one, name)))
        for share in (50, 95, 99):
            found[f"p{share}_{name}"] = times[max(1, ceil(share / 100 * len(times))) - 1] if times else None
    return found


ODD_MS = START_MS + 5 * HOUR_MS + 1_234_567
EVERYTHING = (*SUMS, *PERCENTILES)
QUESTIONS: dict[str, dict[str, Any]] = {
    "all": {},
    "one group a day": {"step": "day"},
    "hours": {"step": "hour", "by": ("key",)},
    "months": {"step": "month", "by": ("model", "provider")},
    "an odd span": {"by": ("key", "outcome"), "from_ms": ODD_MS, "to_ms": ODD_MS + 2 * DAY_MS + 7_654_321},
    "an odd span by day": {"step": "day", "from_ms": ODD_MS, "to_ms": ODD_MS + 2 * DAY_MS},
    "within an hour": {"from_ms": ODD_MS, "to_ms": ODD_MS + 1_800_000},
    "filtered": {"where": {"key": ("a", "b"), "outcome": ("ok",)}, "by": ("app",), "step": "day"},
    "of another workspace": {"workspace": "o", "by": ("key",)},
    "end users": {"by": ("end_user",)},
    "end users by day and app": {"by": ("end_user", "app"), "step": "day", "from_ms": ODD_MS},
    "tags": {"by": ("tag",), "from_ms": ODD_MS, "to_ms": ODD_MS + 2 * DAY_MS},
    "tags of an app": {"by": ("tag", "outcome"), "where": {"app": ("x",)}, "step": "month"},
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_an_answer_is_a_recount(store: Store, name: str) -> None:
    record(store, *TRAFFIC)
    question = Question(**{"workspace": "default", "measures": EVERYTHING, **QUESTIONS[name]})
    with reading(store.engine) as connection:
        usage = ask(connection, question)
    expected = recount(question)
    found = {(row.at_ms, row.group): dict(zip(usage.measures, row.values, strict=True)) for row in usage.rows}
    assert found.keys() == expected.keys() and expected
    for key, values in expected.items():
        for measure, value in values.items():
            got = found[key][measure]
            if measure in SUMS or value is None:
                assert got == value, (key, measure)
            else:
                assert got is not None and abs(got - value) <= value * ERROR + 1, (key, measure)


def test_the_largest_groups_come_first_and_the_others_are_counted(store: Store) -> None:
    record(store, *(line(f"{n}", key=f"k{n % 7}", cost_nusd=n % 7) for n in range(70)))
    usage = asked(store, by=("key",), measures=("calls",), order="cost_nusd", limit=3)
    assert [row.group[0] for row in usage.rows] == ["k6", "k5", "k4"] and usage.groups == 7
    by_time = asked(store, by=("key",), step="day", measures=("calls", "input"), limit=2)
    assert [row.group[0] for row in by_time.rows] == ["k0", "k1"], "equal ones by name"


def test_groups_are_ranked_over_the_whole_span_and_shown_in_each_step(store: Store) -> None:
    record(store, line("1", key="a", input=5), line("2", DAY_MS, key="b", input=9), line("3", DAY_MS, key="a", input=5))
    usage = asked(store, by=("key",), step="day", measures=("input",), limit=1)
    assert usage.rows == [Row(0, ("a",), (5,)), Row(DAY_MS, ("a",), (5,))]
    ranked = asked(store, by=("key",), measures=("calls",), order="p95_total_us")
    assert ranked.measures == ("calls",) and len(ranked.rows) == 2


def test_nothing_recorded_is_zero_calls(store: Store) -> None:
    assert asked(store, measures=("calls", "p50_total_us")).rows == [Row(None, (), (0, None))]
    assert asked(store, by=("key",)).rows == []


def test_an_answer_over_removed_calls_is_widened_and_says_so(store: Store) -> None:
    record(store, line("1", 5), line("2", HOUR_MS + 5), line("3", 2 * HOUR_MS + 5))
    with writing(store.engine, "test") as connection:
        connection.execute(calls.delete())
        connection.execute(retained.insert().values(what="calls", from_ms=DAY_MS))
    usage = asked(store, from_ms=HOUR_MS + 7, measures=("calls",))
    assert (usage.from_ms, usage.rows[0].values) == (HOUR_MS, (2,))


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ({"measures": ("nonsense",)}, "'nonsense' is no measure; there are: calls"),
        ({"measures": ()}, "no measure"),
        ({"order": "x"}, "'x' is no measure"),
        ({"by": ("color",)}, "'color' is no dimension"),
        ({"where": {"color": ("red",)}}, "'color' is no dimension"),
        ({"by": ("key", "key")}, "named twice"),
        ({"step": "week"}, "'week' is no step"),
        ({"limit": 0}, "limit is 0"),
        ({"from_ms": 5, "to_ms": 5}, "ends"),
        ({"by": ("end_user",), "step": "hour"}, "kept by day"),
        ({"by": ("end_user", "model")}, "not by model"),
        ({"by": ("end_user", "tag")}, "not by tag"),
        ({"by": ("tag",), "where": {"key": ("a",)}}, "not by key"),
    ],
)
def test_a_question_that_cannot_be_answered_is_told_why(store: Store, question: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        asked(store, **question)
