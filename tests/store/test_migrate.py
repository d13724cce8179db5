from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from msgspec import structs
from sqlalchemy import MetaData, inspect, text

from freehold.store import migrate
from freehold.store import rows as rows_of
from freehold.store.address import StoreError
from freehold.store.engine import open_engine, reading, writing
from freehold.store.grains import DAY_MS, DIMENSIONS, GRAINS, HOUR_MS, LATENCIES, MEASURES
from freehold.store.migrate import (
    MIGRATIONS,
    VERSION_TABLE,
    prepare,
    require_current,
    require_known,
    revision,
    tables_at,
    upgrade,
)
from freehold.store.schema import HEAD
from freehold.store.spool import LedgerLine
from freehold.store.tenants import metadata  # with all tables
from tests.store.conftest import Store
from tests.store.test_ledger import line, record
from tests.store.test_rollup import recounted, rolled

# Rows as each released schema would hold them, for those that follow to keep. One entry for every migration.
TIMES = {"created_ms": 1, "updated_ms": 2, "version": 3}
FLAGS = {"operator": True, "disabled": False}
SAMPLES: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "0001": [
        ("workspaces", {"id": "w", "name": "W", "created_ms": 1}),
        ("spool_segments", {"segment": "s.jsonl", "position": 7, "unreadable": 0, "shipped_ms": 2}),
    ],
    "0002": [
        ("series", {"id": 7, "workspace": "w", "digest": b"d", **dict.fromkeys(DIMENSIONS, "t")}),
        ("rollups", {"workspace": "w", "grain": 3, "at": 4, "series": 7, **dict.fromkeys(MEASURES, 5)}),
        ("latencies", {"workspace": "w", "grain": 3, "at": 4, "series": 7, **dict.fromkeys(LATENCIES, b"h")}),
        ("retained", {"what": "calls", "from_ms": 1}),
    ],
    "0003": [
        ("failures", {"subject": "user:a@b.c", "count": 1, "since_ms": 2, "until_ms": 3}),
        ("users", {"id": "user_1", "email": "a@b.c", "name": "A", "password": "", "totp_used": 0, **FLAGS, **TIMES}),
    ],
}


def script(folder: Path = MIGRATIONS) -> ScriptDirectory:
    return ScriptDirectory(str(folder), version_locations=[str(folder)])


def revisions() -> list[str]:
    return [one.revision for one in script().walk_revisions()][::-1]


def rows(store: Store, table: str) -> list[dict[str, Any]]:
    with reading(store.engine) as connection:
        return [dict(row) for row in connection.execute(text(f"SELECT * FROM {table}")).mappings()]


def tables(store: Store) -> set[str]:
    return set(inspect(store.engine).get_table_names())


def test_head_is_the_newest_migration_and_every_one_has_samples() -> None:
    assert script().get_heads() == [HEAD]
    assert list(SAMPLES) == revisions()


@pytest.mark.parametrize("released", revisions())
def test_every_released_schema_upgrades_to_this_one_and_keeps_its_rows(empty: Store, released: str) -> None:
    assert upgrade(empty.engine, released) == ("", released)
    with writing(empty.engine, "test") as connection:
        for table, row in SAMPLES[released]:
            names = ", ".join(f'"{name}"' for name in row)
            connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({', '.join(':' + n for n in row)})"), row)
    assert upgrade(empty.engine) == (released, HEAD)
    for table, row in SAMPLES[released]:
        assert any(row.items() <= found.items() for found in rows(empty, table))
    with reading(empty.engine) as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    require_current(empty.engine, empty.address)


def named(tables: MetaData) -> dict[str, dict[str, str]]:
    return {name: {c.name: rows_of.plain_type(c) for c in table.columns} for name, table in tables.tables.items()}


def test_the_tables_of_a_revision_are_known_without_a_database_of_it(store: Store) -> None:
    """As the migrations make them, which is what backups go by; of the newest, also as the code has them."""
    found = tables_at(HEAD)
    assert named(found) == named(metadata)
    assert [t.name for t in found.sorted_tables] == [t.name for t in metadata.sorted_tables]
    assert {*found.tables, VERSION_TABLE} == tables(store)
    assert sorted(tables_at("0001").tables) == ["calls", "calls_hourly", "spool_segments", "workspaces"]


def test_a_schema_that_is_not_ours_is_told_from_a_newer_one() -> None:
    with pytest.raises(StoreError, match="newer than this"):
        require_known("9999", "the backup")
    with pytest.raises(StoreError, match="knows nothing"):
        require_known("0000", "the backup")
    for known in revisions():
        require_known(known, "the backup")


ADDED_BY_0002 = {"team", "app", "member", "end_user", "session", "tags", "region", "images"}
OLD = [name for name in LedgerLine.__struct_fields__ if name not in ADDED_BY_0002]


