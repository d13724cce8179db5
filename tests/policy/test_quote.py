from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from freehold.policy import pricebook
from freehold.policy.pricing import Rate, Rates
from freehold.policy.quote import quote


def test_prices_are_dollars_for_one_token_one_request_one_search() -> None:
    rates = Rates(
        input=Rate(150_000_000),
        output=Rate(600_000_000),
        cache_read=Rate(1),
        audio_in=Rate(0),
        requests=Rate(5_000_000_000),
        web_searches=Rate(10_000_000_000),
    )
    assert quote(rates) == {
        "prompt": "0.00000015",
        "completion": "0.0000006",
        "input_cache_read": "0.000000000000001",
        "audio": "0",
        "request": "0.005",
        "web_search": "0.01",
    }
    assert quote(Rates()) == {}


def test_tiers_are_listed_by_where_they_begin() -> None:
    rates = Rates(input=Rate(10**9, ((200_000, 2 * 10**9), (500_000, 3 * 10**9))), output=Rate(10**10, ((200_000, 2 * 10**10),)))
    assert quote(rates) == {
        "prompt": "0.000001",
        "completion": "0.00001",
        "tiers": [
            {"above_input_tokens": 200_000, "prompt": "0.000002", "completion": "0.00002"},
            {"above_input_tokens": 500_000, "prompt": "0.000003"},
        ],
    }


@given(st.integers(0, 10**18))
def test_they_are_exact(value: int) -> None:
    shown = quote(Rates(input=Rate(value)))["prompt"]
    assert isinstance(shown, str) and Decimal(shown) == Decimal(value) / 10**15
    assert "E" not in shown.upper()


def test_every_price_of_the_table_can_be_quoted() -> None:
    models = [m for vendor in ("openai", "google", "openrouter", "anthropic") for m in pricebook.models(vendor)]
    quotes = [quote(m.price.rates_at(1_800_000_000)) for m in models]
    assert len(models) > 1000
    assert sum("prompt" in q for q in quotes) > 900
    assert (
        any("tiers" in q for q in quotes) and any("audio" in q for q in quotes) and any("input_cache_read" in q for q in quotes)
    )
