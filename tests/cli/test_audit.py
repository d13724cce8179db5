"""`freehold audit`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from sqlalchemy import update

from freehold.store.address import database
from freehold.store.engine import open_engine, writing
from freehold.store.tenants import audit
from tests.cli.test_commands import run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        assert run(tmp_path, "team", "create", "--name", name).returncode == 0
    return tmp_path


def test_what_was_done_is_listed_and_exported(folder: Path) -> None:
    shown = run(folder, "audit", "list", "--kind", "team")
    assert shown.returncode == 0 and shown.stdout.splitlines()[0].split()[:3] == ["AT", "WHO", "FROM"], shown.stderr
    found = json.loads(run(folder, "audit", "list", "--kind", "team", "--json").stdout)
    assert [one["object"] for one in found] == ["b", "a"] and found[0]["actor_kind"] == "command"
    lines = run(folder, "audit", "export").stdout.splitlines()
    assert [json.loads(line)["object"] for line in lines if json.loads(line)["kind"] == "team"] == ["a", "b"]
    assert run(folder, "audit", "export", "--format", "cef", "--output", "out.cef").returncode == 0
    assert (folder / "out.cef").read_text().count("CEF:0|") == len(lines)
    assert run(folder, "audit", "list", "--workspace", "nowhere").stdout == "No such acts.\n"


def test_a_changed_record_is_named_and_the_exit_code_says_so(folder: Path) -> None:
    fine = run(folder, "audit", "verify")
    assert fine.returncode == 0 and fine.stdout.startswith("ok: ") and "Anchor" in fine.stdout
    anchor = json.loads(run(folder, "audit", "verify", "--json").stdout)["anchor"]
    assert run(folder, "audit", "verify", "--anchor", anchor).returncode == 0
    engine = open_engine(database(folder / "data", {}))
    with writing(engine, "objects") as connection:
        connection.execute(update(audit).where(audit.c.object == "a").values(actor="nobody"))
    engine.dispose()
    changed = run(folder, "audit", "verify")
    assert changed.returncode == 1 and "it, or its place in the log, was changed" in changed.stdout
    assert run(folder, "audit", "verify", "--anchor", "x").returncode == 1
    os.unlink(folder / "data" / "master.key")
    lost = run(folder, "audit", "verify")
    assert lost.returncode == 1 and "not known here" in lost.stdout
