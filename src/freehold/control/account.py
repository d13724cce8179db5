"""Signing in with a password, and what people do with their own: password, second factor.

A password is looked at outside of any transaction, since that takes long on purpose; what follows is decided within one, by what
is there then.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from freehold.control import lockout, passwords, people, totp
from freehold.control.actor import Actor
from freehold.control.plane import Change, Plane
from freehold.control.refusal import Conflict, Forbidden, Invalid, SignInNeeded
from freehold.control.sessions import Started, begin
from freehold.store.engine import explained, reading, writing

WRONG = "The mail address or the password is wrong."
WRONG_CODE = "The code is wrong, or was used before."

Row = Mapping[str, Any]


class Login(Struct, frozen=True):
    """`code`: of the second factor, or a recovery code; "": not given."""

    email: str
    password: str
    code: str = ""

    def __repr__(self) -> str:
        return "Login(...)"


class Proof(Struct, frozen=True):
    """`user`: as it was when the password was right; None: it was not. `failures`: of this account lately, this one too."""

    user: Row | None
    failures: int


class Second(Struct, frozen=True):
    """How the second factor went: `ok`, or `needed` and not given, or wrong."""

    ok: bool
    needed: bool = False


def sign_in(plane: Plane, login: Login, address: str, agent: str) -> Started | None:
    """None: the password is right, and a code is needed. Raises SignInNeeded, TooMany. The same answer whoever exists."""
    proof = prove(plane, login.email, login.password, address)
    if proof.user is None and not _is_told(proof.failures):
        raise SignInNeeded(WRONG)  # nothing to write: guessing must not hold up those who work
    fresh = _rehashed(proof, login.password)
    with plane.writing(nobody(address)) as change:
        user = still(change, proof)
        second = factor(change, user, login.code) if user is not None else Second(False)
        if user is not None and second.ok:
            return _come_in(change, user, fresh, address, agent)
        if not second.needed:
            failed(change, user, proof.failures)
    if second.needed:
        return None
    raise SignInNeeded(WRONG if user is None else WRONG_CODE)


def prove(plane: Plane, email: str, password: str, address: str) -> Proof:
    """Look at a password, as often as the lock-out allows. Raises TooMany, StoreError."""
    subjects = (lockout.account(email), lockout.address(address))
    with explained(plane.address), writing(plane.engine, "failures") as connection:
        failures = lockout.attempt(connection, subjects, time.time_ns() // 1_000_000)
    with explained(plane.address), reading(plane.engine) as connection:
        user = people.by_email(connection, email)
    right = passwords.matches(user["password"] if user is not None else "", password)
    return Proof(user if right and user is not None and not user["disabled"] else None, failures)


def still(change: Change, proof: Proof) -> Row | None:
    """The user whom the password proved, as they are now; None if it was wrong, or they were changed in that respect."""
    if proof.user is None:
        return None
    now = people.by_id(change.connection, proof.user["id"])
    same = now is not None and not now["disabled"] and now["password"] == proof.user["password"]
    return now if same else None


def factor(change: Change, user: Row, code: str) -> Second:
    """Take the code of the second factor, if the user has one. It is used up."""
    if user["totp"] is None:
        return Second(True)
    if not code:
        return Second(False, needed=True)
    secret = totp.opened(change.plane.master(), user["id"], user["totp"])
    at = totp.step(secret, code, user["totp_used"], change.now_ms)
    if at is not None:
        people.write(change, user["id"], {"totp_used": at})
        return Second(True)
    left = totp.without(user["recovery"] or [], code)
    if left is not None:
        people.write(change, user["id"], {"recovery": left})
        change.record("recovery_code_used", "user", user["id"], user["email"], None, {"left": len(left)})
    return Second(left is not None)


def failed(change: Change, user: Row | None, failures: int) -> None:
    """Into the audit log: the 1st, 2nd, 4th, 8th ... of an account, so that nobody can fill it."""
    if _is_told(failures):
        user_id, email = (user["id"], user["email"]) if user is not None else ("", "")
        change.record("sign_in_failed", "user", user_id, email, None, {"failures": failures})


def _is_told(failures: int) -> bool:
    return failures & (failures - 1) == 0


def forgiven(change: Change, user: Row, address: str) -> None:
    lockout.succeeded(change.connection, lockout.account(user["email"]), lockout.address(address))


def nobody(address: str) -> Actor:
    """Who has not signed in yet."""
    return Actor(kind="system", id="", name="sign-in", workspace="", scopes=frozenset(), address=address)


def _rehashed(proof: Proof, password: str) -> str | None:
    """A digest of today's cost for a password that has another one."""
    if proof.user is None or not passwords.is_outdated(proof.user["password"]):
        return None
    return passwords.digest(password)


