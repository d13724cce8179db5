"""What every request of the admin API has: the plane, who asks, the version that it was read at, a page."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Depends, Header, Query, Request, Response

from freehold.control.actor import Actor
from freehold.control.plane import Plane
from freehold.control.refusal import Invalid

_ETAG = re.compile(r'\s*(?:W/)?"(\d{1,18})"\s*')


def _plane(request: Request) -> Plane:
    plane: Plane = request.app.state.plane
    return plane


def _actor(request: Request, workspace: Annotated[str, Header(alias="x-freehold-workspace", max_length=100)] = "") -> Actor:
    """Raises SignInNeeded, Forbidden; Missing for a workspace that is not the caller's."""
    actor: Actor = request.app.state.who(request, workspace)
    return actor


def _version(
    if_match: Annotated[
        str | None,
        Header(alias="if-match", description="The ETag that the object was read with; refused if it has another by now."),
    ] = None,
) -> int | None:
    if if_match is None or if_match.strip() == "*":
        return None
    found = _ETAG.fullmatch(if_match)
    if found is None:
        raise Invalid("if-match", 'If-Match holds the ETag of the object, such as "3".')
    return int(found[1])


PlaneHere = Annotated[Plane, Depends(_plane)]
ActorHere = Annotated[Actor, Depends(_actor)]
VersionHere = Annotated[int | None, Depends(_version)]
LimitHere = Annotated[int, Query(ge=1, le=1000, description="At most so many.")]
CursorHere = Annotated[str, Query(max_length=200, description="`next` of the page before.")]


def tag(response: Response, version: int) -> None:
    if version:
        response.headers["etag"] = f'"{version}"'
