"""Canonical events -> the client's text completion, as chunks or as one object.

Only text has a place here (a refusal is text): thinking, tool calls and other dialects' parts stay behind.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from freehold.wire.chat import (
    AnyPart,
    ChatReply,
    Choice,
    Delta,
    End,
    Event,
    Extras,
    Finish,
    PartStart,
    Refusal,
    Start,
    Text,
    Usage,
    UsageReport,
)
from freehold.wire.dialect import WriterOptions
from freehold.wire.dialects.openai_chat.usage import write_usage
from freehold.wire.dialects.openai_chat.words import encode
from freehold.wire.dialects.openai_chat.writer import finish_word
from freehold.wire.dialects.openai_completions.logprobs import to_lists
from freehold.wire.dialects.openai_completions.request import NAME
from freehold.wire.wholewriter import WholeWriter


def _head(start: Start | ChatReply, options: WriterOptions) -> dict[str, Any]:
    head: dict[str, Any] = {
        "id": start.id or f"cmpl-{options.call_id}",
        "object": "text_completion",
        "created": start.created_s or options.created_s,
        "model": start.model or options.model,
    }
    return head | start.extras if start.dialect == NAME else head


def _choice(index: int, text: str, logprobs: Any, finish: str | None, extras: Extras) -> dict[str, Any]:
    return {
        "text": text,
        "index": index,
        "logprobs": logprobs,
        "finish_reason": finish,
        **{name: value for name, value in extras.items() if name != "message"},
    }


class StreamWriter:
    """One chunk a piece of text, all with one id, model and time; then the usage chunk if asked for, and [DONE]."""

    def __init__(self, options: WriterOptions) -> None:
        self._options = options
        self._head = b""
        self._tail = b'],"usage":null}\n\n' if options.include_usage else b"]}\n\n"
        self._texts: set[tuple[int, int]] = set()  # the parts that are text
        self._chars: dict[int, int] = {}  # choice -> characters written
        self._usage: Usage | None = None
        self._own = False
        self._ended = False

    def write(self, events: list[Event]) -> bytes:
        out: list[bytes] = []
        for event in events:
            if type(event) is Delta:
                if (event.choice, event.part) in self._texts:
                    self._text(event.choice, event.text, event.logprobs, out)
            elif type(event) is PartStart:
                self._part(event, out)
            elif type(event) is Finish:
                word = finish_word(event, event.reason, self._own)
                self._chunk(_choice(event.choice, "", None, word, event.extras if self._own else {}), out)
            elif type(event) is UsageReport:
                self._usage = event.usage
            elif type(event) is Start:
                self._start(event)
            elif type(event) is End:
                self._end(out)
        return b"".join(out)

    def close(self) -> bytes:
        return b""

    def _start(self, event: Start) -> None:
        self._own = event.dialect == NAME
        self._usage = event.usage
        self._head = b"data: " + encode(_head(event, self._options))[:-1] + b',"choices":['

    def _chunk(self, choice: dict[str, Any], out: list[bytes]) -> None:
        if not self._head:
            self._start(Start())
        out.append(self._head + encode(choice) + self._tail)

    def _part(self, event: PartStart, out: list[bytes]) -> None:
        body = event.body
        if isinstance(body, Text | Refusal):
            self._texts.add((event.choice, event.part))
            self._text(event.choice, body.text, None, out)

    def _text(self, choice: int, text: str, logprobs: Raw | None, out: list[bytes]) -> None:
        if not text and logprobs is None:
            return
        written = self._chars.get(choice, 0)
        self._chars[choice] = written + len(text)
        lists = None if logprobs is None else to_lists(logprobs, written)
        self._chunk(_choice(choice, text, lists, None, {}), out)

    def _end(self, out: list[bytes]) -> None:
        if self._ended:
            return
        self._ended = True
        if self._options.include_usage and self._usage is not None:
            if not self._head:
                self._start(Start(usage=self._usage))
            out.append(self._head + b'],"usage":' + write_usage(self._usage, self._own) + b"}\n\n")
        out.append(b"data: [DONE]\n\n")


def whole_writer(options: WriterOptions) -> WholeWriter:
    return WholeWriter(_whole, options)


def _whole(reply: ChatReply, options: WriterOptions) -> bytes:
    own = reply.dialect == NAME
    body = {**_head(reply, options), "choices": [_whole_choice(choice, own) for choice in reply.choices]}
    if reply.usage is not None:
        body["usage"] = Raw(write_usage(reply.usage, own))
    return encode(body)


def _whole_choice(choice: Choice, own: bool) -> dict[str, Any]:
    lists = None if choice.logprobs is None else to_lists(choice.logprobs, 0)
    word = finish_word(choice, choice.finish, own)
    return _choice(choice.index, _text_of(choice.parts), lists, word, choice.extras if own else {})


def _text_of(parts: list[AnyPart]) -> str:
    return "".join(part.text for part in parts if isinstance(part, Text | Refusal))
