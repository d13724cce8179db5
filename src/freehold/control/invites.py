"""Invitations: a link, shown once, by which one person joins a workspace once, before it expires."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Annotated, Any

from msgspec import Struct
from pydantic import Field
from sqlalchemy import Connection, delete, insert, select, update

from freehold.base.ids import new_id
from freehold.base.secret import key_digest
from freehold.control import account, passwords, people
from freehold.control.account import Proof
from freehold.control.actor import Actor
from freehold.control.members import ROLE, Role, must_give
from freehold.control.model import EditObject, Email, Model, Name, NewObject, View
from freehold.control.noun import Noun, Row
from freehold.control.plane import Change, Plane
from freehold.control.refusal import Conflict, Invalid, Missing, Refused, SignInNeeded
from freehold.control.sessions import Started, begin
from freehold.store.engine import explained, reading
from freehold.store.tenants import invites, members, users

PREFIX = "fhi_"
MAX_DAYS = 30
SETUP_MS = 7 * 86_400_000


class Invite(View):
    email: str
    role: Role
    expires_at: datetime | None
    accepted_at: datetime | None = Field(description="Unset: not yet.")


class InviteMade(Invite):
    invite: str = Field(description="The secret: shown now, and never again. The link is `/join#` and this.")


class NewInvite(NewObject):
    name: Name = Field(description="The person's.", examples=["Ada Lovelace"])
    email: Email = Field(description="Whoever accepts it has this address.")
    role: Annotated[Role, ROLE] = "member"
    days: int = Field(default=7, ge=1, le=MAX_DAYS, description="So long it is good for.")


class EditInvite(EditObject):
    pass


class Invites(Noun[Invite]):
    kind = "invite"
    plural = "invites"
    table = invites
    view = Invite
    new = NewInvite
    edit = EditInvite
    filters = ("email", "role")
    reads = "member:read"

    def write_scope(self) -> str:
        return "member:write"

    def create(self, plane: Plane, actor: Actor, given: Model) -> InviteMade:
        with plane.changing(actor, self.write_scope()) as change:
            return self.insert(change, given.model_dump())

    def insert(self, change: Change, values: dict[str, Any]) -> InviteMade:
        secret = new_secret()
        more = {"digest": key_digest(secret.encode()), "accepted_ms": 0}
        made = super().insert(change, {**values, **more})
        return InviteMade(**made.model_dump(), version=made.version, invite=secret)

    def _written(self, change: Change, action: str, object_id: str, before: Row | None) -> Invite:
        return super()._written(change, "invited" if action == "create" else action, object_id, before)

    def prepared(self, change: Change, values: dict[str, Any], before: Row | None) -> dict[str, Any]:
        if before is not None:
            return values
        must_give(change.actor, values["role"])
        values["expires_ms"] = change.now_ms + values.pop("days") * 86_400_000
        query = select(members.c.id).join(users, users.c.id == members.c.user_id)
        query = query.where(members.c.workspace == change.workspace, users.c.email == values["email"])
        if change.connection.scalar(query) is not None:
            raise Conflict(f"{values['email']} is a member of this workspace already.")
        return values


def new_secret() -> str:
    """ "fhi_" and 43 characters: 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


class Unusable(Missing):
    """One answer for all, so that it tells nothing."""

    def __init__(self) -> None:
        Refused.__init__(self, "This invitation is unknown, was used, or is no longer good: ask for another one.")


def link(url: str, secret: str) -> str:
    """What stands after # is sent to no server, and stands in no log."""
    return f"{url.rstrip('/')}/join#{secret}"


class Acceptance(Struct, frozen=True):
    """`email`: only where the invitation names none. `password`: a new one, or the present one of somebody who has an account."""

    secret: str
    name: str = ""
    email: str = ""
    password: str = ""
    code: str = ""

    def __repr__(self) -> str:
        return "Acceptance(...)"


def accept(plane: Plane, given: Acceptance, signed_in: Actor | None, address: str, agent: str) -> Started | None:
    """Join, as the person whom the password or the session proves. None: a code of the second factor is needed.

    Raises Unusable, Invalid, SignInNeeded, Conflict, TooMany.
    """
    with explained(plane.address), reading(plane.engine) as connection:
        invite = _usable(connection, given.secret, None)
        email = (invite["email"] or given.email).lower()
        known = people.by_email(connection, email) if email else None
    if not email:
        raise Invalid("email", "Say your mail address.")
    digest, proof = "", None
    if known is None:
        passwords.check(given.password, email)
        digest = passwords.digest(given.password)
    elif signed_in is None or signed_in.user_id != known["id"]:
        proof = account.prove(plane, email, given.password, address)
    outcome = _Joining(plane, given, email, address, agent)
    return outcome.join(known, digest, proof)


