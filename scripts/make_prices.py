"""Write src/freehold/policy/prices.json from the genai-prices package: `make prices`.

The package takes a second and 100 MB to import, too much for a gateway worker; the table takes 15 ms and 4 MB. Only facts are
kept: model names, context windows, prices and from when they hold. Rates become integers (see PriceBook).
"""

from __future__ import annotations

import json
from datetime import UTC
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

from genai_prices import data_snapshot, types

TARGET = Path(__file__).parent.parent / "src/freehold/policy/prices.json"

# Our unit's name -> the package's. Nano-USD per million tokens or characters, per thousand requests or searches, per hour.
UNITS = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "audio_in": "input_audio_mtok",
    "audio_out": "output_audio_mtok",
    "reasoning": "output_reasoning_mtok",
    "requests": "requests_kcount",
    "web_searches": "web_searches_kcount",
    "audio_cached": "cache_audio_read_mtok",
    "image_in": "input_image_mtok",
    "image_out": "output_image_mtok",
    "image_cached": "cache_image_read_mtok",
    "audio_hours": "audio_hours",
    "characters": "input_mchars",
    "rerank_searches": "rerank_searches_kcount",
}
WHEN = ("service_tier", "processing")  # the price variants that we can recognise


def clause(match: Any) -> list[Any]:
    match match:
        case types.ClauseOr():
            return ["or", [clause(c) for c in match.or_]]
        case types.ClauseAnd():
            return ["and", [clause(c) for c in match.and_]]
        case types.ClauseEquals():
            return ["equals", match.equals]
        case types.ClauseStartsWith():
            return ["starts", match.starts_with]
        case types.ClauseEndsWith():
            return ["ends", match.ends_with]
        case types.ClauseContains():
            return ["contains", match.contains]
        case types.ClauseRegex():
            return ["regex", match.regex]
    raise TypeError(f"unknown clause {match!r}")


def nano(price: Decimal) -> int:
    """Rounded: the source holds thirds and float noise, and a nano-dollar per million tokens is past any invoice."""
    return round(price * 1_000_000_000)


def rates(prices: Any) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for ours, theirs in UNITS.items():
        value = getattr(prices, theirs)
        if value is None:
            continue
        if isinstance(value, types.TieredPrices):
            out[ours] = {"base": nano(value.base), "tiers": [[t.start, nano(t.price)] for t in value.tiers]}
        else:
            out[ours] = {"base": nano(value)}
    return out


def period(constraint: Any) -> dict[str, Any]:
    match constraint:
        case None:
            return {}
        case types.StartDateConstraint():
            return {"from_day": constraint.start_date.isoformat()}
        case types.TimeOfDateConstraint():
            return {"daily": [_minute(constraint.start_time), _minute(constraint.end_time)]}
    raise TypeError(f"unknown constraint {constraint!r}")


def _minute(time: Any) -> int:
    if time.tzinfo not in (None, UTC):
        raise ValueError(f"{time} is not in UTC")
    return int(time.hour * 60 + time.minute)


def model(info: types.ModelInfo) -> dict[str, Any]:
    listed = info.prices if isinstance(info.prices, list) else [types.ConditionalPrice(prices=info.prices, constraint=None)]
    out: dict[str, Any] = {
        "id": info.id,
        "match": clause(info.match),
        "prices": [{"rates": rates(p.prices), **period(p.constraint)} for p in listed],
    }
    if info.context_window:
        out["context"] = info.context_window
    if info.deprecated:
        out["deprecated"] = True
    variants = [
        {"when": dict(v.when), "rates": rates(v.prices), **period(v.constraint)}
        for v in info.price_variants or ()
        if set(v.when) <= set(WHEN) and rates(v.prices)
    ]
    if variants:
        out["variants"] = variants
    return out


def main() -> None:
    snapshot = data_snapshot.get_snapshot()
    table = {
        "source": "genai-prices",
        "version": version("genai-prices"),
        "providers": {
            p.id: {"fallback": list(p.fallback_model_providers or ()), "models": [model(m) for m in p.models]}
            for p in snapshot.providers
        },
    }
    lines = json.dumps(table, separators=(",", ":")).replace('{"id":', '\n{"id":')
    TARGET.write_text(lines + "\n")
    print(f"{TARGET.name}: {sum(len(p.models) for p in snapshot.providers)} models, {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
