"""Roles that follow the groups of an identity provider or a provisioning system. Each keeps only the memberships that it made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import select, update

from freehold.config.schema import RoleConfig
from freehold.control import people
from freehold.control.actor import Actor
from freehold.control.members import keep_an_owner, settled
from freehold.control.owned import WORKSPACE
from freehold.control.plane import Change
from freehold.control.refusal import Conflict
from freehold.control.rights import ROLES, highest
from freehold.store.schema import workspaces
from freehold.store.tenants import members

Roles = Mapping[str, str | RoleConfig]  # by group, as the configuration has them


def wanted(roles: Roles, groups: Iterable[str], default: str | None) -> dict[str, str]:
    """Workspace -> the highest role that one of these groups has there. `default`: in workspace "default", where that is none."""
    found: dict[str, list[str]] = {}
    for group in groups:
        given = roles.get(group)
        if given is not None:
            space, role = (given.workspace, given.role) if isinstance(given, RoleConfig) else (WORKSPACE, given)
            found.setdefault(space, []).append(role)
    if not found and default is not None:
        found[WORKSPACE] = [default]
    return {space: highest(given) or given[0] for space, given in found.items()}


def apply(change: Change, user: people.Row, given: Mapping[str, str], keeper: str) -> None:
    """Make the user's memberships that `keeper` keeps what they shall be. Others, made by hand, stay as they are."""
    rows = change.connection.execute(select(members).where(members.c.user_id == user["id"])).mappings()
    there = {row["workspace"]: dict(row) for row in rows}
    for space in sorted({*given, *(name for name, row in there.items() if row["managed_by"] == keeper)}):
        if change.connection.scalar(select(workspaces.c.id).where(workspaces.c.id == space)) is None:
            continue  # the configuration names one that is not there, or not yet
        inside = Change(change.connection, _keeper(keeper, space, change.actor.address), change.plane)
        row, role = there.get(space), given.get(space)
        if row is None and role is not None:
            people.join(inside, user["id"], user["name"], role, managed_by=keeper)
        elif row is not None and row["managed_by"] == keeper:
            follow(inside, row, role or row["role"], disabled=role is None)


def follow(inside: Change, row: Mapping[str, Any], role: str, *, disabled: bool) -> None:
    """Give a member this role, and switch them on or off. The last owner stays, and the audit log says so."""
    after = {**row, "role": role, "disabled": disabled}
    if after["role"] == row["role"] and after["disabled"] == row["disabled"]:
        return
    try:
        keep_an_owner(inside, row, after)
    except Conflict:
        inside.record("role_kept", "member", row["id"], row["name"], None, {"role": row["role"], "reason": "the last owner"})
        return
    new = {"role": after["role"], "disabled": after["disabled"], "updated_ms": inside.now_ms, "version": row["version"] + 1}
    where = (members.c.workspace == inside.workspace, members.c.id == row["id"])
    inside.connection.execute(update(members).where(*where).values(new))
    if after["disabled"] != row["disabled"]:
        states = ({"disabled": one["disabled"]} for one in (row, after))
        inside.record("update", "member", row["id"], row["name"], *states)
    settled(inside, row, after)
    inside.tell("member", row["id"])


def _keeper(name: str, space: str, address: str) -> Actor:
    return Actor(kind="system", id=name, name=name, workspace=space, scopes=ROLES["owner"], address=address)
