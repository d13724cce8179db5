"""No operation reaches into another workspace: an id of one is a 404, and nothing there changes. Over all operations."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from freehold.admin.request import ANYONE, OPERATOR, PERSON
from freehold.control.plane import Plane
from freehold.store.columns import metadata
from freehold.store.engine import reading
from tests.admin.conftest import client, service, workspace
from tests.admin.operations import MAKERS, OPERATIONS, Operation

# What concerns a person or the installation is in no workspace.
NAMED = [o for o in OPERATIONS if "{" in o.path and o.scope not in (ANYONE, PERSON, OPERATOR)]


def held(plane: Plane, space: str) -> dict[str, list[Any]]:
    """Every row of every table that is of a workspace."""
    with reading(plane.engine) as connection:
        return {
            table.name: sorted(map(repr, connection.execute(select(table).where(table.c.workspace == space))))
            for table in metadata.sorted_tables
            if "workspace" in table.c
        }


def test_every_noun_that_a_path_names_can_be_made_here() -> None:
    assert {operation.noun for operation in NAMED} <= set(MAKERS), "add it to operations.MAKERS"


def test_an_id_of_another_workspace_is_not_found_and_nothing_there_changes(plane: Plane) -> None:
    workspace(plane, "theirs")
    service(plane, "owner", "theirs")
    ids = {noun: make(plane, "theirs", "member_owner") for noun, make in MAKERS.items()}
    ours = client(plane, service(plane, "owner"))
    before = held(plane, "theirs")
    for operation in NAMED:
        path = operation.path.replace("{id}", ids[operation.noun])
        assert "{" not in path, f"say in operations.py what else {operation.path} names"
        for body in ({}, {"name": "mine"}) if operation.method == "PATCH" else ({},):
            for headers in ({}, {"if-match": '"1"'}, {"idempotency-key": "k"}):
                answer = ours.request(operation.method, path, json=None if operation.method == "GET" else body, headers=headers)
                assert answer.status_code == 404, f"{operation.id}: {answer.text}"
        # Nor by saying that one is in that workspace.
        answer = ours.request(operation.method, path, json={}, headers={"x-freehold-workspace": "theirs"})
        assert answer.status_code == 404, f"{operation.id}: {answer.text}"
        same = client(plane, "").request(operation.method, path, json={})
        assert same.status_code == 401
    assert held(plane, "theirs") == before


def test_no_list_shows_what_another_workspace_has(plane: Plane) -> None:
    workspace(plane, "theirs")
    service(plane, "owner", "theirs")
    ids = {make(plane, "theirs", "member_owner") for make in MAKERS.values()} | {"theirs"}
    ours = client(plane, service(plane, "owner"))
    for operation in OPERATIONS:
        if operation.method == "GET" and "{" not in operation.path:
            answer = ours.get(operation.path)
            shown = answer.text.replace('"workspace":"default"', "")
            assert not [one for one in ids if f'"{one}"' in shown or '"theirs/' in shown], operation.id


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if o.method == "POST" and "{" not in o.path], ids=lambda o: o.id)
def test_a_reference_into_another_workspace_is_refused(plane: Plane, operation: Operation) -> None:
    """Every field of a body that names an object by its id."""
    workspace(plane, "theirs")
    service(plane, "owner", "theirs")
    ours = client(plane, service(plane, "owner"))
    ours.get("/teams")  # notes that the token was used
    schemas = ours.get("/openapi.json").json()["components"]["schemas"]
    body = operation.document.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    fields = schemas.get(body.get("$ref", "").rpartition("/")[2], {}).get("properties", {})
    before = held(plane, "theirs"), held(plane, "default")
    for field in fields:
        noun = {"team_id": "teams", "app_id": "apps", "key_id": "keys"}.get(field)
        if noun is not None or field in ("member_id", "owner_id", "members"):
            theirs = MAKERS[noun](plane, "theirs", "member_owner") if noun else "member_of_theirs"
            if noun:
                before = held(plane, "theirs"), held(plane, "default")
            answer = ours.post(operation.path, json={"name": "x", field: [theirs] if field == "members" else theirs})
            assert answer.status_code == 422 and answer.json()["field"].startswith(field), answer.text
    assert (held(plane, "theirs"), held(plane, "default")) == before


def test_a_token_is_of_one_workspace(plane: Plane) -> None:
    workspace(plane, "theirs")
    ours = client(plane, service(plane, "owner"))
    assert ours.get("/teams", headers={"x-freehold-workspace": "default"}).status_code == 200
    for other in ("theirs", "nowhere", "DEFAULT"):
        assert ours.get("/teams", headers={"x-freehold-workspace": other}).status_code == 404
