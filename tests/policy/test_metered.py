"""Which measure of a call is billed, and when nobody knows."""

from __future__ import annotations

import pytest

from freehold.policy.metered import charge_nusd
from freehold.policy.pricing import ImageRates, Rate, Rates
from freehold.wire.chat import Usage

TOKENS = Rates(input=Rate(1_000_000_000), output=Rate(2_000_000_000))
ALL = Rates(
    input=Rate(1_000_000_000),
    output=Rate(2_000_000_000),
    audio_hours=Rate(360_000_000),
    characters=Rate(15_000_000_000),
    rerank_searches=Rate(2_000_000_000),
    images=ImageRates(40_000_000),
)


@pytest.mark.parametrize(
    ("rates", "usage", "kind", "nusd"),
    [
        (TOKENS, Usage(input=10, output=1), "embeddings", 12_000),
        (TOKENS, Usage(input=10, estimated=True), "embeddings", 10_000),
        (TOKENS, Usage(input=10, estimated=True), "images", None),
        (TOKENS, Usage(input=10, characters=40, estimated=True), "speech", None),
        (TOKENS, Usage(seconds=7), "transcriptions", None),
        (TOKENS, Usage(rerank_searches=1), "rerank", None),
        (TOKENS, Usage(input=5, rerank_searches=1), "rerank", 5_000),
        (Rates(), Usage(input=10, output=1), "chat", None),
        (Rates(requests=Rate(5_000_000_000)), Usage(input=10, output=1), "chat", 5_000_000),
        (ALL, Usage(seconds=10), "transcriptions", 1_000_000),
        (ALL, Usage(seconds=10, input=3), "transcriptions", 3_000),
        (ALL, Usage(input=9, characters=2, estimated=True), "speech", 30_000),
        (ALL, Usage(input=9, output=1), "images", 11_000),
        (ALL, Usage(input=9, images=2, estimated=True), "images", 80_000_000),
        (ALL, Usage(rerank_searches=2), "rerank", 4_000_000),
        (Rates(audio_hours=Rate(360_000_000)), Usage(seconds=0.01), "transcriptions", 1_000),
        (Rates(audio_hours=Rate(360_000_000)), Usage(), "transcriptions", None),
    ],
)
def test_a_call_is_charged_by_the_measure_that_its_price_names(rates: Rates, usage: Usage, kind: str, nusd: int | None) -> None:
    assert charge_nusd(rates, usage, kind) == nusd
