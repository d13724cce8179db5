"""seal.py: a proof of reasoning names its maker on the way, and comes out as it went in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.wire.seal import MARK, What, seal, unseal


@given(st.sampled_from(["anthropic", "openai_chat"]), st.sampled_from(["signature", "redacted", "call"]), st.text())
def test_what_was_sealed_comes_out_as_it_went_in(maker: str, what: What, value: str) -> None:
    assert unseal(seal(maker, what, value)) == (maker, what, value)


@pytest.mark.parametrize(
    "text", ["", "gAAAAAB", MARK, MARK + "a", MARK + "a.other.x", MARK + ".signature.x", "x" + MARK + "a.call.x"]
)
def test_what_is_no_seal_of_ours_is_left_alone(text: str) -> None:
    assert unseal(text) is None
