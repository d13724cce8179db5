"""The root of all commands. Those of the control plane's nouns are made when they are asked for: see objects.py."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from typer.core import TyperGroup
from typer.main import get_command

# Command -> where its noun is, and what it is.
NOUNS = {
    "app": ("freehold.control.apps", "Apps", "Client applications, to whom keys belong."),
    "credential": ("freehold.control.credentials", "Credentials", "Secrets that providers are called with."),
    "invite": ("freehold.control.invites", "Invites", "Invitations into a workspace."),
    "member": ("freehold.control.members", "Members", "Who is in a workspace: people and service accounts."),
    "provider": ("freehold.control.providers", "Providers", "Providers of a workspace, beside those of freehold.yaml."),
    "route": ("freehold.control.routes", "Routes", "Routes of a workspace, beside those of freehold.yaml."),
    "team": ("freehold.control.teams", "Teams", "Teams: groups of members."),
    "token": ("freehold.control.tokens", "Tokens", "API tokens of administrators."),
}
# Those with commands of their own: where they are made, and what they are.
OWN = {
    "key": ("freehold.cli.key", "key_app", "Keys that applications call with."),
    "user": ("freehold.cli.user", "user_app", "People who sign in."),
    "workspace": ("freehold.cli.workspace", "workspace_app", "Workspaces: tenants, isolated from each other."),
}


class Commands(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        return sorted({*super().list_commands(ctx), *NOUNS, *OWN})

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name in OWN:
            module, make, help = OWN[cmd_name]
            app = getattr(import_module(module), make)(help)
        elif cmd_name in NOUNS:
            from freehold.cli.objects import noun_app

            module, noun, help = NOUNS[cmd_name]
            app = noun_app(getattr(import_module(module), noun)(), help)
        else:
            return super().get_command(ctx, cmd_name)
        made: Any = get_command(app)
        made.name = cmd_name
        return made
