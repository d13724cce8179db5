"""Ship the spool: move finished calls from the workers' segments into the ledger.

A part of a segment, its calls, their roll-up and how far the segment is shipped are committed together; a segment is deleted only
after that. So it may be killed anywhere, run twice at once, or repeat itself after a restored backup: every call is counted once.
A database that does not answer only makes the spool longer.
"""

from __future__ import annotations

import time
from pathlib import Path

from msgspec import Struct
from sqlalchemy import Connection, Engine, delete, insert, select, update

from freehold.store import ledger
from freehold.store.engine import reading, writing
from freehold.store.schema import spool_segments
from freehold.store.segment import Segment, opened, segment_paths, sweep

_KEPT_MS = 7 * 86_400_000  # positions of segments that are long gone; without one a segment is only read again


class Shipped(Struct):
    """What one round did. `unreadable`: pieces in segments that were not records, kept in DATA/spool/*.unreadable."""

    calls: int = 0
    segments: int = 0
    unreadable: int = 0


class _Progress(Struct):
    position: int = 0
    unreadable: int = 0


def ship(data: Path, engine: Engine) -> Shipped:
    """Move all that is there. Raises SQLAlchemyError when the database fails, OSError when the spool can't be read."""
    shipped = Shipped()
    paths = segment_paths(data)
    with reading(engine) as connection:
        progress = _all_progress(connection, [path.name for path in paths])
    for path in paths:
        with opened(path) as segment:
            if segment is not None:
                _ship_segment(segment, progress.get(segment.name, _Progress()), engine, shipped)
    if shipped.segments:
        sweep(data)
        _forget(engine)
    return shipped


def _ship_segment(segment: Segment, so_far: _Progress, engine: Engine, shipped: Shipped) -> None:
    part = segment.read(so_far.position)
    while part.end > so_far.position:
        with writing(engine, segment.name) as connection:
            now = _all_progress(connection, [segment.name]).get(segment.name)
            if now is None:
                now = _Progress()
                connection.execute(insert(spool_segments).values(segment=segment.name, position=0, unreadable=0, shipped_ms=0))
            if now.position != so_far.position:
                part = segment.read(now.position)  # another shipper has been here
            new = ledger.record(connection, part.lines)
            so_far = _Progress(part.end, now.unreadable + part.unreadable)
            values = {"position": so_far.position, "unreadable": so_far.unreadable, "shipped_ms": _now_ms()}
            connection.execute(update(spool_segments).where(spool_segments.c.segment == segment.name).values(values))
        shipped.calls += new
        shipped.unreadable += part.unreadable
        part = segment.read(so_far.position)
    if segment.finished:
        segment.remove(unreadable=so_far.unreadable > 0)
        shipped.segments += 1


def _all_progress(connection: Connection, names: list[str]) -> dict[str, _Progress]:
    columns = (spool_segments.c.segment, spool_segments.c.position, spool_segments.c.unreadable)
    found: dict[str, _Progress] = {}
    for at in range(0, len(names), 500):
        some = select(*columns).where(spool_segments.c.segment.in_(names[at : at + 500]))
        found.update({name: _Progress(position, unreadable) for name, position, unreadable in connection.execute(some)})
    return found


def _forget(engine: Engine) -> None:
    with writing(engine, "spool_segments") as connection:
        connection.execute(delete(spool_segments).where(spool_segments.c.shipped_ms < _now_ms() - _KEPT_MS))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
