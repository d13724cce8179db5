"""Upstream chat completion bytes -> canonical events, streamed or whole.

Lenient, because servers are: tool calls without an index or id, one id for every chunk or for the first only, reasoning
under four names, `[DONE]` missing, usage anywhere. Unreadable bytes yield a Failure, never an exception.
Usage that several chunks report is cumulative; the last counts.
"""

from __future__ import annotations

from typing import Any

from msgspec import DecodeError

from freehold.wire.chat import End, Event, Failure, Start, UsageReport
from freehold.wire.dialects.openai_chat.choice import ChoiceReader
from freehold.wire.dialects.openai_chat.errors import failure_of
from freehold.wire.dialects.openai_chat.usage import read_usage
from freehold.wire.dialects.openai_chat.words import NAME, decode_any, rest_of
from freehold.wire.sse import SSEDecoder, SSEError
from freehold.wire.wholereader import WholeReader

_CHUNK_WORDS = frozenset(("id", "object", "created", "model", "choices", "usage", "obfuscation", "x_groq", "error"))
_MESSAGE_WORDS = frozenset(
    (
        "role",
        "content",
        "refusal",
        "tool_calls",
        "function_call",
        "reasoning_content",
        "reasoning",
        "reasoning_details",
        "audio",
        "annotations",
    )
)
_UNREADABLE = Failure(status=502, kind="upstream_broken", message="the provider's reply could not be read")


class ReplyReader:
    """What the stream and the whole reader share: chunk objects -> events."""

    def __init__(self, body: str, dialect: str = NAME) -> None:
        self._dialect = dialect
        self._bodies = (body, "message" if body == "delta" else "delta")  # Perplexity sends both: each form has its own
        self._choices: dict[int, ChoiceReader] = {}
        self._started = False
        self._reply_id = ""
        self.failed = False
        self.ended = False

    @property
    def finished(self) -> bool:
        return bool(self._choices) and all(choice.finished for choice in self._choices.values())

    def chunk(self, value: Any, events: list[Event]) -> None:
        if not isinstance(value, dict):
            self.fail(_UNREADABLE, events)
            return
        error = value.get("error")
        if error and not (isinstance(value.get("choices"), list) and value["choices"] and isinstance(error, bool)):
            self.fail(failure_of(value), events)
            return
        if not self._started:
            self._start(value, events)
        choices = value.get("choices")
        for item in choices if isinstance(choices, list) else ():
            if isinstance(item, dict):
                self._choice(item, events)
        groq = value.get("x_groq")
        usage = value.get("usage") or (groq.get("usage") if isinstance(groq, dict) else None)
        report = read_usage(usage, service_tier=value.get("service_tier"))
        if report is not None:
            events.append(UsageReport(usage=report))

    def fail(self, failure: Failure, events: list[Event]) -> None:
        if not self.failed and not self.ended:
            self.failed = True
            events.append(failure)

    def end(self, events: list[Event]) -> None:
        if self.ended or self.failed:
            return
        self.ended = True
        if not self._started:
            self._start({}, events)
        for choice in self._choices.values():
            choice.finish({}, {}, events)
        events.append(End())

    def whole(self, body: bytes) -> list[Event]:
        """A reply that is one object. Raises ValueError or RecursionError where it is no JSON."""
        events: list[Event] = []
        value = decode_any(body)
        self.chunk(value, events)
        if isinstance(value, dict) and not self.failed:
            if not isinstance(value.get("choices"), list):
                self.fail(_UNREADABLE, events)
            self.end(events)
        return events

    def _start(self, value: dict[str, Any], events: list[Event]) -> None:
        model, reply_id, created = value.get("model"), value.get("id"), value.get("created")
        if value.get("choices") == [] and not model:
            return  # Azure's first chunk tells the prompt's filter results and nothing else
        self._started = True
        self._reply_id = reply_id if isinstance(reply_id, str) else ""
        events.append(
            Start(
                id=self._reply_id,
                model=model if isinstance(model, str) else "",
                created_s=int(created) if isinstance(created, int | float) and 0 <= created < 1e12 else 0,
                dialect=self._dialect,
                extras=rest_of(value, _CHUNK_WORDS),
            )
        )

    def _choice(self, item: dict[str, Any], events: list[Event]) -> None:
        index = item.get("index", 0)
        index = index if type(index) is int and index >= 0 else 0
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = ChoiceReader(index)
            choice.reply_id = _plain(self._reply_id)[:48]
        delta = item.get(self._bodies[0]) or item.get(self._bodies[1])
        if isinstance(delta, dict):
            choice.delta(delta, events)
        elif isinstance(item.get("text"), str):
            choice.delta({"content": item["text"]}, events)
        if item.get("logprobs"):
            choice.logprobs(item["logprobs"], events)
        if item.get("finish_reason"):
            message = delta if isinstance(delta, dict) else {}
            extras = {key: held for key, held in message.items() if key not in _MESSAGE_WORDS}
            choice.finish(item, extras, events)


def _plain(reply_id: str) -> str:
    """Its letters, digits, dashes and underscores; most have nothing else."""
    if reply_id.isascii() and reply_id.replace("-", "").replace("_", "").isalnum():
        return reply_id
    return "".join(c for c in reply_id if c.isascii() and (c.isalnum() or c in "-_"))


class StreamReader:
    """Server-sent events in any chunking -> canonical events."""

    def __init__(self, reply: ReplyReader | None = None) -> None:
        self._sse = SSEDecoder()
        self._reply = reply or ReplyReader("delta")

    def feed(self, chunk: bytes) -> list[Event]:
        events: list[Event] = []
        if self._reply.failed:
            return events
        try:
            blocks = self._sse.feed(chunk)
        except SSEError:
            self._reply.fail(_UNREADABLE, events)
            return events
        for block in blocks:
            self._event(block.data, events)
        return events

    def close(self) -> list[Event]:
        """A stream that finished but sent no [DONE] is whole; several providers end so."""
        events: list[Event] = []
        rest = self._sse.rest
        if rest[:1] == b"{":  # a whole reply, or an error, from a server that does not stream
            try:
                self._reply.chunk(decode_any(rest), events)
            except (DecodeError, UnicodeDecodeError, RecursionError):
                return events
        else:
            for block in self._sse.close():
                # Cut in the middle of an event: not whole, and nothing that the client needs to be told twice.
                if block.data.strip() != b"[DONE]" and not _is_json(block.data):
                    return events
                self._event(block.data, events)
        if self._reply.finished:
            self._reply.end(events)
        return events

    def _event(self, data: bytes, events: list[Event]) -> None:
        if data.strip() == b"[DONE]":
            self._reply.end(events)
            return
        if self._reply.ended or self._reply.failed or not data.strip():
            return
        try:
            value = decode_any(data)
        except (DecodeError, UnicodeDecodeError, RecursionError):
            self._reply.fail(_UNREADABLE, events)
            return
        self._reply.chunk(value, events)


def _is_json(data: bytes) -> bool:
    try:
        decode_any(data)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def whole_reader(reply: ReplyReader | None = None) -> WholeReader:
    return WholeReader((reply or ReplyReader("message")).whole, _UNREADABLE)
