"""Google's own web searches, which a reply tells as `groundingMetadata` and Google bills beside the tokens.

Up to Gemini 2.5 a prompt that was answered with searches is billed once, from Gemini 3 on each query is.
"""

from __future__ import annotations

import re
from typing import Any

_GENERATION = re.compile(r"(?:.*/)?gemini-(\d+)")


class Searches:
    """The queries of one reply, gathered from its chunks: a later one may repeat those of an earlier one."""

    __slots__ = ("_queries",)

    def __init__(self) -> None:
        self._queries: set[str] = set()

    def add(self, queries: Any) -> None:
        """`webSearchQueries` as it came. Empty queries are not billed."""
        if isinstance(queries, list):
            self._queries.update(query for query in queries if isinstance(query, str) and query)

    def billed(self, model: str) -> int:
        """How many Google bills for a reply of this model."""
        if not self._queries:
            return 0
        generation = _GENERATION.match(model)
        return 1 if generation is not None and int(generation[1]) < 3 else len(self._queries)
