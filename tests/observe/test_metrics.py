from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from freehold.observe import metrics as module
from freehold.observe.metrics import CallSeries, Metrics


def test_histogram_buckets_are_cumulative_and_include_their_bound() -> None:
    series = CallSeries()
    for total_us in (4_000, 5_000, 9_000, 900_000_000):
        series.add(0, 0, 0, total_us, 0, None)
    buckets = dict(series.latency.buckets())
    assert (buckets["0.005"], buckets["0.01"], buckets["300.0"], buckets["+Inf"]) == (2.0, 3.0, 3.0, 4.0)
    assert dict(series.first.buckets())["+Inf"] == 0  # no client was answered


def test_rendered_text_has_the_numbers() -> None:
    metrics = Metrics()
    series = metrics.calls("fast", "lab/m", "ok")
    series.add(10, 5, 500_000, 200_000, 90, 150_000)
    series.add(20, 5, 1_000_000, 200_000, 90, 150_000)
    metrics.failed_attempt("lab/m", "upstream_timeout")
    metrics.gauges["freehold_active_calls"] = ("Calls under way.", lambda: 7)
    text = metrics.render().decode()
    labels = 'outcome="ok",route="fast",target="lab/m"'
    assert f"freehold_calls_total{{{labels}}} 2.0" in text
    assert f'freehold_tokens_total{{direction="input",{labels}}} 30.0' in text
    assert f'freehold_tokens_total{{direction="output",{labels}}} 10.0' in text
    assert f"freehold_cost_usd_total{{{labels}}} 0.0015" in text
    assert f"freehold_call_seconds_sum{{{labels}}} 0.4" in text
    assert f"freehold_first_byte_seconds_sum{{{labels}}} 0.3" in text
    assert f'freehold_overhead_seconds_bucket{{le="0.0001",{labels}}} 2.0' in text
    assert 'freehold_failed_attempts_total{reason="upstream_timeout",target="lab/m"} 1.0' in text
    assert "freehold_active_calls 7.0" in text
    assert "process_resident_memory_bytes" in text


def test_names_that_clients_invent_cannot_grow_the_series() -> None:
    metrics = Metrics()
    for n in range(module.MAX_SERIES + 100):
        metrics.calls(f"lab/{n}", "t", "ok").calls += 1
    assert len(metrics.series) == module.MAX_SERIES + 1
    assert metrics.series["other", "other", "ok"].calls == 100


def test_nor_can_they_grow_the_failed_attempts() -> None:
    metrics = Metrics()
    for n in range(module.MAX_SERIES + 100):
        metrics.failed_attempt(f"lab/{n}", "upstream_refused")
    assert len(metrics.attempts) == module.MAX_SERIES + 1
    assert metrics.attempts["other", "upstream_refused"] == 100


def test_the_text_is_what_a_scraper_reads() -> None:
    metrics = Metrics()
    metrics.calls('a"b\\c\nd', "lab/m", "ok").add(3, 4, 5_000_000, 6_000, 70, 800)
    metrics.failed_attempt("lab/m", "upstream_timeout")
    families = {family.name: family for family in text_string_to_metric_families(metrics.render().decode())}
    calls = families["freehold_calls"].samples[0]
    assert (calls.labels, calls.value) == ({"route": 'a"b\\c\nd', "target": "lab/m", "outcome": "ok"}, 1.0)
    buckets = [s for s in families["freehold_call_seconds"].samples if s.name.endswith("_bucket")]
    assert [s.value for s in buckets if s.labels["le"] in ("0.005", "0.01", "+Inf")] == [0.0, 1.0, 1.0]
    assert families["freehold_failed_attempts"].samples[0].labels == {"target": "lab/m", "reason": "upstream_timeout"}
    assert families["process_cpu_seconds"].samples[0].value > 0


def test_a_part_of_a_call_adds_its_tokens_and_is_no_call() -> None:
    series = CallSeries()
    series.add_tokens(3, 2, 7)
    assert (series.calls, series.input, series.output, series.cost_nusd, series.latency.total) == (0, 3, 2, 7, 0)
