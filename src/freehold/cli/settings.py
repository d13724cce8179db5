"""What the commands share: which file and which data directory are meant, and what the gateway makes of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from freehold.config.discover import Effective, effective
from freehold.config.load import load
from freehold.config.problem import ConfigError, Problem
from freehold.config.references import References
from freehold.upstream.catalogue import PROVIDERS

DEFAULT_FILE = Path("freehold.yaml")


class Failed(Exception):
    """A command can't do what it was asked; the message says why and what to do."""


def config_file(given: Path | None) -> Path | None:
    """The file asked for, or freehold.yaml in this directory, or None. Raises ConfigError if the one asked for is not there."""
    if given is not None and not given.exists():
        raise ConfigError(str(given), [Problem("", "there is no such file", "check the path given with --config")])
    return given or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)


def load_effective(file: Path | None, local: Mapping[str, str] | None = None, references: References | None = None) -> Effective:
    """The configuration as it is served: file, environment and local servers. Raises ConfigError."""
    return effective(load(file, os.environ, PROVIDERS, references), os.environ, PROVIDERS, local)


def check_file(given: Path | None) -> str:
    """One line for a file without mistakes. Raises ConfigError with all of them."""
    file = config_file(given)
    if file is None:
        hint = 'name a file with --config; "freehold up" needs none'
        raise ConfigError(str(DEFAULT_FILE), [Problem("", "there is no such file here", hint)])
    config = load(file, os.environ, PROVIDERS)
    parts = ((len(config.providers), "provider"), (len(config.routes), "route"), (len(config.keys), "key"))
    return "ok: " + ", ".join(plural(n, word) for n, word in parts)


def existing(data: Path) -> Path:
    """The data directory, which must be there to be read. Raises Failed."""
    if not data.is_dir():
        hint = "name the one that freehold up uses with --data or FREEHOLD_DATA"
        raise Failed(f"there is no data directory {str(data)!r}; {hint}")
    return data


def plural(n: int, word: str) -> str:
    return f"{n:,} {word}" if n == 1 else f"{n:,} {word}s"
