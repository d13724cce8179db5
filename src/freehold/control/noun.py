"""What the objects of the control plane have in common: made, listed, changed and removed in one way, by rules of their noun.

A noun is a subclass in a file of its own (teams.py, apps.py, ...). Objects are rows of its table; what administrators see and
send are its pydantic models. `version` is the ETag.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, Table, delete, insert, select, update

from freehold.base.ids import new_id
from freehold.control.actor import Actor
from freehold.control.model import Model, View
from freehold.control.owned import SOURCE, WORKSPACE, file_id
from freehold.control.plane import Change, Plane
from freehold.control.refusal import Conflict, Missing, Stale

MAX_PAGE = 1000
# Of no interest in the audit log, or not for its readers.
_UNAUDITED = frozenset(
    ("workspace", "id", "created_ms", "updated_ms", "version", "digest", "old_digest", "secret", "totp", "password")
)

Row = Mapping[str, Any]  # of a table, by column
V = TypeVar("V", bound=View)


class Noun(Generic[V]):
    kind: ClassVar[str]  # as in ids, scopes and the audit log: "app"
    plural: ClassVar[str]  # as in URLs and freehold.yaml: "apps"
    table: ClassVar[Table]
    view: type[V]
    new: type[Model]  # what creates one
    edit: type[Model]  # what changes one: every field may be left out
    followed: ClassVar[bool] = False  # gateways must know of changes
    filters: ClassVar[Sequence[str]] = ("name",)  # columns that a list may be narrowed by
    may_own: ClassVar[bool] = False  # there is a scope KIND:own
    reads: ClassVar[str] = ""  # the scope for seeing them; "": KIND:read

    # --- for subclasses ---

    def prepared(self, change: Change, values: dict[str, Any], before: Row | None) -> dict[str, Any]:
        """The columns to write for what was sent, after the noun's own rules. Raises Invalid, Conflict, Forbidden.

        Columns that are not among `values` keep what they have (`before`), or must be added when the object is made.
        """
        return values

    def shown(self, connection: Connection, rows: Sequence[Row]) -> list[V]:
        """As administrators see them."""
        return [self.view.model_validate(dict(row)) for row in rows]

    def removed(self, change: Change, before: Row) -> None:
        """What else goes with it. Raises Conflict if others need it."""

    def visible(self, actor: Actor) -> Sequence[ColumnElement[bool]]:
        """What narrows the rows that this actor may see, beside the workspace."""
        return ()

    def owns(self, change: Change, row: Row) -> bool:
        """Whether the object is the actor's own, where `may_own`."""
        return False

    # --- for everybody ---

    def create(self, plane: Plane, actor: Actor, given: Model) -> V:
        with plane.changing(actor, self.write_scope()) as change:
            return self.insert(change, given.model_dump())

    def insert(self, change: Change, values: dict[str, Any]) -> V:
        """Within a transaction. `values`: all fields of `new`."""
        now = change.now_ms
        row = {
            **{"workspace": change.workspace, "id": new_id(self.kind), "created_ms": now, "updated_ms": now, "version": 1},
            **self.prepared(change, values, None),
        }
        self._must_own(change, row)
        self._not_in_file(change, row)
        change.connection.execute(insert(self.table), row)
        return self._written(change, "create", row["id"], None)

    def get(self, plane: Plane, actor: Actor, wanted: str) -> V:
        """Raises Missing, also for an id of another workspace."""
        with plane.reading(actor, self.read_scope()) as connection:
            for row in self.from_file(plane, actor.workspace):
                if row.id == wanted:
                    return row
            return self.shown(connection, [self.row(connection, actor.workspace, wanted, self.visible(actor))])[0]

    def page(
        self, plane: Plane, actor: Actor, filters: Mapping[str, Any], after: str = "", limit: int = 100
    ) -> tuple[list[V], str]:
        """Newest first: at most `limit` objects that come after the one with id `after`, and the id to go on from ("": no more).

        Those that the file owns stand before all others, on the first page.
        """
        table = self.table
        with plane.reading(actor, self.read_scope()) as connection:
            query = (
                select(table)
                .where(table.c.workspace == actor.workspace, *self.visible(actor))
                .order_by(table.c.id.desc())
                .limit(limit + 1)
            )
            for name, value in filters.items():
                query = query.where(table.c[name] == value)
            if after and after.isprintable():
                query = query.where(table.c.id < after)
            rows = [dict(row) for row in connection.execute(query).mappings()]
            found = self.shown(connection, rows[:limit])
        if not after:
            owned = self.from_file(plane, actor.workspace)
            found = [o for o in owned if all(getattr(o, name, None) == value for name, value in filters.items())] + found
        return found, rows[limit - 1]["id"] if len(rows) > limit else ""

    def change(self, plane: Plane, actor: Actor, wanted: str, given: Model, version: int | None = None) -> V:
        """Only the fields that `given` sets. With a `version`: only if that is still its own. Raises Missing, Stale, Conflict."""
        with plane.changing(actor, self.write_scope()) as change:
            return self.update(change, wanted, given.model_dump(exclude_unset=True), version)

    def update(self, change: Change, wanted: str, values: dict[str, Any], version: int | None = None) -> V:
        """Within a transaction."""
        before = self._to_change(change, wanted, version)
        columns = self.prepared(change, values, before)
        self._must_own(change, {**before, **columns})
        self._not_in_file(change, columns)
        return self.write(change, "update", before, columns)

    def write(self, change: Change, action: str, before: Row, columns: Mapping[str, Any]) -> V:
        """Write columns of an object as they are, and say so. Within a transaction."""
        table = self.table
        new = {**columns, "updated_ms": change.now_ms, "version": before["version"] + 1}
        where = (table.c.workspace == change.workspace, table.c.id == before["id"])
        change.connection.execute(update(table).where(*where).values(new))
        return self._written(change, action, before["id"], before)

    def remove(self, plane: Plane, actor: Actor, wanted: str, version: int | None = None) -> None:
        with plane.changing(actor, self.write_scope()) as change:
            before = self._to_change(change, wanted, version)
            self.removed(change, before)
            table = self.table
            change.connection.execute(delete(table).where(table.c.workspace == change.workspace, table.c.id == before["id"]))
            change.record("delete", self.kind, before["id"], before["name"], _audited(before), None)
            if self.followed:
                change.tell(self.kind, before["id"])

    def row(self, connection: Connection, workspace: str, wanted: str, where: Sequence[ColumnElement[bool]] = ()) -> Row:
        """By id, within a workspace. Raises Missing."""
        if not wanted.isprintable():  # some databases can't even be asked for it
            raise Missing(self.kind, wanted)
        table = self.table
        query = select(table).where(table.c.workspace == workspace, table.c.id == wanted, *where)
        row = connection.execute(query).mappings().first()
        if row is None:
            raise Missing(self.kind, wanted)
        return dict(row)

    def from_file(self, plane: Plane, workspace: str) -> list[V]:
        if workspace != WORKSPACE:
            return []
        empty = {"workspace": workspace, "source": SOURCE, "metadata": {}, "created_ms": 0, "updated_ms": 0, "version": 0}
        return [self.view.model_validate({**empty, "id": file_id(row["name"]), **row}) for row in plane.owned.rows(self.plural)]

    def read_scope(self) -> str:
        return self.reads or f"{self.kind}:read"

    def write_scope(self) -> str:
        return f"{self.kind}:own" if self.may_own else f"{self.kind}:write"

    # --- inside ---

    def _to_change(self, change: Change, wanted: str, version: int | None) -> Row:
        if change.workspace == WORKSPACE and any(file_id(o["name"]) == wanted for o in change.plane.owned.rows(self.plural)):
            raise Conflict(f"This {self.kind} is written in {change.plane.owned.name}, which owns it: change it there.")
        row = self.row(change.connection, change.workspace, wanted)
        self._must_own(change, row)
        if version is not None and version != row["version"]:
            raise Stale(
                f"The {self.kind} was changed meanwhile (it is at version {row['version']}): read it again, then change it."
            )
        return row

    def _must_own(self, change: Change, row: Row) -> None:
        scope = f"{self.kind}:write"
        if self.may_own and not change.actor.may(scope) and not self.owns(change, row):
            change.actor.require(scope)

    def _not_in_file(self, change: Change, row: Row) -> None:
        name = row.get("name")
        if change.workspace == WORKSPACE and any(o["name"] == name for o in change.plane.owned.rows(self.plural)):
            raise Conflict(f"A {self.kind} named {name!r} is written in {change.plane.owned.name}; choose another name.")

    def _written(self, change: Change, action: str, object_id: str, before: Row | None) -> V:
        after = self.row(change.connection, change.workspace, object_id)
        old, new = (None if before is None else _audited(before)), _audited(after)
        if old is not None:
            same = {name for name, value in old.items() if new.get(name) == value}
            old, new = ({n: v for n, v in values.items() if n not in same} for values in (old, new))
        change.record(action, self.kind, object_id, after["name"], old, new)
        if self.followed:
            change.tell(self.kind, object_id)
        return self.shown(change.connection, [after])[0]


def _audited(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in _UNAUDITED}
