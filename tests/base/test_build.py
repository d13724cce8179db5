from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from freehold.base import build

SRC = Path(__file__).parents[2] / "src"
EDITS: dict[str, Callable[[Path], object]] = {
    "a changed source": lambda package: (package / "pipeline" / "serve.py").write_text("# changed\n"),
    "a source that is not compiled itself": lambda package: (package / "wire" / "chat.py").write_text("# changed\n"),
    "a new source": lambda package: (package / "new.py").write_text(""),
    "a removed source": lambda package: (package / "pipeline" / "count.py").unlink(),
    "a renamed source": lambda package: (package / "pipeline" / "count.py").rename(package / "pipeline" / "counts.py"),
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The sources as if they had been compiled: Python would take the library."""
    target = tmp_path / "src"
    shutil.copytree(SRC, target, ignore=shutil.ignore_patterns("*.so", build.STAMP, "__pycache__"))
    package = target / "freehold"
    (package / f"{build.LIBRARY.partition('.')[2]}{EXTENSION_SUFFIXES[0]}").touch()
    (package / build.STAMP).write_text(build.sources_digest(package))
    return target


def freehold(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-B", "-m", "freehold", *arguments]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tree)}
    return subprocess.run(command, env=env, cwd=tree, capture_output=True, text=True, timeout=60, check=False)


def test_what_was_compiled_from_these_sources_is_not_stale(tree: Path) -> None:
    assert freehold(tree, "version").stdout.endswith(" (compiled)\n")


@pytest.mark.parametrize("edit", EDITS)
def test_every_edit_makes_it_stale(tree: Path, edit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "PACKAGE", tree / "freehold")
    monkeypatch.setattr(build, "is_compiled", lambda: True)
    assert not build.is_stale()
    EDITS[edit](tree / "freehold")
    assert build.is_stale()


def test_a_stale_build_does_not_start(tree: Path) -> None:
    (tree / "freehold" / "new.py").touch()
    assert freehold(tree, "version").stdout.endswith(" (compiled, STALE)\n")
    up = freehold(tree, "up", "--port", "0")
    assert (up.returncode, up.stdout, up.stderr) == (1, "", f"error: {build.STALE}\n")


def test_without_a_library_for_this_python_it_is_pure(tree: Path) -> None:
    package = tree / "freehold"
    next(package.glob("*.so")).rename(package / "hot_path__mypyc.cpython-39-other.so")
    (package / "new.py").touch()
    assert freehold(tree, "version").stdout.endswith(" (pure Python)\n")
