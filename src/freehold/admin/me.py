"""Who am I, and what is one's own: password and second factor."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from freehold.admin.auth import REFUSED, NewPassword, Password
from freehold.admin.request import PERSON, SIGNED_IN, PlaneHere, SelfHere, needs
from freehold.admin.who import session_of
from freehold.control import account, people
from freehold.control.actor import Actor
from freehold.control.model import Model
from freehold.control.rights import ROLES, SCOPES
from freehold.store.engine import explained, reading


class Membership(BaseModel):
    workspace: str
    name: str = Field(description="Of the workspace.")
    member_id: str
    role: str
    scopes: list[str] = Field(description="What may be done there.")


class Me(BaseModel):
    """Whoever asks."""

    kind: str = Field(description="user: a signed-in person; token: an API token.", examples=["user"])
    id: str = Field(description="Of the user or the token.")
    name: str = Field(description="A person's mail address; a token's name.")
    operator: bool = Field(description="Looks after the installation.")
    totp: bool = Field(description="Has a second factor.")
    password: bool = Field(description="Has one here; else signs in with an identity provider.")
    csrf_token: str | None = Field(description="Of the session, to be sent as x-csrf-token with all that changes something.")
    workspaces: list[Membership]


class ChangePassword(Model):
    password: Password
    new_password: NewPassword


class Proof(Model):
    password: Password


class Code(Model):
    code: str = Field(max_length=40, description="As the authenticator app shows it.", examples=["123456"])


class ProofAndCode(Model):
    password: Password
    code: str = Field(max_length=40, description="Of the second factor, or a recovery code.", examples=["123456"])


class Enrolment(BaseModel):
    """It counts once it is confirmed."""

    secret: str = Field(description="For the authenticator app: shown now, and never again.")
    uri: str = Field(description="The same, for a QR code.")


class Recovery(BaseModel):
    codes: list[str] = Field(description="Each stands in for a code once: shown now, and never again.")


def router() -> APIRouter:
    out = APIRouter(tags=["signing in"])

    def add(method: str, path: str, does: Any, about: str, name: str, scope: str, **more: Any) -> None:
        out.add_api_route(path, does, methods=[method], summary=about, operation_id=name, **more, **needs(scope))

    limited: dict[str, Any] = {"responses": {code: REFUSED[code] for code in (409, 429)}}
    add("GET", "/me", me, "Who am I", "me", SIGNED_IN)
    add("POST", "/auth/password", password, "Change one's password", "change_password", PERSON, status_code=204, **limited)
    add("POST", "/auth/totp", enrol, "Begin with a second factor", "enrol_totp", PERSON, **limited)
    add("POST", "/auth/totp/confirm", confirm, "Confirm the second factor", "confirm_totp", PERSON, **limited)
    add("POST", "/auth/totp/remove", remove, "Remove the second factor", "remove_totp", PERSON, status_code=204, **limited)
    return out


def me(request: Request, plane: PlaneHere, actor: SelfHere) -> Me:
    with explained(plane.address), reading(plane.engine) as connection:
        user = people.by_id(connection, actor.user_id) if actor.kind == "user" else None
        own = people.memberships(connection, actor.user_id) if user is not None else people.membership(connection, actor)
    session = session_of(request)
    return Me(
        kind=actor.kind,
        id=actor.id,
        name=actor.name,
        operator=actor.operator,
        totp=user is not None and user["totp"] is not None,
        password=bool(user and user["password"]),
        csrf_token=session["csrf"] if session is not None else None,
        workspaces=[_membership(row, actor) for row in own],
    )


def _membership(row: people.Row, actor: Actor) -> Membership:
    scopes = actor.scopes if actor.kind == "token" else ROLES[row["role"]]
    return Membership(
        workspace=row["workspace"],
        name=row["workspace_name"],
        member_id=row["id"],
        role=row["role"],
        scopes=[scope for scope in SCOPES if scope in scopes],
    )


def password(request: Request, plane: PlaneHere, actor: SelfHere, given: ChangePassword) -> None:
    session = session_of(request)
    account.change_password(plane, actor, session["id"] if session is not None else "", given.password, given.new_password)


def enrol(plane: PlaneHere, actor: SelfHere, given: Proof) -> Enrolment:
    secret, uri = account.enrol(plane, actor, given.password)
    return Enrolment(secret=secret, uri=uri)


def confirm(plane: PlaneHere, actor: SelfHere, given: Code) -> Recovery:
    return Recovery(codes=account.confirm(plane, actor, given.code))


def remove(plane: PlaneHere, actor: SelfHere, given: ProofAndCode) -> None:
    account.remove_factor(plane, actor, given.password, given.code)
