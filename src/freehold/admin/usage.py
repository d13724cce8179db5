"""Usage: any measure by any dimension, from the roll-ups; as JSON, or exported."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from freehold.admin.request import ActorHere, PlaneHere, needs
from freehold.admin.streams import piped
from freehold.control.actor import Actor
from freehold.control.export import Format, usage_columns, usage_rows, write
from freehold.control.model import Text, Time, moment, unix_ms
from freehold.control.plane import Plane
from freehold.control.refusal import Invalid
from freehold.control.usage import PERCENTILES, SUMS, USUAL, Question, Step, Usage, UsageError, ask
from freehold.store.grains import DIMENSIONS

_USUAL = ",".join(USUAL)
EXPORT_TYPES = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}
EXPORTED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The rows, as a file",
        "content": {
            "text/csv": {"schema": {"type": "string"}},
            "application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


class UsageRow(BaseModel):
    at: str | None = Field(description="Where the step begins; unset without steps.")
    group: dict[str, str] = Field(description="By dimension.")
    values: dict[str, int | None] = Field(description="By measure; unset: nothing was measured. Costs in nano-US-dollars.")


class UsageView(BaseModel):
    since: str = Field(alias="from", description="What the answer covers.")
    until: str | None = Field(alias="to")
    groups: int = Field(description="How many there are; `rows` may show fewer.")
    rows: list[UsageRow]


def pairs(texts: list[str]) -> dict[str, tuple[str, ...]]:
    """NAME=VALUE, each name with all its values. Raises Invalid."""
    found: dict[str, tuple[str, ...]] = {}
    for at, text in enumerate(texts):
        name, equals, value = text.partition("=")
        if not equals:
            raise Invalid(f"where[{at}]", "A condition is NAME=VALUE.")
        found[name] = (*found.get(name, ()), value)
    return found


def _asked(
    actor: ActorHere,
    measures: Annotated[
        Text, Query(description=f"With commas between: {', '.join((*SUMS, *PERCENTILES))}.", examples=["calls,cost_nusd"])
    ] = _USUAL,
    by: Annotated[Text, Query(description=f"With commas between: {', '.join(DIMENSIONS)}.", examples=["model"])] = "",
    step: Annotated[Step, Query(description="In steps of time, of UTC.")] = "none",
    since: Annotated[Time | None, Query(alias="from", description="Not before.")] = None,
    until: Annotated[Time | None, Query(alias="to", description="Before.")] = None,
    where: Annotated[
        list[Text] | None,
        Query(max_length=100, description="NAME=VALUE; of one name any of the values.", examples=[["provider=openai"]]),
    ] = None,
    order: Annotated[Text, Query(description="The measure that says which groups come first.")] = "",
    limit: Annotated[int, Query(ge=1, le=10_000, description="At most so many groups.")] = 1000,
) -> Question:
    return Question(
        workspace=actor.workspace,
        measures=tuple(filter(None, measures.split(","))),
        by=tuple(filter(None, by.split(","))),
        step=step,
        from_ms=unix_ms(since) or 0,
        to_ms=unix_ms(until),
        where=pairs(where or []),
        order=order,
        limit=limit,
    )


QuestionHere = Annotated[Question, Depends(_asked)]


def router() -> APIRouter:
    out = APIRouter(prefix="/usage", tags=["usage"])
    add, may = out.add_api_route, needs("usage:read")
    more: dict[str, Any] = {"summary": "Ask what was used", "operation_id": "get_usage", "response_model": UsageView}
    add("", _shown, methods=["GET"], **more, **may)
    more = {"summary": "Export what was used", "operation_id": "export_usage", "response_class": StreamingResponse}
    add("/export", _export, methods=["GET"], responses=EXPORTED, **more, **may)
    return out


def _answer(plane: Plane, actor: Actor, question: Question) -> Usage:
    try:
        with plane.reading(actor, "usage:read") as connection:
            return ask(connection, question)
    except UsageError as error:
        raise Invalid("query", str(error)) from None


def _shown(plane: PlaneHere, actor: ActorHere, question: QuestionHere) -> Any:
    """Calls under way and those of the last seconds are not in it yet."""
    usage = _answer(plane, actor, question)
    rows = [
        UsageRow(
            at=None if row.at_ms is None else _text(row.at_ms),
            group=dict(zip(usage.by, row.group, strict=True)),
            values=dict(zip(usage.measures, row.values, strict=True)),
        )
        for row in usage.rows
    ]
    span = {"from": _text(usage.from_ms), "to": None if usage.to_ms is None else _text(usage.to_ms)}
    return UsageView(**span, groups=usage.groups, rows=rows)  # type: ignore[arg-type]


def _export(
    plane: PlaneHere,
    actor: ActorHere,
    question: QuestionHere,
    format: Annotated[Format, Query(description="What kind of file.")] = "csv",
) -> StreamingResponse:
    usage = _answer(plane, actor, question)
    pieces = piped(lambda out: write(format, usage_columns(usage), usage_rows(usage), out))
    return StreamingResponse(
        pieces,
        media_type=EXPORT_TYPES[format],
        headers={"content-disposition": f'attachment; filename="usage.{format}"'},
    )


def _text(unix_ms: int) -> str:
    at = moment(unix_ms)
    return "1970-01-01T00:00:00Z" if at is None else at.isoformat().replace("+00:00", "Z")
