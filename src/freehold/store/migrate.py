"""Bring a database to the schema that this version needs. All of an upgrade is one transaction: it happens or it does not."""

from __future__ import annotations

from pathlib import Path

from pysqlite3 import dbapi2 as sqlite
from sqlalchemy import Connection, Engine, MetaData, create_engine, inspect, text

from freehold.store.address import Address, StoreError
from freehold.store.engine import reading, writing
from freehold.store.schema import HEAD

MIGRATIONS = Path(__file__).parent / "migrations"
VERSION_TABLE = "alembic_version"


def upgrade(engine: Engine, to: str = "head", folder: Path = MIGRATIONS) -> tuple[str, str]:
    """The revisions before ("" for an empty database) and after. Raises StoreError for a database of a newer Freehold."""
    with writing(engine, "schema") as connection:
        return upgrade_within(connection, to, folder)


def upgrade_within(connection: Connection, to: str = "head", folder: Path = MIGRATIONS) -> tuple[str, str]:
    """The same as part of a transaction that has begun."""
    # Slow to load, and most programs never migrate.
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(str(folder), version_locations=[str(folder)])
    known = {one.revision for one in script.walk_revisions()}
    before = revision_within(connection)
    if before and before not in known:
        raise StoreError(_ahead("the database", before))
    environment = EnvironmentContext(Config(), script, fn=lambda now, _: script._upgrade_revs(to, now))
    with environment:
        environment.configure(connection=connection, transactional_ddl=True)
        environment.run_migrations()
    return before, revision_within(connection)


def require_known(revision: str, name: str) -> None:
    """Raises StoreError for a schema that this version has no way to or from. `name`: what has it."""
    if revision > HEAD:
        raise StoreError(_ahead(name, revision))
    if not any(MIGRATIONS.glob(f"m{revision}_*.py")):
        raise StoreError(f"{name} has schema {revision!r}, of which this Freehold knows nothing")


def tables_at(revision: str, folder: Path = MIGRATIONS) -> MetaData:
    """The tables that the schema of a revision has, as a database that was just migrated to it shows them."""
    engine = create_engine("sqlite://", module=sqlite)
    found = MetaData()
    with engine.connect() as connection:
        upgrade_within(connection, revision, folder)
        found.reflect(connection, only=lambda name, _: name != VERSION_TABLE)
    engine.dispose()
    return found


def revision(engine: Engine) -> str:
    """The schema's revision; "" for an empty database."""
    with reading(engine) as connection:
        return revision_within(connection)


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


def revision_within(connection: Connection) -> str:
    if not inspect(connection).has_table(VERSION_TABLE):
        return ""
    return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or "")
