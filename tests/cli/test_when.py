from __future__ import annotations

import pytest

from freehold.cli.settings import Failed
from freehold.cli.when import when_ms

DAY_MS = 86_400_000
NOW_S = 1_800_000_000.0


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("30m", (NOW_S - 1800) * 1000),
        ("24h", (NOW_S - 86_400) * 1000),
        ("7d", (NOW_S - 7 * 86_400) * 1000),
        ("1970-01-02", DAY_MS),
        ("1970-01-02T01:00", DAY_MS + 3_600_000),
        ("1970-01-02T01:00+01:00", DAY_MS),
    ],
)
def test_it_is_a_span_or_a_moment(text: str, ms: float) -> None:
    assert when_ms(text, "--since", NOW_S) == ms


@pytest.mark.parametrize("text", ["", "soon", "7", "7w", "2026-13-01", "-7d", "9999999d"])
def test_refuses_what_is_no_time(text: str) -> None:
    with pytest.raises(Failed, match=r"--since .* is no time"):
        when_ms(text, "--since", NOW_S)
