"""The reader of a reply that is one JSON document: collected as it comes, read once it is complete."""

from __future__ import annotations

from collections.abc import Callable

from freehold.wire.chat import Event, Failure


class WholeReader:
    """A Reader. `read` may raise ValueError or RecursionError: the reply is then `unreadable`.

    Everything is held, since nothing can be told before the end: whoever feeds it bounds the bytes (pipeline/attempt.py).
    """

    __slots__ = ("_pieces", "_read", "_unreadable")

    def __init__(self, read: Callable[[bytes], list[Event]], unreadable: Failure) -> None:
        self._read = read
        self._unreadable = unreadable
        self._pieces: list[bytes] = []

    def feed(self, chunk: bytes) -> list[Event]:
        self._pieces.append(chunk)
        return []

    def close(self) -> list[Event]:
        body = b"".join(self._pieces)
        self._pieces.clear()
        try:
            return self._read(body)
        except (ValueError, RecursionError):
            return [self._unreadable]
