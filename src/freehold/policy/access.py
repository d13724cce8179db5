"""Which models a key may use: exact names and patterns with `*`, compiled once per snapshot."""

from __future__ import annotations

import re


class ModelAccess:
    """`allows("openai/gpt-4o")` for patterns like "fast-model", "openai/*", "*". Case matters, as it does upstream."""

    __slots__ = ("_all", "_exact", "_pattern", "patterns")

    def __init__(self, patterns: tuple[str, ...]) -> None:
        self.patterns = patterns
        self._all = "*" in patterns
        self._exact = frozenset(p for p in patterns if "*" not in p)
        wild = [".*".join(re.escape(piece) for piece in p.split("*")) for p in patterns if "*" in p and p != "*"]
        self._pattern = re.compile("|".join(wild), re.DOTALL) if wild else None

    def allows(self, name: str) -> bool:
        if self._all or name in self._exact:
            return True
        return self._pattern is not None and self._pattern.fullmatch(name) is not None

    def describe(self) -> str:
        """For error messages: the first few patterns."""
        shown = ", ".join(self.patterns[:8]) or "none"
        return shown if len(self.patterns) <= 8 else f"{shown} and {len(self.patterns) - 8} more"
