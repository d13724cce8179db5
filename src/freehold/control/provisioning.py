"""What a provisioning system (SCIM) does: people and groups of one workspace, as it says they are. Its protocol is admin/scim.py.

It acts by an API token, and never gives or takes a role that the token's own member could not give. Roles come from its groups,
by the table in freehold.yaml. It sees all people of the workspace, and of teams only those that it made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Select, func, select, update

from freehold.control import grants, people
from freehold.control.actor import Actor
from freehold.control.members import keep_an_owner, leave, settled
from freehold.control.plane import Change, Plane
from freehold.control.refusal import Conflict, Forbidden, Missing, Stale
from freehold.control.rights import ROLES, may_give
from freehold.control.teams import Team, Teams
from freehold.store.tenants import members, team_members, teams, users

KEEPER = "scim"
PEOPLE, GROUPS = "member:write", "team:write"

Row = dict[str, Any]


class Taken(Conflict):
    """The name of a person or a group is in use."""


class Person(Struct, frozen=True):
    """`user_name` and `email` in lower case. `document`: what the system said, to be given back to it."""

    user_name: str
    email: str
    name: str
    active: bool
    external_id: str | None
    document: dict[str, Any]


class Group(Struct, frozen=True):
    name: str
    members: tuple[str, ...]
    external_id: str | None


class _ProvisionedTeams(Teams):
    keeper = KEEPER


_TEAMS = _ProvisionedTeams()


# --- people ---


def people_of(connection: Connection, workspace: str) -> Select[Any]:
    query = select(members, users.c.email, users.c.name.label("own_name"))
    query = query.join(users, users.c.id == members.c.user_id).where(members.c.workspace == workspace)
    return query.order_by(members.c.id)


def listed(plane: Plane, actor: Actor, user_name: str | None, offset: int, limit: int | None) -> tuple[list[Row], int]:
    """People by age, and how many there are in all. `user_name` narrows. Raises Forbidden."""
    with plane.reading(actor, PEOPLE) as connection:
        query = people_of(connection, actor.workspace)
        if user_name is not None:
            query = query.where(func.coalesce(members.c.user_name, users.c.email) == user_name.lower())
        total = connection.scalar(select(func.count()).select_from(query.order_by(None).subquery())) or 0
        rows = [dict(row) for row in connection.execute(query.offset(offset).limit(limit)).mappings()]
        return _with_groups(connection, rows), total


def person(plane: Plane, actor: Actor, member_id: str) -> Row:
    """Raises Missing, Forbidden."""
    with plane.reading(actor, PEOPLE) as connection:
        return _person(connection, actor.workspace, member_id)


def add_person(plane: Plane, actor: Actor, given: Person) -> Row:
    """Raises Taken, Forbidden, Invalid."""
    with plane.changing(actor, PEOPLE) as change:
        _must_be_free(change, given.user_name, "")
        role = _bounded(change, plane.owned.config().sign_in.scim.default_role)
        user = people.by_email(change.connection, given.email)
        user_id = user["id"] if user is not None else people.add(change, given.email, given.name)
        mine = (members.c.workspace == change.workspace, members.c.user_id == user_id)
        if change.connection.scalar(select(members.c.id).where(*mine)) is not None:
            raise Taken(f"{given.email} is in this workspace already.")
        said = {"user_name": given.user_name, "external_id": given.external_id, "provisioned": given.document}
        member_id = people.join(change, user_id, given.name, role, managed_by=KEEPER, disabled=not given.active, **said)
        return _person(change.connection, change.workspace, member_id)


def change_person(plane: Plane, actor: Actor, member_id: str, given: Person, version: int | None) -> Row:
    """All of it. Raises Missing, Stale, Taken, Forbidden, Conflict for the last owner."""
    with plane.changing(actor, PEOPLE) as change:
        before = _person(change.connection, change.workspace, member_id)
        _must_be(before, version)
        _bounded(change, before["role"])
        _must_be_free(change, given.user_name, member_id)
        if given.email != before["email"]:
            _move(change, before, given.email)
        after = {**before, "disabled": not given.active}
        keep_an_owner(change, before, after)
        values = {
            **{"name": given.name, "user_name": given.user_name, "external_id": given.external_id},
            **{"provisioned": given.document, "disabled": after["disabled"], "version": before["version"] + 1},
            "updated_ms": change.now_ms,
        }
        if before["managed_by"]:
            values["managed_by"] = KEEPER  # also of somebody whom single sign-on has let in before
        where = (members.c.workspace == change.workspace, members.c.id == member_id)
        change.connection.execute(update(members).where(*where).values(values))
        old, new = ({n: one[n] for n in ("name", "disabled")} for one in (before, {**after, "name": given.name}))
        change.record("update", "member", member_id, given.name, old, new)
        settled(change, before, after)
        change.tell("member", member_id)
        return _person(change.connection, change.workspace, member_id)


def remove_person(plane: Plane, actor: Actor, member_id: str, version: int | None) -> None:
    """Raises Missing, Stale, Forbidden, Conflict for the last owner."""
    with plane.changing(actor, PEOPLE) as change:
        before = _person(change.connection, change.workspace, member_id)
        _must_be(before, version)
        _bounded(change, before["role"])
        leave(change, before)


def _move(change: Change, before: Row, email: str) -> None:
    """A new mail address: by it somebody may sign in, so it is changed only of people whom nobody else vouches for."""
    elsewhere = select(members.c.id).where(members.c.user_id == before["user_id"], members.c.workspace != change.workspace)
    user = people.by_id(change.connection, before["user_id"])
    free = user is not None and not user["operator"] and not user["password"]
    if not free or before["managed_by"] != KEEPER or change.connection.scalar(elsewhere) is not None:
        raise Conflict(f"{before['email']} was not made by provisioning alone: their mail address can't be changed by it.")
    if people.by_email(change.connection, email) is not None:
        raise Taken(f"There is somebody with the address {email} already.")
    people.write(change, before["user_id"], {"email": email})
    change.record("email_changed", "member", before["id"], before["name"], {"email": before["email"]}, {"email": email})


def _must_be_free(change: Change, user_name: str, but: str) -> None:
    query = select(members.c.id).outerjoin(users, users.c.id == members.c.user_id)
    query = query.where(members.c.workspace == change.workspace, members.c.id != but)
    if change.connection.scalar(query.where(func.coalesce(members.c.user_name, users.c.email) == user_name).limit(1)) is not None:
        raise Taken(f"There is a person {user_name!r} in this workspace already.")


def _person(connection: Connection, workspace: str, member_id: str) -> Row:
    row = None
    if member_id.isprintable():
        query = people_of(connection, workspace).where(members.c.id == member_id)
        row = connection.execute(query).mappings().first()
    if row is None:
        raise Missing("person", member_id)
    return _with_groups(connection, [dict(row)])[0]


def _with_groups(connection: Connection, rows: list[Row]) -> list[Row]:
    """Each with `groups`: ids and names of the provisioned teams that the person is in."""
    found: dict[str, list[tuple[str, str]]] = {row["id"]: [] for row in rows}
    if rows:
        query = select(team_members.c.member_id, teams.c.id, teams.c.name).where(*_joined(rows[0]["workspace"]))
        for member_id, team_id, name in connection.execute(query.where(team_members.c.member_id.in_(list(found)))):
            found[member_id].append((team_id, name))
    return [{**row, "groups": found[row["id"]]} for row in rows]


def _joined(workspace: str) -> tuple[Any, ...]:
    same = (team_members.c.workspace == teams.c.workspace, team_members.c.team_id == teams.c.id)
    return (*same, teams.c.workspace == workspace, teams.c.managed_by == KEEPER)


def _must_be(row: Row, version: int | None) -> None:
    if version is not None and version != row["version"]:
        raise Stale(f"It was changed meanwhile (it is at version {row['version']}): read it again first.")


def _bounded(change: Change, role: str) -> str:
    """Raises Forbidden where the token's member could not give that role."""
    own = select(members.c.role).where(members.c.workspace == change.workspace, members.c.id == change.actor.member_id)
    holder = change.connection.scalar(own)
    scopes = ROLES[holder] if holder is not None else change.actor.scopes
    if not may_give(scopes, role):
        raise Forbidden(f"This token is of a member with the role {holder}, who can neither give nor take the role {role}.")
    return role


