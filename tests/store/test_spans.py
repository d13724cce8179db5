from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.store.grains import DAY_MS, DAYS, DAYS_TAG, DAYS_WHAT, DAYS_WHO, HOUR_MS, HOURS, HOURS_WHAT, grain_for
from freehold.store.spans import Kept, Span, fitted, pieces

MOMENTS = st.integers(0, 5 * DAY_MS) | st.integers(0, 120).map(lambda hour: hour * HOUR_MS)


@given(MOMENTS, MOMENTS | st.none(), st.sampled_from([0, HOUR_MS, DAY_MS]), st.sampled_from(["key", "model", "tag", ""]))
def test_pieces_cover_a_span_once_in_order_and_in_whole_units(first: int, last: int | None, step_ms: int, by: str) -> None:
    found = pieces(Span(first, last), (by,) if by else (), step_ms)
    at = first
    for piece in found:
        assert piece.span.from_ms == at
        unit = piece.grain.span_ms if piece.grain else 1
        assert at % unit == 0 and (piece.span.to_ms or 0) % unit == 0
        assert piece.span.to_ms is None or piece.span.to_ms > at
        assert not step_ms or unit <= step_ms
        at = piece.span.to_ms or 0
    assert at == (last or 0) if found else last is not None and last <= first


def test_days_come_before_hours_and_hours_before_single_calls() -> None:
    found = pieces(Span(HOUR_MS - 1, 3 * DAY_MS + HOUR_MS + 1), ("key",), 0)
    grains = [piece.grain for piece in found]
    assert grains == [None, HOURS, DAYS_WHO, HOURS, None]
    assert [piece.span.to_ms for piece in found] == [HOUR_MS, DAY_MS, 3 * DAY_MS, 3 * DAY_MS + HOUR_MS, 3 * DAY_MS + HOUR_MS + 1]
    assert [piece.grain for piece in pieces(Span(0, None), ("key",), HOUR_MS)] == [HOURS]


def test_the_grain_is_the_one_with_the_fewest_rows_that_knows_what_is_asked() -> None:
    assert grain_for((), DAY_MS) is grain_for(("model", "outcome"), DAY_MS) is DAYS_WHAT
    assert grain_for(("zone",), HOUR_MS) is HOURS_WHAT
    assert grain_for(("model", "app"), DAY_MS) is grain_for(("app", "zone"), DAY_MS) is DAYS
    assert grain_for(("app",), DAY_MS) is grain_for(("key", "outcome"), DAY_MS) is DAYS_WHO
    assert grain_for(("tag", "app"), DAY_MS) is DAYS_TAG
    assert grain_for(("tag",), HOUR_MS) is grain_for(("tag", "model"), DAY_MS) is None


@pytest.mark.parametrize(
    ("asked", "dimensions", "step_ms", "answered"),
    [
        (Span(7, 5 * DAY_MS + 7), (), 0, Span(0, 5 * DAY_MS + 7)),  # neither calls nor hours are there
        (Span(DAY_MS + HOUR_MS + 7, None), (), 0, Span(DAY_MS, None)),
        (Span(2 * DAY_MS + HOUR_MS + 7, None), (), 0, Span(2 * DAY_MS + HOUR_MS, None)),  # the hours are
        (Span(2 * DAY_MS + HOUR_MS + 7, None), ("tag",), 0, Span(2 * DAY_MS, None)),  # of tags there are none
        (Span(0, 3 * DAY_MS + 7), (), 0, Span(0, 3 * DAY_MS + HOUR_MS)),
        (Span(0, DAY_MS + 7), (), 0, Span(0, 2 * DAY_MS)),
        (Span(0, DAY_MS + 7), ("end_user",), DAY_MS, Span(0, 2 * DAY_MS)),
        (Span(7, None), (), HOUR_MS, Span(2 * DAY_MS, None)),
        (Span(4 * DAY_MS + 7, 5 * DAY_MS + 7), (), 0, Span(4 * DAY_MS + 7, 5 * DAY_MS + 7)),
    ],
)
def test_a_span_whose_ends_have_been_removed_is_widened(
    asked: Span, dimensions: tuple[str, ...], step_ms: int, answered: Span
) -> None:
    assert fitted(asked, dimensions, step_ms, Kept(calls_ms=4 * DAY_MS, hours_ms=2 * DAY_MS)) == answered
    assert fitted(asked, dimensions, step_ms, Kept()) == asked
