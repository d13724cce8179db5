"""What the keys of a workspace can ask for: its routes, and the models of its providers."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any, Literal

from msgspec import structs, to_builtins
from pydantic import BaseModel, Field

from freehold.config.discover import effective
from freehold.config.schema import Config, ProviderConfig, RouteConfig
from freehold.control.actor import Actor
from freehold.control.plane import Plane
from freehold.control.providers import of_workspace as providers_of
from freehold.control.routes import of_workspace as routes_of
from freehold.pipeline import cards
from freehold.pipeline.cards import Card
from freehold.pipeline.compile import compile_snapshot
from freehold.upstream.catalogue import PROVIDERS


class ModelView(BaseModel):
    id: str = Field(description="What clients write as `model`.", examples=["fast-model", "openai/gpt-4.1"])
    kind: Literal["route", "model"]
    context_tokens: int | None = Field(default=None, description="Its context window, where it is known.")
    pricing: dict[str, Any] | None = Field(default=None, description="US dollars per token, where a price is known.")
    deprecated: bool = False
    targets: list[str] = Field(default_factory=list, description="Of a route: where it goes, in this order.")


def listed(plane: Plane, actor: Actor, text: str = "") -> list[ModelView]:
    """Those whose name holds `text`, routes first. Raises Forbidden."""
    with plane.reading(actor, "route:read") as connection:
        providers = providers_of(plane, connection, actor.workspace)
        routes = routes_of(plane, connection, actor.workspace)
    snapshot = compile_snapshot(_config(plane, actor.workspace, providers, routes), PROVIDERS, [])
    now_s = time.time()
    found = [_view("route", cards.route_card(route, now_s)) for name, route in snapshot.routes.items() if text in name]
    for provider in snapshot.providers.values():
        found += [_view("model", card) for card in cards.provider_cards(provider, now_s) if text in card.id]
    return found


def _config(plane: Plane, workspace: str, providers: Mapping[str, ProviderConfig], routes: Mapping[str, RouteConfig]) -> Config:
    """What is found by the environment belongs to the workspace that the file belongs to."""
    if plane.owned.is_of(workspace):
        config = structs.replace(plane.owned.config(), providers=dict(providers), routes=dict(routes))
        return effective(config, os.environ, PROVIDERS).config
    on = {name: provider for name, provider in providers.items() if provider.enabled}
    return effective(Config(discover=False, providers=on, routes=dict(routes)), {}, PROVIDERS).config


def _view(kind: Literal["route", "model"], card: Card) -> ModelView:
    pricing = None if card.pricing is None else to_builtins(card.pricing)
    return ModelView(
        id=card.id,
        kind=kind,
        context_tokens=card.context_window,
        pricing=pricing,
        deprecated=card.deprecated,
        targets=list(card.targets),
    )
