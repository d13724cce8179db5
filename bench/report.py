"""From samples to medians, ratios within a round, verdicts on the bounds, and the tables that are printed."""

from __future__ import annotations

import platform
import sysconfig
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

from bench.scenarios import FROM, SCENARIOS, TO, Sample

Unit = Literal["call", "piece"]
Verdict = Literal["ok", "OVER", "skipped", "FAULTY"]


@dataclass(frozen=True)
class Ratio:
    """CPU of one measurement over another's, by call or by piece. `bound` None: for information."""

    title: str
    of: tuple[str, str]  # scenario, candidate
    to: tuple[str, str]
    bound: float | None = None
    unit: Unit = "call"


@dataclass(frozen=True)
class Value:
    """A figure of Freehold's own that has a bound."""

    title: str
    name: str
    unit: str
    bound: float


RATIOS = (
    Ratio("PASS 1 KB: freehold / nginx", ("pass-1k", "freehold"), ("pass-1k", "nginx"), 3.5),
    Ratio("PASS 1 KB: freehold / ferrogw", ("pass-1k", "freehold"), ("pass-1k", "ferrogw"), 0.3),
    Ratio("20 KB body / 1 KB body", ("pass-20k", "freehold"), ("pass-1k", "freehold"), 2.0),
    Ratio("TRANSLATE to an OpenAI model / PASS", ("to-openai", "freehold"), ("pass-1k", "freehold"), 2.5),
    Ratio("TRANSLATE to an Anthropic model / PASS", ("to-anthropic", "freehold"), ("pass-1k", "freehold"), 2.5),
    *(Ratio(f"{s.title} / PASS", (s.name, "freehold"), ("pass-1k", "freehold"), 2.5) for s in (*FROM, *TO)),
    Ratio("a piece 4 ms apart: freehold / nginx", ("stream", "freehold"), ("stream", "nginx"), 2.5, "piece"),
    Ratio("a piece 4 ms apart: freehold / ferrogw", ("stream", "freehold"), ("stream", "ferrogw"), None, "piece"),
    Ratio("a piece in a burst: freehold / nginx", ("burst", "freehold"), ("burst", "nginx"), None, "piece"),
    Ratio("TRANSLATE a piece to Anthropic / PASS", ("stream-to-openai", "freehold"), ("stream", "freehold"), None, "piece"),
    Ratio("TRANSLATE a piece to OpenAI / PASS", ("stream-to-anthropic", "freehold"), ("stream", "freehold"), None, "piece"),
    Ratio("PASS Anthropic / PASS OpenAI", ("pass-anthropic", "freehold"), ("pass-1k", "freehold")),
)
VALUES = (
    Value("start to first answer", "start_s", "s", 1.0),
    Value("RSS when idle, one worker", "idle_rss_mb", "MB", 80.0),
    Value("2,000 open streams, RSS growth for each", "stream_kb", "KB", 40.0),
)


@dataclass(frozen=True)
class Finding:
    """A figure against its bound: the median over rounds with the least and the greatest."""

    title: str
    verdict: Verdict | None  # None: no bound
    figures: tuple[float, ...]
    bound: float | None
    unit: str = ""

    def line(self) -> str:
        needed = "" if self.bound is None else f"needed <= {self.bound:g}{self.unit and ' ' + self.unit}"
        return f"  {self.verdict or '':8}{self.title:48}{spread(self.figures):>26} {self.unit:3} {needed}".rstrip()

    def as_dict(self) -> dict[str, Any]:
        middle = median(self.figures) if self.figures else None
        return {"title": self.title, "verdict": self.verdict, "median": middle, "rounds": self.figures, "bound": self.bound}


def judge(samples: Sequence[Sample], values: dict[str, list[float]], faulty: Iterable[str] = ()) -> list[Finding]:
    """Every ratio and value that can be told. A bound whose measurement is missing is `skipped`, never ok.

    `faulty`: names of values whose measurement went wrong (a stream broke...).
    """
    return [_ratio(ratio, samples) for ratio in RATIOS] + [_value(value, values, set(faulty)) for value in VALUES]


