"""What a call costs where tokens may not be what is billed: audio by time, speech by length, pictures by the piece, searches.

None where nobody knows: a call is never recorded as free because its price or its measure is missing.
"""

from __future__ import annotations

from freehold.policy.pricing import ImageRates, Rates, cost_nusd
from freehold.wire.chat import Usage

_MILLION = 1_000_000
_THOUSAND = 1_000
_HOUR_MS = 3_600_000


def charge_nusd(rates: Rates, usage: Usage, kind: str) -> int | None:
    """Nano-USD for one call of this kind (wire.dialect.Kind), by the measure that its price names."""
    if kind in ("speech", "embeddings") and rates.characters is not None and usage.characters:
        return _share(usage.characters, rates.characters.base, _MILLION)
    if rates.audio_hours is not None and usage.seconds and not (_by_token(rates) and _tokens(usage)):
        return _share(round(usage.seconds * 1000), rates.audio_hours.base, _HOUR_MS)
    if kind == "rerank" and rates.rerank_searches is not None and usage.rerank_searches:
        return _share(usage.rerank_searches, rates.rerank_searches.base, _THOUSAND)
    if kind == "images" and rates.images is not None and usage.images and not (_by_token(rates) and _tokens(usage)):
        return _pictures(rates.images, usage)
    if not _by_token(rates) and rates.requests is None:
        return None
    return cost_nusd(rates, usage) if _tokens(usage) or _counts_by_text(kind, usage) else None


def _by_token(rates: Rates) -> bool:
    return rates.input is not None or rates.output is not None


def _tokens(usage: Usage) -> bool:
    """The provider told some."""
    return bool(usage.input or usage.output) and not usage.estimated


def _counts_by_text(kind: str, usage: Usage) -> bool:
    """Our own count tells the cost: not of sounds and pictures. Nor is a reply free that tells seconds or searches alone."""
    if kind in ("images", "speech", "transcriptions"):
        return False
    return usage.estimated or not (usage.seconds or usage.rerank_searches)


def _pictures(rates: ImageRates, usage: Usage) -> int | None:
    for form in (usage.image_form, usage.image_form.rpartition(" ")[2]):
        if form in rates.by:
            return usage.images * rates.by[form]
    return None if rates.base is None else usage.images * rates.base


def _share(amount: int, rate: int, of: int) -> int:
    return (amount * rate + of // 2) // of
