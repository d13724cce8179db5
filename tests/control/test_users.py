from __future__ import annotations

import pytest

from freehold.control import users
from freehold.control.plane import Plane
from freehold.control.refusal import Conflict, Forbidden, Missing, SignInNeeded
from freehold.control.users import EditUser
from tests.control.conftest import actor
from tests.control.people import ADA, BOB, acting, acts, person, signed_in


def test_operators_see_all_users_others_none(plane: Plane) -> None:
    root = acting(plane, person(plane, operator=True))
    person(plane, BOB, "viewer")
    found, after = users.listed(plane, root)
    assert [(one.email, one.operator, one.workspaces, one.password) for one in found] == [
        (BOB, False, ["default"], True),
        (ADA, True, ["default"], True),
    ]
    assert after == ""
    first, after = users.listed(plane, root, limit=1)
    assert users.listed(plane, root, after, 1)[0][0].email == ADA and first[0].email == BOB
    for who in ("owner", "admin"):
        with pytest.raises(Forbidden):
            users.listed(plane, actor(who))
        with pytest.raises(Forbidden):
            users.change(plane, actor(who), root.user_id, EditUser(operator=False))


def test_whoever_is_switched_off_can_not_sign_in(plane: Plane) -> None:
    root = acting(plane, person(plane, operator=True))
    bob = person(plane, BOB, "admin")
    assert signed_in(plane, BOB) is not None
    assert users.change(plane, root, bob, EditUser(disabled=True)).disabled
    with pytest.raises(SignInNeeded):
        signed_in(plane, BOB)
    users.change(plane, root, bob, EditUser(disabled=False, name="Robert"))
    assert signed_in(plane, BOB) is not None
    assert acts(plane).count("update user") == 2


def test_the_last_operator_stays_one(plane: Plane) -> None:
    ada = person(plane, operator=True)
    root = acting(plane, ada)
    for given in (EditUser(operator=False), EditUser(disabled=True)):
        with pytest.raises(Conflict):
            users.change(plane, root, ada, given)
    bob = person(plane, BOB, "viewer")
    users.change(plane, root, bob, EditUser(operator=True))
    assert users.change(plane, root, ada, EditUser(operator=False)).operator is False


def test_nobody_who_is_not_there_is_changed(plane: Plane) -> None:
    root = acting(plane, person(plane, operator=True))
    for user_id in ("user_none", "", "\x00"):
        with pytest.raises(Missing):
            users.change(plane, root, user_id, EditUser(disabled=True))
