"""What is known of the models that can be asked for: context window and price, as model lists show them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Raw, Struct, json

from freehold.pipeline.runtime import Provider, Route, Space
from freehold.policy import pricebook
from freehold.policy.pricebook import KnownModel
from freehold.policy.pricing import Price
from freehold.policy.quote import Quote, quote

FRESH_S = 600.0  # some prices change by the hour


class Card(Struct, omit_defaults=True):
    """One entry of a model list in OpenAI's form, with what else is known. What is not known is left out."""

    id: str
    object: str
    created: int
    owned_by: str
    context_window: int | None = None  # tokens
    pricing: Quote | None = None  # US dollars per token, see policy/quote.py; of a route: its first target's
    deprecated: bool = False
    targets: tuple[str, ...] = ()  # of a route


def all_cards(space: Space, now_s: float) -> dict[str, Raw]:
    """Encoded cards by name, for every name in `space.model_names()`, in that order.

    Made once in FRESH_S: thousands of them take tens of milliseconds.
    """
    made_s, made = space.cards
    if not made or now_s - made_s > FRESH_S:
        made = {name: Raw(json.encode(route_card(route, now_s))) for name, route in space.routes.items()}
        for provider in space.providers.values():
            for card in provider_cards(provider, now_s):
                made.setdefault(card.id, Raw(json.encode(card)))
        space.cards = (now_s, made)
    return made


def card(space: Space, route: Route, now_s: float) -> Card:
    """The card of a name that `space.route` has found."""
    if route.name in space.routes:
        return route_card(route, now_s)
    target = route.targets[0]
    return model_card(target.provider, target.model, now_s)


def route_card(route: Route, now_s: float) -> Card:
    """A route promises what all of its targets hold: the smallest context window, if all are known."""
    windows = [_context(target.provider, target.model) for target in route.targets]
    known = [window for window in windows if window is not None]
    price = route.targets[0].price
    return Card(
        route.name,
        "model",
        0,
        "freehold",
        min(known) if len(known) == len(windows) else None,
        quote(price.rates_at(now_s)) if price else None,
        targets=tuple(target.label for target in route.targets),
    )


def model_card(provider: Provider, model: str, now_s: float) -> Card:
    known = pricebook.find(provider.price_id, model) if provider.price_id else None
    return _card(provider.name, model, known, provider.price, now_s)


def provider_cards(provider: Provider, now_s: float) -> Iterator[Card]:
    """The cards of `provider.models`. Those of the price table's own names are not searched for: that takes ten times longer."""
    listed = {known.id: known for known in pricebook.models(provider.price_id)} if provider.price_id else {}
    for model in provider.models:
        known = listed.get(model)
        if known is None:
            yield model_card(provider, model, now_s)
        else:
            yield _card(provider.name, model, known, provider.price, now_s)


def known_cards(provider: str, models: Iterable[KnownModel], now_s: float) -> Iterator[Card]:
    """The cards of models that the price table knows at a provider, whether it is configured or not."""
    return (_card(provider, known.id, known, None, now_s) for known in models)


def _card(provider: str, model: str, known: KnownModel | None, fallback: Price | None, now_s: float) -> Card:
    price = known.price if known else fallback
    return Card(
        f"{provider}/{model}",
        "model",
        0,
        provider,
        known.context_tokens if known else None,
        (quote(price.rates_at(now_s)) or None) if price else None,
        known.deprecated if known else False,
    )


def _context(provider: Provider, model: str) -> int | None:
    known = pricebook.find(provider.price_id, model) if provider.price_id else None
    return known.context_tokens if known else None
