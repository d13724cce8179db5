"""The price table against the package it is made from: every model, every tier, at several sizes."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.resources import files

import pytest
from msgspec import json

from freehold.policy import pricebook
from freehold.policy.metered import charge_nusd
from freehold.policy.pricing import Rate, Rates, cost_nusd
from freehold.wire.chat import Usage

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
USAGES = [
    Usage(input=1_000, output=777),
    Usage(input=150_000, output=10, cache_read=300, cache_write=200, cache_write_1h=50),
    Usage(input=300_000, output=5_000, cache_read=299_000),
    Usage(input=10_000, output=900, cache_read=300, audio_in=8_000, audio_cached=100, audio_out=800),
    Usage(input=10_000, output=900, cache_read=300, image_in=700, image_cached=50, image_out=850),
]


def test_every_model_costs_what_the_source_says() -> None:
    genai_prices = pytest.importorskip("genai_prices")
    from genai_prices import data_snapshot

    compared = 0
    for vendor in data_snapshot.get_snapshot().providers:
        rows = {row.id: row for row in pricebook._rows(vendor.id)}
        assert set(rows) == {m.id for m in vendor.models}, f"run make prices: {vendor.id} differs"
        for model in vendor.models:
            price = pricebook._known(rows[model.id], pricebook._table()).price
            for usage in USAGES:
                for tier in ("", "flex", "priority"):
                    theirs = model.get_prices(NOW, {"service_tier": tier} if tier else None).calc_price(
                        genai_prices.Usage(
                            input_tokens=usage.input,
                            output_tokens=usage.output,
                            cache_read_tokens=usage.cache_read,
                            cache_write_tokens=usage.cache_write,
                            cache_write_1h_tokens=usage.cache_write_1h,
                            input_audio_tokens=usage.audio_in,
                            output_audio_tokens=usage.audio_out,
                            cache_audio_read_tokens=usage.audio_cached,
                            input_image_tokens=usage.image_in,
                            output_image_tokens=usage.image_out,
                            cache_image_read_tokens=usage.image_cached,
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


@pytest.mark.parametrize(
    ("vendor", "model", "measure", "nusd"),
    [
        ("openai", "whisper-1", Usage(seconds=60), 6_000_000),
        ("groq", "whisper-large-v3", Usage(seconds=3600), 111_000_000),
        ("openai", "tts-1", Usage(characters=1000, estimated=True), 15_000_000),
        ("openai", "dall-e-3", Usage(images=2, image_form="hd 1024x1792"), 240_000_000),
        ("openai", "dall-e-3", Usage(images=1), 40_000_000),
        ("openai", "dall-e-2", Usage(images=3, image_form="standard 256x256"), 48_000_000),
        ("openai", "dall-e-2", Usage(images=1, image_form="999x999"), None),
        ("openai", "omni-moderation-latest", Usage(input=50, estimated=True), 0),
        ("x-ai", "grok-2-image", Usage(images=1, image_form="1024x1024"), 70_000_000),
        ("cohere", "rerank-v3.5", Usage(rerank_searches=3), 6_000_000),
        ("cohere", "rerank-v3.5", Usage(input=100, estimated=True), None),
        ("openai", "gpt-4o-mini-tts", Usage(input=10, characters=50, estimated=True), None),
        ("openai", "whisper-1", Usage(input=10, output=5), None),
        ("openai", "gpt-image-1", Usage(input=100, output=1000, image_in=60), 40 * 5_000 + 60 * 10_000 + 1000 * 40_000),
    ],
)
def test_what_is_not_billed_by_the_token(vendor: str, model: str, measure: Usage, nusd: int | None) -> None:
    kinds = {"whisper": "transcriptions", "tts": "speech", "rerank": "rerank", "omni": "moderations"}
    kind = next((kind for part, kind in kinds.items() if part in model), "images")
    known = pricebook.find(vendor, model)
    assert known is not None
    assert charge_nusd(known.price.rates_at(NOW.timestamp()), measure, kind) == nusd


def test_rows_of_our_own_name_their_page_and_come_first() -> None:
    table = json.decode(files("freehold.policy").joinpath("extra_prices.json").read_bytes())
    for vendor, rows in table["providers"].items():
        for row in rows.get("models", ()):
            assert row["from"].split("/")[0].count(".") >= 1
            found = pricebook.find(vendor, row["id"])
            assert found is not None and found.price.name == "freehold 1"
            assert row["id"] in [known.id for known in pricebook.models(vendor)]


def test_a_request_of_a_batch_costs_what_the_table_says_else_what_the_vendor_says() -> None:
    day = int(NOW.timestamp()) // 86_400
    table = pricebook.find_batch("anthropic", "claude-fable-5", day)
    assert table is not None and table[0].input == Rate(5_000_000_000) and table[1].startswith("genai-prices")
    percent = pricebook.find_batch("openai", "o1-mini", day)
    known = pricebook.find("openai", "o1-mini")
    assert percent is not None and known is not None
    full = known.price.rates_at(NOW.timestamp())
    assert cost_nusd(percent[0], USAGES[0]) * 2 == cost_nusd(full, USAGES[0])
    assert percent[1].endswith("freehold 1")
    assert pricebook.find_batch("together", "meta-llama/Llama-3.3-70B-Instruct-Turbo", day) is None
    assert pricebook.find_batch("openai", "no-such-model", day) is None


def test_a_price_from_the_file_may_be_for_anything() -> None:
    price = pricebook.fixed("freehold.yaml", per_minute=0.006, per_image=0.04, characters=15, rerank_searches=2)
    rates = price.rates_at(0)
    assert charge_nusd(rates, Usage(seconds=90), "transcriptions") == 9_000_000
    assert charge_nusd(rates, Usage(images=2, image_form="hd 10x10"), "images") == 80_000_000
    assert charge_nusd(rates, Usage(characters=2), "speech") == 30_000
    assert charge_nusd(rates, Usage(rerank_searches=1), "rerank") == 2_000_000
