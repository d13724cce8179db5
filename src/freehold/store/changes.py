"""From the database's tables to the lines of the feed: everything at once, or what changed since a revision.

Gateways are told of objects, not of what happened to them: a line holds the object as it now is, with what others decide of it
(a key of an app that is switched off is off). A change is written by control/plane.py in the transaction that makes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal, NamedTuple

import psycopg
from sqlalchemy import Connection, Engine, Select, Table, and_, delete, false, func, or_, select

from freehold.store.address import StoreError
from freehold.store.feed import CredentialLine, Gone, KeyLine, Object, ProviderLine, RouteLine, WorkspaceLine
from freehold.store.schema import workspaces
from freehold.store.tenants import apps, changes, credentials, keys, members, providers, routes, team_members, users

CHANNEL = "freehold_changes"  # PostgreSQL's NOTIFY: a revision was committed
MAX_CHANGES = 5_000  # more at once are not worth looking at one by one
_ROWS_AT_ONCE = 1_000


class Change(NamedTuple):
    """A row of `changes`. Its content tells a database from another one, and from itself restored to an earlier day."""

    revision: int
    workspace: str
    kind: str
    object_id: str
    at_ms: int


NONE_YET = Change(0, "", "", "", 0)
_COLUMNS = tuple(changes.c[name] for name in Change._fields)


def last(connection: Connection) -> Change:
    row = connection.execute(select(*_COLUMNS).order_by(changes.c.revision.desc()).limit(1)).first()
    return Change(*row) if row else NONE_YET


def since(connection: Connection, seen: Change) -> list[Change] | None:
    """What came after `seen`, oldest first. None if all must be read again: it is another database, or too much came."""
    query = select(*_COLUMNS).where(changes.c.revision >= seen.revision).order_by(changes.c.revision).limit(MAX_CHANGES + 2)
    found = [Change(*row) for row in connection.execute(query)]
    if seen.revision:
        if not found or found[0] != seen:
            return None
        del found[0]
    return found if len(found) <= MAX_CHANGES and _unbroken(found, seen.revision) else None


def _unbroken(found: Iterable[Change], revision: int) -> bool:
    """Old changes are forgotten after a while (`prune`): for who was away for longer some are missing."""
    return all(change.revision == revision + at for at, change in enumerate(found, 1))


def everything(connection: Connection) -> Iterator[Object]:
    """All objects of all workspaces, in a transaction that sees one moment; a thousand rows in memory."""
    streaming = connection.execution_options(yield_per=_ROWS_AT_ONCE)
    for table in (workspaces, providers, routes, credentials):
        for row in streaming.execute(select(table)).mappings():
            yield _LINES[table.name](row)
    for row in streaming.execute(_keys()).mappings():
        yield key_line(row)


def changed(connection: Connection, found: Iterable[Change]) -> Iterator[Object]:
    """The objects that these changes speak of, as they are now, each once."""
    for workspace, kind, object_id in dict.fromkeys((c.workspace, c.kind, c.object_id) for c in found):
        if kind == "app":
            yield from _key_lines(connection, keys.c.workspace == workspace, keys.c.app_id == object_id)
        elif kind == "member":
            yield from _key_lines(connection, keys.c.workspace == workspace, keys.c.member_id == object_id)
        elif kind == "workspace":
            row = connection.execute(select(workspaces).where(workspaces.c.id == object_id)).mappings().first()
            yield Gone(kind=kind, workspace=object_id, id=object_id) if row is None else workspace_line(row)
        elif kind == "key":
            line = next(_key_lines(connection, keys.c.workspace == workspace, keys.c.id == object_id), None)
            yield line or Gone(kind=kind, workspace=workspace, id=object_id)
        elif kind in _TABLES:
            table = _TABLES[kind]
            query = select(table).where(table.c.workspace == workspace, table.c.id == object_id)
            row = connection.execute(query).mappings().first()
            yield Gone(kind=kind, workspace=workspace, id=object_id) if row is None else _LINES[table.name](row)


def prune(connection: Connection, before_ms: int) -> int:
    """Forget changes older than that, but the last one, by which a database is known. How many."""
    newest = select(func.max(changes.c.revision)).scalar_subquery()
    return connection.execute(delete(changes).where(changes.c.at_ms < before_ms, changes.c.revision < newest)).rowcount


# --- lines ---


def workspace_line(row: Any) -> WorkspaceLine:
    return WorkspaceLine(id=row["id"], disabled=row["disabled"], data_key=row["data_key"])


def _provider_line(row: Any) -> ProviderLine:
    return ProviderLine(workspace=row["workspace"], id=row["id"], name=row["name"], config=row["config"])


def _route_line(row: Any) -> RouteLine:
    return RouteLine(workspace=row["workspace"], id=row["id"], name=row["name"], config=row["config"])


def _credential_line(row: Any) -> CredentialLine:
    return CredentialLine(
        workspace=row["workspace"], id=row["id"], provider=row["provider"], secret=row["secret"], disabled=row["disabled"]
    )


def key_line(row: Any) -> KeyLine:
    off: Literal["", "key", "app", "member"] = ""
    if row["disabled"]:
        off = "key"
    elif row["app_off"]:
        off = "app"
    elif row["member_off"]:
        off = "member"
    return KeyLine(
        workspace=row["workspace"],
        id=row["id"],
        name=row["name"],
        digest=row["digest"],
        off=off,
        old_digest=row["old_digest"],
        old_until_ms=row["old_until_ms"],
        expires_ms=row["expires_ms"],
        models=tuple(row["models"]),
        addresses=tuple(row["addresses"]),
        limits=tuple(row["limits"]),
        budgets=tuple(row["budgets"]),
        capture=row["capture"],
        app=row["app_id"] or "",
        team=row["app_team"] or row["member_team"] or "",
        member=row["member_id"] or "",
    )


_TABLES: dict[str, Table] = {"provider": providers, "route": routes, "credential": credentials}
_LINES: dict[str, Any] = {
    "workspaces": workspace_line,
    "providers": _provider_line,
    "routes": _route_line,
    "credentials": _credential_line,
}


def _key_lines(connection: Connection, *where: Any) -> Iterator[KeyLine]:
    streaming = connection.execution_options(yield_per=_ROWS_AT_ONCE)
    for row in streaming.execute(_keys().where(*where)).mappings():
        yield key_line(row)


def _keys() -> Select[Any]:
    """A member's team is a key's only where it is the only one."""
    teams = (
        select(team_members.c.workspace, team_members.c.member_id, func.min(team_members.c.team_id).label("team_id"))
        .group_by(team_members.c.workspace, team_members.c.member_id)
        .having(func.count() == 1)
        .subquery()
    )
    mine = and_(teams.c.workspace == keys.c.workspace, teams.c.member_id == keys.c.member_id)
    columns = (
        *keys.c,
        apps.c.disabled.label("app_off"),
        apps.c.team_id.label("app_team"),
        or_(members.c.disabled, func.coalesce(users.c.disabled, false())).label("member_off"),
        teams.c.team_id.label("member_team"),
    )
    return (
        select(*columns)
        .outerjoin(apps, and_(apps.c.workspace == keys.c.workspace, apps.c.id == keys.c.app_id))
        .outerjoin(members, and_(members.c.workspace == keys.c.workspace, members.c.id == keys.c.member_id))
        .outerjoin(users, users.c.id == members.c.user_id)
        .outerjoin(teams, mine)
    )


# --- hearing of changes ---


class Listener:
    """A connection of its own to PostgreSQL that waits for word of a change. A pooler between us may never pass it on."""

    def __init__(self, engine: Engine) -> None:
        """Raises StoreError."""
        try:
            pooled = engine.raw_connection()
            self._connection: psycopg.Connection[Any] = pooled.driver_connection  # type: ignore[assignment]
            pooled.detach()  # it is ours to close
            self._connection.rollback()
            self._connection.autocommit = True
            self._connection.execute(f"LISTEN {CHANNEL}")
        except psycopg.Error as error:
            raise _unreachable(error) from error

    def wait(self, seconds: float) -> None:
        """Until there is word, for `seconds` at most. Raises StoreError when the connection is lost."""
        try:
            for _ in self._connection.notifies(timeout=seconds, stop_after=1):
                return
        except psycopg.Error as error:
            raise _unreachable(error) from error

    def close(self) -> None:
        self._connection.close()


def _unreachable(error: psycopg.Error) -> StoreError:
    return StoreError(f"the database can't be listened to ({type(error).__name__}); check that it runs and can be reached")
