"""Cover a span of time with the coarsest roll-ups that fit into it: whole days, then hours, and single calls for the rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from freehold.store.grains import DAY_MS, HOUR_MS, Grain, grain_for


class Kept(Struct, frozen=True):
    """Since when (unix ms) nothing has been removed by retention."""

    calls_ms: int = 0
    hours_ms: int = 0


class Span(Struct, frozen=True):
    """Calls that ended from `from_ms` on and before `to_ms` (None: up to now)."""

    from_ms: int
    to_ms: int | None


class Piece(Struct, frozen=True):
    """A span of whole spans of `grain`; without one, of single calls."""

    grain: Grain | None
    span: Span


def fitted(span: Span, dimensions: Sequence[str], step_ms: int, kept: Kept) -> Span:
    """The span that can be answered whole: where what its ragged ends need has been removed, it is widened to whole hours or
    days; asked by hour, it begins where the hours do."""
    by_hour = grain_for(dimensions, HOUR_MS) is not None
    first, last = span.from_ms, span.to_ms
    if step_ms == HOUR_MS:
        first = max(first, kept.hours_ms)
    for at_ms, unit in ((kept.calls_ms, HOUR_MS if by_hour else DAY_MS), (kept.hours_ms, DAY_MS)):
        if step_ms == HOUR_MS and unit == DAY_MS:
            continue
        if first % unit and first < at_ms:
            first -= first % unit
        if last is not None and last % unit and last < at_ms:
            last += -last % unit
    return Span(first, last)


def pieces(span: Span, dimensions: Sequence[str], step_ms: int) -> list[Piece]:
    """In the order of time; they cover the span once. `step_ms`: no piece is coarser, 0 for any."""
    spans = [unit for unit in (DAY_MS, HOUR_MS) if not step_ms or unit <= step_ms]
    grains = [grain for unit in spans if (grain := grain_for(dimensions, unit))]
    return list(_cover(span.from_ms, span.to_ms, grains))


def _cover(first: int, last: int | None, grains: Sequence[Grain]) -> Iterator[Piece]:
    if last is not None and first >= last:
        return
    if not grains:
        yield Piece(None, Span(first, last))
        return
    unit = grains[0].span_ms
    begin = first + -first % unit
    end = None if last is None else last - last % unit
    if end is not None and begin >= end:
        yield from _cover(first, last, grains[1:])
        return
    yield from _cover(first, begin, grains[1:])
    yield Piece(grains[0], Span(begin, end))
    if end is not None:
        yield from _cover(end, last, grains[1:])
