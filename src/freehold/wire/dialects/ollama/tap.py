"""PASS: bytes go through unchanged; model, usage, finish reason, errors and the end are read from them on the way.

Of a stream only the first line, the last one and errors are parsed as they pass. All other lines are kept as they came, to
a bound, so that `produced` can count their text if the reply is cut. An error line and what follows it are not forwarded
(the pipeline tells the error in our own words); for that an unfinished line is held back, to a bound.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, json

from freehold.wire.chat import Failure, Usage
from freehold.wire.dialect import CountTokens
from freehold.wire.dialects.ollama.lines import UNREADABLE, Call, Line, decode_line, failure_in, usage_of
from freehold.wire.document import Document
from freehold.wire.fields import TopLevelScanner
from freehold.wire.produced import CHUNK_COST, KEEP_BYTES, Produced

_HOLD_BYTES = 64 * 1024  # an unfinished line above this is forwarded as it comes
_GOES_ON = b'"done":false'


class _Tap:
    __slots__ = ("_count", "_produced", "done", "failure", "finish", "model", "usage")

    def __init__(self, count: CountTokens) -> None:
        self._count = count
        self._produced = Produced(count)
        self.usage: Usage | None = None
        self.done = False
        self.failure: Failure | None = None
        self.model = ""
        self.finish = ""

    def _note(self, line: Any) -> None:
        if not self.model and isinstance(line.model, str):
            self.model = line.model
        if line.error and self.failure is None:
            self.failure = failure_in(line.error)
        self.usage = usage_of(line) or self.usage
        if not self.finish and isinstance(line.done_reason, str):
            self.finish = line.done_reason

    def _text(self, line: Line) -> None:
        holder = line if line.message is None else line.message
        pieces = [line.response if line.message is None else line.message.content, holder.thinking]
        for call in holder.tool_calls or ():
            pieces += _call_text(call)
        for piece in pieces:
            if isinstance(piece, str) and piece:
                self._produced.add(piece)


def _call_text(call: Call) -> list[Any]:
    function = call.function
    return [] if function is None else [function.name, bytes(function.arguments).decode("utf-8", "replace")]


class _Summary(Struct):
    """What a whole reply of any kind, or the last line of a stream, says about itself."""

    model: Any = ""
    done: Any = False
    done_reason: Any = ""
    error: Any = None
    prompt_eval_count: Any = None
    eval_count: Any = None


_summary = json.Decoder(_Summary).decode
_WANTED = frozenset(_Summary.__struct_fields__)


def _summary_of(body: bytes | None) -> _Summary | None:
    """None where there is nothing to read, or nothing that can be."""
    try:
        return None if body is None else _summary(body)
    except (ValueError, RecursionError):
        return None


class StreamTap(_Tap):
    __slots__ = ("_kept", "_kept_bytes", "_scanner", "_tail")

    def __init__(self, count: CountTokens) -> None:
        super().__init__(count)
        self._tail = bytearray()  # an unfinished line
        self._scanner: TopLevelScanner | None = None  # reads a line too large to hold: generate's `context` makes some
        self._kept: list[bytes] = []  # whole lines whose text nobody has looked at
        self._kept_bytes = 0

    def feed(self, chunk: bytes) -> bytes:
        if self.failure is not None:
            return b""
        if self._tail or self._scanner is not None or chunk[-1:] != b"\n":
            return self._seams(chunk)
        return self._lines(chunk)

    def _seams(self, chunk: bytes) -> bytes:
        """A chunk that starts or ends inside a line."""
        out = b""
        if self._scanner is not None:
            out, chunk = self._pass_large(self._scanner, chunk)
        end = chunk.rfind(b"\n") + 1
        if end:
            whole = bytes(self._tail) + chunk[:end]
            self._tail.clear()
            out += self._lines(whole)
        self._tail += chunk[end:]
        if len(self._tail) > _HOLD_BYTES and self.failure is None:
            held = bytes(self._tail)
            self._tail.clear()
            self._scanner = TopLevelScanner(_WANTED)
            self._scanner.feed(held)
            out += held
        return out

    def _pass_large(self, scanner: TopLevelScanner, chunk: bytes) -> tuple[bytes, bytes]:
        """The rest of a large line, and what follows it in the chunk."""
        end = chunk.find(b"\n") + 1
        if not end:
            scanner.feed(chunk)
            return chunk, b""
        scanner.feed(chunk[:end])
        self._end_large(scanner)
        return chunk[:end], chunk[end:]

    def _end_large(self, scanner: TopLevelScanner) -> None:
        self._scanner = None
        line = _summary_of(scanner.joined()) if scanner.complete and not scanner.broken else None
        if line is None:
            self.failure = UNREADABLE
            return
        self._note(line)
        self.done = self.failure is None and line.done is True

    def _lines(self, block: bytes) -> bytes:
        """Whole lines. Returns them up to an error."""
        # A JSON string can't hold either mark: its quotes are escaped.
        ordinary = block.find(_GOES_ON) >= 0 and block.find(b'"error"') < 0 and bool(self.model)
        if ordinary and (block.find(b"\n") == len(block) - 1 or block.count(_GOES_ON) == block.count(b"\n")):
            self._keep(block)
            return block
        start = 0
        while start < len(block):
            end = block.find(b"\n", start) + 1
            self._read(block[start:end])
            if self.failure is not None:
                return block[:start]
            start = end
        return block

    def _read(self, data: bytes) -> None:
        if data.isspace() or self.done:
            return
        try:
            line = decode_line(data)
        except (ValueError, RecursionError):
            self.failure = UNREADABLE
            return
        self._note(line)
        if self.failure is None:
            self._extract()
            self._text(line)
            self.done = line.done is True

    def _keep(self, block: bytes) -> None:
        self._kept.append(block)
        self._kept_bytes += len(block) + CHUNK_COST
        if self._kept_bytes > KEEP_BYTES:
            self._extract()

    def _extract(self) -> None:
        """Kept lines -> the text in them."""
        for block in self._kept:
            for data in block.splitlines():
                try:
                    self._text(decode_line(data))
                except (ValueError, RecursionError):
                    continue  # the client's parser will say so
        self._kept.clear()
        self._kept_bytes = 0

    def close(self) -> bytes:
        """A last line without its line end is still one, if it can be read."""
        tail = bytes(self._tail)
        self._tail.clear()
        if self._scanner is not None and self._scanner.complete:
            self._end_large(self._scanner)
        if self.failure is not None:
            return b""
        if tail.strip():
            try:
                decode_line(tail)
            except (ValueError, RecursionError):
                return tail  # cut
            self._read(tail)
        return b"" if self.failure is not None else tail

    def produced(self) -> int:
        self._extract()
        return self._produced.tokens()


class WholeTap(_Tap):
    """One JSON object (chat, generate, embeddings). Everything is known after `close`."""

    __slots__ = ("_document",)

    def __init__(self, count: CountTokens) -> None:
        super().__init__(count)
        self._document = Document(_WANTED)

    def feed(self, chunk: bytes) -> bytes:
        self._document.feed(chunk)
        return chunk

    def close(self) -> bytes:
        document = self._document
        reply = _summary_of(document.json())
        scanner = document.scanner
        broken = scanner.broken if scanner is not None else document.held().lstrip()[:1] not in (b"{", b"")  # else it was cut
        if reply is not None:
            self._note(reply)
            self.done = self.failure is None
        elif broken:
            self.failure = UNREADABLE
        return b""

    def produced(self) -> int:
        """From the reply; of a large one, which is not kept, and of a cut one, a token for every four bytes."""
        document = self._document
        if document.scanner is not None:
            return document.size // 4
        try:
            line = decode_line(document.held())
        except (ValueError, RecursionError):
            return document.size // 4
        self._produced = Produced(self._count)
        self._text(line)
        return self._produced.tokens()
