"""`make bench`: what a call costs through Freehold, nginx and ferrogw, side by side in one run.

Candidates take turns within each round, so that noise of the machine meets them alike; ratios are formed within a round.
Exit status: 0 every bound met, 1 a bound missed or not measured, 2 the run was refused because a candidate or a tool
does not work as it must.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import processes, report
from bench.candidates import FOLDER, STARTS, Absent, Candidate, Failed, start_freehold, start_upstream
from bench.scenarios import OPEN_STREAMS, SCENARIOS, Bench, Sample, Scenario, take_ledger
from bench.wrk import second_opinion

ROOT = FOLDER.parent
BUSY_LOAD = 0.7  # more than a machine at rest shows


@dataclass
class Run:
    """One run's means and what it has found so far."""

    bench: Bench
    folder: Path
    core: int
    upstream_port: int
    candidates: list[Candidate] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    values: dict[str, list[float]] = field(default_factory=dict)
    faulty: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    in_ledger: int = 0

    def scratch(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self.folder))

    def start_candidates(self, names: list[str]) -> None:
        for name in names:
            try:
                self.candidates.append(STARTS[name](self.upstream_port, self.core, self.scratch()))
                say(f"{name} answers after {self.candidates[-1].started_s:.2f} s")
            except Absent as absent:
                self.notes.append(f"{name} skipped: {absent}")
                say(self.notes[-1])

    def check_all(self, scenarios: list[Scenario]) -> None:
        for scenario in scenarios:
            for candidate in filter(scenario.takes, self.candidates):
                self.bench.check(candidate, scenario)

    def round(self, number: int, scenarios: list[Scenario], seconds: float) -> None:
        for scenario in scenarios:
            takers = [c for c in self.candidates if scenario.takes(c)]
            turn = number % len(takers) if takers else 0
            for candidate in takers[turn:] + takers[:turn]:
                sample = self.bench.measure(candidate, scenario, number, seconds)
                self.samples.append(sample)
                if sample.problem:
                    self.notes.append(f"round {number + 1}, {scenario.name}, {candidate.name}: {sample.problem}")
                if candidate.data is not None:
                    self.in_ledger += take_ledger(candidate.data, all_segments=False)
            say(f"round {number + 1}: {scenario.title}: " + _rates(self.samples[-len(takers) :] if takers else []))

    def fresh_start(self) -> None:
        """Start to first answer, and what one worker weighs when it has nothing to do."""
        candidate = start_freehold(self.upstream_port, self.core, self.scratch())
        time.sleep(1)
        self.values.setdefault("start_s", []).append(candidate.started_s)
        self.values.setdefault("idle_rss_mb", []).append(candidate.process.rss_bytes() / 1e6)
        candidate.process.stop()

    def open_streams(self) -> None:
        """Each candidate anew: memory that an earlier load left behind would hide the growth."""
        for name in [c.name for c in self.candidates]:
            candidate = STARTS[name](self.upstream_port, self.core, self.scratch())
            each_kb, height_mb, problem = self.bench.open_streams(candidate)
            candidate.process.stop()
            self.notes.append(f"{OPEN_STREAMS.title}: {name} {each_kb:.1f} KB each, {height_mb:.0f} MB in all {problem}".strip())
            say(self.notes[-1])
            if name == "freehold":
                self.values.setdefault("stream_kb", []).append(each_kb)
                self.faulty |= {"stream_kb"} if problem else set()

    def check_ledger(self) -> None:
        """Cheap calls that were not recorded would not be comparable: every good answer must be in the ledger."""
        for candidate in self.candidates:
            if candidate.data is not None:
                held = self.in_ledger + take_ledger(candidate.data, all_segments=True)
                if held != candidate.answered:
                    raise Failed(f"{candidate.name} answered {candidate.answered:,} calls and its ledger holds {held:,}")
                self.notes.append(f"ledger: all {held:,} calls that {candidate.name} answered are in it")


def main() -> int:
    options = arguments()
    scenarios = [s for s in SCENARIOS if options.wants(s.name)]
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) < 2:
        say("this benchmark needs Linux and two cores: one for the candidate, one for its clients and its upstream")
        return 2
    os.sched_setaffinity(0, {cores[1]})
    processes.stop_all_at_exit()
    folder = Path(tempfile.mkdtemp(prefix="freehold-bench-"))
    try:
        build = prepare(folder, pure=options.pure)
        run = measure(folder, (cores[0], cores[1]), scenarios, options)
    except (Failed, Absent) as error:
        say(f"refused: {error}")
        return 2
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    finally:
        processes.stop_all()
        shutil.rmtree(folder, ignore_errors=True)
    return conclude(run, report.machine((cores[0], cores[1]), build), options.json)


