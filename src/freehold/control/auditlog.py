"""The audit log as administrators read it: in pages, or exported as JSON lines or CEF. How it is linked is audit.py's matter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from msgspec import Struct, json
from pydantic import BaseModel, Field
from sqlalchemy import Connection, Select, select

from freehold.control import audit as chain
from freehold.control import cef
from freehold.control.actor import Actor
from freehold.control.model import moment
from freehold.control.plane import Plane
from freehold.store.tenants import audit

Format = Literal["jsonl", "cef"]
_AT_ONCE = 1000

Row = Mapping[str, Any]


class Record(BaseModel):
    """One administrative act."""

    sequence: int = Field(description="Its number in the workspace's log, from 1, without gaps.")
    at: str = Field(description="When, in UTC.", examples=["2026-11-24T09:30:00.000Z"])
    actor_kind: str = Field(description="user, token, command, provisioning or system.", examples=["token"])
    actor_id: str
    actor: str = Field(description="Its name at that time.")
    address: str = Field(description="Where from.", examples=["192.0.2.7"])
    action: str = Field(examples=["create"])
    kind: str = Field(description="Of the object.", examples=["key"])
    object_id: str
    object: str = Field(description="Its name at that time.")
    before: dict[str, Any] | None = Field(description="What was different before, without secrets.")
    after: dict[str, Any] | None
    digest: str = Field(description="Links it to the record before; SEQUENCE:DIGEST is an anchor.")


class Wanted(Struct, frozen=True):
    """None: all. `actor`: a name or an id. Times in unix ms, `from_ms` counts, `to_ms` does not."""

    actor: str | None = None
    kind: str | None = None
    object_id: str | None = None
    action: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None


def page(plane: Plane, actor: Actor, wanted: Wanted, before: int | None = None, limit: int = 100) -> tuple[list[Record], str]:
    """Newest first: at most `limit` records with a number below `before`, and the one to go on from ("": no more)."""
    with plane.reading(actor, "audit:read") as connection:
        query = _narrowed(actor.workspace, wanted).order_by(audit.c.sequence.desc()).limit(limit + 1)
        if before is not None:
            query = query.where(audit.c.sequence < before)
        rows = [dict(row) for row in connection.execute(query).mappings()]
    found = [Record.model_validate(_shown(row)) for row in rows[:limit]]
    return found, str(found[-1].sequence) if len(rows) > limit else ""


def exported(plane: Plane, actor: Actor, wanted: Wanted, form: Format) -> Iterator[bytes]:
    """The oldest first, in pieces of many lines. Asks for the right before the first piece; a slow reader holds no transaction.

    Raises Forbidden, StoreError; in mid-way too.
    """
    actor.require("audit:read")
    return _pieces(plane, actor, wanted, line_of(form))


def line_of(form: Format) -> Any:
    return cef.line if form == "cef" else _json_line


def verify(plane: Plane, actor: Actor, kept: chain.Anchor | None = None) -> chain.Verdict:
    """Raises Forbidden, StoreError, SealError."""
    with plane.reading(actor, "audit:read") as connection:
        return chain.verify(connection, plane.master(again=True), actor.workspace, kept)


def after(connection: Connection, workspace: str, wanted: Wanted, sequence: int, limit: int = _AT_ONCE) -> list[Row]:
    """Records that follow number `sequence`, the oldest first."""
    query = _narrowed(workspace, wanted).where(audit.c.sequence > sequence).order_by(audit.c.sequence).limit(limit)
    return [dict(row) for row in connection.execute(query).mappings()]


def _pieces(plane: Plane, actor: Actor, wanted: Wanted, line: Any) -> Iterator[bytes]:
    sequence = 0
    while True:
        with plane.reading(actor, "audit:read") as connection:
            rows = after(connection, actor.workspace, wanted, sequence)
        if rows:
            yield b"".join(line(row) + b"\n" for row in rows)
        if len(rows) < _AT_ONCE:
            return
        sequence = rows[-1]["sequence"]


def _narrowed(workspace: str, wanted: Wanted) -> Select[Any]:
    query = select(audit).where(audit.c.workspace == workspace)
    for name in ("kind", "object_id", "action"):
        value = getattr(wanted, name)
        if value is not None:
            query = query.where(audit.c[name] == value)
    if wanted.actor is not None:
        query = query.where((audit.c.actor == wanted.actor) | (audit.c.actor_id == wanted.actor))
    if wanted.from_ms is not None:
        query = query.where(audit.c.at_ms >= wanted.from_ms)
    if wanted.to_ms is not None:
        query = query.where(audit.c.at_ms < wanted.to_ms)
    return query


def _shown(row: Row) -> dict[str, Any]:
    at = moment(row["at_ms"])
    shown = {name: value for name, value in row.items() if name not in ("workspace", "at_ms")}
    for name in ("before", "after"):
        shown[name] = None if row[name] is None else json.decode(row[name])
    return {**shown, "at": "" if at is None else at.isoformat(timespec="milliseconds").replace("+00:00", "Z")}


def _json_line(row: Row) -> bytes:
    return json.encode({"workspace": row["workspace"], **_shown(row)})
