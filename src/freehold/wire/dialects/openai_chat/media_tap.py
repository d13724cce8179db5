"""PASS for replies of any form: bytes go on as they come; what a JSON reply or a stream of events tells is read on the way.

Nothing is held but an unfinished event of up to 64 KB, so that an error event is not sent on. An image in base64 makes
events of megabytes: such a one is scanned as it passes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct, json

from freehold.wire.chat import Failure, Usage
from freehold.wire.counts import count_of, object_of
from freehold.wire.dialect import Relay
from freehold.wire.dialects.openai_chat.errors import failure_of
from freehold.wire.dialects.openai_chat.usage import read_usage
from freehold.wire.fields import TopLevelScanner

HOLD_BYTES = 64 * 1024  # of an unfinished event
MAX_LINE_BYTES = 4 * 1024 * 1024  # of a batch's output

_WANTED = frozenset(("model", "usage", "error", "duration", "type"))
_any = json.Decoder().decode


def usage_of(value: Any, known: Usage | None = None) -> Usage | None:
    """A decoded `usage` object in any spelling of these APIs; None where it tells nothing. Never raises.

    `known`: what the request told.
    """
    told = object_of(value)
    if "input_tokens" in told or "output_tokens" in told:
        inputs = object_of(told.get("input_tokens_details") or told.get("input_token_details"))
        outputs = object_of(told.get("output_tokens_details") or told.get("output_token_details"))
        cached = object_of(inputs.get("cached_tokens_details"))
        input, output = count_of(told.get("input_tokens")), count_of(told.get("output_tokens"))
        # All that an image API produces is pictures, unless it says otherwise.
        drawn = output if known is not None and known.images and not outputs else count_of(outputs.get("image_tokens"))
        usage: Usage | None = Usage(
            input=input,
            output=output,
            cache_read=min(count_of(inputs.get("cached_tokens")), input),
            audio_in=min(count_of(inputs.get("audio_tokens")), input),
            reasoning=min(count_of(outputs.get("reasoning_tokens")), output),
            audio_out=min(count_of(outputs.get("audio_tokens")), output),
            audio_cached=count_of(cached.get("audio_tokens")),
            image_in=min(count_of(inputs.get("image_tokens")), input),
            image_out=min(drawn, output),
            image_cached=count_of(cached.get("image_tokens")),
        )
    else:
        usage = read_usage(told, keep_extras=False)
    seconds = _seconds(told.get("seconds", told.get("prompt_audio_seconds")))
    if seconds:
        usage = usage or Usage()
        usage.seconds = seconds
    if usage is not None and known is not None:
        usage.characters, usage.images, usage.image_form = known.characters, known.images, known.image_form
    return usage


def _seconds(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and 0 < value < 1e9 and value is not True else 0.0


class PassTap:
    """A Relay that passes any bytes and learns nothing. `usage` is what is known without the reply."""

    def __init__(self, usage: Usage | None = None) -> None:
        self.usage = usage
        self.done = False
        self.failure: Failure | None = None
        self.model = ""
        self.finish = ""

    def feed(self, chunk: bytes) -> bytes:
        return chunk

    def close(self) -> bytes:
        self.done = self.failure is None
        return b""

    def produced(self) -> int:
        return 0

    def learn(self, found: dict[str, bytes]) -> None:
        """From raw top-level members of a reply or an event."""
        values = {name: value for name, raw in found.items() if (value := _value(raw)) is not None}
        if isinstance(values.get("model"), str):
            self.model = values["model"]
        told = usage_of(values.get("usage"), self.usage)
        if told is None and (duration := _seconds(values.get("duration"))):  # Whisper's verbose_json
            told = Usage(seconds=duration)
        self.usage = told or self.usage
        if values.get("error") and self.failure is None:
            self.failure = failure_of({"error": values["error"]})


class DocumentTap(PassTap):
    """A reply that is one JSON document."""

    def __init__(self, usage: Usage | None = None) -> None:
        super().__init__(usage)
        self._scanner = TopLevelScanner(_WANTED)

    def feed(self, chunk: bytes) -> bytes:
        self._scanner.feed(chunk)
        return chunk

    def close(self) -> bytes:
        self.learn(self._scanner.values)
        # A reply that is no JSON passes all the same; one that began as JSON and has no end was cut.
        cut = not self._scanner.complete and not self._scanner.broken
        self.done = self.failure is None and not cut
        return b""


class EventsTap(PassTap):
    """A stream of server-sent events, each with its JSON on one line."""

    def __init__(self, usage: Usage | None = None) -> None:
        super().__init__(usage)
        self._held = b""  # an unfinished line
        self._scanner: TopLevelScanner | None = None  # of a line too long to be held

    def feed(self, chunk: bytes) -> bytes:
        if self.failure is not None:
            return b""
        passed: list[bytes] = []
        start = 0
        while (end := chunk.find(b"\n", start) + 1) and self.failure is None:
            line = self._held + chunk[start:end]
            self._held = b""
            start = end
            if self._take(line):
                passed.append(line)
        if self.failure is None and start < len(chunk):
            self._held += chunk[start:]
            if self._scanner is not None or len(self._held) > HOLD_BYTES:
                passed.append(self._scan(self._held))
                self._held = b""
        return b"".join(passed)

    def close(self) -> bytes:
        last, self._held = self._held, b""
        if last and not self._take(last):
            last = b""
        self.done = self.failure is None
        return last

    def _take(self, line: bytes) -> bool:
        """A line's end has come. False: it tells an error, and is not passed on."""
        if self._scanner is not None:
            self._scan(line)
            self.learn(self._scanner.values)
            self._scanner = None
            self.failure = None  # most of that event has left
        elif line.startswith(b"data:") and (b'"usage"' in line or b'"error"' in line):
            scanner = TopLevelScanner(_WANTED)
            scanner.feed(line[5:])
            self.learn(scanner.values)
        return self.failure is None

    def _scan(self, piece: bytes) -> bytes:
        if self._scanner is None:
            self._scanner = TopLevelScanner(_WANTED)
            self._scanner.feed(piece.removeprefix(b"data:"))
        else:
            self._scanner.feed(piece)
        return piece


