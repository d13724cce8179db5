"""The control plane's process, as `up` starts it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from freehold.cli.companion import control_command
from freehold.cli.control import REPLACED
from freehold.store.feed import path
from tests.running import SRC, eventually


@contextmanager
def running(data: Path, *, admin: bool = True) -> Iterator[tuple[subprocess.Popen[bytes], socket.socket, str]]:
    """The process, our end of its link, and the URL of its admin API."""
    ours, theirs = socket.socketpair()
    with socket.create_server(("127.0.0.1", 0)) as listener, ours, theirs:
        command = [*control_command(data, None, listener if admin else None), "--link", str(theirs.fileno())]
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SRC)}
        with (data / "log").open("wb") as log:
            process = subprocess.Popen(command, env=env, stderr=log, pass_fds=(theirs.fileno(), listener.fileno()), cwd=data)
        theirs.close()
        try:
            yield process, ours, f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            process.kill()
            process.wait(20)


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=30) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_it_writes_objects_serves_and_ends_with_its_starter(tmp_path: Path) -> None:
    with running(tmp_path) as (process, link, url):
        assert eventually(lambda: status(f"{url}/readyz") == 200)
        assert path(tmp_path).exists() and status(f"{url}/api/v1/teams") == 401
        link.close()
        assert process.wait(30) == 0


def test_it_works_without_an_admin_api(tmp_path: Path) -> None:
    with running(tmp_path, admin=False) as (process, _, _):
        assert eventually(path(tmp_path).exists)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_a_database_file_that_is_replaced_ends_it_at_once(tmp_path: Path) -> None:
    """What it would ship from then on would be lost with the old file; whoever started it starts it again."""
    with running(tmp_path) as (process, _, url):
        assert eventually(lambda: status(f"{url}/readyz") == 200)
        file = tmp_path / "freehold.db"
        (tmp_path / "new").write_bytes(file.read_bytes())
        os.rename(tmp_path / "new", file)
        assert process.wait(30) == REPLACED
    assert "database_replaced" in (tmp_path / "log").read_text()
