"""What every request of the admin API has: the plane, who asks and may, the version that it was read at, a page."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import Depends, Header, Query, Request, Response

from freehold.control.actor import Actor
from freehold.control.plane import Plane
from freehold.control.refusal import Invalid
from freehold.control.rights import SCOPES
from freehold.control.sessions import require_person

ANYONE = "anyone"  # without signing in
SIGNED_IN = "signed_in"  # whatever one's role, also in no workspace
PERSON = "person"  # a signed-in browser's; not a token's
OPERATOR = "operator"  # looks after the installation
_ETAG = re.compile(r'\s*(?:W/)?"(\d{1,18})"\s*', re.ASCII)


def _plane(request: Request) -> Plane:
    plane: Plane = request.app.state.plane
    return plane


def _actor(
    request: Request,
    workspace: Annotated[
        str,
        Header(alias="x-freehold-workspace", max_length=100, description="The workspace that is meant; a token has one alone."),
    ] = "",
) -> Actor:
    """Raises SignInNeeded, Forbidden; Missing for a workspace that is not the caller's."""
    actor: Actor = request.app.state.who(request, workspace)
    return actor


def _version(
    if_match: Annotated[
        str | None,
        Header(
            alias="if-match",
            description="The ETag that the object was read with; refused if it has another by now.",
            examples=['"3"'],
        ),
    ] = None,
) -> int | None:
    if if_match is None or if_match.strip() == "*":
        return None
    found = _ETAG.fullmatch(if_match)
    if found is None:
        raise Invalid("if-match", 'If-Match holds the ETag of the object, such as "3".')
    return int(found[1])


def _self(request: Request) -> Actor:
    """Who asks, for what concerns no workspace: a person is in none then. Raises SignInNeeded, Forbidden."""
    actor: Actor = request.app.state.who(request, None)
    return actor


PlaneHere = Annotated[Plane, Depends(_plane)]
ActorHere = Annotated[Actor, Depends(_actor)]
SelfHere = Annotated[Actor, Depends(_self)]
VersionHere = Annotated[int | None, Depends(_version)]
LimitHere = Annotated[int, Query(ge=1, le=1000, description="At most so many.")]
CursorHere = Annotated[str, Query(max_length=200, description="`next` of the page before.")]


def needs(scope: str, **extra: Any) -> dict[str, Any]:
    """What a route is declared with, every one of them: `@router.get("", **needs("key:read"))`.

    Whoever lacks the scope is refused before anything else is looked at, and the document says so (`x-scope`). `scope`: one of
    rights.SCOPES, ANYONE, SIGNED_IN, PERSON or OPERATOR. `extra` goes into the operation's document.
    """
    if scope not in (*SCOPES, ANYONE, SIGNED_IN, PERSON, OPERATOR):
        raise ValueError(f"no such scope: {scope}")

    def check(actor: ActorHere) -> None:
        actor.require(scope)

    def check_self(actor: SelfHere) -> None:
        if scope == OPERATOR:
            actor.require_operator()
        elif scope == PERSON:
            require_person(actor)

    check = check if scope in SCOPES else check_self
    return {"dependencies": [] if scope == ANYONE else [Depends(check)], "openapi_extra": {"x-scope": scope, **extra}}


def tag(response: Response, version: int) -> None:
    if version:
        response.headers["etag"] = f'"{version}"'
