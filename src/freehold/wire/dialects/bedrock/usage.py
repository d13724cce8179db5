"""Converse's usage objects <-> canonical Usage. `inputTokens` there leaves out what came from or went to the prompt cache."""

from __future__ import annotations

from typing import Any

from msgspec import Raw, Struct, json

from freehold.wire.chat import Extras, Usage


class WireUsage(Struct):
    """Any field may be absent, null or, from a careless server, of a wrong type: that counts as not told.

    The `...Count` spellings are older; replies hold both, or either.
    """

    inputTokens: Any = None
    outputTokens: Any = None
    totalTokens: Any = None
    cacheReadInputTokens: Any = None
    cacheWriteInputTokens: Any = None
    cacheReadInputTokenCount: Any = None
    cacheWriteInputTokenCount: Any = None
    cacheDetails: Any = None


class WireTier(Struct):
    type: str = ""


_MODELLED = frozenset(("inputTokens", "outputTokens", "totalTokens", "cacheReadInputTokens", "cacheWriteInputTokens"))
_decode_fields = json.Decoder(dict[str, Raw]).decode


def canonical(wire: WireUsage, tier: WireTier | None = None, extras: Extras | None = None) -> Usage:
    read = _count(wire.cacheReadInputTokens) or _count(wire.cacheReadInputTokenCount)
    details = [item for item in wire.cacheDetails if isinstance(item, dict)] if isinstance(wire.cacheDetails, list) else []
    # The details split the total that the plain field tells: count one of them, not both.
    write = (
        _count(wire.cacheWriteInputTokens)
        or _count(wire.cacheWriteInputTokenCount)
        or sum(_count(item.get("inputTokens")) for item in details)
    )
    hour = sum(_count(item.get("inputTokens")) for item in details if item.get("ttl") == "1h")
    return Usage(
        input=_count(wire.inputTokens) + read + write,
        output=_count(wire.outputTokens),
        cache_read=read,
        cache_write=write,
        cache_write_1h=min(hour, write),
        service_tier=tier.type if tier is not None else "",
        extras=extras or {},
    )


def extras_of(raw: Raw) -> Extras:
    """What a usage object says beside canonical words, zeros included: told or left out. `raw` was decoded as a WireUsage."""
    return {name: value for name, value in _decode_fields(raw).items() if name not in _MODELLED or bytes(value) == b"0"}


def wire(usage: Usage, same_dialect: bool) -> dict[str, Any]:
    """A usage object for a client. `same_dialect`: `usage.extras` are Converse's own and go back.

    The total counts cached tokens too, as Bedrock's does.
    """
    out: dict[str, Any] = {
        "inputTokens": max(usage.input - usage.cache_read - usage.cache_write, 0),
        "outputTokens": usage.output,
        "totalTokens": usage.input + usage.output,
    }
    if usage.cache_read or usage.cache_write or not same_dialect:
        out["cacheReadInputTokens"] = usage.cache_read
        out["cacheWriteInputTokens"] = usage.cache_write
    if usage.cache_write and "cacheDetails" not in usage.extras:
        split = (("1h", usage.cache_write_1h), ("5m", usage.cache_write - usage.cache_write_1h))
        out["cacheDetails"] = [{"ttl": ttl, "inputTokens": tokens} for ttl, tokens in split if tokens]
    return {**usage.extras, **out} if same_dialect else out


def _count(value: Any) -> int:
    return value if type(value) is int and value > 0 else 0
