"""The worker: which changes of its files it notices, and that nothing waits while it loads them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from freehold.config.load import load
from freehold.config.problem import ConfigError, Problem
from freehold.config.references import References
from freehold.config.schema import Config, KeyConfig, SecretsConfig
from freehold.gateway import worker
from freehold.gateway.worker import Worker, WorkerOptions
from freehold.pipeline.runtime import Snapshot
from freehold.store.feed import KeyLine, WorkspaceLine, locked
from freehold.upstream.catalogue import PROVIDERS

Events = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def events(capfdbinary: pytest.CaptureFixture[bytes]) -> Events:
    """What has been logged under a name."""
    heard = bytearray()

    def named(name: str) -> list[dict[str, Any]]:
        heard.extend(capfdbinary.readouterr().err)
        return [event for event in map(json.loads, heard.splitlines()) if event["event"] == name]

    return named


async def eventually(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def running(data: Path, **options: Any) -> AsyncIterator[None]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        task = asyncio.create_task(Worker(WorkerOptions(data=data, sockets=[listener], **options)).run())
        try:
            yield
        finally:
            if not task.done():  # nobody would catch it
                os.kill(os.getpid(), signal.SIGTERM)
            await task


async def test_a_change_made_between_its_load_and_its_first_look_is_noticed(tmp_path: Path, events: Events) -> None:
    file = tmp_path / "freehold.yaml"
    file.write_text("discover: false\n")
    options = {
        "load_config": lambda: load(file, {}, PROVIDERS),
        "watched": (file,),
        "on_ready": lambda _: file.unlink(),  # the earliest that anybody outside can know that it serves
    }
    async with running(tmp_path, **options):
        await eventually(lambda: events("reload_refused"))


class Slow:
    """A configuration whose loading, but for the first, waits until it may end."""

    def __init__(self) -> None:
        self.loads = 0
        self.may_end = threading.Event()

    def __call__(self) -> Config:
        self.loads += 1
        if self.loads > 1:
            self.may_end.wait(60)
        return Config(discover=False, keys=[KeyConfig(name=f"load {self.loads}", key="k" * 20)])


async def test_a_load_that_hangs_keeps_neither_the_loop_nor_a_change_of_keys_waiting(tmp_path: Path, events: Events) -> None:
    file = tmp_path / "freehold.yaml"
    slow = Slow()
    served: list[Snapshot] = []
    try:
        async with running(tmp_path, load_config=slow, watched=(file,), on_ready=served.append):
            await eventually(lambda: served)
            file.touch()
            await eventually(lambda: slow.loads == 2)
            with locked(tmp_path) as writer:
                writer.replace(
                    [WorkspaceLine(id="default"), KeyLine(workspace="default", id="key_1", name="k", digest=b"d" * 32)], 1, 1
                )
            await eventually(lambda: served[0].made)
            assert not slow.may_end.is_set()
            file.write_text("again")
            slow.may_end.set()
            await eventually(lambda: slow.loads == 3)  # what came while it was loading is not forgotten
            await eventually(lambda: len(events("reloaded")) == 2)
    finally:
        slow.may_end.set()


class Remote(References):
    """As if some secrets had come from Vault."""

    def begin(self) -> None:
        super().begin()
        self.remote = True


class Vaulted:
    """`key` is what Vault gives; None: it does not answer."""

    def __init__(self) -> None:
        self.key: str | None = "k" * 20
        self.loads = 0

    def __call__(self) -> Config:
        self.loads += 1
        if self.key is None:
            raise ConfigError("f", [Problem("keys[0].key", "Vault does not answer")])
        return Config(discover=False, keys=[KeyConfig(name="a", key=self.key)], secrets=SecretsConfig(refresh=0.01))


async def test_secrets_from_vault_are_read_again_and_only_what_is_new_is_told(
    tmp_path: Path, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_WATCH_S", 0.01)
    monkeypatch.setattr(worker, "_RETRY_S", 0.01)
    vaulted = Vaulted()

    async def more_loads() -> None:
        before = vaulted.loads
        await eventually(lambda: vaulted.loads > before + 4)

    async with running(tmp_path, load_config=vaulted, watched=(), references=Remote({})):
        await more_loads()
        assert events("reloaded") == []
        vaulted.key = "n" * 20
        await more_loads()
        assert len(events("reloaded")) == 1
        vaulted.key = None
        await more_loads()
        assert [event["problems"] for event in events("reload_refused")] == [["f: keys[0].key: Vault does not answer"]]
        vaulted.key = "n" * 20
        await more_loads()
        assert len(events("reloaded")) == 2, "that it is back is told, once"


async def test_a_fault_of_ours_while_loading_does_not_end_the_watch(tmp_path: Path, events: Events) -> None:
    file = tmp_path / "f"
    loads: list[int] = []

    def load_config() -> Config:
        loads.append(1)
        if len(loads) == 2:
            raise KeyError("s3cret")
        return Config(discover=False)

    ready = asyncio.Event()
    async with running(tmp_path, load_config=load_config, watched=(file,), on_ready=lambda _: ready.set()):
        await ready.wait()
        file.touch()
        await eventually(lambda: events("reload_refused"))
        assert "s3cret" not in str(events("reload_failed")) and events("reload_failed")
        file.write_text("x")
        await eventually(lambda: events("reloaded"))


async def test_without_references_nothing_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_WATCH_S", 0.01)
    vaulted = Vaulted()
    async with running(tmp_path, load_config=vaulted, watched=()):
        await asyncio.sleep(0.3)
        assert vaulted.loads == 1
