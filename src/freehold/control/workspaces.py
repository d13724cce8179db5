"""Workspaces: tenants of an installation, of which nothing in one can be seen from another.

Operators make them, switch them off and delete them; their owners rename them, and may delete them too. What is deleted is gone
for good: with the workspace's key goes whatever was sealed with it, wherever a copy of that may be.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from sqlalchemy import Connection, delete, insert, select, update

from freehold.base.ids import new_id
from freehold.control import people
from freehold.control.actor import Actor
from freehold.control.invites import Invites, NewInvite
from freehold.control.model import EditObject, Email, Id, Model, Name, NewObject, View
from freehold.control.owned import WORKSPACE
from freehold.control.plane import Change, Plane
from freehold.control.refusal import Conflict, Missing, Stale
from freehold.control.rights import ROLES
from freehold.store.columns import metadata
from freehold.store.engine import explained, is_postgresql, reading
from freehold.store.schema import workspaces
from freehold.store.tenants import audit, members

# What is not deleted with a workspace: the ledger has its own retention, gateways must be told, audit is the last to go.
_KEPT = ("calls", "changes")
_DISABLED = "Nobody comes in, and all its keys are refused, while it is."
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,39}\Z")


def _slug(text: str) -> str:
    if not _ID.match(text):
        raise ValueError("small letters, digits and dashes, 40 at most")
    return text


class Workspace(View):
    disabled: bool = Field(description=_DISABLED)
    role: str | None = Field(default=None, description="Of whoever asks; unset for an operator who is no member.")


class WorkspaceMade(Workspace):
    invite: str | None = Field(default=None, description="The first owner's invitation, shown now and never again.")


class NewOwner(Model):
    email: Email
    name: Name = Field(examples=["Ada Lovelace"])


class NewWorkspace(NewObject):
    id: Annotated[Id, AfterValidator(_slug)] | None = Field(
        default=None, description="Of your choosing, for good; unset: one is made.", examples=["research"]
    )
    owner: NewOwner = Field(description="Who owns it first: somebody who has an account already, or is invited.")


class EditWorkspace(EditObject):
    disabled: bool = Field(default=False, description=_DISABLED)


def listed(plane: Plane, actor: Actor) -> list[Workspace]:
    """Those that a person is a member of; all for an operator; a token's own."""
    with explained(plane.address), reading(plane.engine) as connection:
        roles = _roles(connection, actor)
        query = select(workspaces).order_by(workspaces.c.id)
        rows = [dict(row) for row in connection.execute(query).mappings()]
    return [_shown(row, roles.get(row["id"])) for row in rows if actor.operator or row["id"] in roles]


def get(plane: Plane, actor: Actor) -> Workspace:
    """The actor's own. Raises Forbidden, Missing."""
    with plane.reading(actor, "workspace:read") as connection:
        return _shown(_row(connection, actor.workspace), _roles(connection, actor).get(actor.workspace))


def create(plane: Plane, actor: Actor, given: NewWorkspace) -> WorkspaceMade:
    """For operators. Raises Forbidden, Conflict."""
    actor.require_operator()
    with plane.writing(actor) as change:
        space, now = given.id or new_id("workspace"), change.now_ms
        if change.connection.scalar(select(workspaces.c.id).where(workspaces.c.id == space)) is not None:
            raise Conflict(f"There is a workspace {space!r} already.")
        wrapped = plane.master().new_workspace_key(space)
        row = {"id": space, "name": given.name, "metadata": given.metadata, "created_ms": now, "updated_ms": now}
        change.connection.execute(insert(workspaces), {**row, "version": 1, "disabled": False, "data_key": wrapped})
        inside = Change(change.connection, actor.but(workspace=space, scopes=ROLES["owner"], member_id=""), plane)
        inside.record("create", "workspace", space, given.name, None, {"name": given.name})
        inside.tell("workspace", space)
        change.record("create", "workspace", space, given.name, None, {"owner": given.owner.email})
        invite = _first_owner(inside, given.owner)
        made = _shown(_row(change.connection, space), None)
    return WorkspaceMade(**made.model_dump(), version=made.version, invite=invite)


def _first_owner(inside: Change, owner: NewOwner) -> str | None:
    """Whoever has an account is in at once; others are invited."""
    user = people.by_email(inside.connection, owner.email)
    if user is not None:
        people.join(inside, user["id"], user["name"], "owner")
        return None
    given = NewInvite(name=owner.name, email=owner.email, role="owner")
    return Invites().insert(inside, given.model_dump()).invite


