"""Who acts, in which workspace, with which rights. Made where somebody signs in or a command begins, never from a body."""

from __future__ import annotations

import getpass
from typing import Any, Literal

from msgspec import Struct, structs

from freehold.control.refusal import Forbidden
from freehold.control.rights import ROLES, allows, roles_with


class Actor(Struct, frozen=True, kw_only=True):
    """`workspace` "" and `operator`: acts on the installation as a whole. `member_id` "": no member (a command, provisioning)."""

    kind: Literal["user", "token", "command", "provisioning", "system"]
    id: str  # the user's, the token's; the account's name for a command
    name: str
    workspace: str
    scopes: frozenset[str]
    member_id: str = ""
    user_id: str = ""
    address: str = ""
    operator: bool = False

    def but(self, **changed: Any) -> Actor:
        """The same with other fields, such as the workspace in which an act is to be recorded."""
        return structs.replace(self, **changed)

    def may(self, scope: str) -> bool:
        return allows(self.scopes, scope)

    def require(self, scope: str) -> None:
        """Raises Forbidden."""
        if not self.may(scope):
            who = ", ".join(roles_with(scope))
            raise Forbidden(f"This needs the right {scope}, which {self.name!r} does not have here. Roles that have it: {who}.")

    def require_operator(self) -> None:
        """Raises Forbidden."""
        if not self.operator:
            raise Forbidden("Only whoever looks after the installation (an operator) may do this.")


def command(workspace: str = "default") -> Actor:
    """Whoever can run commands on the data directory could as well edit the database: nothing is refused."""
    try:
        account = getpass.getuser()
    except (OSError, KeyError):  # an account without a name, as in containers
        account = "command"
    return Actor(
        kind="command", id=account, name=account, workspace=workspace, scopes=ROLES["owner"], address="local", operator=True
    )
