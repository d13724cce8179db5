"""Which database is meant: FREEHOLD_DATABASE_URL, or a SQLite file in the data directory. Loads no database library."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct

VARIABLE = "FREEHOLD_DATABASE_URL"
FILE = "freehold.db"
_FORMS = "write sqlite:///FILE or postgresql://USER:PASSWORD@HOST:PORT/NAME"


class StoreError(Exception):
    """The database cannot be used as asked; the message says what to do."""


class Address(Struct, frozen=True):
    """`url` may hold a password: show `name` instead. `file`: of SQLite. `own`: nobody but this Freehold looks after it."""

    url: str
    name: str
    file: Path | None = None
    own: bool = False


def database(data: Path, environ: Mapping[str, str]) -> Address:
    """Raises StoreError for a URL of another kind, without showing it: it may hold a password."""
    url = environ.get(VARIABLE, "").strip()
    if not url:
        file = data / FILE
        return Address(f"sqlite:///{file}", f"SQLite file {file}", file, own=True)
    return parse(url)


def parse(url: str) -> Address:
    scheme, colon, rest = url.partition("://")
    scheme = scheme.partition("+")[0]  # the driver is ours to choose
    if scheme == "sqlite" and colon and rest.startswith("/") and len(rest) > 1:
        file = Path(rest[1:])
        return Address(f"sqlite:///{file}", f"SQLite file {file}", file)
    if scheme in ("postgresql", "postgres") and colon:
        try:
            parts = urlsplit(f"postgresql://{rest}")
            host = f"{parts.hostname or 'localhost'}:{parts.port or 5432}"
        except ValueError:
            raise StoreError(f"{VARIABLE} cannot be read as a PostgreSQL URL; {_FORMS}") from None
        if "@" in parts.path or parts.fragment:
            # Some of the password would be taken for the database's name, and shown.
            raise StoreError(f"{VARIABLE}: in the password write %2F for /, %23 for #, %3F for ?; {_FORMS}")
        return Address(f"postgresql+psycopg://{rest}", f"PostgreSQL database {parts.path.lstrip('/')!r} on {host}")
    raise StoreError(f"{VARIABLE} names no database that Freehold knows; {_FORMS}")
