"""People for tests: made as commands make them, signed in as browsers do."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from freehold.control import account, people, users
from freehold.control.account import Login
from freehold.control.actor import Actor, command
from freehold.control.plane import Plane
from freehold.control.sessions import Started
from freehold.store.engine import reading
from freehold.store.tenants import audit, members

PASSWORD = "plum orbit lantern"
ADA, BOB = "ada@example.com", "bob@example.com"


def person(plane: Plane, email: str = ADA, role: str = "owner", space: str = "default", *, operator: bool = False) -> str:
    """The user's id. Somebody who is there already joins `space` too."""
    with reading(plane.engine) as connection:
        there = people.by_email(connection, email)
    if there is None:
        return users.add(plane, command(space), email, email.partition("@")[0].title(), PASSWORD, role, operator=operator)
    with plane.changing(command(space), "owner:write") as change:
        people.join(change, there["id"], there["name"], role)
    return str(there["id"])


def member_of(plane: Plane, user_id: str, space: str = "default") -> Any:
    with reading(plane.engine) as connection:
        query = select(members).where(members.c.workspace == space, members.c.user_id == user_id)
        return connection.execute(query).mappings().first()


def acting(plane: Plane, user_id: str, space: str = "default") -> Actor:
    """The person in a workspace."""
    with reading(plane.engine) as connection:
        user = people.by_id(connection, user_id)
        assert user is not None
        return people.actor_in(connection, user, space, "192.0.2.7")


def signed_in(plane: Plane, email: str = ADA, password: str = PASSWORD, code: str = "") -> Started | None:
    return account.sign_in(plane, Login(email, password, code), "192.0.2.7", "test")


def acts(plane: Plane, space: str = "") -> list[str]:
    """What the audit log of a workspace says was done, oldest first."""
    with reading(plane.engine) as connection:
        query = select(audit.c.action, audit.c.kind).where(audit.c.workspace == space).order_by(audit.c.sequence)
        return [f"{row.action} {row.kind}" for row in connection.execute(query)]
