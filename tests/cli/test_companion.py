"""The control plane's process beside a running gateway."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from freehold.cli.companion import Companion
from freehold.store.segment import segment_paths
from freehold.store.spool import read_lines
from tests.cli.test_commands import run
from tests.running import SRC, Up, eventually, gone, started

KEY = "fh_of_the_file_0123456789"


def call(up: Up, key: str = "") -> None:
    key = key or re.findall(r"Bearer (fh_[\w-]+)", up.text)[0]
    body = json.dumps({"model": "sandbox/echo", "messages": [{"role": "user", "content": "hi"}]}).encode()
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(f"{up.url}/v1/chat/completions", body, headers), timeout=10) as reply:
        assert reply.status == 200


def spent(folder: Path) -> int:
    shown = json.loads(run(folder, "spend", "--json").stdout)
    return int(shown["total"]["calls"])


@pytest.mark.parametrize("workers", ["1", "2"])
def test_calls_are_shipped_while_it_runs_and_at_its_end(tmp_path: Path, workers: str) -> None:
    data = tmp_path / "data"
    with started(tmp_path, "--workers", workers) as up:
        call(up)
        assert spent(tmp_path) == 1
        assert eventually(lambda: run(tmp_path, "db", "check").returncode == 0)
        call(up)
        assert spent(tmp_path) == 2
        assert eventually(lambda: up.control() is not None)
        control = up.control()
        assert control is not None
        assert up.stop() == 0
        assert gone(control)
    assert segment_paths(data) == [], "what was left is shipped when the workers have ended"
    assert list(read_lines(data)) == [] and spent(tmp_path) == 2


def test_a_killed_one_is_replaced_and_the_gateway_serves_on(tmp_path: Path) -> None:
    with started(tmp_path) as up:
        assert eventually(lambda: up.control() is not None)
        first = up.control()
        assert first is not None
        os.kill(first, signal.SIGKILL)
        assert up.status("/readyz") == 200
        assert eventually(lambda: up.control() not in (None, first))
        assert '"event":"control_plane_died"' in up.log.read_text()


def test_it_does_not_outlive_a_killed_gateway(tmp_path: Path) -> None:
    with started(tmp_path) as up:
        assert eventually(lambda: up.control() is not None)
        control = up.control()
        up.process.kill()
        up.process.wait(10)
        assert control is not None and eventually(lambda: gone(control))


def test_a_dead_database_is_said_once_and_calls_go_on(tmp_path: Path) -> None:
    url = "postgresql://app:secret@127.0.0.1:1/none"
    (tmp_path / "freehold.yaml").write_text(f"keys: [{{name: dev, key: {KEY}}}]\n")
    with started(tmp_path, env={"FREEHOLD_DATABASE_URL": url}) as up:
        assert eventually(lambda: '"event":"ship_failed"' in up.log.read_text())
        call(up, KEY)
        assert len(list(read_lines(tmp_path / "data"))) == 1
        text = up.log.read_text()
        assert text.count("ship_failed") == 1 and "PostgreSQL database 'none' on 127.0.0.1:1" in text and "secret" not in text


def test_a_start_loads_no_database_library() -> None:
    program = "import sys, freehold.cli.up, freehold.cli.spend, freehold.cli.supervise; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": str(SRC)}, capture_output=True, text=True, check=True
    )
    assert not {"sqlalchemy", "alembic", "psycopg", "pysqlite3"} & set(loaded.stdout.split())


def test_one_that_never_started_is_stopped_at_once() -> None:
    companion = Companion([sys.executable, "-c", "raise SystemExit(3)"])
    companion.stop()
    companion.start()
    companion.stop()
