"""From tables to lines, on both databases."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, update

from freehold.control.actor import command
from freehold.control.apps import Apps, EditApp, NewApp
from freehold.control.keys import EditKey, Keys, NewKey
from freehold.control.plane import Plane
from freehold.control.teams import EditTeam, NewTeam, Teams
from freehold.store import changes
from freehold.store.changes import NONE_YET, Listener
from freehold.store.engine import reading, writing
from freehold.store.feed import CredentialLine, Gone, KeyLine, ProviderLine, RouteLine, WorkspaceLine
from freehold.store.schema import workspaces
from freehold.store.tenants import credentials, members, providers, routes
from tests.control.conftest import plane
from tests.databases import empty, postgresql, store

__all__ = ["empty", "plane", "postgresql", "store"]

ROOT = command()
COMMON = {"workspace": "default", "metadata": {}, "created_ms": 1, "updated_ms": 1, "version": 1}


def add(plane: Plane, table: Any, **row: Any) -> None:
    with writing(plane.engine, "objects") as connection:
        connection.execute(insert(table), {**COMMON, **row})


def member(plane: Plane, id: str) -> None:
    add(plane, members, id=id, name=id, kind="service", role="member", disabled=False)


def everything(plane: Plane) -> list[Any]:
    with reading(plane.engine) as connection:
        return list(changes.everything(connection))


def last(plane: Plane) -> changes.Change:
    with reading(plane.engine) as connection:
        return changes.last(connection)


def since(plane: Plane, seen: changes.Change) -> list[Any] | None:
    """The lines of what came after `seen`."""
    with reading(plane.engine) as connection:
        found = changes.since(connection, seen)
        return None if found is None else list(changes.changed(connection, found))


def test_an_empty_database_has_its_first_workspace(plane: Plane) -> None:
    assert everything(plane) == [WorkspaceLine(id="default")]
    assert last(plane) == NONE_YET and since(plane, NONE_YET) == []


def test_every_kind_of_object_has_its_line(plane: Plane) -> None:
    add(plane, providers, id="provider_1", name="lab", config={"base_url": "http://h"})
    add(plane, routes, id="route_1", name="fast", config={"targets": []})
    add(plane, credentials, id="credential_1", name="c", provider="lab", secret=b"\x00s", last4="", disabled=True)
    made = Keys().create(plane, ROOT, NewKey(name="k", models=["a", "b/*"], addresses=["10.0.0.1"], limits=[]))
    found = everything(plane)
    assert found[1:4] == [
        ProviderLine(workspace="default", id="provider_1", name="lab", config={"base_url": "http://h"}),
        RouteLine(workspace="default", id="route_1", name="fast", config={"targets": []}),
        CredentialLine(workspace="default", id="credential_1", provider="lab", secret=b"\x00s", disabled=True),
    ]
    [key] = found[4:]
    assert isinstance(key, KeyLine) and (key.id, key.name, key.models) == (made.id, "k", ("a", "b/*"))
    assert key.addresses == ("10.0.0.1/32",) and len(key.digest) == 32 and key.off == ""


def test_a_key_knows_whose_it_is(plane: Plane) -> None:
    for id in ("m1", "m2", "m3"):
        member(plane, id)
    one = Teams().create(plane, ROOT, NewTeam(name="one", members=["m1", "m2"]))
    Teams().create(plane, ROOT, NewTeam(name="two", members=["m2"]))
    app = Apps().create(plane, ROOT, NewApp(name="bot", team_id=one.id))
    for name, owner in (("a", {"app_id": app.id}), ("b", {"member_id": "m1"}), ("c", {"member_id": "m2"}), ("d", {})):
        Keys().create(plane, ROOT, NewKey.model_validate({"name": name, **owner}))
    found = {line.name: (line.app, line.team, line.member) for line in everything(plane) if isinstance(line, KeyLine)}
    assert found == {
        "a": (app.id, one.id, ""),
        "b": ("", one.id, "m1"),
        "c": ("", "", "m2"),  # of two teams: of which one the call is cannot be said
        "d": ("", "", ""),
    }


def test_a_change_brings_the_object_as_it_is_now_once(plane: Plane) -> None:
    seen = last(plane)
    made = Keys().create(plane, ROOT, NewKey(name="k"))
    Keys().change(plane, ROOT, made.id, EditKey(disabled=True))
    [line] = since(plane, seen) or []
    assert (line.id, line.off) == (made.id, "key")
    seen = last(plane)
    Keys().remove(plane, ROOT, made.id)
    assert since(plane, seen) == [Gone(kind="key", workspace="default", id=made.id)]


def test_an_app_that_is_switched_off_brings_all_of_its_keys(plane: Plane) -> None:
    app = Apps().create(plane, ROOT, NewApp(name="bot"))
    mine = {Keys().create(plane, ROOT, NewKey(name=f"k{n}", app_id=app.id)).id for n in range(3)}
    Keys().create(plane, ROOT, NewKey(name="other"))
    seen = last(plane)
    Apps().change(plane, ROOT, app.id, EditApp(disabled=True))
    assert {(line.id, line.off) for line in since(plane, seen) or []} == {(id, "app") for id in mine}


def test_a_member_who_is_switched_off_brings_their_keys(plane: Plane) -> None:
    member(plane, "m1")
    made = Keys().create(plane, ROOT, NewKey(name="k", member_id="m1"))
    seen = last(plane)
    with plane.changing(ROOT, "member:write") as change:
        change.connection.execute(update(members).where(members.c.id == "m1").values(disabled=True))
        change.tell("member", "m1")
    assert [(line.id, line.off) for line in since(plane, seen) or []] == [(made.id, "member")]


def test_who_comes_into_a_team_or_leaves_it_takes_their_keys_along(plane: Plane) -> None:
    member(plane, "m1")
    member(plane, "m2")
    for id in ("m1", "m2"):
        Keys().create(plane, ROOT, NewKey(name=id, member_id=id))
    seen = last(plane)
    team = Teams().create(plane, ROOT, NewTeam(name="one", members=["m1"]))
    assert [(line.name, line.team) for line in since(plane, seen) or []] == [("m1", team.id)]
    seen = last(plane)
    Teams().change(plane, ROOT, team.id, EditTeam(members=["m2"]))
    assert {(line.name, line.team) for line in since(plane, seen) or []} == {("m1", ""), ("m2", team.id)}
    seen = last(plane)
    Teams().remove(plane, ROOT, team.id)
    assert [(line.name, line.team) for line in since(plane, seen) or []] == [("m2", "")]


def test_objects_of_another_workspace_are_told_as_its_own(plane: Plane) -> None:
    with writing(plane.engine, "objects") as connection:
        row = {"id": "other", "name": "o", "created_ms": 1, "metadata": {}, "updated_ms": 1, "version": 1}
        connection.execute(insert(workspaces), {**row, "disabled": False, "data_key": b"w"})
    seen = last(plane)
    Keys().create(plane, command("other"), NewKey(name="k"))
    [line] = since(plane, seen) or []
    assert line.workspace == "other"
    with plane.writing(command("other")) as change:
        change.tell("workspace", "other")
    assert WorkspaceLine(id="other", data_key=b"w") in (since(plane, seen) or [])


def test_a_workspace_that_is_gone_is_told(plane: Plane) -> None:
    seen = last(plane)
    with plane.writing(command("other")) as change:
        change.tell("workspace", "other")
    assert since(plane, seen) == [Gone(kind="workspace", workspace="other", id="other")]


def test_a_restored_or_other_database_is_known_by_its_last_change(plane: Plane) -> None:
    Keys().create(plane, ROOT, NewKey(name="a"))
    seen = last(plane)
    assert since(plane, seen) == []
    with writing(plane.engine, "objects") as connection:  # restored to a day before it
        connection.execute(delete(changes.changes))
    assert since(plane, seen) is None
    Keys().create(plane, ROOT, NewKey(name="b"))  # and gone on from there, to the same revision
    assert last(plane).revision == seen.revision and since(plane, seen) is None
    assert since(plane, last(plane)) == []


def test_old_changes_are_forgotten_and_who_needs_them_reads_all(plane: Plane) -> None:
    Keys().create(plane, ROOT, NewKey(name="a"))
    first = last(plane)
    for name in "bcd":
        Keys().create(plane, ROOT, NewKey(name=name))
    newest = last(plane)
    with writing(plane.engine, "objects") as connection:
        assert changes.prune(connection, newest.at_ms + 1000) == 3
    assert last(plane) == newest and since(plane, newest) == []
    assert since(plane, first) is None and since(plane, NONE_YET) is None


def test_more_changes_than_are_worth_it_are_read_as_a_whole(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "MAX_CHANGES", 3)
    for name in "abc":
        Keys().create(plane, ROOT, NewKey(name=name))
    assert len(since(plane, NONE_YET) or []) == 3
    Keys().create(plane, ROOT, NewKey(name="d"))
    assert since(plane, NONE_YET) is None


def test_postgresql_tells_of_a_change(plane: Plane) -> None:
    if plane.engine.dialect.name != "postgresql":
        pytest.skip("SQLite tells nobody")
    listener = Listener(plane.engine)
    try:
        heard = threading.Event()
        waiting = threading.Thread(target=lambda: (listener.wait(60), heard.set()), daemon=True)
        waiting.start()
        assert not heard.wait(0.2)
        Keys().create(plane, ROOT, NewKey(name="a"))
        assert heard.wait(30)
    finally:
        listener.close()


def test_a_listener_says_what_is_wrong_without_the_password(tmp_path: Path, plane: Plane) -> None:
    if plane.engine.dialect.name != "postgresql":
        pytest.skip("SQLite tells nobody")
    listener = Listener(plane.engine)
    listener.close()
    with pytest.raises(changes.StoreError, match="can't be listened to"):
        listener.wait(1)
