"""Usage and calls over HTTP. What they answer is control/'s matter, and tested there."""

from __future__ import annotations

import csv
import io

from fastapi.testclient import TestClient

from freehold.control.plane import Plane
from freehold.store.engine import writing
from freehold.store.ledger import record
from freehold.store.spool import LedgerLine

NOW = 1_790_000_000_000


def put(plane: Plane, *lines: LedgerLine) -> None:
    with writing(plane.engine, "ledger") as connection:
        record(connection, lines)


def call(id: str, workspace: str = "default", **fields: object) -> LedgerLine:
    given = {"ended_ms": NOW, "provider": "openai", "model": "m", "outcome": "ok", "input": 10, "cost_nusd": 5, **fields}
    return LedgerLine(call_id=id, workspace=workspace, **given)  # type: ignore[arg-type]


def test_usage_is_asked_by_any_dimension_and_exported(api: TestClient, plane: Plane) -> None:
    put(plane, call("a"), call("b", model="n", input=1), call("c", "theirs", input=1000))
    got = api.get("/usage", params={"by": "model", "measures": "calls,input", "order": "input"})
    assert got.status_code == 200, got.text
    assert [(row["group"], row["values"]) for row in got.json()["rows"]] == [
        ({"model": "m"}, {"calls": 1, "input": 10}),
        ({"model": "n"}, {"calls": 1, "input": 1}),
    ]
    narrowed = api.get("/usage", params={"measures": "input", "where": ["model=n", "model=x"]}).json()
    assert [row["values"] for row in narrowed["rows"]] == [{"input": 1}]
    sheet = api.get("/usage/export", params={"by": "model", "measures": "input"})
    assert list(csv.reader(io.StringIO(sheet.text))) == [["model", "input"], ["m", "10"], ["n", "1"]]
    assert sheet.headers["content-type"].startswith("text/csv")
    assert api.get("/usage/export", params={"format": "parquet"}).content[:4] == b"PAR1"


def test_questions_that_have_no_answer_are_refused(api: TestClient) -> None:
    for params in (
        {"by": "colour"},
        {"measures": "fun"},
        {"order": "x"},
        {"where": "x"},
        {"from": "2030-01-01T00:00:00Z", "to": "2029-01-01T00:00:00Z"},
    ):
        for path in ("/usage", "/usage/export"):
            assert api.get(path, params=params).status_code == 422, params


def test_calls_are_listed_read_and_exported(api: TestClient, plane: Plane) -> None:
    put(plane, *(call(f"call_{n}", ended_ms=NOW + n) for n in range(5)), call("call_x", "theirs"))
    page = api.get("/calls", params={"limit": 3}).json()
    assert [one["call_id"] for one in page["data"]] == ["call_4", "call_3", "call_2"]
    rest = api.get("/calls", params={"cursor": page["next"]}).json()
    assert [one["call_id"] for one in rest["data"]] == ["call_1", "call_0"] and rest["next"] is None
    assert api.get("/calls/call_1").json()["input"] == 10 and api.get("/calls/call_x").status_code == 404
    assert api.get("/calls", params={"where": "model=none"}).json()["data"] == []
    rows = list(csv.DictReader(io.StringIO(api.get("/calls/export").text)))
    assert [row["call_id"] for row in rows] == [f"call_{n}" for n in range(5)]
    assert api.get("/calls/export", params={"format": "parquet"}).content[:4] == b"PAR1"
    for params in ({"cursor": "x"}, {"where": "colour=red"}):
        assert api.get("/calls", params=params).status_code == 422
