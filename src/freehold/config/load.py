"""freehold.yaml -> Config, or every mistake in it with its path, its line and what to do.

`load` is for those who must have a usable one, `check` for those who want to show the problems. Defaults from the
environment and from servers on this machine are added in discover.py. Secrets that the file only names are fetched, from Vault
too: this blocks, and belongs into a thread where there is an event loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import inspect

from freehold.config.document import Unreadable, read
from freehold.config.problem import ConfigError, Problem, dotted
from freehold.config.references import References
from freehold.config.rules import Catalogue, Names, broken_rules
from freehold.config.schema import Config, RetentionConfig
from freehold.config.shape import Shape

__all__ = ["ConfigError", "Problem", "check", "load", "parse", "retention"]


def load(
    path: Path | None, env: Mapping[str, str], catalogue: Catalogue | None = None, references: References | None = None
) -> Config:
    """The configuration in the file at `path`; an empty one for None. Raises ConfigError with every problem found.

    Rules that need to know the providers are left out without a `catalogue`. `references` afterwards knows when to load again.
    """
    if references is not None:
        references.begin()
    if path is None:
        return Config()
    try:
        text = path.read_bytes()
    except OSError as error:
        problem = Problem("", f"cannot be read: {error.strerror or type(error).__name__}", "give another file with --config")
        raise ConfigError(str(path), [problem]) from None
    config, problems = parse(text, env, catalogue, references)
    if problems:
        raise ConfigError(str(path), problems)
    return config


def retention(path: Path | None, env: Mapping[str, str]) -> RetentionConfig:
    """That section alone, for one who needs nothing else of the file: no secret is fetched. Raises ConfigError."""
    if path is None:
        return RetentionConfig()
    shape = Shape(env, References(env))
    try:
        root, problems = read(path.read_bytes())
    except OSError as error:
        raise ConfigError(str(path), [Problem("", f"cannot be read: {error.strerror or type(error).__name__}")]) from None
    except Unreadable as error:
        raise ConfigError(str(path), [error.problem]) from None
    given = root.value.get("retention") if isinstance(root.value, dict) else None
    if given is None or given.value is None:
        return RetentionConfig()
    config: RetentionConfig = shape.value(given, inspect.type_info(RetentionConfig), ("retention",))
    if problems or shape.problems:
        raise ConfigError(str(path), [*problems, *shape.problems])
    return config


def check(text: bytes | str, env: Mapping[str, str], catalogue: Catalogue | None = None) -> list[Problem]:
    """Everything that is wrong with a configuration, in the order of its lines; [] if nothing is."""
    return parse(text, env, catalogue)[1]


def parse(
    text: bytes | str, env: Mapping[str, str], catalogue: Catalogue | None = None, references: References | None = None
) -> tuple[Config, list[Problem]]:
    """The configuration and everything that is wrong with it. With any problem, the Config is not fit for use."""
    try:
        root, problems = read(text)
    except Unreadable as error:
        return Config(), [error.problem]
    shape = Shape(env, references or References(env))
    config: Config = shape.value(root, inspect.type_info(Config), ())
    problems += shape.problems
    for path, message, hint in broken_rules(config, Names(config, catalogue), env):
        if not any(path[:n] in shape.bad for n in range(len(path) + 1)):  # else it has been reported
            problems.append(Problem(dotted(path), message, hint, root.at(path).line))
    return config, sorted(problems, key=lambda p: p.line)
