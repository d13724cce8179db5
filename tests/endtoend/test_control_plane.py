"""Gateway, control plane and database, each killed while the others go on: what an administrator decides holds on every worker,
and no call is lost or counted twice.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from freehold.store.address import parse
from freehold.store.engine import open_engine, reading
from freehold.store.feed import usable_keys
from freehold.store.schema import calls
from freehold.store.spool import read_lines
from tests import client, postgres
from tests.databases import Store, empty, postgresql
from tests.endtoend.conftest import CHAT, KEY, MESSAGES, Freehold, ask, eventually
from tests.endtoend.test_kill import Load, answer
from tests.running import SRC, gone

__all__ = ["empty", "postgresql"]


def command(freehold: Freehold, *arguments: str) -> Any:
    """A command's JSON, over the same data directory and database."""
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SRC), **freehold.env}
    run = [sys.executable, "-m", "freehold", *arguments, "--data", str(freehold.data), "--json"]
    done = subprocess.run(run, cwd=freehold.folder, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


async def made(freehold: Freehold, name: str, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = await asyncio.to_thread(command, freehold, "key", "create", "--name", name, *arguments)
    return found


class Connection:
    """Kept open over several calls, so that they reach the same worker."""

    def __init__(self, port: int, key: str) -> None:
        self._port = port
        self._key = key

    async def open(self) -> Connection:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def call(self, path: str = CHAT) -> client.Answered:
        self._writer.write(client.request(path, ask(), key=self._key))
        return await asyncio.wait_for(client.read(self._reader), client.PATIENCE_S)

    def close(self) -> None:
        self._writer.close()


async def connections_to_each(freehold: Freehold, key: str, count: int) -> list[Connection]:
    """`count` open connections to each worker, each with a call answered: while the others are stopped, it accepts all."""
    workers = freehold.up.workers()
    assert len(workers) == 2
    found = []
    for worker in workers:
        others = [pid for pid in workers if pid != worker]
        for pid in others:
            os.kill(pid, signal.SIGSTOP)
        try:
            for _ in range(count):
                connection = await Connection(freehold.up.port, key).open()
                assert await answered(connection, 200)
                found.append(connection)
        finally:
            for pid in others:
                os.kill(pid, signal.SIGCONT)
    return found


async def answered(connection: Connection, status: int, path: str = CHAT) -> client.Answered | None:
    """The first reply with this status, for which calls are repeated; None if none comes."""
    for _ in range(600):
        got = await connection.call(path)
        if got.status == status:
            return got
        await asyncio.sleep(0.05)
    return None


@pytest.fixture
def freehold_on(freehold: Freehold, empty: Store) -> Freehold:
    freehold.env = empty.env
    return freehold


async def test_a_key_switched_off_is_refused_by_every_worker_also_on_open_connections(freehold_on: Freehold) -> None:
    freehold = freehold_on
    (await freehold.upstream("lab")).choose = answer
    freehold.start("--workers", "2")
    await eventually(lambda: freehold.up.control() is not None, "the control plane runs")
    key = await made(freehold, "app")
    await eventually(lambda: usable_keys(freehold.data) == 1, "the key is in the file")
    connections = await connections_to_each(freehold, key["key"], 4)
    await asyncio.to_thread(command, freehold, "key", "disable", key["id"])
    for connection in connections:
        got = await answered(connection, 401, MESSAGES)
        assert got is not None and got.json["error"]["type"] == "authentication_error", "in the client's own dialect"
        assert "switched off" in got.json["error"]["message"]
    assert [(await connection.call()).status for connection in connections] == [401] * len(connections)
    for connection in connections:
        connection.close()


async def counted(up_port: int, seconds: float, during: Any) -> list[str]:
    """Calls from several clients while `during` is done. The ids of those that were seen to end."""
    load = Load(up_port)
    tasks = [asyncio.create_task(load.one_client(n)) for n in range(4)]
    try:
        while len(load.seen) < 20:
            await asyncio.sleep(0.01)
        await during()
        before = len(load.seen)
        async with asyncio.timeout(60):
            while len(load.seen) < before + 20:  # it serves on
                await asyncio.sleep(0.01)
        await asyncio.sleep(seconds)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return load.seen


async def test_a_control_plane_killed_under_load_loses_no_call_and_counts_none_twice(freehold: Freehold) -> None:
    (await freehold.upstream("lab")).choose = answer
    up = freehold.start("--workers", "2")
    await eventually(lambda: up.control() is not None, "the control plane runs")

    async def kill() -> None:
        for _ in range(3):
            await eventually(lambda: up.control() is not None, "the control plane runs")
            pid = up.control()
            assert pid is not None
            await asyncio.sleep(0.3)
            os.kill(pid, signal.SIGKILL)
            await eventually(lambda pid=pid: gone(pid), "it is dead")

    seen = await counted(up.port, 0.5, kill)
    assert await asyncio.to_thread(up.stop) == 0
    # The last one killed may not have been started again by then: another start ships what it has left.
    up = freehold.start()
    await eventually(lambda: not list(read_lines(freehold.data)), "what was left is shipped", 60)
    assert await asyncio.to_thread(up.stop) == 0
    recorded = Counter(line.call_id for line in freehold.ledger)
    assert max(recorded.values()) == 1 and not set(seen) - set(recorded)


@pytest.fixture
def own_postgresql() -> Iterator[postgres.Server]:
    """One that may be killed."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    try:
        with postgres.server(port, fsync=True) as server:
            yield server
    except postgres.Missing as missing:
        pytest.skip(str(missing))


async def test_a_database_killed_under_load_loses_no_call_and_counts_none_twice(
    freehold: Freehold, own_postgresql: postgres.Server
) -> None:
    (await freehold.upstream("lab")).choose = answer
    url = own_postgresql.create("killed")
    freehold.env = {"FREEHOLD_DATABASE_URL": url}
    up = freehold.start("--workers", "2")
    await eventually(lambda: (freehold.data / "objects/feed.jsonl").exists(), "the control plane follows the database")
    key = await made(freehold, "app")
    connection = await Connection(up.port, key["key"]).open()
    assert await answered(connection, 200)

    async def kill() -> None:
        await asyncio.to_thread(own_postgresql.kill)
        await eventually(lambda: "follow_failed" in freehold.log and "ship_failed" in freehold.log, "the outage is told")
        assert (await connection.call()).status == 200
        assert _status(f"{up.admin}/healthz") == 200 and _status(f"{up.admin}/readyz") == 503
        await asyncio.to_thread(own_postgresql.start)

    seen = await counted(up.port, 0.5, kill)
    await eventually(lambda: _status(f"{up.admin}/readyz") == 200, "it follows again")
    await asyncio.to_thread(command, freehold, "key", "disable", key["id"])
    assert await answered(connection, 401)
    connection.close()
    assert await asyncio.to_thread(up.stop) == 0
    assert list(read_lines(freehold.data)) == []
    engine = open_engine(parse(url))
    with reading(engine) as found:
        ids = set(found.scalars(select(calls.c.call_id)))
        assert found.scalar(select(func.count()).select_from(calls)) == len(ids)
    engine.dispose()
    assert not set(seen) - ids


async def test_a_gateway_starts_from_what_it_knew_while_the_database_is_down(
    freehold: Freehold, own_postgresql: postgres.Server
) -> None:
    (await freehold.upstream("lab")).choose = answer
    freehold.config["keys"] = []
    freehold.env = {"FREEHOLD_DATABASE_URL": own_postgresql.create("away")}
    key = await made(freehold, "app")
    off = await made(freehold, "off")
    await asyncio.to_thread(command, freehold, "key", "disable", "off")
    own_postgresql.kill()
    up = freehold.start()
    assert "1 key in the database" in up.text
    for secret, status in ((key["key"], 200), (off["key"], 401), ("fh_unknown", 401)):
        assert (await freehold.call(CHAT, ask(), key=secret)).status == status
    await eventually(lambda: "follow_failed" in freehold.log, "it says what is wrong")
    own_postgresql.start()
    await asyncio.to_thread(command, freehold, "key", "disable", "app")
    for _ in range(600):
        if (await freehold.call(CHAT, ask(), key=key["key"])).status == 401:
            break
        await asyncio.sleep(0.05)
    assert (await freehold.call(CHAT, ask(), key=key["key"])).status == 401
    assert await asyncio.to_thread(up.stop) == 0


async def test_a_first_start_without_the_database_serves_the_file_and_says_so(freehold: Freehold) -> None:
    (await freehold.upstream("lab")).choose = answer
    freehold.config["keys"] = []
    freehold.env = {"FREEHOLD_DATABASE_URL": "postgresql://app:secret@127.0.0.1:1/none"}
    up = freehold.start()
    assert "The database can't be used" in up.text and "secret" not in up.text
    freehold.config["keys"] = [{"name": "dev", "key": KEY}]
    freehold.write()
    for _ in range(600):
        if (await freehold.call(CHAT, ask())).status == 200:
            break
        await asyncio.sleep(0.05)
    assert (await freehold.call(CHAT, ask())).status == 200


def test_keys_of_the_file_of_old_are_taken_over(freehold: Freehold) -> None:
    from hashlib import sha256

    record = {"id": "key_0123456789ab", "name": "old", "digest": sha256(b"fh_old").hexdigest(), "prefix": "fh_o", "last4": "_old"}
    freehold.data.mkdir()
    (freehold.data / "keys.json").write_text(json.dumps({"version": 1, "keys": [{**record, "created": 1_790_000_000}]}))
    up = freehold.start()
    request = urllib.request.Request(f"{up.url}/v1/models", headers={"authorization": "Bearer fh_old"})
    with urllib.request.urlopen(request, timeout=20) as reply:
        assert reply.status == 200
    assert not (freehold.data / "keys.json").exists()
    assert [key["id"] for key in command(freehold, "key", "list") if key["source"] == "api"] == ["key_0123456789ab"]


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=30) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_an_admin_port_in_use_fails_the_start(freehold: Freehold, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = [sys.executable, "-m", "freehold", "up", "--port", "0", "--admin-port", str(port), "--data", str(freehold.data)]
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SRC)}
        done = subprocess.run(run, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1 and f"127.0.0.1:{port}" in done.stderr and "--admin-port" in done.stderr
    assert not freehold.data.exists()


def test_the_admin_api_is_there_and_need_not_be(freehold: Freehold) -> None:
    up = freehold.start()
    assert _status(f"{up.admin}/healthz") == 200 and _status(f"{up.admin}/api/v1/teams") == 401
    assert up.stop() == 0
    for flags in (("--no-admin",), ("--admin-port", "-1")):
        up = freehold.start(*flags)
        assert up.admin == ""
        assert up.stop() == 0
