"""Token usage of a response <-> `Usage`. `input_tokens` holds the cached ones, `output_tokens` the reasoning."""

from __future__ import annotations

from typing import Any

from freehold.wire.chat import Usage
from freehold.wire.dialects.openai_responses.words import encode, rest_of

_WORDS = ("input_tokens", "output_tokens", "total_tokens")


def _count(value: Any) -> int:
    """A token count; anything else (null, text, negative) is 0."""
    if type(value) is int:
        return value if value > 0 else 0
    return int(value) if type(value) is float and 0 < value < 1e15 else 0


def read_usage(value: Any, keep_extras: bool = True, service_tier: Any = None) -> Usage | None:
    """A decoded `usage` object, or None where there is none. Never raises."""
    if not isinstance(value, dict) or not value:
        return None
    inputs = value.get("input_tokens_details")
    outputs = value.get("output_tokens_details")
    inputs = inputs if isinstance(inputs, dict) else {}
    outputs = outputs if isinstance(outputs, dict) else {}
    given, produced = _count(value.get("input_tokens")), _count(value.get("output_tokens"))
    # A part can't be larger than its whole: prices would go negative.
    read = min(_count(inputs.get("cached_tokens")), given)
    usage = Usage(
        input=given,
        output=produced,
        cache_read=read,
        cache_write=min(_count(inputs.get("cache_write_tokens")), given - read),
        reasoning=min(_count(outputs.get("reasoning_tokens")), produced),
        audio_in=min(_count(inputs.get("audio_tokens")), given),
        audio_out=min(_count(outputs.get("audio_tokens")), produced),
        service_tier=service_tier if isinstance(service_tier, str) else "",
    )
    if keep_extras:
        usage.extras = rest_of(value, *_WORDS)
    return usage


def web_searches(tool_usage: Any) -> int:
    """Searches that the provider bills by the call, from a response's `tool_usage`."""
    held = tool_usage.get("web_search") if isinstance(tool_usage, dict) else None
    count = held.get("num_requests") if isinstance(held, dict) else None
    return count if type(count) is int and count > 0 else 0


def write_usage(usage: Usage, own: bool) -> bytes:
    """The `usage` object. `own`: its extras are this dialect's and go back too."""
    inputs: dict[str, Any] = {"cached_tokens": usage.cache_read}
    if usage.cache_write:
        inputs["cache_write_tokens"] = usage.cache_write
    members: dict[str, Any] = {
        "input_tokens": usage.input,
        "input_tokens_details": inputs,
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.input + usage.output,
    }
    if own:
        members.update(usage.extras)
    return encode(members)
