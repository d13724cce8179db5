"""The verdicts: ratios are formed within a round, and only a clean measurement under its bound is ok."""

from __future__ import annotations

import pytest

from bench.report import RATIOS, VALUES, Finding, interpreter, judge, spread
from bench.scenarios import SCENARIOS, Sample


def sample(candidate: str, number: int, cpu_us: float, scenario: str = "pass-1k", problem: str = "") -> Sample:
    return Sample(
        scenario=scenario,
        candidate=candidate,
        round=number,
        calls=1000,
        pieces=50_000,
        cpu_us_per_call=cpu_us,
        cpu_us_per_piece=cpu_us / 50,
        calls_per_s=1000.0,
        p50_ms=1.0,
        p99_ms=2.0,
        piece_p50_ms=None,
        piece_p99_ms=None,
        rss_mb=50.0,
        core_busy=0.9,
        tools_busy=0.2,
        problem=problem,
    )


def finding(
    title: str, samples: list[Sample], values: dict[str, list[float]] | None = None, faulty: tuple[str, ...] = ()
) -> Finding:
    return next(f for f in judge(samples, values or {}, faulty) if f.title == title)


NGINX = "PASS 1 KB: freehold / nginx"
START = "start to first answer"


def test_a_ratio_compares_measurements_of_the_same_round() -> None:
    # The machine was twice as slow in round 1: the ratio does not show it, medians over all rounds would.
    samples = [sample("freehold", 0, 60), sample("nginx", 0, 20), sample("freehold", 1, 120), sample("nginx", 1, 40)]
    assert finding(NGINX, samples).figures == (3.0, 3.0)


def test_a_round_without_the_other_candidate_gives_no_ratio() -> None:
    samples = [sample("freehold", 0, 60), sample("nginx", 0, 20), sample("freehold", 1, 600)]
    assert finding(NGINX, samples).figures == (3.0,)


@pytest.mark.parametrize(("cpu_us", "verdict"), [(70.0, "ok"), (70.1, "OVER")])
def test_a_bound_is_met_up_to_and_including_its_value(cpu_us: float, verdict: str) -> None:
    assert finding(NGINX, [sample("freehold", 0, cpu_us), sample("nginx", 0, 20)]).verdict == verdict


def test_an_absent_candidate_is_skipped_and_not_ok() -> None:
    assert finding(NGINX, [sample("freehold", 0, 1)]).verdict == "skipped"
    assert finding(START, []).verdict == "skipped"


def test_a_measurement_with_bad_answers_is_faulty_however_cheap() -> None:
    samples = [sample("freehold", 0, 1, problem="3 answers were not 200"), sample("nginx", 0, 20)]
    assert finding(NGINX, samples).verdict == "FAULTY"
    assert finding(START, [], {"start_s": [0.1]}, faulty=("start_s",)).verdict == "FAULTY"


def test_streams_are_compared_by_the_piece() -> None:
    one, other = sample("freehold", 0, 1000, "stream"), sample("nginx", 0, 500, "stream")
    assert finding("a piece 4 ms apart: freehold / nginx", [one, other]).figures == (2.0,)


def test_every_ratio_names_scenarios_that_exist() -> None:
    names = {s.name for s in SCENARIOS}
    assert {side[0] for ratio in RATIOS for side in (ratio.of, ratio.to)} <= names


def test_the_bounds_are_those_that_the_project_promises() -> None:
    promised = {r.title: r.bound for r in RATIOS if r.bound is not None} | {v.title: v.bound for v in VALUES}
    clients, models = ("Responses", "Gemini", "Bedrock", "Cohere", "Ollama", "Completions"), ("Responses", "Gemini", "Bedrock")
    translated = [f"TRANSLATE, {name} client, OpenAI model / PASS" for name in clients]
    translated += [f"TRANSLATE, OpenAI client, {name} model / PASS" for name in (*models, "Cohere", "Ollama")]
    assert promised == dict.fromkeys(translated, 2.5) | {
        "PASS 1 KB: freehold / nginx": 3.5,
        "PASS 1 KB: freehold / ferrogw": 0.3,
        "20 KB body / 1 KB body": 2.0,
        "TRANSLATE to an OpenAI model / PASS": 2.5,
        "TRANSLATE to an Anthropic model / PASS": 2.5,
        "a piece 4 ms apart: freehold / nginx": 2.5,
        "start to first answer": 1.0,
        "RSS when idle, one worker": 80.0,
        "2,000 open streams, RSS growth for each": 40.0,
    }


def test_a_spread_shows_median_least_and_greatest() -> None:
    assert spread([3.0, 1.0, 2.0]) == "2 (1-3)"
    assert spread([123.4]) == "123"
    assert spread([]) == "-"


BUILDS = {
    "": "without PGO and LTO",
    "'--enable-optimizations'": "with PGO",
    "'--enable-optimizations' '--with-lto'": "with PGO and LTO",
}


@pytest.mark.parametrize("configured", BUILDS)
def test_the_head_says_how_the_interpreter_was_built(configured: str) -> None:
    assert interpreter(configured).endswith(f" built {BUILDS[configured]}")
