"""Read the roll-ups: sums and histograms of a workspace's calls, by dimensions and steps of time, over any span."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import BigInteger, ColumnElement, Connection, Label, Select, Table, case, cast, func, literal, select

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
        if piece.grain is None:
            chosen = _calls(connection, piece, wanted, [func.sum(_of_call(name)) for name in measures])
        else:
            chosen = _rolled_up(piece.grain, piece, wanted, measures)
        for at, *values in connection.execute(chosen.group_by(*_labels(wanted))):
            group, numbers = values[: len(wanted.by)], values[len(wanted.by) :]
            yield Part(at, tuple(group), [int(n or 0) for n in numbers])  # PostgreSQL's sums are decimals


def histograms(connection: Connection, wanted: Wanted, names: Sequence[str]) -> Iterator[Part]:
    """`names`: of LATENCIES. `numbers` are histograms."""
    assert set(names) <= set(LATENCIES)
    for piece in pieces(wanted.span, wanted.dimensions, wanted.step_ms):
        read: Any = histogram.one if piece.grain is None else histogram.unpacked
        if piece.grain is None:
            chosen = _calls(connection, piece, wanted, [calls.c[name] for name in names])
        else:
            at, within = _within(latencies, piece.grain, piece, wanted)
            chosen = select(at, *_texts(wanted), *(latencies.c[name] for name in names)).where(*within)
            if wanted.by:
                chosen = chosen.join_from(latencies, series, series.c.id == latencies.c.series)
        for at_step, *values in connection.execute(chosen):
            group, stored = values[: len(wanted.by)], values[len(wanted.by) :]
            yield Part(at_step, tuple(group), [read(one) for one in stored])


def _labels(wanted: Wanted) -> list[str]:
    """What the rows are grouped by. No names of columns, which would come first."""
    return [*(["in_step"] if wanted.step_ms else []), *(f"by_{name}" for name in wanted.by)]


def _texts(wanted: Wanted) -> list[ColumnElement[Any]]:
    return [series.c[name].label(f"by_{name}") for name in wanted.by]


def _rolled_up(grain: Grain, piece: Piece, wanted: Wanted, measures: Sequence[str]) -> Select[Any]:
    """Rows of: the step, the texts of `wanted.by`, and sums; still to be grouped."""
    at, within = _within(rollups, grain, piece, wanted)
    if not wanted.by and FAILED not in measures:
        return select(at, *(func.sum(rollups.c[name]) for name in measures)).where(*within)
    table: Any = rollups
    if wanted.step_ms != grain.span_ms:
        # First by series, without their texts: of many rows only few are left to be looked up.
        names = dict.fromkeys("calls" if name == FAILED else name for name in measures)
        added = [func.sum(rollups.c[name]).label(name) for name in names]
        grouped = ["in_step", rollups.c.series] if wanted.step_ms else [rollups.c.series]
        table = select(at, rollups.c.series, *added).where(*within).group_by(*grouped).subquery()
        at, within = table.c.in_step.label("in_step") if wanted.step_ms else at, []
    summed = [func.sum(_failed(table) if name == FAILED else table.c[name]) for name in measures]
    return select(at, *_texts(wanted), *summed).join_from(table, series, series.c.id == table.c.series).where(*within)


def _failed(table: Any) -> ColumnElement[int]:
    return case((series.c.outcome != "ok", table.c.calls), else_=0)


def _within(table: Table, grain: Grain, piece: Piece, wanted: Wanted) -> tuple[Label[Any], list[ColumnElement[bool]]]:
    """The step, and which rows of `table` are meant."""
    at, span, unit = table.c.at, piece.span, grain.span_ms
    within = [table.c.workspace == wanted.workspace, table.c.grain == grain.number, at >= span.from_ms // unit]
    if span.to_ms is not None:
        within.append(at < span.to_ms // unit)
    if wanted.where:
        chosen = [series.c[name].in_(list(values)) for name, values in wanted.where.items()]
        within.append(table.c.series.in_(select(series.c.id).where(series.c.workspace == wanted.workspace, *chosen)))
    return _step(at, wanted.step_ms // unit), within


def _step(time: ColumnElement[int], units: int) -> Label[Any]:
    return (literal(0) if not units else time if units == 1 else time // units).label("in_step")


def _calls(connection: Connection, piece: Piece, wanted: Wanted, what: Sequence[ColumnElement[Any]]) -> Select[Any]:
    """Rows of: the step, the texts of `wanted.by`, and `what`; still to be grouped."""
    c, tags = calls.c, None
    within = [c.workspace == wanted.workspace, c.ended_ms >= piece.span.from_ms]
    if piece.span.to_ms is not None:
        within.append(c.ended_ms < piece.span.to_ms)
    if "end_user" in wanted.dimensions:
        within.append(c.end_user != "")  # as in the roll-up of those
    if "tag" in wanted.dimensions:
        each = func.json_each if connection.dialect.name == "sqlite" else func.json_each_text
        tags = each(c.tags).table_valued("key", "value")
    texts = {name: _text_of_call(name, tags) for name in wanted.dimensions}
    within += [texts[name].in_(list(values)) for name, values in wanted.where.items()]
    by = [texts[name].label(f"by_{name}") for name in wanted.by]
    chosen = select(_step(c.ended_ms, wanted.step_ms), *by, *what).where(*within)
    return chosen if tags is None else chosen.select_from(calls.join(tags, literal(True)))


def _text_of_call(name: str, tags: Any) -> ColumnElement[Any]:
    if name == "tag":
        return case((tags.c.value == "", tags.c.key), else_=tags.c.key + "=" + tags.c.value)  # as tag_name says
    if name == "route":
        return case((calls.c.error == NO_MODEL, ""), else_=calls.c.route)
    return calls.c[name]


def _of_call(name: str) -> ColumnElement[Any]:
    match name:
        case "calls":
            return literal(1)
        case "failed":
            return case((calls.c.outcome != "ok", 1), else_=0)
        case "estimated":
            return case((calls.c.estimated, 1), else_=0)
        case "unpriced":
            return case((calls.c.cost_nusd.is_(None) & ((calls.c.input > 0) | (calls.c.output > 0)), 1), else_=0)
        case "audio_ms":
            return cast(func.round(calls.c.seconds * 1000), BigInteger)
    return calls.c[name]
