"""Usage as it passes: the quick way says what the thorough one says."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import ValidationError, convert

from freehold.wire.dialects.openai_chat.counts import Counts
from freehold.wire.dialects.openai_chat.usage import read_usage

_COUNT = st.one_of(st.none(), st.integers(-2, 50), st.floats(0, 9), st.text(max_size=2))
_DETAILS = st.one_of(
    st.none(),
    st.dictionaries(
        st.sampled_from(["cached_tokens", "audio_tokens", "cache_write_tokens", "reasoning_tokens", "text_tokens"]), _COUNT
    ),
)
_USAGE = st.fixed_dictionaries(
    {},
    optional={
        "prompt_tokens": _COUNT,
        "completion_tokens": _COUNT,
        "total_tokens": _COUNT,
        "prompt_tokens_details": _DETAILS,
        "completion_tokens_details": _DETAILS,
        "cached_tokens": _COUNT,
        "prompt_cache_hit_tokens": _COUNT,
        "reasoning_tokens": _COUNT,
        "server_tool_use_details": st.just({"web_search_requests": 2}),
        "service_tier": st.sampled_from(["flex", None]),
        "cost": st.floats(0, 1),
    },
)


@given(_USAGE)
def test_the_quick_way_to_read_usage_reads_what_the_thorough_one_does(usage: dict[str, Any]) -> None:
    try:
        counts = convert(usage, Counts)
    except ValidationError:
        return  # the thorough way is taken
    assert counts.read() == read_usage(usage, keep_extras=False)
