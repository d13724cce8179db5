"""Single calls of the ledger: listed, read, exported. Not what was said in them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from msgspec import to_builtins
from pydantic import BaseModel, ConfigDict, Field

from freehold.admin.objects import Page
from freehold.admin.request import ActorHere, CursorHere, LimitHere, PlaneHere, needs
from freehold.admin.streams import piped
from freehold.admin.usage import EXPORT_TYPES, EXPORTED, pairs
from freehold.control import calls
from freehold.control.calls import NAMES, CallsError, Filter
from freehold.control.export import CALL_COLUMNS, Format, call_rows, write
from freehold.control.model import Text, Time, moment, unix_ms
from freehold.control.refusal import Invalid, Missing
from freehold.store.engine import explained
from freehold.store.spool import LedgerLine


class Call(BaseModel):
    """Its fields are the ledger's; those that say nothing are left out. Times in microseconds, money in nano-US-dollars."""

    model_config = ConfigDict(extra="allow")

    call_id: str
    ended_at: str
    route: str = Field(default="", description="The model name that the client asked for.")
    provider: str = ""
    model: str = Field(default="", description="As sent to the provider.")
    key: str = ""
    status: int = 0
    outcome: str = Field(default="", description="ok, refused, upstream_error, cut, client_gone, error.")
    cost_nusd: int | None = Field(default=None, description="Unset: unpriced.")


def _filter(
    actor: ActorHere,
    where: Annotated[
        list[Text] | None,
        Query(
            max_length=100,
            description=f"NAME=VALUE, of one name any of the values: {', '.join(NAMES)}.",
            examples=[["outcome=ok"]],
        ),
    ] = None,
    since: Annotated[Time | None, Query(alias="from", description="Ended not before.")] = None,
    until: Annotated[Time | None, Query(alias="to", description="Ended before.")] = None,
) -> Filter:
    wanted = pairs(where or [])
    if unknown := [name for name in wanted if name not in NAMES]:
        raise Invalid("where", f"{unknown[0]!r} can't be asked for; there are: {', '.join(NAMES)}.")
    return Filter(workspace=actor.workspace, where=wanted, from_ms=unix_ms(since) or 0, to_ms=unix_ms(until))


FilterHere = Annotated[Filter, Depends(_filter)]


def router() -> APIRouter:
    out = APIRouter(prefix="/calls", tags=["calls"])
    add, may = out.add_api_route, needs("call:read")
    more: dict[str, Any] = {"summary": "List calls", "operation_id": "list_calls", "response_model": Page[Call]}
    add("", _listed, methods=["GET"], **more, **may)
    more = {"summary": "Export calls", "operation_id": "export_calls", "response_class": StreamingResponse}
    add("/export", _export, methods=["GET"], responses=EXPORTED, **more, **may)
    more = {"summary": "Read a call", "operation_id": "get_call", "response_model": Call}
    add("/{id}", _get, methods=["GET"], **more, **may)
    return out


def _listed(plane: PlaneHere, actor: ActorHere, asked: FilterHere, limit: LimitHere = 100, cursor: CursorHere = "") -> Any:
    """Newest first."""
    try:
        with plane.reading(actor, "call:read") as connection:
            page = calls.page(connection, asked, cursor, limit)
    except CallsError as error:
        raise Invalid("cursor", str(error)) from None
    return {"data": [_shown(line) for line in page.calls], "next": page.next or None}


def _get(plane: PlaneHere, actor: ActorHere, id: str) -> Any:
    found = None
    if id.isprintable():
        with plane.reading(actor, "call:read") as connection:
            found = calls.one(connection, actor.workspace, id)
    if found is None:
        raise Missing("call", id)
    return _shown(found)


def _export(
    plane: PlaneHere,
    actor: ActorHere,
    asked: FilterHere,
    format: Annotated[Format, Query(description="What kind of file.")] = "csv",
) -> StreamingResponse:
    """Streamed, the oldest first. A connection that ends before the file does was cut: ask again."""

    def batches() -> Any:
        with explained(plane.address):
            yield from call_rows(calls.batches(plane.engine, asked))

    return StreamingResponse(
        piped(lambda out: write(format, CALL_COLUMNS, batches(), out)),
        media_type=EXPORT_TYPES[format],
        headers={"content-disposition": f'attachment; filename="calls.{format}"'},
    )


def _shown(line: LedgerLine) -> dict[str, Any]:
    shown = {name: value for name, value in to_builtins(line).items() if name not in ("ended_ms", "workspace")}
    ended = moment(line.ended_ms)
    return {**shown, "ended_at": "" if ended is None else ended.isoformat(timespec="milliseconds").replace("+00:00", "Z")}
