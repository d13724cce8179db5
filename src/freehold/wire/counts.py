"""The usage that comes with embeddings and rankings, in the spellings that are about, in canonical form.

OpenAI, Mistral: {"prompt_tokens", "total_tokens"}; Voyage, Jina, vLLM: {"total_tokens"}; OpenRouter adds "search_units";
Cohere: a `meta` with {"billed_units": {"input_tokens", "image_tokens", "search_units"}, "tokens": {"input_tokens"}}.
"""

from __future__ import annotations

from typing import Any

from freehold.wire.chat import Usage


def count_of(value: Any) -> int:
    """A count; anything else (null, text, negative, not finite) is 0. Cohere's schema says that counts are floats."""
    if type(value) is int:
        return value if value > 0 else 0
    return int(value) if type(value) is float and 0 < value < 1e15 else 0


def object_of(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def read_counts(usage: Any, meta: Any = None) -> Usage | None:
    """From a reply's decoded `usage` and `meta`; None where it has neither. Never raises."""
    if not isinstance(usage, dict) and not isinstance(meta, dict):
        return None
    told, billed = object_of(usage), object_of(object_of(meta).get("billed_units"))
    tokens = count_of(told.get("prompt_tokens")) or count_of(told.get("total_tokens"))
    tokens = tokens or count_of(billed.get("input_tokens")) + count_of(billed.get("image_tokens"))
    return Usage(
        input=tokens or count_of(object_of(object_of(meta).get("tokens")).get("input_tokens")),
        rerank_searches=count_of(told.get("search_units")) or count_of(billed.get("search_units")),
    )
