"""A second opinion on the load generator: Debian's wrk asks the same 1 KB call, and its rate is set beside ours."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from bench.candidates import Candidate
from bench.scenarios import SCENARIOS, Sample

_SECONDS = 2
_SCRIPT = """\
wrk.method = "POST"
wrk.body = io.open("{body}"):read("*a")
{headers}
"""


def second_opinion(candidates: Sequence[Candidate], folder: Path, samples: Sequence[Sample]) -> list[str]:
    """One line for each candidate; where wrk is absent, one that says so."""
    program = shutil.which("wrk")
    if program is None:
        return ["no wrk here for a second opinion on the load generator: install the Debian package wrk"]
    lines = []
    for candidate in candidates:
        ours = [s.calls_per_s for s in samples if s.candidate == candidate.name and s.scenario == SCENARIOS[0].name]
        theirs = _rate(program, candidate, folder)
        if ours and theirs:
            lines.append(f"wrk gets {theirs:,.0f} calls/s from {candidate.name}, our load generator {median(ours):,.0f}")
    return lines


def _rate(program: str, candidate: Candidate, folder: Path) -> float | None:
    """Good answers a second with as many connections as ours uses; None where any answer was not good."""
    scenario = SCENARIOS[0]
    body, script = folder / "wrk.body", folder / "wrk.lua"
    body.write_bytes(scenario.call.body(candidate.models[scenario.call.upstream]))
    headers = "\n".join(f'wrk.headers["{name}"] = "{value}"' for name, value in scenario.call.headers(candidate.key).items())
    script.write_text(_SCRIPT.format(body=body, headers=headers))
    url = f"http://127.0.0.1:{candidate.port}{scenario.call.path(candidate.models[scenario.call.upstream])}"
    command = [program, "-t1", f"-c{scenario.connections}", f"-d{_SECONDS}s", "-s", str(script), url]
    said = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS + 30).stdout
    found = re.search(r"Requests/sec:\s*([\d.]+)", said)
    return float(found[1]) if found and "Non-2xx" not in said else None
