"""From what an identity provider says of somebody to a session: who that is here, what roles their groups have, who may in."""

from __future__ import annotations

from sqlalchemy import insert, select

from freehold.config.schema import OidcConfig
from freehold.control import account, grants, lockout, people
from freehold.control.oidc import Identity
from freehold.control.plane import Change, Plane
from freehold.control.refusal import Forbidden
from freehold.control.sessions import Started, begin
from freehold.store.tenants import identities


def come_in(plane: Plane, config: OidcConfig, identity: Identity, address: str, agent: str) -> Started:
    """Raises Forbidden for somebody who is not let in; nothing is kept of them then."""
    try:
        with plane.writing(account.nobody(address)) as change:
            user = _user(change, config, identity)
            change.actor = people.actor(user, address)
            roles = grants.wanted(config.roles, identity.groups, config.default_role)
            grants.apply(change, user, roles, keeper(config.name))
            if not user["operator"] and not people.memberships(change.connection, user["id"]):
                raise Forbidden("You are in no workspace, and none of your groups has a role here.")
            change.record("sign_in", "user", user["id"], user["email"], None, {"with": keeper(config.name)})
            return begin(change, user, address, agent, provider=config.name)
    except Forbidden as refused:
        _note(plane, config, identity, address, str(refused))
        raise


def keeper(provider: str) -> str:
    return f"oidc:{provider}"


def _user(change: Change, config: OidcConfig, identity: Identity) -> people.Row:
    """Known by issuer and subject; at first by a verified mail address. Raises Forbidden."""
    connection = change.connection
    same = (identities.c.issuer == identity.issuer, identities.c.subject == identity.subject)
    linked = connection.scalar(select(identities.c.user_id).where(*same))
    if config.domains and identity.email.rpartition("@")[2] not in config.domains:
        raise Forbidden(f"{config.name} may only vouch for mail addresses of {', '.join(config.domains)}.")
    user = people.by_id(connection, linked) if linked is not None else _by_email(change, config, identity)
    if user is None or user["disabled"]:
        raise Forbidden("This account is switched off.")
    return user


def _by_email(change: Change, config: OidcConfig, identity: Identity) -> people.Row | None:
    verified = config.trust_email if identity.verified is None else identity.verified
    if "@" not in identity.email or not verified:
        raise Forbidden(f"{config.name} does not say that it has verified your mail address.")
    user = people.by_email(change.connection, identity.email)
    if user is None:
        if not config.allow_sign_up:
            raise Forbidden("Nobody here has your mail address: ask for an invitation.")
        name = identity.name or identity.email.partition("@")[0]
        user = people.by_id(change.connection, people.add(change, identity.email, name))
    else:
        # The address may have gone to somebody else there, who must not inherit an account.
        others = select(identities.c.subject).where(identities.c.user_id == user["id"], identities.c.issuer == identity.issuer)
        if change.connection.scalar(others) is not None:
            raise Forbidden("Somebody else with your mail address has signed in before: ask whoever looks after Freehold.")
    if user is not None:
        row = {"issuer": identity.issuer, "subject": identity.subject, "user_id": user["id"]}
        change.connection.execute(insert(identities), row)
        change.record("linked", "user", user["id"], user["email"], None, {"provider": config.name})
    return user


def _note(plane: Plane, config: OidcConfig, identity: Identity, address: str, why: str) -> None:
    """A refusal, in the audit log: the 1st, 2nd, 4th ... of the same person."""
    subject = lockout.account(f"{identity.issuer} {identity.subject}")
    with plane.writing(account.nobody(address)) as change:
        failures = lockout.noted(change.connection, subject, change.now_ms)
        if failures & (failures - 1) == 0:
            said = {"with": keeper(config.name), "subject": identity.subject, "why": why, "failures": failures}
            change.record("sign_in_failed", "user", "", "", None, said)
