from __future__ import annotations

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.store.histogram import ERROR, count, one, packed, percentiles, unpacked
from freehold.store.rollup import LIMIT

SHARES = (0.5, 0.95, 0.99)
TIMES = st.lists(st.integers(1, 10**8) | st.integers(1, LIMIT), min_size=1, max_size=200)


@given(TIMES)
def test_a_percentile_is_within_five_percent_of_the_exact_one(times: list[int]) -> None:
    assert ERROR < 0.05
    exact = [sorted(times)[max(1, ceil(share * len(times))) - 1] for share in SHARES]
    for found, true in zip(percentiles(sum(map(one, times)), SHARES), exact, strict=True):
        assert found is not None and abs(found - true) <= true * ERROR + 0.5  # rounded to whole microseconds


@given(TIMES, TIMES)
def test_merging_is_adding(some: list[int], others: list[int]) -> None:
    merged = unpacked(packed(sum(map(one, some)))) + unpacked(packed(sum(map(one, others))))
    assert merged == sum(map(one, some + others))
    assert count(merged) == len(some) + len(others)


def test_what_was_not_measured_is_not_counted() -> None:
    assert one(0) == 0 and packed(0) == b"" and unpacked(b"") == 0 and count(0) == 0
    assert percentiles(0, SHARES) == [None, None, None]


def test_a_busy_bucket_does_not_run_over_into_the_next() -> None:
    busy = one(1000) * 10**12
    assert count(busy) == 10**12
    assert percentiles(busy + one(5000), (0.5, 1.0)) == [percentiles(one(us), (1.0,))[0] for us in (1000, 5000)]


@pytest.mark.parametrize(("times", "limit"), [([150], 8), ([10**5 + 1000 * n for n in range(1000)], 200)])
def test_it_is_stored_in_few_bytes(times: list[int], limit: int) -> None:
    assert len(packed(sum(map(one, times)))) <= limit
