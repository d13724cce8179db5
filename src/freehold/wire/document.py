"""One JSON document as it passes: held up to 128 KB, so that it can be parsed at its end; from there on scanned as it comes.

For the taps of whole replies, which forward what they are fed: memory stays bounded however large the reply is.
"""

from __future__ import annotations

from freehold.wire.fields import TopLevelScanner

HOLD_BYTES = 128 * 1024


class Document:
    """
    size     bytes so far
    scanner  has the `wanted` top-level members of a document too large to hold; None while it is held
    """

    __slots__ = ("_pieces", "_wanted", "scanner", "size")

    def __init__(self, wanted: frozenset[str]) -> None:
        self.size = 0
        self.scanner: TopLevelScanner | None = None
        self._wanted = wanted
        self._pieces: list[bytes] = []

    def feed(self, chunk: bytes) -> None:
        self.size += len(chunk)
        if self.scanner is not None:
            self.scanner.feed(chunk)
            return
        self._pieces.append(chunk)
        if self.size > HOLD_BYTES:
            self.scanner = TopLevelScanner(self._wanted)
            self.scanner.feed(self.held())
            self._pieces.clear()

    def held(self) -> bytes:
        """All of it; b"" where it is too large to hold."""
        return b"".join(self._pieces)

    def json(self) -> bytes | None:
        """All of it, or an object of its wanted members; None where one too large to hold was cut or is broken."""
        scanner = self.scanner
        if scanner is None:
            return self.held()
        return scanner.joined() if scanner.complete and not scanner.broken else None
