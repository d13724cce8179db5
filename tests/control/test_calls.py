from __future__ import annotations

import random
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from sqlalchemy import text

from freehold.control import calls
from freehold.control.calls import MAX_PAGE, NAMES, CallsError, Filter, Page
from freehold.store.engine import reading
from freehold.store.spool import AttemptLine, LedgerLine
from tests.databases import Store
from tests.store.test_ledger import FULL, line, record


def page(store: Store, after: str = "", limit: int = 50, workspace: str = "default", **asked: Any) -> Page:
    with reading(store.engine) as connection:
        return calls.page(connection, Filter(workspace=workspace, **asked), after, limit)


def ids(lines: list[LedgerLine]) -> list[str]:
    return [one.call_id for one in lines]


def walk(store: Store, limit: int, **asked: Any) -> list[str]:
    found: list[str] = []
    after = ""
    while True:
        got = page(store, after, limit, **asked)
        found += ids(got.calls)
        after = got.next
        if not after:
            return found


def test_a_call_comes_back_as_it_was_recorded(store: Store) -> None:
    record(store, FULL, line("bare"))
    with reading(store.engine) as connection:
        assert calls.one(connection, "default", "call_full") == FULL
        assert calls.one(connection, "default", "bare") == line("bare")
        assert calls.one(connection, "default", "none") is None
        assert calls.one(connection, "other", "call_full") is None, "whose it is stays unsaid"


@pytest.mark.parametrize("limit", [1, 7, 50])
def test_pages_hold_every_call_once_the_newest_first_also_where_times_are_equal(store: Store, limit: int) -> None:
    dice = random.Random(3)
    lines = [line(f"{n:02}", dice.randrange(6)) for n in range(40)]
    record(store, *lines)
    assert walk(store, limit) == ids(sorted(lines, key=lambda one: (one.ended_ms, one.call_id), reverse=True))


def test_calls_that_come_in_meanwhile_do_not_shift_the_pages(store: Store) -> None:
    record(store, *(line(f"{n}", n) for n in range(4)))
    first = page(store, limit=2)
    record(store, line("new", 100))
    assert ids(first.calls) + ids(page(store, first.next, 2).calls) == ["3", "2", "1", "0"]


def test_a_span_includes_its_beginning_and_not_its_end(store: Store) -> None:
    record(store, *(line(f"{n}", n) for n in range(5)))
    assert walk(store, 10, from_ms=1, to_ms=3) == ["2", "1"]


@pytest.mark.parametrize("name", [name for name in NAMES if name != "tag"])
def test_calls_are_found_by_what_is_said_of_them(store: Store, name: str) -> None:
    record(
        store,
        line("a", **{name: "x"}),
        line("b", **{name: "y"}),
        line("c", **{name: "z"}),
        line("d", workspace="o", **{name: "x"}),
    )
    assert walk(store, 10, where={name: ("x", "z")}) == ["c", "a"]
    assert walk(store, 10, where={name: ()}) == []


def test_calls_are_found_by_their_tags(store: Store) -> None:
    record(store, line("a", tags={"t": "1", "u": ""}), line("b", tags={"t": "2"}), line("c", tags={"t": ""}), line("d"))
    for tags, found in ((("t=1",), ["a"]), (("u",), ["a"]), (("t",), ["c"]), (("t=1", "t=2"), ["b", "a"]), (("x",), [])):
        assert walk(store, 10, where={"tag": tags}) == found


def test_filters_hold_together(store: Store) -> None:
    record(store, line("a", key="k", model="m"), line("b", key="k", model="n"), line("c", key="l", model="m"))
    assert walk(store, 10, where={"key": ("k",), "model": ("m",)}) == ["a"]


@pytest.mark.parametrize("name", ["end_user", "session"])
def test_a_person_and_a_session_are_found_through_an_index(store: Store, name: str) -> None:
    asked = Filter(workspace="default", where={name: ("x",)})
    seen: list[str] = []
    with store.engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET enable_seqscan = off"))
        within = calls._within(connection, asked)
        explain = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
        chosen = calls.select(calls.calls.c.call_id).where(*within)
        compiled = chosen.compile(store.engine, compile_kwargs={"literal_binds": True})
        seen += [str(row) for row in connection.exec_driver_sql(f"{explain} {compiled}")]
    assert f"calls_by_{name}" in "".join(seen)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"limit": 0}, "limit is 0"),
        ({"limit": MAX_PAGE + 1}, "limit is 1001"),
        ({"where": {"input": ("1",)}}, "can't be looked for by 'input'"),
        ({"after": "%%%"}, "no place in this list"),
        ({"after": "é"}, "no place in this list"),
        ({"after": "a"}, "no place in this list"),
        *(
            ({"after": urlsafe_b64encode(bad).decode()}, "no place in this list")
            for bad in (b"5", b"x.y", b"1.\0", b"9" * 30 + b".a", b"\xff.a")
        ),
    ],
)
def test_what_cannot_be_asked_is_told(store: Store, asked: dict[str, Any], says: str) -> None:
    record(store, line("a"))
    with pytest.raises(CallsError, match=says):
        page(store, **asked)


def test_batches_hold_every_call_once_the_oldest_first(store: Store) -> None:
    dice = random.Random(3)
    lines = [line(f"{n:02}", dice.randrange(6), attempts=[AttemptLine("a/b", 1)]) for n in range(20)]
    record(store, *lines, line("other", workspace="o"))
    ordered = sorted(lines, key=lambda one: (one.ended_ms, one.call_id))
    for size in (1, 3, 20, 100):
        found = list(calls.batches(store.engine, Filter(workspace="default"), size))
        assert [one for some in found for one in some] == ordered
        assert max(map(len, found)) <= size
    assert list(calls.batches(store.engine, Filter(workspace="none"))) == []
