"""What is wrong with a configuration: where, what, and what to do. Messages never hold a secret."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from msgspec import Struct

Path = tuple[str | int, ...]

_PLAIN = re.compile(r"[\w*/-]+\Z")


class Problem(Struct, frozen=True):
    """`path` as its reader would write it: routes.fast-model.targets[0].provider. `line` counts from 1; 0: the whole file."""

    path: str
    message: str
    hint: str = ""
    line: int = 0

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        return f"{where}{self.message}" + (f" ({self.hint})" if self.hint else "")


class ConfigError(Exception):
    """The configuration cannot be used. `problems` holds every one found, in the order of the file."""

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.source = source
        self.problems = tuple(problems)
        super().__init__("\n".join(self.lines()))

    def lines(self) -> list[str]:
        """`freehold.yaml:12: keys[0].key: ... (hint)`, one a problem."""
        return [f"{self.source}:{p.line}: {p}" if p.line else f"{self.source}: {p}" for p in self.problems]


def dotted(path: Path) -> str:
    """("routes", "gpt-4.1", "targets", 0) -> 'routes["gpt-4.1"].targets[0]'."""
    out = ""
    for step in path:
        if isinstance(step, int):
            out += f"[{step}]"
        elif _PLAIN.match(step):
            out += f".{step}" if out else step
        else:
            out += f'["{shown(step)}"]'
    return out


def shown(value: object) -> str:
    """A value for a message: on one line, cut to 60 characters."""
    text = "".join(c if c.isprintable() else "?" for c in str(value))
    return text if len(text) <= 60 else f"{text[:57]}..."


def nearest(word: str, known: Iterable[str]) -> str:
    """'did you mean "openai"?', or all names if none is near and they are few, or ""."""
    names = sorted(known)
    lower = {name.lower(): name for name in names}
    close = [lower[match] for match in get_close_matches(word.lower(), lower, n=2, cutoff=0.6)]
    if close:
        return "did you mean " + " or ".join(f'"{shown(name)}"' for name in close) + "?"
    return f"known: {', '.join(shown(name) for name in names)}" if 0 < len(names) <= 12 else ""
