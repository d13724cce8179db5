"""Commands made from nouns: what is typed reaches the database, what is wrong is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from freehold.cli.main import app
from freehold.cli.settings import Failed
from freehold.control.refusal import Conflict, Missing


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FREEHOLD_DATABASE_URL", raising=False)

    def run(*words: str) -> str:
        result = CliRunner().invoke(app, words, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    return run


def test_an_object_lives_from_its_making_to_its_end(run: Any) -> None:
    team = json.loads(run("team", "create", "--name", "research", "--metadata", "a=b=c", "--json"))
    assert team["metadata"] == {"a": "b=c"}
    app = json.loads(run("app", "create", "--name", "bot", "--team-id", team["id"], "--environment", "staging", "--json"))
    assert json.loads(run("app", "list", "--team-id", team["id"], "--json")) == [app]
    assert json.loads(run("app", "list", "--disabled", "--json")) == []
    changed = json.loads(run("app", "update", app["id"], "--disabled", "--json"))
    assert changed == {**app, "disabled": True, "updated_at": changed["updated_at"]}
    lines = run("app", "show", app["id"]).splitlines()
    assert "name         bot" in lines and "disabled     yes" in lines, lines
    run("app", "delete", app["id"])
    assert run("app", "list") == "No apps yet.\n"
    with pytest.raises(Missing):
        run("app", "show", app["id"])


def test_a_list_shows_every_page_as_a_table(run: Any) -> None:
    for name in ("a", "b"):
        run("team", "create", "--name", name)
    heads, *rows = run("team", "list").splitlines()
    assert heads.split()[:2] == ["ID", "NAME"] and [row.split()[1] for row in rows] == ["b", "a"]


@pytest.mark.parametrize(
    ("words", "refusal", "named"),
    [
        (("team", "create", "--name", " "), Failed, "name: "),
        (("app", "create", "--name", "x", "--team-id", "team_0"), Failed, "team_0"),
        (("token", "create", "--name", "x", "--expires", "tomorrow"), Failed, "expires_at: "),
        (("team", "delete", "team_0"), Missing, "team_0"),
    ],
)
def test_what_is_wrong_is_named(run: Any, words: tuple[str, ...], refusal: type[Exception], named: str) -> None:
    from freehold.control.refusal import Invalid

    with pytest.raises((refusal, Invalid), match=named):
        run(*words)


def test_a_name_in_use_is_a_conflict(run: Any) -> None:
    run("team", "create", "--name", "a")
    with pytest.raises(Conflict):
        run("team", "create", "--name", "a")


def test_one_workspace_does_not_see_another(run: Any) -> None:
    made = json.loads(run("team", "create", "--name", "a", "--json"))
    with pytest.raises(Missing):
        run("team", "show", made["id"], "--workspace", "other")
    assert run("team", "list", "--workspace", "other") == "No teams yet.\n"
