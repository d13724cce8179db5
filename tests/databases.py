"""`store` is a database with our schema, `empty` one without. A test that takes one runs on SQLite and on PostgreSQL."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import Engine

from freehold.store.address import Address, database, parse
from freehold.store.engine import open_engine
from freehold.store.migrate import upgrade
from tests import postgres

_numbers = count()


class Store:
    """A data directory and a database. `env` is what a process needs to use the same."""

    def __init__(self, data: Path, address: Address, env: dict[str, str]) -> None:
        self.data = data
        self.address = address
        self.env = env
        self.engine: Engine = open_engine(address)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[postgres.Server]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    try:
        with postgres.server(port) as server:
            yield server
    except postgres.Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Without a schema."""
    if request.param == "sqlite":
        store = Store(tmp_path, database(tmp_path, {}), {})
    else:
        url = request.getfixturevalue("postgresql").create(f"test_{next(_numbers)}")
        store = Store(tmp_path, parse(url), {"FREEHOLD_DATABASE_URL": url})
    yield store
    store.engine.dispose()


@pytest.fixture
def store(empty: Store) -> Store:
    upgrade(empty.engine)
    return empty
