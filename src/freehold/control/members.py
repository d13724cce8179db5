"""Members: who is in a workspace, with which role. People come in by invitation, single sign-on or provisioning;
service accounts are made here.

Nobody gives or takes a role with rights that they lack, and the last owner stays one. When a member is removed, their keys are
switched off and belong to nobody, for the record; when one is switched off, their keys are refused until they are on again.
Either way their API tokens are gone and their sessions end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field
from sqlalchemy import Connection, delete, func, select, update

from freehold.control import people
from freehold.control.actor import Actor
from freehold.control.model import EditObject, NewObject, View
from freehold.control.noun import Noun, Row
from freehold.control.plane import Change, Plane
from freehold.control.refusal import Conflict, Forbidden, Invalid
from freehold.control.rights import ROLES, may_give
from freehold.store.tenants import apps, keys, members, tokens, users

Role = Literal["owner", "admin", "member", "viewer", "auditor"]
ROLE = Field(description="What they may do in the workspace.")
_DISABLED = "Can't come in, and their keys are refused, while they are."


class Member(View):
    kind: Literal["person", "service"]
    user_id: str | None = Field(description="Of a person.")
    email: str | None = Field(description="Of a person.")
    role: Role = ROLE
    managed_by: str | None = Field(description='Who keeps the role: unset: by hand; "scim"; "oidc:" and the provider.')
    disabled: bool = Field(description=_DISABLED)


class NewMember(NewObject):
    """A service account. People are invited."""

    role: Annotated[Role, ROLE] = "member"
    disabled: bool = Field(default=False, description=_DISABLED)


class EditMember(EditObject):
    role: Annotated[Role, ROLE] = "member"
    disabled: bool = Field(default=False, description=_DISABLED)


class Members(Noun[Member]):
    kind = "member"
    plural = "members"
    table = members
    view = Member
    new = NewMember
    edit = EditMember
    followed = True
    filters = ("name", "kind", "role", "user_id", "disabled")

    def prepared(self, change: Change, values: dict[str, Any], before: Row | None) -> dict[str, Any]:
        if before is None:
            must_give(change.actor, values["role"])
            return {**values, "kind": "service"}
        after = {**before, **values}
        if before["kind"] == "person" and after["name"] != before["name"]:
            raise Invalid("name", "A person's name is their own: it is theirs, or their identity provider's, to change.")
        changes = [field for field in ("role", "disabled") if after[field] != before[field]]
        if changes:
            must_give(change.actor, before["role"])
            must_give(change.actor, after["role"])
            keep_an_owner(change, before, after)
            if before["managed_by"]:
                values["managed_by"] = None  # what is said by hand counts from now on
        return values

    def update(self, change: Change, wanted: str, values: dict[str, Any], version: int | None = None) -> Member:
        before = self.row(change.connection, change.workspace, wanted)
        after = super().update(change, wanted, values, version)
        settled(change, before, {**before, "role": after.role, "disabled": after.disabled})
        return after

    def remove(self, plane: Plane, actor: Actor, wanted: str, version: int | None = None) -> None:
        with plane.changing(actor, self.write_scope()) as change:
            before = self._to_change(change, wanted, version)
            must_give(actor, before["role"])
            leave(change, before)

    def shown(self, connection: Connection, rows: Sequence[Row]) -> list[Member]:
        ids = [row["user_id"] for row in rows if row["user_id"]]
        query = select(users.c.id, users.c.email, users.c.name).where(users.c.id.in_(ids))
        found = {row.id: row for row in connection.execute(query)} if ids else {}
        return [self._shown(row, found.get(row["user_id"])) for row in rows]

    def _shown(self, row: Row, user: Any) -> Member:
        name = row["name"] if user is None or row["provisioned"] is not None else user.name
        return Member.model_validate({**row, "name": name, "email": user.email if user is not None else None})


def must_give(actor: Actor, role: str) -> None:
    """Raises Forbidden unless the actor has every right of the role, which is what giving or taking it needs."""
    if not may_give(actor.scopes, role):
        lacking = sorted(scope for scope in ROLES[role] if not actor.may(scope))
        raise Forbidden(f"Nobody gives or takes a role with rights that they lack: of {role}, you lack {', '.join(lacking)}.")


def keep_an_owner(change: Change, before: Mapping[str, Any], after: Mapping[str, Any] | None) -> None:
    """`after` None: gone. Raises Conflict where nobody would be left who may do everything."""
    if _is_owner(before) and (after is None or not _is_owner(after)) and _owners(change, but=before["id"]) == 0:
        raise Conflict(f"{before['name']!r} is the last owner of this workspace: make somebody else an owner first.")


def _is_owner(row: Mapping[str, Any]) -> bool:
    return row["kind"] == "person" and row["role"] == "owner" and not row["disabled"]


def _owners(change: Change, but: str) -> int:
    """People who are owners and can come in."""
    query = select(func.count()).select_from(members.join(users, users.c.id == members.c.user_id))
    query = query.where(members.c.workspace == change.workspace, members.c.role == "owner", members.c.disabled.is_(False))
    return change.connection.scalar(query.where(users.c.disabled.is_(False), members.c.id != but)) or 0


def settled(change: Change, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """What follows from a changed role or switch, within the transaction that changes it."""
    if before["role"] != after["role"]:
        change.record("role_changed", "member", before["id"], before["name"], {"role": before["role"]}, {"role": after["role"]})
    if after["disabled"] and not before["disabled"]:
        close(change, after)


def close(change: Change, member: Mapping[str, Any]) -> None:
    """Tokens go and sessions end."""
    mine = (tokens.c.workspace == change.workspace, tokens.c.member_id == member["id"])
    change.connection.execute(delete(tokens).where(*mine))
    if member["user_id"]:
        people.sign_out(change.connection, member["user_id"])


def leave(change: Change, member: Mapping[str, Any]) -> None:
    """Take a member out of the workspace. Raises Conflict for the last owner."""
    keep_an_owner(change, member, None)
    connection, workspace = change.connection, change.workspace
    theirs = (keys.c.workspace == workspace, keys.c.member_id == member["id"])
    off = list(connection.scalars(select(keys.c.id).where(*theirs)))
    connection.execute(
        update(keys).where(*theirs).values(member_id=None, disabled=True, updated_ms=change.now_ms, version=keys.c.version + 1)
    )
    for key_id in off:
        change.tell("key", key_id)
    owned = (apps.c.workspace == workspace, apps.c.owner_id == member["id"])
    connection.execute(update(apps).where(*owned).values(owner_id=None))
    close(change, member)
    connection.execute(delete(members).where(members.c.workspace == workspace, members.c.id == member["id"]))
    gone = {"role": member["role"], "kind": member["kind"]}
    change.record("delete", "member", member["id"], member["name"], gone, {"keys_switched_off": len(off)})
    change.tell("member", member["id"])
    if member["user_id"]:
        people.forget_if_alone(change, member["user_id"])
