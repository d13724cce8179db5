from __future__ import annotations

import time

import pyotp
import pytest
from argon2 import PasswordHasher
from sqlalchemy import func, select, update

from freehold.control import account, people, sessions
from freehold.control.account import Login
from freehold.control.actor import Actor
from freehold.control.plane import Plane
from freehold.control.refusal import Conflict, Invalid, Refused, SignInNeeded, TooMany
from freehold.control.users import EditUser, change
from freehold.store.engine import reading, writing
from freehold.store.tenants import sessions as table
from freehold.store.tenants import users
from tests.control.people import ADA, BOB, PASSWORD, acts, person, signed_in

HOUR = 3_600_000


def me(plane: Plane, user_id: str) -> Actor:
    with reading(plane.engine) as connection:
        user = people.by_id(connection, user_id)
    assert user is not None
    return people.actor(user, "192.0.2.7")


def count(plane: Plane) -> int:
    with reading(plane.engine) as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0


def test_a_password_signs_in_and_the_cookie_is_kept_as_a_digest(plane: Plane) -> None:
    user_id = person(plane)
    started = signed_in(plane, "ADA@example.com")
    assert started is not None and started.user_id == user_id and started.secret not in repr(started)
    now = time.time_ns() // 1_000_000
    with reading(plane.engine) as connection:
        found = sessions.find(connection, started.secret, now, HOUR)
        assert found is not None and found[0]["id"] == started.id and found[1]["email"] == ADA
        assert started.secret not in repr(connection.execute(select(table)).all())
        assert sessions.find(connection, started.secret[:-1] + "x", now, HOUR) is None
        assert sessions.find(connection, "", now, HOUR) is None
        assert sessions.find(connection, started.secret, now + HOUR, HOUR) is None, "idle for too long"
        assert sessions.find(connection, started.secret, now + 48 * HOUR, 100 * HOUR) is None, "older than any may be"
    assert acts(plane)[-1] == "sign_in user"


def test_who_has_no_account_gets_the_same_answer_as_who_has(plane: Plane) -> None:
    person(plane)
    disabled = person(plane, BOB, "admin")
    with writing(plane.engine, "objects") as connection:
        connection.execute(update(users).where(users.c.id == disabled).values(disabled=True))
    said = set()
    for email, password in ((ADA, "a wrong password"), ("nobody@example.com", PASSWORD), (BOB, PASSWORD), (ADA, "")):
        with pytest.raises(SignInNeeded) as refused:
            signed_in(plane, email, password)
        said.add(str(refused.value))
    assert said == {account.WRONG}


def test_guessing_is_slowed_down_for_unknown_accounts_too_and_told_in_the_log_now_and_then(plane: Plane) -> None:
    person(plane)
    for email in (ADA, "nobody@example.com"):
        for _ in range(5):
            with pytest.raises(SignInNeeded):
                signed_in(plane, email, "a wrong password")
        with pytest.raises(TooMany) as refused:
            signed_in(plane, email)
        assert refused.value.retry_after_s > 0
    assert acts(plane).count("sign_in_failed user") == 6, "the 1st, 2nd and 4th of each"


def test_a_password_of_an_older_cost_is_digested_anew(plane: Plane) -> None:
    user_id = person(plane)
    old = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    with writing(plane.engine, "objects") as connection:
        connection.execute(update(users).where(users.c.id == user_id).values(password=old))
    assert signed_in(plane) is not None
    with reading(plane.engine) as connection:
        kept = connection.scalar(select(users.c.password))
    assert kept is not None and kept != old and kept.startswith("$argon2id$v=19$m=19456,t=2")
    assert signed_in(plane) is not None


def test_another_password_ends_all_other_sessions(plane: Plane) -> None:
    user_id = person(plane)
    first, second = signed_in(plane), signed_in(plane)
    assert first and second and count(plane) == 2
    actor = me(plane, user_id)
    with pytest.raises(Invalid) as refused:
        account.change_password(plane, actor, first.id, "a wrong password", "seven green umbrellas")
    assert refused.value.field == "password" and count(plane) == 2
    with pytest.raises(Invalid):
        account.change_password(plane, actor, first.id, PASSWORD, "too short")
    account.change_password(plane, actor, first.id, PASSWORD, "seven green umbrellas")
    assert count(plane) == 1
    assert signed_in(plane, ADA, "seven green umbrellas") is not None
    with pytest.raises(SignInNeeded):
        signed_in(plane)
    assert "password_changed user" in acts(plane)


def enrolled(plane: Plane, actor: Actor) -> tuple[pyotp.TOTP, list[str]]:
    secret, uri = account.enrol(plane, actor, PASSWORD)
    assert secret in uri and uri.startswith("otpauth://totp/Freehold:ada%40example.com")
    app = pyotp.TOTP(secret)
    # The step before this one, so that this one's code is still unused.
    return app, account.confirm(plane, actor, app.at(int(time.time()) - 30))


def test_a_second_factor_counts_once_it_is_confirmed(plane: Plane) -> None:
    actor = me(plane, person(plane))
    with pytest.raises(Conflict):
        account.confirm(plane, actor, "123456")
    secret, _ = account.enrol(plane, actor, PASSWORD)
    assert signed_in(plane) is not None, "not yet"
    with pytest.raises(Invalid):
        account.confirm(plane, actor, "000000" if pyotp.TOTP(secret).now() != "000000" else "111111")
    app, codes = enrolled(plane, actor)
    assert len(codes) == 10
    assert signed_in(plane) is None, "a code is needed"
    with pytest.raises(SignInNeeded):
        signed_in(plane, code="abc")
    with pytest.raises(SignInNeeded) as refused:
        signed_in(plane, ADA, "a wrong password", app.now())
    assert str(refused.value) == account.WRONG, "whether there is a second factor is not said"
    code = app.at(int(time.time()) + 30)
    assert signed_in(plane, code=code) is not None
    with pytest.raises(SignInNeeded):
        signed_in(plane, code=code)
    assert signed_in(plane, code=codes[0]) is not None
    with pytest.raises(SignInNeeded):
        signed_in(plane, code=codes[0])
    with pytest.raises(Conflict):
        account.enrol(plane, actor, PASSWORD)
    with reading(plane.engine) as connection:
        row = repr(connection.execute(select(users)).all())
    assert secret not in row and codes[1] not in row


def test_guessing_codes_is_slowed_down_as_guessing_passwords_is(plane: Plane) -> None:
    actor = me(plane, person(plane))
    enrolled(plane, actor)
    with pytest.raises(TooMany):
        for _ in range(7):
            with pytest.raises(SignInNeeded):
                signed_in(plane, code="000000")


def test_removing_the_second_factor_takes_both_proofs(plane: Plane) -> None:
    actor = me(plane, person(plane))
    _, codes = enrolled(plane, actor)
    for password, code in ((PASSWORD, "nonsense"), ("a wrong password", codes[0])):
        with pytest.raises(Refused):
            account.remove_factor(plane, actor, password, code)
    account.remove_factor(plane, actor, PASSWORD, codes[1])
    assert signed_in(plane) is not None
    assert [act for act in acts(plane) if "totp" in act] == ["totp_enabled user", "totp_disabled user"]


def test_an_operator_takes_it_away_of_somebody_who_lost_it(plane: Plane) -> None:
    user_id = person(plane, operator=True)
    enrolled(plane, me(plane, user_id))
    assert change(plane, me(plane, user_id), user_id, EditUser(totp=False)).totp is False
    assert signed_in(plane) is not None


def test_what_proves_somebody_is_in_no_repr() -> None:
    assert "plum" not in repr(Login(ADA, PASSWORD))
