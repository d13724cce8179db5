"""One router for every noun: list, make, read, change, delete. What differs is in control/, one file a noun."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from freehold.admin.once import AskedHere, once
from freehold.admin.request import ActorHere, CursorHere, LimitHere, PlaneHere, VersionHere, needs, tag
from freehold.control.model import View
from freehold.control.noun import Noun
from freehold.control.refusal import Invalid

T = TypeVar("T")

_ETAG = {"etag": {"description": "The object's version, for If-Match.", "schema": {"type": "string"}, "example": '"3"'}}
_LOCATION = {"location": {"description": "Where the object is.", "schema": {"type": "string"}}}
TAGGED: dict[int | str, dict[str, Any]] = {200: {"headers": _ETAG}}
MADE: dict[int | str, dict[str, Any]] = {201: {"headers": {**_ETAG, **_LOCATION}}}


class Page(BaseModel, Generic[T]):
    data: list[T]
    next: str | None = Field(description="`cursor` of the page that follows; unset on the last one.")


def router(noun: Noun[Any], made: type[View] | None = None) -> APIRouter:
    """`made`: what creating one returns, where that is more than its view: a secret that is shown once."""
    name, names, seen = noun.kind.replace("_", " "), noun.plural.replace("_", " "), noun.view
    out = APIRouter(prefix=f"/{noun.plural}", tags=[names])
    read, write = noun.read_scope(), noun.write_scope()

    def listed(request: Request, plane: PlaneHere, actor: ActorHere, limit: LimitHere = 100, cursor: CursorHere = "") -> Any:
        data, after = noun.page(plane, actor, filters_of(noun, request), cursor, limit)
        return {"data": data, "next": after or None}

    def create(response: Response, plane: PlaneHere, actor: ActorHere, asked: AskedHere, given: Any) -> Any:
        def make() -> View:
            result: View = noun.create(plane, actor, given)
            tag(response, result.version)
            response.headers["location"] = f"/api/v1/{noun.plural}/{result.id}"
            return result

        return once(asked, plane, actor, response, 201, make)

    def get(response: Response, plane: PlaneHere, actor: ActorHere, id: str) -> Any:
        result = noun.get(plane, actor, id)
        tag(response, result.version)
        return result

    def change(response: Response, plane: PlaneHere, actor: ActorHere, id: str, given: Any, version: VersionHere) -> Any:
        result = noun.change(plane, actor, id, given, version)
        tag(response, result.version)
        return result

    def remove(plane: PlaneHere, actor: ActorHere, id: str, version: VersionHere) -> None:
        noun.remove(plane, actor, id, version)

    def add(method: str, path: str, does: Callable[..., Any], summary: str, operation: str, **more: Any) -> None:
        out.add_api_route(path, does, methods=[method], summary=summary, operation_id=operation, **more)

    create.__annotations__["given"] = noun.new
    change.__annotations__["given"] = noun.edit
    page = Page[seen]  # type: ignore[valid-type]
    a = "an" if name[0] in "aeiou" else "a"
    filters = [_parameter(noun, column) for column in noun.filters]
    add("GET", "", listed, f"List {names}", f"list_{noun.plural}", response_model=page, **needs(read, parameters=filters))
    more = {"response_model": made or seen, "status_code": 201, "responses": MADE}
    add("POST", "", create, f"Make {a} {name}", f"create_{noun.kind}", **more, **needs(write))
    more = {"response_model": seen, "responses": TAGGED}
    add("GET", "/{id}", get, f"Read {a} {name}", f"get_{noun.kind}", **more, **needs(read))
    add("PATCH", "/{id}", change, f"Change {a} {name}", f"update_{noun.kind}", **more, **needs(write))
    add("DELETE", "/{id}", remove, f"Delete {a} {name}", f"delete_{noun.kind}", status_code=204, **needs(write))
    return out


def _parameter(noun: Noun[Any], column: str) -> dict[str, Any]:
    schema = {"type": "boolean" if noun.table.c[column].type.python_type is bool else "string"}
    return {"name": column, "in": "query", "required": False, "schema": schema, "description": f"Only those with this {column}."}


def filters_of(noun: Noun[Any], request: Request) -> dict[str, Any]:
    """The query parameters that are columns of the noun. Raises Invalid for one that is no value of its column."""
    found: dict[str, Any] = {}
    for name in noun.filters:
        text = request.query_params.get(name)
        if text is None:
            continue
        if noun.table.c[name].type.python_type is bool:
            if text not in ("true", "false"):
                raise Invalid(name, "It is true or false.")
            found[name] = text == "true"
        elif not text.isprintable():
            raise Invalid(name, "Only visible characters.")
        else:
            found[name] = text
    return found
