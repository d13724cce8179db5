"""Who may do what: one table of scopes, one of roles. Every act of the control plane asks for one scope.

A scope is NOUN:read or NOUN:write. NOUN:own is `write` on what is one's own: a key or an app of the member who asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

# Scope -> what it allows, as docs and errors say it.
SCOPES: Mapping[str, str] = {
    "workspace:read": "see the workspace and its settings",
    "workspace:write": "rename it, export it",
    "workspace:delete": "delete it, with everything in it",
    "team:read": "see teams and who is in them",
    "team:write": "make, change and delete teams, and say who is in them",
    "member:read": "see members, service accounts, roles and invitations",
    "member:write": "invite people, make service accounts, change roles below owner, remove members",
    "owner:write": "make and remove owners",
    "app:read": "see apps",
    "app:own": "make apps of one's own, change and delete them",
    "app:write": "make, change and delete every app",
    "key:read": "see keys, never their secrets",
    "key:own": "make keys for oneself and one's own apps, rotate, change and switch them off",
    "key:write": "make, rotate, change and switch off every key",
    "route:read": "see routes",
    "route:write": "make, change and delete routes",
    "provider:read": "see providers, and that they have credentials",
    "provider:write": "make, change and delete providers",
    "credential:read": "see which credentials providers have, never the secrets",
    "credential:write": "add, replace and delete credentials of providers",
    "usage:read": "see what was used and what it cost",
    "call:read": "see single calls, without what was said",
    "payload:read": "see what was said in captured calls",
    "person:write": "export and erase an end user's data",
    "audit:read": "see the audit log, export and verify it",
    "token:own": "make and revoke API tokens of one's own",
    "token:write": "see and revoke everybody's API tokens",
}

_READ = frozenset(scope for scope in SCOPES if scope.endswith(":read"))
_OPEN = _READ - {"audit:read", "payload:read"}
_ALL = frozenset(SCOPES)

ROLES: Mapping[str, frozenset[str]] = {
    "owner": _ALL,
    "admin": _ALL - {"workspace:delete", "owner:write"},
    "member": (_OPEN - {"credential:read", "call:read"}) | {"app:own", "key:own", "token:own"},
    "viewer": _OPEN | {"token:own"},
    "auditor": (_READ - {"payload:read"}) | {"token:own"},
}

# What whoever looks after the installation (an operator) may do in every workspace, member or not.
OPERATOR_SCOPES = frozenset(("workspace:read", "workspace:write", "workspace:delete"))
# Who can do most stands first: of several roles, one has the first.
RANKED = ("owner", "admin", "member", "auditor", "viewer")


def allows(scopes: frozenset[str], wanted: str) -> bool:
    """`write` includes `own`; neither includes `read`."""
    return wanted in scopes or (wanted.endswith(":own") and f"{wanted[:-4]}:write" in scopes)


def roles_with(scope: str) -> list[str]:
    """Whom to ask, for messages."""
    return [role for role, scopes in ROLES.items() if allows(scopes, scope)]


def highest(roles: Iterable[str]) -> str | None:
    """Of several roles the one that counts; None of none."""
    given = set(roles)
    return next((role for role in RANKED if role in given), None)


def may_give(scopes: frozenset[str], role: str) -> bool:
    """Nobody gives a role with rights that they lack."""
    return all(allows(scopes, scope) for scope in ROLES[role])
