from __future__ import annotations

import pyotp
import pytest
from sqlalchemy import insert, select

from freehold.control import totp
from freehold.store.engine import reading, writing
from freehold.store.sealing import MasterKey, SealError
from freehold.store.tenants import users
from tests.databases import Store

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
NOW = 1_800_000_000_000
OLD, NEW = MasterKey(b"a" * 32), MasterKey(b"b" * 32, [b"a" * 32])


def code(at_ms: int) -> str:
    return pyotp.TOTP(SECRET).at(at_ms // 1000)


def test_each_time_step_counts_once_and_none_before_it() -> None:
    step = totp.step(SECRET, code(NOW), 0, NOW)
    assert step == NOW // 30_000
    assert totp.step(SECRET, code(NOW), step, NOW) is None
    assert totp.step(SECRET, code(NOW - 30_000), step, NOW) is None
    assert totp.step(SECRET, code(NOW + 30_000), step, NOW) == step + 1


def test_clocks_may_differ_by_one_step_and_no_more() -> None:
    assert totp.step(SECRET, code(NOW - 30_000), 0, NOW) and totp.step(SECRET, code(NOW + 30_000), 0, NOW)
    assert totp.step(SECRET, code(NOW - 90_000), 0, NOW) is None and totp.step(SECRET, code(NOW + 90_000), 0, NOW) is None
    spaced = f"{code(NOW)[:3]} {code(NOW)[3:]}"
    assert totp.step(SECRET, spaced, 0, NOW)


@pytest.mark.parametrize("text", ["", "12345", "1234567", "abcdef", "１２３４５６", "-12345", "12345\n"])
def test_what_is_no_code_is_wrong(text: str) -> None:
    assert totp.step(SECRET, text, 0, NOW) is None


def test_a_recovery_code_works_once_however_it_is_written() -> None:
    codes, digests = totp.new_recovery()
    assert len(set(codes)) == totp.RECOVERY_CODES and not set(codes) & set(digests)
    left = totp.without(digests, codes[3].upper().replace("-", " "))
    assert left is not None and len(left) == totp.RECOVERY_CODES - 1
    assert totp.without(left, codes[3]) is None and totp.without(digests, "aaaa-bbbb-cccc-dddd") is None


def test_a_secret_opens_for_its_user_alone() -> None:
    sealed = totp.seal(OLD, "user_1", SECRET)
    assert SECRET.encode() not in sealed and totp.opened(OLD, "user_1", sealed) == SECRET
    with pytest.raises(SealError):
        totp.opened(OLD, "user_2", sealed)


def test_after_the_master_key_was_changed_secrets_are_wrapped_anew(store: Store) -> None:
    row = {"name": "A", "password": "", "totp_used": 0, "operator": False, "disabled": False}
    times = {"created_ms": 1, "updated_ms": 1, "version": 1}
    sealed = {"user_1": totp.seal(OLD, "user_1", SECRET), "user_2": None}
    with writing(store.engine, "objects") as connection:
        for user_id, one in sealed.items():
            connection.execute(insert(users), {"id": user_id, "email": user_id, "totp": one, **row, **times})
        assert totp.rewrap(connection, NEW) == 1 and totp.rewrap(connection, NEW) == 0
    with reading(store.engine) as connection:
        kept = connection.scalar(select(users.c.totp).where(users.c.id == "user_1"))
    assert totp.opened(MasterKey(b"b" * 32), "user_1", kept) == SECRET
