"""Rates in the form in which model lists show prices: US dollars for one token, one request or one search, as exact decimals.

The names are OpenRouter's, which clients of model lists know. Ours are `tiers`, for models that cost more past a number of
input tokens, and the measures that it has no name for: `audio_hour`, `character`, `image_made` with quality and size.
"""

from __future__ import annotations

from collections.abc import Iterator

from freehold.policy.pricing import Rate, Rates

_TOKENS = {
    "prompt": "input",
    "completion": "output",
    "input_cache_read": "cache_read",
    "input_cache_write": "cache_write",
    "input_cache_write_1h": "cache_write_1h",
    "audio": "audio_in",
    "audio_output": "audio_out",
    "internal_reasoning": "reasoning",
    "input_audio_cache": "audio_cached",
    "image_token": "image_in",
    "image_output": "image_out",
    "character": "characters",
}
_TIMES = {"request": "requests", "web_search": "web_searches", "rerank_search": "rerank_searches"}

Quote = dict[str, str | list[dict[str, str | int]]]


def quote(rates: Rates) -> Quote:
    """{"prompt": "0.0000025", "completion": "0.00001", ...}; what has no rate of its own is left out.

    `tiers`: [{"above_input_tokens": 200000, "prompt": "0.000005", ...}]: past it, all tokens of the call cost that.
    """
    out: Quote = {}
    tiers: dict[int, dict[str, str | int]] = {}
    for name, rate in _of(rates, _TOKENS):
        out[name] = _decimal(rate.base, 15)
        for start, value in rate.tiers:
            tiers.setdefault(start, {"above_input_tokens": start})[name] = _decimal(value, 15)
    for name, rate in _of(rates, _TIMES):
        out[name] = _decimal(rate.base, 12)
    if rates.audio_hours is not None:  # of a second it would have no end
        out["audio_hour"] = _decimal(rates.audio_hours.base, 9)
    if rates.images is not None:
        forms = {form or "default": value for form, value in rates.images.by.items()}
        if rates.images.base is not None:
            forms["default"] = rates.images.base
        for form, value in forms.items():
            out["image_made" if form == "default" else f"image_made {form}"] = _decimal(value, 9)
    if tiers:
        out["tiers"] = [tiers[start] for start in sorted(tiers)]
    return out


def _of(rates: Rates, names: dict[str, str]) -> Iterator[tuple[str, Rate]]:
    for shown, name in names.items():
        rate: Rate | None = getattr(rates, name)
        if rate is not None:
            yield shown, rate


def _decimal(value: int, places: int) -> str:
    """`value` * 10**-places, without an exponent: a rate is nano-dollars for a million tokens or a thousand times."""
    whole, rest = divmod(value, 10**places)
    return f"{whole}.{rest:0{places}d}".rstrip("0").rstrip(".")