def _old_calls() -> dict[str, LedgerLine]:
    """What 0001 could hold, over three days and two workspaces."""
    dice = random.Random(1)
    found = {}
    for n in range(400):
        who = {"workspace": dice.choice(["default", "other"]), "key": dice.choice("ab"), "key_id": "k"}
        what = {"route": dice.choice("rs"), "provider": "p", "model": dice.choice("mn"), "answered_by": "m-1", "zone": "external"}
        came = {"outcome": dice.choice(["ok", "refused"]), "error": dice.choice(["", "model_not_found"]), "kind": "chat"}
        numbers = {
            name: dice.randrange(1000) for name in ("input", "output", "reasoning", "web_searches", "characters", "total_us")
        }
        cost = dice.choice([None, 0, 10**6])
        more = {"cost_nusd": cost, "seconds": dice.randrange(8) / 4, "estimated": dice.random() < 0.5, "first_us": 7}
        found[f"{n}"] = line(
            f"{n}", dice.randrange(3 * DAY_MS // HOUR_MS) * HOUR_MS + n, **who, **what, **came, **numbers, **more
        )
    return found


def test_the_ledger_of_0001_is_rolled_up_afresh_and_goes_on(empty: Store) -> None:
    upgrade(empty.engine, "0001")
    lines = _old_calls()
    with writing(empty.engine, "test") as connection:
        names = ", ".join(f'"{name}"' for name in OLD)
        sql = text(f"INSERT INTO calls ({names}) VALUES ({', '.join(f':{name}' for name in OLD)})")
        connection.execute(sql, [{name: getattr(one, name) for name in OLD} | {"attempts": "[]"} for one in lines.values()])
    upgrade(empty.engine)
    expected = {key: one for key, one in lines.items() if one.error != "model_not_found"}
    expected |= {key: structs.replace(one, route="") for key, one in lines.items() if one.error}
    for grain in GRAINS:
        assert rolled(empty, grain) == recounted(expected, grain)
    again = {f"{key} again": structs.replace(one, call_id=f"{key} again") for key, one in expected.items()}
    assert record(empty, *lines.values(), *again.values()) == len(again), "those that were there are known"
    for grain in GRAINS:
        assert rolled(empty, grain) == recounted(expected | again, grain)
    with reading(empty.engine) as connection:
        assert connection.execute(text("SELECT count(*), count(DISTINCT digest) FROM series")).one()[0] < 100


def test_the_first_workspace_is_there(store: Store) -> None:
    assert [row["id"] for row in rows(store, "workspaces")] == ["default"]


def test_an_upgrade_may_be_repeated(store: Store) -> None:
    assert upgrade(store.engine) == (HEAD, HEAD)


def test_upgrades_at_the_same_time_wait_for_each_other(empty: Store) -> None:
    engines = [open_engine(empty.address) for _ in range(4)]
    with ThreadPoolExecutor(len(engines)) as pool:
        done = list(pool.map(upgrade, engines))
    assert sorted(done) == [("", HEAD)] + [(HEAD, HEAD)] * 3
    for engine in engines:
        engine.dispose()


FAILING = """
from alembic import op
from sqlalchemy import Column, Text
revision, down_revision = "9999", "{head}"
def upgrade():
    op.create_table("half", Column("id", Text, primary_key=True))
    op.add_column("workspaces", Column("half", Text))
    op.execute("DELETE FROM workspaces")
    {fail}
"""


@pytest.mark.parametrize("fail", ["op.execute('SELECT * FROM no_such_table')", "raise KeyboardInterrupt"])
def test_a_migration_that_fails_half_way_leaves_the_old_version(store: Store, tmp_path: Path, fail: str) -> None:
    folder = tmp_path / "migrations of a later version"
    shutil.copytree(MIGRATIONS, folder)
    (folder / "m9999_failing.py").write_text(FAILING.format(head=HEAD, fail=fail))
    before, columns = tables(store), [sorted(row) for row in rows(store, "workspaces")]
    with pytest.raises(BaseException, match=r"no_such_table|^$"):
        upgrade(store.engine, folder=folder)
    assert revision(store.engine) == HEAD
    assert tables(store) == before
    assert [sorted(row) for row in rows(store, "workspaces")] == columns
    require_current(store.engine, store.address)


def test_an_upgrade_from_nothing_that_fails_leaves_nothing(empty: Store, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    shutil.copytree(MIGRATIONS, folder)
    (folder / "m9999_failing.py").write_text(FAILING.format(head=HEAD, fail="1 / 0"))
    with pytest.raises(ZeroDivisionError):
        upgrade(empty.engine, folder=folder)
    assert revision(empty.engine) == "" and tables(empty) == set()


def _set_revision(store: Store, to: str) -> None:
    with writing(store.engine, "test") as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :to"), {"to": to})


@pytest.mark.parametrize("act", [require_current, prepare, lambda engine, _: upgrade(engine)])
def test_a_newer_schema_is_left_alone_and_said_so(store: Store, act: Callable[..., object]) -> None:
    _set_revision(store, "9999")
    with pytest.raises(StoreError, match="newer than this"):
        act(store.engine, store.address)
    assert revision(store.engine) == "9999"


def test_an_older_or_empty_database_names_the_command(empty: Store) -> None:
    with pytest.raises(StoreError, match='no schema yet; run "freehold db upgrade"'):
        require_current(empty.engine, empty.address)
    upgrade(empty.engine)
    _set_revision(empty, "0000")
    with pytest.raises(StoreError, match=r'has schema 0000.* run "freehold db upgrade"'):
        require_current(empty.engine, empty.address)


def test_a_start_sets_up_an_empty_database(empty: Store) -> None:
    prepare(empty.engine, empty.address)
    assert revision(empty.engine) == HEAD


def test_a_start_upgrades_only_a_database_of_its_own(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "HEAD", "9999")
    asked: list[object] = []
    monkeypatch.setattr(migrate, "upgrade", asked.append)
    with pytest.raises(StoreError, match="db upgrade"):
        prepare(store.engine, store.address)
    assert bool(asked) is store.address.own
