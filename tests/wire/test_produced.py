"""Counting what a cut reply produced."""

from __future__ import annotations

from freehold.wire.produced import SAMPLE_CHARS, Produced


def test_nothing_is_counted_until_it_is_asked_for() -> None:
    counted: list[str] = []

    def count(text: str) -> int:
        counted.append(text)
        return len(text)

    produced = Produced(count)
    produced.add("ab")
    produced.add("c")
    assert counted == []
    assert (produced.tokens(), counted) == (3, ["abc"])


def test_nothing_produced_is_nothing() -> None:
    assert Produced(lambda text: 1).tokens() == 0


def test_it_may_be_asked_again_after_more() -> None:
    produced = Produced(len)
    seen = []
    for _ in range(3):
        produced.add("ab")
        seen.append(produced.tokens())
    assert seen == [2, 4, 6]


def test_a_long_reply_is_sampled_and_scaled() -> None:
    longest = 0

    def count(text: str) -> int:
        nonlocal longest
        longest = max(longest, len(text))
        return len(text) // 4

    produced = Produced(count)
    for _ in range(100_000):
        produced.add("twelve chars")
    assert produced.tokens() == 300_000
    assert longest < SAMPLE_CHARS + 100
