"""Counters of this worker, kept as plain numbers and turned into Prometheus text only when somebody asks.

Updating costs about a microsecond a call; prometheus-client's own objects would cost five.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client.core import Metric

# Microseconds; shown in seconds.
LATENCY_US = tuple(ms * 1000 for ms in (5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 120_000, 300_000))
OVERHEAD_US = (100, 250, 500, 1000, 2500, 5000, 10_000, 50_000, 250_000)
MAX_SERIES = 5_000


class Histogram:
    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds_us: tuple[int, ...]) -> None:
        self.bounds = bounds_us
        self.counts = [0] * (len(bounds_us) + 1)
        self.total = 0

    def buckets(self) -> list[tuple[str, float]]:
        out: list[tuple[str, float]] = []
        seen = 0
        for bound, n in zip((*(str(us / 1e6) for us in self.bounds), "+Inf"), self.counts, strict=True):
            seen += n
            out.append((bound, float(seen)))
        return out


class CallSeries:
    """Numbers of the calls with one set of labels: (route, target, outcome)."""

    __slots__ = ("calls", "cost_nusd", "first", "input", "latency", "output", "overhead")

    def __init__(self) -> None:
        self.calls = 0
        self.input = 0
        self.output = 0
        self.cost_nusd = 0
        self.latency = Histogram(LATENCY_US)
        self.first = Histogram(LATENCY_US)
        self.overhead = Histogram(OVERHEAD_US)

    def add(self, input: int, output: int, cost_nusd: int, total_us: int, overhead_us: int, first_us: int | None) -> None:
        """One call. `first_us` is None where the client got no reply."""
        self.calls += 1
        self.input += input
        self.output += output
        self.cost_nusd += cost_nusd
        histogram = self.latency
        histogram.counts[bisect_left(LATENCY_US, total_us)] += 1
        histogram.total += total_us
        histogram = self.overhead
        histogram.counts[bisect_left(OVERHEAD_US, overhead_us)] += 1
        histogram.total += overhead_us
        if first_us is not None:
            histogram = self.first
            histogram.counts[bisect_left(LATENCY_US, first_us)] += 1
            histogram.total += first_us

    def add_tokens(self, input: int, output: int, cost_nusd: int) -> None:
        """Of a part of a call, which is counted by itself."""
        self.input += input
        self.output += output
        self.cost_nusd += cost_nusd


class Metrics:
    """`gauges` are read at scrape time: name -> (help, reader)."""

    def __init__(self) -> None:
        self.series: dict[tuple[str, str, str], CallSeries] = {}
        self.attempts: dict[tuple[str, str], int] = {}
        self.gauges: dict[str, tuple[str, Callable[[], float]]] = {}

    def calls(self, route: str, target: str, outcome: str) -> CallSeries:
        """Labels are names from the configuration; past MAX_SERIES (a client inventing names) all share one."""
        key = (route, target, outcome)
        series = self.series.get(key)
        if series is None:
            if len(self.series) >= MAX_SERIES:
                key = ("other", "other", outcome)
            series = self.series.setdefault(key, CallSeries())
        return series

    def failed_attempt(self, target: str, reason: str) -> None:
        self.attempts[target, reason] = self.attempts.get((target, reason), 0) + 1

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        yield from self._call_metrics()
        attempts = CounterMetricFamily("freehold_failed_attempts", "Tries at a target that failed.", labels=("target", "reason"))
        for labels, n in self.attempts.items():
            attempts.add_metric(labels, n)
        yield attempts
        for name, (text, read) in self.gauges.items():
            yield GaugeMetricFamily(name, text, value=read())

    def _call_metrics(self) -> Iterable[Metric]:
        from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

        labels = ("route", "target", "outcome")
        calls = CounterMetricFamily("freehold_calls", "Finished calls.", labels=labels)
        tokens = CounterMetricFamily("freehold_tokens", "Tokens, by direction.", labels=(*labels, "direction"))
        cost = CounterMetricFamily("freehold_cost_usd", "Cost in US dollars.", labels=labels)
        latency = HistogramMetricFamily("freehold_call_seconds", "Whole call.", labels=labels)
        first = HistogramMetricFamily("freehold_first_byte_seconds", "Until the client's first byte.", labels=labels)
        overhead = HistogramMetricFamily("freehold_overhead_seconds", "Call without waiting for the target.", labels=labels)
        for key, s in self.series.items():
            calls.add_metric(key, s.calls)
            tokens.add_metric((*key, "input"), s.input)
            tokens.add_metric((*key, "output"), s.output)
            cost.add_metric(key, s.cost_nusd / 1e9)
            for family, histogram in ((latency, s.latency), (first, s.first), (overhead, s.overhead)):
                family.add_metric(key, histogram.buckets(), histogram.total / 1e6)
        return calls, tokens, cost, latency, first, overhead

    def render(self) -> bytes:
        """Prometheus text format 0.0.4, with this process's CPU and memory."""
        from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        ProcessCollector(registry=registry)
        return generate_latest(registry)