class BesideTap(PassTap):
    """Passes everything, errors too, and lets a dialect's own tap listen."""

    def __init__(self, listener: Relay) -> None:
        super().__init__()
        self._listener = listener

    def feed(self, chunk: bytes) -> bytes:
        if self._listener.failure is None:
            self._listener.feed(chunk)
            self._take_over()
        return chunk

    def close(self) -> bytes:
        if self._listener.failure is None:
            self._listener.close()
            self._take_over()
        return super().close()

    def produced(self) -> int:
        return self._listener.produced()

    def _take_over(self) -> None:
        self.usage, self.model, self.finish = self._listener.usage, self._listener.model, self._listener.finish


class BatchItem(Struct):
    """One request of a batch, as its output file tells of it."""

    custom_id: str
    model: str
    status: int
    usage: Usage | None


class _Response(Struct):
    status_code: int = 0
    body: Any = None


class _Line(Struct):
    custom_id: str
    response: _Response | None
    id: str = ""


_decode_line = json.Decoder(_Line).decode


class BatchTap(PassTap):
    """A file's content. Where it is a batch's output, `tell` is called with each of its requests as it passes."""

    def __init__(self, tell: Callable[[BatchItem], None]) -> None:
        super().__init__()
        self._tell = tell
        self._held: list[bytes] = []
        self._size = 0
        self._listens = True

    def feed(self, chunk: bytes) -> bytes:
        if not self._listens:
            return chunk
        start = 0
        while end := chunk.find(b"\n", start) + 1:
            self._line(b"".join((*self._held, chunk[start:end])))
            self._held.clear()
            self._size = 0
            start = end
        if start < len(chunk):
            self._held.append(chunk[start:])
            self._size += len(chunk) - start
            if self._size > MAX_LINE_BYTES:
                self._held.clear()
                self._listens = False
        return chunk

    def close(self) -> bytes:
        if self._held and self._listens:
            self._line(b"".join(self._held))
        self._held.clear()
        return super().close()

    def _line(self, line: bytes) -> None:
        if not self._listens:
            return
        try:
            read = _decode_line(line)
        except (ValueError, RecursionError):
            self._listens = not line.strip()  # some other file
            return
        response = read.response
        if response is not None:
            body = object_of(response.body)
            model = body.get("model")
            usage = usage_of(body.get("usage"))
            self._tell(BatchItem(read.custom_id, model if isinstance(model, str) else "", response.status_code, usage))


def _value(raw: bytes) -> Any:
    try:
        return _any(raw)
    except (ValueError, RecursionError):
        return None
