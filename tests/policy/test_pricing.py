from __future__ import annotations

import pytest

from freehold.policy.pricing import Period, Price, Rate, Rates, Variant, cost_nusd, format_usd
from freehold.wire.chat import Usage

SONNET = Rates(
    input=Rate(3_000_000_000),
    output=Rate(15_000_000_000),
    cache_read=Rate(300_000_000),
    cache_write=Rate(3_750_000_000),
    cache_write_1h=Rate(6_000_000_000),
)


def test_plain_call_costs_input_plus_output() -> None:
    assert cost_nusd(SONNET, Usage(input=1000, output=100)) == 1000 * 3000 + 100 * 15000


def test_each_token_is_priced_once() -> None:
    usage = Usage(input=1000, output=0, cache_read=400, cache_write=300, cache_write_1h=100)
    plain, read, short, long = 300, 400, 200, 100
    assert cost_nusd(SONNET, usage) == plain * 3000 + read * 300 + short * 3750 + long * 6000


def test_a_part_without_its_own_rate_is_priced_as_input() -> None:
    rates = Rates(input=Rate(2_000_000_000), output=Rate(0))
    assert cost_nusd(rates, Usage(input=100, cache_read=60, cache_write=20, cache_write_1h=20)) == 100 * 2000


def test_one_hour_writes_without_a_rate_pay_the_write_rate() -> None:
    rates = Rates(input=Rate(1_000_000_000), cache_write=Rate(2_000_000_000))
    assert cost_nusd(rates, Usage(input=10, cache_write=10, cache_write_1h=10)) == 10 * 2000


def test_past_a_tier_all_tokens_pay_its_rate() -> None:
    rates = Rates(input=Rate(1_000_000_000, ((200_000, 2_000_000_000),)), output=Rate(5_000_000_000, ((200_000, 9_000_000_000),)))
    assert cost_nusd(rates, Usage(input=200_000, output=1)) == 200_000 * 1000 + 5000
    assert cost_nusd(rates, Usage(input=200_001, output=1)) == 200_001 * 2000 + 9000


def test_reasoning_stays_in_output_unless_it_has_a_rate() -> None:
    assert cost_nusd(SONNET, Usage(output=100, reasoning=80)) == 100 * 15000
    rates = Rates(output=Rate(1_000_000_000), reasoning=Rate(3_000_000_000))
    assert cost_nusd(rates, Usage(output=100, reasoning=80)) == 20 * 1000 + 80 * 3000


def test_what_is_cached_and_sound_is_paid_once() -> None:
    rates = Rates(input=Rate(10**9), cache_read=Rate(10**8), audio_in=Rate(10**10), output=Rate(0))
    usage = Usage(input=1000, cache_read=500, audio_in=600, audio_cached=400)
    assert cost_nusd(rates, usage) == 300 * 1000 + 500 * 100 + 200 * 10_000
    dear = Rates(input=Rate(10**9), cache_read=Rate(10**8), audio_cached=Rate(10**9), audio_in=Rate(10**10), output=Rate(0))
    assert cost_nusd(dear, usage) == 300 * 1000 + 100 * 100 + 400 * 1000 + 200 * 10_000


def test_pictures_have_rates_of_their_own() -> None:
    rates = Rates(input=Rate(10**9), image_in=Rate(2 * 10**9), output=Rate(10**10), image_out=Rate(4 * 10**10))
    assert cost_nusd(rates, Usage(input=100, image_in=60, output=10, image_out=9)) == 40_000 + 120_000 + 10_000 + 360_000


def test_requests_and_searches_are_priced_by_the_thousand() -> None:
    rates = Rates(requests=Rate(5_000_000_000), web_searches=Rate(10_000_000_000))
    assert cost_nusd(rates, Usage(web_searches=2)) == 5_000_000 + 2 * 10_000_000


def test_fractions_are_rounded_half_up_once() -> None:
    assert cost_nusd(Rates(input=Rate(500_000)), Usage(input=1)) == 1
    assert cost_nusd(Rates(input=Rate(499_999)), Usage(input=1)) == 0
    assert cost_nusd(Rates(input=Rate(250_000), output=Rate(250_000)), Usage(input=1, output=1)) == 1


def _price(*periods: Period, variants: tuple[Variant, ...] = ()) -> Price:
    return Price(source="test", version="1", periods=periods, variants=variants)


def _rates(n: int) -> Rates:
    return Rates(input=Rate(n))


def test_the_latest_period_that_has_begun_holds() -> None:
    price = _price(Period(rates=_rates(1)), Period(rates=_rates(2), from_day="2026-03-13"))
    assert price.rates_at(1_773_359_999) == _rates(1)  # 2026-03-12T23:59:59Z
    assert price.rates_at(1_773_360_000) == _rates(2)


@pytest.mark.parametrize(("clock", "rate"), [("00:29", 1), ("00:30", 2), ("16:29", 2), ("16:30", 1)])
def test_daily_periods_hold_between_their_minutes(clock: str, rate: int) -> None:
    price = _price(Period(rates=_rates(1)), Period(rates=_rates(2), daily=(30, 16 * 60 + 30)))
    hour, minute = map(int, clock.split(":"))
    assert price.rates_at(1_773_360_000 + hour * 3600 + minute * 60) == _rates(rate)


def test_a_daily_period_may_cross_midnight() -> None:
    price = _price(Period(rates=_rates(1)), Period(rates=_rates(2), daily=(23 * 60, 60)))
    midnight = 1_773_360_000
    assert [price.rates_at(midnight + h * 3600) for h in (23, 0, 1)] == [_rates(2), _rates(2), _rates(1)]


def test_the_tier_that_served_the_call_decides_the_rates() -> None:
    base = Rates(input=Rate(10), output=Rate(20), cache_read=Rate(5))
    flex = Variant(rates=Rates(input=Rate(4)), when={"service_tier": "flex"})
    batch = Variant(rates=Rates(input=Rate(1)), when={"processing": "batch"})
    price = _price(Period(rates=base), variants=(flex, batch))
    assert price.rates_at(0.0, "flex") == Rates(input=Rate(4), output=Rate(20), cache_read=Rate(5))
    assert price.rates_at(0.0, "default") == base
    assert price.rates_at(0.0) == base


@pytest.mark.parametrize(
    ("nusd", "text"), [(0, "0"), (1, "0.000000001"), (1_500_000, "0.0015"), (2_000_000_000, "2"), (-1_000_000, "-0.001")]
)
def test_dollars_are_written_exactly(nusd: int, text: str) -> None:
    assert format_usd(nusd) == text
