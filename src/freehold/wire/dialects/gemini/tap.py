"""PASS: bytes go through unchanged; usage, model, finish reason and errors are read from them on the way.

Every event of a stream is a small reply object; it is decoded into a struct of the few fields that matter. An error event
and what follows it are not forwarded (the pipeline tells the error in our own words); for that an unfinished event is held
back, to a bound. A stream has no end of its own: `done` is known when it closes, after a finish reason, between events.
"""

from __future__ import annotations

from typing import Any

from msgspec import DecodeError, Raw, Struct, ValidationError, json

from freehold.wire.chat import Failure, Usage
from freehold.wire.dialect import CountTokens
from freehold.wire.dialects.gemini.events import broken, failure, finish_word
from freehold.wire.dialects.gemini.grounding import Searches
from freehold.wire.dialects.gemini.usage import canonical, has_counts
from freehold.wire.document import Document
from freehold.wire.fields import TopLevelScanner
from freehold.wire.produced import Produced
from freehold.wire.sse import blank_lines, parse_block

HOLD_BYTES = 64 * 1024  # an unfinished event above this is forwarded as it comes, and scanned
_WANTED = frozenset(("usageMetadata", "modelVersion", "error", "promptFeedback"))
_ABSENT = Raw()
_UNREADABLE = broken("an event of the stream is not JSON of the expected shape")


# Values are `Any` because servers vary; they are checked where they are used.
class _Call(Struct):
    name: Any = None
    args: Raw = _ABSENT


class _Part(Struct):
    text: Any = None
    functionCall: _Call | None = None
    executableCode: Any = None


class _Content(Struct):
    parts: list[_Part] | None = None


class _Grounding(Struct):
    webSearchQueries: Any = None


class _Candidate(Struct):
    content: _Content | None = None
    groundingMetadata: _Grounding | None = None
    finishReason: Any = None
    index: Any = 0


class _Event(Struct):
    candidates: list[_Candidate] | None = None
    usageMetadata: Any = None
    modelVersion: Any = None
    promptFeedback: Any = None
    error: Any = None


class _Loose(Struct):
    """The same where something inside the candidates is of a type that we did not expect."""

    candidates: Any = None
    usageMetadata: Any = None
    modelVersion: Any = None
    promptFeedback: Any = None
    error: Any = None


_decode_event = json.Decoder(_Event).decode
_decode_loose = json.Decoder(_Loose).decode
_decode_events = json.Decoder(list[_Event]).decode


def _parse(data: bytes) -> _Event | None:
    try:
        return _decode_event(data)
    except ValidationError:
        try:
            loose = _decode_loose(data)
        except (ValueError, RecursionError):
            return None
        return _Event(None, loose.usageMetadata, loose.modelVersion, loose.promptFeedback, loose.error)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return None


class _Tap:
    """What both taps know and how they learn it."""

    __slots__ = ("_produced", "_searches", "_started", "_told", "_unfinished", "_usage", "done", "failure", "finish", "model")

    def __init__(self, count: CountTokens) -> None:
        self._produced = Produced(count)
        self._told: dict[str, Any] = {}
        self._searches: Searches | None = None
        self._started = False  # some candidate has come, or the prompt was blocked
        self._unfinished: set[int] = set()  # candidates without a finish reason so far
        self._usage: Usage | None = None  # of `_told`; None where that has changed since
        self.done = False
        self.failure: Failure | None = None
        self.model = ""
        self.finish = ""

    @property
    def usage(self) -> Usage | None:
        """Every chunk reports totals, and only the last counts: worked out when it is asked for."""
        if self._usage is None and has_counts(self._told):
            self._usage = canonical(self._told)
            if self._searches is not None:
                self._usage.web_searches = self._searches.billed(self.model)
        return self._usage

    @usage.setter
    def usage(self, usage: Usage | None) -> None:
        self._usage = usage

    def _learn(self, event: _Event) -> None:
        if event.error:
            self.failure = self.failure or failure(event.error)
            return
        if not self.model and isinstance(event.modelVersion, str):
            self.model = event.modelVersion
        told = event.usageMetadata
        if isinstance(told, dict):
            self._told |= told
            self._usage = None
        if isinstance(event.promptFeedback, dict) and event.promptFeedback.get("blockReason"):
            self._started = True
            self.finish = self.finish or finish_word(event.promptFeedback["blockReason"])
        for place, candidate in enumerate(event.candidates or ()):
            self._candidate(candidate, place)

    def _candidate(self, candidate: _Candidate, place: int) -> None:
        self._started = True
        index = candidate.index or place
        index = index if type(index) is int else place
        word = finish_word(candidate.finishReason)
        if word:
            self._unfinished.discard(index)
            if index == 0:
                self.finish = word
        elif candidate.finishReason is None and not (index == 0 and self.finish):
            self._unfinished.add(index)
        if candidate.groundingMetadata is not None:
            self._searches = self._searches or Searches()
            self._searches.add(candidate.groundingMetadata.webSearchQueries)
            self._usage = None
        content = candidate.content
        for part in (content.parts if content is not None else None) or ():
            if type(part.text) is str:
                self._produced.add(part.text)
            if part.functionCall is not None:
                self._call(part.functionCall)
            if isinstance(part.executableCode, dict) and isinstance(code := part.executableCode.get("code"), str):
                self._produced.add(code)

    def _call(self, call: _Call) -> None:
        name = call.name if isinstance(call.name, str) else ""
        self._produced.add(name + bytes(call.args).decode("utf-8", "replace"))

    def produced(self) -> int:
        return self._produced.tokens()


