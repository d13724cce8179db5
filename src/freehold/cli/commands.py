"""The root of all commands. Those of the control plane's nouns are made when they are asked for: see objects.py."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from typer.core import TyperGroup
from typer.main import get_command

# Command -> where its noun is, and what it is.
NOUNS = {
    "app": ("freehold.control.apps", "Apps", "Client applications, to whom keys belong."),
    "team": ("freehold.control.teams", "Teams", "Teams: groups of members."),
    "token": ("freehold.control.tokens", "Tokens", "API tokens of administrators."),
}


class Commands(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        return sorted({*super().list_commands(ctx), *NOUNS})

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in NOUNS:
            return super().get_command(ctx, cmd_name)
        from freehold.cli.objects import noun_app

        module, noun, help = NOUNS[cmd_name]
        made: Any = get_command(noun_app(getattr(import_module(module), noun)(), help))
        made.name = cmd_name
        return made
