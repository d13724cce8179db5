from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select, update

from freehold.control.actor import command
from freehold.control.apps import Apps, NewApp
from freehold.control.keys import Keys, NewKey
from freehold.control.members import EditMember, Members, NewMember
from freehold.control.plane import Plane
from freehold.control.refusal import Conflict, Forbidden, Invalid, Missing
from freehold.control.tokens import NewToken, Tokens, actor_of
from freehold.store import changes as feed
from freehold.store.engine import reading, writing
from freehold.store.tenants import apps, keys, sessions, tokens, users
from tests.admin.conftest import workspace
from tests.control.conftest import actor
from tests.control.people import ADA, BOB, acting, acts, member_of, person, signed_in

MEMBERS = Members()


def rows(plane: Plane, table: Any) -> list[Any]:
    with reading(plane.engine) as connection:
        return list(connection.execute(select(table)).mappings())


def lines(plane: Plane) -> dict[str, str]:
    """Key -> why gateways refuse it, "" if they don't."""
    with reading(plane.engine) as connection:
        return {one.name: one.off for one in feed.everything(connection) if isinstance(one, feed.KeyLine)}


def member(plane: Plane, email: str, role: str) -> str:
    return str(member_of(plane, person(plane, email, role))["id"])


def test_members_are_shown_with_name_and_address(plane: Plane) -> None:
    person(plane)
    MEMBERS.create(plane, actor("admin"), NewMember(name="deploy bot", role="viewer"))
    found, _ = MEMBERS.page(plane, actor("viewer"), {})
    assert {(one.name, one.email, one.kind, one.role) for one in found} == {
        ("Ada", ADA, "person", "owner"),
        ("deploy bot", None, "service", "viewer"),
    }


@pytest.mark.parametrize("role", ["owner", "admin", "member", "viewer", "auditor"])
def test_nobody_gives_a_role_with_rights_that_they_lack(plane: Plane, role: str) -> None:
    given = NewMember(name="bot", role=role)  # type: ignore[arg-type]
    for who in ("owner", "admin"):
        if who == "admin" and role == "owner":
            with pytest.raises(Forbidden):
                MEMBERS.create(plane, actor(who), given)
        else:
            MEMBERS.create(plane, actor(who), given)
    for who in ("member", "viewer", "auditor"):
        with pytest.raises(Forbidden):
            MEMBERS.create(plane, actor(who), given)


def test_an_admin_does_not_touch_owners_nor_become_one(plane: Plane) -> None:
    ada, bob = member(plane, ADA, "owner"), member(plane, BOB, "admin")
    admin = actor("admin", member_id=bob)
    with pytest.raises(Forbidden):
        MEMBERS.change(plane, admin, ada, EditMember(role="member"))
    with pytest.raises(Forbidden):
        MEMBERS.change(plane, admin, ada, EditMember(disabled=True))
    with pytest.raises(Forbidden):
        MEMBERS.remove(plane, admin, ada)
    with pytest.raises(Forbidden):
        MEMBERS.change(plane, admin, bob, EditMember(role="owner"))


def test_the_last_owner_stays_one(plane: Plane) -> None:
    ada, bob = member(plane, ADA, "owner"), member(plane, BOB, "owner")
    MEMBERS.create(plane, command(), NewMember(name="bot", role="owner"))  # nobody who could sign in
    MEMBERS.change(plane, command(), bob, EditMember(role="admin"))
    for given in (EditMember(role="admin"), EditMember(disabled=True)):
        with pytest.raises(Conflict):
            MEMBERS.change(plane, command(), ada, given)
    with pytest.raises(Conflict):
        MEMBERS.remove(plane, command(), ada)
    MEMBERS.change(plane, command(), bob, EditMember(role="owner"))
    with writing(plane.engine, "objects") as connection:
        connection.execute(update(users).where(users.c.email == BOB).values(disabled=True))
    with pytest.raises(Conflict):
        MEMBERS.remove(plane, command(), ada)
    assert [act for act in acts(plane, "default") if act.startswith("role")] == ["role_changed member"] * 2


