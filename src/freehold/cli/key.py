"""`freehold key ...`: the commands of a noun (objects.py), and what only keys have: a secret, a new one, an end."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from pydantic import ValidationError

from freehold.cli.objects import DATA, Data, Json, Workspace, encoded, noun_app, shown, wrong
from freehold.cli.plane import opened
from freehold.cli.settings import Failed, existing
from freehold.cli.table import table
from freehold.control.actor import Actor
from freehold.control.actor import command as actor
from freehold.control.apps import Apps
from freehold.control.keys import EditKey, Key, KeyMade, Keys, NewKey, Rotation
from freehold.control.plane import Plane

KEYS = Keys()
_SPAN = re.compile(r"(\d{1,5})([mhd])\Z")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_OURS = ("create", "list")

Wanted = Annotated[str, typer.Argument(metavar="ID", help="The key's id or name.")]


def key_app(help: str) -> typer.Typer:
    out = noun_app(KEYS, help)
    out.registered_commands = [command for command in out.registered_commands if command.name not in _OURS]
    out.command("create")(create)
    out.command("list")(listing)
    out.command("disable")(disable)
    out.command("rotate")(rotate)
    return out


def create(
    name: Annotated[str, typer.Option(metavar="NAME", help="What the key is for; unique among keys in use.")],
    model: Annotated[
        list[str] | None, typer.Option(metavar="PATTERN", help="A route, provider/model or pattern; repeat for more.")
    ] = None,
    app: Annotated[str | None, typer.Option(metavar="APP", help="Id or name of the app that it belongs to.")] = None,
    member: Annotated[str | None, typer.Option(metavar="ID", help="Id of the member that it belongs to.")] = None,
    address: Annotated[
        list[str] | None, typer.Option(metavar="NETWORK", help="From where it may be used, such as 10.0.0.0/8; repeat for more.")
    ] = None,
    expires: Annotated[str | None, typer.Option(metavar="WHEN", help="90d, 12h, or a time: 2027-01-31T00:00Z.")] = None,
    data: Data = DATA,
    workspace: Workspace = "default",
    json: Json = False,
) -> None:
    """Make a key and show it, this once. A running gateway takes it within a second."""
    with opened(data) as plane:
        who = actor(workspace)
        given = _new(name, model, address, _moment(expires), _app_id(plane, who, app), member)
        if _named(plane, who, given.name, disabled=False):
            raise Failed(f"a key named {name!r} exists; choose another name, or disable that one first")
        made = KEYS.create(plane, who, given)
    _print(made, json)


def listing(
    data: Data = DATA,
    workspace: Workspace = "default",
    json: Json = False,
    disabled: Annotated[bool, typer.Option("--all/--in-use", help="Those that are switched off too.")] = True,
) -> None:
    """List keys. Those written in freehold.yaml have ids that begin with "file:"."""
    with opened(existing(data)) as plane:
        found = _all(plane, actor(workspace))
    found = [key for key in found if disabled or not key.disabled]
    if json:
        print(encoded([key.model_dump(mode="json") for key in found]))
    elif not found:
        print('No keys yet. Make one: "freehold key create --name NAME"')
    else:
        print(table(("ID", "NAME", "KEY", "MADE", "STATE", "MODELS"), [_row(key) for key in found]))


def disable(id: Wanted, data: Data = DATA, workspace: Workspace = "default", json: Json = False) -> None:
    """Switch a key off. A running gateway refuses it within a second."""
    with opened(existing(data)) as plane:
        who = actor(workspace)
        key = KEYS.change(plane, who, _id(plane, who, id), EditKey(disabled=True))
    if json:
        shown(key, as_json=True)
    else:
        print(f"Key {key.id} ({key.name}) is switched off.")


def rotate(
    id: Wanted,
    grace: Annotated[str | None, typer.Option(metavar="SPAN", help="How long the old secret is taken too: 30m, 24h, 7d.")] = None,
    data: Data = DATA,
    workspace: Workspace = "default",
    json: Json = False,
) -> None:
    """Give a key a new secret and show it, this once."""
    with opened(existing(data)) as plane:
        who = actor(workspace)
        try:
            given = Rotation(grace_s=int(_span("--grace", grace).total_seconds()) if grace else 0)
        except ValidationError as error:
            raise Failed(wrong(error)) from None
        made = KEYS.rotate(plane, who, _id(plane, who, id), given)
    _print(made, json)


def _print(made: KeyMade, as_json: bool) -> None:
    if as_json:
        shown(made, as_json=True)
        return
    print(f"{made.key}\n\nThis is the only time it is shown. Key {made.id} ({made.name}) may use: {', '.join(made.models)}")


def _new(
    name: str,
    models: list[str] | None,
    addresses: list[str] | None,
    expires: datetime | None,
    app_id: str | None,
    member_id: str | None,
) -> NewKey:
    lists = {"models": models, "addresses": addresses}
    values = {field: list(dict.fromkeys(value)) for field, value in lists.items() if value}
    try:
        return NewKey.model_validate({"name": name, "expires_at": expires, "app_id": app_id, "member_id": member_id, **values})
    except ValidationError as error:
        raise Failed(wrong(error)) from None


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    if _SPAN.match(text):
        return datetime.now(UTC) + _span("--expires", text)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Failed(f"--expires {text!r} is neither a span (90d, 12h) nor a time (2027-01-31T00:00Z)") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _span(flag: str, text: str) -> timedelta:
    found = _SPAN.match(text)
    if found is None:
        raise Failed(f"{flag} {text!r} is no span of time; write 30m, 24h or 7d")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _app_id(plane: Plane, who: Actor, wanted: str | None) -> str | None:
    if wanted is None:
        return None
    found, _ = Apps().page(plane, who, {"name": wanted}, limit=1000)
    if len(found) > 1:
        raise Failed(f"several apps are named {wanted!r}; give the id of one: {', '.join(app.id for app in found)}")
    return found[0].id if found else wanted


def _id(plane: Plane, who: Actor, wanted: str) -> str:
    """Of the key with this id or name. One in use comes before those that are not."""
    named = _named(plane, who, wanted)
    in_use = [key for key in named if not key.disabled]
    if len(in_use) > 1:
        raise Failed(f"several keys are named {wanted!r}; give the id of one: {', '.join(key.id for key in in_use)}")
    return next((key.id for key in (*in_use, *named)), wanted)


def _named(plane: Plane, who: Actor, name: str, **filters: bool) -> list[Key]:
    found, _ = KEYS.page(plane, who, {"name": name, **filters}, limit=1000)
    return found


def _all(plane: Plane, who: Actor) -> list[Key]:
    found, after = KEYS.page(plane, who, {}, limit=1000)
    while after:
        more, after = KEYS.page(plane, who, {}, after, 1000)
        found += more
    return found


def _row(key: Key) -> tuple[str, ...]:
    secret = f"{key.prefix}...{key.last4}" if key.prefix else "in freehold.yaml"
    made = f"{key.created_at:%Y-%m-%d}" if key.created_at else ""
    expired = key.expires_at is not None and key.expires_at <= datetime.now(UTC)
    state = "disabled" if key.disabled else "expired" if expired else "in use"
    return key.id, key.name, secret, made, state, ", ".join(key.models)
