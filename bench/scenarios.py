"""What is measured: the scenarios, and one measurement of one candidate in one of them."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypedDict
from urllib.request import urlopen

from bench.calls import Call
from bench.candidates import Candidate, Failed
from bench.shapes import Dialect

WARM_UP_S = 0.3
SAMPLE_MEMORY_S = 0.1


class Pace(TypedDict):
    connections: int
    ramp_s: float
    delay_us: int


@dataclass(frozen=True)
class Scenario:
    """Calls are made by `connections` clients; `rate` 0 is a closed loop, else that many calls a second, open loop.

    `delay_us` and `pieces` pace a streamed answer. `only`: the candidates that take part (empty: all that can).
    """

    name: str
    title: str
    call: Call
    connections: int = 32
    rate: float = 0
    ramp_s: float = 0
    delay_us: int = 0
    pieces: int = 50
    only: tuple[str, ...] = ()
    at_most_s: float = 60.0  # of one measurement

    def takes(self, candidate: Candidate) -> bool:
        return candidate.serves(self.call) and (not self.only or candidate.name in self.only)


_OWN = ("freehold",)
# 64 streams are 16,000 pieces a second: enough that wake-ups of an idle core don't hide the work, and (on any machine that
# this ran on) less than saturates a candidate, whose reads would then hold several pieces each.
_APART: Pace = {"connections": 64, "ramp_s": 0.2, "delay_us": 4000}
# The other dialects, each as a client's and as a model's: what Freehold alone does, held against PASS of the same round.
_NAMES: dict[Dialect, str] = {
    "responses": "Responses",
    "gemini": "Gemini",
    "bedrock": "Bedrock",
    "cohere": "Cohere",
    "ollama": "Ollama",
    "completions": "Completions",
}
FROM = tuple(
    Scenario(f"from-{dialect}", f"TRANSLATE, {name} client, OpenAI model", Call(dialect, "openai"), only=_OWN, at_most_s=2)
    for dialect, name in _NAMES.items()
)
TO = tuple(
    Scenario(f"to-{dialect}", f"TRANSLATE, OpenAI client, {name} model", Call("openai", dialect), only=_OWN, at_most_s=2)
    for dialect, name in _NAMES.items()
    if dialect != "completions"  # Freehold has no such providers
)
SCENARIOS = (
    Scenario("pass-1k", "PASS, 1 KB body, whole reply", Call()),
    Scenario("pass-20k", "PASS, 20 KB body", Call(body_bytes=20_000), only=("freehold", "nginx")),
    Scenario("pass-anthropic", "PASS, 1 KB, Anthropic", Call("anthropic", "anthropic"), only=_OWN),
    Scenario("to-openai", "TRANSLATE, Anthropic client, OpenAI model", Call("anthropic", "openai"), only=_OWN),
    Scenario("to-anthropic", "TRANSLATE, OpenAI client, Anthropic model", Call("openai", "anthropic"), only=_OWN),
    *FROM,
    *TO,
    Scenario("stream", "SSE, 50 pieces 4 ms apart", Call(stream=True), **_APART),
    Scenario("burst", "SSE, 50 pieces in one write", Call(stream=True)),
    Scenario(
        "stream-to-openai", "SSE 4 ms, TRANSLATE, Anthropic client", Call("anthropic", "openai", stream=True), only=_OWN, **_APART
    ),
    Scenario(
        "stream-to-anthropic", "SSE 4 ms, TRANSLATE, OpenAI client", Call("openai", "anthropic", stream=True), only=_OWN, **_APART
    ),
    Scenario("paced", "PASS, 1 KB, 300 calls a second", Call(), rate=300),
)
OPEN_STREAMS = Scenario(
    "open-streams",
    "2,000 open streams, 200 ms a piece",
    Call(stream=True),
    connections=2000,
    ramp_s=3,
    delay_us=200_000,
    pieces=40,
)


@dataclass(frozen=True)
class Sample:
    """One measurement. CPU covers every call and piece, those after the window too; rates only what ended within it."""

    scenario: str
    candidate: str
    round: int
    calls: int
    pieces: int
    cpu_us_per_call: float
    cpu_us_per_piece: float | None
    calls_per_s: float
    p50_ms: float
    p99_ms: float
    piece_p50_ms: float | None  # from the upstream's write to the client's read
    piece_p99_ms: float | None
    rss_mb: float
    core_busy: float  # the candidate's CPU over wall time, 0 to 1
    tools_busy: float  # that of the load generator, on the other core beside the upstream
    problem: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Bench:
    """The tools of one run: upstream, load generator, a scratch folder."""

    def __init__(self, upstream: Candidate, loadgen: Path, folder: Path) -> None:
        self.upstream = upstream
        self._loadgen = loadgen
        self._folder = folder

    def pace(self, scenario: Scenario) -> None:
        url = f"http://127.0.0.1:{self.upstream.port}/pace/{scenario.delay_us}/{scenario.pieces}"
        with urlopen(url, data=b"", timeout=5) as reply:
            reply.read()

    def check(self, candidate: Candidate, scenario: Scenario) -> None:
        """Raises Failed unless the candidate's answer says what the upstream, asked directly, says."""
        self.pace(scenario)
        call = scenario.call
        direct = self.upstream.ask(Call(call.upstream, call.upstream, call.body_bytes, call.stream))
        try:
            answer = candidate.ask(call)
        except OSError as error:
            raise Failed(f"{candidate.name} gave no answer in {scenario.name!r}: {error!r}") from error
        if answer != direct or direct.problem:
            raise Failed(f"{candidate.name} answers wrongly in {scenario.name!r}:\n  got    {answer}\n  direct {direct}")

    def load(
        self, candidate: Candidate, scenario: Scenario, seconds: float, *, meanwhile: Callable[[], None] | None = None
    ) -> dict[str, Any]:
        """Run the load generator on our own core, return its report. `meanwhile` is called every SAMPLE_MEMORY_S."""
        request = self._folder / f"{candidate.name}-{scenario.name}.request"
        request.write_bytes(candidate.wire(scenario.call))
        options = {"-c": scenario.connections, "-t": seconds, "-r": scenario.rate, "-w": min(scenario.ramp_s, seconds)}
        command = [str(self._loadgen), *(str(part) for option in options.items() for part in option)]
        command += [str(candidate.port), str(request)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
            while meanwhile is not None and running.poll() is None:
                meanwhile()
                time.sleep(SAMPLE_MEMORY_S)
            out, err = running.communicate(timeout=seconds + 60)
        if running.returncode != 0:
            raise Failed(f"the load generator failed on {candidate.name}, {scenario.name!r}: {err.decode().strip()}")
        report: dict[str, Any] = json.loads(out)
        candidate.answered += report["ok"]
        return report

    def measure(self, candidate: Candidate, scenario: Scenario, number: int, seconds: float) -> Sample:
        """Warm up, then measure for `seconds`. Raises Failed when nothing at all is answered."""
        self.pace(scenario)
        self.load(candidate, scenario, WARM_UP_S)
        cpu, began = candidate.process.cpu_s(), time.monotonic()
        report = self.load(candidate, scenario, min(seconds, scenario.at_most_s))
        cpu, wall = candidate.process.cpu_s() - cpu, time.monotonic() - began
        if not report["ok"]:
            raise Failed(f"{candidate.name} answered no call in {scenario.name!r}: {report}")
        latency, piece = report["latency"], report["piece"]
        return Sample(
            scenario=scenario.name,
            candidate=candidate.name,
            round=number,
            calls=report["ok"],
            pieces=piece["n"],
            cpu_us_per_call=cpu * 1e6 / report["ok"],
            cpu_us_per_piece=cpu * 1e6 / piece["n"] if piece["n"] else None,
            calls_per_s=report["per_second"],
            p50_ms=latency["p50"] / 1000,
            p99_ms=latency["p99"] / 1000,
            piece_p50_ms=piece["p50"] / 1000 if piece["n"] else None,
            piece_p99_ms=piece["p99"] / 1000 if piece["n"] else None,
            rss_mb=candidate.process.rss_bytes() / 1e6,
            core_busy=cpu / wall,
            tools_busy=report["cpu_seconds"] / wall,
            problem=_problem(report, scenario),
        )

    def open_streams(self, candidate: Candidate) -> tuple[float, float, str]:
        """Hold 2,000 slow streams open at once. Returns RSS growth in KB a stream, RSS in MB at its height, and a problem."""
        self.pace(OPEN_STREAMS)
        before = candidate.process.rss_bytes()
        highest: list[int] = [before]
        report = self.load(
            candidate, OPEN_STREAMS, OPEN_STREAMS.ramp_s, meanwhile=lambda: highest.append(candidate.process.rss_bytes())
        )
        growth = max(highest) - before
        return growth / 1000 / OPEN_STREAMS.connections, max(highest) / 1e6, _problem(report, OPEN_STREAMS)


def _problem(report: dict[str, Any], scenario: Scenario) -> str:
    found = []
    if report["refused"]:
        found.append(f"{report['refused']} answers were not 200 (the first: {report['first_refusal']})")
    if report["broken"]:
        found.append(f"{report['broken']} connections broke under a call")
    if report["unfinished"]:
        found.append(f"{report['unfinished']} calls never ended")
    wanted = scenario.pieces * report["ok"] if scenario.call.stream else 0
    if report["piece"]["n"] != wanted and not found:
        found.append(f"{report['piece']['n']} pieces of {wanted} came")
    return "; ".join(found)


def take_ledger(data: Path, *, all_segments: bool) -> int:
    """How many good and priced calls the spool's segments hold. Closed segments are removed (a run writes a gigabyte); the
    one being written stays, and is counted only with `all_segments`."""
    good = 0
    segments = sorted((data / "spool").glob("*.jsonl"))
    begun = [segment for segment in segments if not _starts_empty(segment)]  # the next one is made ahead of need
    for segment in begun if all_segments else begun[:-1]:
        lines = segment.read_bytes()
        good += min(lines.count(b'"outcome":"ok"'), lines.count(b'"cost_nusd":'))
        if segment != begun[-1]:
            segment.unlink()
    return good


def _starts_empty(segment: Path) -> bool:
    with segment.open("rb") as file:
        return file.read(1) in (b"", b"\0")
