from __future__ import annotations

import json

from fastapi.testclient import TestClient
from sqlalchemy import delete, update

from freehold.control.plane import Plane
from freehold.store.engine import writing
from freehold.store.tenants import audit


def test_the_log_is_listed_exported_and_verified(api: TestClient, plane: Plane) -> None:
    for name in ("a", "b", "c"):
        api.post("/teams", json={"name": name})
    page = api.get("/audit", params={"kind": "team", "limit": 2}).json()
    assert [one["object"] for one in page["data"]] == ["c", "b"] and page["data"][0]["actor_kind"] == "token"
    rest = api.get("/audit", params={"kind": "team", "cursor": page["next"]}).json()
    assert [one["object"] for one in rest["data"]] == ["a"] and rest["next"] is None
    export = api.get("/audit/export", params={"kind": "team"})
    assert export.headers["content-type"] == "application/jsonl" and "attachment" in export.headers["content-disposition"]
    assert [json.loads(line)["object"] for line in export.text.splitlines()] == ["a", "b", "c"]
    assert api.get("/audit/export", params={"format": "cef"}).text.count("CEF:0|") == 4
    found = api.get("/audit/verify").json()
    assert found["intact"] and found["records"] == 4
    assert api.get("/audit/verify", params={"anchor": found["anchor"]}).json()["intact"]
    with writing(plane.engine, "objects") as connection:
        connection.execute(delete(audit).where(audit.c.sequence == 4))
    cut = api.get("/audit/verify", params={"anchor": found["anchor"]}).json()
    assert not cut["intact"] and "cut off" in cut["problems"][0]
    with writing(plane.engine, "objects") as connection:
        connection.execute(update(audit).where(audit.c.sequence == 2).values(actor="nobody"))
    assert api.get("/audit/verify").json()["problems"] == ["record 2: it, or its place in the log, was changed"]


def test_what_can_not_be_asked_is_named(api: TestClient) -> None:
    for name, value in (("cursor", "x"), ("from", "yesterday"), ("anchor", "5")):
        path = "/audit/verify" if name == "anchor" else "/audit"
        refused = api.get(path, params={name: value})
        assert refused.status_code == 422 and refused.json()["field"] == name, refused.text
