"""Compiled or not, calls fail in the same ways: behaviour.py is run with the plain sources and with the compiled ones."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from freehold.base import build

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
    for title, found in pure["failures"].items():
        assert len(found["ledger"]) == (0 if "no such path" in title else 1), (title, found)
        assert found["active"] == 0, (title, found)
    assert pure["problems"] == []


def test_a_client_that_leaves_stops_its_upstream(pure: dict[str, Any]) -> None:
    left = [found for found in pure["failures"].values() if found["ledger"] and found["ledger"][0][0] == "client_gone"]
    assert len(left) > 100
    assert all("aborted" in found["upstreams"] or found["idle"] == 2 for found in left)


def test_a_bug_is_answered_recorded_and_told_without_values(pure: dict[str, Any]) -> None:
    found = pure["bug inside"]
    assert found["status"] == "500"
    assert found["log"] == ["error", "call_failed", "ZeroDivisionError"]
    assert found["ledger"][0][:3] == ["error", 500, "internal_error"]
    assert found["where"][-3:] == ["_ask", "_request", "broken"]


@pytest.mark.skipif(not build.is_compiled(), reason="nothing is compiled here: make compile")
def test_compiled_code_behaves_as_its_source(pure: dict[str, Any]) -> None:
    result = run(SRC)
    assert result["build"] == "compiled"
    compiled = result["found"]
    assert compiled["coroutines"] == pure["coroutines"]
    assert compiled["bug inside"] == pure["bug inside"]
    assert compiled["failures"] == pure["failures"]
    assert compiled["problems"] == pure["problems"]
