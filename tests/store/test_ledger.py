from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import json, structs
from sqlalchemy import text

from freehold.store import ledger
from freehold.store.engine import reading, writing
from freehold.store.ledger import HOUR_MS, LIMIT
from freehold.store.schema import calls
from freehold.store.spool import AttemptLine, LedgerLine
from freehold.store.total import Sum
from tests.store.conftest import Store

DAY_MS = 24 * HOUR_MS


def line(call_id: str, ended_ms: int = 0, **fields: Any) -> LedgerLine:
    return LedgerLine(call_id=call_id, ended_ms=ended_ms, **{"outcome": "ok", **fields})


def record(store: Store, *lines: LedgerLine) -> int:
    with writing(store.engine, "test") as connection:
        return ledger.record(connection, lines)


def sums(store: Store, by: str = "key", from_ms: int = 0, workspace: str = "default") -> dict[str | int, Sum]:
    found: dict[str | int, Sum] = {}
    with reading(store.engine) as connection:
        for name, part in ledger.sums(connection, workspace, by, from_ms):
            found.setdefault(name, Sum()).add_sum(part)
    return found


FULL = LedgerLine(
    call_id="call_full",
    ended_ms=1_800_000_000_123,
    cost_nusd=12_345_678_901,
    stream=True,
    estimated=True,
    attempts=[AttemptLine("a/m", 3, 500, "upstream_error"), AttemptLine("b/m", 4, 200)],
    **{name: f"{name} é\U0001f600" for name in ("kind", "dialect", "key_id", "key", "route", "provider", "model", "client_id")},
    **{name: at + 1 for at, name in enumerate(("input", "output", "cache_read", "reasoning", "total_us", "first_us", "status"))},
)


def test_a_column_is_a_field_of_the_line_in_its_order() -> None:
    assert [c.name for c in calls.columns] == list(LedgerLine.__struct_fields__)
    kinds: dict[str, str] = dict(LedgerLine.__annotations__)
    for column in calls.columns:
        if column.name != "attempts":
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
    assert sums(store) == {"": Sum(calls=3, input=6, cost_nusd=9)}


def test_what_a_provider_or_client_invents_cannot_stop_the_ledger(store: Store) -> None:
    wild = line(
        "wild",
        input=10**30,
        output=-5,
        cost_nusd=10**40,
        total_us=2**63,
        route="a\0b",
        client_id="\0",
        attempts=[AttemptLine("\0", 2**70, reason="\0")],
    )
    assert record(store, wild, line("tame", route="r" * 10_000, model="ü" * 5_000)) == 2
    with reading(store.engine) as connection:
        row = connection.execute(calls.select().where(calls.c.call_id == "wild")).mappings().one()
    assert (row["input"], row["output"], row["cost_nusd"], row["total_us"]) == (LIMIT, 0, LIMIT, LIMIT)
    assert (row["route"], row["client_id"]) == ("a\ufffdb", "\ufffd")
    assert row["attempts"] == [{"target": "\ufffd", "us": LIMIT, "reason": "\ufffd"}]


def test_whole_hours_come_from_the_roll_up_and_the_rest_from_calls(store: Store) -> None:
    record(store, *(line(f"{ms}", ms, input=1) for ms in (0, HOUR_MS - 1, HOUR_MS, 2 * HOUR_MS - 1, 2 * HOUR_MS)))
    for from_ms, expected in (
        (0, 5),
        (1, 4),
        (HOUR_MS - 1, 4),
        (HOUR_MS, 3),
        (HOUR_MS + 1, 2),
        (2 * HOUR_MS, 1),
        (2 * HOUR_MS + 1, 0),
    ):
        assert sums(store, "key", from_ms).get("", Sum()).calls == expected


