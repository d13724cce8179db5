"""`freehold models`: every name that a client can ask for here, with what is known of it. With --all, every model known."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct, json, to_builtins

from freehold.cli.settings import config_file, load_effective
from freehold.cli.table import table
from freehold.pipeline import cards
from freehold.pipeline.cards import Card
from freehold.pipeline.objects import compile_snapshot
from freehold.policy import pricebook
from freehold.policy.pricing import format_usd
from freehold.policy.quote import Quote
from freehold.upstream.catalogue import PROVIDERS

_PER_TOKEN = 15  # decimal places of a quote for one token
_NOTHING: Quote = {}


class Row(Struct):
    """`input`, `output`, `cached`: US dollars per million tokens, exact; "" where no price is known. `pricing`: all of it."""

    id: str
    context_tokens: int | None = None
    input: str = ""
    output: str = ""
    cached: str = ""
    pricing: Quote = {}
    deprecated: bool = False
    targets: tuple[str, ...] = ()


def render(text: str, config: Path | None, *, as_json: bool) -> str:
    space = compile_snapshot(load_effective(config_file(config)).config, PROVIDERS).space
    now_s = time.time()
    routes = [_route(cards.route_card(route, now_s)) for name, route in space.routes.items() if text in name]
    found = (card for provider in space.providers.values() for card in cards.provider_cards(provider, now_s))
    return _shown(text, routes, [_row(card) for card in found if text in card.id], as_json)


def render_known(text: str, *, as_json: bool) -> str:
    now_s = time.time()
    rows = (row for row in PROVIDERS.values() if row.price_id)
    found = (card for row in rows for card in cards.known_cards(row.name, pricebook.models(row.price_id), now_s))
    return _shown(text, [], [_row(card) for card in found if text in card.id], as_json)


def _shown(text: str, routes: list[Row], models: list[Row], as_json: bool) -> str:
    if as_json:
        shown = {"routes": [to_builtins(r) for r in routes], "models": [to_builtins(m) for m in models]}
        return json.format(json.encode(shown), indent=2).decode()
    if not routes and not models:
        return f"No model's name holds {text!r}."
    rows = [(*_cells(row), " then ".join(row.targets)) for row in (*routes, *models)]
    notes = [note for note in (_tiers(models), _deprecated(models)) if note]
    heads = ("NAME", "CONTEXT", "INPUT $/M", "CACHED $/M", "OUTPUT $/M", "GOES TO")
    return "\n".join((table(heads, rows, right=(1, 2, 3, 4)), *notes))


def _cells(row: Row) -> tuple[str, ...]:
    name = f"{row.id} (deprecated)" if row.deprecated else row.id
    more = "+" if row.pricing.get("tiers") else ""
    return name, f"{row.context_tokens:,}" if row.context_tokens else "", row.input + more, row.cached, row.output + more


def _tiers(models: Iterable[Row]) -> str:
    return "+ costs more for long prompts; --json shows from where." if any(m.pricing.get("tiers") for m in models) else ""


def _deprecated(models: Iterable[Row]) -> str:
    return "" if not any(m.deprecated for m in models) else "Deprecated models are no longer advised by their provider."


def _route(card: Card) -> Row:
    """A route's price is its targets', which may differ: it is left to their lines."""
    return Row(card.id, card.context_window, targets=card.targets)


def _row(card: Card) -> Row:
    quote = card.pricing or _NOTHING
    return Row(
        card.id,
        card.context_window,
        _per_million(quote, "prompt"),
        _per_million(quote, "completion"),
        _per_million(quote, "input_cache_read"),
        quote,
        card.deprecated,
    )


def _per_million(quote: Quote, name: str) -> str:
    """The base rate. Some models cost more past a number of input tokens; the ledger counts that."""
    value = quote.get(name)
    if not isinstance(value, str):
        return ""
    whole, _, rest = value.partition(".")
    return format_usd(int(whole + rest.ljust(_PER_TOKEN, "0")))
