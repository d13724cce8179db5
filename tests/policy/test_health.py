from __future__ import annotations

from freehold.policy import health
from freehold.policy.health import FAILURES_IN_A_ROW, MAX_OPEN_S, OPEN_S, PROBE_S, REFUSED_S, Health


def opened(at: float = 0.0) -> Health:
    target = Health()
    assert [target.failed(at) for _ in range(FAILURES_IN_A_ROW)] == [False] * (FAILURES_IN_A_ROW - 1) + [True]
    return target


def test_failures_in_a_row_open_it_and_one_success_between_them_does_not() -> None:
    target = Health()
    for _ in range(FAILURES_IN_A_ROW - 1):
        target.failed(0.0)
    target.went_well(0.0, 0.1)
    for _ in range(FAILURES_IN_A_ROW - 1):
        assert not target.failed(0.0)
    assert target.usable(0.0)
    assert target.failed(0.0) and not target.usable(0.0) and target.state(0.0) == "open"


def test_a_target_that_fails_mostly_is_opened_too() -> None:
    target, at, opened_at = Health(), 0.0, 0
    for n in range(100):
        at += 0.01
        if n % 3 == 0:
            target.went_well(at, 0.1)
        elif target.failed(at):
            opened_at = n
            break
    assert 9 <= opened_at <= 20


def test_one_probe_at_a_time_and_it_decides() -> None:
    target = opened()
    assert not target.usable(OPEN_S - 0.1) and target.due_s(1.0) == OPEN_S - 1
    assert target.usable(OPEN_S) and target.state(OPEN_S) == "half_open"
    target.begin(OPEN_S)
    assert not target.usable(OPEN_S + 1), "the probe is under way"
    assert target.failed(OPEN_S + 1)
    assert not target.usable(OPEN_S + 1 + 2 * OPEN_S - 0.1) and target.usable(OPEN_S + 1 + 2 * OPEN_S)
    target.begin(20.0)
    target.went_well(20.1, 0.1)
    assert target.state(20.1) == "closed" and target.usable(20.1)


def test_a_probe_that_never_comes_back_is_followed_by_another() -> None:
    target = opened()
    target.begin(OPEN_S)
    assert not target.usable(OPEN_S + PROBE_S - 0.1) and target.usable(OPEN_S + PROBE_S)


def test_it_waits_longer_each_time_but_not_for_ever() -> None:
    target, at = opened(), 0.0
    for _ in range(12):
        at += target.due_s(at)
        target.begin(at)
        target.failed(at)
    assert target.due_s(at) == MAX_OPEN_S


def test_a_target_that_asks_for_rest_gets_it_and_is_not_broken() -> None:
    target = Health()
    target.rest(0.0, 7.0)
    assert target.state(1.0) == "resting" and not target.usable(6.9) and target.usable(7.0)
    target.rest(0.0, 1e9)
    assert target.due_s(0.0) == health.MAX_REST_S


def test_a_refused_credential_keeps_it_out() -> None:
    target = Health()
    target.refuse(0.0)
    assert target.state(1.0) == "refused" and not target.usable(REFUSED_S - 1) and target.usable(REFUSED_S)


def test_a_peak_counts_at_once_and_is_forgotten_slowly() -> None:
    target = Health()
    target.went_well(0.0, 0.1)
    target.went_well(0.1, 2.0)
    assert target.load_s(0.1) == 2.0
    target.went_well(0.2, 0.1)
    assert 1.5 < target.load_s(0.2) < 2.0
    for n in range(100):
        target.went_well(0.3 + n / 2, 0.1)
    assert target.load_s(50.0) < 0.12


def test_calls_under_way_count() -> None:
    target = Health()
    target.went_well(0.0, 0.1)
    target.begin(0.0)
    target.begin(0.0)
    assert abs(target.load_s(0.0) - 0.3) < 1e-9
    target.end()
    assert target.in_flight == 1
