"""counts.py: usage of embeddings and rankings in every vendor's spelling."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.wire.chat import Usage
from freehold.wire.counts import read_counts


@pytest.mark.parametrize(
    ("usage", "meta", "wanted"),
    [
        ({"prompt_tokens": 5, "total_tokens": 5}, None, Usage(input=5)),
        ({"total_tokens": 18}, None, Usage(input=18)),
        ({"total_tokens": 17, "search_units": 2, "cost": 1e-7}, None, Usage(input=17, rerank_searches=2)),
        (None, {"billed_units": {"search_units": 1}}, Usage(rerank_searches=1)),
        (None, {"billed_units": {"input_tokens": 3.0, "image_tokens": 4}}, Usage(input=7)),
        (None, {"billed_units": {"search_units": 1}, "tokens": {"input_tokens": 9}}, Usage(input=9, rerank_searches=1)),
        ({}, None, Usage()),
        (None, None, None),
        ("many", [], None),
        ({"total_tokens": -1, "prompt_tokens": "5"}, {"billed_units": 7, "tokens": None}, Usage()),
        ({"total_tokens": True, "prompt_tokens": 1e300}, None, Usage()),
    ],
)
def test_counts_are_read(usage: Any, meta: Any, wanted: Usage | None) -> None:
    assert read_counts(usage, meta) == wanted


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda v: st.dictionaries(st.sampled_from(["billed_units", "tokens", "input_tokens", "search_units", "total_tokens"]), v),
)


@given(values, values)
def test_nothing_makes_it_raise(usage: Any, meta: Any) -> None:
    found = read_counts(usage, meta)
    assert found is None or (found.input >= 0 and found.rerank_searches >= 0)
