"""What the commands that read the ledger share: the database, and what is not in it yet."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine

from freehold.cli.settings import Failed, existing, plural
from freehold.store import ledger, migrate
from freehold.store.address import database
from freehold.store.engine import explained, open_engine, reading
from freehold.store.spool import read_lines

WORKSPACE = "default"


@contextmanager
def opened(data: Path) -> Iterator[Engine]:
    """The database, of this version's schema. Raises Failed, StoreError."""
    address = database(existing(data), os.environ)
    if address.file is not None and not address.file.exists():
        raise Failed(f'there is no {address.name} yet; "freehold up" makes it and ships the record of calls into it')
    with explained(address):
        engine = open_engine(address)
        migrate.require_current(engine, address)
        yield engine


def waiting(data: Path, engine: Engine, from_ms: int = 0, to_ms: int | None = None) -> str:
    """A sentence about calls of that span that are in the spool and not in the ledger; "" for none. To be asked before the
    numbers are: what is shipped in between is then told of, and in them."""
    lines = (line for line in read_lines(data) if from_ms <= line.ended_ms and (to_ms is None or line.ended_ms < to_ms))
    ids = {line.call_id for line in lines}
    with reading(engine) as connection:
        missing = len(ids - ledger.known(connection, ids))
    if not missing:
        return ""
    verb = "is" if missing == 1 else "are"
    return f"{plural(missing, 'call')} {verb} still in the spool of this machine and not in these numbers"
