"""Apps: client applications, to whom keys belong."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from sqlalchemy import select, update

from freehold.control.model import EditObject, Id, NewObject, Text, View
from freehold.control.noun import Noun, Row
from freehold.control.plane import Change
from freehold.control.refusal import Conflict, Invalid
from freehold.store.tenants import apps, keys, members, teams

_ENVIRONMENT = "Which of its installations this is: production, staging, ..."
_TEAM = "Id of the team that it belongs to."
_OWNER = "Id of the member who answers for it."
_DISABLED = "Its keys are refused while it is."


class App(View):
    environment: str = Field(description=_ENVIRONMENT)
    team_id: str | None = Field(description=_TEAM)
    owner_id: str | None = Field(description=_OWNER)
    disabled: bool = Field(description=_DISABLED)


class NewApp(NewObject):
    environment: Text = Field(default="", description=_ENVIRONMENT)
    team_id: Id | None = Field(default=None, description=_TEAM)
    owner_id: Id | None = Field(default=None, description=f"{_OWNER} Unset: the member who makes it.")
    disabled: bool = Field(default=False, description=_DISABLED)


class EditApp(EditObject):
    environment: Text = Field(default="", description=_ENVIRONMENT)
    team_id: Id | None = Field(default=None, description=_TEAM)
    owner_id: Id | None = Field(default=None, description=_OWNER)
    disabled: bool = Field(default=False, description=_DISABLED)


class Apps(Noun[App]):
    kind = "app"
    plural = "apps"
    table = apps
    view = App
    new = NewApp
    edit = EditApp
    followed = True
    filters = ("name", "environment", "team_id", "owner_id", "disabled")
    may_own = True

    def prepared(self, change: Change, values: dict[str, Any], before: Row | None) -> dict[str, Any]:
        if before is None and values.get("owner_id") is None:
            values["owner_id"] = change.actor.member_id or None
        for field, table in (("team_id", teams), ("owner_id", members)):
            wanted = values.get(field)
            query = select(table.c.id).where(table.c.workspace == change.workspace, table.c.id == wanted)
            if wanted is not None and change.connection.scalar(query) is None:
                raise Invalid(field, f"There is no {field[:-3]} {wanted!r} in this workspace.")
        return values

    def owns(self, change: Change, row: Row) -> bool:
        return bool(change.actor.member_id) and row["owner_id"] == change.actor.member_id

    def removed(self, change: Change, before: Row) -> None:
        """Its keys must be off; they stay, for the record."""
        mine = (keys.c.workspace == change.workspace, keys.c.app_id == before["id"])
        used = list(change.connection.scalars(select(keys.c.name).where(*mine, keys.c.disabled.is_(False)).limit(5)))
        if used:
            raise Conflict(f"App {before['name']!r} has keys in use ({', '.join(used)}): switch them off first.")
        change.connection.execute(update(keys).where(*mine).values(app_id=None))
