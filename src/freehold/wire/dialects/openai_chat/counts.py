"""Token usage of a reply that passes: read as a struct where it is as usual, thoroughly (usage.py) where it is not."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, to_builtins

from freehold.wire.chat import Usage
from freehold.wire.dialects.openai_chat.usage import read_usage

_ABSENT = -(2**53)


class _Inputs(Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_creation_tokens: int | None = None
    cache_creation_token_details: Any = None
    audio_tokens: int | None = None


class _Outputs(Struct):
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None


class Counts(Struct):
    """A `usage` object as it usually is: whole numbers or null. Reading it costs a third of searching a dict."""

    prompt_tokens: int = _ABSENT
    completion_tokens: int = _ABSENT
    total_tokens: int = _ABSENT
    prompt_tokens_details: _Inputs | None = None
    completion_tokens_details: _Outputs | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    prompt_cache_hit_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    num_search_queries: int | None = None
    server_tool_use_details: Any = None
    service_tier: Any = None

    def read(self, service_tier: Any = None) -> Usage | None:
        """What `read_usage` says of the same object; quickly where it holds nothing but the totals."""
        inputs, outputs = self.prompt_tokens_details, self.completion_tokens_details
        prompt, completion = self.prompt_tokens, self.completion_tokens
        if (
            prompt >= 0
            and completion >= 0
            and self.total_tokens == prompt + completion
            and (inputs is None or inputs in _EMPTY_INPUTS)
            and (outputs is None or not (outputs.reasoning_tokens or outputs.audio_tokens))
            and not (self.cached_tokens or self.reasoning_tokens or self.num_search_queries or self.prompt_cache_hit_tokens)
            and not (self.cache_read_input_tokens or self.cache_creation_input_tokens or self.server_tool_use_details)
        ):
            tier = self.service_tier if service_tier is None else service_tier
            return Usage(prompt, completion, service_tier=tier if isinstance(tier, str) else "")
        given = {name: value for name, value in to_builtins(self).items() if value is not None and value != _ABSENT}
        return read_usage(given, False, service_tier)


_EMPTY_INPUTS = (_Inputs(), _Inputs(cached_tokens=0), _Inputs(cached_tokens=0, audio_tokens=0))
