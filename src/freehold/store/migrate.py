"""Bring a database to the schema that this version needs. All of an upgrade is one transaction: it happens or it does not."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from freehold.store.address import Address, StoreError
from freehold.store.engine import reading, writing
from freehold.store.schema import HEAD

MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(engine: Engine, to: str = "head", folder: Path = MIGRATIONS) -> tuple[str, str]:
    """The revisions before ("" for an empty database) and after. Raises StoreError for a database of a newer Freehold."""
    # Slow to load, and most programs never migrate.
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(str(folder), version_locations=[str(folder)])
    known = {one.revision for one in script.walk_revisions()}
    with writing(engine, "schema") as connection:
        before = _revision(connection)
        if before and before not in known:
            raise StoreError(_ahead("the database", before))
        environment = EnvironmentContext(Config(), script, fn=lambda now, _: script._upgrade_revs(to, now))
        with environment:
            environment.configure(connection=connection, transactional_ddl=True)
            environment.run_migrations()
        return before, _revision(connection)


def revision(engine: Engine) -> str:
    """The schema's revision; "" for an empty database."""
    with reading(engine) as connection:
        return _revision(connection)


def require_current(engine: Engine, address: Address) -> None:
    """Raises StoreError, saying what to do, unless the schema is the one that this version needs."""
    now = revision(engine)
    if not now:
        raise StoreError(f'{address.name} has no schema yet; run "freehold db upgrade"')
    if now < HEAD:
        raise StoreError(f'{address.name} has schema {now}, this Freehold needs {HEAD}; run "freehold db upgrade"')
    if now > HEAD:
        raise StoreError(_ahead(address.name, now))


def prepare(engine: Engine, address: Address) -> None:
    """What `freehold up` does: an empty database and one of its own are brought up to date. Raises StoreError otherwise.

    A database that others administer is upgraded by command: other Freeholds may still be using it.
    """
    now = revision(engine)
    if now < HEAD and (address.own or not now):
        upgrade(engine)
    require_current(engine, address)


def _ahead(name: str, now: str) -> str:
    return f"{name} has schema {now}, newer than this Freehold's {HEAD}; install the version that made it, or restore a backup"


def _revision(connection: Connection) -> str:
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or "")
