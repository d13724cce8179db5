"""Token usage in the many spellings of OpenAI-compatible servers <-> `Usage`, where parts are parts.

Providers disagree on what the two totals hold. `total_tokens` settles it where it can: reasoning outside
`completion_tokens` (xAI, and Gemini behind some gateways), audio outside `prompt_tokens` (Mistral), cached tokens
outside `prompt_tokens` (Anthropic's own counting behind a compatible face).
"""

from __future__ import annotations

from typing import Any

from freehold.wire.chat import Usage
from freehold.wire.dialects.openai_chat.words import encode, rest_of

_TOTALS = frozenset(("prompt_tokens", "completion_tokens", "total_tokens"))

# A provider's name -> ours, in the three places where counts are found. The first place that has one wins.
_INPUTS = {
    "cached_tokens": "read",
    "cache_write_tokens": "write",  # OpenRouter
    "cache_creation_tokens": "write",  # LiteLLM
    "audio_tokens": "audio_in",
}
_OUTPUTS = {"reasoning_tokens": "reasoning", "audio_tokens": "audio_out"}
_TOP = {
    "prompt_tokens": "prompt",
    "completion_tokens": "completion",
    "total_tokens": "total",
    "cache_read_input_tokens": "read",  # Anthropic's words, behind compatible faces
    "cache_creation_input_tokens": "write",
    "prompt_cache_hit_tokens": "read",  # DeepSeek
    "cached_tokens": "read",  # Together
    "reasoning_tokens": "reasoning",
    "num_search_queries": "searches",  # Perplexity
}


def _count(value: Any) -> int:
    """A token count; anything else (null, text, negative) is 0."""
    if type(value) is int:
        return value if value > 0 else 0
    return int(value) if type(value) is float and 0 < value < 1e15 else 0


def _collect(found: dict[str, int], members: Any, names: dict[str, str]) -> None:
    if isinstance(members, dict) and any(members.values()):  # most details are all zero
        for key, value in members.items():
            if value and key in names:
                count = _count(value)
                if count:
                    found.setdefault(names[key], count)


def read_usage(value: Any, keep_extras: bool = True, service_tier: Any = None) -> Usage | None:
    """A decoded `usage` object, or None where there is none or it counts nothing. Never raises."""
    if not isinstance(value, dict) or not value:
        return None
    found: dict[str, int] = {}
    inputs = value.get("prompt_tokens_details")
    _collect(found, inputs, _INPUTS)
    _collect(found, value.get("completion_tokens_details"), _OUTPUTS)
    _collect(found, value, _TOP)
    if not found and value.keys().isdisjoint(_TOTALS):
        return None
    usage = _settle(found)
    tier = value.get("service_tier") if service_tier is None else service_tier
    if isinstance(tier, str):
        usage.service_tier = tier
    if usage.cache_write and isinstance(inputs, dict):
        by_age = inputs.get("cache_creation_token_details")
        if isinstance(by_age, dict):
            usage.cache_write_1h = min(_count(by_age.get("ephemeral_1h_input_tokens")), usage.cache_write)
    searches = value.get("server_tool_use_details")
    if isinstance(searches, dict):
        usage.web_searches = _count(searches.get("web_search_requests"))
    if keep_extras:
        usage.extras = rest_of(value, _TOTALS)
    return usage


def _settle(found: dict[str, int]) -> Usage:
    """Make every part a part of its whole."""
    held = found.get
    prompt, completion, total = held("prompt", 0), held("completion", 0), held("total", 0)
    read, write, reasoning, audio_in = held("read", 0), held("write", 0), held("reasoning", 0), held("audio_in", 0)
    beyond = total - prompt - completion
    if not beyond and len(found) <= len(_TOTALS):  # nothing but the totals
        return Usage(input=prompt, output=completion)
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
    return Usage(
        input=prompt,
        output=completion,
        cache_read=read,
        cache_write=min(write, prompt - read),
        reasoning=min(reasoning, completion),
        audio_in=min(audio_in, prompt),
        audio_out=min(held("audio_out", 0), completion),
        web_searches=held("searches", 0),
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
