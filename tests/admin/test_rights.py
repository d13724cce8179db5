"""Every operation against every role: who may is what it declares, and that is enforced before anything else is looked at.

An operation that is added is covered by being there; one that declares no scope fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from freehold.admin.request import ANYONE, OPERATOR, PERSON, SIGNED_IN
from freehold.config.load import load
from freehold.control.owned import FileOwned
from freehold.control.plane import Plane
from freehold.control.rights import ROLES, SCOPES, allows
from freehold.store.address import database
from freehold.store.engine import open_engine
from freehold.store.migrate import upgrade
from freehold.upstream.catalogue import PROVIDERS
from tests.admin.conftest import client, service
from tests.admin.operations import MAKERS, OPERATIONS, Operation

NOBODY = "nobody"


class Asked:
    def __init__(self, plane: Plane) -> None:
        self.plane = plane
        self.clients: dict[str, TestClient] = {role: client(plane, service(plane, role)) for role in ROLES}
        self.clients[NOBODY] = client(plane)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    data: Path = tmp_path_factory.mktemp("rights")
    address = database(data, {})
    engine = open_engine(address)
    upgrade(engine)
    yield Asked(Plane(engine, address, data, FileOwned(None, lambda file: load(file, {}, PROVIDERS))))
    engine.dispose()


def test_there_are_operations() -> None:
    assert len(OPERATIONS) > 35 and len({operation.id for operation in OPERATIONS}) == len(OPERATIONS)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.id)
def test_every_operation_declares_who_may(operation: Operation) -> None:
    assert operation.scope in (*SCOPES, ANYONE, SIGNED_IN, PERSON, OPERATOR), "declare it with **needs(...)"
    if operation.method != "GET" and operation.scope not in (ANYONE, SIGNED_IN, PERSON, OPERATOR):
        assert not operation.scope.endswith(":read"), "what changes something needs more than reading"


@pytest.mark.parametrize("role", [*ROLES, NOBODY])
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.id)
def test_each_role_may_do_what_its_scopes_say_and_nothing_else(asked: Asked, operation: Operation, role: str) -> None:
    """Bodies are such that nothing is done: whoever may gets as far as being told that."""
    path = operation.path.replace("{", "no-such-").replace("}", "")
    answer = asked.clients[role].request(
        operation.method, path, json={} if operation.method in ("POST", "PATCH", "PUT") else None
    )
    if operation.scope == ANYONE:
        assert answer.status_code not in (403, 500)
    elif role == NOBODY:
        assert answer.status_code == 401 and answer.headers["www-authenticate"]
    elif operation.scope in (OPERATOR, PERSON) or (operation.scope != SIGNED_IN and not allows(ROLES[role], operation.scope)):
        assert answer.status_code == 403, answer.text
        if operation.scope not in (OPERATOR, PERSON):
            assert operation.scope in answer.json()["detail"]
    else:
        assert answer.status_code in (200, 404, 422), answer.text
    assert answer.status_code < 400 or answer.headers["content-type"] == "application/problem+json"


OWN = [operation for operation in OPERATIONS if operation.scope.endswith(":own") and "{" in operation.path]


@pytest.mark.parametrize("role", [role for role in ROLES if role != "admin"])
@pytest.mark.parametrize("operation", OWN, ids=lambda o: o.id)
def test_what_is_ones_own_is_not_anybody_elses(asked: Asked, operation: Operation, role: str) -> None:
    if not allows(ROLES[role], operation.scope):
        return
    mine = MAKERS[operation.noun](asked.plane, "default", f"member_{role}")
    path, body = operation.path.replace("{id}", mine), {} if operation.method in ("POST", "PATCH") else None
    for other in ("member", "viewer", "auditor"):
        if other == role or not allows(ROLES[other], operation.scope):
            continue
        assert asked.clients[other].request(operation.method, path, json=body).status_code in (403, 404)
    assert asked.clients[role].request(operation.method, path, json=body).status_code in (200, 204)
