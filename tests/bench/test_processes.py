"""CPU and memory of a program with its descendants, and that nothing is left running."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from bench.processes import TICKS_PER_S, Process, family

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the benchmark's process control is for Linux")

CORE = min(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
BURN = "import time\nwhile time.process_time() < 0.3: pass\n"
# A parent that burns, with one child that has ended and one that lives; it reports the CPU that all three say they used.
FAMILY = f"""
import subprocess, sys, time
code = {BURN!r} + "print(time.process_time(), flush=True)\\n"
ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
lives = subprocess.Popen([sys.executable, "-c", code + "time.sleep(60)"], stdout=subprocess.PIPE, text=True)
line = lives.stdout.readline()
while time.process_time() < 0.3: pass
print("used", float(ended.stdout) + float(line) + time.process_time(), flush=True)
time.sleep(60)
"""


def wait_for(process: Process, word: str) -> str:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for line in process.log.read_text().splitlines():
            if line.startswith(word):
                return line
        time.sleep(0.01)
    raise AssertionError(f"no {word!r} in: {process.last_words()}")


def test_cpu_covers_descendants_that_live_and_that_have_ended(tmp_path: Path) -> None:
    process = Process([sys.executable, "-c", FAMILY], CORE, tmp_path / "log")
    try:
        used = float(wait_for(process, "used").split()[1])
        # /proc cuts user and system time, own and children's, to whole ticks: up to 4 a process are lost. And interpreters
        # use CPU after they have read their own clock.
        assert used - 8 / TICKS_PER_S <= process.cpu_s() <= used + 0.5
        assert process.rss_bytes() > 5_000_000
    finally:
        process.stop()


def test_stopping_leaves_no_descendant(tmp_path: Path) -> None:
    process = Process([sys.executable, "-c", FAMILY], CORE, tmp_path / "log")
    wait_for(process, "used")
    members = family(process.pid)
    process.stop()
    process.stop()  # and again, to no harm
    assert len(members) == 2
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and any(_runs(pid) for pid in members):
        time.sleep(0.01)
    assert not any(_runs(pid) for pid in members)
    assert not process.alive


def test_a_program_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    process = Process([sys.executable, "-c", stubborn], CORE, tmp_path / "log")
    wait_for(process, "up")
    process.stop(patience_s=0.1)
    assert not process.alive


def _runs(pid: int) -> bool:
    """Alive and not a zombie that waits for some other parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
