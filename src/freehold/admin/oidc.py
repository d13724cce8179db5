"""Single sign-on: where the browser is sent, and where it comes back to.

What was asked for is bound to the browser by a sealed cookie of ten minutes: whoever is led to our door with somebody else's code
has none that fits.
"""

from __future__ import annotations

import hmac
import time
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from msgspec import MsgspecError, json

from freehold.admin import browser
from freehold.admin.auth import REFUSED, agent
from freehold.admin.request import ANYONE, PlaneHere, needs
from freehold.config.schema import OidcConfig
from freehold.control import oidc, sso
from freehold.control.oidc import Flow, OidcError
from freehold.control.plane import Plane
from freehold.control.refusal import Forbidden, Missing
from freehold.observe import log
from freehold.store.sealing import Place, SealError, WorkspaceKey

LIFETIME_S = 600
_PLAIN, _SECURE = "freehold_oidc", "__Host-freehold_oidc"
_PLACE = Place("cookie", "oidc", "")


def router() -> APIRouter:
    out = APIRouter(prefix="/auth/oidc", tags=["signing in"])
    responses: dict[int | str, dict[str, Any]] = {
        303: {"description": "Where the browser goes", "headers": {"location": {"schema": {"type": "string"}}}},
        **{code: REFUSED[code] for code in (403, 404)},
    }
    for path, does, about, name in (
        ("/{id}/start", start, "Sign in with an identity provider", "oidc_start"),
        ("/{id}/callback", callback, "Where an identity provider sends the browser back to", "oidc_callback"),
    ):
        more: dict[str, Any] = {"status_code": 303, "response_class": RedirectResponse, "responses": responses}
        out.add_api_route(path, does, methods=["GET"], summary=about, operation_id=name, **more, **needs(ANYONE))
    return out


def start(
    request: Request,
    plane: PlaneHere,
    id: str,
    next: Annotated[str, Query(max_length=500, description="A path of ours to go to afterwards.", examples=["/"])] = "/",
) -> Response:
    config = _config(plane, id)
    try:
        url, flow = oidc.provider(config).start(_redirect_uri(request, id), browser.local_path(next), LIFETIME_S)
    except OidcError as error:
        raise _refused(error) from None
    response = RedirectResponse(url, 303)
    name, secure = _cookie(request)
    sealed = _key(plane).seal(json.encode(flow), _PLACE).hex()
    # Lax: the way back begins at the provider's site.
    response.set_cookie(name, sealed, max_age=LIFETIME_S, path="/", secure=secure, httponly=True, samesite="lax")
    return response


def callback(
    request: Request,
    plane: PlaneHere,
    id: str,
    state: Annotated[str, Query(max_length=500)] = "",
    code: Annotated[str, Query(max_length=4000)] = "",
    error: Annotated[str, Query(max_length=200, description="Why the provider let nobody in.")] = "",
) -> Response:
    config = _config(plane, id)
    flow = _flow(request, plane)
    good = flow is not None and flow.provider == id and flow.expires_s > time.time()
    if flow is None or not good or not hmac.compare_digest(flow.state.encode(), state.encode()):
        raise Forbidden("This is not the way back of a sign-in that began in this browser: begin again.")
    if error or not code:
        plain = error.isascii() and error.replace("_", "").isalnum()
        raise Forbidden(f"{id} let nobody in ({error[:50] if plain else 'no code'}): begin again.")
    try:
        identity = oidc.provider(config).finish(_redirect_uri(request, id), flow, code)
    except OidcError as problem:
        raise _refused(problem) from None
    started = sso.come_in(plane, config, identity, browser.address(request), agent(request))
    response = RedirectResponse(browser.local_path(flow.next), 303)
    browser.set_cookie(request, response, started.secret, started.seconds)
    name, secure = _cookie(request)
    response.delete_cookie(name, path="/", secure=secure, httponly=True, samesite="lax")
    return response


def _config(plane: Plane, name: str) -> OidcConfig:
    found = next((one for one in plane.owned.config().sign_in.oidc if one.name == name), None)
    if found is None:
        raise Missing("identity provider", name)
    return found


def _redirect_uri(request: Request, name: str) -> str:
    return f"{browser.origin(request)}/api/v1/auth/oidc/{name}/callback"


def _cookie(request: Request) -> tuple[str, bool]:
    return (_SECURE, True) if browser.is_secure(request) else (_PLAIN, False)


def _key(plane: Plane) -> WorkspaceKey:
    return WorkspaceKey(plane.master().derive("oidc flow", b""), "")


def _flow(request: Request, plane: Plane) -> Flow | None:
    try:
        sealed = bytes.fromhex(request.cookies.get(_cookie(request)[0], "")[:8000])
        return json.decode(_key(plane).open(sealed, _PLACE), type=Flow)
    except (SealError, MsgspecError, ValueError):
        return None


def _refused(error: OidcError) -> Forbidden:
    """The log says more than whoever stands at the door is told."""
    log.event("error", "oidc_failed", problem=str(error))
    return Forbidden("The identity provider's answer could not be used: whoever looks after Freehold finds more in its log.")
