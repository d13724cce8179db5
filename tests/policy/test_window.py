from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.policy.window import SLOTS, Gauge, Window

times = st.lists(st.floats(0, 50), min_size=1, max_size=150).map(sorted)


@given(times, st.integers(1, 20), st.floats(0.1, 30), st.integers(1, 4))
@settings(max_examples=300, deadline=None)
def test_no_window_holds_more_than_the_amount(moments: list[float], amount: int, window_s: float, n: int) -> None:
    window = Window(amount, window_s)
    admitted = [at for at in moments if window.take(n, at) >= 0]
    for start in admitted:
        assert n * sum(start <= at < start + window_s for at in admitted) <= amount


@given(times, st.integers(1, 20), st.floats(0.1, 30))
@settings(max_examples=300, deadline=None)
def test_what_is_refused_is_admitted_after_the_wait_that_is_told(moments: list[float], amount: int, window_s: float) -> None:
    window = Window(amount, window_s)
    for at in moments:
        if window.take(1, at) < 0:
            wait_s = window.wait_s(1, at)
            assert 0 < wait_s <= window_s * (SLOTS + 1) / SLOTS + 1e-6
            assert window.take(1, at + wait_s + 1e-6) >= 0
            return


def test_a_steady_flood_gets_nearly_all_of_the_amount() -> None:
    window, admitted = Window(300, 60), 0
    for tick in range(60 * 10 * 15):  # ten windows at three times the limit
        admitted += window.take(1, tick / 15) >= 0
    assert 300 * 10 * 0.98 <= admitted <= 300 * 10 + 300


def test_what_is_given_back_can_be_taken_again_at_once() -> None:
    window = Window(2, 60)
    slot = window.take(2, 100.0)
    assert window.take(1, 100.0) == -1
    window.give(1, slot)
    assert window.left(100.0) == 1 and window.take(1, 100.1) >= 0 and window.take(1, 100.2) == -1
    window.give(99, slot)  # never more than was taken there
    assert window.left(100.3) == 2
    window.give(1, slot - 5)
    window.give(1, slot + 5)


def test_what_happened_counts_even_beyond_the_amount() -> None:
    window = Window(10, 60)
    window.add(25, 0.0)
    assert window.left(1.0) == 0 and window.take(0, 1.0) == -1
    assert window.take(1, 61.0) >= 0


def test_there_is_never_room_for_more_than_the_amount() -> None:
    assert math.isinf(Window(5, 1).wait_s(6, 0.0)) and Window(5, 1).wait_s(5, 0.0) == 0


def test_a_state_that_was_kept_goes_on() -> None:
    window = Window(5, 60)
    window.take(3, 10.0)
    window.take(1, 30.0)
    other = Window(5, 60)
    other.restore(window.state())
    assert other.left(31.0) == 1 and other.left(72.0) == 4 and other.left(200.0) == 5


def test_a_gauge_holds_its_amount() -> None:
    gauge = Gauge(2)
    assert [gauge.take(1) for _ in range(3)] == [True, True, False]
    gauge.give(1)
    assert gauge.take(1)
    gauge.give(9)
    assert gauge.total == 0


@pytest.mark.parametrize("n", [0, 1])
def test_taking_nothing_costs_nothing(n: int) -> None:
    window = Window(1, 60)
    window.take(0, 5.0)
    assert window.state() == [] and window.take(n, 5.0) >= 0
