"""Compiled or not, calls fail in the same ways: behaviour.py is run with the plain sources and with the compiled ones."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from freehold.base import build
from freehold.upstream.connection import IDLE

SRC = Path(__file__).parents[2] / "src"


def run(tree: Path) -> dict[str, Any]:
    program = Path(__file__).with_name("behaviour.py")
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tree)}
    done = subprocess.run([sys.executable, str(program)], env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.fixture(scope="module")
def pure(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    tree = tmp_path_factory.mktemp("pure") / "src"
    shutil.copytree(SRC, tree, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    result = run(tree)
    assert result["build"] == "pure Python"
    found: dict[str, Any] = result["found"]
    return found


def test_every_call_is_recorded_once_and_nothing_stays_behind(pure: dict[str, Any]) -> None:
    outcomes = Counter()
    for title, found in pure["failures"].items():
        assert len(found["ledger"]) == (0 if "no such path" in title else 1), (title, found)
        assert found["active"] == 0, (title, found)
        assert all(state in (IDLE, "aborted", "reset") for state in found["upstreams"]), (title, found)
        outcomes.update(line[0] for line in found["ledger"])
    assert pure["problems"] == []
    assert all(outcomes[outcome] >= 50 for outcome in ("ok", "cut", "refused", "upstream_error", "client_gone")), outcomes


def test_a_bug_is_answered_recorded_and_told_without_values(pure: dict[str, Any]) -> None:
    found = pure["bug inside"]
    assert found["status"] == "500"
    assert found["log"] == ["error", "call_failed", "ZeroDivisionError"]
    assert found["ledger"][0][:3] == ["error", 500, "internal_error"]
    assert found["where"][0] == "serve" and found["where"][-1] == "broken"


@pytest.mark.skipif(not build.is_compiled(), reason="nothing is compiled here: make compile")
def test_compiled_code_behaves_as_its_source(pure: dict[str, Any]) -> None:
    result = run(SRC)
    assert result["build"] == "compiled"
    compiled = result["found"]
    assert compiled["coroutines"] == pure["coroutines"]
    assert compiled["bug inside"] == pure["bug inside"]
    assert compiled["failures"] == pure["failures"]
    assert compiled["problems"] == pure["problems"]
