"""`freehold user ...`: people who sign in, made and helped by whoever can run commands."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from freehold.cli.objects import DATA, Data, Json, Workspace, encoded
from freehold.cli.plane import opened
from freehold.cli.settings import Failed
from freehold.cli.table import table
from freehold.control import account, invites, users
from freehold.control.actor import command as actor
from freehold.control.model import Email
from freehold.control.rights import ROLES
from freehold.control.users import EditUser

Address = Annotated[str, typer.Argument(metavar="EMAIL")]
Stdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input, its first line.")]
_EMAIL: TypeAdapter[str] = TypeAdapter(Email)


def user_app(help: str) -> typer.Typer:
    out = typer.Typer(help=help, no_args_is_help=True, rich_markup_mode=None, add_completion=False)
    for name, does in (
        *(("create", create), ("list", listing), ("password", password), ("disable", disable), ("enable", enable)),
        *(("reset-totp", reset_totp), ("setup-link", setup_link)),
    ):
        out.command(name)(does)
    return out


def create(
    email: Annotated[str, typer.Option(metavar="EMAIL", help="The mail address that they sign in with.")],
    name: Annotated[str, typer.Option(metavar="NAME", help="What they are called.")] = "",
    role: Annotated[str, typer.Option(metavar="ROLE", help="owner, admin, member, viewer or auditor.")] = "member",
    owner: Annotated[
        bool, typer.Option("--owner", help="An owner of the workspace, who looks after the installation too.")
    ] = False,
    password_stdin: Stdin = False,
    data: Data = DATA,
    workspace: Workspace = "default",
    json: Json = False,
) -> None:
    """Make a user with a password, who is a member of a workspace."""
    address = _email(email)
    if role not in ROLES:
        raise Failed(f"--role {role!r} is none; it is {', '.join(ROLES)}")
    secret = _password(from_stdin=password_stdin)
    with opened(data) as plane:
        role = "owner" if owner else role
        user_id = users.add(plane, actor(workspace), address, name or address.partition("@")[0], secret, role, operator=owner)
    print(encoded({"id": user_id, "email": address, "role": role}) if json else f"User {address} ({user_id}) is {role}.")


def listing(data: Data = DATA, json: Json = False) -> None:
    """List users."""
    with opened(data) as plane:
        found, after = users.listed(plane, actor(""), limit=1000)
        while after:
            more, after = users.listed(plane, actor(""), after, 1000)
            found += more
    if json:
        print(encoded([one.model_dump(mode="json") for one in found]))
    elif not found:
        print('No users yet. The first one: "freehold user create --email EMAIL --owner"')
    else:
        rows = [(one.id, one.email, one.name, _state(one), ", ".join(one.workspaces)) for one in found]
        print(table(("ID", "EMAIL", "NAME", "STATE", "WORKSPACES"), rows))


def password(email: Address, password_stdin: Stdin = False, data: Data = DATA) -> None:
    """Give somebody a new password. Their sessions end."""
    secret = _password(from_stdin=password_stdin)
    with opened(data) as plane:
        user = users.by_email(plane, _email(email))
        with plane.writing(actor("")) as change:
            account.set_password(change, user, secret)
    print(f"{user['email']} has a new password.")


def disable(email: Address, data: Data = DATA) -> None:
    """Switch a user off: they can't sign in anywhere, and their keys and tokens are refused."""
    _change(email, data, EditUser(disabled=True), "is switched off")


def enable(email: Address, data: Data = DATA) -> None:
    """Switch a user on again."""
    _change(email, data, EditUser(disabled=False), "is switched on")


def reset_totp(email: Address, data: Data = DATA) -> None:
    """Take the second factor away, of somebody who lost it and the recovery codes."""
    _change(email, data, EditUser(totp=False), "has no second factor now")


def setup_link(
    url: Annotated[str, typer.Option(metavar="URL", help="Where browsers find the admin API.")] = "http://127.0.0.1:8081",
    data: Data = DATA,
) -> None:
    """While there is no user at all: a link by which whoever opens it first becomes owner. Good for a week, and once."""
    with opened(data) as plane:
        url = plane.owned.config().sign_in.url or url
        secret = invites.setup(plane, actor())
    if secret is None:
        raise Failed('there are users already; "freehold user create --owner" makes another owner')
    print(invites.link(url, secret))


def _change(email: str, data: Path, given: EditUser, said: str) -> None:
    with opened(data) as plane:
        user = users.by_email(plane, _email(email))
        users.change(plane, actor(""), user["id"], given)
    print(f"{user['email']} {said}.")


def _state(user: users.User) -> str:
    words = ("disabled" if user.disabled else "", "operator" if user.operator else "", "totp" if user.totp else "")
    return ", ".join(word for word in words if word) or "in use"


def _email(text: str) -> str:
    try:
        return _EMAIL.validate_python(text)
    except ValidationError:
        raise Failed(f"{text!r} is no mail address") from None


def _password(*, from_stdin: bool) -> str:
    """From the terminal, twice and unseen, or from standard input."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise Failed("there is no terminal to ask for the password; give it with --password-stdin")
    secret: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return secret
