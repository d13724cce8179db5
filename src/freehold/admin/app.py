"""The admin API: one FastAPI application over a Plane. Served by control/background's process on its own port."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, FastAPI, Request

from freehold import __version__
from freehold.admin import problems
from freehold.admin.objects import router
from freehold.control.actor import Actor
from freehold.control.apps import Apps
from freehold.control.plane import Plane
from freehold.control.teams import Teams
from freehold.control.tokens import TokenMade, Tokens

Who = Callable[[Request, str], Actor]  # the request, and the workspace it names ("": none) -> who asks


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
    problems.install(app)
    api = APIRouter(prefix="/api/v1")
    api.include_router(router(Teams()))
    api.include_router(router(Apps()))
    api.include_router(router(Tokens(), TokenMade))
    app.include_router(api)
    return app
