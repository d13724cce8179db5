"""Counters of this worker, kept as plain numbers and turned into Prometheus text only when somebody asks.

Updating costs about a microsecond a call; prometheus-client's own objects would cost five.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator

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
        key = (target, reason)
        if key not in self.attempts and len(self.attempts) >= MAX_SERIES:
            key = ("other", reason)
        self.attempts[key] = self.attempts.get(key, 0) + 1

    def render(self) -> bytes:
        """Prometheus text format 0.0.4, with this process's CPU and memory.

        Written here and not by prometheus-client: with MAX_SERIES it would hold up every call for two seconds.
        """
        from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

        registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=registry)
        lines = [*self._calls(), *self._attempts()]
        for name, (text, read) in self.gauges.items():
            lines += [*_head(name, text, "gauge"), f"{name} {float(read())}"]
        return "\n".join(lines).encode() + b"\n" + generate_latest(registry)

    def _calls(self) -> Iterator[str]:
        series = [(_labels(("route", "target", "outcome"), key), s) for key, s in self.series.items()]
        yield from _head("freehold_calls_total", "Finished calls.", "counter")
        yield from (f"freehold_calls_total{{{labels}}} {float(s.calls)}" for labels, s in series)
        yield from _head("freehold_tokens_total", "Tokens, by direction.", "counter")
        for labels, s in series:
            yield f'freehold_tokens_total{{direction="input",{labels}}} {float(s.input)}'
            yield f'freehold_tokens_total{{direction="output",{labels}}} {float(s.output)}'
        yield from _head("freehold_cost_usd_total", "Cost in US dollars.", "counter")
        yield from (f"freehold_cost_usd_total{{{labels}}} {s.cost_nusd / 1e9}" for labels, s in series)
        yield from _histograms("freehold_call_seconds", "Whole call.", [(x, s.latency) for x, s in series])
        yield from _histograms("freehold_first_byte_seconds", "Until the client's first byte.", [(x, s.first) for x, s in series])
        waited = [(x, s.overhead) for x, s in series]
        yield from _histograms("freehold_overhead_seconds", "Call without waiting for the target.", waited)

    def _attempts(self) -> Iterator[str]:
        yield from _head("freehold_failed_attempts_total", "Tries at a target that failed.", "counter")
        for key, n in self.attempts.items():
            yield f"freehold_failed_attempts_total{{{_labels(('reason', 'target'), key[::-1])}}} {float(n)}"


def _head(name: str, text: str, kind: str) -> tuple[str, str]:
    return f"# HELP {name} {text}", f"# TYPE {name} {kind}"


def _labels(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    """Sorted by name, values escaped as the format asks."""
    pairs = sorted(zip(names, values, strict=True))
    return ",".join([f'{n}="{v.translate(_ESCAPES)}"' for n, v in pairs])


_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


def _histograms(name: str, text: str, series: list[tuple[str, Histogram]]) -> Iterator[str]:
    yield from _head(name, text, "histogram")
    for labels, histogram in series:
        buckets = histogram.buckets()
        for bound, n in buckets:
            yield f'{name}_bucket{{le="{bound}",{labels}}} {n}'
        yield f"{name}_count{{{labels}}} {buckets[-1][1]}"
        yield f"{name}_sum{{{labels}}} {histogram.total / 1e6}"
