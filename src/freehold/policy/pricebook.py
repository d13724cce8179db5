"""Known models and their prices: the table in prices.json, made from the genai-prices package by scripts/make_prices.py.

Looked up when a target is first used, never during a call: `find` costs up to a millisecond.
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.resources import files

from msgspec import Raw, Struct, field, json

from freehold.policy.pricing import Period, Price, Rate, Rates, Variant

_COMPACT_DATE = re.compile(r"-(20\d\d)(\d\d)(\d\d)$")


class ModelRow(Struct, frozen=True):
    id: str
    match: list[object]
    prices: tuple[Period, ...]
    context: int | None = None  # tokens
    deprecated: bool = False
    variants: tuple[Variant, ...] = ()


class _Vendor(Struct, frozen=True):
    models: list[Raw]
    fallback: list[str] = field(default_factory=list)


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
    return json.decode(files("freehold.policy").joinpath("prices.json").read_bytes(), type=_Table)


@lru_cache(maxsize=64)
def _rows(price_id: str) -> tuple[ModelRow, ...]:
    vendor = _table().providers.get(price_id)
    return tuple(json.decode(raw, type=ModelRow) for raw in vendor.models) if vendor else ()


@lru_cache(maxsize=4096)
def find(price_id: str, model: str) -> KnownModel | None:
    """The known model that this name means at this vendor (`price_id` is the table's vendor id), or None."""
    vendor = _table().providers.get(price_id)
    if vendor is None:
        return None
    for name in _spellings(model):
        for vendor_id in (price_id, *vendor.fallback):
            for row in _rows(vendor_id):
                if _matches(row.match, name):
                    return _known(row)
    return None


def models(price_id: str) -> list[KnownModel]:
    """Every model the table knows at this vendor, in its order; [] for an unknown vendor."""
    return [_known(row) for row in _rows(price_id)]


def version() -> str:
    return f"{_table().source} {_table().version}"


def fixed(
    source: str, *, input: float, output: float, cache_read: float | None = None, cache_write: float | None = None
) -> Price:
    """A price written by hand, in US dollars per million tokens: `fixed("freehold.yaml", input=0.15, output=0.6)`."""
    rates = Rates(input=_rate(input), output=_rate(output), cache_read=_rate(cache_read), cache_write=_rate(cache_write))
    return Price(source=source, version="", periods=(Period(rates=rates),))


def _rate(usd: float | None) -> Rate | None:
    return None if usd is None else Rate(round(usd * 1_000_000_000))


def _known(row: ModelRow) -> KnownModel:
    table = _table()
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
