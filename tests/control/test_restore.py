"""The restore drill: everything that a backup holds is there again, in a database of either kind, or nothing has changed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from io import BytesIO
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import text

from freehold.control import restore as restores
from freehold.control.archive import ArchiveWriter, Head, Rows
from freehold.control.backup import backup
from freehold.control.follow import write_once
from freehold.control.restore import restore, verify
from freehold.store import feed, ledger, rows
from freehold.store.address import StoreError, database, parse
from freehold.store.container import ContainerError, Passphrase, Writer
from freehold.store.engine import reading, writing
from freehold.store.masterkey import find
from freehold.store.migrate import require_current, revision, upgrade
from freehold.store.schema import HEAD, workspaces
from freehold.store.segment import segment_paths
from freehold.store.ship import ship
from freehold.store.spool import LedgerLine, Spool
from tests.control.conftest import Store
from tests.keyfiles import create_key, list_keys
from tests.samples import content, fill
from tests.store.test_migrate import SAMPLES, revisions
from tests.store.test_rows import METADATA

LOCK = Passphrase("correct horse", 10)
_numbers = count()


@pytest.fixture(params=["sqlite", "postgresql"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty place to restore into."""
    data = tmp_path / "target"
    if request.param == "sqlite":
        made = Store(data, database(data, {}), {})
        made.engine.dispose()
        os.unlink(data / "freehold.db")
        os.rmdir(data)
    else:
        made = Store(data, parse(request.getfixturevalue("postgresql").create(f"target_{next(_numbers)}")), {})
    yield made
    made.engine.dispose()


def bring_back(file: Path, to: Store, lock: Passphrase = LOCK, *, force: bool = False) -> restores.Found:
    with file.open("rb") as opened:
        return restore(opened, to.data, to.address, lock, force=force)


def made(store: Store, tmp_path: Path) -> Path:
    backup(tmp_path / "b", store.data, store.address, LOCK)
    return tmp_path / "b"


def files(folder: Path) -> dict[str, bytes]:
    """But those of a database, which changes by being looked at."""
    kept = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("freehold.db"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in kept}


def test_every_table_and_file_is_there_again(store: Store, target: Store, tmp_path: Path) -> None:
    fill(store.engine, METADATA)
    _, secret = create_key(store.data, "dev")
    find({}, store.data, make=True)
    backup(tmp_path / "b", store.data, store.address, LOCK, with_master_key=True)
    found = bring_back(tmp_path / "b", target)
    assert content(target.engine, METADATA) == content(store.engine, METADATA)
    assert all(len(part) >= 3 for part in content(target.engine, METADATA).values()), "no table was empty"
    assert list_keys(target.data) == list_keys(store.data) and secret not in str(files(target.data))
    assert find({}, target.data, make=False) == find({}, store.data, make=False)
    assert all(stat.S_IMODE((target.data / name).stat().st_mode) == 0o600 for name in ("keys.json", "master.key"))
    assert [name for name in os.listdir(target.data) if name.startswith(".")] == []
    require_current(target.engine, target.address)
    assert found.head.kind == store.engine.dialect.name and found.head.revision == HEAD


def test_calls_that_waited_in_the_spool_are_counted_once(store: Store, target: Store, tmp_path: Path) -> None:
    """In a segment that is written, in one whose worker was killed, and in one of which a part is shipped."""
    spools = [Spool(store.data) for _ in range(3)]
    spools[0].append(LedgerLine(call_id="shipped", ended_ms=1))
    ship(store.data, store.engine)
    for n, spool in enumerate(spools):
        spool.append(LedgerLine(call_id=f"waits {n}", ended_ms=1))
    spools[1].close()
    file = made(store, tmp_path)
    for spool in (spools[0], spools[2]):
        spool.close()
    bring_back(file, target)
    ship(target.data, target.engine)
    with reading(target.engine) as connection:
        assert {row[0] for row in connection.execute(text("SELECT call_id FROM calls"))} == {
            "shipped",
            "waits 0",
            "waits 1",
            "waits 2",
        }
        assert connection.execute(text("SELECT sum(calls) FROM rollups WHERE grain = 2")).scalar() == 4
    assert segment_paths(target.data) == []


@pytest.mark.parametrize("released", revisions())
def test_a_backup_of_an_older_version_is_upgraded(empty: Store, target: Store, tmp_path: Path, released: str) -> None:
    upgrade(empty.engine, released)
    with writing(empty.engine, "test") as connection:
        for table, row in SAMPLES[released]:
            names = ", ".join(row)
            connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({', '.join(':' + n for n in row)})"), row)
    found = bring_back(made(empty, tmp_path), target)
    assert (found.head.revision, revision(target.engine)) == (released, HEAD)
    upgrade(empty.engine)
    assert content(target.engine, METADATA) == content(empty.engine, METADATA)


def test_what_is_there_is_replaced_only_when_asked_for(store: Store, tmp_path: Path) -> None:
    fill(store.engine, METADATA)
    create_key(store.data, "dev")
    file = made(store, tmp_path)
    before = content(store.engine, METADATA)
    create_key(store.data, "later")
    with writing(store.engine, "test") as connection:
        ledger.record(connection, [LedgerLine(call_id="later", ended_ms=1)])
    later = content(store.engine, METADATA)
    with pytest.raises(StoreError, match="--force"):
        bring_back(file, store)
    (store.data / "keys.json").rename(tmp_path / "aside")
    with pytest.raises(StoreError, match=r"is not empty \(schema .*--force"):
        bring_back(file, store)
    assert content(store.engine, METADATA) == later
    write_once(store.data, store.engine)
    bring_back(file, store, force=True)
    assert not feed.path(store.data).exists(), "a gateway would start with the keys of the database as it was"
    assert content(store.engine, METADATA) == before and [key["name"] for key in list_keys(store.data)] == ["dev"]


