"""`freehold up` as a process: from the first start to the last byte after SIGTERM."""

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

from freehold.store.feed import usable_keys
from tests.cli.test_commands import run
from tests.running import SRC, eventually, started


def test_the_printed_curl_line_works_on_the_first_start_and_the_key_is_not_shown_again(tmp_path: Path) -> None:
    with started(tmp_path) as up:
        [line] = re.findall(r"curl .*", up.text)
        reply = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=30, check=False)
        assert "[sandbox] You said: Say hello" in json.loads(reply.stdout)["choices"][0]["message"]["content"]
        assert up.stop() == 0
    with started(tmp_path) as up:
        assert "fh_" not in up.text and "key create" in up.text
        assert up.stop(signal.SIGINT) == 0
    assert usable_keys(tmp_path / "data") == 1


def test_a_key_made_while_it_runs_is_taken_and_a_disabled_one_refused(tmp_path: Path) -> None:
    def call(key: str) -> int:
        request = urllib.request.Request(up.url + "/v1/models", headers={"authorization": f"Bearer {key}"})
        try:
            with urllib.request.urlopen(request, timeout=10) as reply:
                return int(reply.status)
        except urllib.error.HTTPError as error:
            return error.code

    def command(*arguments: str) -> str:
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SRC)}
        run = [sys.executable, "-m", "freehold", *arguments]
        return subprocess.run(run, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=True).stdout

    with started(tmp_path) as up:
        key = command("key", "create", "--name", "late").splitlines()[0]
        assert eventually(lambda: call(key) == 200)
        command("key", "disable", "late")
        assert eventually(lambda: call(key) == 401)


def test_a_port_in_use_is_an_error_and_makes_no_key(tmp_path: Path) -> None:
    with started(tmp_path) as up:
        port = up.url.rpartition(":")[2]
        other = tmp_path / "other"
        other.mkdir()
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SRC)}
        command = [sys.executable, "-m", "freehold", "up", "--port", port, "--admin-port", "0"]
        done = subprocess.run(command, cwd=other, env=env, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1 and f"127.0.0.1:{port}" in done.stderr and "--port" in done.stderr
        assert not (other / "data").exists()


def test_a_start_that_fails_takes_its_first_key_back(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/spool").write_text("in the way")
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SRC)}
    command = [sys.executable, "-m", "freehold", "up", "--port", "0", "--admin-port", "0"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1 and "data/spool" in done.stderr and "Traceback" not in done.stderr
    assert "fh_" not in done.stdout
    assert [k["disabled"] for k in json.loads(run(tmp_path, "key", "list", "--json").stdout)] == [True]
    assert usable_keys(tmp_path / "data") == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_bad_tls_files_end_the_start_with_an_error(tmp_path: Path, workers: str) -> None:
    (tmp_path / "cert.pem").write_text("no certificate")
    (tmp_path / "freehold.yaml").write_text("server: {tls_cert: cert.pem, tls_key: cert.pem}\n")
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SRC)}
    command = [sys.executable, "-m", "freehold", "up", "--port", "0", "--admin-port", "0", "--workers", workers]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1 and "error: " in done.stderr and "Traceback" not in done.stderr
