from __future__ import annotations

from pathlib import Path

from sqlalchemy import update

from freehold.store.address import database
from freehold.store.engine import open_engine, writing
from freehold.store.masterkey import find
from freehold.store.migrate import upgrade
from freehold.store.schema import workspaces
from freehold.store.sealing import MasterKey
from tests.cli.test_commands import run


def test_a_rotation_wraps_the_workspaces_anew_and_shows_ids_alone(tmp_path: Path) -> None:
    data = tmp_path / "data"
    old = MasterKey.load({}, data)
    engine = open_engine(database(data, {}))
    upgrade(engine)
    with writing(engine, "test") as connection:
        connection.execute(update(workspaces).values(data_key=old.new_workspace_key("default")))
    engine.dispose()
    done = run(tmp_path, "master-key", "show")
    assert done.stdout.splitlines()[1].split() == [old.id.hex(), "in", "use", "1"]
    done = run(tmp_path, "master-key", "rotate")
    assert done.returncode == 0 and "1 key." in done.stdout
    new = MasterKey.load({}, data)
    shown = run(tmp_path, "master-key", "show").stdout
    assert [line.split() for line in shown.splitlines()[1:]] == [
        [new.id.hex(), "in", "use", "1"],
        [old.id.hex(), "previous", "0"],
    ]
    first, second = find({}, data, make=False)
    assert not any(key.hex() in shown + done.stdout for key in (first, second))


def test_a_key_from_the_environment_is_changed_there_and_wrapped_anew_by_command(tmp_path: Path) -> None:
    data = tmp_path / "data"
    engine = open_engine(database(data, {}))
    upgrade(engine)
    with writing(engine, "test") as connection:
        connection.execute(update(workspaces).values(data_key=MasterKey(bytes(32)).new_workspace_key("default")))
    engine.dispose()
    old, new = bytes(32).hex(), bytes(range(32)).hex()
    done = run(tmp_path, "master-key", "rotate", FREEHOLD_MASTER_KEY=old)
    assert done.returncode == 1 and "FREEHOLD_MASTER_KEY_PREVIOUS" in done.stderr
    assert not (data / "master.key").exists()
    done = run(tmp_path, "master-key", "rewrap", FREEHOLD_MASTER_KEY=new)
    assert done.returncode == 1 and "known are only" in done.stderr and "Traceback" not in done.stderr
    assert "MISSING" in run(tmp_path, "master-key", "show", FREEHOLD_MASTER_KEY=new).stdout
    done = run(tmp_path, "master-key", "rewrap", FREEHOLD_MASTER_KEY=new, FREEHOLD_MASTER_KEY_PREVIOUS=old)
    assert done.returncode == 0 and "1 key." in done.stdout
    assert MasterKey(bytes(range(32))).id.hex() in run(tmp_path, "master-key", "show", FREEHOLD_MASTER_KEY=new).stdout
    done = run(tmp_path, "master-key", "show")
    assert done.returncode == 1 and "there is no master key" in done.stderr
