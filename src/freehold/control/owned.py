"""Objects that freehold.yaml owns: shown beside those of the database, read-only there, in workspace "default"."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import to_builtins

from freehold.config.problem import ConfigError
from freehold.config.schema import Config

WORKSPACE = "default"
SOURCE = "file"
_HIDDEN = frozenset(("api_key", "key", "headers", "query", "credential"))


def file_id(name: str) -> str:
    return f"file:{name}"


class FileOwned:
    """Reads the file again when it has changed; one with mistakes counts as it was before, as for the gateway."""

    def __init__(self, file: Path | None, load: Callable[[Path], Config]) -> None:
        self._file = file
        self._load = load
        self._seen: tuple[int, int, int] | None = None
        self._config = Config()

    @property
    def name(self) -> str:
        return "freehold.yaml" if self._file is None else str(self._file)

    @staticmethod
    def is_of(workspace: str) -> bool:
        return workspace == WORKSPACE

    def config(self) -> Config:
        if self._file is None:
            return self._config
        try:
            stat = os.stat(self._file)
            seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if seen != self._seen:
                self._config = self._load(self._file)
                self._seen = seen
        except (OSError, ConfigError):
            pass
        return self._config

    def rows(self, plural: str) -> list[dict[str, Any]]:
        """`keys`, `providers` or `routes` of the file, as rows of the table of that name, without secrets. [] for other nouns."""
        config = self.config()
        match plural:
            case "keys":
                return [{"name": k.name, "models": k.models, "last4": ""} for k in config.keys]
            case "providers":
                return [{"name": name, "config": _shown(provider)} for name, provider in config.providers.items()]
            case "routes":
                return [{"name": name, "config": _shown(route)} for name, route in config.routes.items()]
        return []


def _shown(struct: Any) -> dict[str, Any]:
    given = {name: getattr(struct, name) for name in struct.__struct_fields__ if name not in _HIDDEN}
    return {name: value for name, value in to_builtins(given).items() if value not in (None, {}, [])}
