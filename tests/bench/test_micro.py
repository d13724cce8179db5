"""The micro-benchmark calls the product's own functions: each piece must still run as the product changes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bench.micro import best_us, pieces
from freehold.store.spool import Spool, read_lines
from tests.traffic import ROOT


def test_every_piece_runs(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for name, piece in pieces(spool).items():
        if name.startswith("ledger"):
            piece()
            assert [line.outcome for line in read_lines(tmp_path)] == ["ok"]
        else:
            assert piece(), name


def test_a_time_is_that_of_one_call() -> None:
    calls = 0

    def piece() -> None:
        nonlocal calls
        calls += 1

    assert 0 < best_us(piece) < 1000
    assert calls > 1000


def test_a_call_of_every_client_dialect_is_answered_without_sockets() -> None:
    command = [sys.executable, "bench/inprocess.py", "--calls", "32", "--rounds", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {line.split()[0] for line in done.stdout.splitlines()} >= {"openai_chat", "gemini", "bedrock", "ollama"}
