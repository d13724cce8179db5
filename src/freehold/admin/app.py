"""The admin API: one FastAPI application over a Plane. Served by control/background's process on its own port."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, FastAPI, Request

from freehold import __version__
from freehold.admin import audit, auth, calls, document, keys, me, models, oidc, pages, problems, usage, users, workspaces
from freehold.admin.objects import router
from freehold.admin.scim import PREFIX, make_scim
from freehold.admin.who import Noted
from freehold.control.actor import Actor
from freehold.control.apps import Apps
from freehold.control.credentials import Credentials
from freehold.control.invites import InviteMade, Invites
from freehold.control.members import Members
from freehold.control.plane import Plane
from freehold.control.providers import Providers
from freehold.control.routes import Routes
from freehold.control.teams import Teams
from freehold.control.tokens import TokenMade, Tokens

# The request, and the workspace it names ("": the only one; None: none is needed) -> who asks.
Who = Callable[[Request, str | None], Actor]


def make_app(plane: Plane, who: Who) -> FastAPI:
    app = FastAPI(
        title="Freehold admin API",
        version=__version__,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
    )
    app.state.plane = plane
    app.state.who = who
    app.state.noted = Noted()
    problems.install(app)
    document.install(app)
    api = APIRouter(prefix="/api/v1")
    api.include_router(me.router())
    api.include_router(auth.router())
    api.include_router(oidc.router())
    api.include_router(users.router())
    api.include_router(workspaces.router())
    api.include_router(router(Members()))
    api.include_router(router(Invites(), InviteMade))
    api.include_router(router(Teams()))
    api.include_router(router(Apps()))
    api.include_router(keys.router())
    api.include_router(router(Providers()))
    api.include_router(router(Credentials()))
    api.include_router(router(Routes()))
    api.include_router(models.router())
    api.include_router(audit.router())
    api.include_router(usage.router())
    api.include_router(calls.router())
    api.include_router(router(Tokens(), TokenMade))
    app.include_router(api)
    app.include_router(pages.router())
    app.mount(PREFIX, make_scim(plane, who, app.state.noted))
    return app
