"""PASS: carry a reply unchanged and learn its usage, model, finish reason and end from the bytes as they go by.

Every streamed event is decoded into a struct of the few fields that matter, which costs less than searching it for
them. Text is kept until there is enough to be worth counting, so a call's memory is bounded however long its stream; it is
counted only when the provider's own count never comes, or when much of it has gathered.

Two things are left out: the usage event that the gateway asked for and the client did not, and an error event with all
that follows it (the pipeline tells the error in our own words). For that, an unfinished event is held back until it ends or
turns out to be too large to be either.
"""

from __future__ import annotations

from typing import Any

from msgspec import DecodeError, Raw, Struct, ValidationError, json

from freehold.wire.chat import Failure, Usage
from freehold.wire.dialect import CountTokens
from freehold.wire.dialects.openai_chat.counts import Counts
from freehold.wire.dialects.openai_chat.errors import failure_of
from freehold.wire.dialects.openai_chat.usage import read_usage
from freehold.wire.dialects.openai_chat.words import decode_any
from freehold.wire.fields import TopLevelScanner
from freehold.wire.sse import blank_lines, parse_block

COUNT_CHARS = 16 * 1024  # text kept before it is counted and let go
COUNT_PIECES = 512  # and in at most this many pieces: each short string costs some 60 bytes
MAX_EVENT_BYTES = 64 * 1024  # an unfinished event above this is forwarded and scanned as it comes
WHOLE_BYTES = 128 * 1024  # a whole reply above this is scanned, not parsed
_WANTED = frozenset(("model", "usage", "error", "service_tier"))
_UNREADABLE = Failure(status=502, kind="upstream_broken", message="the provider's reply could not be read")
_DONE = (b"data: [DONE]", b"data:[DONE]")


# Values are `Any` because servers vary; they are checked where they are used.
class _Delta(Struct):
    content: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    refusal: Any = None
    tool_calls: Any = None
    function_call: Any = None


class _Choice(Struct):
    delta: _Delta | None = None
    message: Raw = Raw(b"null")  # the whole reply's; opened only to count tokens
    text: Any = None
    finish_reason: Any = None
    index: Any = 0


class _Event(Struct):
    model: Any = ""
    choices: list[_Choice] | None = None
    usage: Any = None
    error: Any = None
    x_groq: Any = None
    service_tier: Any = None


class _UsualEvent(_Event):
    """Its usage in the usual form; one in another form fails, and is decoded again as an `_Event`."""

    usage: Counts | None = None


_decode_event = json.Decoder(_Event).decode
_decode_usual = json.Decoder(_UsualEvent).decode
_decode_delta = json.Decoder(_Delta).decode


