"""The audit log: every administrative act, linked so that no record can be changed or taken out unnoticed.

A record's digest covers its content and the digest before it; the first one's predecessor is "".
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from msgspec import Struct, json
from sqlalchemy import Connection, insert, select

from freehold.control.actor import Actor
from freehold.store.tenants import audit

_FIELDS = (
    *("workspace", "sequence", "at_ms", "actor_kind", "actor_id", "actor", "address"),
    *("action", "kind", "object_id", "object", "before", "after"),
)


class Act(Struct, frozen=True):
    """`action`: create, update, delete, rotate, sign_in, ... `before` and `after`: what is different, without secrets."""

    action: str
    kind: str
    object_id: str
    name: str
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


def append(connection: Connection, actor: Actor, now_ms: int, act: Act) -> None:
    """Within the transaction of the act itself, which must hold the writers' lock: two records can't follow the same one."""
    chain = audit.c.workspace == actor.workspace
    last = connection.execute(
        select(audit.c.sequence, audit.c.digest).where(chain).order_by(audit.c.sequence.desc()).limit(1)
    ).first()
    row = {
        "workspace": actor.workspace,
        "sequence": last.sequence + 1 if last else 1,
        "at_ms": now_ms,
        "actor_kind": actor.kind,
        "actor_id": actor.id,
        "actor": actor.name,
        "address": actor.address,
        "action": act.action,
        "kind": act.kind,
        "object_id": act.object_id,
        "object": act.name,
        "before": _text(act.before),
        "after": _text(act.after),
    }
    connection.execute(insert(audit), {**row, "digest": digest(row, last.digest if last else "")})


def digest(row: Mapping[str, Any], previous: str) -> str:
    """Of a record's content and its predecessor's digest, in hex."""
    return sha256(json.encode([previous, *(row[name] for name in _FIELDS)])).hexdigest()


def _text(values: Mapping[str, Any] | None) -> str | None:
    return None if values is None else json.encode(values, order="deterministic").decode()