def _come_in(change: Change, user: Row, fresh: str | None, address: str, agent: str) -> Started:
    forgiven(change, user, address)
    if fresh is not None:
        people.write(change, user["id"], {"password": fresh})
    change.actor = people.actor(user, address)
    change.record("sign_in", "user", user["id"], user["email"], None, {"with": "password"})
    return begin(change, user, address, agent)


# --- one's own ---


def change_password(plane: Plane, actor: Actor, session_id: str, old: str, new: str) -> None:
    """Ends all other sessions. Raises SignInNeeded for a wrong old one, TooMany, Invalid, Conflict."""
    passwords.check(new, actor.name, "new_password")
    proof = _mine(plane, actor, old)
    digest = passwords.digest(new)
    with plane.writing(actor) as change:
        user = _still_mine(change, proof)
        if user is not None:
            forgiven(change, user, actor.address)
            people.write(change, user["id"], {"password": digest})
            ended = people.sign_out(change.connection, user["id"], but=session_id)
            change.record("password_changed", "user", user["id"], user["email"], None, {"sessions_ended": ended})
    if user is None:
        raise Invalid("password", "The password is wrong.")


def set_password(change: Change, user: Row, password: str) -> None:
    """By whoever looks after the installation. Ends all sessions. Raises Invalid."""
    passwords.check(password, user["email"])
    people.write(change, user["id"], {"password": passwords.digest(password)})
    ended = people.sign_out(change.connection, user["id"])
    change.record("password_changed", "user", user["id"], user["email"], None, {"sessions_ended": ended})


def enrol(plane: Plane, actor: Actor, password: str) -> tuple[str, str]:
    """A secret for an authenticator app, which counts once it is confirmed, and its URI. Raises Invalid, TooMany, Conflict."""
    proof = _mine(plane, actor, password)
    secret = totp.new_secret()
    with plane.writing(actor) as change:
        user = _still_mine(change, proof)
        if user is not None:
            if user["totp"] is not None:
                raise Conflict("There is a second factor already: remove that one first.")
            forgiven(change, user, actor.address)
            people.write(change, user["id"], {"totp_new": totp.seal(plane.master(), user["id"], secret)})
    if user is None:
        raise Invalid("password", "The password is wrong.")
    return secret, totp.uri(secret, actor.name)


def confirm(plane: Plane, actor: Actor, code: str) -> list[str]:
    """The second factor counts from now on. Returns the recovery codes, this once. Raises Conflict, Invalid."""
    with plane.writing(actor) as change:
        user = people.by_id(change.connection, actor.user_id)
        if user is None or user["totp_new"] is None:
            raise Conflict("There is no second factor to be confirmed: begin with a new secret.")
        secret = totp.opened(plane.master(), user["id"], user["totp_new"])
        at = totp.step(secret, code, 0, change.now_ms)
        if at is None:
            raise Invalid("code", "The code is wrong: is the clock of the device right?")
        codes, digests = totp.new_recovery()
        values = {"totp": user["totp_new"], "totp_new": None, "totp_used": at, "recovery": digests}
        people.write(change, user["id"], values)
        change.record("totp_enabled", "user", user["id"], user["email"])
    return codes


def remove_factor(plane: Plane, actor: Actor, password: str, code: str) -> None:
    """Raises Invalid, TooMany, Conflict."""
    proof, second = _mine(plane, actor, password), Second(False)
    with plane.writing(actor) as change:
        user = _still_mine(change, proof)
        if user is not None:
            if user["totp"] is None:
                raise Conflict("There is no second factor.")
            second = factor(change, user, code)
        if user is not None and second.ok:
            forgiven(change, user, actor.address)
            drop_factor(change, user)
    if user is None:
        raise Invalid("password", "The password is wrong.")
    if not second.ok:
        raise Invalid("code", WRONG_CODE)


def drop_factor(change: Change, user: Row) -> None:
    people.write(change, user["id"], {"totp": None, "totp_new": None, "recovery": None})
    change.record("totp_disabled", "user", user["id"], user["email"])


def _mine(plane: Plane, actor: Actor, password: str) -> Proof:
    """Also of somebody who is signed in a password is asked as often as the lock-out allows: the browser may be stolen."""
    with explained(plane.address), reading(plane.engine) as connection:
        user = people.by_id(connection, actor.user_id)
    if user is None:
        raise Forbidden("There is no such user any more.")
    if not user["password"]:
        raise Conflict("You sign in with an identity provider, and have no password here.")
    return prove(plane, user["email"], password, actor.address)


def _still_mine(change: Change, proof: Proof) -> Row | None:
    user = still(change, proof)
    return user if user is not None and user["id"] == change.actor.user_id else None
