from __future__ import annotations

from typing import Any

from msgspec import json, structs
from sqlalchemy import text

from freehold.store import ledger
from freehold.store.engine import reading, writing
from freehold.store.rollup import LIMIT
from freehold.store.schema import calls
from freehold.store.spool import AttemptLine, LedgerLine
from tests.store.conftest import Store


def line(call_id: str, ended_ms: int = 0, **fields: Any) -> LedgerLine:
    return LedgerLine(call_id=call_id, ended_ms=ended_ms, **{"outcome": "ok", **fields})


def record(store: Store, *lines: LedgerLine) -> int:
    with writing(store.engine, "test") as connection:
        return ledger.record(connection, lines)


FULL = LedgerLine(
    call_id="call_full",
    ended_ms=1_800_000_000_123,
    cost_nusd=12_345_678_901,
    stream=True,
    estimated=True,
    attempts=[AttemptLine("a/m", 3, 500, "upstream_error"), AttemptLine("b/m", 4, 200)],
    tags={"a": "b é", "c": ""},
    **{name: f"{name} é\U0001f600" for name in ("kind", "dialect", "key_id", "key", "route", "provider", "model", "client_id")},
    **{name: f"{name} é" for name in ("team", "app", "member", "end_user", "session", "region")},
    **{name: at + 1 for at, name in enumerate(("input", "output", "cache_read", "reasoning", "total_us", "first_us", "status"))},
)


def test_a_column_is_a_field_of_the_line_in_its_order() -> None:
    assert [c.name for c in calls.columns] == list(LedgerLine.__struct_fields__)
    kinds: dict[str, str] = dict(LedgerLine.__annotations__)
    for column in calls.columns:
        if column.name not in ("attempts", "tags"):
            assert kinds[column.name].split(" |")[0] == column.type.python_type.__name__
            assert column.nullable == ("None" in kinds[column.name])


def test_a_row_is_the_line(store: Store) -> None:
    assert record(store, FULL) == 1
    with reading(store.engine) as connection:
        [row] = connection.execute(calls.select()).mappings()
    assert dict(row) == json.decode(
        json.encode(
            structs.asdict(FULL) | {"attempts": [structs.asdict(FULL.attempts[0]), {"target": "b/m", "us": 4, "status": 200}]}
        )
    )


def test_a_call_is_recorded_once_however_often_it_comes(store: Store) -> None:
    a, b, c = (line(name, input=2, cost_nusd=3) for name in "abc")
    assert record(store, a, a, b) == 2
    assert record(store, a, b) == 0
    assert record(store, b, c, c) == 1
    assert record(store) == 0
    with reading(store.engine) as connection:
        rolled = connection.execute(text("SELECT grain, calls, input, cost_nusd FROM rollups ORDER BY grain")).all()
    assert [tuple(row) for row in rolled] == [(grain, 3, 6, 9) for grain in (1, 2, 3, 4, 7)]


def test_what_a_provider_or_client_invents_cannot_stop_the_ledger(store: Store) -> None:
    wild = line(
        "wild",
        input=10**30,
        output=-5,
        cost_nusd=10**40,
        total_us=2**63,
        route="a\0b",
        client_id="\0",
        end_user="\0",
        tags={"\0": "a\0"},
        seconds=1e300,
        attempts=[AttemptLine("\0", 2**70, reason="\0")],
    )
    assert record(store, wild, line("tame", route="r" * 10_000, model="ü" * 5_000)) == 2
    with reading(store.engine) as connection:
        row = connection.execute(calls.select().where(calls.c.call_id == "wild")).mappings().one()
    assert (row["input"], row["output"], row["cost_nusd"], row["total_us"]) == (LIMIT, 0, LIMIT, LIMIT)
    assert (row["route"], row["client_id"]) == ("a\ufffdb", "\ufffd")
    assert row["attempts"] == [{"target": "\ufffd", "us": LIMIT, "reason": "\ufffd"}]
    assert row["tags"] == {"\ufffd": "a\ufffd"}


def test_known_tells_which_calls_are_there(store: Store) -> None:
    record(store, *(line(f"{n}") for n in range(0, 2000, 2)))
    with reading(store.engine) as connection:
        assert ledger.known(connection, (f"{n}" for n in range(2000))) == {f"{n}" for n in range(0, 2000, 2)}
        assert ledger.known(connection, []) == set()
