"""`freehold db ...`: the schema of the database that holds the record of calls."""

from __future__ import annotations

import os
from pathlib import Path

from freehold.store import migrate
from freehold.store.address import StoreError, database
from freehold.store.engine import explained, open_engine
from freehold.store.schema import HEAD


def upgrade(data: Path) -> str:
    """Raises StoreError, with the schema as it was."""
    address = database(data, os.environ)
    with explained(address):
        before, after = migrate.upgrade(open_engine(address))
    if before == after:
        return f"{address.name} has schema {after} already, the newest."
    return f"{address.name} now has schema {after} (before: {before or 'none'})."


def check(data: Path) -> str:
    """Raises StoreError, saying what to do, unless this version can use the schema."""
    address = database(data, os.environ)
    if address.file is not None and not address.file.exists():
        raise StoreError(f'there is no {address.name} yet; "freehold db upgrade" or "freehold up" makes it')
    with explained(address):
        migrate.require_current(open_engine(address), address)
    return f"ok: {address.name} has schema {HEAD}, the newest"
