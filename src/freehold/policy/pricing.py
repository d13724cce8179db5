"""What a call costs: tokens by kind times rates, in integers; metered.py has what is billed by time, length or the piece.

Money is integer nano-US-dollars (`nusd`). A rate is nano-USD per million tokens, so $0.15 per million is 150_000_000 and no
price known today needs a fraction. Where a rate comes from is pricebook.py's matter; how a price changes in time is ours.
"""

from __future__ import annotations

from msgspec import Struct, field, structs

from freehold.wire.chat import Usage

_MILLION = 1_000_000
_THOUSAND = 1_000


class Rate(Struct, frozen=True):
    """`tiers` are [more than this many input tokens, rate]: past the threshold ALL tokens pay that rate."""

    base: int
    tiers: tuple[tuple[int, int], ...] = ()

    def at(self, input_tokens: int) -> int:
        for start, rate in reversed(self.tiers):
            if input_tokens > start:
                return rate
        return self.base


class ImageRates(Struct, frozen=True, omit_defaults=True):
    """Nano-USD for one picture. `by` "quality size", "size" or "quality", as the request says ("": neither), else `base`."""

    base: int | None = None
    by: dict[str, int] = field(default_factory=dict)


class Rates(Struct, frozen=True, omit_defaults=True):
    """Nano-USD per million tokens or characters; `requests` and searches per thousand; `audio_hours` per 3,600 seconds.

    None: no rate of its own.
    """

    input: Rate | None = None
    output: Rate | None = None
    cache_read: Rate | None = None
    cache_write: Rate | None = None
    cache_write_1h: Rate | None = None
    audio_in: Rate | None = None
    audio_out: Rate | None = None
    reasoning: Rate | None = None
    requests: Rate | None = None
    web_searches: Rate | None = None
    audio_cached: Rate | None = None  # without it as `cache_read`
    image_in: Rate | None = None
    image_out: Rate | None = None
    image_cached: Rate | None = None  # without it as `cache_read`
    audio_hours: Rate | None = None
    characters: Rate | None = None
    rerank_searches: Rate | None = None
    images: ImageRates | None = None
    flat: tuple[int, int] | None = None  # input and output rate where nothing else decides a plain call's cost

    def __post_init__(self) -> None:
        if self.input and self.output and not (self.input.tiers or self.output.tiers or self.requests or self.web_searches):
            structs.force_setattr(self, "flat", (self.input.base, self.output.base))


class Period(Struct, frozen=True, kw_only=True):
    """Rates and when they hold: from a day (ISO, UTC) on, or between two minutes of each UTC day. Both empty: always."""

    rates: Rates
    from_day: str = ""
    daily: tuple[int, int] | None = None

    def holds(self, day: str, minute: int) -> bool:
        if self.daily is not None:
            start, end = self.daily
            return start <= minute < end if start <= end else minute >= start or minute < end
        return day >= self.from_day


class Variant(Period, frozen=True, kw_only=True):
    """Rates that replace the standard ones when the call was served so: {"service_tier": "flex"}, {"processing": "batch"}."""

    when: dict[str, str] = field(default_factory=dict)


class Price(Struct, frozen=True, kw_only=True):
    """All that is known of one model's price. `source` and `version` go into each ledger line that used it."""

    source: str
    version: str
    periods: tuple[Period, ...]
    variants: tuple[Variant, ...] = ()
    name: str = ""

    def __post_init__(self) -> None:
        structs.force_setattr(self, "name", f"{self.source} {self.version}".rstrip())

    def rates_at(self, unix_s: float, service_tier: str = "") -> Rates:
        """The rates for a call that ended then. `service_tier` as the provider reports it."""
        if len(self.periods) == 1 and not (service_tier and self.variants):
            return self.periods[0].rates
        return self._served({"service_tier": service_tier}, unix_s)[0]

    def batch_rates_at(self, unix_s: float) -> Rates | None:
        """The rates for a request of a batch that ended then; None where the table has none for batches."""
        rates, special = self._served({"processing": "batch"}, unix_s)
        return rates if special else None

    def _served(self, how: dict[str, str], unix_s: float) -> tuple[Rates, bool]:
        """The rates, and whether they are those for calls that were served so."""
        day, minute = _utc(unix_s)
        rates = self.periods[0].rates
        for period in reversed(self.periods):  # the last one that holds wins
            if period.holds(day, minute):
                rates = period.rates
                break
        for variant in self.variants:
            if variant.when == how and variant.holds(day, minute):
                return _overlay(rates, variant.rates), True
        return rates, False


def cost_nusd(rates: Rates, usage: Usage) -> int:
    """Nano-USD for one call, rounded half up once at the end.

    Each kind of token is priced once: a part with a rate of its own leaves `input` or `output`, a part without one stays in it.
    """
    total = usage.input
    plain = not (usage.cache_read or usage.cache_write or usage.audio_in or usage.audio_out or usage.reasoning)
    if plain and rates.flat is not None and not (usage.image_in or usage.image_out):
        return (total * rates.flat[0] + usage.output * rates.flat[1] + _MILLION // 2) // _MILLION
    plain_in, plain_out, parts = usage.input, usage.output, 0
    long_writes = min(usage.cache_write_1h, usage.cache_write) if rates.cache_write_1h is not None else 0
    heard = min(usage.audio_cached, usage.cache_read, usage.audio_in)
    seen = min(usage.image_cached, usage.cache_read - heard, usage.image_in)
    for rate, tokens in (
        (rates.cache_read, usage.cache_read - heard - seen),
        (rates.audio_cached or rates.cache_read or rates.audio_in, heard),
        (rates.image_cached or rates.cache_read or rates.image_in, seen),
        (rates.cache_write, usage.cache_write - long_writes),
        (rates.cache_write_1h, long_writes),
        (rates.audio_in, usage.audio_in - heard),
        (rates.image_in, usage.image_in - seen),
    ):
        if rate is not None and tokens:
            parts += tokens * rate.at(total)
            plain_in -= tokens
    for rate, tokens in (
        (rates.audio_out, usage.audio_out),
        (rates.image_out, usage.image_out),
        (rates.reasoning, usage.reasoning),
    ):
        if rate is not None and tokens:
            parts += tokens * rate.at(total)
            plain_out -= tokens
    if rates.input is not None:
        parts += max(plain_in, 0) * rates.input.at(total)
    if rates.output is not None:
        parts += max(plain_out, 0) * rates.output.at(total)
    cost = (parts + _MILLION // 2) // _MILLION
    if rates.requests is not None:
        cost += rates.requests.base // _THOUSAND
    if rates.web_searches is not None and usage.web_searches:
        cost += usage.web_searches * rates.web_searches.base // _THOUSAND
    return cost


def format_usd(nusd: int) -> str:
    """Exact decimal dollars: 1_500_000 -> "0.0015"."""
    if nusd < 0:
        return "-" + format_usd(-nusd)
    digits = "%010d" % nusd
    return f"{digits[:-9]}.{digits[-9:]}".rstrip("0").rstrip(".")


def _overlay(rates: Rates, over: Rates) -> Rates:
    values = {name: getattr(over, name) or getattr(rates, name) for name in Rates.__struct_fields__ if name != "flat"}
    return Rates(**values)


def _utc(unix_s: float) -> tuple[str, int]:
    from datetime import UTC, datetime  # only prices that change in time come here

    now = datetime.fromtimestamp(unix_s, UTC)
    return now.date().isoformat(), now.hour * 60 + now.minute
