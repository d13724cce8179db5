"""The audit log: every administrative act, linked so that no record can be changed, taken out or slipped in unnoticed.

A record's digest covers its content and the digest before it (the first one's predecessor is ""), keyed by the master key: who
can write to the database alone can't make one. It is "ID.MAC", where ID names the master key, so that a log goes on after that
was rotated; what older keys have signed is verified as long as they are given in FREEHOLD_MASTER_KEY_PREVIOUS.
What a chain can't tell is that its end was cut off: for that one keeps an anchor, "SEQUENCE:DIGEST", somewhere else.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct, field, json
from sqlalchemy import Connection, insert, select

from freehold.control.actor import Actor
from freehold.control.refusal import Invalid
from freehold.store.sealing import MasterKey, SealError
from freehold.store.tenants import audit

MAX_PROBLEMS = 100
_FIELDS = (
    *("workspace", "sequence", "at_ms", "actor_kind", "actor_id", "actor", "address"),
    *("action", "kind", "object_id", "object", "before", "after"),
)
_AT_ONCE = 500


class Act(Struct, frozen=True):
    """`action`: create, update, delete, rotate, sign_in, ... `before` and `after`: what is different, without secrets."""

    action: str
    kind: str
    object_id: str
    name: str
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


class Anchor(Struct, frozen=True):
    sequence: int
    digest: str

    def __str__(self) -> str:
        return f"{self.sequence}:{self.digest}"


class Verdict(Struct):
    """`problems`: the first MAX_PROBLEMS of `wrong`. `last`: the newest record, to be kept as an anchor; None: there is none."""

    records: int = 0
    wrong: int = 0
    problems: list[str] = field(default_factory=list)
    last: Anchor | None = None

    def tell(self, problem: str) -> None:
        self.wrong += 1
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)


def anchor(text: str) -> Anchor:
    """Raises Invalid."""
    sequence, colon, digest = text.strip().partition(":")
    if not colon or not sequence.isascii() or not sequence.isdigit() or len(sequence) > 18 or not digest:
        raise Invalid("anchor", 'An anchor is SEQUENCE:DIGEST, as "freehold audit verify" shows it.')
    return Anchor(int(sequence), digest)


def append(connection: Connection, master: MasterKey, actor: Actor, now_ms: int, act: Act) -> None:
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
    connection.execute(insert(audit), {**row, "digest": digest(master, master.id, row, last.digest if last else "")})


def verify(connection: Connection, master: MasterKey, workspace: str, kept: Anchor | None = None) -> Verdict:
    """Look at every record of a workspace's chain, in constant memory. With an anchor kept from before: also for a cut end."""
    verdict = Verdict()
    found = False
    for row in _rows(connection, workspace):
        before = verdict.last or Anchor(0, "")
        verdict.records += 1
        number = row["sequence"]
        if not isinstance(number, int) or number < 1:
            verdict.tell(f"record {number!r}: has no number that a record could have")
            continue
        if number != before.sequence + 1:
            verdict.tell(_missing(before.sequence + 1, number - 1))
            # What it followed is gone; that it was signed at all can't be told either.
        elif problem := _broken(master, row, before.digest):
            verdict.tell(f"record {number}: {problem}")
        verdict.last = Anchor(number, str(row["digest"]))
        if kept is not None and kept.sequence == number:
            found = True
            if not hmac.compare_digest(kept.digest.encode(), verdict.last.digest.encode()):
                verdict.tell(f"record {number}: is not the one that the anchor was taken from")
    if kept is not None and not found:
        last = verdict.last.sequence if verdict.last else 0
        verdict.tell(f"record {kept.sequence}: the anchor was taken from it, and the log ends with {last}: its end was cut off")
    return verdict


def digest(master: MasterKey, master_id: bytes, row: Mapping[str, Any], previous: str) -> str:
    """Of a record's content and its predecessor's digest. Raises SealError for a master key that is not known."""
    key = master.derive("audit log", b"", master_id)
    content = json.encode([previous, *(row[name] for name in _FIELDS)])
    return f"{master_id.hex()}.{hmac.digest(key, content, 'sha256').hex()}"


def _rows(connection: Connection, workspace: str) -> Iterator[Mapping[str, Any]]:
    query = select(audit).where(audit.c.workspace == workspace).order_by(audit.c.sequence)
    for row in connection.execute(query.execution_options(yield_per=_AT_ONCE)):
        yield row._asdict()


def _broken(master: MasterKey, row: Mapping[str, Any], previous: str) -> str:
    """What is wrong with a record that follows the one with the digest `previous`; "" if nothing is."""
    given = str(row["digest"])
    try:
        master_id = bytes.fromhex(given.partition(".")[0])
    except ValueError:
        master_id = b""
    if not master_id:
        return "its digest has no form that Freehold writes"
    try:
        right = digest(master, master_id, row, previous)
    except SealError:
        return (
            f"it was signed with master key {master_id.hex()}, which is not known here; "
            "give that in FREEHOLD_MASTER_KEY_PREVIOUS, else it can't be trusted"
        )
    return "" if hmac.compare_digest(right.encode(), given.encode()) else "it, or its place in the log, was changed"


def _missing(first: int, last: int) -> str:
    if last < first:
        return f"record {last + 1}: stands where record {first} should"
    return f"record {first}: is missing" if first == last else f"records {first} to {last}: are missing"


def _text(values: Mapping[str, Any] | None) -> str | None:
    return None if values is None else json.encode(values, order="deterministic").decode()
