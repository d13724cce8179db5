"""Cohere's usage of a chat <-> canonical Usage.

Cohere counts twice: `tokens` holds its own preamble and special tokens too (often ten times the prompt), `billed_units`
what is paid for. Canonical counts are those that prices apply to: the billed ones, where they are told. The cached
count is a part of `tokens` and changes no bill, so it is no cache_read. The same dialect gets every field back as it was.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from freehold.wire.chat import Usage
from freehold.wire.counts import count_of, object_of
from freehold.wire.dialects.cohere.words import encode


def read_usage(value: Any, keep_extras: bool = True) -> Usage | None:
    """A decoded `usage` object, or None where there is none. Never raises."""
    if not isinstance(value, dict):
        return None
    billed, tokens = object_of(value.get("billed_units")), object_of(value.get("tokens"))
    counts = billed if "input_tokens" in billed or "output_tokens" in billed else tokens
    output = count_of(counts.get("output_tokens"))
    return Usage(
        input=count_of(counts.get("input_tokens")),
        output=output,
        reasoning=min(count_of(tokens.get("reasoning_tokens")), output),
        rerank_searches=count_of(billed.get("search_units")),
        extras={name: Raw(encode(member)) for name, member in value.items()} if keep_extras else {},
    )


def write_usage(usage: Usage, own: bool) -> dict[str, Any]:
    """The `usage` object. `own`: its extras are this dialect's and are all of it."""
    if own and usage.extras:
        return dict(usage.extras)
    counts = {"input_tokens": usage.input, "output_tokens": usage.output}
    tokens = counts | ({"reasoning_tokens": usage.reasoning} if usage.reasoning else {})
    return {"billed_units": counts, "tokens": tokens} | ({"cached_tokens": usage.cache_read} if usage.cache_read else {})
