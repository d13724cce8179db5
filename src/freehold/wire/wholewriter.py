"""The writer of a reply that is one JSON document: the events are folded as they come, and encoded once at the end."""

from __future__ import annotations

from collections.abc import Callable

from freehold.wire.chat import ChatReply, Event
from freehold.wire.dialect import WriterOptions
from freehold.wire.fold import Fold


class WholeWriter:
    """A Writer. The reply that `encode` gets names the dialect of the upstream that began it, "" where none did."""

    __slots__ = ("_encode", "_fold", "_options")

    def __init__(self, encode: Callable[[ChatReply, WriterOptions], bytes], options: WriterOptions) -> None:
        self._encode = encode
        self._options = options
        self._fold = Fold("")

    def write(self, events: list[Event]) -> bytes:
        self._fold.add(events)
        return b""

    def close(self) -> bytes:
        return self._encode(self._fold.reply(), self._options)
