from __future__ import annotations

import pytest

from freehold.control import passwords
from freehold.control.refusal import Invalid


@pytest.mark.parametrize(
    "password",
    [
        "short words",
        "password12345",
        "P@ssw0rd1234!",
        "qwertyuiop12",
        "aaaaaaaaaaaa",
        "abcabcabcabc",
        "123456789012",
        "AdminAdmin2026!",
        "Summer2026!!",
        "letmeinletmein",
        "lovelacelovelace",
        "ada.lovelace1",
        "x" * 257,
    ],
)
def test_what_is_tried_first_is_refused(password: str) -> None:
    with pytest.raises(Invalid) as refused:
        passwords.check(password, "ada.lovelace@example.com")
    assert refused.value.field == "password" and password not in str(refused.value)


@pytest.mark.parametrize(
    "password", ["plum orbit lantern", "tr0ub4dor&3xyz", "ada was here in 1843", "пароль из пяти слов", "x7Kq2mZp9LwE"]
)
def test_others_are_taken(password: str) -> None:
    passwords.check(password, "ada.lovelace@example.com")


def test_a_digest_is_argon2id_of_at_least_the_cost_that_owasp_asks_for() -> None:
    stored = passwords.digest("plum orbit lantern")
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$") and stored != passwords.digest("plum orbit lantern")
    assert passwords.matches(stored, "plum orbit lantern") and not passwords.matches(stored, "plum orbit lanterns")
    assert not passwords.is_outdated(stored)
    assert passwords.is_outdated("$argon2id$v=19$m=8192,t=1,p=1$c29tZXNhbHRzb21l$9Tsd5jp3JyF9IQJGjzEjJS1PjVrtvDUVyEWcb2Xh9oQ")


def test_nobody_matches_where_there_is_no_password_and_the_same_work_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Hasher:
        def verify(self, stored: str, password: str) -> bool:
            asked.append(stored)
            return True

    monkeypatch.setattr(passwords, "_HASHER", Hasher())
    assert not passwords.matches("", "nobody's") and not passwords.matches("", "x" * 100_000)
    assert len(asked) == 2 and all(stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$") for stored in asked)
