"""`freehold workspace ...`: tenants of the installation."""

from __future__ import annotations

from typing import Annotated

import typer
from pydantic import ValidationError

from freehold.cli.objects import DATA, Data, Json, ObjectId, encoded, shown, wrong
from freehold.cli.plane import opened
from freehold.cli.settings import Failed
from freehold.cli.table import table
from freehold.control import workspaces
from freehold.control.actor import command as actor
from freehold.control.workspaces import EditWorkspace, NewWorkspace


def workspace_app(help: str) -> typer.Typer:
    out = typer.Typer(help=help, no_args_is_help=True, rich_markup_mode=None, add_completion=False)
    for name, does in (
        *(("list", listing), ("show", show), ("create", create), ("update", update)),
        *(("disable", disable), ("enable", enable), ("delete", delete)),
    ):
        out.command(name)(does)
    return out


def listing(data: Data = DATA, json: Json = False) -> None:
    """List workspaces."""
    with opened(data) as plane:
        found = workspaces.listed(plane, actor(""))
    if json:
        print(encoded([one.model_dump(mode="json") for one in found]))
    else:
        rows = [(one.id, one.name, "disabled" if one.disabled else "in use", f"{one.created_at:%Y-%m-%d}") for one in found]
        print(table(("ID", "NAME", "STATE", "MADE"), rows))


def show(id: ObjectId, data: Data = DATA, json: Json = False) -> None:
    """Show a workspace."""
    with opened(data) as plane:
        shown(workspaces.get(plane, actor(id)), as_json=json)


def create(
    name: Annotated[str, typer.Option(metavar="NAME", help="What it is called.")],
    owner: Annotated[str, typer.Option(metavar="EMAIL", help="Who owns it first: invited, if they have no account yet.")],
    id: Annotated[str | None, typer.Option("--id", metavar="ID", help="Small letters, digits and dashes, for good.")] = None,
    owner_name: Annotated[str, typer.Option(metavar="NAME", help="What the owner is called.")] = "",
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Make a workspace. The first owner's invitation is shown, this once."""
    person = {"email": owner, "name": owner_name or owner.partition("@")[0]}
    try:
        given = NewWorkspace.model_validate({"name": name, "id": id, "owner": person})
    except ValidationError as error:
        raise Failed(wrong(error)) from None
    with opened(data) as plane:
        shown(workspaces.create(plane, actor(""), given), as_json=json)


def update(
    id: ObjectId,
    name: Annotated[str, typer.Option(metavar="NAME", help="What it is called.")],
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Rename a workspace."""
    _change(id, data, {"name": name}, json)


def disable(id: ObjectId, data: Data = DATA, json: Json = False) -> None:
    """Switch a workspace off: nobody comes in, and its keys are refused."""
    _change(id, data, {"disabled": True}, json)


def enable(id: ObjectId, data: Data = DATA, json: Json = False) -> None:
    """Switch a workspace on again."""
    _change(id, data, {"disabled": False}, json)


def delete(id: ObjectId, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False, data: Data = DATA) -> None:
    """Delete a workspace with everything in it, for good. Its calls stay in the record as long as all do."""
    if not yes and not typer.confirm(f"Delete workspace {id} with everything in it, for good?"):
        raise Failed("nothing was deleted")
    with opened(data) as plane:
        workspaces.remove(plane, actor(id))
    print(f"Workspace {id} is deleted, and its key with it.")


def _change(id: str, data: Data, values: dict[str, object], json: bool) -> None:
    try:
        given = EditWorkspace.model_validate(values)
    except ValidationError as error:
        raise Failed(wrong(error)) from None
    with opened(data) as plane:
        shown(workspaces.change(plane, actor(id), given), as_json=json)
