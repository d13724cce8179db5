"""Guessing is made hopeless: after a few failures an account, and an address, must wait, twice as long each time.

A guess is counted before it is looked at, so that many at once are no way around. One that was right is taken off again. What is
guessed at is kept as a digest: people type passwords where their name belongs.
"""

from __future__ import annotations

from hashlib import sha256
from ipaddress import IPv6Address, ip_address

from msgspec import Struct
from sqlalchemy import Connection, delete, insert, select, update

from freehold.control.refusal import TooMany
from freehold.store.tenants import failures

FORGET_MS = 3_600_000  # after so long without a failure all is forgotten
MAX_WAIT_MS = 900_000
_FIRST_WAIT_MS = 2_000


class Subject(Struct, frozen=True):
    """`free`: so many failures cost no waiting."""

    name: str
    free: int


def account(email: str) -> Subject:
    return Subject(f"account:{sha256(email.encode()).hexdigest()[:32]}", 5)


def address(text: str) -> Subject:
    """Many people may share one; of IPv6 a household has a /64."""
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return Subject("address:unknown", 20)
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is None:
            return Subject(f"address:{IPv6Address(int(found) >> 64 << 64)}/64", 20)
        found = found.ipv4_mapped
    return Subject(f"address:{found}", 20)


def attempt(connection: Connection, subjects: tuple[Subject, ...], now_ms: int) -> int:
    """Count a guess at each. Returns how many there were at the first one. Raises TooMany, and then counts nothing."""
    table, rows = failures.c, {}
    for subject in subjects:
        row = connection.execute(select(failures).where(table.subject == subject.name)).mappings().first()
        if row is not None and row["until_ms"] > now_ms:
            wait_s = (row["until_ms"] - now_ms) / 1000
            raise TooMany(f"Too many failed tries: wait {max(1, round(wait_s))} s.", wait_s)
        rows[subject.name] = row
    counts = []
    for subject in subjects:
        row = rows[subject.name]
        count = 1 if row is None or row["since_ms"] < now_ms - FORGET_MS else row["count"] + 1
        over = count - subject.free
        wait_ms = min(MAX_WAIT_MS, _FIRST_WAIT_MS << min(over, 20)) if over >= 0 else 0
        values = {"count": count, "since_ms": now_ms, "until_ms": now_ms + wait_ms}
        if row is None:
            connection.execute(insert(failures), {"subject": subject.name, **values})
        else:
            connection.execute(update(failures).where(table.subject == subject.name).values(values))
        counts.append(count)
    if counts[0] == 1:  # now and then
        connection.execute(delete(failures).where(table.since_ms < now_ms - FORGET_MS, table.until_ms < now_ms))
    return counts[0]


def noted(connection: Connection, subject: Subject, now_ms: int) -> int:
    """Count a failure that nobody has to wait for. Returns how many there were lately."""
    row = connection.execute(select(failures).where(failures.c.subject == subject.name)).mappings().first()
    count = 1 if row is None or row["since_ms"] < now_ms - FORGET_MS else row["count"] + 1
    values = {"count": count, "since_ms": now_ms, "until_ms": 0}
    if row is None:
        connection.execute(insert(failures), {"subject": subject.name, **values})
    else:
        connection.execute(update(failures).where(failures.c.subject == subject.name).values(values))
    return count


def succeeded(connection: Connection, account: Subject, address: Subject) -> None:
    """The account's failures are forgotten; of the address's only this one, or its owner could guess at others in between."""
    table = failures.c
    connection.execute(delete(failures).where(table.subject == account.name))
    where = table.subject == address.name
    row = connection.execute(select(failures).where(where)).mappings().first()
    if row is not None:
        count = max(0, row["count"] - 1)
        connection.execute(
            update(failures).where(where).values(count=count, until_ms=row["until_ms"] if count > address.free else 0)
        )
