from __future__ import annotations

import pytest

from freehold.cli.spend import Sum, add_up
from freehold.store.spool import LedgerLine

DAY_MS = 86_400_000


def line(**fields: object) -> LedgerLine:
    return LedgerLine(**{"call_id": "c", "ended_ms": 0, "outcome": "ok", **fields})  # type: ignore[arg-type]


LINES = [
    line(key="a", route="r", provider="p", model="m", input=5, output=2, cache_read=3, cost_nusd=1),
    line(key="a", route="p/m", provider="p", model="m", input=1, ended_ms=DAY_MS - 1, cost_nusd=None),
    line(key="b", route="r", provider="q", model="m", outcome="upstream_error", ended_ms=DAY_MS, cost_nusd=0),
    line(outcome="refused", ended_ms=DAY_MS),
]


@pytest.mark.parametrize(
    ("by", "calls"),
    [
        ("key", {"a": 2, "b": 1, "": 1}),
        ("model", {"p/m": 2, "q/m": 1, "": 1}),
        ("route", {"r": 2, "p/m": 1, "": 1}),
        ("day", {"1970-01-01": 2, "1970-01-02": 2}),
    ],
)
def test_every_call_is_in_one_group_and_in_the_total(by: str, calls: dict[str, int]) -> None:
    groups, total = add_up(LINES, by)
    assert {name: s.calls for name, s in groups.items()} == calls
    assert total == Sum(calls=4, failed=2, input=6, output=2, cache_read=3, cost_nusd=1, unpriced=1)


def test_since_counts_the_calls_that_ended_then_or_later() -> None:
    assert add_up(LINES, "key", DAY_MS)[1].calls == 2


def test_sums_beyond_a_floats_reach_stay_exact() -> None:
    _, total = add_up([line(cost_nusd=2**60 + 1)] * 3, "key")
    assert total.cost_nusd == 3 * 2**60 + 3
