"""The second factor: codes of an authenticator app (TOTP, RFC 6238), and codes that stand in for a lost one.

The secret is sealed for its user alone: with a key of its own, which the master key wraps.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from hashlib import sha256

import pyotp
from sqlalchemy import Connection, select, update

from freehold.store.sealing import MasterKey, Place
from freehold.store.tenants import users

STEP_S = 30
RECOVERY_CODES = 10
_DRIFT_STEPS = 1  # clocks differ
_WRAPPED_BYTES = 1 + 8 + 24 + 32 + 16  # of store/sealing.py's wrapped key, which stands first
_ISSUER = "Freehold"


def new_secret() -> str:
    """Base32, 160 bits."""
    return pyotp.random_base32(32)


def uri(secret: str, email: str) -> str:
    """For a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=_ISSUER)


def seal(master: MasterKey, user_id: str, secret: str) -> bytes:
    wrapped = master.new_workspace_key(_owner(user_id))
    return wrapped + master.unwrap(wrapped, _owner(user_id)).seal(secret.encode(), Place("users", "totp", user_id))


def opened(master: MasterKey, user_id: str, sealed: bytes) -> str:
    """Raises SealError."""
    key = master.unwrap(sealed[:_WRAPPED_BYTES], _owner(user_id))
    return key.open(sealed[_WRAPPED_BYTES:], Place("users", "totp", user_id)).decode()


def step(secret: str, code: str, used: int, now_ms: int) -> int | None:
    """The time step that the code is of, if it is later than `used`, the last one that was taken; else None."""
    digits = code.replace(" ", "")
    if len(digits) != 6 or not digits.isascii() or not digits.isdigit():
        return None
    totp, now = pyotp.TOTP(secret), now_ms // 1000 // STEP_S
    for at in range(now - _DRIFT_STEPS, now + _DRIFT_STEPS + 1):
        if at > used and secrets.compare_digest(totp.at(at * STEP_S), digits):
            return at
    return None


def new_recovery() -> tuple[list[str], list[str]]:
    """Codes to be kept on paper (80 random bits each), and their digests."""
    codes = [_grouped(pyotp.random_base32(32)[:16].lower()) for _ in range(RECOVERY_CODES)]
    return codes, [_digest(code) for code in codes]


def without(digests: Sequence[str], code: str) -> list[str] | None:
    """What is left after the code was used; None if it is none of them."""
    found = _digest(code)
    return [one for one in digests if one != found] if found in digests else None


def rewrap(connection: Connection, master: MasterKey) -> int:
    """Wrap every user's key with the master key in use. Returns how many were not. Raises SealError."""
    done = 0
    for column in (users.c.totp, users.c.totp_new):
        for user_id, sealed in connection.execute(select(users.c.id, column).where(column.is_not(None))).all():
            wrapped = sealed[:_WRAPPED_BYTES]
            if not master.is_current(wrapped):
                again = master.rewrap(wrapped, _owner(user_id)) + sealed[_WRAPPED_BYTES:]
                connection.execute(update(users).where(users.c.id == user_id).values({column.name: again}))
                done += 1
    return done


def _owner(user_id: str) -> str:
    return f"user:{user_id}"  # no workspace has a colon in its id


def _grouped(text: str) -> str:
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))


def _digest(code: str) -> str:
    plain = "".join(letter for letter in code.lower() if letter.isalnum())
    return sha256(b"freehold recovery code" + plain.encode()).hexdigest()
