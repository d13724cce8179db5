"""Providers of a workspace: `config` has the form of an entry under `providers` in freehold.yaml, without its secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import convert
from pydantic import Field
from sqlalchemy import Connection, delete, select

from freehold.config.schema import ProviderConfig
from freehold.control import entries
from freehold.control.model import Document, EditObject, NewObject, View
from freehold.control.noun import Noun, Row
from freehold.control.plane import Change, Plane
from freehold.control.refusal import Conflict
from freehold.store.tenants import credentials, providers, routes
from freehold.upstream.catalogue import PROVIDERS

_CONFIG = Field(
    description="As under `providers` in freehold.yaml, without secrets: those are credentials. `{}` for a provider that "
    "Freehold knows by its name.",
    examples=[{"dialect": "openai_chat", "base_url": "https://llm.example.com/v1", "models": ["large"]}],
)


class Provider(View):
    config: dict[str, Any] = _CONFIG


class NewProvider(NewObject):
    config: Annotated[Document, _CONFIG] = Field(default_factory=dict)


class EditProvider(EditObject):
    config: Annotated[Document, _CONFIG] = Field(default_factory=dict)


class Providers(Noun[Provider]):
    kind = "provider"
    plural = "providers"
    table = providers
    view = Provider
    new = NewProvider
    edit = EditProvider
    followed = True

    def prepared(self, change: Change, values: dict[str, Any], before: Row | None) -> dict[str, Any]:
        now = {**(before or {}), **values}
        name: str = now["name"]
        if before is None or "config" in values or name != before["name"]:
            operator, private = change.actor.operator, change.plane.owned.config().admin.private_networks
            config = entries.provider(name, now["config"], entries.Rights(operator, private))
            if before is not None and (name != before["name"] or not config.enabled):
                self._unused(change, before, "renamed or switched off")
        return values

    def removed(self, change: Change, before: Row) -> None:
        """Its credentials go with it: nothing else could use them."""
        self._unused(change, before, "deleted")
        mine = (credentials.c.workspace == change.workspace, credentials.c.provider == before["name"])
        for row in change.connection.execute(select(credentials.c.id, credentials.c.name).where(*mine)).all():
            change.record("delete", "credential", row.id, row.name, {"provider": before["name"]}, None)
            change.tell("credential", row.id)
        change.connection.execute(delete(credentials).where(*mine))

    def _unused(self, change: Change, before: Row, what: str) -> None:
        """Raises Conflict. A credential is sealed for its own row alone, and follows no new name either."""
        query = select(routes.c.name, routes.c.config).where(routes.c.workspace == change.workspace)
        used = [row.name for row in change.connection.execute(query) if before["name"] in _targets(row.config)]
        if used:
            raise Conflict(
                f"Provider {before['name']!r} can't be {what}: routes go to it ({', '.join(used[:5])}); change them first."
            )


def _targets(config: Mapping[str, Any]) -> set[str]:
    return {target["provider"] for target in config["targets"]}


def of_workspace(plane: Plane, connection: Connection, workspace: str) -> dict[str, ProviderConfig]:
    """Those of the database, and where the file owns others, these too. For names to refer to: without secrets."""
    query = select(providers.c.name, providers.c.config).where(providers.c.workspace == workspace)
    found = {row.name: convert(row.config, ProviderConfig) for row in connection.execute(query)}
    # One that Freehold knows needs nothing but a credential to be there.
    for name in connection.scalars(select(credentials.c.provider).where(credentials.c.workspace == workspace)):
        if name in PROVIDERS:
            found.setdefault(name, ProviderConfig())
    return {**found, **(plane.owned.config().providers if plane.owned.is_of(workspace) else {})}