def _parse(data: bytes) -> _Event | None:
    try:
        return _decode_usual(data)
    except (ValidationError, DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return _decode_event(data)
    except (ValidationError, DecodeError, UnicodeDecodeError, RecursionError):
        return None


class _Tap:
    """What both taps know and how they learn it from a parsed event."""

    __slots__ = ("_chars", "_count", "_counted", "_finished", "_texts", "done", "failure", "finish", "model", "usage")

    def __init__(self, count: CountTokens) -> None:
        self._count = count
        self._texts: list[str] = []
        self._chars = 0
        self._counted = 0
        self._finished = False  # some choice has ended
        self.usage: Usage | None = None
        self.done = False
        self.failure: Failure | None = None
        self.model = ""
        self.finish = ""

    def _note(self, event: _Event) -> None:
        """Everything but the text."""
        if not self.model and isinstance(event.model, str):
            self.model = event.model
        usage = event.usage
        if not usage and isinstance(event.x_groq, dict):
            usage = event.x_groq.get("usage")
        if type(usage) is Counts:
            self.usage = usage.read(event.service_tier) or self.usage
        elif usage:
            self.usage = read_usage(usage, keep_extras=False, service_tier=event.service_tier) or self.usage
        if event.error and self.failure is None and not (event.choices and isinstance(event.error, bool)):
            self.failure = failure_of({"error": event.error})
        for choice in event.choices or ():
            if isinstance(choice.finish_reason, str):
                self._finished = True
                if not choice.index and not self.finish:
                    self.finish = choice.finish_reason

    def _see(self, choice: _Choice) -> None:
        """Keep the text that one choice of an event or reply brings."""
        delta = choice.delta
        if delta is None and choice.text is None:
            try:
                delta = _decode_delta(choice.message)
            except (ValidationError, DecodeError, UnicodeDecodeError, RecursionError):
                return
        pieces = [choice.text] if delta is None else _pieces(delta)
        texts = [text for text in pieces if isinstance(text, str) and text]
        self._texts += texts
        self._chars += sum(map(len, texts))
        if self._chars > COUNT_CHARS or len(self._texts) > COUNT_PIECES:
            self._gather()

    def _gather(self) -> None:
        """Join the pieces; count and let go of them when there is much."""
        self._texts = ["".join(self._texts)]
        if self._chars > COUNT_CHARS:
            self._count_texts()

    def _count_texts(self) -> None:
        if self._texts:
            self._counted += self._count("".join(self._texts))
            self._texts.clear()
            self._chars = 0


def _pieces(delta: _Delta) -> list[Any]:
    """Everything in a delta or message that the model produced: text, thinking, refusal, tool names and arguments."""
    # `reasoning` repeats `reasoning_content` where a server sends both.
    pieces = [delta.content, delta.reasoning_content or delta.reasoning, delta.refusal]
    if isinstance(delta.content, list):
        for item in delta.content:
            if isinstance(item, dict):
                thinking = item.get("thinking")
                inner = thinking if isinstance(thinking, list) else [{"text": thinking}]
                pieces += [item.get("text"), *(held.get("text") for held in inner if isinstance(held, dict))]
    calls = delta.tool_calls if isinstance(delta.tool_calls, list) else []
    for call in [*calls, {"function": delta.function_call}]:
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            pieces += [function.get("name"), function.get("arguments")]
    return pieces


class StreamTap(_Tap):
    """Server-sent events. `cut_usage`: leave out the usage event (no choices), which only the gateway asked for."""

    __slots__ = ("_cut", "_scanner", "_seam", "_tail")

    def __init__(self, count: CountTokens, cut_usage: bool) -> None:
        super().__init__(count)
        self._cut = cut_usage
        self._tail = bytearray()  # an unfinished event
        self._seam = 0  # no blank line ends in the tail before this
        self._scanner: TopLevelScanner | None = None  # reads an unfinished event too large to hold

    def feed(self, chunk: bytes) -> bytes:
        if self.failure is not None:
            return b""
        if self._tail or self._scanner is not None or not (chunk[-2:] == b"\n\n" or chunk[-4:] == b"\r\n\r\n"):
            return self._seams(chunk)
        # The usual chunk is one whole event; white space after the JSON is fine with the decoder.
        if chunk[:7] == b"data: {":
            try:
                event = _decode_usual(chunk[6:])
            except (ValidationError, DecodeError, UnicodeDecodeError, RecursionError):
                return self._block(chunk)  # several events, or one that can't be read
            usage_only = self._learn(event)
            return b"" if self.failure is not None or (usage_only and self._cut) else chunk
        return self._block(chunk)

    def _learn(self, event: _Event) -> bool:
        """Learn from one event. True where it is the usage event: usage, and an empty list of choices."""
        choices = event.choices
        if choices and self.model and not (event.usage or event.error or event.x_groq) and len(choices) == 1:
            choice = choices[0]
            delta = choice.delta
            if choice.finish_reason is None and delta is not None:
                text = delta.content
                # Plain text and nothing else, the usual case, saves the look into everything else.
                if (
                    type(text) is str
                    and delta.tool_calls is None
                    and delta.reasoning_content is None
                    and delta.reasoning is None
                    and delta.refusal is None
                    and len(self._texts) < COUNT_PIECES
                    and self._chars < COUNT_CHARS
                ):
                    self._texts.append(text)
                    self._chars += len(text)
                else:
                    self._see(choice)
                return False
        return self._take(event)

    def _take(self, event: _Event) -> bool:
        self._note(event)
        for choice in event.choices or ():
            self._see(choice)
        return event.choices == [] and bool(event.usage) and not event.error

    def _seams(self, chunk: bytes) -> bytes:
        """A chunk of several events, or one that starts or ends inside an event."""
        if self._scanner is not None:
            return self._pass_large(chunk)
        tail = self._tail
        tail += chunk
        end = _last_blank_line(tail, max(0, self._seam - 3))
        out = b""
        if end:
            block = bytes(tail[:end])
            del tail[:end]
            out = self._block(block)
        self._seam = len(tail)
        if len(tail) < 64 and bytes(tail).strip() in _DONE:
            self._end()
        if len(tail) > MAX_EVENT_BYTES and self.failure is None:
            out += self._begin_large()
        return out

    def _block(self, block: bytes) -> bytes:
        """Whole events. Returns them up to an error, without the usage event if that is cut."""
        kept: list[bytes] = []
        start = saved = 0
        for blank, end in blank_lines(block):
            usage_only = self._read(block[start:blank])
            if self.failure is not None:
                return b"".join(kept) + block[saved:start]
            if usage_only and self._cut:
                kept.append(block[saved:start])
                saved = end
            start = end
        if not saved:
            return block
        kept.append(block[saved:])
        return b"".join(kept)

    def _read(self, piece: bytes) -> bool:
        """Learn from one event's lines. True where it is the usage event."""
        if piece[:7] == b"data: {":
            plain = _parse(piece[6:])
            if plain is not None:
                return self._learn(plain)
        found = parse_block(piece)
        if found is None or not found.data.strip():
            return False
        if found.data.strip() == b"[DONE]":
            self._end()
            return False
        event = _parse(found.data)
        if event is None:
            if self.failure is None and not self.done:
                self.failure = _UNREADABLE
            return False
        return self._take(event)

    def _end(self) -> None:
        self.done = self.failure is None

    # --- events too large to hold ----------------------------------------------

    def _begin_large(self) -> bytes:
        """The unfinished event can't be the usage event: forward it, and scan the rest as it comes."""
        held = bytes(self._tail)
        self._scanner = TopLevelScanner(_WANTED)
        self._scanner.feed(held[max(held.find(b"{"), 0) :])
        self._tail[:] = held[-3:]  # its blank line may lie across the seam
        self._seam = 0
        return held

    def _pass_large(self, chunk: bytes) -> bytes:
        assert self._scanner is not None
        seam = len(self._tail)
        joined = bytes(self._tail) + chunk
        found = blank_lines(joined)
        if not found:
            self._scanner.feed(chunk)
            self._tail[:] = joined[-3:]
            return chunk
        cut = max(found[0][1] - seam, 0)
        self._scanner.feed(chunk[:cut])
        self._note(_scanned(self._scanner))
        self._scanner = None
        self._tail.clear()
        rest = chunk[cut:]
        return chunk[:cut] + self.feed(rest) if rest else chunk

    # --- the end ------------------------------------------------------------------

    def close(self) -> bytes:
        """The last bytes. Whole if [DONE] came, or if every event did and a choice had finished."""
        if self._scanner is not None:
            return b""
        tail = bytes(self._tail)
        self._tail.clear()
        whole, usage_only = self._close_tail(tail) if tail.strip() else (True, False)
        if whole and self._finished and self.failure is None:
            self.done = True
        return b"" if self.failure is not None or (usage_only and self._cut) else tail

    def _close_tail(self, tail: bytes) -> tuple[bool, bool]:
        """The stream ended without a blank line: (did it end between events, was that the usage event)."""
        found = parse_block(tail)
        data = tail if tail[:1] == b"{" else found.data if found is not None else b""
        if not data or data.strip() == b"[DONE]":
            return True, False
        event = _parse(data)
        if event is None:
            return False, False
        return True, self._take(event)

    def produced(self) -> int:
        self._count_texts()
        return self._counted


def _last_blank_line(buffer: bytearray, start: int) -> int:
    """The index after the last blank line that ends in `buffer`, 0 where there is none."""
    double = buffer.rfind(b"\n\n", start)
    mixed = buffer.rfind(b"\n\r\n", start)
    old = buffer.rfind(b"\r\r", start)
    return max(double + 2 if double >= 0 else 0, mixed + 3 if mixed >= 0 else 0, old + 2 if old >= 0 else 0)


def _scanned(scanner: TopLevelScanner) -> _Event:
    """What a scanner caught, as an event."""
    held: dict[str, Any] = {}
    for key, value in scanner.values.items():
        try:
            held[key] = decode_any(value)
        except (DecodeError, UnicodeDecodeError, RecursionError):
            continue
    return _Event(**held)


class WholeTap(_Tap):
    """One JSON object (a chat completion, embeddings), forwarded as it comes."""

    __slots__ = ("_bytes", "_choices", "_pieces", "_scanner")

    def __init__(self, count: CountTokens) -> None:
        super().__init__(count)
        self._pieces: list[bytes] = []
        self._bytes = 0
        self._choices: list[_Choice] = []
        self._scanner: TopLevelScanner | None = None

    def feed(self, chunk: bytes) -> bytes:
        if self._scanner is not None:
            self._scanner.feed(chunk)
            return chunk
        self._pieces.append(chunk)
        self._bytes += len(chunk)
        if self._bytes > WHOLE_BYTES:
            self._scanner = TopLevelScanner(_WANTED)
            for piece in self._pieces:
                self._scanner.feed(piece)
            self._pieces.clear()
        return chunk

    def close(self) -> bytes:
        if self._scanner is not None:
            self._finish(_scanned(self._scanner), self._scanner.complete, self._scanner.broken)
            return b""
        body = b"".join(self._pieces)
        self._pieces.clear()
        event = _parse(body)
        if event is not None:
            self._choices = event.choices or []
            self._finish(event, True, False)
        else:
            self._finish(_Event(), False, body.lstrip()[:1] not in (b"{", b""))
        return b""

    def _finish(self, event: _Event, whole: bool, broken: bool) -> None:
        self._note(event)
        self.done = whole and self.failure is None
        if broken and self.failure is None:
            self.failure = _UNREADABLE

    def produced(self) -> int:
        """From the parsed reply. A large one is not kept, and has its usage unless it was cut: then 0."""
        for choice in self._choices:
            self._see(choice)
        self._choices = []
        self._count_texts()
        return self._counted
