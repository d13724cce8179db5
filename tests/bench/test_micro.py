"""The micro-benchmark calls the product's own functions: each piece must still run as the product changes."""

from __future__ import annotations

from pathlib import Path

from bench.micro import best_us, pieces
from freehold.store.spool import Spool, read_lines


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
