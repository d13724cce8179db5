"""Passwords: what is taken as one, and their digests (argon2id).

The cost is the OWASP minimum. It was measured: 16 ms on a core of 2.9 GHz, where the library's own defaults took 95 to 450 ms;
what makes guessing hopeless is the lock-out (lockout.py), and at rest the length.
"""

from __future__ import annotations

import re
from functools import cache
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from freehold.control.refusal import Invalid

MIN_CHARS = 12
MAX_CHARS = 256
TIME_COST, MEMORY_KIB, LANES = 2, 19_456, 1
_AT_ONCE = BoundedSemaphore(4)  # 19 MiB each, whatever number of people signs in at the same time

# What people put digits and signs around to make a password of it. Longer ones that all lists of leaked passwords hold.
_WORDS = """
password passwort passw0rd contrasena motdepasse administrator admin adminadmin welcome willkommen bienvenue letmein
changeme changemenow changeit default secret supersecret topsecret qwerty qwertyuiop qwertyuiopasdf qwertz qwertzuiop
azerty azertyuiop asdfghjkl zxcvbnm yxcvbnm iloveyou ilovejesus sunshine princess football baseball basketball superman
batman spiderman pokemon starwars dragon monkey shadow master freedom whatever trustno computer internet samsung google
facebook linkedin microsoft windows summer winter autumn spring january february march april june july august september
october november december monday tuesday wednesday thursday friday saturday sunday liverpool chelsea arsenal barcelona
michael jennifer jordan ashley daniel jessica charlie andrew matthew access login guest user test testing temp temporary
temppass root toor abcdef abcdefgh abcdefghijkl alphabet hello helloworld correcthorsebatterystaple freehold company
gateway passphrase mypassword yourpassword thisispassword passwordpassword qazwsx qazwsxedc oneqaztwowsx
"""
_COMMON = frozenset(_WORDS.split())
_LOOKALIKE = str.maketrans("@4301!$57", "aaeolisst")
_ROWS = ("abcdefghijklmnopqrstuvwxyz" * 2, "01234567890123456789", "qwertyuiopasdfghjklzxcvbnm", "1q2w3e4r5t6y7u8i9o0p")
_HASHER = PasswordHasher(time_cost=TIME_COST, memory_cost=MEMORY_KIB, parallelism=LANES)


def check(password: str, email: str, field: str = "password") -> None:
    """Raises Invalid for one that is too short, too long, or among those that are tried first."""
    if not MIN_CHARS <= len(password) <= MAX_CHARS:
        raise Invalid(field, f"A password has {MIN_CHARS} to {MAX_CHARS} characters.")
    if is_common(password, email):
        raise Invalid(field, "That password is among the first to be guessed: choose several words that have nothing in common.")


def is_common(password: str, email: str = "") -> bool:
    plain = password.lower()
    own = [part for part in re.split(r"[^a-z0-9]+", email.lower()) if len(part) >= 4]
    bare = re.sub(r"[^a-z]", "", plain)
    for text in (bare, re.sub(r"[^a-z]", "", plain.strip("0123456789!?.,*#").translate(_LOOKALIKE))):
        if text in _COMMON or any(text == word * (len(text) // len(word)) for word in (*_COMMON, *own) if text and word):
            return True
    if len(set(plain)) < 5:
        return True
    if any(plain[:8] in row or plain[:8] in row[::-1] for row in _ROWS) and len(set(plain[8:])) < 6:
        return True
    rest = plain
    for part in own:
        rest = rest.replace(part, "")
    return len(rest) < 6


def digest(password: str) -> str:
    with _AT_ONCE:
        return _HASHER.hash(password)


def matches(stored: str, password: str) -> bool:
    """Takes as long where there is no password to compare with (""), so that time does not tell who has an account."""
    if len(password) > MAX_CHARS:
        stored, password = "", password[:MAX_CHARS]
    with _AT_ONCE:
        try:
            return _HASHER.verify(stored or _nobodys(), password) and bool(stored)
        except (VerificationError, InvalidHashError):
            return False


def is_outdated(stored: str) -> bool:
    """Made with another cost than the one in use."""
    return _HASHER.check_needs_rehash(stored)


@cache
def _nobodys() -> str:
    return _HASHER.hash("nobody's")


_nobodys()  # now: the first one who asks must not wait longer than the next
