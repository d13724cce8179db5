"""Workspaces: those of whoever asks; for operators all of them, to be made, changed and deleted."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel

from freehold.admin.objects import MADE, TAGGED
from freehold.admin.once import AskedHere, once
from freehold.admin.request import OPERATOR, SIGNED_IN, PlaneHere, SelfHere, VersionHere, needs, tag
from freehold.control import workspaces
from freehold.control.actor import Actor
from freehold.control.refusal import Missing
from freehold.control.workspaces import EditWorkspace, NewWorkspace, Workspace, WorkspaceMade


class Workspaces(BaseModel):
    data: list[Workspace]


def router() -> APIRouter:
    out = APIRouter(prefix="/workspaces", tags=["workspaces"])

    def add(method: str, path: str, does: Any, about: str, name: str, more: dict[str, Any]) -> None:
        out.add_api_route(path, does, methods=[method], summary=about, operation_id=name, **more)

    add("GET", "", listed, "List workspaces", "list_workspaces", needs(SIGNED_IN))
    more = {"status_code": 201, "response_model": WorkspaceMade, "responses": MADE}
    add("POST", "", create, "Make a workspace", "create_workspace", {**more, **needs(OPERATOR)})
    add("GET", "/{id}", get, "Read a workspace", "get_workspace", {"responses": TAGGED, **_scope("read")})
    add("PATCH", "/{id}", change, "Change a workspace", "update_workspace", {"responses": TAGGED, **_scope("write")})
    add("DELETE", "/{id}", remove, "Delete a workspace", "delete_workspace", {"status_code": 204, **_scope("delete")})
    return out


def _scope(verb: str) -> dict[str, Any]:
    return {"openapi_extra": {"x-scope": f"workspace:{verb}"}}


def _at(scope: str) -> Any:
    """The actor in the workspace that the path names. Raises SignInNeeded, Forbidden, Missing."""

    def here(request: Request, id: str) -> Actor:
        actor: Actor = request.app.state.who(request, None)
        if actor.workspace:  # a token's
            actor.require(scope)
            if actor.workspace != id:
                raise Missing("workspace", id)
            return actor
        inside: Actor = request.app.state.who(request, id or "-")
        inside.require(scope)
        return inside

    return here


Reader = Annotated[Actor, Depends(_at("workspace:read"))]
Writer = Annotated[Actor, Depends(_at("workspace:write"))]
Deleter = Annotated[Actor, Depends(_at("workspace:delete"))]


def _tagged(response: Response, found: Workspace) -> Workspace:
    tag(response, found.version)
    return found


def get(response: Response, plane: PlaneHere, actor: Reader) -> Workspace:
    return _tagged(response, workspaces.get(plane, actor))


def change(response: Response, plane: PlaneHere, actor: Writer, given: EditWorkspace, version: VersionHere) -> Workspace:
    return _tagged(response, workspaces.change(plane, actor, given, version))


def remove(plane: PlaneHere, actor: Deleter, version: VersionHere) -> None:
    workspaces.remove(plane, actor, version)


def listed(plane: PlaneHere, actor: SelfHere) -> Workspaces:
    return Workspaces(data=workspaces.listed(plane, actor))


def create(response: Response, plane: PlaneHere, actor: SelfHere, asked: AskedHere, given: NewWorkspace) -> Any:
    def make() -> WorkspaceMade:
        made = workspaces.create(plane, actor, given)
        tag(response, made.version)
        response.headers["location"] = f"/api/v1/workspaces/{made.id}"
        return made

    return once(asked, plane, actor, response, 201, make)