def test_groups_are_keys_routes_models_and_days(store: Store) -> None:
    record(
        store,
        line("1", key="a", route="r", provider="p", model="m", input=5, output=2, cache_read=3, cost_nusd=1),
        line("2", DAY_MS - 1, key="a", route="p/m", provider="p", model="m", input=1),
        line("3", DAY_MS, key="b", route="r", provider="q", model="m", outcome="upstream_error", cost_nusd=0),
        line("4", DAY_MS, outcome="refused"),
    )
    expected = {
        "key": {"a": 2, "b": 1, "": 1},
        "model": {"p/m": 2, "q/m": 1, "": 1},
        "route": {"r": 2, "p/m": 1, "": 1},
        "day": {0: 2, 1: 2},
    }
    for by, counts in expected.items():
        assert {name: s.calls for name, s in sums(store, by).items()} == counts
    # From here on the first hour comes from calls, the others from the roll-up.
    assert {name: s.calls for name, s in sums(store, "day", 1).items()} == {0: 1, 1: 2}
    assert {name: s.calls for name, s in sums(store, "model", DAY_MS - 1).items()} == {"p/m": 1, "q/m": 1, "": 1}
    assert sums(store)["a"] == Sum(calls=2, input=6, output=2, cache_read=3, cost_nusd=1, unpriced=1)
    assert sums(store)["b"].failed == 1


def test_a_workspace_sees_its_own_calls_only(store: Store) -> None:
    record(store, line("1"), line("2", workspace="other"), line("3", workspace="other"))
    assert [s.calls for s in sums(store).values()] == [1]
    assert [s.calls for s in sums(store, workspace="other").values()] == [2]
    assert sums(store, workspace="third") == {}
    assert sums(store, workspace="third", from_ms=1) == {}


def test_large_sums_are_exact(store: Store) -> None:
    record(store, *(line(f"{n}", n * HOUR_MS, cost_nusd=LIMIT - 1) for n in range(5_000)))
    assert sums(store)[""].cost_nusd == 5_000 * (LIMIT - 1) > 2**55


def test_known_tells_which_calls_are_there(store: Store) -> None:
    record(store, *(line(f"{n}") for n in range(0, 2000, 2)))
    with reading(store.engine) as connection:
        assert ledger.known(connection, (f"{n}" for n in range(2000))) == {f"{n}" for n in range(0, 2000, 2)}
        assert ledger.known(connection, []) == set()


TEXTS = st.text(max_size=8)
NUMBERS = st.integers(min_value=0, max_value=10**9)
LINES = st.builds(
    line,
    st.sampled_from("abcdefghij"),
    st.integers(0, 3 * HOUR_MS),
    key=st.sampled_from(["", "k"]) | TEXTS,
    model=TEXTS,
    outcome=st.sampled_from(["ok", "refused"]),
    input=NUMBERS,
    output=NUMBERS,
    cost_nusd=st.none() | NUMBERS,
    estimated=st.booleans(),
    first_us=NUMBERS,
)
MEASURES = "calls, unpriced, estimated, input, output, cost_nusd, first_us"
RECOUNT = (
    "SELECT count(*), coalesce(sum(CASE WHEN cost_nusd IS NULL AND (input > 0 OR output > 0) THEN 1 ELSE 0 END), 0),"
    " coalesce(sum(CASE WHEN estimated THEN 1 ELSE 0 END), 0), coalesce(sum(input), 0), coalesce(sum(output), 0),"
    " coalesce(sum(cost_nusd), 0), coalesce(sum(first_us), 0)"
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(st.lists(LINES, max_size=6), max_size=4))
def test_the_roll_up_equals_a_recount_whatever_comes_how_often(store: Store, batches: list[list[LedgerLine]]) -> None:
    with writing(store.engine, "test") as connection:
        for table in ("calls", "calls_hourly"):
            connection.execute(text(f"DELETE FROM {table}"))
        first: Counter[str] = Counter()
        for batch in batches:
            before = len(first)
            first.update(one.call_id for one in batch)
            assert ledger.record(connection, batch) == len(first) - before
        for hour in range(4):
            within = f"WHERE ended_ms >= {hour * HOUR_MS} AND ended_ms < {(hour + 1) * HOUR_MS}"
            recount = connection.execute(text(f"{RECOUNT} FROM calls {within}")).one()
            names = MEASURES.split(", ")
            rolled = connection.execute(
                text(f"SELECT {', '.join(f'coalesce(sum({n}), 0)' for n in names)} FROM calls_hourly WHERE hour = {hour}")
            ).one()
            assert [int(n) for n in rolled] == [int(n) for n in recount]