def prepare(folder: Path, pure: bool) -> str:
    """A copy of the sources as they are now, compiled unless `pure`, which every Freehold started from here runs.

    Returns what `freehold version` says of it. The checkout stays as it is.
    """
    tree = folder / "python"
    if pure or importlib.util.find_spec("mypyc") is None:
        shutil.copytree(ROOT / "src", tree, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    else:
        say("compiling Freehold (two minutes; --pure measures it as plain Python)")
        done = subprocess.run(
            [sys.executable, str(ROOT / "scripts" / "compile.py"), "--into", str(tree)], capture_output=True, text=True
        )
        if done.returncode != 0:
            raise Failed(f"Freehold does not compile:\n{done.stderr}")
    os.environ["PYTHONPATH"] = str(tree)
    version = [sys.executable, "-m", "freehold", "version"]
    return subprocess.run(version, capture_output=True, text=True, check=True).stdout.strip()


def measure(folder: Path, cores: tuple[int, int], scenarios: list[Scenario], options: argparse.Namespace) -> Run:
    tools = compile_tools(folder)
    upstream = start_upstream(tools / "upstream", cores[1], folder / "upstream.log")
    run = Run(Bench(upstream, tools / "loadgen", folder), folder, cores[0], upstream.port)
    if (busy := os.getloadavg()[0]) > BUSY_LOAD:
        run.notes.append(f"others use this machine (load average {busy:.1f}): figures are noisy, ratios less so")
        say(run.notes[-1])
    run.start_candidates(options.candidates)
    run.check_all(scenarios)
    for number in range(options.rounds):
        run.round(number, scenarios, options.seconds)
        if options.wants("start") and "freehold" in options.candidates:
            run.fresh_start()
    run.check_ledger()
    if options.wants(SCENARIOS[0].name):
        run.notes += second_opinion(run.candidates, folder, run.samples)
    for _ in range(min(options.rounds, 2) if options.wants(OPEN_STREAMS.name) else 0):
        run.open_streams()
    return run


def compile_tools(folder: Path) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise Absent("no C compiler here for the load generator and the upstream: install the Debian package gcc")
    for name in ("upstream", "loadgen"):
        command = [compiler, "-O2", "-std=gnu11", "-Wall", "-o", str(folder / name), str(FOLDER / f"{name}.c")]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise Failed(f"{' '.join(command)}:\n{done.stderr}")
    return folder


def conclude(run: Run, head: str, json_file: Path | None) -> int:
    findings = report.judge(run.samples, run.values, run.faulty)
    print(f"\n{head}\nMedians over rounds, least and greatest in brackets.\n")
    print(report.table(run.samples))
    print("\nRatios within a round, and figures with a bound:")
    print("\n".join(finding.line() for finding in findings))
    if run.notes:
        print("\nNotes:\n" + "\n".join(f"  {note}" for note in run.notes))
    if json_file is not None:
        content: dict[str, Any] = {
            "machine": head,
            "samples": [s.as_dict() for s in run.samples],
            "findings": [f.as_dict() for f in findings],
            "notes": run.notes,
        }
        json_file.write_text(json.dumps(content, indent=1) + "\n")
    return 0 if all(f.verdict == "ok" for f in findings if f.bound is not None) else 1


def arguments() -> argparse.Namespace:
    names = ", ".join([*(s.name for s in SCENARIOS), "start", OPEN_STREAMS.name])
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="default 5")
    parser.add_argument("--seconds", type=float, default=4, help="of each measurement, default 4")
    parser.add_argument(
        "--only", default="", metavar="NAMES", help=f"what has one of NAMES in its name, as in pass-1k,from-; there are: {names}"
    )
    parser.add_argument("--candidates", default=",".join(STARTS), metavar="NAMES", help="default %(default)s")
    parser.add_argument("--pure", action="store_true", help="measure Freehold as plain Python, not compiled")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample and finding there")
    options = parser.parse_args()
    if options.rounds < 1 or options.seconds < 0.5:
        parser.error(f"--rounds {options.rounds} --seconds {options.seconds:g}: at least 1 round of 0.5 s is needed")
    only = options.only.split(",")
    if unknown := [word for word in only if word not in names]:
        parser.error(f"--only {','.join(unknown)!r} names nothing; there are: {names}")
    options.wants = lambda name: any(word in name for word in only)
    options.candidates = options.candidates.split(",")
    if unknown := set(options.candidates) - set(STARTS):
        parser.error(f"--candidates: no {', '.join(sorted(unknown))}; there are: {', '.join(STARTS)}")
    return options


def _rates(samples: list[Sample]) -> str:
    return ", ".join(f"{s.candidate} {s.cpu_us_per_piece or s.cpu_us_per_call:.1f} us" for s in samples)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
