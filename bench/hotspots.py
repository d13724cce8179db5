"""Where the running gateway spends its CPU under one scenario's load: by function and line.

    python bench/hotspots.py [--only pass-1k] [--seconds 4] [--how sample|calls|perf]

`sample` (default): a sample every millisecond of CPU, little distortion. `calls`: cProfile, for counts of calls; its times
flatter C code. `perf`: Linux perf on the whole process, for what happens inside C and the kernel.
(Not called profile.py: that name would hide the standard library's, which cProfile imports.)
"""

from __future__ import annotations

import argparse
import io
import json
import os
import pstats
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import processes
from bench.candidates import FOLDER, Candidate, Failed, start_freehold, start_upstream
from bench.run import compile_tools, say
from bench.scenarios import SCENARIOS, Bench, Scenario

SHOWN = 40
TITLES = {
    "functions": "functions, by their own time",
    "lines": "lines, by their own time",
    "within": "functions, with all they call",
}


def main() -> int:
    options = arguments()
    scenario = next(s for s in SCENARIOS if s.name == options.only)
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[-1]})
    processes.stop_all_at_exit()
    folder = Path(tempfile.mkdtemp(prefix="freehold-hotspots-"))
    try:
        compile_tools(folder)
        upstream = start_upstream(folder / "upstream", cores[-1], folder / "upstream.log")
        bench = Bench(upstream, folder / "loadgen", folder)
        print(watch(bench, scenario, cores[0], folder, options))
    except Failed as error:
        say(str(error))
        return 2
    finally:
        processes.stop_all()
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def watch(bench: Bench, scenario: Scenario, core: int, folder: Path, options: argparse.Namespace) -> str:
    """Run the load with the chosen observer on. Returns its findings as text."""
    out = folder / "observed"
    python = {
        "sample": [sys.executable, str(FOLDER / "sampler.py"), str(out)],
        "calls": [sys.executable, "-m", "cProfile", "-o", str(out), "-m", "freehold"],
        "perf": [sys.executable, "-m", "freehold"],
    }[options.how]
    freehold = start_freehold(bench.upstream.port, core, folder, python)
    bench.check(freehold, scenario)
    if options.how == "perf":
        return _perf(bench, freehold, scenario, out, options.seconds)
    if options.how == "sample":
        os.kill(freehold.process.pid, signal.SIGUSR1)  # forget the start
    sample = bench.measure(freehold, scenario, 0, options.seconds)
    freehold.process.stop(patience_s=30)
    if not out.exists():
        raise Failed(f"nothing was observed; the log ends:\n{freehold.process.last_words()}")
    head = (
        f"{scenario.title}: {sample.calls} calls, {sample.cpu_us_per_call:.1f} us of CPU each while observed {sample.problem}\n"
    )
    return head + (_samples(out) if options.how == "sample" else _calls(out))


def _samples(out: Path) -> str:
    found = json.loads(out.read_text())
    total = max(1, found["samples"])
    lines = []
    for key, title in TITLES.items():
        # What is in nearly every sample is only how the program was started.
        shares = [(count / total, name) for name, count in found[key] if count < 0.97 * total]
        lines += ["", title, *(f"{share:7.1%}  {name}" for share, name in shares[:SHOWN])]
    return "\n".join(lines)


def _calls(out: Path) -> str:
    text = io.StringIO()
    pstats.Stats(str(out), stream=text).sort_stats("tottime").print_stats(SHOWN)
    return text.getvalue()


def _perf(bench: Bench, freehold: Candidate, scenario: Scenario, out: Path, seconds: float) -> str:
    program = shutil.which("perf")
    if program is None:
        raise Failed("no perf here: install the Debian package linux-perf, or use --how sample")
    command = [program, "record", "-q", "-F", "2000", "-o", str(out), "-p", str(freehold.process.pid)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as recording:
        bench.measure(freehold, scenario, 0, seconds)
        recording.terminate()
        errors = recording.communicate(timeout=30)[1].decode()
    report = [program, "report", "-i", str(out), "--stdio", "--no-children", "--percent-limit", "0.4", "--sort", "dso,symbol"]
    said = subprocess.run(report, capture_output=True, text=True)
    if said.returncode != 0:
        raise Failed(f"perf gave no report: {errors or said.stderr}")
    return "\n".join(line for line in said.stdout.splitlines() if line.strip() and not line.startswith("#"))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default=SCENARIOS[0].name, choices=[s.name for s in SCENARIOS])
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--how", default="sample", choices=["sample", "calls", "perf"])
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