def change(plane: Plane, actor: Actor, given: EditWorkspace, version: int | None = None) -> Workspace:
    """The actor's own. Raises Forbidden, Missing, Stale."""
    with plane.changing(actor, "workspace:write") as change:
        before = _row(change.connection, actor.workspace)
        if version is not None and version != before["version"]:
            raise Stale(f"The workspace was changed meanwhile (it is at version {before['version']}): read it again first.")
        values = given.model_dump(exclude_unset=True)
        if "disabled" in values and values["disabled"] != before["disabled"]:
            actor.require_operator()  # whoever is in it would be locked out at once
        new = {**values, "updated_ms": change.now_ms, "version": before["version"] + 1}
        change.connection.execute(update(workspaces).where(workspaces.c.id == actor.workspace).values(new))
        changed = {name for name, value in values.items() if before[name] != value}
        old = {name: before[name] for name in changed}
        change.record("update", "workspace", actor.workspace, before["name"], old, {name: values[name] for name in changed})
        if changed:
            change.tell("workspace", actor.workspace)
        return _shown(_row(change.connection, actor.workspace), _roles(change.connection, actor).get(actor.workspace))


def remove(plane: Plane, actor: Actor, version: int | None = None) -> None:
    """The actor's own, with everything in it but the ledger's rows. Raises Forbidden, Conflict, Missing, Stale."""
    space = actor.workspace
    with plane.changing(actor, "workspace:delete") as change:
        row = _row(change.connection, space)
        if version is not None and version != row["version"]:
            raise Stale(f"The workspace was changed meanwhile (it is at version {row['version']}): read it again first.")
        if space == WORKSPACE:
            raise Conflict(f"Workspace {space!r} holds what freehold.yaml owns: it can be emptied, not deleted.")
        if not is_postgresql(change.connection.engine):
            change.connection.exec_driver_sql("PRAGMA secure_delete = ON")  # the wrapped key must not stay in a free page
        told = _last_record(change.connection, space)
        gone = _empty(change, space)
        change.connection.execute(delete(workspaces).where(workspaces.c.id == space))
        change.tell("workspace", space)
        installation = Change(change.connection, actor.but(workspace="", member_id=""), plane)
        before = {"name": row["name"], "last_record": told, "rows": gone}
        installation.record("delete", "workspace", space, row["name"], before, None)


def _empty(change: Change, space: str) -> dict[str, int]:
    """Every row of every table that is of a workspace; the last first. Table -> how many."""
    connection, gone = change.connection, {}
    of = members.c.workspace == space
    people_there = list(connection.scalars(select(members.c.user_id).where(of, members.c.user_id.is_not(None))))
    for table in reversed(metadata.sorted_tables):
        if "workspace" in table.c and not table.name.startswith(_KEPT):
            count = connection.execute(delete(table).where(table.c.workspace == space)).rowcount
            if count:
                gone[table.name] = count
    for user_id in people_there:
        people.sign_out(connection, user_id)
        people.forget_if_alone(change, user_id)
    return gone


def _last_record(connection: Connection, space: str) -> str:
    """The end of the workspace's own audit log: whoever exported it can verify what they have."""
    query = select(audit.c.sequence, audit.c.digest).where(audit.c.workspace == space).order_by(audit.c.sequence.desc())
    row = connection.execute(query.limit(1)).first()
    return f"{row.sequence}:{row.digest}" if row else ""


def _row(connection: Connection, space: str) -> dict[str, Any]:
    row = connection.execute(select(workspaces).where(workspaces.c.id == space)).mappings().first()
    if row is None:
        raise Missing("workspace", space)
    return dict(row)


def _shown(row: dict[str, Any], role: str | None) -> Workspace:
    return Workspace.model_validate({**{n: v for n, v in row.items() if n != "data_key"}, "role": role})


def _roles(connection: Connection, actor: Actor) -> dict[str, str]:
    """Workspace -> the actor's role there."""
    if actor.user_id and not actor.workspace:
        return {row["workspace"]: row["role"] for row in people.memberships(connection, actor.user_id)}
    query = select(members.c.role).where(members.c.workspace == actor.workspace, members.c.id == actor.member_id)
    role = connection.scalar(query)
    return {actor.workspace: role} if role is not None else {}
