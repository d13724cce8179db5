"""Users of the installation, as operators look after them: who there is, who is an operator, who is switched off."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field
from sqlalchemy import func, select

from freehold.control import account, passwords, people
from freehold.control.actor import Actor
from freehold.control.model import Email, Model, Name, moment
from freehold.control.plane import Change, Plane
from freehold.control.refusal import Conflict, Missing
from freehold.store.engine import explained, reading
from freehold.store.tenants import members, users


class User(BaseModel):
    """Somebody who can sign in."""

    id: str
    email: str
    name: str
    operator: bool = Field(description="Looks after the installation: makes and deletes workspaces.")
    disabled: bool = Field(description="Can't sign in anywhere.")
    password: bool = Field(description="Has one; else signs in with an identity provider.")
    totp: bool = Field(description="Has a second factor.")
    workspaces: list[str]
    created_at: datetime | None


class EditUser(Model):
    """Leave out what shall stay as it is."""

    name: Name = ""
    operator: bool = Field(default=False, description="Looks after the installation.")
    disabled: bool = Field(default=False, description="Can't sign in anywhere.")
    totp: bool | None = Field(default=None, description="false takes the second factor away, of somebody who lost it.")


def listed(plane: Plane, actor: Actor, after: str = "", limit: int = 100) -> tuple[list[User], str]:
    """Newest first, and the id to go on from ("": no more). Raises Forbidden."""
    actor.require_operator()
    with explained(plane.address), reading(plane.engine) as connection:
        query = select(users).order_by(users.c.id.desc()).limit(limit + 1)
        if after and after.isprintable():
            query = query.where(users.c.id < after)
        rows = [dict(row) for row in connection.execute(query).mappings()]
        ids = [row["id"] for row in rows]
        where = select(members.c.user_id, members.c.workspace).where(members.c.user_id.in_(ids))
        spaces = list(connection.execute(where.order_by(members.c.workspace)))
    found = [_shown(row, [space for user_id, space in spaces if user_id == row["id"]]) for row in rows[:limit]]
    return found, rows[limit - 1]["id"] if len(rows) > limit else ""


def change(plane: Plane, actor: Actor, user_id: str, given: EditUser) -> User:
    """Raises Forbidden, Missing, Conflict: the last operator stays one."""
    actor.require_operator()
    with plane.writing(actor.but(workspace="", member_id="")) as change:
        before = _user(change, user_id)
        values = given.model_dump(exclude_unset=True)
        if values.pop("totp", None) is False and before["totp"] is not None:
            account.drop_factor(change, before)
        changed = {name: value for name, value in values.items() if before[name] != value}
        if before["operator"] and not before["disabled"] and (changed.get("disabled") or changed.get("operator") is False):
            _keep_an_operator(change, before)
        if changed:
            people.write(change, user_id, changed)
            old = {name: before[name] for name in changed}
            change.record("update", "user", user_id, before["email"], old, changed)
        if changed.get("disabled"):
            people.sign_out(change.connection, user_id)
        if "disabled" in changed:
            _tell(change, user_id)
        query = select(members.c.workspace).where(members.c.user_id == user_id).order_by(members.c.workspace)
        return _shown(_user(change, user_id), list(change.connection.scalars(query)))


def _user(change: Change, user_id: str) -> people.Row:
    found = people.by_id(change.connection, user_id) if user_id.isprintable() else None
    if found is None:
        raise Missing("user", user_id)
    return found


def _keep_an_operator(change: Change, before: people.Row) -> None:
    others = select(func.count()).select_from(users)
    others = others.where(users.c.operator.is_(True), users.c.disabled.is_(False), users.c.id != before["id"])
    if not change.connection.scalar(others):
        raise Conflict(f"{before['email']} is the last operator: make somebody else one first.")


def _tell(change: Change, user_id: str) -> None:
    """Gateways: a key of somebody who can't come in is no longer taken."""
    query = select(members.c.workspace, members.c.id).where(members.c.user_id == user_id)
    for workspace, member_id in change.connection.execute(query).all():
        Change(change.connection, change.actor.but(workspace=workspace), change.plane).tell("member", member_id)


def _shown(row: Any, spaces: list[str]) -> User:
    values = {**row, "password": bool(row["password"]), "totp": row["totp"] is not None}
    return User.model_validate({**values, "workspaces": spaces, "created_at": moment(row["created_ms"])})


# --- commands ---


def add(plane: Plane, actor: Actor, email: Email, name: str, password: str, role: str, *, operator: bool) -> str:
    """A user with a password, who is a member of the actor's workspace. Returns the user's id. Raises Invalid, Conflict."""
    passwords.check(password, email)
    digest = passwords.digest(password)
    with plane.changing(actor, "owner:write") as change:
        if people.by_email(change.connection, email) is not None:
            raise Conflict(f"There is a user {email} already.")
        user_id = people.add(change, email, name, digest, operator=operator)
        people.join(change, user_id, name, role)
        installation = Change(change.connection, actor.but(workspace=""), plane)
        installation.record("create", "user", user_id, email, None, {"operator": operator})
    return user_id


def by_email(plane: Plane, email: str) -> people.Row:
    """Raises Missing."""
    with explained(plane.address), reading(plane.engine) as connection:
        found = people.by_email(connection, email)
    if found is None:
        raise Missing("user", email)
    return found
