"""Every operation of the admin API, with the scope that it declares, and how to make an object that its path can name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from fastapi import FastAPI
from msgspec import Struct

from freehold.admin.app import make_app
from freehold.admin.who import who
from freehold.control.actor import command
from freehold.control.apps import Apps, NewApp
from freehold.control.credentials import Credentials, NewCredential
from freehold.control.invites import Invites, NewInvite
from freehold.control.keys import Keys, NewKey
from freehold.control.members import Members, NewMember
from freehold.control.plane import Plane
from freehold.control.providers import NewProvider, Providers
from freehold.control.routes import NewRoute, Routes
from freehold.control.teams import NewTeam, Teams
from freehold.control.tokens import NewToken, Tokens
from freehold.store.engine import writing
from freehold.store.ledger import record
from freehold.store.spool import LedgerLine

PREFIX = "/api/v1"


class Operation(Struct, frozen=True):
    method: str
    path: str  # below PREFIX, with its {gaps}
    id: str
    scope: str  # "": none is declared
    document: dict[str, Any]

    @property
    def noun(self) -> str:
        """What the first gap of the path is the id of."""
        return self.path.partition("{")[0].strip("/").rpartition("/")[2]


def of(app: FastAPI) -> list[Operation]:
    found = []
    for path, item in app.openapi()["paths"].items():
        for method, operation in item.items():
            if method in ("get", "put", "post", "delete", "patch", "head", "options"):
                name, scope = operation.get("operationId", ""), operation.get("x-scope", "")
                found.append(Operation(method.upper(), path.removeprefix(PREFIX), name, scope, operation))
    return found


OPERATIONS = of(make_app(None, who))  # type: ignore[arg-type]  # nothing is asked

# Noun -> makes one in a workspace, of the member with this id (for what has an owner). A new noun is added here.
MAKERS: Mapping[str, Callable[[Plane, str, str], str]] = {
    "teams": lambda plane, space, _: Teams().create(plane, command(space), NewTeam(name=_name())).id,
    "apps": lambda plane, space, who: Apps().create(plane, command(space), NewApp(name=_name(), owner_id=who)).id,
    "keys": lambda plane, space, who: Keys().create(plane, command(space), NewKey(name=_name(), member_id=who)).id,
    "tokens": lambda plane, space, who: Tokens().create(plane, command(space), NewToken(name=_name(), member_id=who)).id,
    "providers": lambda plane, space, _: Providers().create(plane, command(space), NewProvider(name=_name(), config=_LAB)).id,
    "credentials": lambda plane, space, _: (
        Credentials()
        .create(plane, command(space), NewCredential(name=_name(), provider="openai", secret="sk-theirs-0123456789"))
        .id
    ),
    "routes": lambda plane, space, _: _route(plane, space),
    "members": lambda plane, space, _: Members().create(plane, command(space), NewMember(name=_name())).id,
    "invites": lambda plane, space, _: _invite(plane, space),
    "workspaces": lambda plane, space, _: space,
    "calls": lambda plane, space, _: _call(plane, space),
}

_LAB = {"dialect": "openai_chat", "base_url": "https://llm.example.com/v1"}
_numbers = count()


def _name() -> str:
    return f"theirs-{next(_numbers)}"


def _invite(plane: Plane, space: str) -> str:
    name = _name()
    return Invites().create(plane, command(space), NewInvite(name=name, email=f"{name}@example.com")).id


def _route(plane: Plane, space: str) -> str:
    provider = Providers().create(plane, command(space), NewProvider(name=_name(), config=_LAB)).name
    config = {"targets": [{"provider": provider, "model": "large"}]}
    return Routes().create(plane, command(space), NewRoute(name=_name(), config=config)).id


def _call(plane: Plane, space: str) -> str:
    line = LedgerLine(call_id=f"call_{_name()}", ended_ms=1_790_000_000_000, workspace=space, outcome="ok", route="fast")
    with writing(plane.engine, "ledger") as connection:
        record(connection, [line])
    return line.call_id
