"""Token usage in the many spellings of OpenAI-compatible servers <-> `Usage`, where parts are parts.

Providers disagree on what the two totals hold. `total_tokens` settles it where it can: reasoning outside
`completion_tokens` (xAI, and Gemini behind some gateways), audio outside `prompt_tokens` (Mistral), cached tokens
outside `prompt_tokens` (Anthropic's own counting behind a compatible face).
"""

from __future__ import annotations

from typing import Any

from freehold.wire.chat import Usage
from freehold.wire.dialects.openai_chat.words import encode, raw

_TOTALS = frozenset(("prompt_tokens", "completion_tokens", "total_tokens"))


def _count(value: Any) -> int:
    """A token count; anything else (null, text, negative) is 0."""
    if type(value) is int:
        return value if value > 0 else 0
    return int(value) if type(value) is float and 0 < value < 1e15 else 0


def _details(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def read_usage(value: Any, keep_extras: bool = True, service_tier: Any = None) -> Usage | None:
    """A decoded `usage` object, or None where there is none. Never raises."""
    if not isinstance(value, dict) or not value:
        return None
    prompt, completion = _count(value.get("prompt_tokens")), _count(value.get("completion_tokens"))
    total = _count(value.get("total_tokens"))
    inputs, outputs = _details(value.get("prompt_tokens_details")), _details(value.get("completion_tokens_details"))
    read = (
        _count(inputs.get("cached_tokens"))
        or _count(value.get("cache_read_input_tokens"))
        or _count(value.get("prompt_cache_hit_tokens"))
        or _count(value.get("cached_tokens"))
    )
    write = (
        _count(inputs.get("cache_write_tokens"))
        or _count(inputs.get("cache_creation_tokens"))
        or _count(value.get("cache_creation_input_tokens"))
    )
    reasoning = _count(outputs.get("reasoning_tokens")) or _count(value.get("reasoning_tokens"))
    audio_in, audio_out = _count(inputs.get("audio_tokens")), _count(outputs.get("audio_tokens"))

    beyond = total - prompt - completion
    if reasoning and (reasoning > completion or beyond == reasoning):
        completion += reasoning
    elif beyond > 0 and beyond == audio_in:
        prompt += audio_in
    elif beyond > 0 and beyond == read + write:
        prompt += read + write
    elif not prompt and not completion:
        prompt = total  # Voyage's embeddings give the total only
    # A part can't be larger than its whole (a cached count over the prompt's has been seen): prices would go negative.
    read = min(read, prompt)
    write = min(write, prompt - read)
    one_hour = _count(_details(inputs.get("cache_creation_token_details")).get("ephemeral_1h_input_tokens"))
    tier = value.get("service_tier") if service_tier is None else service_tier
    return Usage(
        input=prompt,
        output=completion,
        cache_read=read,
        cache_write=write,
        cache_write_1h=min(one_hour, write),
        reasoning=min(reasoning, completion),
        audio_in=min(audio_in, prompt),
        audio_out=min(audio_out, completion),
        web_searches=_count(_details(value.get("server_tool_use_details")).get("web_search_requests"))
        or _count(value.get("num_search_queries")),
        service_tier=tier if isinstance(tier, str) else "",
        extras={key: raw(member) for key, member in value.items() if key not in _TOTALS} if keep_extras else {},
    )


def write_usage(usage: Usage, own: bool) -> bytes:
    """The `usage` object. `own`: its extras are this dialect's and go back too."""
    inputs: dict[str, Any] = {"cached_tokens": usage.cache_read}
    if usage.cache_write:
        inputs["cache_write_tokens"] = usage.cache_write
    inputs["audio_tokens"] = usage.audio_in
    members: dict[str, Any] = {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": inputs,
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning, "audio_tokens": usage.audio_out},
    }
    if own:
        members.update(usage.extras)
    return encode(members)
