from __future__ import annotations

import pytest

from freehold.policy.access import ModelAccess


@pytest.mark.parametrize(
    ("patterns", "name", "allowed"),
    [
        (("*",), "anything/at-all", True),
        (("fast",), "fast", True),
        (("fast",), "faster", False),
        (("openai/*",), "openai/gpt-4o", True),
        (("openai/*",), "openai", False),
        (("openai/*",), "xopenai/gpt-4o", False),
        (("openai/gpt-*-mini",), "openai/gpt-4o-mini", True),
        (("openai/gpt-*-mini",), "openai/gpt-4o", False),
        (("a.b",), "axb", False),
        (("a.*",), "axb", False),
        (("x", "y*"), "yes", True),
        (("openai/*",), "openai/two\nlines", True),
        ((), "any", False),
    ],
)
def test_patterns(patterns: tuple[str, ...], name: str, allowed: bool) -> None:
    assert ModelAccess(patterns).allows(name) is allowed


def test_a_long_list_is_described_by_its_first_entries() -> None:
    assert ModelAccess(tuple(f"m{n}" for n in range(10))).describe() == "m0, m1, m2, m3, m4, m5, m6, m7 and 2 more"
    assert ModelAccess(()).describe() == "none"
