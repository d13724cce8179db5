from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from freehold.config.schema import OidcConfig, RoleConfig
from freehold.control import grants, sso
from freehold.control.actor import command
from freehold.control.keys import Keys, NewKey
from freehold.control.members import EditMember, Members
from freehold.control.oidc import Identity
from freehold.control.plane import Plane
from freehold.control.refusal import Forbidden, SignInNeeded
from freehold.store import changes as feed
from freehold.store.engine import reading, writing
from freehold.store.tenants import users
from tests.admin.conftest import workspace
from tests.control.people import ADA, BOB, acts, member_of, person, signed_in

ROLES: dict[str, Any] = {
    "owners": "owner",
    "leads": "admin",
    "staff": "member",
    "lab": RoleConfig(role="viewer", workspace="lab"),
}


def config(**more: Any) -> OidcConfig:
    given = {"roles": ROLES, "allow_sign_up": True, **more}
    return OidcConfig(name="corp", issuer="https://idp.example.com", client_id="freehold", **given)


def come(plane: Plane, *groups: str, email: str = ADA, subject: str = "ada", given: OidcConfig | None = None) -> str:
    identity = Identity("https://idp.example.com", subject, email, True, "Ada", groups)
    return sso.come_in(plane, given or config(), identity, "192.0.2.7", "test").user_id


def test_the_highest_of_several_roles_counts() -> None:
    assert grants.wanted(ROLES, ["staff", "leads", "unknown"], None) == {"default": "admin"}
    assert grants.wanted(ROLES, ["lab"], "viewer") == {"lab": "viewer"}
    assert grants.wanted(ROLES, ["unknown"], "viewer") == {"default": "viewer"}
    assert grants.wanted(ROLES, [], None) == {}


def test_a_role_that_the_groups_no_longer_give_is_gone_with_keys_and_tokens(plane: Plane) -> None:
    person(plane, BOB)
    user_id = come(plane, "leads")
    row = member_of(plane, user_id)
    assert (row["role"], row["managed_by"]) == ("admin", "oidc:corp")
    Keys().create(plane, command(), NewKey(name="k", member_id=row["id"]))
    come(plane, "staff")
    assert member_of(plane, user_id)["role"] == "member"
    with pytest.raises(Forbidden):
        come(plane)
    # Nobody came in, so nothing was changed by that; their sessions are what they were.
    workspace(plane, "lab")
    come(plane, "lab")
    assert member_of(plane, user_id)["disabled"] and member_of(plane, user_id, "lab")["role"] == "viewer"
    with reading(plane.engine) as connection:
        assert [one.off for one in feed.everything(connection) if isinstance(one, feed.KeyLine)] == ["member"]
    come(plane, "leads")
    assert not member_of(plane, user_id)["disabled"] and member_of(plane, user_id)["role"] == "admin"
    assert acts(plane, "default").count("role_changed member") == 2


def test_what_was_made_by_hand_stays(plane: Plane) -> None:
    user_id = person(plane, ADA, "owner")
    come(plane, "staff")
    assert member_of(plane, user_id)["role"] == "owner"
    bob = come(plane, "staff", email=BOB, subject="bob")
    Members().change(plane, command(), member_of(plane, bob)["id"], EditMember(role="viewer"))
    come(plane, "leads", email=BOB, subject="bob")
    assert member_of(plane, bob)["role"] == "viewer", "taken over by hand"


def test_whoever_was_switched_off_by_hand_does_not_come_back_by_a_group(plane: Plane) -> None:
    person(plane, BOB)
    user_id = come(plane, "leads")
    Members().change(plane, command(), member_of(plane, user_id)["id"], EditMember(disabled=True))
    with pytest.raises(Forbidden):
        come(plane, "leads")
    with writing(plane.engine, "objects") as connection:
        connection.execute(update(users).where(users.c.id == user_id).values(disabled=True))
    with pytest.raises(Forbidden):
        come(plane, "leads", "owners")


def test_the_last_owner_stays_one_whatever_the_groups_say(plane: Plane) -> None:
    user_id = come(plane, "owners")
    come(plane, "staff")
    assert member_of(plane, user_id)["role"] == "owner"
    assert "role_kept member" in acts(plane, "default")
    come(plane, "owners", email=BOB, subject="bob")
    come(plane, "staff")
    assert member_of(plane, user_id)["role"] == "member"


def test_a_workspace_that_is_not_there_is_passed_over(plane: Plane) -> None:
    with pytest.raises(Forbidden):
        come(plane, "lab")
    come(plane, "lab", "staff")


def test_who_signs_in_there_has_no_password_here(plane: Plane) -> None:
    come(plane, "staff")
    for password in ("", "x", "plum orbit lantern"):
        with pytest.raises(SignInNeeded):
            signed_in(plane, ADA, password)


def test_a_refusal_leaves_nothing_and_is_told_in_the_log_now_and_then(plane: Plane) -> None:
    for _ in range(5):
        with pytest.raises(Forbidden):
            come(plane)
    assert acts(plane) == ["sign_in_failed user"] * 3
    with reading(plane.engine) as connection:
        assert not connection.execute(users.select()).all()
