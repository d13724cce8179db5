"""Upstream text completions -> canonical events: the chat dialect's readers, which know `text` beside `delta` and `message`."""

from __future__ import annotations

from typing import Any

from freehold.wire.chat import Event
from freehold.wire.dialects.openai_chat import reader as chat
from freehold.wire.dialects.openai_chat.reader import ReplyReader
from freehold.wire.dialects.openai_completions.logprobs import to_canonical
from freehold.wire.dialects.openai_completions.request import NAME
from freehold.wire.wholereader import WholeReader


class _Reply(ReplyReader):
    def chunk(self, value: Any, events: list[Event]) -> None:
        choices = value.get("choices") if isinstance(value, dict) else None
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict) and choice.get("logprobs"):
                choice["logprobs"] = to_canonical(choice["logprobs"])
        super().chunk(value, events)


class StreamReader(chat.StreamReader):
    def __init__(self) -> None:
        super().__init__(_Reply("delta", NAME))


def whole_reader() -> WholeReader:
    return chat.whole_reader(_Reply("message", NAME))
