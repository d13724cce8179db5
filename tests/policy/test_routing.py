from __future__ import annotations

import random
from collections import Counter

import pytest

from freehold.policy.health import FAILURES_IN_A_ROW, Health
from freehold.policy.routing import STRATEGIES, Candidate, Strategy, order

CHANCE = random.Random(7).random


def targets(*weights: float) -> list[Candidate]:
    return [Candidate(f"p/{i}", Health(), weight) for i, weight in enumerate(weights or (1, 1, 1))]


def broken(candidate: Candidate, at: float = 0.0) -> None:
    for _ in range(FAILURES_IN_A_ROW):
        candidate.health.failed(at)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("stick_to", [b"", b"session"])
def test_every_target_is_tried_once_and_broken_ones_last(strategy: Strategy, stick_to: bytes) -> None:
    three = targets(1, 2, 3)
    three[0].health.rest(0.0, 50)
    broken(three[2])
    assert order(strategy, three, 0.0, CHANCE, stick_to) == [1, 2, 0]
    three[1].health.refuse(0.0)
    assert order(strategy, three, 0.0, CHANCE, stick_to) == [2, 0, 1], "the soonest due first"


def test_priority_keeps_the_order() -> None:
    assert order("priority", targets(), 0.0, CHANCE) == [0, 1, 2]


def test_weights_are_shares() -> None:
    firsts = Counter(order("weighted", targets(7, 2, 1, 0), 0.0, CHANCE)[0] for _ in range(20_000))
    assert abs(firsts[0] / 20_000 - 0.7) < 0.02 and abs(firsts[1] / 20_000 - 0.2) < 0.02 and firsts[3] == 0


def test_the_fastest_gets_most_and_the_slowest_none() -> None:
    three = targets()
    for candidate, seconds in zip(three, (1.0, 0.1, 0.5), strict=True):
        candidate.health.went_well(0.0, seconds)
    firsts = Counter(order("fastest", three, 0.0, CHANCE)[0] for _ in range(6000))
    assert firsts[0] == 0 and abs(firsts[1] / 6000 - 2 / 3) < 0.03 and order("fastest", three, 0.0, CHANCE)[2] == 0


def test_calls_under_way_make_the_fastest_less_so() -> None:
    two = targets(1, 1)
    for candidate, seconds in zip(two, (0.1, 0.3), strict=True):
        candidate.health.went_well(0.0, seconds)
    for _ in range(5):
        two[0].health.begin(0.0)
    assert order("fastest", two, 0.0, CHANCE) == [1, 0]


def test_the_cheapest_for_this_call_comes_first_and_the_unpriced_last() -> None:
    candidates = [Candidate("a", Health(), cost=None), Candidate("b", Health(), cost=20), Candidate("c", Health(), cost=3)]
    assert order("cheapest", candidates, 0.0, CHANCE) == [2, 1, 0]


def test_the_least_busy_by_weight() -> None:
    two = targets(4, 1)
    for _ in range(3):
        two[0].health.begin(0.0)
    two[1].health.begin(0.0)
    assert order("least_busy", two, 0.0, CHANCE) == [0, 1]


def test_what_sticks_stays_together_and_yields_to_failover() -> None:
    five = targets(1, 1, 1, 1, 1)
    homes = {n: order("weighted", five, 0.0, CHANCE, b"session %d" % n)[0] for n in range(400)}
    assert set(homes.values()) == {0, 1, 2, 3, 4}
    assert all(order("fastest", five, 0.0, CHANCE, b"session %d" % n)[0] == home for n, home in homes.items())
    broken(five[2])
    for n, home in homes.items():
        now = order("weighted", five, 0.0, CHANCE, b"session %d" % n)[0]
        assert now == home if home != 2 else now != 2, "only the broken one's sessions move"
    five[2].health.went_well(9.0, 0.1)
    assert all(order("weighted", five, 9.0, CHANCE, b"session %d" % n)[0] == home for n, home in homes.items())