def _ratio(ratio: Ratio, samples: Sequence[Sample]) -> Finding:
    of, to = ({s.round: s for s in samples if (s.scenario, s.candidate) == side} for side in (ratio.of, ratio.to))
    figures = tuple(_cpu_us(of[n], ratio.unit) / _cpu_us(to[n], ratio.unit) for n in sorted(of) if n in to)
    clean = not any(s.problem for s in (*of.values(), *to.values()))
    return Finding(ratio.title, _verdict(figures, ratio.bound, clean), figures, ratio.bound)


def _value(value: Value, values: dict[str, list[float]], faulty: set[str]) -> Finding:
    figures = tuple(values.get(value.name, ()))
    return Finding(value.title, _verdict(figures, value.bound, value.name not in faulty), figures, value.bound, value.unit)


def _verdict(figures: tuple[float, ...], bound: float | None, clean: bool) -> Verdict | None:
    if not figures:
        return "skipped"
    if not clean:
        return "FAULTY"
    if bound is None:
        return None
    return "ok" if median(figures) <= bound else "OVER"


def _cpu_us(sample: Sample, unit: Unit) -> float:
    """Never 0: /proc counts CPU in ticks of 10 ms, and a ratio to nothing says nothing."""
    cpu = sample.cpu_us_per_piece if unit == "piece" else sample.cpu_us_per_call
    return max(cpu or 0.0, 1e-3)


def spread(figures: Sequence[float]) -> str:
    """`median (least-greatest)` in three significant digits."""
    if not figures:
        return "-"
    middle, least, greatest = (f"{x:.0f}" if x >= 100 else f"{x:.3g}" for x in (median(figures), min(figures), max(figures)))
    return middle if len(figures) == 1 else f"{middle} ({least}-{greatest})"


def table(samples: Sequence[Sample]) -> str:
    lines = [
        f"{'':12}{'CPU us/call':>22}{'us/piece':>20}{'calls/s':>10}{'p50 ms':>9}{'p99 ms':>9}"
        f"{'piece p50':>11}{'p99 ms':>9}{'RSS MB':>8}{'core':>6}{'tools':>7}"
    ]
    for scenario in SCENARIOS:
        rows = [s for s in samples if s.scenario == scenario.name]
        if rows:
            lines.append(f"{scenario.title}  [{scenario.name}]")
        names = dict.fromkeys(s.candidate for s in rows)
        lines += [_row(name, [s for s in rows if s.candidate == name]) for name in names]
    return "\n".join(lines)


def _row(name: str, rows: Sequence[Sample]) -> str:
    def middle(field: str) -> float:
        return float(median(getattr(s, field) for s in rows))

    pieces = [s.cpu_us_per_piece for s in rows if s.cpu_us_per_piece is not None]
    delays = f"{middle('piece_p50_ms'):>11.2f}{middle('piece_p99_ms'):>9.2f}" if pieces else f"{'-':>11}{'-':>9}"
    return (
        f"  {name:10}{spread([s.cpu_us_per_call for s in rows]):>22}{spread(pieces):>20}{middle('calls_per_s'):>10,.0f}"
        f"{middle('p50_ms'):>9.2f}{middle('p99_ms'):>9.2f}{delays}{middle('rss_mb'):>8.0f}"
        f"{middle('core_busy'):>6.0%}{middle('tools_busy'):>7.0%}"
    )


def machine(cores: tuple[int, int], build: str) -> str:
    """What it ran on, what of Freehold (`build`), and whether the two cores are halves of one (then they slow each other)."""
    model = "unknown CPU"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    siblings = Path(f"/sys/devices/system/cpu/cpu{cores[0]}/topology/thread_siblings_list")
    shared = siblings.exists() and str(cores[1]) in siblings.read_text().replace("-", ",").split(",")
    note = "; the two cores are threads of ONE physical core: compare ratios only" if shared else ""
    system = f"Linux {platform.release()}, {interpreter(str(sysconfig.get_config_var('CONFIG_ARGS') or ''))}"
    return f"{build}; {model}, {system}; candidates on core {cores[0]}, tools on {cores[1]}{note}"


def interpreter(configured: str) -> str:
    """The interpreter, and which of the two optimizations that distributions build theirs with (`configured`) it has."""
    options = [name for name, flag in (("PGO", "--enable-optimizations"), ("LTO", "--with-lto")) if flag in configured]
    return f"Python {platform.python_version()} built {'with ' + ' and '.join(options) if options else 'without PGO and LTO'}"
