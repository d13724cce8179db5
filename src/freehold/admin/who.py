"""Who asks: the bearer of an API token, or of a signed-in browser's cookie.

A request with a token is the token's, whatever cookie comes along.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from fastapi import Request
from sqlalchemy import Connection

from freehold.admin import browser
from freehold.control import people, sessions, tokens
from freehold.control.actor import Actor
from freehold.control.plane import Plane
from freehold.control.refusal import Missing, SignInNeeded
from freehold.observe import log
from freehold.store.address import StoreError
from freehold.store.engine import explained, reading, writing

_REMEMBERED = 10_000
_HINT = "Send an API token as 'Authorization: Bearer fht_...', or sign in."


class Noted:
    """What was noted as used within the last minute, so that reading does not become writing."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, int] = OrderedDict()

    def is_due(self, id: str, now_ms: int, every_ms: int) -> bool:
        """Whether this one shall be noted now; then it counts as noted."""
        with self._lock:
            last = self._seen.get(id)
            if last is not None and now_ms - last < every_ms:
                return False
            self._seen[id] = now_ms
            self._seen.move_to_end(id)
            while len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)
            return True


def who(request: Request, workspace: str | None) -> Actor:
    """`workspace`: the one that is meant; "": the only one; None: none is needed, a person acts for themselves.

    Raises SignInNeeded, Forbidden for a request that another site may have made, Missing for a workspace that is not the
    caller's, Invalid where there are several to choose from.
    """
    given = request.headers.get("authorization", "")
    if given[:7].lower() == "bearer ":
        return _token(request, given[7:].strip(), workspace)
    return _session(request, workspace)


def _token(request: Request, secret: str, workspace: str | None) -> Actor:
    plane: Plane = request.app.state.plane
    now_ms = time.time_ns() // 1_000_000
    with explained(plane.address), reading(plane.engine) as connection:
        actor = tokens.actor_of(connection, secret, now_ms, browser.address(request))
    if actor is None:
        raise SignInNeeded("This API token is unknown, expired or revoked.")
    if workspace not in (None, "", actor.workspace):
        raise Missing("workspace", workspace or "")
    if _noted(request).is_due(actor.id, now_ms, tokens.SEEN_EVERY_MS):
        _note(plane, lambda connection: tokens.seen(connection, actor, now_ms))
    return actor


def _session(request: Request, workspace: str | None) -> Actor:
    plane: Plane = request.app.state.plane
    now_ms = time.time_ns() // 1_000_000
    idle_ms = int(plane.owned.config().sign_in.idle_timeout * 1000)
    with explained(plane.address), reading(plane.engine) as connection:
        found = sessions.find(connection, browser.cookie(request), now_ms, idle_ms)
        if found is None:
            raise SignInNeeded(_HINT)
        session, user = found
        browser.require_own(request, session["csrf"])
        if workspace is None:
            actor = people.actor(user, browser.address(request))
        else:
            actor = people.actor_in(connection, user, workspace, browser.address(request))
    if _noted(request).is_due(session["id"], now_ms, sessions.SEEN_EVERY_MS):
        _note(plane, lambda connection: sessions.seen(connection, session["id"], now_ms))
    request.state.session = session
    return actor


def session_of(request: Request) -> sessions.Row | None:
    """The session that `who` found; None for a token."""
    found: sessions.Row | None = getattr(request.state, "session", None)
    return found


def _noted(request: Request) -> Noted:
    noted: Noted = request.app.state.noted
    return noted


def _note(plane: Plane, write: Callable[[Connection], None]) -> None:
    """Not worth failing for: it is tried again in a minute."""
    try:
        with explained(plane.address), writing(plane.engine, "seen") as connection:
            write(connection)
    except StoreError as error:
        log.event("warning", "use_not_noted", problem=str(error))
