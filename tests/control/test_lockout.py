from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from freehold.control import lockout
from freehold.control.refusal import TooMany
from freehold.store.engine import writing
from freehold.store.tenants import failures
from tests.databases import Store

ACCOUNT, HERE = lockout.account("ada@example.com"), lockout.address("192.0.2.7")
T0 = 1_800_000_000_000


def attempt(store: Store, now_ms: int, account: lockout.Subject = ACCOUNT, address: lockout.Subject = HERE) -> int:
    with writing(store.engine, "failures") as connection:
        return lockout.attempt(connection, (account, address), now_ms)


def test_waiting_doubles_after_a_few_free_failures_up_to_a_quarter_of_an_hour(store: Store) -> None:
    now, waits = T0, []
    for _ in range(4):
        attempt(store, now)
    for _ in range(12):
        attempt(store, now, address=lockout.address(f"198.51.100.{len(waits)}"))
        with pytest.raises(TooMany) as refused:
            attempt(store, now)
        waits.append(refused.value.retry_after_s)
        now += int(refused.value.retry_after_s * 1000)
    assert waits == [2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]


def test_many_guesses_at_once_are_no_way_around(store: Store) -> None:
    def guess(_: int) -> bool:
        try:
            attempt(store, T0)
        except TooMany:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(guess, range(40))) == 5


def test_an_address_that_guesses_at_many_accounts_must_wait(store: Store) -> None:
    for n in range(20):
        attempt(store, T0, account=lockout.account(f"person{n}@example.com"))
    with pytest.raises(TooMany):
        attempt(store, T0, account=lockout.account("another@example.com"))
    attempt(store, T0, account=lockout.account("another@example.com"), address=lockout.address("192.0.2.8"))


def test_success_forgives_the_account_and_takes_one_off_the_address(store: Store) -> None:
    for n in range(19):
        attempt(store, T0, account=lockout.account(f"person{n}@example.com"))
    attempt(store, T0)
    with writing(store.engine, "failures") as connection:
        lockout.succeeded(connection, ACCOUNT, HERE)
    attempt(store, T0, account=lockout.account("x@example.com"))
    with pytest.raises(TooMany):
        attempt(store, T0, account=lockout.account("y@example.com"))
    assert attempt(store, T0, address=lockout.address("203.0.113.1")) == 1


def test_all_is_forgotten_after_an_hour_and_old_rows_go(store: Store) -> None:
    for n in range(5):
        attempt(store, T0, account=lockout.account(f"person{n}@example.com"))
    assert attempt(store, T0 + lockout.FORGET_MS + 1) == 1
    with writing(store.engine, "failures") as connection:
        assert connection.scalar(select(func.count()).select_from(failures)) == 2
        kept = " ".join(connection.scalars(select(failures.c.subject)))
    assert "ada" not in kept, "what was typed is not kept"


def test_addresses_of_a_household_count_as_one() -> None:
    assert lockout.address("2001:db8:1:2:3::4") == lockout.address("2001:db8:1:2:ffff::1") != lockout.address("2001:db8:1:3::1")
    assert lockout.address("::ffff:192.0.2.7") == HERE != lockout.address("192.0.2.8")
    assert lockout.address("testclient") == lockout.address("")
