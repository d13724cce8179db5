"""Coming in and going out: passwords, invitations, sessions."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field, JsonValue

from freehold.admin import browser
from freehold.admin.request import ANYONE, PERSON, PlaneHere, SelfHere, needs
from freehold.admin.who import session_of, who
from freehold.control import account, invites, oidc, sessions
from freehold.control.account import Login
from freehold.control.actor import Actor
from freehold.control.invites import Acceptance
from freehold.control.model import Email, Model, Text
from freehold.control.plane import Plane
from freehold.control.refusal import SignInNeeded
from freehold.control.sessions import Session, Started

_SECRET: dict[str, JsonValue] = {"format": "password", "writeOnly": True}
Password = Annotated[str, Field(min_length=1, max_length=256, description="The present password.", json_schema_extra=_SECRET)]
NewPassword = Annotated[
    str,
    Field(min_length=1, max_length=256, description="12 characters at least, and not easily guessed.", json_schema_extra=_SECRET),
]
_CODE = Field(max_length=40, description="Of the second factor, or a recovery code.", examples=["123456"])

# Refusals beside those that every operation has; document.py says what they look like.
REFUSED: dict[int | str, dict[str, Any]] = {code: {"description": ""} for code in (401, 403, 404, 409, 429)}


class SignIn(Model):
    email: Email = Field(description="The mail address that one is known by.")
    password: Password
    code: Annotated[str, _CODE] = ""


class Accept(Model):
    invite: str = Field(max_length=100, description="The secret, which stands after # in the link.")
    name: Text = Field(default="", max_length=100, description="What you are called; unset: as the invitation says.")
    email: Email | None = Field(default=None, description="Where the invitation names none.")
    password: Annotated[str, Field(max_length=256)] = Field(
        default="",
        description="A new one, of 12 characters at least; of somebody who has an account and is not signed in, the present one.",
        json_schema_extra=_SECRET,
    )
    code: Annotated[str, _CODE] = ""


class SignedIn(BaseModel):
    """The cookie is the session."""

    state: Literal["signed_in", "code_needed"] = Field(description="code_needed: send it again, with the code too.")
    csrf_token: str | None = Field(description=f"To be sent as {browser.CSRF_HEADER} with all that changes something.")


class SignedOut(BaseModel):
    logout_url: str | None = Field(description="Where to go to sign out of the identity provider too, if that is wanted.")


class Provider(BaseModel):
    name: str
    start: str = Field(description="Where the browser goes.", examples=["/api/v1/auth/oidc/corp/start"])


class Ways(BaseModel):
    """How one can sign in."""

    password: bool
    providers: list[Provider]


class Sessions(BaseModel):
    data: list[Session]


def router() -> APIRouter:
    out = APIRouter(prefix="/auth", tags=["signing in"])
    kept: dict[str, Any] = {"response_model": SignedIn, "responses": REFUSED}
    one: dict[str, Any] = {"status_code": 204, "responses": {404: REFUSED[404]}}
    out.add_api_route("/ways", ways, methods=["GET"], summary="How to sign in", operation_id="ways", **needs(ANYONE))
    for path, does, about, name in (
        ("/sign-in", sign_in, "Sign in with a password", "sign_in"),
        ("/invites/accept", accept, "Accept an invitation, and sign in", "accept_invite"),
    ):
        out.add_api_route(path, does, methods=["POST"], summary=about, operation_id=name, **kept, **needs(ANYONE))
    out.add_api_route(
        "/sign-out",
        sign_out,
        methods=["POST"],
        summary="Sign out",
        operation_id="sign_out",
        response_model=SignedOut,
        **needs(PERSON),
    )
    out.add_api_route(
        "/sessions", listed, methods=["GET"], summary="List sessions", operation_id="list_sessions", **needs(PERSON)
    )
    out.add_api_route(
        "/sessions/{id}", end, methods=["DELETE"], summary="End a session", operation_id="delete_session", **one, **needs(PERSON)
    )
    return out


def ways(plane: PlaneHere) -> Ways:
    found = plane.owned.config().sign_in.oidc
    return Ways(password=True, providers=[Provider(name=p.name, start=f"/api/v1/auth/oidc/{p.name}/start") for p in found])


def sign_in(request: Request, response: Response, plane: PlaneHere, given: SignIn) -> SignedIn:
    browser.require_origin(request, given=False)
    login = Login(given.email, given.password, given.code)
    return begun(request, response, account.sign_in(plane, login, browser.address(request), agent(request)))


def accept(request: Request, response: Response, plane: PlaneHere, given: Accept) -> SignedIn:
    browser.require_origin(request, given=False)
    acceptance = Acceptance(given.invite, given.name, given.email or "", given.password, given.code)
    started = invites.accept(plane, acceptance, _already(request), browser.address(request), agent(request))
    return begun(request, response, started)


def _already(request: Request) -> Actor | None:
    """Who is signed in, if somebody is, and this is our own page's request."""
    if not browser.cookie(request):
        return None
    try:
        return who(request, None)
    except SignInNeeded:
        return None


def begun(request: Request, response: Response, started: Started | None) -> SignedIn:
    if started is None:
        return SignedIn(state="code_needed", csrf_token=None)
    browser.set_cookie(request, response, started.secret, started.seconds)
    return SignedIn(state="signed_in", csrf_token=started.csrf)


def agent(request: Request) -> str:
    return request.headers.get("user-agent", "")


def sign_out(request: Request, response: Response, plane: PlaneHere, actor: SelfHere) -> SignedOut:
    session = session_of(request)
    assert session is not None
    sessions.end(plane, actor, session["id"])
    browser.drop_cookie(request, response)
    return SignedOut(logout_url=_logout(request, plane, session["provider"]))


def _logout(request: Request, plane: Plane, name: str | None) -> str | None:
    config = next((one for one in plane.owned.config().sign_in.oidc if one.name == name), None)
    return None if config is None else oidc.provider(config).logout_url(f"{browser.origin(request)}/")


def listed(
    request: Request,
    plane: PlaneHere,
    actor: SelfHere,
    user_id: Annotated[str, Query(max_length=100, description="Of somebody else: for operators.")] = "",
    everybody: Annotated[bool, Query(description="Of all users: for operators.")] = False,
) -> Sessions:
    session = session_of(request)
    current = session["id"] if session is not None else ""
    return Sessions(data=sessions.listed(plane, actor, current, user_id if user_id.isprintable() else "-", everybody=everybody))


def end(plane: PlaneHere, actor: SelfHere, id: str) -> None:
    sessions.end(plane, actor, id)
