"""What the keys of a workspace can ask for: its routes, and the models of its providers."""

from __future__ import annotations

import os
import time
from typing import Any, Literal

from msgspec import to_builtins
from pydantic import BaseModel, Field
from sqlalchemy import Connection, select

from freehold.config.discover import effective
from freehold.control.actor import Actor
from freehold.control.plane import Plane
from freehold.pipeline import cards
from freehold.pipeline.cards import Card
from freehold.pipeline.spaces import Made, other_parts, own_parts
from freehold.store.feed import ProviderLine, RouteLine
from freehold.store.tenants import credentials, providers, routes
from freehold.upstream.catalogue import PROVIDERS


class ModelView(BaseModel):
    id: str = Field(description="What clients write as `model`.", examples=["fast-model", "openai/gpt-4.1"])
    kind: Literal["route", "model"]
    context_tokens: int | None = Field(default=None, description="Its context window, where it is known.")
    pricing: dict[str, Any] | None = Field(default=None, description="US dollars per token, where a price is known.")
    deprecated: bool = False
    targets: list[str] = Field(default_factory=list, description="Of a route: where it goes, in this order.")


def listed(plane: Plane, actor: Actor, text: str = "") -> list[ModelView]:
    """Those whose name holds `text`, routes first: as the gateway itself would make them out. Raises Forbidden."""
    with plane.reading(actor, "route:read") as connection:
        made = _made(connection, actor.workspace)
    config = plane.owned.config()
    if plane.owned.is_of(actor.workspace):
        parts = own_parts(effective(config, os.environ, PROVIDERS).config, made, PROVIDERS, None)
    else:
        parts = other_parts(made, PROVIDERS, private=config.admin.private_networks)
    now_s = time.time()
    found = [_view("route", cards.route_card(route, now_s)) for name, route in parts.routes.items() if text in name]
    for provider in parts.providers.values():
        found += [_view("model", card) for card in cards.provider_cards(provider, now_s) if text in card.id]
    return found


def _made(connection: Connection, workspace: str) -> Made:
    """In place of each secret stands one that opens nothing."""
    rows = [
        list(connection.execute(select(table).where(table.c.workspace == workspace).order_by(table.c.id)))
        for table in (providers, routes)
    ]
    query = select(credentials.c.provider).where(credentials.c.workspace == workspace, credentials.c.disabled.is_(False))
    return Made(
        [ProviderLine(workspace=workspace, id=row.id, name=row.name, config=row.config) for row in rows[0]],
        [RouteLine(workspace=workspace, id=row.id, name=row.name, config=row.config) for row in rows[1]],
        dict.fromkeys(connection.scalars(query), "not-shown"),
    )


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
