"""Users: people who sign in, once for all workspaces that they are members of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from freehold.base.ids import new_id
from freehold.control.actor import Actor
from freehold.control.plane import Change
from freehold.control.refusal import Forbidden, Invalid, Missing
from freehold.control.rights import OPERATOR_SCOPES, ROLES
from freehold.store.schema import workspaces
from freehold.store.tenants import identities, members, sessions, users

Row = Mapping[str, Any]


def by_email(connection: Connection, email: str) -> Row | None:
    return _one(connection, users.c.email == email.lower())


def by_id(connection: Connection, user_id: str) -> Row | None:
    return _one(connection, users.c.id == user_id)


def _one(connection: Connection, where: ColumnElement[bool]) -> Row | None:
    row = connection.execute(select(users).where(where)).mappings().first()
    return None if row is None else dict(row)


def add(change: Change, email: str, name: str, password: str = "", *, operator: bool = False) -> str:
    """`password`: its digest. Returns the user's id. Conflict if there is one with this address."""
    now = change.now_ms
    user_id = new_id("user")
    row = {"id": user_id, "email": email.lower(), "name": name, "password": password, "totp_used": 0}
    times = {"created_ms": now, "updated_ms": now, "version": 1}
    change.connection.execute(insert(users), {**row, **times, "operator": operator, "disabled": False})
    return user_id


def write(change: Change, user_id: str, values: Mapping[str, Any]) -> None:
    """Columns of a user, which counts as changed."""
    new = {**values, "updated_ms": change.now_ms, "version": users.c.version + 1}
    change.connection.execute(update(users).where(users.c.id == user_id).values(new))


def join(change: Change, user_id: str, name: str, role: str, **more: Any) -> str:
    """Make a user a member of the change's workspace. Returns the member's id. Conflict if they are one."""
    now, member_id = change.now_ms, new_id("member")
    row = {"workspace": change.workspace, "id": member_id, "name": name, "metadata": {}, "created_ms": now}
    rest = {"updated_ms": now, "version": 1, "kind": "person", "user_id": user_id, "role": role, "disabled": False}
    change.connection.execute(insert(members).values({**row, **rest, **more}))
    said = {"role": role, "managed_by": more.get("managed_by")}
    change.record("joined", "member", member_id, name, None, said)
    return member_id


def memberships(connection: Connection, user_id: str) -> list[Row]:
    """Those that count: neither they nor their workspaces are switched off. By workspace."""
    return _memberships(connection, members.c.user_id == user_id)


def membership(connection: Connection, actor: Actor) -> list[Row]:
    """The one that a token acts as."""
    return _memberships(connection, members.c.workspace == actor.workspace, members.c.id == actor.member_id)


def _memberships(connection: Connection, *where: ColumnElement[bool]) -> list[Row]:
    query = select(members, workspaces.c.name.label("workspace_name"))
    query = query.join(workspaces, workspaces.c.id == members.c.workspace)
    query = query.where(*where, members.c.disabled.is_(False), workspaces.c.disabled.is_(False))
    return [dict(row) for row in connection.execute(query.order_by(members.c.workspace)).mappings()]


def sign_out(connection: Connection, user_id: str, but: str = "") -> int:
    """End all sessions of a user, but the one with that id. How many."""
    return connection.execute(delete(sessions).where(sessions.c.user_id == user_id, sessions.c.id != but)).rowcount


def forget_if_alone(change: Change, user_id: str) -> None:
    """A user who is in no workspace any more is nobody's: what is known of them goes, unless they look after the installation."""
    if change.connection.scalar(select(members.c.id).where(members.c.user_id == user_id).limit(1)) is None:
        table = users.c
        change.connection.execute(delete(identities).where(identities.c.user_id == user_id))
        change.connection.execute(delete(users).where(table.id == user_id, table.operator.is_(False)))


def actor(user: Row, address: str) -> Actor:
    """A person, in no workspace."""
    return Actor(
        kind="user",
        id=user["id"],
        name=user["email"],
        workspace="",
        scopes=frozenset(),
        user_id=user["id"],
        address=address,
        operator=user["operator"],
    )


def actor_in(connection: Connection, user: Row, workspace: str, address: str) -> Actor:
    """A person in a workspace ("": the only one). An operator who is no member may look after it, and see nothing in it.

    Raises Missing, Forbidden, and Invalid where there are several to choose from.
    """
    own = memberships(connection, user["id"])
    if not workspace:
        if len(own) != 1:
            if not own:
                raise Forbidden("You are a member of no workspace: ask an owner of one for an invitation.")
            names = ", ".join(row["workspace"] for row in own)
            raise Invalid("x-freehold-workspace", f"You are a member of several workspaces: say which is meant, of {names}.")
        workspace = own[0]["workspace"]
    found = next((row for row in own if row["workspace"] == workspace), None)
    scopes, member_id = (ROLES[found["role"]], found["id"]) if found is not None else (OPERATOR_SCOPES, "")
    if found is None:
        query = select(workspaces.c.id).where(workspaces.c.id == workspace)
        if not user["operator"] or not workspace.isprintable() or connection.scalar(query) is None:
            raise Missing("workspace", workspace)
    return Actor(
        kind="user",
        id=user["id"],
        name=user["email"],
        workspace=workspace,
        scopes=scopes,
        member_id=member_id,
        user_id=user["id"],
        address=address,
        operator=user["operator"],
    )
