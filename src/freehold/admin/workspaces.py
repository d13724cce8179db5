"""Workspaces: those of whoever asks; for operators all of them, to be made, changed and deleted."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel

from freehold.admin.objects import MADE, TAGGED
from freehold.admin.request import OPERATOR, SIGNED_IN, PlaneHere, SelfHere, VersionHere, needs, tag
from freehold.control import workspaces
from freehold.control.actor import Actor
from freehold.control.refusal import Missing
from freehold.control.workspaces import EditWorkspace, NewWorkspace, Workspace, WorkspaceMade


class Workspaces(BaseModel):
    data: list[Workspace]


def router() -> APIRouter:
    out = APIRouter(prefix="/workspaces", tags=["workspaces"])
    out.add_api_route("", listed, methods=["GET"], summary="List workspaces", operation_id="list_workspaces", **needs(SIGNED_IN))
    out.add_api_route(
        *("", create), methods=["POST"], summary="Make a workspace", operation_id="create_workspace", status_code=201, responses=MADE,
        **needs(OPERATOR),
    )  # fmt: skip

    def get(response: Response, plane: PlaneHere, actor: Actor = Depends(_at("workspace:read"))) -> Workspace:
        return _tagged(response, workspaces.get(plane, actor))

    def change(
        response: Response,
        plane: PlaneHere,
        given: EditWorkspace,
        version: VersionHere,
        actor: Actor = Depends(_at("workspace:write")),
    ) -> Workspace:
        return _tagged(response, workspaces.change(plane, actor, given, version))

    def remove(plane: PlaneHere, version: VersionHere, actor: Actor = Depends(_at("workspace:delete"))) -> None:
        workspaces.remove(plane, actor, version)

    for method, does, about, scope, more in (
        ("GET", get, "Read a workspace", "workspace:read", {"operation_id": "get_workspace", "responses": TAGGED}),
        ("PATCH", change, "Change a workspace", "workspace:write", {"operation_id": "update_workspace", "responses": TAGGED}),
        ("DELETE", remove, "Delete a workspace", "workspace:delete", {"operation_id": "delete_workspace", "status_code": 204}),
    ):
        options: dict[str, Any] = {**more, "openapi_extra": {"x-scope": scope}}
        out.add_api_route("/{id}", does, methods=[method], summary=about, **options)
    return out


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


def _tagged(response: Response, found: Workspace) -> Workspace:
    tag(response, found.version)
    return found


def listed(plane: PlaneHere, actor: SelfHere) -> Workspaces:
    return Workspaces(data=workspaces.listed(plane, actor))


def create(response: Response, plane: PlaneHere, actor: SelfHere, given: NewWorkspace) -> WorkspaceMade:
    made = workspaces.create(plane, actor, given)
    tag(response, made.version)
    response.headers["location"] = f"/api/v1/workspaces/{made.id}"
    return made
