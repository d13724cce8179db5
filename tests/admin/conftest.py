"""The admin API over each kind of database, asked by an owner's token."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import insert

from freehold.admin.app import make_app
from freehold.admin.who import who
from freehold.control.actor import command
from freehold.control.plane import Plane
from freehold.control.tokens import NewToken, Tokens
from freehold.store.engine import writing
from freehold.store.schema import workspaces
from freehold.store.tenants import members
from tests.control.conftest import plane
from tests.databases import empty, postgresql, store

__all__ = ["empty", "plane", "postgresql", "store"]

BASE = "http://test/api/v1"


def workspace(plane: Plane, name: str) -> None:
    row = {"id": name, "name": name, "created_ms": 1, "metadata": {}, "updated_ms": 1, "version": 1, "disabled": False}
    with writing(plane.engine, "objects") as connection:
        connection.execute(insert(workspaces), row)


def service(plane: Plane, role: str, workspace: str = "default") -> str:
    """A service account's token with all rights of `role`."""
    row = {"workspace": workspace, "id": f"member_{role}", "name": role, "metadata": {}, "created_ms": 1, "updated_ms": 1}
    with writing(plane.engine, "objects") as connection:
        connection.execute(insert(members), {**row, "version": 1, "kind": "service", "role": role, "disabled": False})
    return Tokens().create(plane, command(workspace), NewToken(name=role, member_id=f"member_{role}")).token


def client(plane: Plane, token: str = "", app: FastAPI | None = None) -> TestClient:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return TestClient(app or make_app(plane, who), headers=headers, base_url=BASE)


@pytest.fixture
def api(plane: Plane) -> Iterator[TestClient]:
    with client(plane, service(plane, "owner")) as made:
        yield made
