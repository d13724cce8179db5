"""A Plane over each kind of database, and actors of every role."""

from __future__ import annotations

from pathlib import Path

import pytest

from freehold.config.load import load
from freehold.control.actor import Actor, command
from freehold.control.owned import FileOwned
from freehold.control.plane import Plane
from freehold.control.rights import ROLES
from freehold.upstream.catalogue import PROVIDERS
from tests.databases import Store, empty, postgresql, store

__all__ = ["actor", "empty", "plane", "postgresql", "store"]

ROOT = command()


def actor(role: str, workspace: str = "default", member_id: str = "") -> Actor:
    return Actor(kind="user", id=f"user_{role}", name=role, workspace=workspace, scopes=ROLES[role], member_id=member_id)


@pytest.fixture
def plane(store: Store, tmp_path: Path) -> Plane:
    """freehold.yaml in `tmp_path` may be written at any time."""
    owned = FileOwned(tmp_path / "freehold.yaml", lambda file: load(file, {}, PROVIDERS))
    return Plane(store.engine, store.address, store.data, owned)
