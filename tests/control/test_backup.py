"""Making one. That it can be brought back whole is tested in test_restore.py."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Table, text

from freehold.control import backup as backups
from freehold.control.backup import backup
from freehold.control.restore import verify
from freehold.store import ledger, rows
from freehold.store.address import StoreError, database, parse
from freehold.store.container import Passphrase
from freehold.store.engine import writing
from freehold.store.masterkey import find
from freehold.store.ship import ship
from freehold.store.spool import LedgerLine, Spool
from tests.control.conftest import Store
from tests.keyfiles import create_key
from tests.samples import fill
from tests.store.test_rows import METADATA

LOCK = Passphrase("correct horse", 10)


def sizes(file: Path) -> dict[str, int]:
    with file.open("rb") as opened:
        tail = verify(opened, LOCK).tail
    return {name: counted.size for part in (tail.tables, tail.files) for name, counted in part.items()}


def test_it_holds_every_table_the_keys_and_the_spool_and_its_owner_alone_may_read_it(store: Store, tmp_path: Path) -> None:
    fill(store.engine, METADATA)
    create_key(store.data, "dev")
    find({}, store.data, make=True)
    spool = Spool(store.data)
    spool.append(LedgerLine(call_id="waits", ended_ms=1))
    made = backup(tmp_path / "b", store.data, store.address, LOCK)
    spool.close()
    held = sizes(tmp_path / "b")
    assert set(METADATA.tables) < set(held) and held["calls"] == 3
    files = sorted(set(held) - set(METADATA.tables))
    assert files[0] == "keys.json" and files[1].startswith("spool/") and len(files) == 2, "and not the master key"
    assert (tmp_path / "b").stat().st_size == made.size and stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o600
    backup(tmp_path / "c", store.data, store.address, LOCK, with_master_key=True)
    assert "master.key" in sizes(tmp_path / "c")


def test_it_holds_one_moment_and_holds_up_no_writer(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls and their roll-up are written together; between any two tables, ever more of them are."""
    stopping = threading.Event()
    commits = 0

    def write() -> None:
        nonlocal commits
        while not stopping.is_set():
            lines = [LedgerLine(call_id=f"call_{commits}_{i}", ended_ms=commits * 3_600_000, model=f"m{i}") for i in range(3)]
            with writing(store.engine, "writer") as connection:
                ledger.record(connection, lines)
            commits += 1

    read = rows.read

    def slow_read(connection: Connection, table: Table) -> Iterator[list[rows.Row]]:
        yield from read(connection, table)
        before = commits
        for _ in range(3000):
            if commits >= before + 2:
                return
            time.sleep(0.02)
        raise AssertionError("the writer is held up")

    monkeypatch.setattr(rows, "read", slow_read)
    writer = threading.Thread(target=write)
    writer.start()
    try:
        backup(tmp_path / "b", store.data, store.address, LOCK)
    finally:
        stopping.set()
        writer.join()
    held = sizes(tmp_path / "b")
    # One model an hour a call: two rows of hours for each, two of days for each model and day, and one of who for each day.
    calls = held.get("calls", 0)
    days = -(-calls // (3 * 24))
    assert held.get("rollups", 0) == held.get("latencies", 0) == 2 * calls + 2 * 3 * days + days
    assert calls % 3 == 0 and calls < commits * 3


@pytest.mark.parametrize("when", ["before the moment", "after it"])
def test_a_call_that_is_shipped_meanwhile_is_in_it(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    spool = Spool(store.data)
    spool.append(LedgerLine(call_id="a", ended_ms=1))
    spool.close()
    real = backups._database

    def around(*arguments: Any) -> None:
        if when == "before the moment":
            assert ship(store.data, store.engine).segments == 1
        real(*arguments)
        if when == "after it":
            assert ship(store.data, store.engine).segments == 1

    monkeypatch.setattr(backups, "_database", around)
    backup(tmp_path / "b", store.data, store.address, LOCK)
    held = sizes(tmp_path / "b")
    assert any(name.startswith("spool/") for name in held), "copied although it was deleted"
    assert held.get("calls", 0) == (1 if when == "before the moment" else 0)


def test_one_that_fails_leaves_what_was_there(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "to" / "b"
    target.parent.mkdir()
    target.write_bytes(b"the one before")
    monkeypatch.setattr(os, "fsync", _disk_full)
    with pytest.raises(OSError, match="No space"):
        backup(target, store.data, store.address, LOCK)
    assert target.read_bytes() == b"the one before" and os.listdir(target.parent) == ["b"]
    monkeypatch.undo()
    backup(target, store.data, store.address, LOCK)
    assert sizes(target) and os.listdir(target.parent) == ["b"]


def _disk_full(*_: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("place", ["none/b", "."])
def test_a_place_where_no_file_can_be_is_refused(store: Store, tmp_path: Path, place: str) -> None:
    with pytest.raises(StoreError, match="no place for a file"):
        backup(tmp_path / place, store.data, store.address, LOCK)


def test_where_there_is_nothing_it_says_so_and_makes_nothing(empty: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds nothing"):
        backup(tmp_path / "b", empty.data, empty.address, LOCK)
    with pytest.raises(StoreError, match=r"there is no SQLite file .* to back up; name the data directory"):
        backup(tmp_path / "b", tmp_path / "none", database(tmp_path / "none", {}), LOCK)
    assert not (tmp_path / "b").exists() and not (tmp_path / "none").exists()


def test_a_database_of_a_newer_freehold_is_left_to_that(store: Store, tmp_path: Path) -> None:
    with writing(store.engine, "test") as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="newer than this"):
        backup(tmp_path / "b", store.data, store.address, LOCK)
    assert not (tmp_path / "b").exists()


def test_a_database_that_does_not_answer_is_told_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="check that it runs") as raised:
        backup(tmp_path / "b", tmp_path, parse("postgresql://app:s3cret@127.0.0.1:1/none"), LOCK)
    assert "s3cret" not in str(raised.value)


def test_an_upgrade_that_comes_between_is_noticed(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backups, "revision", lambda _: "0002")
    with pytest.raises(StoreError, match="make it again"):
        backup(tmp_path / "b", store.data, store.address, LOCK)
    assert not (tmp_path / "b").exists()
