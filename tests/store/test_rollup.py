from __future__ import annotations

from collections import defaultdict
from operator import add
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from freehold.store import histogram, ledger, rollup
from freehold.store.engine import reading, writing
from freehold.store.grains import (
    DAY_MS,
    DAYS,
    DAYS_END_USER,
    DAYS_TAG,
    GRAINS,
    HOUR_MS,
    LATENCIES,
    MEASURES,
    OTHERS,
    Grain,
    tag_name,
)
from freehold.store.spool import LedgerLine
from tests.store.conftest import Store
from tests.store.test_ledger import line, record

Rows = dict[tuple[str, ...], list[int]]


def rolled(store: Store, grain: Grain) -> Rows:
    """Measures, then histograms, by workspace, `at` and the grain's texts."""
    names = ", ".join(f"s.{name}" for name in grain.dimensions)
    numbers = ", ".join(f'r."{name}"' for name in MEASURES)
    times = ", ".join(f"l.{name}" for name in LATENCIES)
    sql = (
        f"SELECT r.workspace, r.at, {names}, {numbers}, {times} FROM rollups r JOIN series s ON s.id = r.series JOIN latencies l"
        f" ON l.workspace = r.workspace AND l.grain = r.grain AND l.at = r.at AND l.series = r.series WHERE r.grain = :grain"
    )
    with reading(store.engine) as connection:
        found = connection.execute(text(sql), {"grain": grain.number}).all()
    texts = 2 + len(grain.dimensions)
    return {
        tuple(map(str, row[:texts])): [*row[texts : texts + len(MEASURES)], *(histogram.unpacked(h) for h in row[-3:])]
        for row in found
    }


def recounted(lines: dict[str, LedgerLine], grain: Grain) -> Rows:
    """The same, one call after the other."""
    found: Rows = defaultdict(lambda: [0] * (len(MEASURES) + 3))
    for one in lines.values():
        unpriced = one.cost_nusd is None and (one.input > 0 or one.output > 0)
        counted = {"calls": 1, "unpriced": unpriced, "audio_ms": round(one.seconds * 1000), "cost_nusd": one.cost_nusd or 0}
        numbers = [int(counted.get(name, getattr(one, name, 0))) for name in MEASURES]
        numbers += [histogram.one(getattr(one, name)) for name in LATENCIES]
        labels = {"": [""], "end_user": [one.end_user] if one.end_user else [], "tag": {tag_name(*t) for t in one.tags.items()}}
        label = grain.dimensions[-1] if grain in (DAYS_TAG, DAYS_END_USER) else ""
        for named in labels[label]:
            texts = [named if name == label else getattr(one, name) for name in grain.dimensions]
            key = (one.workspace, str(one.ended_ms // grain.span_ms), *texts)
            found[key] = list(map(add, found[key], numbers))
    return dict(found)


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=4)  # NUL is replaced: test_ledger
NUMBERS = st.integers(min_value=0, max_value=10**9)
SOME = {name: st.sampled_from(["", "x", "y"]) for name in ("app", "key", "route", "model", "region", "outcome", "end_user")}
LINES = st.builds(
    line,
    st.sampled_from("abcdefghij"),
    st.integers(0, 3 * DAY_MS),
    workspace=st.sampled_from(["default", "other"]),
    provider=TEXTS,
    tags=st.dictionaries(st.sampled_from("tu"), st.sampled_from(["", "1"])),
    input=NUMBERS,
    output=NUMBERS,
    images=NUMBERS,
    seconds=st.integers(0, 100).map(lambda n: n / 4),
    cost_nusd=st.none() | NUMBERS,
    estimated=st.booleans(),
    total_us=NUMBERS,
    first_us=NUMBERS,
    overhead_us=NUMBERS,
    **SOME,
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
@given(st.lists(st.lists(LINES, max_size=6), max_size=4))
def test_the_roll_ups_equal_a_recount_whatever_comes_how_often(store: Store, batches: list[list[LedgerLine]]) -> None:
    first: dict[str, LedgerLine] = {}
    with writing(store.engine, "test") as connection:
        for table in ("calls", "rollups", "latencies"):
            connection.execute(text(f"DELETE FROM {table}"))
        for batch in batches:
            new = {one.call_id: one for one in batch if one.call_id not in first}
            assert ledger.record(connection, batch) == len(new)
            first.update(new)
    for grain in GRAINS:
        assert rolled(store, grain) == recounted(first, grain)


def test_a_route_that_a_client_invented_is_no_row(store: Store) -> None:
    record(store, *(line(f"{n}", route=f"invented-{n}", error="model_not_found", outcome="refused") for n in range(5)))
    record(store, line("known", route="known"))
    assert {key[2 + DAYS.dimensions.index("route")] for key in rolled(store, DAYS)} == {"", "known"}


def _labels(store: Store, grain: Grain) -> dict[str, int]:
    return {key[-1]: numbers[0] for key, numbers in rolled(store, grain).items()}


@pytest.mark.parametrize("grain", [DAYS_END_USER, DAYS_TAG])
def test_names_beyond_the_bound_are_summed_up_together(store: Store, grain: Grain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollup, "MAX_LABELS", 4)

    def named(n: int, name: str, ended_ms: int = 0) -> LedgerLine:
        label: dict[str, Any] = {"end_user": name} if grain is DAYS_END_USER else {"tags": {name: ""}}
        return line(f"{n}", ended_ms, **label)

    record(store, named(0, "a"), named(1, "b"), named(2, "c"))
    record(store, named(3, "d"), named(4, "e"), named(5, "a"), named(6, "f"))
    record(store, named(7, "g"), named(8, "b"))
    assert _labels(store, grain) == {"a": 2, "b": 2, "c": 1, "d": 1, OTHERS: 3}
    record(store, named(9, "z", DAY_MS))
    assert _labels(store, grain) == {"a": 2, "b": 2, "c": 1, "d": 1, OTHERS: 3, "z": 1}, "another day has room again"


def test_a_call_counts_under_each_of_its_tags_and_once_in_the_others(store: Store) -> None:
    record(store, line("1", input=5, tags={"team": "a", "urgent": ""}), line("2", input=7, tags={"team": "a"}))
    assert _labels(store, DAYS_TAG) == {"team=a": 2, "urgent": 1}
    assert [numbers[0] for numbers in rolled(store, DAYS).values()] == [2]


def test_large_sums_are_exact(store: Store) -> None:
    record(store, *(line(f"{n}", cost_nusd=rollup.LIMIT - 1) for n in range(5_000)))
    [numbers] = rolled(store, DAYS).values()
    assert numbers[MEASURES.index("cost_nusd")] == 5_000 * (rollup.LIMIT - 1) > 2**55


def test_more_series_in_a_span_than_are_asked_for_at_once(store: Store) -> None:
    for again in range(2):
        record(store, *(line(f"{again}-{n}", n % 2 * HOUR_MS, key=f"k{n}", total_us=1000) for n in range(1300)))
    found = rolled(store, DAYS)
    assert len(found) == 1300
    assert {numbers[0] for numbers in found.values()} == {histogram.count(numbers[-3]) for numbers in found.values()} == {2}
