from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.policy.purse import Per, Purse, period


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


NOON = at("2026-11-25T12:30:00")

# Calls as (worst, cost as a part of it), and in which order they end.
calls = st.lists(st.tuples(st.integers(0, 60), st.floats(0, 1), st.booleans()), max_size=60)


@given(calls, st.integers(0, 200), st.booleans())
@settings(max_examples=300, deadline=None)
def test_a_hard_purse_is_never_overspent(calls: list[tuple[int, float, bool]], amount: int, rolling: bool) -> None:
    purse, under_way, spent = Purse(amount, "day", rolling=rolling), [], 0
    for worst, part, ends_first in calls:
        if purse.reserve(worst, NOON):
            under_way.append((worst, int(worst * part)))
        if ends_first and under_way:
            done = under_way.pop(0)
            purse.settle(*done, NOON)
            spent += done[1]
        assert spent + sum(worst for worst, _ in under_way) <= amount
    for done in under_way:
        purse.settle(*done, NOON)
        spent += done[1]
    assert spent <= amount and purse.reserved == 0 and purse.left(NOON) == amount - spent


def test_what_was_not_used_of_a_reservation_can_be_spent_by_others() -> None:
    purse = Purse(100, "month")
    assert purse.reserve(60, NOON) and not purse.reserve(60, NOON)
    purse.settle(60, 10, NOON)
    assert purse.reserve(60, NOON) and purse.left(NOON) == 30


def test_a_soft_purse_only_counts() -> None:
    purse = Purse(100, "month", hard=False)
    assert purse.reserve(500, NOON)
    purse.settle(500, 400, NOON)
    assert purse.left(NOON) == -300 and purse.reserve(1, NOON)


def test_a_new_period_begins_with_all_of_it_and_what_is_under_way() -> None:
    purse = Purse(100, "day")
    purse.reserve(100, NOON)
    purse.settle(100, 70, NOON)
    assert purse.reserve(30, NOON) and not purse.reserve(1, NOON)
    assert purse.wait_s(50, NOON) == at("2026-11-26T00:00:00") - NOON
    tomorrow = NOON + 86_400
    assert purse.reserve(70, tomorrow) and not purse.reserve(1, tomorrow)


def test_a_rolling_purse_frees_what_was_spent_a_period_ago() -> None:
    purse = Purse(100, "hour", rolling=True)
    purse.reserve(100, NOON)
    purse.settle(100, 100, NOON)
    assert not purse.reserve(1, NOON + 1800)
    assert purse.reserve(100, NOON + purse.wait_s(100, NOON) + 1)


def test_without_a_period_nothing_comes_back() -> None:
    purse = Purse(10, None)
    purse.reserve(10, NOON)
    purse.settle(10, 10, NOON)
    assert math.isinf(purse.wait_s(1, NOON)) and not purse.reserve(1, NOON + 1e9)
    assert math.isinf(Purse(10, "day").wait_s(11, NOON))


@pytest.mark.parametrize(("rolling", "per"), [(False, "day"), (True, "day"), (False, None)])
def test_what_was_spent_before_a_restart_counts(rolling: bool, per: Per | None) -> None:
    purse = Purse(100, per, rolling=rolling)
    purse.restore(90, NOON)
    assert purse.left(NOON) == 10 and not purse.reserve(11, NOON)


@pytest.mark.parametrize(
    ("per", "begin", "end"),
    [
        ("hour", "2024-02-29T23:00:00", "2024-03-01T00:00:00"),
        ("day", "2024-02-29T00:00:00", "2024-03-01T00:00:00"),
        ("week", "2024-02-26T00:00:00", "2024-03-04T00:00:00"),
        ("month", "2024-02-01T00:00:00", "2024-03-01T00:00:00"),
        ("year", "2024-01-01T00:00:00", "2025-01-01T00:00:00"),
    ],
)
def test_the_calendars_periods(per: Per, begin: str, end: str) -> None:
    assert period(per, at("2024-02-29T23:59:59")) == (at(begin), at(end))
    assert period(per, at(begin)) == (at(begin), at(end))
