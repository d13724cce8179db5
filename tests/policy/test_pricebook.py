"""The price table against the package it is made from: every model, every tier, at several sizes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from freehold.policy import pricebook
from freehold.policy.pricing import Rate, Rates, cost_nusd
from freehold.wire.chat import Usage

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
USAGES = [
    Usage(input=1_000, output=777),
    Usage(input=150_000, output=10, cache_read=300, cache_write=200, cache_write_1h=50),
    Usage(input=300_000, output=5_000, cache_read=299_000),
]


def test_every_model_costs_what_the_source_says() -> None:
    genai_prices = pytest.importorskip("genai_prices")
    from genai_prices import data_snapshot

    compared = 0
    for vendor in data_snapshot.get_snapshot().providers:
        rows = {row.id: row for row in pricebook._rows(vendor.id)}
        assert set(rows) == {m.id for m in vendor.models}, f"run make prices: {vendor.id} differs"
        for model in vendor.models:
            price = pricebook._known(rows[model.id]).price
            for usage in USAGES:
                for tier in ("", "flex", "priority"):
                    theirs = model.get_prices(NOW, {"service_tier": tier} if tier else None).calc_price(
                        genai_prices.Usage(
                            input_tokens=usage.input,
                            output_tokens=usage.output,
                            cache_read_tokens=usage.cache_read,
                            cache_write_tokens=usage.cache_write,
                            cache_write_1h_tokens=usage.cache_write_1h,
                        )
                    )["total_price"]
                    ours = cost_nusd(price.rates_at(NOW.timestamp(), tier), usage)
                    assert abs(ours - theirs * 10**9) <= 1, (vendor.id, model.id, tier, usage)
                    compared += 1
    assert compared > 10_000


@pytest.mark.parametrize(
    ("vendor", "name", "model"),
    [
        ("openai", "gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        ("openai", "GPT-4o-mini", "gpt-4o-mini"),
        ("openai", "gpt-4o-20241120", "gpt-4o"),
        ("azure", "gpt-4o-mini", "gpt-4o-mini"),
    ],
)
def test_dated_and_differently_written_names_are_found(vendor: str, name: str, model: str) -> None:
    found = pricebook.find(vendor, name)
    assert found is not None
    assert found.id == model


def test_unknown_names_are_none() -> None:
    assert pricebook.find("openai", "no-such-model") is None
    assert pricebook.find("no-such-vendor", "gpt-4o") is None
    assert pricebook.models("no-such-vendor") == []


def test_a_price_from_the_file_has_its_own_source() -> None:
    price = pricebook.fixed("freehold.yaml", input=0.15, output=0.6, cache_read=None)
    assert price.rates_at(0) == Rates(input=Rate(150_000_000), output=Rate(600_000_000))
    assert price.source == "freehold.yaml"
