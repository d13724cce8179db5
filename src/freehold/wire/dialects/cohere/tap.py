"""PASS: bytes go through unchanged; usage, finish reason, errors and the end are read from them on the way.

Only message-start, message-end and errors are parsed. The taps of the other dialects with named events and with whole
replies do the rest. Cohere never names the model.
"""

from __future__ import annotations

import re
from typing import Any

from freehold.wire.dialect import CountTokens
from freehold.wire.dialects.anthropic.tap import StreamTap
from freehold.wire.dialects.cohere.errors import failure
from freehold.wire.dialects.cohere.events import decode_event
from freehold.wire.dialects.cohere.usage import read_usage
from freehold.wire.dialects.cohere.words import UNREADABLE
from freehold.wire.wholetap import WholeTap

_INSIDE = rb'"([^"\\]*(?:\\.[^"\\]*)*)"'
_PIECES = re.compile(rb'(?:"content":\s*\{(?:"type":\s*"\w+",\s*)?"(?:text|thinking)"|"tool_plan"|"arguments"):\s*' + _INSIDE)
_NAMES = re.compile(rb'"function":\s*\{"name":\s*' + _INSIDE)


class ChatStreamTap(StreamTap):
    marks = (b'"message-', b'"message":"')  # the second only stands in an error: elsewhere a message is an object

    __slots__ = ()

    def patterns(self) -> tuple[re.Pattern[bytes], ...]:
        return _NAMES, _PIECES

    def _look(self, data: bytes) -> None:
        telling, failing = self.marks
        if data.find(telling) < 0 and data.find(failing) < 0:
            return
        try:
            event = decode_event(data)
        except (ValueError, RecursionError):
            self.failure = self.failure or UNREADABLE
            return
        if event.type == "message-end" and event.delta is not None:
            if event.delta.error:
                self.failure = self.failure or failure(event.delta.error)
                return
            self.finish = self.finish or event.delta.finish_reason or ""
            self.usage = read_usage(event.delta.usage, keep_extras=False) or self.usage
            self.done = True
        elif event.type is None and isinstance(event.message, str) and not self.done:
            self.failure = self.failure or failure(event.message)


class ChatWholeTap(WholeTap):
    wanted = frozenset(("message", "finish_reason", "usage"))

    def __init__(self, count: CountTokens) -> None:
        super().__init__(count)
        self._message: Any = None

    def learn(self, found: dict[str, Any]) -> None:
        finish = found.get("finish_reason")
        self.finish = finish if isinstance(finish, str) else ""
        self.usage = read_usage(found.get("usage"), keep_extras=False)
        self._message = found.get("message")
        if isinstance(self._message, str):
            self.failure = failure(self._message)

    def produced(self) -> int:
        """Counted from the message; where that can't be read, a token for every four bytes of the reply."""
        if not isinstance(self._message, dict):
            return 0 if self.failure is not None else self.document.size // 4
        pieces: list[str] = []
        _texts({name: self._message.get(name) for name in ("content", "tool_plan", "tool_calls")}, pieces)
        return self.count("\n".join(pieces)) if pieces else 0


def _texts(value: Any, pieces: list[str]) -> None:
    if isinstance(value, str):
        pieces.append(value)
    elif isinstance(value, list):
        for item in value:
            _texts(item, pieces)
    elif isinstance(value, dict):
        for name, item in value.items():
            if name not in ("type", "id"):
                _texts(item, pieces)
