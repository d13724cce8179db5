"""A slice of `make fuzz` in every test run: the same cases each time, at most 30 seconds of them."""

from __future__ import annotations

import subprocess
import sys

from tests.traffic import ROOT, needs_traffic


@needs_traffic
def test_nothing_found_in_a_slice() -> None:
    command = [sys.executable, "-m", "tests.fuzz", "--seconds", "30", "--cases", "50000"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-6000:]}"
