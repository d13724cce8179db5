"""Teams: groups of members, to whom apps belong and whose use is added up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import Field
from sqlalchemy import Connection, delete, insert, select

from freehold.control.model import EditObject, Id, NewObject, View
from freehold.control.noun import Noun, Row
from freehold.control.plane import Change
from freehold.control.refusal import Conflict, Invalid
from freehold.store.tenants import apps, members, team_members, teams

_Members = Field(description="Ids of the members in it.", max_length=10_000)


class Team(View):
    members: list[str] = _Members


class NewTeam(NewObject):
    members: list[Id] = Field(default_factory=list, description="Ids of the members in it.", max_length=10_000)


class EditTeam(EditObject):
    members: list[Id] = Field(default_factory=list, description="Ids of the members in it.", max_length=10_000)


class Teams(Noun[Team]):
    """`keeper`: whose teams these are; those of somebody else can be seen and not changed. None: made by hand."""

    keeper: str | None = None

    kind = "team"
    plural = "teams"
    table = teams
    view = Team
    new = NewTeam
    edit = EditTeam

    def prepared(self, change: Change, values: dict[str, Any], before: Row | None) -> dict[str, Any]:
        if before is not None:
            self._must_keep(before)
        wanted = values.pop("members", None)
        if wanted is not None:
            self._known(change, wanted)
        return values

    def shown(self, connection: Connection, rows: Sequence[Row]) -> list[Team]:
        found: dict[str, list[str]] = {row["id"]: [] for row in rows}
        if found:
            table = team_members.c
            query = select(table.team_id, table.member_id).where(
                table.workspace == rows[0]["workspace"], table.team_id.in_(list(found))
            )
            for team_id, member_id in connection.execute(query.order_by(table.member_id)):
                found[team_id].append(member_id)
        return [Team.model_validate({**row, "members": found[row["id"]]}) for row in rows]

    def insert(self, change: Change, values: dict[str, Any]) -> Team:
        wanted = list(values.get("members") or ())
        made = super().insert(change, values)
        self._put(change, made.id, wanted)
        return made.model_copy(update={"members": sorted(set(wanted))})

    def update(self, change: Change, wanted: str, values: dict[str, Any], version: int | None = None) -> Team:
        given = values.get("members")
        changed = super().update(change, wanted, values, version)
        if given is not None:
            self._put(change, wanted, given)
            change.record(
                "members", self.kind, wanted, changed.name, {"members": changed.members}, {"members": sorted(set(given))}
            )
            changed = changed.model_copy(update={"members": sorted(set(given))})
        return changed

    def removed(self, change: Change, before: Row) -> None:
        self._must_keep(before)
        query = select(apps.c.name).where(apps.c.workspace == change.workspace, apps.c.team_id == before["id"])
        names = list(change.connection.scalars(query.limit(5)))
        if names:
            raise Conflict(f"Team {before['name']!r} has apps ({', '.join(names)}): give them to another team first.")
        self._told(change, self._in(change, before["id"]))

    def _told(self, change: Change, member_ids: Iterable[str]) -> None:
        """A member's only team is their keys' team: gateways must know."""
        for member_id in sorted(member_ids):
            change.tell("member", member_id)

    def _in(self, change: Change, team_id: str) -> set[str]:
        table = team_members.c
        query = select(table.member_id).where(table.workspace == change.workspace, table.team_id == team_id)
        return set(change.connection.scalars(query))

    def _must_keep(self, before: Row) -> None:
        if before["managed_by"] != self.keeper:
            raise Conflict(f"Team {before['name']!r} is kept by provisioning ({before['managed_by']}): change it there.")

    def _known(self, change: Change, wanted: Sequence[str]) -> None:
        query = select(members.c.id).where(members.c.workspace == change.workspace, members.c.id.in_(wanted))
        there = set(change.connection.scalars(query))
        for at, member in enumerate(wanted):
            if member not in there:
                raise Invalid(f"members[{at}]", f"There is no member {member!r} in this workspace.")

    def _put(self, change: Change, team_id: str, wanted: Sequence[str]) -> None:
        table = team_members
        before = self._in(change, team_id)
        change.connection.execute(delete(table).where(table.c.workspace == change.workspace, table.c.team_id == team_id))
        rows = [{"workspace": change.workspace, "team_id": team_id, "member_id": member} for member in sorted(set(wanted))]
        if rows:
            change.connection.execute(insert(table), rows)
        self._told(change, before ^ set(wanted))
