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
    "provider": ("freehold.control.providers", "Providers", "Providers of a workspace, beside those of freehold.yaml."),
    "route": ("freehold.control.routes", "Routes", "Routes of a workspace, beside those of freehold.yaml."),
    "team": ("freehold.control.teams", "Teams", "Teams: groups of members."),
    "token": ("freehold.control.tokens", "Tokens", "API tokens of administrators."),
}
_KEY = "Keys that applications call with."


class Commands(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        return sorted({*super().list_commands(ctx), *NOUNS, "key"})

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name == "key":
            from freehold.cli.key import key_app

            made: Any = get_command(key_app(_KEY))
            made.name = cmd_name
            return made
        if cmd_name not in NOUNS:
            return super().get_command(ctx, cmd_name)
        from freehold.cli.objects import noun_app

        module, noun, help = NOUNS[cmd_name]
        made = get_command(noun_app(getattr(import_module(module), noun)(), help))
        made.name = cmd_name
        return made