# --- groups ---


def groups(plane: Plane, actor: Actor) -> list[Row]:
    """All of them, by age, each with `members`: ids. Raises Forbidden."""
    with plane.reading(actor, GROUPS) as connection:
        query = select(teams).where(teams.c.workspace == actor.workspace, teams.c.managed_by == KEEPER).order_by(teams.c.id)
        return _with_members(connection, [dict(row) for row in connection.execute(query).mappings()])


def group(plane: Plane, actor: Actor, team_id: str) -> Row:
    """Raises Missing, Forbidden."""
    with plane.reading(actor, GROUPS) as connection:
        return _group(connection, actor.workspace, team_id)


def add_group(plane: Plane, actor: Actor, given: Group) -> Row:
    """Raises Taken, Invalid for a member who is not there, Forbidden."""
    with plane.changing(actor, GROUPS) as change:
        _must_be_new(change, given.name, "")
        values = {"name": given.name, "metadata": {}, "members": list(given.members)}
        made: Team = _TEAMS.insert(change, {**values, "managed_by": KEEPER, "external_id": given.external_id})
        _give_roles(change, given.members)
        return _group(change.connection, change.workspace, made.id)


def change_group(plane: Plane, actor: Actor, team_id: str, given: Group, version: int | None) -> Row:
    """All of it. Raises Missing, Stale, Taken, Invalid, Forbidden."""
    with plane.changing(actor, GROUPS) as change:
        before = _group(change.connection, change.workspace, team_id)
        _must_be(before, version)
        _must_be_new(change, given.name, team_id)
        values = {"name": given.name, "members": list(given.members), "external_id": given.external_id}
        _TEAMS.update(change, team_id, values)
        there, wanted = set(before["members"]), set(given.members)
        _give_roles(change, there ^ wanted if given.name == before["name"] else there | wanted)
        return _group(change.connection, change.workspace, team_id)


