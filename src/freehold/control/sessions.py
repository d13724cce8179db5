"""Signed-in browsers: begun when somebody signs in, found by their cookie, listed and ended. The cookie's digest is kept."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from pydantic import BaseModel, Field
from sqlalchemy import Connection, delete, insert, select, update

from freehold.base.ids import new_id
from freehold.base.secret import key_digest
from freehold.control.actor import Actor
from freehold.control.model import Time, moment
from freehold.control.plane import Change, Plane
from freehold.control.refusal import Forbidden, Missing
from freehold.store.engine import explained, reading
from freehold.store.tenants import sessions, users

SEEN_EVERY_MS = 60_000
MAX_OF_USER = 50
_MAX_AGENT_CHARS = 200

Row = Mapping[str, Any]


class Started(Struct, frozen=True):
    """`secret`: the cookie's value, and never seen again. `seconds`: how long it may last."""

    secret: str
    id: str
    csrf: str
    user_id: str
    email: str
    seconds: int

    def __repr__(self) -> str:
        return f"Started({self.id!r})"


class Session(BaseModel):
    """A signed-in browser."""

    id: str
    user_id: str
    email: str
    current: bool = Field(description="It is the one that asks.")
    provider: str | None = Field(description="The identity provider; unset: signed in with a password.")
    address: str = Field(description="Where from, when it began.", examples=["192.0.2.7"])
    agent: str = Field(description="What the browser says of itself.")
    created_at: Time
    seen_at: Time = Field(description="To the minute.")
    expires_at: Time


def begin(change: Change, user: Row, address: str, agent: str, provider: str | None = None) -> Started:
    """A new one, whatever cookie the browser had: nobody can plant a session for somebody else to sign in to."""
    now, connection = change.now_ms, change.connection
    lifetime_ms = int(change.plane.owned.config().sign_in.session_lifetime * 1000)
    secret = secrets.token_urlsafe(32)
    row = {
        "digest": key_digest(secret.encode()),
        "id": new_id("session"),
        "user_id": user["id"],
        "csrf": secrets.token_urlsafe(24),
        "provider": provider,
        "address": address,
        "agent": "".join(c for c in agent if c.isprintable())[:_MAX_AGENT_CHARS],
        "created_ms": now,
        "seen_ms": now,
        "expires_ms": now + lifetime_ms,
    }
    connection.execute(delete(sessions).where(sessions.c.expires_ms <= now))
    own = select(sessions.c.id).where(sessions.c.user_id == user["id"]).order_by(sessions.c.id.desc()).offset(MAX_OF_USER - 1)
    old = list(connection.scalars(own))
    if old:
        connection.execute(delete(sessions).where(sessions.c.id.in_(old)))
    connection.execute(insert(sessions), row)
    return Started(secret, str(row["id"]), str(row["csrf"]), user["id"], user["email"], lifetime_ms // 1000)


def find(connection: Connection, secret: str, now_ms: int, idle_ms: int) -> tuple[Row, Row] | None:
    """The session with this cookie and its user; None if there is none, it has ended, or the user is switched off."""
    if not secret:
        return None
    found = connection.execute(select(sessions).where(sessions.c.digest == key_digest(secret.encode()))).mappings().first()
    if found is None or found["expires_ms"] <= now_ms or found["seen_ms"] + idle_ms <= now_ms:
        return None
    user = connection.execute(select(users).where(users.c.id == found["user_id"])).mappings().first()
    return None if user is None or user["disabled"] else (dict(found), dict(user))


def seen(connection: Connection, session_id: str, now_ms: int) -> None:
    connection.execute(update(sessions).where(sessions.c.id == session_id).values(seen_ms=now_ms))


def listed(plane: Plane, actor: Actor, current: str, user_id: str = "", *, everybody: bool = False) -> list[Session]:
    """One's own, newest first; for operators those of a user, or of `everybody`. Raises Forbidden."""
    if everybody or user_id not in ("", actor.user_id):
        actor.require_operator()
    wanted = None if everybody else user_id or actor.user_id
    with explained(plane.address), reading(plane.engine) as connection:
        query = select(sessions, users.c.email).join(users, users.c.id == sessions.c.user_id).order_by(sessions.c.id.desc())
        if wanted is not None:
            query = query.where(sessions.c.user_id == wanted)
        rows = [dict(row) for row in connection.execute(query.limit(1000)).mappings()]
    return [_shown(row, current) for row in rows]


def _shown(row: Row, current: str) -> Session:
    times = {f"{name}_at": moment(row[f"{name}_ms"]) for name in ("created", "seen", "expires")}
    return Session.model_validate({**row, **times, "current": row["id"] == current})


def end(plane: Plane, actor: Actor, session_id: str) -> None:
    """One's own, or anybody's for an operator. Raises Missing, also for one of somebody else."""
    with plane.writing(actor) as change:
        row = change.connection.execute(select(sessions).where(sessions.c.id == session_id)).mappings().first()
        if row is None or not (actor.operator or row["user_id"] == actor.user_id):
            raise Missing("session", session_id)
        change.connection.execute(delete(sessions).where(sessions.c.id == session_id))
        own = row["user_id"] == actor.user_id
        change.record("sign_out" if own else "session_ended", "user", row["user_id"], actor.name if own else "")


def require_person(actor: Actor) -> None:
    """Raises Forbidden."""
    if actor.kind != "user":
        raise Forbidden("Only a person who signed in may do this, not an API token.")
