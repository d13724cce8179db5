"""How many tokens a reply has produced so far, for when the provider never says (a cut stream).

Collecting must cost next to nothing, since most replies end with the provider's own count: nothing is counted until
`tokens` is asked for, and memory is bounded. Past the first 64 K characters only lengths are kept and the count is
scaled up; whoever uses it marks it as estimated anyway.
"""

from __future__ import annotations

from msgspec import json

from freehold.wire.dialect import CountTokens

KEEP_BYTES = 64 * 1024  # of a stream that a tap keeps unread, before it takes the text out
CHUNK_COST = 64  # what keeping a small chunk costs beside its bytes
SAMPLE_CHARS = 64 * 1024

_str = json.Decoder(str).decode


def unescaped(inside: bytes) -> str:
    """What stands between the quotes of a JSON string, or of several that were joined -> its text. Never raises."""
    try:
        return _str(b'"%b"' % inside)
    except ValueError:
        return inside.decode("utf-8", "replace")


class Produced:
    __slots__ = ("_chars", "_count", "_sample", "_sample_chars")

    def __init__(self, count: CountTokens) -> None:
        self._count = count
        self._sample: list[str] = []
        self._sample_chars = 0
        self._chars = 0

    def add(self, text: str) -> None:
        self._chars += len(text)
        if self._sample_chars < SAMPLE_CHARS:
            self._sample.append(text)
            self._sample_chars += len(text)
            if len(self._sample) > 1024:  # many tiny pieces cost more than their text
                self._sample = ["".join(self._sample)]

    def tokens(self) -> int:
        """May be asked again after more was added."""
        if not self._sample_chars:
            return 0
        counted = self._count("".join(self._sample))
        return counted if self._chars == self._sample_chars else round(counted * self._chars / self._sample_chars)
