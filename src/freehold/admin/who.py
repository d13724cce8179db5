"""Who asks: the bearer of an API token, or of a signed-in browser's cookie."""

from __future__ import annotations

import time

from fastapi import Request

from freehold.control import tokens
from freehold.control.actor import Actor
from freehold.control.plane import Plane
from freehold.control.refusal import Missing, SignInNeeded
from freehold.store.engine import explained, reading, writing


def who(request: Request, workspace: str) -> Actor:
    """Raises SignInNeeded; Missing for a workspace that the token is not of."""
    plane: Plane = request.app.state.plane
    given = request.headers.get("authorization", "")
    if given[:7].lower() != "bearer ":
        raise SignInNeeded("Send an API token as 'Authorization: Bearer fht_...'.")
    now_ms = time.time_ns() // 1_000_000
    with explained(plane.address), reading(plane.engine) as connection:
        actor = tokens.actor_of(connection, given[7:].strip(), now_ms, request.client.host if request.client else "")
    if actor is None:
        raise SignInNeeded("This API token is unknown, expired or revoked.")
    if workspace not in ("", actor.workspace):
        raise Missing("workspace", workspace)
    with explained(plane.address), writing(plane.engine, "tokens") as connection:
        tokens.seen(connection, actor, now_ms)
    return actor
