"""API tokens of administrators: they act as their member, within the scopes given, until they expire or are revoked."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import ColumnElement, Connection, select, update

from freehold.base.secret import key_digest
from freehold.control.actor import Actor
from freehold.control.model import EditObject, Id, Model, NewObject, Time, View, unix_ms
from freehold.control.noun import Noun, Row
from freehold.control.plane import Change, Plane
from freehold.control.refusal import Forbidden, Invalid
from freehold.control.rights import ROLES, SCOPES, allows, may_give
from freehold.store.schema import workspaces
from freehold.store.tenants import members, tokens, users

PREFIX = "fht_"
SEEN_EVERY_MS = 60_000
_SCOPES = Field(description="What it may do, of what its member may; none: all of that.", max_length=100, examples=[["key:read"]])


class Token(View):
    prefix: str
    last4: str
    member_id: str
    scopes: list[str]
    expires_at: Time | None
    used_at: Time | None = Field(description="When it was last used, to the minute.")


class TokenMade(Token):
    token: str = Field(description="The secret: shown now, and never again.")


class NewToken(NewObject):
    member_id: Id | None = Field(default=None, description="Whom it acts as: a service account. Unset: whoever makes it.")
    scopes: Annotated[list[str], _SCOPES] = Field(default_factory=list)
    expires_at: Time | None = None


class EditToken(EditObject):
    pass


class Tokens(Noun[Token]):
    kind = "token"
    plural = "tokens"
    table = tokens
    view = Token
    new = NewToken
    edit = EditToken
    filters = ("name", "member_id")
    may_own = True
    reads = "token:own"

    def create(self, plane: Plane, actor: Actor, given: Model) -> TokenMade:
        with plane.changing(actor, "token:own") as change:
            return self.insert(change, given.model_dump())

    def insert(self, change: Change, values: dict[str, Any]) -> TokenMade:
        secret = PREFIX + secrets.token_urlsafe(32)
        shown = {"digest": key_digest(secret.encode()), "prefix": secret[:7], "last4": secret[-4:]}
        made = super().insert(change, {**values, **shown, "used_ms": 0})
        return TokenMade(**made.model_dump(), version=made.version, token=secret)

    def prepared(self, change: Change, values: dict[str, Any], before: Row | None) -> dict[str, Any]:
        if before is not None:
            return values
        values["expires_ms"] = unix_ms(values.pop("expires_at"))
        values["member_id"] = values["member_id"] or change.actor.member_id
        query = select(members).where(members.c.workspace == change.workspace, members.c.id == values["member_id"])
        member = change.connection.execute(query).first()
        if member is None:
            raise Invalid("member_id", f"There is no member {values['member_id']!r} in this workspace.")
        self._may_act_as(change.actor, member)
        for at, scope in enumerate(values["scopes"]):
            if scope not in SCOPES:
                raise Invalid(f"scopes[{at}]", f"There is no scope {scope!r}; there are: {', '.join(SCOPES)}.")
        wanted = frozenset(values["scopes"]) or ROLES[member.role]
        if missing := [scope for scope in wanted if not change.actor.may(scope)]:
            raise Forbidden(f"A token can't do more than whoever makes it; you lack: {', '.join(sorted(missing))}.")
        return values

    def _may_act_as(self, actor: Actor, member: Any) -> None:
        """Oneself, or a service account that one could have made: a token is never somebody else's in disguise."""
        if actor.kind == "command" or member.id == actor.member_id:
            return
        if member.kind != "service":
            raise Forbidden("A token acts for whoever makes it, or for a service account, not for another person.")
        if not may_give(actor.scopes, member.role):
            raise Forbidden(f"{member.name!r} has the role {member.role}, with rights that you lack.")

    def visible(self, actor: Actor) -> Sequence[ColumnElement[bool]]:
        """Everybody's for whoever may revoke them, else one's own."""
        return () if actor.may("token:write") else (tokens.c.member_id == actor.member_id,)

    def owns(self, change: Change, row: Row) -> bool:
        return bool(change.actor.member_id) and row["member_id"] == change.actor.member_id


def actor_of(connection: Connection, secret: str, now_ms: int, address: str) -> Actor | None:
    """Whom a token stands for; None if it is no token, expired, or its member, their user or the workspace is switched off.

    A token never looks after the installation, whoever made it.
    """
    query = select(tokens, members.c.role, members.c.user_id, workspaces.c.disabled.label("closed"), members.c.disabled)
    query = query.add_columns(users.c.disabled.label("barred"))
    query = query.join(members, (members.c.workspace == tokens.c.workspace) & (members.c.id == tokens.c.member_id))
    query = query.join(workspaces, workspaces.c.id == tokens.c.workspace)
    query = query.outerjoin(users, users.c.id == members.c.user_id)
    row = connection.execute(query.where(tokens.c.digest == key_digest(secret.encode()))).mappings().first()
    if row is None or row["disabled"] or row["closed"] or row["barred"]:
        return None
    if row["expires_ms"] is not None and row["expires_ms"] <= now_ms:
        return None
    granted = ROLES[row["role"]]
    scopes = granted if not row["scopes"] else frozenset(s for s in row["scopes"] if allows(granted, s))
    return Actor(
        kind="token",
        id=row["id"],
        name=row["name"],
        workspace=row["workspace"],
        scopes=scopes,
        member_id=row["member_id"],
        user_id=row["user_id"] or "",
        address=address,
    )


def seen(connection: Connection, actor: Actor, now_ms: int) -> None:
    """Note that a token was used, at most once a minute."""
    mine = (tokens.c.workspace == actor.workspace, tokens.c.id == actor.id, tokens.c.used_ms < now_ms - SEEN_EVERY_MS)
    connection.execute(update(tokens).where(*mine).values(used_ms=now_ms))
