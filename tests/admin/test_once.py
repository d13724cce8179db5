"""Idempotency-Key: what is sent again is answered again, not done again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select, update

from freehold.control import replies as control
from freehold.control.plane import Plane
from freehold.store.engine import reading, writing
from freehold.store.tenants import audit, keys, replies
from tests.admin.conftest import client, service
from tests.admin.operations import OPERATIONS


def count(plane: Plane, table: Any) -> int:
    with reading(plane.engine) as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if o.method == "POST"], ids=lambda o: o.id)
def test_every_operation_that_makes_something_takes_one(operation: Any) -> None:
    """Signing in and the like make nothing that could be made twice."""
    if "201" in operation.document["responses"] or operation.id.startswith("rotate_"):
        assert "idempotency-key" in {parameter["name"] for parameter in operation.document["parameters"]}


def test_sent_again_it_is_answered_the_same_and_not_done_again(api: TestClient, plane: Plane) -> None:
    headers = {"idempotency-key": '"first"'}
    first = api.post("/keys", json={"name": "bot"}, headers=headers)
    assert first.status_code == 201 and first.json()["key"].startswith("fh_") and "idempotent-replayed" not in first.headers
    acts = count(plane, audit)
    again = api.post("/keys", json={"name": "bot"}, headers={"idempotency-key": "first"})  # the quotes are the field's
    assert again.status_code == 201 and again.content == first.content and again.headers["idempotent-replayed"] == "true"
    assert [again.headers[name] for name in ("etag", "location")] == [first.headers[name] for name in ("etag", "location")]
    assert count(plane, keys) == 1 and count(plane, audit) == acts
    plain = api.post("/keys", json={"name": "bot 2"})
    assert {*plain.json()} == {*first.json()} and plain.status_code == 201, "with and without a key the answer is the same"


def test_a_rotation_that_is_sent_again_does_not_lose_the_secret(api: TestClient) -> None:
    path = f"/keys/{api.post('/keys', json={'name': 'bot'}).json()['id']}/rotate"
    first = api.post(path, json={"grace_s": 60}, headers={"idempotency-key": "r"})
    again = api.post(path, json={"grace_s": 60}, headers={"idempotency-key": "r"})
    assert first.status_code == again.status_code == 200 and first.content == again.content


def test_another_request_with_the_same_key_is_refused(api: TestClient, plane: Plane) -> None:
    headers = {"idempotency-key": "k"}
    assert api.post("/keys", json={"name": "a"}, headers=headers).status_code == 201
    for path, body in (("/keys", {"name": "b"}), ("/teams", {"name": "a"}), ("/keys?x=1", {"name": "a"})):
        refused = api.post(path, json=body, headers=headers)
        assert refused.status_code == 422 and refused.json()["title"] == "Idempotency-Key used before"
    assert count(plane, keys) == 1


def test_what_was_refused_may_be_tried_again(api: TestClient, plane: Plane) -> None:
    headers = {"idempotency-key": "k"}
    assert api.post("/keys", json={"name": "a", "app_id": "app_0"}, headers=headers).status_code == 422
    assert count(plane, replies) == 0
    assert api.post("/keys", json={"name": "a"}, headers=headers).status_code == 201


def test_keys_are_of_whoever_sends_them(api: TestClient, plane: Plane) -> None:
    headers = {"idempotency-key": "k"}
    first = api.post("/keys", json={"name": "a"}, headers=headers)
    other = client(plane, service(plane, "admin")).post("/keys", json={"name": "a"}, headers=headers)
    assert other.status_code == 201 and other.json()["id"] != first.json()["id"]


def test_whoever_may_no_longer_make_one_gets_no_answer_from_before(plane: Plane) -> None:
    from freehold.store.tenants import members

    asking = client(plane, service(plane, "admin"))
    headers = {"idempotency-key": "k"}
    assert asking.post("/keys", json={"name": "a"}, headers=headers).status_code == 201
    with writing(plane.engine, "objects") as connection:
        connection.execute(update(members).where(members.c.id == "member_admin").values(role="viewer"))
    assert asking.post("/keys", json={"name": "a"}, headers=headers).status_code == 403


def test_of_requests_that_come_at_once_one_makes_it_and_all_get_its_answer(api: TestClient, plane: Plane) -> None:
    def ask(_: int) -> Any:
        return api.post("/keys", json={"name": "a"}, headers={"idempotency-key": "same"})

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(ask, range(6)))
    assert {answer.status_code for answer in answers} == {201}, [a.text for a in answers]
    assert len({answer.content for answer in answers}) == 1 and count(plane, keys) == 1
    assert sum("idempotent-replayed" in answer.headers for answer in answers) == 5


def test_a_crash_before_the_end_leaves_neither_the_object_nor_the_answer(
    api: TestClient, plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: Any) -> None:
        raise RuntimeError("power cut")

    headers = {"idempotency-key": "k"}
    with monkeypatch.context() as broken:
        broken.setattr(control, "_keep", crash)
        with pytest.raises(RuntimeError):
            api.post("/keys", json={"name": "a"}, headers=headers)
    assert count(plane, keys) == count(plane, replies) == 0
    assert api.post("/keys", json={"name": "a"}, headers=headers).status_code == 201


def test_secrets_in_kept_answers_and_requests_are_sealed(api: TestClient, plane: Plane) -> None:
    made = api.post("/keys", json={"name": "a"}, headers={"idempotency-key": "k"}).json()
    with reading(plane.engine) as connection:
        row = connection.execute(select(replies)).one()
    assert made["key"].encode() not in bytes(row.answer) and made["id"].encode() not in bytes(row.answer)


def test_an_answer_is_kept_for_a_day(api: TestClient, plane: Plane) -> None:
    headers = {"idempotency-key": "k"}
    first = api.post("/keys", json={"name": "a"}, headers=headers)
    with writing(plane.engine, "objects") as connection:
        connection.execute(update(replies).values(at_ms=replies.c.at_ms - control.KEPT_MS - 1))
    again = api.post("/keys", json={"name": "a"}, headers=headers)
    assert again.status_code == 201 and again.json()["id"] != first.json()["id"] and count(plane, replies) == 1


@pytest.mark.parametrize("key", ["", '""', "with space", 'quo"te', "x" * 256, "ümlaut".encode("latin-1")])
def test_what_is_no_key_is_refused(api: TestClient, key: str | bytes) -> None:
    headers = [(b"idempotency-key", key if isinstance(key, bytes) else key.encode())]
    refused = api.post("/keys", json={"name": "a"}, headers=headers)
    assert refused.status_code == 422 and refused.json()["field"] == "idempotency-key"