class _Joining:
    def __init__(self, plane: Plane, given: Acceptance, email: str, address: str, agent: str) -> None:
        self._plane, self._given, self._email = plane, given, email
        self._address, self._agent = address, agent

    def join(self, known: Row | None, digest: str, proof: Proof | None) -> Started | None:
        wrong = ""
        with self._plane.writing(account.nobody(self._address)) as change:
            invite = _usable(change.connection, self._given.secret, change.now_ms)
            if known is None:
                return self._enter(change, invite, self._new(change, invite, digest))
            user, second = people.by_id(change.connection, known["id"]), account.Second(True)
            if proof is not None:
                user = account.still(change, proof)
                second = account.factor(change, user, self._given.code) if user is not None else account.Second(False)
            if user is not None and not user["disabled"] and second.ok:
                if proof is not None:
                    account.forgiven(change, user, self._address)
                return self._enter(change, invite, user)
            if not second.needed:
                wrong = account.WRONG if user is None else account.WRONG_CODE
                account.failed(change, user, proof.failures if proof is not None else 1)
        if wrong:
            raise SignInNeeded(f"{self._email} has an account here: give its password, or sign in first. {wrong}")
        return None

    def _new(self, change: Change, invite: Row, digest: str) -> Row:
        name = self._given.name or invite["name"] or self._email.partition("@")[0]
        user_id = people.add(change, self._email, name, digest, operator=bool(invite["operator"]))
        return people.by_id(change.connection, user_id)  # type: ignore[return-value]

    def _enter(self, change: Change, invite: Row, user: Row) -> Started:
        person = people.actor(user, self._address)
        inside = Change(change.connection, person.but(workspace=invite["workspace"]), change.plane)
        is_member = (members.c.workspace == invite["workspace"], members.c.user_id == user["id"])
        if change.connection.scalar(select(members.c.id).where(*is_member)) is not None:
            raise Conflict(f"{user['email']} is a member of this workspace already.")
        people.join(inside, user["id"], user["name"], invite["role"])
        mine = (invites.c.workspace == invite["workspace"], invites.c.id == invite["id"])
        change.connection.execute(update(invites).where(*mine).values(accepted_ms=change.now_ms))
        change.actor = person
        if invite["operator"]:
            change.connection.execute(delete(invites).where(invites.c.operator.is_(True)))  # of other first starts too
            change.record("set_up", "user", user["id"], user["email"], None, {"operator": True})
        change.record("sign_in", "user", user["id"], user["email"], None, {"with": "invite"})
        return begin(change, user, self._address, self._agent)


def _usable(connection: Connection, secret: str, now_ms: int | None) -> Row:
    """Raises Unusable: it never was, was used, is expired, or sets up what is set up."""
    query = select(invites).where(invites.c.digest == key_digest(secret.encode()))
    row = connection.execute(query).mappings().first() if secret.startswith(PREFIX) else None
    late = row is not None and now_ms is not None and row["expires_ms"] <= now_ms
    used = row is not None and row["operator"] and connection.scalar(select(users.c.id).limit(1)) is not None
    if row is None or row["accepted_ms"] or late or used:
        raise Unusable
    return dict(row)


# --- the first start ---


def setup(plane: Plane, actor: Actor) -> str | None:
    """A secret by which whoever has it first becomes owner and operator; None where there is a user already.

    Several may be out, of several nodes' first starts: the first one that is accepted is the last.
    """
    with plane.changing(actor, "owner:write") as change:
        connection = change.connection
        connection.execute(delete(invites).where(invites.c.operator.is_(True), invites.c.expires_ms <= change.now_ms))
        if connection.scalar(select(users.c.id).limit(1)) is not None:
            return None
        secret, now = new_secret(), change.now_ms
        row = {"workspace": change.workspace, "id": new_id("invite"), "name": "", "metadata": {}, "created_ms": now}
        rest = {"updated_ms": now, "version": 1, "digest": key_digest(secret.encode()), "email": "", "role": "owner"}
        connection.execute(insert(invites), {**row, **rest, "operator": True, "expires_ms": now + SETUP_MS, "accepted_ms": 0})
        change.record("invited", "invite", str(row["id"]), "", None, {"role": "owner", "operator": True})
    return secret
