from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select, update

from freehold.control import invites
from freehold.control.actor import command
from freehold.control.invites import Acceptance, Invites, NewInvite, Unusable
from freehold.control.plane import Plane
from freehold.control.refusal import Conflict, Forbidden, Invalid, Refused, SignInNeeded
from freehold.control.sessions import Started
from freehold.store.engine import reading, writing
from freehold.store.tenants import invites as table
from freehold.store.tenants import members, users
from tests.admin.conftest import workspace
from tests.control.conftest import actor
from tests.control.people import ADA, BOB, PASSWORD, acting, acts, member_of, person


def invite(plane: Plane, email: str = ADA, role: str = "member", space: str = "default") -> str:
    return Invites().create(plane, command(space), NewInvite(name="Ada", email=email, role=role)).invite  # type: ignore[arg-type]


def accept(plane: Plane, secret: str, **more: str) -> Started | None:
    return invites.accept(plane, Acceptance(secret, **{"password": PASSWORD, **more}), None, "192.0.2.7", "test")


def test_an_invitation_makes_a_member_and_signs_in(plane: Plane) -> None:
    started = accept(plane, invite(plane, role="admin"), name="Ada Lovelace")
    assert started is not None and started.email == ADA
    found = member_of(plane, started.user_id)
    assert found["role"] == "admin" and found["kind"] == "person" and found["managed_by"] is None
    assert acts(plane, "default")[-2:] == ["invited invite", "joined member"] and acts(plane) == ["sign_in user"]
    listed, _ = Invites().page(plane, command(), {})
    assert listed[0].accepted_at is not None and not hasattr(listed[0], "invite")


def test_it_is_good_once_also_for_many_at_once(plane: Plane) -> None:
    secret = invite(plane)

    def one(n: int) -> str:
        try:
            accept(plane, secret)
        except Refused as refused:
            return type(refused).__name__
        return "in"

    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(one, range(6)))
    assert outcomes.count("in") == 1, outcomes
    with reading(plane.engine) as connection:
        assert connection.scalar(select(func.count()).select_from(members)) == 1
        assert connection.scalar(select(func.count()).select_from(users)) == 1
    with pytest.raises(Unusable):
        accept(plane, secret)


def test_one_that_is_expired_or_unknown_is_refused_alike(plane: Plane) -> None:
    secret = invite(plane)
    with writing(plane.engine, "objects") as connection:
        connection.execute(update(table).values(expires_ms=1))
    said = set()
    for one in (secret, "fhi_nothing", "", "x" * 1000):
        with pytest.raises(Unusable) as refused:
            accept(plane, one)
        said.add(str(refused.value))
    assert len(said) == 1
    with reading(plane.engine) as connection:
        assert connection.scalar(select(func.count()).select_from(users)) == 0


def test_the_mail_address_is_the_invitations(plane: Plane) -> None:
    started = accept(plane, invite(plane), email=BOB)
    assert started is not None and started.email == ADA


def test_somebody_who_has_an_account_proves_it(plane: Plane) -> None:
    workspace(plane, "lab")
    user_id = person(plane)
    secret = invite(plane, space="lab")
    with pytest.raises(SignInNeeded):
        accept(plane, secret, password="a new password I choose")
    bob = acting(plane, person(plane, BOB, "admin"))
    with pytest.raises(SignInNeeded):
        invites.accept(plane, Acceptance(secret), bob, "192.0.2.7", "test")
    assert member_of(plane, user_id, "lab") is None
    assert accept(plane, secret) is not None
    assert member_of(plane, user_id, "lab")["role"] == "member" and member_of(plane, user_id)["role"] == "owner"


def test_somebody_who_is_signed_in_needs_no_password(plane: Plane) -> None:
    workspace(plane, "lab")
    user_id = person(plane)
    secret = invite(plane, space="lab")
    assert invites.accept(plane, Acceptance(secret), acting(plane, user_id), "192.0.2.7", "test") is not None


def test_nobody_invites_to_a_role_with_rights_that_they_lack(plane: Plane) -> None:
    with pytest.raises(Forbidden) as refused:
        Invites().create(plane, actor("admin"), NewInvite(name="A", email=ADA, role="owner"))
    assert "owner:write" in str(refused.value)
    narrow = actor("owner").but(scopes=frozenset(("member:read", "member:write")))
    with pytest.raises(Forbidden):
        Invites().create(plane, narrow, NewInvite(name="A", email=ADA, role="viewer"))
    Invites().create(plane, actor("admin"), NewInvite(name="A", email=ADA, role="admin"))


def test_who_is_a_member_is_not_invited_again(plane: Plane) -> None:
    person(plane)
    with pytest.raises(Conflict):
        invite(plane)


def test_the_first_one_to_accept_sets_the_installation_up_and_is_the_only_one(plane: Plane) -> None:
    secrets = [invites.setup(plane, command()) for _ in range(3)]
    assert len(set(secrets)) == 3 and None not in secrets
    with pytest.raises(Invalid):
        accept(plane, secrets[0] or "")

    def one(n: int) -> str:
        try:
            accept(plane, secrets[n % 3] or "", email=f"person{n}@example.com")
        except Refused as refused:
            return type(refused).__name__
        return "in"

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(one, range(6))) == ["Unusable"] * 5 + ["in"]
    with reading(plane.engine) as connection:
        assert list(connection.execute(select(users.c.operator))) == [(True,)]
        assert list(connection.scalars(select(members.c.role))) == ["owner"]
    assert invites.setup(plane, command()) is None
    assert "set_up user" in acts(plane)


def test_a_weak_password_is_no_way_in(plane: Plane) -> None:
    secret = invite(plane)
    for password in ("", "short", "password12345"):
        with pytest.raises(Invalid) as refused:
            accept(plane, secret, password=password)
        assert refused.value.field == "password"
    assert accept(plane, secret) is not None, "it is not used up by that"
