"""SCIM 2.0, judged by scim2-tester, and by what provisioning systems send."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server

from freehold.admin.app import make_app
from freehold.admin.who import who
from freehold.control.actor import command
from freehold.control.plane import Plane
from freehold.control.tokens import NewToken, Tokens
from tests.admin.conftest import service

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


_FINE = (Status.SUCCESS, Status.SKIPPED)


def provisioner(plane: Plane, role: str = "admin", space: str = "default", scopes: tuple[str, ...] = ()) -> str:
    service(plane, role, space)
    given = NewToken(name="idp", member_id=f"member_{role}", scopes=list(scopes) or ["member:write", "team:write"])
    return Tokens().create(plane, command(space), given).token


def client(plane: Plane, token: str) -> TestClient:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return TestClient(make_app(plane, who), base_url="http://test/scim/v2", headers=headers)


@pytest.fixture
def scim(plane: Plane) -> Iterator[TestClient]:
    with client(plane, provisioner(plane)) as made:
        yield made


def person(name: str, **more: Any) -> dict[str, Any]:
    emails = [{"value": f"{name}@example.com", "primary": True, "type": "work"}]
    return {"schemas": [USER], "userName": f"{name}@example.com", "displayName": name.title(), "emails": emails, **more}


def patch(*operations: dict[str, Any]) -> dict[str, Any]:
    return {"schemas": [PATCH], "Operations": list(operations)}


def test_scim2_tester_finds_nothing_wrong(scim: TestClient) -> None:
    found = check_server(SyncSCIMClient(scim))
    wrong = [f"{one.title}: {one.reason} {one.data}" for one in found if one.status not in _FINE]
    assert not wrong, "\n".join(wrong)
    counts = Counter(one.status for one in found)
    assert counts[Status.SUCCESS] > 100 and counts[Status.SKIPPED] < 5, counts
    print(counts)
