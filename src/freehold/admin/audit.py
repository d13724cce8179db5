"""The audit log: read, exported, verified."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from freehold.admin.objects import Page
from freehold.admin.request import ActorHere, CursorHere, LimitHere, PlaneHere, needs
from freehold.control import audit, auditlog
from freehold.control.auditlog import Format, Record, Wanted
from freehold.control.model import Text, Time, unix_ms
from freehold.control.refusal import Invalid

_TYPES = {"jsonl": "application/jsonl", "cef": "text/plain; charset=utf-8"}
_EXPORT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "One record a line, the oldest first",
        "content": {"application/jsonl": {"schema": {"type": "string"}}, "text/plain": {"schema": {"type": "string"}}},
    }
}


class Verified(BaseModel):
    intact: bool
    records: int = Field(description="How many there are.")
    wrong: int = Field(description="How many departures were found.")
    problems: list[str] = Field(description="The first hundred of them.")
    anchor: str | None = Field(description="Keep it elsewhere: with it, a log whose end was cut off is noticed.")


def _wanted(
    actor: Annotated[Text | None, Query(description="Name or id of whoever did it.")] = None,
    kind: Annotated[Text | None, Query(description="Of the object.", examples=["key"])] = None,
    object_id: Annotated[Text | None, Query(description="Id of the object.")] = None,
    action: Annotated[Text | None, Query(examples=["create"])] = None,
    since: Annotated[Time | None, Query(alias="from", description="Not before.")] = None,
    until: Annotated[Time | None, Query(alias="to", description="Before.")] = None,
) -> Wanted:
    return Wanted(actor, kind, object_id, action, unix_ms(since), unix_ms(until))


WantedHere = Annotated[Wanted, Depends(_wanted)]


def router() -> APIRouter:
    out = APIRouter(prefix="/audit", tags=["audit log"])
    for path, does, summary, operation, more in (
        ("", _listed, "List administrative acts", "list_audit", {"response_model": Page[Record]}),
        ("/export", _export, "Export the audit log", "export_audit", {"response_class": StreamingResponse, "responses": _EXPORT}),
        ("/verify", _verify, "Verify the audit log", "verify_audit", {"response_model": Verified}),
    ):
        more |= needs("audit:read")
        out.add_api_route(path, does, methods=["GET"], summary=summary, operation_id=operation, **more)
    return out


def _listed(plane: PlaneHere, who: ActorHere, wanted: WantedHere, limit: LimitHere = 100, cursor: CursorHere = "") -> Any:
    """Newest first."""
    if cursor and not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):
        raise Invalid("cursor", "It is `next` of the page before.")
    data, after = auditlog.page(plane, who, wanted, int(cursor) if cursor else None, limit)
    return {"data": data, "next": after or None}


def _export(
    plane: PlaneHere,
    who: ActorHere,
    wanted: WantedHere,
    format: Annotated[Format, Query(description="JSON lines, or ArcSight's Common Event Format.")] = "jsonl",
) -> StreamingResponse:
    """Streamed. A connection that ends before the last line was cut: ask again."""
    name = f'attachment; filename="audit.{format}"'
    pieces = auditlog.exported(plane, who, wanted, format)
    return StreamingResponse(pieces, media_type=_TYPES[format], headers={"content-disposition": name})


def _verify(
    plane: PlaneHere,
    who: ActorHere,
    anchor: Annotated[
        Text | None, Query(description="SEQUENCE:DIGEST, noted earlier.", examples=["17:0123456789abcdef.00ff"])
    ] = None,
) -> Any:
    """Looks at every record: any that was changed, taken out, moved or slipped in is found."""
    verdict = auditlog.verify(plane, who, None if anchor is None else audit.anchor(anchor))
    return Verified(
        intact=not verdict.wrong,
        records=verdict.records,
        wrong=verdict.wrong,
        problems=verdict.problems,
        anchor=None if verdict.last is None else str(verdict.last),
    )
