"""Base URLs with gaps: `https://{account}.example.com/v1`. What fills them is written in freehold.yaml or in the environment.

`{model}` is no gap: it stays until a target is known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

GAPS = ("region", "project", "resource", "account")  # fields of ProviderConfig
GLOBAL = "global"  # the region that is none: some clouds write its URL in another way

_GAP = re.compile(r"\{([^{}]*)\}")
_VALUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,252}\Z")


def gaps(url: str) -> list[str]:
    """The names between braces, each once, without "model". Names that are not in GAPS cannot be filled."""
    return [name for name in dict.fromkeys(_GAP.findall(url)) if name != "model"]


def fill(url: str, values: Mapping[str, str | None]) -> str:
    """The URL with its gaps filled. Raises KeyError with the name of the first gap that has no value."""

    def replace(match: re.Match[str]) -> str:
        name = match[1]
        if name == "model":
            return match[0]
        value = values.get(name)
        if not value:
            raise KeyError(name)
        return value

    return _GAP.sub(replace, url)


def plain(value: str) -> str:
    """A gap's value as it stands in a URL: variables such as DATABRICKS_HOST hold a whole address."""
    return value.strip().removeprefix("https://").rstrip("/")


def is_plain(value: str) -> bool:
    """Only what can be one label or path segment, so that a value cannot move a call to another host."""
    return _VALUE.match(value) is not None
