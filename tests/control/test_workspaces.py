from __future__ import annotations

import json

import pytest
from sqlalchemy import select

from freehold.control import invites, workspaces
from freehold.control.actor import command
from freehold.control.credentials import Credentials, NewCredential
from freehold.control.invites import Acceptance
from freehold.control.keys import Keys, NewKey
from freehold.control.plane import Plane
from freehold.control.refusal import Conflict, Forbidden, Missing, Stale
from freehold.control.teams import NewTeam, Teams
from freehold.control.workspaces import EditWorkspace, NewOwner, NewWorkspace
from freehold.store import changes as feed
from freehold.store.columns import metadata
from freehold.store.engine import reading, writing
from freehold.store.ledger import record
from freehold.store.schema import calls
from freehold.store.schema import workspaces as table
from freehold.store.spool import LedgerLine
from freehold.store.tenants import audit, users
from tests.control.conftest import actor
from tests.control.people import ADA, BOB, PASSWORD, acting, acts, member_of, person, signed_in


def made(plane: Plane, space: str = "lab", owner: str = BOB) -> str | None:
    given = NewWorkspace(id=space, name=space.title(), owner=NewOwner(email=owner, name="Bob"))
    return workspaces.create(plane, command(""), given).invite


def test_an_operator_makes_one_with_a_first_owner_who_is_invited(plane: Plane) -> None:
    secret = made(plane)
    assert secret is not None
    started = invites.accept(plane, Acceptance(secret, password=PASSWORD), None, "", "")
    assert started is not None and member_of(plane, started.user_id, "lab")["role"] == "owner"
    assert acts(plane)[0] == "create workspace"
    with pytest.raises(Conflict):
        made(plane)


def test_a_first_owner_who_has_an_account_is_in_at_once(plane: Plane) -> None:
    user_id = person(plane)
    assert made(plane, owner=ADA) is None
    assert member_of(plane, user_id, "lab")["role"] == "owner"


def test_nobody_else_makes_one(plane: Plane) -> None:
    with pytest.raises(Forbidden):
        workspaces.create(plane, actor("owner"), NewWorkspace(name="x", owner=NewOwner(email=ADA, name="A")))


@pytest.mark.parametrize("bad", ["Lab", "a b", "-a", "a" * 41, "a/b", "a:b", ""])
def test_an_id_can_stand_in_a_url(bad: str) -> None:
    with pytest.raises(ValueError):
        NewWorkspace(id=bad, name="x", owner=NewOwner(email=ADA, name="A"))


def test_each_sees_their_own_and_operators_all(plane: Plane) -> None:
    made(plane)
    ada = person(plane)
    root = person(plane, BOB, "viewer", operator=True)
    seen = [(one.id, one.role) for one in workspaces.listed(plane, acting(plane, ada).but(workspace=""))]
    assert seen == [("default", "owner")]
    seen = [(one.id, one.role) for one in workspaces.listed(plane, acting(plane, root).but(workspace=""))]
    assert seen == [("default", "viewer"), ("lab", None)]
    assert [one.id for one in workspaces.listed(plane, actor("owner", "lab").but(kind="token"))] == []


def test_an_owner_renames_it_and_only_an_operator_switches_it_off(plane: Plane) -> None:
    made(plane)
    owner = actor("owner", "lab")
    assert workspaces.change(plane, owner, EditWorkspace(name="Research"), 1).name == "Research"
    with pytest.raises(Stale):
        workspaces.change(plane, owner, EditWorkspace(name="X"), 1)
    with pytest.raises(Forbidden):
        workspaces.change(plane, owner, EditWorkspace(disabled=True))
    with pytest.raises(Forbidden):
        workspaces.change(plane, actor("member", "lab"), EditWorkspace(name="X"))
    assert workspaces.change(plane, command("lab"), EditWorkspace(disabled=True)).disabled
    assert workspaces.change(plane, command("lab"), EditWorkspace(disabled=False)).disabled is False


def test_an_operator_looks_after_every_workspace_and_sees_nothing_in_it(plane: Plane) -> None:
    made(plane)
    root = acting(plane, person(plane, ADA, "owner", operator=True), "lab")
    assert root.workspace == "lab" and root.member_id == ""
    assert workspaces.change(plane, root, EditWorkspace(disabled=True)).disabled
    for scope in ("key:read", "member:write", "usage:read", "audit:read"):
        assert not root.may(scope)
    with pytest.raises(Missing):
        acting(plane, person(plane, BOB, "owner"), "lab")
    with pytest.raises(Missing):
        acting(plane, root.user_id, "nowhere")


def test_deleting_it_takes_everything_but_its_calls_and_destroys_its_key(plane: Plane) -> None:
    made(plane)
    bob = person(plane, BOB, "owner", "lab")
    assert signed_in(plane, BOB) is not None
    inside = command("lab")
    Keys().create(plane, inside, NewKey(name="k"))
    Teams().create(plane, inside, NewTeam(name="t", members=[member_of(plane, bob, "lab")["id"]]))
    Credentials().create(plane, inside, NewCredential(name="c", provider="openai", secret="sk-theirs-0123456789"))
    with writing(plane.engine, "ledger") as connection:
        record(connection, [LedgerLine(call_id="c1", ended_ms=1_790_000_000_000, workspace="lab", outcome="ok")])
    with reading(plane.engine) as connection:
        seen = feed.last(connection)
        last = connection.execute(
            select(audit.c.sequence, audit.c.digest).where(audit.c.workspace == "lab").order_by(audit.c.sequence.desc())
        ).first()
    with pytest.raises(Forbidden):
        workspaces.remove(plane, actor("admin", "lab"))
    workspaces.remove(plane, actor("owner", "lab"))
    with reading(plane.engine) as connection:
        left = {
            one.name
            for one in metadata.sorted_tables
            if "workspace" in one.c and connection.execute(select(one).where(one.c.workspace == "lab")).first()
        }
        assert {name for name in left if not name.startswith(("calls", "changes"))} == set() and "calls" in left
        assert connection.scalar(select(calls.c.call_id)) == "c1"
        assert connection.scalar(select(table.c.id).where(table.c.id == "lab")) is None
        assert connection.scalar(select(users.c.id).where(users.c.email == BOB)) is None
        told = list(feed.changed(connection, feed.since(connection, seen) or []))
        assert [(one.kind, one.id) for one in told if isinstance(one, feed.Gone)] == [("workspace", "lab")]
        row = connection.execute(select(audit).where(audit.c.workspace == "", audit.c.action == "delete")).mappings().one()
    assert last is not None and row["kind"] == "workspace"
    assert json.loads(row["before"])["last_record"] == f"{last.sequence}:{last.digest}"


def test_the_one_that_the_file_belongs_to_is_not_deleted(plane: Plane) -> None:
    with pytest.raises(Conflict):
        workspaces.remove(plane, command("default"))
    with pytest.raises(Missing):
        workspaces.remove(plane, command("nowhere"))


def test_a_wrapped_key_is_there_from_the_beginning(plane: Plane) -> None:
    made(plane)
    with reading(plane.engine) as connection:
        wrapped = connection.scalar(select(table.c.data_key).where(table.c.id == "lab"))
    assert wrapped is not None and plane.master().unwrap(wrapped, "lab").workspace == "lab"
