"""The control plane as commands use it: over the database of a data directory, acting as whoever runs the command."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from freehold.cli.settings import config_file
from freehold.config.load import load
from freehold.config.references import Unread
from freehold.control.follow import write_once
from freehold.control.keyfile import take_over
from freehold.control.owned import FileOwned
from freehold.control.plane import Plane
from freehold.store.address import database
from freehold.store.engine import explained, open_engine
from freehold.store.migrate import prepare
from freehold.upstream.catalogue import PROVIDERS


@contextmanager
def opened(data: Path, config: Path | None = None) -> Iterator[Plane]:
    """Brings the schema up to date as `freehold up` does. Raises StoreError, ConfigError, OSError."""
    address = database(data, os.environ)
    owned = FileOwned(config_file(config), lambda file: load(file, os.environ, PROVIDERS, Unread(os.environ)))
    with explained(address):
        engine = open_engine(address)
        try:
            prepare(engine, address)
            plane = Plane(engine, address, data, owned)
            take_over(plane)
            yield plane
            write_once(data, engine)  # where `freehold up` runs, its control plane has done it by now
        finally:
            engine.dispose()
