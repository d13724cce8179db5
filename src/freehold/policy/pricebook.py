"""Known models and their prices: the table in prices.json, made from the genai-prices package by scripts/make_prices.py.

What that table has no unit for, or leaves out, stands in extra_prices.json: rows of our own in the same form, each with the
page it is from. They are looked at first.

Looked up when a target is first used, never during a call: `find` costs up to a millisecond.
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.resources import files
from typing import Any

from msgspec import Raw, Struct, field, json

from freehold.policy.pricing import ImageRates, Period, Price, Rate, Rates, Variant

_COMPACT_DATE = re.compile(r"-(20\d\d)(\d\d)(\d\d)$")


class ModelRow(Struct, frozen=True):
    id: str
    match: list[object]
    prices: tuple[Period, ...]
    context: int | None = None  # tokens
    deprecated: bool = False
    variants: tuple[Variant, ...] = ()


class _Vendor(Struct, frozen=True):
    """`batch_percent`: what a request in a batch costs, of its usual price, where the vendor says so of all its models."""

    models: list[Raw] = field(default_factory=list)
    fallback: list[str] = field(default_factory=list)
    batch_percent: int | None = None


class _Table(Struct, frozen=True):
    source: str
    version: str
    providers: dict[str, _Vendor]


class KnownModel(Struct, frozen=True):
    id: str
    context_tokens: int | None
    price: Price
    deprecated: bool = False


@lru_cache(maxsize=1)
def _table() -> _Table:
    return _read("prices.json")


@lru_cache(maxsize=1)
def _extra() -> _Table:
    return _read("extra_prices.json")


def _read(name: str) -> _Table:
    return json.decode(files("freehold.policy").joinpath(name).read_bytes(), type=_Table)


@lru_cache(maxsize=64)
def _rows(price_id: str) -> tuple[ModelRow, ...]:
    return _decoded(_table(), price_id)


@lru_cache(maxsize=64)
def _extra_rows(price_id: str) -> tuple[ModelRow, ...]:
    return _decoded(_extra(), price_id)


def _decoded(table: _Table, price_id: str) -> tuple[ModelRow, ...]:
    vendor = table.providers.get(price_id)
    return tuple(json.decode(raw, type=ModelRow) for raw in vendor.models) if vendor else ()


@lru_cache(maxsize=4096)
def find(price_id: str, model: str) -> KnownModel | None:
    """The known model that this name means at this vendor (`price_id` is the table's vendor id), or None."""
    vendor = _table().providers.get(price_id)
    vendor_ids = (price_id, *vendor.fallback) if vendor is not None else (price_id,)
    for name in _spellings(model):
        for vendor_id in vendor_ids:
            for row in _extra_rows(vendor_id):
                if _matches(row.match, name):
                    return _known(row, _extra())
            for row in _rows(vendor_id):
                if _matches(row.match, name):
                    return _known(row, _table())
    return None


@lru_cache(maxsize=4096)
def find_batch(price_id: str, model: str, day: int) -> tuple[Rates, str] | None:
    """The rates of a request of a batch that ended on this day (unix days), and the price's name; None where nobody knows."""
    known = find(price_id, model)
    if known is None:
        return None
    rates = known.price.batch_rates_at(day * 86_400)
    if rates is not None:
        return rates, known.price.name
    vendor = _extra().providers.get(price_id)
    if vendor is None or vendor.batch_percent is None:
        return None
    extra = f"{_extra().source} {_extra().version}"
    return _percent(known.price.rates_at(day * 86_400), vendor.batch_percent), f"{known.price.name}, {extra}"


def models(price_id: str) -> list[KnownModel]:
    """Every model the table knows at this vendor, in its order; [] for an unknown vendor."""
    rows = {row.id: _known(row, _table()) for row in _rows(price_id)}
    rows.update((row.id, _known(row, _extra())) for row in _extra_rows(price_id))
    return list(rows.values())


def version() -> str:
    return f"{_table().source} {_table().version}"


def fixed(source: str, *, per_minute: float | None = None, per_image: float | None = None, **usd: float | None) -> Price:
    """A price written by hand, in US dollars: `fixed("freehold.yaml", input=0.15, output=0.6)`.

    `usd` are fields of Rates: per million tokens or characters, or per thousand searches or requests. `per_minute` of audio.
    """
    values: dict[str, Any] = {name: _rate(value) for name, value in usd.items()}
    values["audio_hours"] = None if per_minute is None else _rate(per_minute * 60)
    values["images"] = None if per_image is None else ImageRates(base=round(per_image * 1_000_000_000))
    rates = Rates(**values)
    return Price(source=source, version="", periods=(Period(rates=rates),))


def _rate(usd: float | None) -> Rate | None:
    return None if usd is None else Rate(round(usd * 1_000_000_000))


def _percent(rates: Rates, percent: int) -> Rates:
    """Tokens cost less in a batch; searches and requests cost what they cost."""

    def less(value: int) -> int:
        return value * percent // 100

    def cut(rate: Rate | None) -> Rate | None:
        return rate and Rate(less(rate.base), tuple((start, less(value)) for start, value in rate.tiers))

    whole = ("flat", "requests", "web_searches", "rerank_searches", "images")
    values: dict[str, Any] = {name: cut(getattr(rates, name)) for name in Rates.__struct_fields__ if name not in whole}
    values |= {name: getattr(rates, name) for name in whole if name != "flat"}
    return Rates(**values)


def _known(row: ModelRow, table: _Table) -> KnownModel:
    price = Price(source=table.source, version=table.version, periods=row.prices, variants=row.variants)
    return KnownModel(row.id, row.context, price, row.deprecated)


def _spellings(model: str) -> list[str]:
    lower = model.lower()
    dashed = _COMPACT_DATE.sub(r"-\1-\2-\3", lower)
    return [lower] if dashed == lower else [lower, dashed]


def _matches(clause: list[object], name: str) -> bool:
    kind, value = clause
    if isinstance(value, list):
        return (any if kind == "or" else all)(_matches(c, name) for c in value)
    assert isinstance(value, str)
    if kind == "equals":
        return name == value.lower()
    if kind == "starts":
        return name.startswith(value.lower())
    if kind == "ends":
        return name.endswith(value.lower())
    if kind == "contains":
        return value.lower() in name
    return re.search(value, name) is not None
