"""The audit log's chain: whoever can write to the database, and has not the master key, can't change it unnoticed."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, delete, insert, select, update

from freehold.control import audit as chain
from freehold.control import auditlog, cef
from freehold.control.actor import command
from freehold.control.auditlog import Wanted
from freehold.control.plane import Plane
from freehold.control.refusal import Forbidden, Invalid
from freehold.control.teams import NewTeam, Teams
from freehold.store.engine import writing
from freehold.store.masterkey import rotate_file
from freehold.store.sealing import MasterKey
from freehold.store.tenants import audit
from tests.control.conftest import actor


def act(plane: Plane, *names: str) -> None:
    for name in names:
        Teams().create(plane, command(), NewTeam(name=name))


def verified(plane: Plane, anchor: chain.Anchor | None = None) -> chain.Verdict:
    return auditlog.verify(plane, command(), anchor)


def tamper(plane: Plane, how: Callable[[Connection], Any]) -> None:
    with writing(plane.engine, "objects") as connection:
        how(connection)


@pytest.fixture
def five(plane: Plane) -> Plane:
    act(plane, "a", "b", "c", "d", "e")
    return plane


def test_what_was_written_is_found_intact(five: Plane) -> None:
    verdict = verified(five)
    assert (verdict.records, verdict.wrong, verdict.problems) == (5, 0, [])
    assert verdict.last is not None and verdict.last.sequence == 5
    assert verified(five, chain.anchor(str(verdict.last))).wrong == 0
    act(five, "f")
    assert verified(five, verdict.last).wrong == 0, "an anchor holds while the log grows"


@pytest.mark.parametrize("column", [c.name for c in audit.columns if c.name not in ("workspace", "sequence")])
def test_a_changed_field_is_found(five: Plane, column: str) -> None:
    value: Any = 7 if column == "at_ms" else "other"
    tamper(five, lambda c: c.execute(update(audit).where(audit.c.sequence == 3).values({column: value})))
    verdict = verified(five)
    assert verdict.wrong and verdict.problems[0].startswith("record 3:")


def test_what_is_empty_and_what_is_not_there_differ(five: Plane) -> None:
    tamper(five, lambda c: c.execute(update(audit).where(audit.c.sequence == 3).values(before="")))
    assert verified(five).wrong == 1


@pytest.mark.parametrize("gone", [[1], [3], [2, 3], [1, 2, 3, 4]])
def test_missing_records_are_found(five: Plane, gone: list[int]) -> None:
    tamper(five, lambda c: c.execute(delete(audit).where(audit.c.sequence.in_(gone))))
    span = f"record {gone[0]}: is" if len(gone) == 1 else f"records {gone[0]} to {gone[-1]}: are"
    assert verified(five).problems == [f"{span} missing"]


def test_closing_the_gap_does_not_help(five: Plane) -> None:
    def close(connection: Connection) -> None:
        connection.execute(delete(audit).where(audit.c.sequence == 3))
        for number in (4, 5):
            connection.execute(update(audit).where(audit.c.sequence == number).values(sequence=number - 1))

    tamper(five, close)
    assert [p.partition(":")[0] for p in verified(five).problems] == ["record 3", "record 4"]


def test_exchanged_records_are_found(five: Plane) -> None:
    def exchange(connection: Connection) -> None:
        for old, new in ((2, 99), (3, 2), (99, 3)):
            connection.execute(update(audit).where(audit.c.sequence == old).values(sequence=new))

    tamper(five, exchange)
    assert verified(five).wrong >= 2


@pytest.mark.parametrize("at", [0, -1, 6])
def test_a_record_slipped_in_is_found(five: Plane, at: int) -> None:
    """The forger knows everything but the key: the form, the digest before, the id of the master key."""

    def forge(connection: Connection) -> None:
        last = dict(connection.execute(select(audit).where(audit.c.sequence == 5)).mappings().one())
        forged = {**last, "sequence": at, "actor": "somebody else"}
        forged["digest"] = chain.digest(MasterKey(b"k" * 32), MasterKey(b"k" * 32).id, forged, last["digest"])
        known = last["digest"].partition(".")[0]
        connection.execute(insert(audit), {**forged, "digest": f"{known}.{forged['digest'].partition('.')[2]}"})

    tamper(five, forge)
    assert verified(five).wrong


def test_a_record_signed_with_a_key_of_ones_own_is_found(five: Plane) -> None:
    other = MasterKey(b"k" * 32)

    def forge(connection: Connection) -> None:
        previous = ""
        for row in connection.execute(select(audit).order_by(audit.c.sequence)).mappings().all():
            forged = {**row, "actor": "mallory"}
            previous = chain.digest(other, other.id, forged, previous)
            mine = audit.c.sequence == row["sequence"]
            connection.execute(update(audit).where(mine).values(actor="mallory", digest=previous))

    tamper(five, forge)
    verdict = verified(five)
    assert verdict.wrong == 5 and "not known here" in verdict.problems[0]


def test_records_of_another_workspace_are_not_ours(five: Plane) -> None:
    def copy(connection: Connection) -> None:
        rows = connection.execute(select(audit)).mappings().all()
        connection.execute(insert(audit), [{**row, "workspace": "elsewhere"} for row in rows])

    tamper(five, copy)
    assert auditlog.verify(five, command("elsewhere")).wrong == 5


@pytest.mark.parametrize("kept", [3, 0])
def test_a_cut_end_is_found_with_an_anchor_alone(five: Plane, kept: int) -> None:
    anchor = verified(five).last
    tamper(five, lambda c: c.execute(delete(audit).where(audit.c.sequence > kept)))
    assert verified(five).wrong == 0, "the chain itself can't tell"
    assert "its end was cut off" in verified(five, anchor).problems[0]


def test_a_log_begun_anew_is_not_the_one_of_the_anchor(five: Plane) -> None:
    anchor = verified(five).last
    tamper(five, lambda c: c.execute(delete(audit)))
    act(five, "v", "w", "x", "y", "z")
    assert [p.partition(":")[2] for p in verified(five, anchor).problems] == [" is not the one that the anchor was taken from"]


@pytest.mark.parametrize("text", ["", "5", ":x", "x:y", "5:", "-1:x", "9" * 30 + ":x"])
def test_what_is_no_anchor_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        chain.anchor(text)


def test_the_log_goes_on_after_the_master_key_was_rotated(five: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    rotate_file(five.data)
    five.master(again=True)
    act(five, "f")
    verdict = verified(five)
    assert (verdict.records, verdict.wrong) == (6, 0)
    ids = {record.digest.partition(".")[0] for record in auditlog.page(five, command(), Wanted())[0]}
    assert len(ids) == 2


def test_many_problems_are_counted_and_memory_stays_small(plane: Plane) -> None:
    rows = [
        {
            **dict.fromkeys(("actor_kind", "actor_id", "actor", "address", "action", "kind", "object_id", "object"), "x" * 200),
            **{"workspace": "default", "sequence": n, "at_ms": n, "before": None, "after": None, "digest": "00.00"},
        }
        for n in range(1, 20_001)
    ]
    tamper(plane, lambda c: c.execute(insert(audit), rows))
    verified(plane)
    tracemalloc.start()
    verdict = verified(plane)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert verdict.wrong == 20_000 and len(verdict.problems) == chain.MAX_PROBLEMS
    assert peak < 8 * 1024 * 1024, f"{peak:,} bytes for 40 MB of records"


# --- reading it ---


def test_it_is_narrowed_and_paged(five: Plane) -> None:
    first, after = auditlog.page(five, command(), Wanted(kind="team"), limit=3)
    second, end = auditlog.page(five, command(), Wanted(kind="team"), int(after), 3)
    assert [r.object for r in (*first, *second)] == ["e", "d", "c", "b", "a"] and end == ""
    assert auditlog.page(five, command(), Wanted(action="delete"))[0] == []
    one = auditlog.page(five, command(), Wanted(object_id=first[0].object_id, actor=first[0].actor))[0]
    assert [r.object for r in one] == ["e"] and one[0].after is not None and one[0].after["name"] == "e"
    assert (
        auditlog.page(five, command(), Wanted(to_ms=1))[0] == []
        and len(auditlog.page(five, command(), Wanted(from_ms=1))[0]) == 5
    )


def test_an_export_has_every_record_once_in_order(five: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auditlog, "_AT_ONCE", 2)
    lines = b"".join(auditlog.exported(five, command(), Wanted(), "jsonl")).splitlines()
    assert [json.loads(line)["object"] for line in lines] == ["a", "b", "c", "d", "e"]
    events = b"".join(auditlog.exported(five, command(), Wanted(), "cef")).splitlines()
    assert len(events) == 5 and all(event.startswith(b"CEF:0|Freehold|Freehold|") for event in events)


def test_cef_can_not_be_broken_out_of() -> None:
    text = "a|b=c\\d\ne\rf"
    row = dict.fromkeys((c.name for c in audit.columns), text)
    line = cef.line({**row, "sequence": 1, "at_ms": 2, "address": "192.0.2.7"}).decode()
    assert "\n" not in line and "\r" not in line
    head, extension = line.split("|", 7)[:7], line.split("|", 7)[7]
    assert len(head) == 7 and "suser=a|b\\=c\\\\d\\ne\\rf suid=" in extension and "src=192.0.2.7" in extension


def test_only_those_with_the_right_read_it(five: Plane) -> None:
    for role in ("member", "viewer"):
        for ask in (
            lambda who: auditlog.page(five, who, Wanted()),
            lambda who: auditlog.exported(five, who, Wanted(), "jsonl"),
            lambda who: auditlog.verify(five, who),
        ):
            with pytest.raises(Forbidden):
                ask(actor(role))
    assert auditlog.verify(five, actor("auditor")).records == 5
