"""The exceptions that are allowed, each with its reason: exceptions.toml. One that no longer happens is an error too."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tests.conformance.checks import Finding

FILE = Path(__file__).with_name("exceptions.toml")
CHECKS = ("direct", "pass", "sent", "unasked", "tokens", "reply", "mode", "request", "case", "encode", "tap", "rewrite", "sdk")


@dataclass(frozen=True)
class Exempt:
    """Excuses `check` for the exchanges or cases with these ids."""

    check: str
    ids: tuple[str, ...]
    reason: str


@lru_cache(maxsize=1)
def all_exceptions() -> tuple[Exempt, ...]:
    """Raises ValueError for an entry that says too little."""
    found = []
    for entry in tomllib.loads(FILE.read_text(encoding="utf-8")).get("exception", []):
        for check in entry.get("checks", ()):
            one = Exempt(check, tuple(entry.get("ids", ())), " ".join(entry.get("reason", "").split()))
            if check not in CHECKS or not one.ids or len(one.reason) < 20:
                raise ValueError(f"exceptions.toml: an entry needs checks ({', '.join(CHECKS)}), ids and a reason: {entry}")
            found.append(one)
    return tuple(found)


def excused(finding: Finding) -> Exempt | None:
    return next((e for e in all_exceptions() if e.check == finding.check and finding.id in e.ids), None)


def unexplained(findings: Iterable[Finding]) -> list[str]:
    """A line for each problem without an exception, and for each exception without its problem."""
    lines = []
    for finding in findings:
        exempt = excused(finding)
        if finding.problem and exempt is None:
            lines.append(f"{finding.check} {finding.id}: {finding.problem}")
        elif exempt is not None and not finding.problem:
            lines.append(f"{finding.check} {finding.id}: holds now, remove it from exceptions.toml ({exempt.reason})")
    return lines
