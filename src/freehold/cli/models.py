"""`freehold models`: every name that a client can ask for here, with what is known of it."""

from __future__ import annotations

import time
from pathlib import Path

from msgspec import Struct, json, to_builtins

from freehold.cli.settings import config_file, load_effective
from freehold.cli.table import table
from freehold.config.schema import Config
from freehold.pipeline.compile import compile_snapshot
from freehold.pipeline.runtime import Provider, Snapshot
from freehold.policy import pricebook
from freehold.policy.pricing import Rate, format_usd
from freehold.upstream.catalogue import PROVIDERS


class Row(Struct):
    """`input`, `output`: US dollars per million tokens, exact; "" where no price is known."""

    id: str
    context_tokens: int | None = None
    input: str = ""
    output: str = ""
    targets: list[str] = []


def render(text: str, config: Path | None, *, as_json: bool) -> str:
    snapshot = _snapshot(load_effective(config_file(config)).config)
    routes = [r for r in _routes(snapshot) if text in r.id]
    models = [m for p in snapshot.providers.values() for m in _models(p, text)]
    if as_json:
        shown = {"routes": [to_builtins(r) for r in routes], "models": [to_builtins(m) for m in models]}
        return json.format(json.encode(shown), indent=2).decode()
    rows = [(r.id, "", "", "", " then ".join(r.targets)) for r in routes]
    rows += [(m.id, f"{m.context_tokens:,}" if m.context_tokens else "", m.input, m.output, "") for m in models]
    if not rows:
        return f"No model's name holds {text!r}."
    return table(("NAME", "CONTEXT", "INPUT $/M", "OUTPUT $/M", "GOES TO"), rows, right=(1, 2, 3))


def _snapshot(config: Config) -> Snapshot:
    return compile_snapshot(config, PROVIDERS, [])


def _routes(snapshot: Snapshot) -> list[Row]:
    return [Row(name, targets=[t.label for t in route.targets]) for name, route in snapshot.routes.items()]


def _models(provider: Provider, text: str) -> list[Row]:
    return [_row(provider, model) for model in provider.models if text in f"{provider.name}/{model}"]


def _row(provider: Provider, model: str) -> Row:
    known = pricebook.find(provider.price_id, model) if provider.price_id else None
    price = known.price if known else provider.price
    row = Row(f"{provider.name}/{model}", known.context_tokens if known else None)
    if price is not None:
        rates = price.rates_at(time.time())
        row.input, row.output = _usd(rates.input), _usd(rates.output)
    return row


def _usd(rate: Rate | None) -> str:
    """The base rate. Some models cost more past a number of input tokens; the ledger counts that."""
    return format_usd(rate.base) if rate is not None else ""