def test_tables_of_others_stay(store: Store, tmp_path: Path) -> None:
    if store.address.own:
        pytest.skip("a file of ours holds nobody else's")
    with writing(store.engine, "test") as connection:
        connection.execute(text("CREATE TABLE theirs (a text)"))
        connection.execute(text("INSERT INTO theirs VALUES ('x')"))
    bring_back(made(store, tmp_path), store, force=True)
    with reading(store.engine) as connection:
        assert connection.execute(text("SELECT a FROM theirs")).scalar() == "x"


def test_a_damaged_or_wrongly_locked_file_changes_nothing(store: Store, tmp_path: Path) -> None:
    fill(store.engine, METADATA)
    create_key(store.data, "dev")
    file = made(store, tmp_path)
    whole = file.read_bytes()
    before, lying = content(store.engine, METADATA), files(store.data)
    del lying["b"]
    for damaged in (whole[:-1], whole[: len(whole) // 2], whole[:50], b"", whole + b"x", whole[:-20] + b"y" + whole[-19:]):
        file.write_bytes(damaged)
        with pytest.raises(ContainerError):
            bring_back(file, store, force=True)
    file.write_bytes(whole)
    with pytest.raises(ContainerError, match="passphrase is wrong"):
        bring_back(file, store, Passphrase("another", 10), force=True)
    now = files(store.data)
    del now["b"]
    assert content(store.engine, METADATA) == before and now == lying
    assert [name for name in os.listdir(store.data) if name.startswith(".")] == []


@pytest.mark.parametrize("fault", ["a row goes missing", "the disk is full", "the last upgrade fails"])
def test_a_restore_that_fails_half_way_changes_nothing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    fill(store.engine, METADATA)
    create_key(store.data, "dev")
    file = made(store, tmp_path)
    with writing(store.engine, "test") as connection:
        ledger.record(connection, [LedgerLine(call_id="later", ended_ms=1)])
    create_key(store.data, "later")
    before = content(store.engine, METADATA)
    if fault == "a row goes missing":
        real = rows.count
        monkeypatch.setattr(rows, "count", lambda connection, table: real(connection, table) - (table.name == "keys"))
    elif fault == "the disk is full":
        monkeypatch.setattr(restores, "_stage", _disk_full)
    else:
        upgrades = iter((restores.upgrade_within, _disk_full))
        monkeypatch.setattr(restores, "upgrade_within", lambda *arguments: next(upgrades)(*arguments))
    with pytest.raises((ContainerError, OSError)):
        bring_back(file, store, force=True)
    assert content(store.engine, METADATA) == before and [key["name"] for key in list_keys(store.data)] == ["dev", "later"]
    assert revision(store.engine) == HEAD
    assert [name for name in os.listdir(store.data) if name.startswith(".")] == []


def _disk_full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_text_that_the_other_kind_of_database_cannot_hold_is_told_by_its_table(target: Store, tmp_path: Path) -> None:
    source = Store(tmp_path / "source", database(tmp_path / "source", {}), {})
    upgrade(source.engine)
    with writing(source.engine, "test") as connection:
        connection.execute(workspaces.update().values(name="s3cret \0"))
    file = made(source, tmp_path)
    source.engine.dispose()
    if target.address.own:
        bring_back(file, target)
        return
    with pytest.raises(StoreError, match="table workspaces") as raised:
        bring_back(file, target)
    assert "s3cret" not in str(raised.value) and revision(target.engine) == ""


def test_a_master_key_that_is_there_is_never_replaced(store: Store, target: Store, tmp_path: Path) -> None:
    find({}, store.data, make=True)
    backup(tmp_path / "b", store.data, store.address, LOCK, with_master_key=True)
    ours = find({}, target.data, make=True)
    with pytest.raises(StoreError, match=r"master\.key exists"):
        bring_back(tmp_path / "b", target, force=True)
    assert find({}, target.data, make=False) == ours and revision(target.engine) == ""


def test_a_segment_that_is_still_there_is_kept_as_it_has_grown(store: Store, tmp_path: Path) -> None:
    spool = Spool(store.data)
    spool.append(LedgerLine(call_id="a", ended_ms=1))
    file = made(store, tmp_path)
    spool.append(LedgerLine(call_id="b", ended_ms=1))
    bring_back(file, store, force=True)
    spool.close()
    assert ship(store.data, store.engine).calls == 2


@pytest.mark.parametrize(
    "path", ["../x", "/etc/x", "spool/../x.jsonl", "spool/a/b.jsonl", "other.json", "spool/x", ".x", "spool/.x.jsonl"]
)
def test_a_file_never_leads_out_of_its_places(path: str) -> None:
    with pytest.raises(ContainerError, match="does not know"):
        restores._safe(restores.Piece(path, b""))
    restores._safe(restores.Piece("keys.json", b""))
    restores._safe(restores.Piece("spool/1-a-000000.jsonl", b""))


def test_a_backup_of_a_newer_freehold_is_left_to_that(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = made(store, tmp_path)
    monkeypatch.setattr("freehold.store.migrate.HEAD", "0000")
    with file.open("rb") as opened, pytest.raises(StoreError, match=r"the backup has schema .* newer than this"):
        verify(opened, LOCK)


def test_rows_of_a_table_that_it_does_not_name_are_refused() -> None:
    file = BytesIO()
    archive = ArchiveWriter(Writer(file, LOCK))
    archive.put(Head(freehold="1", revision=HEAD, kind="sqlite", made_ms=1, tables={"t": ["a"]}))
    archive.put(Rows("x", [[1]]))
    archive.close()
    with pytest.raises(ContainerError, match="does not name"):
        verify(file, LOCK)
