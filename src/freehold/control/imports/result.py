"""What an import makes: a document in the form of freehold.yaml, and what of the original it could not carry over."""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct, field

from freehold.config.rules import Row

_VARIABLE = re.compile(r"os\.environ/([A-Za-z_][A-Za-z0-9_]*)")
_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")


class Left(Struct, frozen=True):
    """`path` in the original: model_list[2].litellm_params.tpm."""

    path: str
    why: str


class Imported(Struct):
    """`document` never holds more secrets than the original: a variable stays a variable."""

    providers: dict[str, dict[str, Any]] = field(default_factory=dict)
    routes: dict[str, dict[str, Any]] = field(default_factory=dict)
    keys: list[dict[str, Any]] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)

    def leave(self, path: str, why: str) -> None:
        self.left.append(Left(path, why))

    def provider(self, wanted: str, config: dict[str, Any], row: Row | None = None) -> str:
        """The name of a provider that is configured like this: one that is there already, or a new one. `row`: of `wanted`."""
        wanted = _UNFIT.sub("-", wanted).strip("-.") or "provider"
        name, number, given = wanted, 1, config
        while self.providers.get(name, config) not in (config, given):
            number += 1
            name = f"{wanted}-{number}"
            # Under a name of its own, what a known provider's row says must be written down.
            config = given if row is None else {"dialect": row.dialect, "base_url": row.base_url, **given}
        self.providers[name] = config
        return name

    def document(self) -> dict[str, Any]:
        parts = {"providers": self.providers, "routes": self.routes, "keys": self.keys}
        return {name: part for name, part in parts.items() if part}


def variable(text: str) -> str:
    """LiteLLM's os.environ/NAME as freehold.yaml writes it; other texts as they are, with what would be a variable escaped."""
    found = _VARIABLE.fullmatch(text.strip())
    return f"${{{found[1]}}}" if found else text.replace("${", "$${")
