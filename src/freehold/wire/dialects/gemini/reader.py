"""Gemini replies -> canonical events: server-sent events, one object, or one JSON array of a stream's objects.

A stream has no end of its own: it is whole when every candidate has a finish reason (or the prompt was blocked) and the
bytes end between events. Some servers put a finish reason into every chunk, so a choice finishes only there.
Pieces of unsigned text are one part; a part with a signature stays a part of its own, as Google asks of those who keep
the conversation. Unreadable bytes yield a Failure, never an exception.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw, structs

from freehold.wire.chat import (
    AnyPart,
    Delta,
    End,
    Event,
    Extras,
    Failure,
    Finish,
    PartEnd,
    PartStart,
    Refusal,
    Start,
    Text,
    Thinking,
    ToolUse,
    UsageReport,
)
from freehold.wire.dialects.gemini.events import FINISH, broken, failure, finish_word
from freehold.wire.dialects.gemini.grounding import Searches
from freehold.wire.dialects.gemini.parts import reply_part
from freehold.wire.dialects.gemini.usage import canonical, has_counts, logprobs_in
from freehold.wire.dialects.gemini.words import NAME, Fields, decode_any, decode_fields, decode_list, decode_str, encode
from freehold.wire.sse import SSEDecoder, SSEError
from freehold.wire.typed import is_null
from freehold.wire.wholereader import WholeReader

_REPLY_WORDS = frozenset(("candidates", "usageMetadata", "modelVersion", "responseId", "error"))
_CANDIDATE_WORDS = frozenset(("content", "finishReason"))
_UNREADABLE = broken("the provider's reply could not be read")


class _Choice:
    """One candidate, chunk by chunk."""

    __slots__ = ("calls", "extras", "index", "kind", "number", "parts", "reason", "text_part")

    def __init__(self, index: int) -> None:
        self.index = index
        self.parts = 0
        self.kind: type | None = None  # of the open part, which more text of its kind goes on with
        self.number = 0  # of the open part
        self.text_part = -1  # the last text part, which logprobs belong to
        self.calls = 0
        self.reason = Raw(b"null")
        self.extras: Extras = {}

    def close_part(self, events: list[Event]) -> None:
        if self.kind is not None:
            events.append(PartEnd(choice=self.index, part=self.number))
            self.kind = None

    def start_part(self, body: AnyPart, events: list[Event]) -> None:
        self.close_part(events)
        self.number = self.parts
        self.parts += 1
        self.kind = type(body)
        if isinstance(body, Text):
            self.text_part = self.number
        events.append(PartStart(choice=self.index, part=self.number, body=body))

    def finish(self) -> Finish:
        try:
            word = finish_word(decode_any(self.reason))
        except ValueError:  # not UTF-8
            word = ""
        reason = FINISH.get(word, "unknown")
        if self.calls and reason in ("stop", "unknown"):
            reason = "tool_use"
        return Finish(choice=self.index, reason=reason, raw_reason=word, extras=self.extras)


class ReplyReader:
    """Reply objects -> events. `merge`: they are chunks of a stream, whose pieces of text belong together."""

    def __init__(self, merge: bool) -> None:
        self._merge = merge
        self._choices: dict[int, _Choice] = {}
        self._started = False
        self._reply_id = ""
        self._told: dict[str, Any] = {}
        self._searches = Searches()
        self._model = ""
        self._told_raw: Fields = {}
        self._feedback = Raw(b"null")
        self.ended = False  # nothing that follows counts

    def chunk(self, data: Raw, events: list[Event]) -> None:
        if self.ended:
            return
        try:
            self._chunk(decode_fields(data), events)
        except (ValueError, RecursionError):
            self.fail(_UNREADABLE, events)

    def fail(self, found: Failure, events: list[Event]) -> None:
        if not self.ended:
            self.ended = True
            events.append(found)

    def _chunk(self, fields: Fields, events: list[Event]) -> None:
        if not is_null(fields.get("error")):
            self.fail(failure(decode_any(fields["error"])), events)
            return
        if not self._merge and not fields.keys() & {"candidates", "promptFeedback", "usageMetadata"}:
            self.fail(broken("the reply holds no candidates"), events)
            return
        if not self._started:
            self._start(fields, events)
        if not is_null(fields.get("promptFeedback")):
            self._feedback = fields["promptFeedback"]
        if not is_null(fields.get("candidates")):
            for place, raw in enumerate(decode_list(fields["candidates"])):
                self._candidate(decode_fields(raw), place, events)
        if not is_null(fields.get("usageMetadata")):
            raw_usage = decode_fields(fields["usageMetadata"])
            self._told_raw |= raw_usage
            self._told |= decode_any(fields["usageMetadata"])
            if not self._merge or has_counts(self._told):
                usage = canonical(self._told, self._told_raw)
                usage.web_searches = self._searches.billed(self._model)
                events.append(UsageReport(usage=usage))

    def _start(self, fields: Fields, events: list[Event]) -> None:
        self._started = True
        self._reply_id = _text(fields.get("responseId"))
        extras = {name: raw for name, raw in fields.items() if name not in _REPLY_WORDS}
        for name in ("responseId", "modelVersion"):
            if name in fields and not _text(fields[name]):
                extras[name] = fields[name]
        self._model = _text(fields.get("modelVersion"))
        events.append(Start(id=self._reply_id, model=self._model, dialect=NAME, extras=extras))

    def _candidate(self, fields: Fields, place: int, events: list[Event]) -> None:
        index = decode_any(fields["index"]) if "index" in fields else place
        index = index if type(index) is int and index >= 0 else place
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = _Choice(index)
        content = fields.get("content")
        if content is not None and not is_null(content):
            inner = decode_fields(content)
            if not is_null(inner.get("parts")):
                raws = decode_list(inner["parts"])
                if raws:
                    del inner["parts"]
                for raw in raws:
                    self._part(choice, reply_part(raw), events)
            choice.extras["content"] = Raw(encode(inner))
        for name, raw in fields.items():
            if name == "logprobsResult":
                self._logprobs(choice, raw, events)
            elif name not in _CANDIDATE_WORDS:
                choice.extras[name] = raw
                if name == "groundingMetadata":
                    found = decode_any(raw)
                    self._searches.add(found.get("webSearchQueries") if isinstance(found, dict) else None)
        if not is_null(fields.get("finishReason")):
            choice.reason = fields["finishReason"]
            if bytes(memoryview(choice.reason)[:1]) != b'"':
                choice.extras["finishReason"] = choice.reason

    def _part(self, choice: _Choice, part: AnyPart, events: list[Event]) -> None:
        plain = isinstance(part, Text | Thinking) and not (part.signature or part.extras or part.spelling)
        if self._merge and plain:
            text = part.text  # type: ignore[union-attr]
            if text:
                if choice.kind is not type(part):
                    choice.start_part(structs.replace(part, text=""), events)
                events.append(Delta(choice=choice.index, part=choice.number, text=text))
            return
        if isinstance(part, ToolUse):
            choice.calls += 1
            part.id = part.id or self._call_id(choice)
        body, text = _emptied(part)
        choice.start_part(body, events)
        if text:
            events.append(Delta(choice=choice.index, part=choice.number, text=text))
        choice.close_part(events)

    def _call_id(self, choice: _Choice) -> str:
        """The same for the same reply however it is cut, and another one in every reply of a conversation."""
        reply = "".join(char for char in self._reply_id if char.isascii() and (char.isalnum() or char in "-_"))[:48]
        return f"call_{reply}_{choice.index}_{choice.calls}"

    def _logprobs(self, choice: _Choice, raw: Raw, events: list[Event]) -> None:
        found = logprobs_in(decode_any(raw))
        if not self._merge:
            choice.extras["logprobsResult"] = raw
        if found is None:
            return
        if choice.text_part < 0:
            choice.start_part(Text(text=""), events)
        events.append(Delta(choice=choice.index, part=choice.text_part, logprobs=found))

    def end(self, events: list[Event], whole: bool) -> None:
        """The bytes are over. `whole`: the JSON itself said so."""
        if self.ended or not self._started:
            return
        choices = list(self._choices.values())
        blocked = "" if is_null(self._feedback) else _block_reason(self._feedback)
        if not whole and not (blocked if not choices else all(not is_null(choice.reason) for choice in choices)):
            return
        self.ended = True
        for choice in choices:
            choice.close_part(events)
            events.append(choice.finish())
        if not choices:
            # No candidate at all: clients of other APIs still look for a first choice.
            reason = "content_filter" if blocked else "unknown"
            none = Raw(b"[]")
            events.append(Finish(reason=reason, raw_reason=blocked, extras={"candidates": none}))  # type: ignore[arg-type]
        events.append(End())


def _emptied(part: AnyPart) -> tuple[AnyPart, str]:
    """A part without its main text, and that text."""
    if isinstance(part, ToolUse):
        return structs.replace(part, arguments=""), part.arguments
    if isinstance(part, Text | Thinking | Refusal):
        return structs.replace(part, text=""), part.text
    return part, ""


def _text(raw: Raw | None) -> str:
    try:
        return decode_str(raw) if raw is not None else ""
    except ValueError:
        return ""


def _block_reason(feedback: Raw) -> str:
    try:
        return finish_word(decode_any(decode_fields(feedback).get("blockReason", b"null")))
    except (ValueError, RecursionError):
        return ""


def whole_reader() -> WholeReader:
    return WholeReader(_whole, _UNREADABLE)


def _whole(body: bytes) -> list[Event]:
    """One reply. An array is a stream that came in one piece."""
    events: list[Event] = []
    array = body.lstrip()[:1] == b"["
    reply = ReplyReader(merge=array)
    chunks = decode_list(body) if array else [Raw(body)]
    for chunk in chunks:
        reply.chunk(chunk, events)
    if array and not chunks:
        reply.fail(broken("the reply holds no candidates"), events)
    reply.end(events, whole=not array)
    if array and not reply.ended:
        reply.fail(broken("the reply ended without a finish reason"), events)
    return events


class StreamReader:
    """Server-sent events in any chunking. A server that sends JSON instead is read as a whole reply would be."""

    def __init__(self) -> None:
        self._sse = SSEDecoder()
        self._reply = ReplyReader(merge=True)
        self._whole: WholeReader | None = None
        self._known = False  # the first byte that is no white space tells the form

    def feed(self, chunk: bytes) -> list[Event]:
        if not self._known:
            chunk = chunk.lstrip()
            if not chunk:
                return []
            self._known = True
            if chunk[:1] in (b"[", b"{"):
                self._whole = whole_reader()
        if self._whole is not None:
            return self._whole.feed(chunk)
        events: list[Event] = []
        try:
            received = self._sse.feed(chunk)
        except SSEError:
            self._reply.fail(_UNREADABLE, events)
            return events
        for item in received:
            self._event(item.data, events)
        return events

    def close(self) -> list[Event]:
        if self._whole is not None:
            return self._whole.close()
        events: list[Event] = []
        for item in self._sse.close():
            try:
                decode_any(item.data)
            except (ValueError, RecursionError):
                return events  # cut in the middle of an event: not whole
            self._event(item.data, events)
        self._reply.end(events, whole=False)
        return events

    def _event(self, data: bytes, events: list[Event]) -> None:
        if data.strip() and data.strip() != b"[DONE]":
            self._reply.chunk(Raw(data), events)
