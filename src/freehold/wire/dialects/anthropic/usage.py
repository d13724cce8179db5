"""Anthropic's usage objects <-> canonical Usage.

`input_tokens` there leaves out what came from or went to the prompt cache; canonical `input` counts it all. In a stream
message_start tells the input and message_delta repeats totals so far, so a later object replaces fields, never adds.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw, Struct, json

from freehold.wire.chat import Extras, Usage


class WireUsage(Struct):
    """Any field may be absent, null or, from a careless server, of a wrong type: that counts as not told."""

    input_tokens: Any = None
    output_tokens: Any = None
    cache_creation_input_tokens: Any = None
    cache_read_input_tokens: Any = None
    cache_creation: Any = None
    output_tokens_details: Any = None
    server_tool_use: Any = None
    service_tier: Any = None

    def absorb(self, later: WireUsage) -> None:
        """Take over what `later` tells. A zero does not replace a count: some servers fill unknown fields with 0."""
        for name in _FIELDS:
            value = getattr(later, name)
            if value is not None and (value or not getattr(self, name)):
                setattr(self, name, value)


_FIELDS = WireUsage.__struct_fields__
_MODELLED = frozenset(_FIELDS) - {"server_tool_use", "output_tokens_details"}  # those may say more than we read
_decode_fields = json.Decoder(dict[str, Raw]).decode


def canonical(wire: WireUsage, extras: Extras | None = None) -> Usage:
    read = _count(wire.cache_read_input_tokens)
    lifetimes = wire.cache_creation if isinstance(wire.cache_creation, dict) else {}
    hour = _count(lifetimes.get("ephemeral_1h_input_tokens"))
    # The object splits the total that the plain field tells: count one of them, not both.
    write = _count(wire.cache_creation_input_tokens) or hour + _count(lifetimes.get("ephemeral_5m_input_tokens"))
    details = wire.output_tokens_details if isinstance(wire.output_tokens_details, dict) else {}
    server = wire.server_tool_use if isinstance(wire.server_tool_use, dict) else {}
    output = _count(wire.output_tokens)
    return Usage(
        input=_count(wire.input_tokens) + read + write,
        output=output,
        cache_read=read,
        cache_write=write,
        cache_write_1h=min(hour, write),
        reasoning=min(_count(details.get("thinking_tokens")), output),
        web_searches=_count(server.get("web_search_requests")),
        service_tier=wire.service_tier if isinstance(wire.service_tier, str) else "",
        extras=extras or {},
    )


def at_start(wire: WireUsage) -> Usage:
    """message_start's usage. Its `output_tokens` only holds a place (1, mostly): marked as estimated, output 0."""
    usage = canonical(wire)
    usage.output = usage.reasoning = 0
    usage.estimated = True
    return usage


def extras_of(raw: Raw) -> Extras:
    """The fields of a usage object that have no canonical word. `raw` has been decoded as a WireUsage before."""
    return {name: value for name, value in _decode_fields(raw).items() if name not in _MODELLED}


def wire(usage: Usage, same_dialect: bool) -> dict[str, Any]:
    """A usage object for a client. `same_dialect`: `usage.extras` are Anthropic's own and go back."""
    out: dict[str, Any] = {
        "input_tokens": max(usage.input - usage.cache_read - usage.cache_write, 0),
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cache_read,
        "output_tokens": usage.output,
    }
    if usage.cache_write or same_dialect:
        out["cache_creation"] = {
            "ephemeral_5m_input_tokens": usage.cache_write - usage.cache_write_1h,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        }
    if usage.reasoning:
        out["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    if usage.web_searches:
        out["server_tool_use"] = {"web_search_requests": usage.web_searches}
    if same_dialect:
        if usage.service_tier:
            out["service_tier"] = usage.service_tier
        out |= usage.extras
    return out


def _count(value: Any) -> int:
    return value if type(value) is int and value > 0 else 0
