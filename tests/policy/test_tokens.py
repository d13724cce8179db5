from __future__ import annotations

from freehold.policy import tokens


def test_counts_known_text() -> None:
    assert tokens.count("") == 0
    assert tokens.count("hello world") == 2


def test_a_huge_text_is_sampled_and_scaled() -> None:
    piece = "the quick brown fox "
    exact = tokens.count(piece * 1000)
    assert abs(tokens.count(piece * 100_000) - exact * 100) < exact