def remove_group(plane: Plane, actor: Actor, team_id: str, version: int | None) -> None:
    """Raises Missing, Stale, Forbidden, Conflict for a team that has apps."""
    with plane.changing(actor, GROUPS) as change:
        before = _group(change.connection, change.workspace, team_id)
        _must_be(before, version)
        with plane.joined(change):
            _TEAMS.remove(plane, actor, team_id)
        _give_roles(change, before["members"])


def _give_roles(change: Change, ids: Any) -> None:
    """What their groups give to these people, of those who were provisioned."""
    scim = change.plane.owned.config().sign_in.scim
    for member_id in sorted(ids):
        where = (members.c.workspace == change.workspace, members.c.id == member_id, members.c.managed_by == KEEPER)
        row = change.connection.execute(select(members).where(*where)).mappings().first()
        if row is None:
            continue
        of = select(teams.c.name).where(*_joined(change.workspace), team_members.c.member_id == member_id)
        names = list(change.connection.scalars(of))
        role = grants.wanted(scim.roles, names, None).get(change.workspace) or scim.default_role
        if role != row["role"]:
            _bounded(change, role)
            _bounded(change, row["role"])
            grants.follow(change, dict(row), role, disabled=row["disabled"])


def _must_be_new(change: Change, name: str, but: str) -> None:
    query = select(teams.c.managed_by).where(teams.c.workspace == change.workspace, teams.c.name == name, teams.c.id != but)
    row = change.connection.execute(query).first()
    if row is not None:
        whose = "" if row.managed_by else ", made by hand: delete or rename that one first"
        raise Taken(f"There is a team {name!r} in this workspace already{whose}.")


def _group(connection: Connection, workspace: str, team_id: str) -> Row:
    row = None
    if team_id.isprintable():
        where = (teams.c.workspace == workspace, teams.c.id == team_id, teams.c.managed_by == KEEPER)
        row = connection.execute(select(teams).where(*where)).mappings().first()
    if row is None:
        raise Missing("group", team_id)
    return _with_members(connection, [dict(row)])[0]


def _with_members(connection: Connection, rows: Sequence[Row]) -> list[Row]:
    found: dict[str, list[str]] = {row["id"]: [] for row in rows}
    if rows:
        table = team_members.c
        query = select(table.team_id, table.member_id).where(table.workspace == rows[0]["workspace"])
        for team_id, member_id in connection.execute(query.where(table.team_id.in_(list(found))).order_by(table.member_id)):
            found[team_id].append(member_id)
    return [{**row, "members": found[row["id"]]} for row in rows]
