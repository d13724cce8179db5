"""What the ledger is rolled up by: spans of time, and the texts of a call that sums are kept apart by.

A question is answered from the grain with the fewest rows that knows what it asks. The grains without who called have few rows
however many keys there are. Loads no database library.
"""

from __future__ import annotations

from collections.abc import Collection

from msgspec import Struct

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

WHO = ("team", "app", "member", "key_id", "key")
WHAT = ("route", "provider", "model", "answered_by", "zone", "region", "kind", "outcome")
LABELS = ("end_user", "tag")  # what clients may invent as they like
DIMENSIONS = (*WHO, *WHAT, *LABELS)
# Names of one kind, workspace and day that are told apart; those that come after are summed up as OTHERS.
MAX_LABELS = 10_000
OTHERS = "(others)"

# Sums of the calls of a row. `unpriced`: calls that used tokens of a model whose price nobody knows. `estimated`: whose tokens we
# counted. Tokens as in wire.chat.Usage; *_us: microseconds, added up.
MEASURES = (
    *("calls", "unpriced", "estimated", "input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning"),
    *("audio_in", "audio_out", "audio_ms", "characters", "images", "web_searches", "rerank_searches", "cost_nusd"),
    *("total_us", "first_us", "overhead_us"),
)
LATENCIES = ("total_us", "first_us", "overhead_us")  # of which there are histograms too


class Grain(Struct, frozen=True):
    """`number` is what the rows are kept under. `at` in a row: unix time in spans."""

    number: int
    span_ms: int
    dimensions: tuple[str, ...]


HOURS = Grain(1, HOUR_MS, (*WHO, *WHAT))
HOURS_WHAT = Grain(2, HOUR_MS, WHAT)
DAYS = Grain(3, DAY_MS, (*WHO, *WHAT))
DAYS_WHAT = Grain(4, DAY_MS, WHAT)
DAYS_END_USER = Grain(5, DAY_MS, ("app", "outcome", "end_user"))
DAYS_TAG = Grain(6, DAY_MS, ("app", "outcome", "tag"))  # a call counts under each of its tags
DAYS_WHO = Grain(7, DAY_MS, (*WHO, "outcome"))
GRAINS = (HOURS_WHAT, DAYS_WHAT, DAYS_WHO, HOURS, DAYS, DAYS_END_USER, DAYS_TAG)  # of those that will do, the first is the best


def grain_for(dimensions: Collection[str], span_ms: int) -> Grain | None:
    """None where nothing of that span knows them all."""
    for grain in GRAINS:
        if grain.span_ms == span_ms and all(name in grain.dimensions for name in dimensions):
            return grain
    return None


def tag_name(name: str, value: str) -> str:
    """A tag as it is summed up and shown."""
    return f"{name}={value}" if value else name
