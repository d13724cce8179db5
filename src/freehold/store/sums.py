"""Read the roll-ups: sums and histograms of a workspace's calls, by dimensions and steps of time, over any span."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import BigInteger, ColumnElement, Connection, Select, and_, case, cast, func, literal, select

from freehold.store import histogram
from freehold.store.grains import LATENCIES, Grain
from freehold.store.rollup import NO_MODEL
from freehold.store.schema import calls, latencies, retained, rollups, series
from freehold.store.spans import Kept, Piece, Span, fitted, pieces

FAILED = "failed"  # beside MEASURES: calls whose outcome is not ok


class Wanted(Struct, frozen=True):
    """`by`, and the names in `where`, are grains.DIMENSIONS; a dimension must have one of the values given for it.

    `step_ms`: HOUR_MS, DAY_MS, or 0 for the whole span at once.
    """

    workspace: str
    span: Span
    by: tuple[str, ...] = ()
    where: Mapping[str, Sequence[str]] = {}
    step_ms: int = 0

    @property
    def dimensions(self) -> tuple[str, ...]:
        return (*self.by, *self.where)


class Part(Struct, frozen=True):
    """Some calls of a group; there may be more parts of it. `at`: unix time in steps, 0 without a step."""

    at: int
    group: tuple[str, ...]
    numbers: list[int]


def kept(connection: Connection) -> Kept:
    found: dict[str, int] = dict(connection.execute(select(retained.c.what, retained.c.from_ms)).all())
    return Kept(found.get("calls", 0), found.get("hours", 0))


def answerable(connection: Connection, wanted: Wanted) -> Span:
    """The span that `sums` and `histograms` should be asked for."""
    return fitted(wanted.span, wanted.dimensions, wanted.step_ms, kept(connection))


def sums(connection: Connection, wanted: Wanted, measures: Sequence[str]) -> Iterator[Part]:
    """`measures`: of MEASURES, and FAILED."""
    for piece in pieces(wanted.span, wanted.dimensions, wanted.step_ms):
        summed = [func.sum(_measure(name, piece.grain)) for name in measures]
        chosen = _selected(connection, piece, wanted, summed, rollups, named=FAILED in measures).group_by(*_labels(wanted))
        for at, *values in connection.execute(chosen):
            group, numbers = values[: len(wanted.by)], values[len(wanted.by) :]
            yield Part(at, tuple(group), [int(n or 0) for n in numbers])  # PostgreSQL's sums are decimals


def histograms(connection: Connection, wanted: Wanted, names: Sequence[str]) -> Iterator[Part]:
    """`names`: of LATENCIES. `numbers` are histograms."""
    assert set(names) <= set(LATENCIES)
    for piece in pieces(wanted.span, wanted.dimensions, wanted.step_ms):
        of = calls if piece.grain is None else latencies
        read: Any = histogram.one if piece.grain is None else histogram.unpacked
        for at, *values in connection.execute(_selected(connection, piece, wanted, [of.c[n] for n in names], latencies)):
            group, stored = values[: len(wanted.by)], values[len(wanted.by) :]
            yield Part(at, tuple(group), [read(one) for one in stored])


def _labels(wanted: Wanted) -> list[str]:
    """Of what `_selected` can be grouped by. No names of columns, which would come first."""
    return [*(["in_step"] if wanted.step_ms else []), *(f"by_{name}" for name in wanted.by)]


def _selected(
    connection: Connection, piece: Piece, wanted: Wanted, what: Sequence[ColumnElement[Any]], table: Any, *, named: bool = False
) -> Select[Any]:
    """Rows of: at, the texts of `wanted.by`, and `what`. `named`: that needs the texts, too."""
    span, grain = piece.span, piece.grain
    tags: Any = None
    if grain is None:
        time, unit = calls.c.ended_ms, 1
        within = [calls.c.workspace == wanted.workspace]
        if "end_user" in wanted.dimensions:
            within.append(calls.c.end_user != "")  # as in the roll-up of those
        if "tag" in wanted.dimensions:
            each = func.json_each if connection.dialect.name == "sqlite" else func.json_each_text
            tags = each(calls.c.tags).table_valued("key", "value")
    else:
        time, unit = table.c.at, grain.span_ms
        within = [table.c.workspace == wanted.workspace, table.c.grain == grain.number]
    within.append(time >= span.from_ms // unit)
    if span.to_ms is not None:
        within.append(time < span.to_ms // unit)
    texts = {name: _dimension(name, grain, tags) for name in wanted.dimensions}
    within += [texts[name].in_(list(values)) for name, values in wanted.where.items()]
    step = wanted.step_ms // unit
    at = literal(0) if not step else time if step == 1 else time // step
    by = [texts[name].label(f"by_{name}") for name in wanted.by]
    chosen = select(at.label("in_step"), *by, *what).where(and_(*within))
    if tags is not None:
        chosen = chosen.select_from(calls.join(tags, literal(True)))
    elif grain is not None and (wanted.dimensions or named):
        chosen = chosen.select_from(table.join(series, series.c.id == table.c.series))
    return chosen


def _dimension(name: str, grain: Grain | None, tags: Any) -> ColumnElement[Any]:
    if grain is not None:
        return series.c[name]
    if name == "tag":
        return case((tags.c.value == "", tags.c.key), else_=tags.c.key + "=" + tags.c.value)  # as tag_name says
    if name == "route":
        return case((calls.c.error == NO_MODEL, ""), else_=calls.c.route)
    return calls.c[name]


def _measure(name: str, grain: Grain | None) -> ColumnElement[Any]:
    if name == FAILED:
        outcome, count = (calls.c.outcome, literal(1)) if grain is None else (series.c.outcome, rollups.c.calls)
        return case((outcome != "ok", count), else_=0)
    if grain is not None:
        return rollups.c[name]
    match name:
        case "calls":
            return literal(1)
        case "estimated":
            return case((calls.c.estimated, 1), else_=0)
        case "unpriced":
            return case((calls.c.cost_nusd.is_(None) & ((calls.c.input > 0) | (calls.c.output > 0)), 1), else_=0)
        case "audio_ms":
            return cast(func.round(calls.c.seconds * 1000), BigInteger)
    return calls.c[name]
