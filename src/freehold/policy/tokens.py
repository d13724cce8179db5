"""Counting tokens ourselves: for count_tokens where a target has none, and for calls whose usage the provider never told.

One vocabulary (o200k) for every model: exact for current OpenAI models, within some ten percent elsewhere, and marked estimated.
"""

from __future__ import annotations

from functools import lru_cache

from splintr import AnyTokenizer, Tokenizer

_WHOLE_COUNT_CHARS = 400_000  # 0.03 ms a KB: past this, counting would hold up other calls; sample instead


@lru_cache(maxsize=1)
def _tokenizer() -> AnyTokenizer:
    return Tokenizer.from_pretrained("o200k_base")


def count(text: str) -> int:
    """Tokens in `text`. Longer texts are counted on their first 400,000 characters and scaled."""
    if not text:
        return 0
    if len(text) <= _WHOLE_COUNT_CHARS:
        return len(_tokenizer().encode_ordinary(text))
    sample = len(_tokenizer().encode_ordinary(text[:_WHOLE_COUNT_CHARS]))
    return round(sample * len(text) / _WHOLE_COUNT_CHARS)
