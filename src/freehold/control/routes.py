"""Routes of a workspace: `config` has the form of an entry under `routes` in freehold.yaml. The name is what clients ask for."""

from __future__ import annotations

import os
from typing import Annotated, Any

from pydantic import Field

from freehold.control import entries
from freehold.control.model import Document, EditObject, NewObject, View
from freehold.control.noun import Noun, Row
from freehold.control.plane import Change
from freehold.control.providers import of_workspace as providers_of
from freehold.store.tenants import routes
from freehold.upstream.catalogue import PROVIDERS

_CONFIG = Field(
    description="As under `routes` in freehold.yaml.",
    examples=[{"targets": [{"provider": "sandbox", "model": "echo"}], "retries": 1}],
)


class Route(View):
    config: dict[str, Any] = _CONFIG


class NewRoute(NewObject):
    config: Annotated[Document, _CONFIG]


class EditRoute(EditObject):
    config: Annotated[Document, _CONFIG] = Field(default_factory=dict)


class Routes(Noun[Route]):
    kind = "route"
    plural = "routes"
    table = routes
    view = Route
    new = NewRoute
    edit = EditRoute
    followed = True

    def prepared(self, change: Change, values: dict[str, Any], before: Row | None) -> dict[str, Any]:
        now = {**(before or {}), **values}
        name: str = now["name"]
        if before is None or "config" in values or name != before["name"]:
            # Providers that are there because of the server's environment belong to the workspace that the file belongs to.
            own = change.plane.owned.is_of(change.workspace)
            around = entries.Around(
                providers_of(change.plane, change.connection, change.workspace),
                change.plane.owned.config().routes if own else {},
                PROVIDERS if own else {},
                os.environ if own else {},
            )
            entries.route(name, now["config"], around)
        return values