class StreamTap(_Tap):
    __slots__ = ("_scanner", "_seam", "_tail")

    def __init__(self, count: CountTokens) -> None:
        super().__init__(count)
        self._tail = bytearray()  # an unfinished event
        self._seam = 0  # no blank line ends in the tail before this
        self._scanner: TopLevelScanner | None = None  # reads an unfinished event too large to hold

    def feed(self, chunk: bytes) -> bytes:
        if self.failure is not None:
            return b""
        if self._scanner is not None:
            return self._pass_large(chunk)
        if self._tail or not (chunk[-4:] == b"\r\n\r\n" or chunk[-2:] == b"\n\n"):
            return self._seams(chunk)
        # The usual chunk is one whole event; white space after the JSON is fine with the decoder.
        if chunk[:7] == b"data: {":
            try:
                event = _decode_event(chunk[6:])
            except (ValueError, RecursionError):
                return self._block(chunk)  # several events, or one of another shape
            self._learn(event)
            return b"" if self.failure is not None else chunk
        return self._block(chunk)

    def _seams(self, chunk: bytes) -> bytes:
        """A chunk that starts or ends inside an event."""
        tail = self._tail
        tail += chunk
        spans = blank_lines(tail, max(0, self._seam - 3))
        end = spans[-1][1] if spans else 0
        block = bytes(tail[:end])
        del tail[:end]
        self._seam = len(tail)
        out = self._block(block) if block else b""
        if len(tail) > HOLD_BYTES and self.failure is None:
            out += self._begin_large()
        return out

    def _block(self, block: bytes) -> bytes:
        """Whole events. Returns them up to an error."""
        start = 0
        for blank, end in blank_lines(block):
            self._read(block[start:blank])
            if self.failure is not None:
                return block[:start]
            start = end
        return block

    def _read(self, piece: bytes) -> None:
        found = parse_block(piece)
        if found is None or found.data.strip() in (b"", b"[DONE]"):
            return
        event = _parse(found.data)
        if event is None:
            self.failure = _UNREADABLE
        else:
            self._learn(event)

    def _begin_large(self) -> bytes:
        """Such an event is no error (they are short): forward it, and scan the rest as it comes."""
        held = bytes(self._tail)
        self._scanner = TopLevelScanner(_WANTED)
        self._scanner.feed(held[max(held.find(b"{"), 0) :])
        self._tail[:] = held[-3:]  # its blank line may lie across the seam
        self._seam = 0
        return held

    def _pass_large(self, chunk: bytes) -> bytes:
        scanner = self._scanner
        assert scanner is not None
        seam = len(self._tail)
        joined = bytes(self._tail) + chunk
        found = blank_lines(joined)
        if not found:
            scanner.feed(chunk)
            self._tail[:] = joined[-3:]
            return chunk
        cut = max(found[0][1] - seam, 0)
        scanner.feed(chunk[:cut])
        event = _Event(**scanner.decoded())
        event.error = None  # it is out already
        self._learn(event)
        self._scanner = None
        self._tail.clear()
        self._started = True
        rest = chunk[cut:]
        return chunk[:cut] + self.feed(rest) if rest else chunk

    def close(self) -> bytes:
        """A last event without its blank line still counts, if it can be read."""
        tail = bytes(self._tail)
        self._tail.clear()
        if self.failure is not None or self._scanner is not None:
            return b""
        if tail.strip():
            found = parse_block(tail)
            event = _parse(found.data) if found is not None else None
            if event is None:
                return b"" if found is not None else tail
            self._learn(event)
        self.done = self.failure is None and self._started and not self._unfinished
        return tail if self.failure is None else b""


class WholeTap(_Tap):
    """A reply that is not a stream: a generation, embeddings, a token count. Everything is known after `close`."""

    __slots__ = ("_document",)

    def __init__(self, count: CountTokens) -> None:
        super().__init__(count)
        self._document = Document(_WANTED)

    def feed(self, chunk: bytes) -> bytes:
        self._document.feed(chunk)
        return chunk

    def close(self) -> bytes:
        scanner = self._document.scanner
        if scanner is not None:
            self._learn(_Event(**scanner.decoded()))
            self.done = scanner.complete and not scanner.broken and self.failure is None
            return b""
        body = self._document.held()
        events = _list_of(body)
        if events is None:
            return b""  # cut or garbage: not done
        for event in events:
            self._learn(event)
        self.done = self.failure is None
        return b""

    def produced(self) -> int:
        """Counted from the content; for a reply that was too large to hold, a token for every four bytes."""
        return self._document.size // 4 if self._document.scanner is not None else self._produced.tokens()


def _list_of(body: bytes) -> list[_Event] | None:
    """The reply, or the replies of an array."""
    if body.lstrip()[:1] == b"[":
        try:
            return _decode_events(body)
        except (ValueError, RecursionError):
            return None
    event = _parse(body)
    return None if event is None else [event]