def test_whoever_is_switched_off_is_out_with_their_tokens_sessions_and_keys(plane: Plane) -> None:
    person(plane)
    bob = person(plane, BOB, "admin")
    row = member_of(plane, bob)
    mine = acting(plane, bob)
    secret = Tokens().create(plane, mine, NewToken(name="t")).token
    Keys().create(plane, mine, NewKey(name="k", member_id=row["id"]))
    assert signed_in(plane, BOB) is not None and lines(plane) == {"k": ""}
    MEMBERS.change(plane, command(), row["id"], EditMember(disabled=True))
    assert lines(plane) == {"k": "member"} and not rows(plane, sessions) and not rows(plane, tokens)
    with reading(plane.engine) as connection:
        assert actor_of(connection, secret, 1, "") is None
    with pytest.raises(Missing):
        acting(plane, bob)
    MEMBERS.change(plane, command(), row["id"], EditMember(disabled=False))
    assert lines(plane) == {"k": ""}
    with reading(plane.engine) as connection:
        assert actor_of(connection, secret, 1, "") is None, "a token does not come back"


def test_whoever_is_removed_leaves_keys_that_are_off_and_apps(plane: Plane) -> None:
    person(plane)
    bob = person(plane, BOB, "member")
    row = member_of(plane, bob)
    Keys().create(plane, acting(plane, bob), NewKey(name="k"))
    Apps().create(plane, acting(plane, bob), NewApp(name="a"))
    assert signed_in(plane, BOB) is not None
    MEMBERS.remove(plane, command(), row["id"])
    key, app = rows(plane, keys)[0], rows(plane, apps)[0]
    assert key["disabled"] and key["member_id"] is None and app["owner_id"] is None
    assert lines(plane) == {"k": "key"} and not rows(plane, sessions)
    assert [user["email"] for user in rows(plane, users)] == [ADA], "who is in no workspace is forgotten"


def test_whoever_is_in_another_workspace_too_stays_known(plane: Plane) -> None:
    workspace(plane, "lab")
    person(plane)
    bob = person(plane, BOB, "member")
    person(plane, BOB, "viewer", "lab")
    MEMBERS.remove(plane, command(), member_of(plane, bob)["id"])
    assert member_of(plane, bob, "lab")["role"] == "viewer" and signed_in(plane, BOB) is not None
    with pytest.raises(Missing):
        acting(plane, bob)


def test_a_users_switch_counts_in_every_workspace(plane: Plane) -> None:
    person(plane)
    bob = person(plane, BOB, "admin")
    secret = Tokens().create(plane, acting(plane, bob), NewToken(name="t")).token
    Keys().create(plane, acting(plane, bob), NewKey(name="k", member_id=member_of(plane, bob)["id"]))
    with writing(plane.engine, "objects") as connection:
        connection.execute(update(users).where(users.c.id == bob).values(disabled=True))
        assert actor_of(connection, secret, 1, "") is None
    assert lines(plane) == {"k": "member"}


def test_what_is_changed_by_hand_is_kept_by_hand(plane: Plane) -> None:
    person(plane)
    bob = member_of(plane, person(plane, BOB, "member"))
    from freehold.store.tenants import members as table

    with writing(plane.engine, "objects") as connection:
        connection.execute(update(table).where(table.c.id == bob["id"]).values(managed_by="oidc:corp"))
    changed = MEMBERS.change(plane, command(), bob["id"], EditMember(metadata={"a": "b"}))
    assert changed.managed_by == "oidc:corp"
    assert MEMBERS.change(plane, command(), bob["id"], EditMember(role="viewer")).managed_by is None


def test_a_persons_name_is_their_own(plane: Plane) -> None:
    ada = member(plane, ADA, "owner")
    with pytest.raises(Invalid):
        MEMBERS.change(plane, command(), ada, EditMember(name="Eve"))
