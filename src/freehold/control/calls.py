"""Single calls of the ledger: listed by what is asked, page by page, or one by its id. Every question names the workspace."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from typing import Any

from msgspec import Struct, convert, field
from sqlalchemy import ColumnElement, Connection, Engine, func, literal, select, text, tuple_

from freehold.store.engine import reading
from freehold.store.schema import calls
from freehold.store.spool import LedgerLine

MAX_PAGE = 1000
NAMES = (
    *("team", "app", "member", "key_id", "key", "end_user", "session", "tag"),
    *("route", "provider", "model", "answered_by", "zone", "region", "kind", "dialect", "outcome", "error", "finish"),
)
_INDEXED = ("end_user", "session")  # by indexes without the calls that name none


class CallsError(ValueError):
    """What is asked can't be; the message names the value and what would do."""


class Filter(Struct, frozen=True, kw_only=True):
    """`where`: by NAMES; a call must have one of the values. `tag`: "name=value", or "name" for one without. `from_ms` on, before
    `to_ms` (unix time of a call's end)."""

    workspace: str
    where: dict[str, tuple[str, ...]] = field(default_factory=dict)
    from_ms: int = 0
    to_ms: int | None = None


class Page(Struct, frozen=True):
    """`next`: what to ask the following page with; "" after the last one."""

    calls: list[LedgerLine]
    next: str = ""


def page(connection: Connection, asked: Filter, after: str = "", limit: int = 50) -> Page:
    """The newest first. Pages hang together though calls come in meanwhile: each call is on one of them. Raises CallsError."""
    if not 1 <= limit <= MAX_PAGE:
        raise CallsError(f"limit is {limit}; it must be from 1 to {MAX_PAGE}")
    place = tuple_(calls.c.ended_ms, calls.c.call_id)
    within = _within(connection, asked)
    if after:
        within.append(place < _place(after))
    found = _found(connection, within, (calls.c.ended_ms.desc(), calls.c.call_id.desc()), limit + 1)
    shown = found[:limit]
    return Page(shown, _cursor(shown[-1]) if len(found) > limit else "")


def one(connection: Connection, workspace: str, call_id: str) -> LedgerLine | None:
    """None where this workspace has no such call, whoever else has."""
    found = _found(connection, [calls.c.call_id == call_id, calls.c.workspace == workspace], (), 1)
    return found[0] if found else None


def batches(engine: Engine, asked: Filter, size: int = 5_000) -> Iterator[list[LedgerLine]]:
    """All of them, the oldest first, in lists of up to `size`. No more than one is in memory, and no transaction outlives it: a
    long one would keep the database from cleaning up. Raises CallsError before the first."""
    place = tuple_(calls.c.ended_ms, calls.c.call_id)
    reached: tuple[int, str] | None = None
    while True:
        with reading(engine) as connection:
            within = _within(connection, asked)
            if reached is not None:
                within += [place > tuple_(literal(reached[0]), literal(reached[1])), calls.c.ended_ms >= reached[0]]
            found = _found(connection, within, (calls.c.ended_ms, calls.c.call_id), size)
        if found:
            reached = (found[-1].ended_ms, found[-1].call_id)
            yield found
        if len(found) < size:
            return


def _within(connection: Connection, asked: Filter) -> list[ColumnElement[bool]]:
    within: list[ColumnElement[bool]] = [calls.c.workspace == asked.workspace, calls.c.ended_ms >= asked.from_ms]
    if asked.to_ms is not None:
        within.append(calls.c.ended_ms < asked.to_ms)
    for name, values in asked.where.items():
        if name not in NAMES:
            raise CallsError(f"calls can't be looked for by {name!r}, but by: {', '.join(NAMES)}")
        if name == "tag":
            within.append(_tagged(connection, values))
            continue
        within.append(calls.c[name].in_(values))
        if name in _INDEXED and "" not in values:
            within.append(text(f"{name} <> ''"))  # type: ignore[arg-type]  # in the index's own words
    return within


def _tagged(connection: Connection, values: tuple[str, ...]) -> ColumnElement[bool]:
    each = func.json_each if connection.dialect.name == "sqlite" else func.json_each_text
    tags = each(calls.c.tags).table_valued("key", "value")
    pairs = [(name, value) for name, _, value in (one.partition("=") for one in values)]
    return select(literal(1)).select_from(tags).where(tuple_(tags.c.key, tags.c.value).in_(pairs)).exists()


def _found(
    connection: Connection, within: list[ColumnElement[bool]], order: tuple[ColumnElement[object], ...], limit: int
) -> list[LedgerLine]:
    rows = connection.execute(select(*calls.c).where(*within).order_by(*order).limit(limit))
    names = LedgerLine.__struct_fields__  # the columns, in their order
    return [convert(dict(zip(names, row, strict=True)), LedgerLine) for row in rows]


def _cursor(line: LedgerLine) -> str:
    return urlsafe_b64encode(f"{line.ended_ms}.{line.call_id}".encode()).decode().rstrip("=")


def _place(cursor: str) -> Any:
    try:
        ended, dot, call_id = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().partition(".")
        if dot and "\0" not in call_id and -(2**63) <= int(ended) < 2**63:
            return tuple_(literal(int(ended)), literal(call_id))
    except (binascii.Error, ValueError):
        pass
    raise CallsError(f"{cursor[:60]!r} is no place in this list; take what a page gave as its next one") from None
