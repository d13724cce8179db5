"""The list of compiled modules holds only what survives compilation."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES: tuple[str, ...] = runpy.run_path(str(ROOT / "scripts" / "compile.py"))["MODULES"]


def test_each_is_named_once_and_in_order() -> None:
    assert list(MODULES) == sorted(set(MODULES))


@pytest.mark.parametrize("module", MODULES)
def test_it_defines_no_struct(module: str) -> None:
    """msgspec reads a Struct's fields from annotations that compiled classes do not have."""
    lines = (ROOT / "src" / "freehold" / module).read_text().splitlines()
    assert not [line for line in lines if line.startswith("class ") and "Struct" in line]


@pytest.mark.parametrize("module", MODULES)
def test_it_takes_no_raw_for_bytes(module: str) -> None:
    """msgspec's type stub calls Raw a kind of bytes, so that the compiler makes of both together bytes, and refuses a Raw."""
    source = (ROOT / "src" / "freehold" / module).read_text()
    assert "bytes | Raw" not in source
    assert "Raw | bytes" not in source
