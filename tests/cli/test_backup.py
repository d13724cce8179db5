"""As users run them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from sqlalchemy import select

from freehold.store.address import database
from freehold.store.engine import open_engine, reading, writing
from freehold.store.ledger import record
from freehold.store.masterkey import find
from freehold.store.migrate import upgrade
from freehold.store.spool import LedgerLine
from freehold.store.tenants import audit
from tests.cli.test_commands import run

PHRASE = "correct horse battery"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with one call in its ledger and one key."""
    folder = tmp_path / "data"
    engine = open_engine(database(folder, {}))
    upgrade(engine)
    with writing(engine, "test") as connection:
        record(connection, [LedgerLine(call_id="a", ended_ms=1, outcome="ok", key="dev", cost_nusd=5)])
    engine.dispose()
    assert run(tmp_path, "key", "create", "--name", "dev").returncode == 0
    return folder


def failed(done: subprocess.CompletedProcess[str], says: str) -> bool:
    assert done.returncode == 1 and "Traceback" not in done.stderr and PHRASE not in done.stderr
    assert says in done.stderr
    return True


def test_without_a_passphrase_the_master_key_locks_it_and_it_says_to_keep_that(tmp_path: Path, data: Path) -> None:
    done = run(tmp_path, "backup", "b")
    assert done.returncode == 0 and "keep that in another place" in done.stdout and "0 files" in done.stdout
    [master] = find({}, data, make=False)
    assert failed(run(tmp_path, "restore", "b", "--data", "new"), "there is no master key")
    assert not (tmp_path / "new").exists()
    env = {"FREEHOLD_MASTER_KEY": master.hex()}
    done = run(tmp_path, "restore", "b", "--data", "new", **env)
    assert done.returncode == 0 and done.stdout.startswith("Restored b into SQLite file new/freehold.db and new: ")
    engine = open_engine(database(tmp_path / "new", {}))
    with reading(engine) as connection:
        [act] = connection.execute(select(audit).where(audit.c.action == "restore")).mappings()
    engine.dispose()
    assert (act["workspace"], act["action"], act["kind"], act["actor_kind"]) == ("", "restore", "backup", "command")
    assert run(tmp_path, "spend", "--data", "new", "--json").stdout == run(tmp_path, "spend", "--json").stdout != ""
    assert run(tmp_path, "key", "list", "--data", "new", "--json").stdout == run(tmp_path, "key", "list", "--json").stdout
    assert failed(run(tmp_path, "restore", "b", "--data", "other", FREEHOLD_MASTER_KEY="11" * 32), "known are only")


@pytest.mark.parametrize("way", ["file", "variable", "reference"])
def test_a_passphrase_locks_it(tmp_path: Path, data: Path, way: str) -> None:
    (tmp_path / "p").write_text(PHRASE + "\n")
    flags = ("--passphrase-file", "p") if way == "file" else ()
    env = {"variable": PHRASE, "reference": f"file:{tmp_path}/p"}.get(way, "")
    done = run(tmp_path, "backup", "b", *flags, FREEHOLD_BACKUP_PASSPHRASE=env)
    assert done.returncode == 0 and "Only the passphrase opens it" in done.stdout
    checked = run(tmp_path, "restore", "b", "--check", FREEHOLD_BACKUP_PASSPHRASE=PHRASE)
    assert checked.returncode == 0 and checked.stdout.startswith("ok: b is whole: ") and "from sqlite, schema" in checked.stdout
    assert failed(run(tmp_path, "restore", "b", "--check"), "b: it is locked with a passphrase; give it with --passphrase-file")
    assert failed(run(tmp_path, "restore", "b", "--check", FREEHOLD_BACKUP_PASSPHRASE="wrong one"), "the passphrase is wrong")
    done = run(tmp_path, "restore", "b", FREEHOLD_BACKUP_PASSPHRASE=PHRASE)
    assert failed(done, "--force")
    assert run(tmp_path, "restore", "b", "--force", FREEHOLD_BACKUP_PASSPHRASE=PHRASE).returncode == 0


def test_the_master_key_goes_into_one_with_a_passphrase_only(tmp_path: Path, data: Path) -> None:
    assert failed(run(tmp_path, "backup", "b", "--with-master-key"), "give a passphrase")
    (data / "master.key").unlink()
    assert failed(
        run(tmp_path, "backup", "b", "--with-master-key", FREEHOLD_BACKUP_PASSPHRASE=PHRASE), "there is no data/master.key"
    )
    key = find({}, data, make=True)
    done = run(tmp_path, "backup", "b", "--with-master-key", FREEHOLD_BACKUP_PASSPHRASE=PHRASE)
    assert done.returncode == 0 and "It holds the master key" in done.stdout
    assert run(tmp_path, "restore", "b", "--data", "new", FREEHOLD_BACKUP_PASSPHRASE=PHRASE).returncode == 0
    assert find({}, tmp_path / "new", make=False) == key


@pytest.mark.parametrize(
    ("arguments", "env", "says"),
    [
        (("backup", "b", "--data", "nowhere"), {}, "there is no SQLite file nowhere/freehold.db"),
        (("backup", "no/b"), {}, "'no/b' is no place for a file"),
        (("backup", "b"), {"FREEHOLD_BACKUP_PASSPHRASE": "short"}, "has 5 characters; at least 12"),
        (("backup", "b", "--passphrase-file", "none"), {}, "--passphrase-file: file:"),
        (("backup", "b"), {"FREEHOLD_MASTER_KEY": "short"}, "FREEHOLD_MASTER_KEY holds 5 characters"),
        (("restore", "none"), {}, "none: No such file"),
        (("restore", "text"), {}, "text: it is no backup of Freehold"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_line(
    tmp_path: Path, data: Path, arguments: tuple[str, ...], env: dict[str, str], says: str
) -> None:
    (tmp_path / "text").write_text("nothing of ours")
    assert failed(run(tmp_path, *arguments, **env), says)
    assert not (tmp_path / "b").exists() and not (tmp_path / "nowhere").exists()
