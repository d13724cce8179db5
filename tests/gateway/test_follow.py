"""A worker and the file of objects: loaded before the first call, followed in slices, whatever happens to it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from freehold.config.schema import Config
from freehold.gateway import follow as module
from freehold.gateway.follow import Follow
from freehold.pipeline.objects import Objects
from freehold.store import feed
from freehold.store.feed import Object, WorkspaceLine, locked
from freehold.store.sealing import MasterKey
from freehold.upstream.catalogue import PROVIDERS
from tests.pipeline.test_objects import MASTER, key, lab, route, sealed


class Worker:
    def __init__(self, data: Path) -> None:
        self.objects = Objects(PROVIDERS)
        self.objects.use(Config())
        self.follow = Follow(self.objects, data)

    @property
    def keys(self) -> set[str]:
        return {principal.name for principal in self.objects.keys.values()}


def many(count: int) -> list[Object]:
    keys = [feed.KeyLine(workspace="default", id=f"k{n}", name=f"k{n}", digest=n.to_bytes(32, "big")) for n in range(count)]
    return [WorkspaceLine(id="default"), *keys]


async def test_all_is_there_after_the_load_and_changes_are_followed(tmp_path: Path) -> None:
    worker = Worker(tmp_path)
    worker.follow.load()
    assert worker.keys == set(), "a first start has no file yet"
    with locked(tmp_path) as writer:
        writer.replace([WorkspaceLine(id="default"), key("a"), lab(), route("fast", "lab/m")], 1, 1)
        worker = Worker(tmp_path)
        worker.follow.load()
        assert worker.keys == {"a"} and worker.objects.default.route("fast")
        following = asyncio.create_task(worker.follow.run())
        try:
            writer.append([key("b"), route("slow", "lab/m")], 2)
            async with asyncio.timeout(30):
                while worker.keys != {"a", "b"} or "slow" not in worker.objects.default.routes:
                    await asyncio.sleep(0.01)
            writer.replace([WorkspaceLine(id="default"), key("c")], 3, 2)
            async with asyncio.timeout(30):
                while worker.keys != {"c"}:
                    await asyncio.sleep(0.01)
        finally:
            following.cancel()
    worker.follow.close()


async def test_a_large_new_file_keeps_nothing_waiting(tmp_path: Path) -> None:
    """Others have their turn between slices, and each slice is small."""
    worker = Worker(tmp_path)
    with locked(tmp_path) as writer:
        writer.replace(many(20_000), 1, 1)
    turns, longest = 0, 0
    before = len(worker.objects.keys)
    task = asyncio.create_task(worker.follow.turn())
    while not task.done():
        await asyncio.sleep(0)
        turns += 1
        longest, before = max(longest, len(worker.objects.keys) - before), len(worker.objects.keys)
    await task
    assert len(worker.keys) == 20_000 and turns > 20 and longest < 1000
    worker.follow.close()


async def test_every_moment_of_a_replacement_lets_in_who_is_in_both(tmp_path: Path) -> None:
    worker = Worker(tmp_path)
    with locked(tmp_path) as writer:
        writer.replace(many(3000), 1, 1)
        worker.follow.load()
        writer.replace(many(3000), 2, 2)
        task = asyncio.create_task(worker.follow.turn())
        while not task.done():
            assert len(worker.objects.keys) == 3000
            await asyncio.sleep(0)
        await task
    assert worker.objects.revision == 2
    worker.follow.close()


async def test_a_file_of_another_version_is_told_once_and_what_is_known_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    worker = Worker(tmp_path)
    with locked(tmp_path) as writer:
        writer.replace([WorkspaceLine(id="default"), key("a")], 1, 1)
        worker.follow.load()
    other = tmp_path / "other"
    other.write_bytes(b'{"type":"head","version":9,"made_ms":1}\n')
    other.rename(feed.path(tmp_path))
    for _ in range(3):
        await worker.follow.turn()
    assert worker.keys == {"a"}
    assert capsys.readouterr().err.count("objects_unreadable") == 1
    with locked(tmp_path) as writer:
        writer.replace([WorkspaceLine(id="default"), key("b")], 2, 2)
    await worker.follow.turn()
    assert worker.keys == {"b"}


async def test_the_master_key_is_loaded_once_and_only_when_it_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loads = []
    monkeypatch.setattr(MasterKey, "load", lambda *_, **__: loads.append(1) or MASTER)
    worker = Worker(tmp_path)
    with locked(tmp_path) as writer:
        writer.replace([WorkspaceLine(id="default"), lab()], 1, 1)
        worker.follow.load()
        await worker.follow.turn()
        assert not loads
        writer.append(sealed("default", "lab", "sk-secret"), 2)
        await worker.follow.turn()
        provider = worker.objects.default.providers["lab"]
        assert loads == [1] and b"sk-secret" in provider.main.head("/x")
        writer.append([lab("w"), *sealed("w", "lab", "sk-other")], 3)
        await worker.follow.turn()
    assert loads == [1]
    worker = Worker(tmp_path)
    worker.follow.load()  # at a start, before anybody is served
    assert loads == [1, 1] and b"sk-secret" in worker.objects.default.providers["lab"].main.head("/x")


async def test_a_master_key_that_comes_later_brings_the_providers_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    worker = Worker(tmp_path)
    with locked(tmp_path) as writer:
        writer.replace([*sealed("default", "lab", "sk-secret"), lab(), key("a")], 1, 1)
    worker.follow.load()
    said = capsys.readouterr().err
    assert "no_master_key" in said and worker.keys == {"a"} and "lab" not in worker.objects.default.providers
    monkeypatch.setattr(MasterKey, "load", lambda *_, **__: MASTER)
    monkeypatch.setattr(module, "_RETRY_S", 0.0)
    worker.follow._retry_at = time.monotonic()
    await worker.follow.turn()
    assert b"sk-secret" in worker.objects.default.providers["lab"].main.head("/x")


async def test_a_fault_in_one_turn_does_not_end_the_following(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    worker = Worker(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Objects, "compile_next", lambda _: 1 / 0)
        following = asyncio.create_task(worker.follow.run())
        said = ""
        async with asyncio.timeout(30):
            while "objects_not_followed" not in said:
                await asyncio.sleep(0.01)
                said += capsys.readouterr().err
    with locked(tmp_path) as writer:
        writer.replace([WorkspaceLine(id="default"), key("a")], 1, 1)
        async with asyncio.timeout(30):
            while worker.keys != {"a"}:
                await asyncio.sleep(0.01)
    following.cancel()


async def test_a_credential_that_names_where_its_secret_is_follows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MasterKey, "load", lambda *_, **__: MASTER)
    monkeypatch.setattr(module, "REFER_EVERY_S", 0.0)
    monkeypatch.setenv("LAB_KEY", "sk-of-the-environment")
    secret = tmp_path / "secret"
    secret.write_text("sk-of-the-file\n")
    worker = Worker(tmp_path)
    wrapped = MASTER.new_workspace_key("default")
    by_file = sealed("default", "lab", f"file:{secret}", 1, wrapped, reference=True)
    by_name = sealed("default", "other", "${LAB_KEY}", 2, wrapped, reference=True)
    nowhere = sealed("default", "third", "file:/nowhere/at/all", 3, wrapped, reference=True)
    plain = sealed("default", "fourth", f"file:{secret}", 4, wrapped)  # a tenant's text that only looks like one
    lines = [*by_file, by_name[1], nowhere[1], plain[1], *(lab(name=name) for name in ("lab", "other", "third", "fourth"))]
    with locked(tmp_path) as writer:
        writer.replace(lines, 1, 1)
        worker.follow.load()
        assert b"Bearer sk-of-the-file\r\n" in head(worker, "lab") and b"Bearer sk-of-the-environment\r\n" in head(
            worker, "other"
        )
        assert "third" not in worker.objects.default.providers, "not called without its secret"
        assert f"Bearer file:{secret}\r\n".encode() in head(worker, "fourth")
        secret.write_text("sk-renewed\n")
        for _ in range(2):
            await worker.follow.turn()
        assert b"Bearer sk-renewed\r\n" in head(worker, "lab")
        secret.unlink()
        for _ in range(2):
            await worker.follow.turn()
        assert b"Bearer sk-renewed\r\n" in head(worker, "lab"), "what was known stays in use"
    worker.follow.close()


def head(worker: Worker, provider: str) -> bytes:
    target = worker.objects.default.route(f"{provider}/m").targets[0]
    return target.head(target.provider.main, "/chat/completions")
