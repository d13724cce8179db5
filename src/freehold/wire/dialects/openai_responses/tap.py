"""PASS: bytes go through unchanged; usage, model, finish reason, errors and the end are read from them on the way.

Only the events that hold the response itself (created, completed...) and errors are parsed. All others are kept as they
came, to a bound, so that `produced` can count them if the reply is cut. An error and what follows it are not forwarded
(the pipeline tells the error in our own words); for that an unfinished event is held back, to a bound. The last event
repeats the whole reply and the request's tools: one above the bound is forwarded and scanned as it comes.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct, json

from freehold.wire.chat import Failure, Usage
from freehold.wire.dialect import CountTokens
from freehold.wire.dialects.openai_responses.errors import UNFINISHED, UNREADABLE, failure
from freehold.wire.dialects.openai_responses.usage import read_usage, web_searches
from freehold.wire.dialects.openai_responses.words import decode_any
from freehold.wire.document import Document
from freehold.wire.fields import TopLevelScanner
from freehold.wire.produced import CHUNK_COST, KEEP_BYTES, Produced, unescaped
from freehold.wire.sse import blank_lines, parse_block

_HOLD_BYTES = 64 * 1024  # an unfinished event above this is forwarded as it comes
_SCANNED = frozenset(("status", "model", "usage", "service_tier", "tool_usage", "incomplete_details", "error"))
_RESPONSE = re.compile(rb'"response"\s*:\s*(?=\{)')


# Values are `Any` because servers vary; they are checked where they are used.
class _Response(Struct):
    status: Any = None
    model: Any = ""
    usage: Any = None
    service_tier: Any = None
    tool_usage: Any = None
    incomplete_details: Any = None
    error: Any = None


class _Event(Struct):
    type: Any = None
    response: _Response | None = None
    error: Any = None
    code: Any = None
    message: Any = None


_decode_event = json.Decoder(_Event).decode
_decode_response = json.Decoder(_Response).decode


def _is_delta(chunk: bytes) -> bool:
    """The usual chunk: one event, whose name says that it is a piece of text. Spares the search in its data."""
    line = chunk.find(b"\n", 0, 64)
    return chunk[line - 6 : line] == b".delta" and chunk.find(b"\n\n") == len(chunk) - 2


class _Tap:
    """What both taps know and how they learn it from a response object."""

    __slots__ = ("done", "failure", "finish", "model", "usage")

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.done = False
        self.failure: Failure | None = None
        self.model = ""
        self.finish = ""

    def _note(self, response: _Response) -> None:
        if isinstance(response.model, str):
            self.model = response.model
        usage = read_usage(response.usage, keep_extras=False, service_tier=response.service_tier)
        if usage is not None:
            usage.web_searches = web_searches(response.tool_usage)
            self.usage = usage

    def _ended(self, response: _Response, status: Any) -> None:
        """The response says how it ended."""
        if status in ("completed", "incomplete"):
            details = response.incomplete_details if status == "incomplete" else None
            cause = details.get("reason") if isinstance(details, dict) else None
            self.finish = cause if isinstance(cause, str) else status
            self.done = True
        else:
            error = response.error
            self.failure = failure({"error": error}) if isinstance(error, dict) else UNFINISHED


class StreamTap(_Tap):
    __slots__ = ("_kept", "_kept_bytes", "_large", "_produced", "_scanner", "_seam", "_tail")

    def __init__(self, count: CountTokens) -> None:
        super().__init__()
        self._produced = Produced(count)
        self._tail = bytearray()  # an unfinished event
        self._seam = 0  # no blank line ends in the tail before this
        self._large = False  # the tail's event is too large to hold: the rest of it is forwarded as it comes
        self._scanner: TopLevelScanner | None = None  # reads the response in it
        self._kept: list[bytes] = []
        self._kept_bytes = 0

    def feed(self, chunk: bytes) -> bytes:
        if self.failure is not None:
            return b""
        if self._tail or self._large or not chunk.endswith(b"\n\n"):
            chunk = self._align(chunk)
            if not chunk:
                return b""
        # JSON inside a string can't match: its quotes are escaped, and a false match is only slower.
        if not _is_delta(chunk) and (chunk.find(b'"response"') >= 0 or chunk.find(b'"error"') >= 0):
            chunk = self._read(chunk)
        self._kept.append(chunk)
        self._kept_bytes += len(chunk) + CHUNK_COST
        if self._kept_bytes > KEEP_BYTES:
            self._extract()
        return chunk

    def close(self) -> bytes:
        """A last event without its blank line is still an event, if it can be read."""
        tail = bytes(self._tail)
        self._tail.clear()
        if self._large or self.failure is not None:
            return b""
        found = parse_block(tail)
        if found is not None:
            self._look(found.data, last=True)
        return b"" if self.failure is not None else tail

    def produced(self) -> int:
        self._extract()
        return self._produced.tokens()

    # --- events -----------------------------------------------------------------

    def _align(self, chunk: bytes) -> bytes:
        """The events that are whole now; what follows them stays in the tail."""
        out = b""
        if self._large:
            chunk, out = self._pass_large(chunk)
        tail = self._tail
        tail += chunk
        spans = blank_lines(tail, max(0, self._seam - 3))
        end = spans[-1][1] if spans else 0
        out += bytes(tail[:end])
        del tail[:end]
        self._seam = len(tail)
        if len(tail) > _HOLD_BYTES:
            out += self._begin_large()
        return out

    def _begin_large(self) -> bytes:
        """The unfinished event is too large to hold: forward it, and scan its response as it comes."""
        held = bytes(self._tail)
        self._large = True
        found = _RESPONSE.search(held)
        # An item or a piece of text may hold the word too; a response comes first, or right after the event's type.
        if found is not None and found.start() < 256:
            self._scanner = TopLevelScanner(_SCANNED)
            self._scanner.feed(held[found.end() :])
        self._tail[:] = held[-3:]  # its blank line may lie across the seam
        self._seam = 0
        return held

    def _pass_large(self, chunk: bytes) -> tuple[bytes, bytes]:
        """More of a large event. Returns what follows it, and what to forward at once."""
        seam = len(self._tail)
        joined = bytes(self._tail) + chunk
        spans = blank_lines(joined)
        cut = max(spans[0][1] - seam, 0) if spans else len(chunk)
        if self._scanner is not None:
            self._scanner.feed(chunk[:cut])
        if not spans:
            self._tail[:] = joined[-3:]
            return b"", chunk
        self._tail.clear()
        self._seam = 0
        self._large = False
        if self._scanner is not None:
            self._large_response(self._scanner)
            self._scanner = None
        return chunk[cut:], chunk[:cut]

    def _large_response(self, scanner: TopLevelScanner) -> None:
        response = _Response(**scanner.decoded())
        self._note(response)
        if response.status not in ("in_progress", "queued", None):
            self._ended(response, response.status)

    def _read(self, chunk: bytes) -> bytes:
        """Learn from whole events. Returns them up to an error."""
        start = 0
        for blank, end in blank_lines(chunk):
            found = parse_block(chunk[start:blank])
            if found is not None:
                self._look(found.data)
                if self.failure is not None:
                    return chunk[:start]
            start = end
        return chunk

    def _look(self, data: bytes, last: bool = False) -> None:
        if data.find(b'"response"') < 0 and data.find(b'"error"') < 0:
            return
        try:
            event = _decode_event(data)
        except (ValueError, RecursionError):
            if not last and not self.done:  # the last one may be cut: then the reply is not whole, which says enough
                self.failure = self.failure or UNREADABLE
            return
        kind = event.type
        if kind == "error" or (kind is None and event.error):
            if not self.done:
                told = {"error": event.error} if event.error else {"code": event.code, "message": event.message}
                self.failure = self.failure or failure(told)
        elif event.response is not None:
            self._note(event.response)
            if kind in ("response.completed", "response.incomplete"):
                status = event.response.status
                self._ended(event.response, status if isinstance(status, str) else kind.removeprefix("response."))
            elif kind == "response.failed":
                self._ended(event.response, "failed")

    # --- counting -----------------------------------------------------------------

    def _extract(self) -> None:
        """Kept bytes -> the text in them. What follows the last line end stays for later."""
        lines, _, rest = b"".join(self._kept).rpartition(b"\n")
        if len(rest) > KEEP_BYTES:
            rest = b""  # of an event that is no delta
        self._kept = [rest] if rest else []
        self._kept_bytes = len(rest)
        for pattern in (_NAMES, _PIECES):
            self._produced.add(unescaped(b"".join(pattern.findall(lines))))


# A regular expression takes a tenth of the time of parsing each event, and this text is only ever counted. Inside a
# string the quotes before these names are escaped, so that they can't match there.
_PIECES = re.compile(rb'"delta":\s*"([^"\\]*(?:\\.[^"\\]*)*)"')
_NAMES = re.compile(rb'output_item\.added"[^\n]{0,2000}?"name":\s*"([^"\\]{0,200})"')


class WholeTap(_Tap):
    """A reply that is not a stream (also input_tokens, whose reply has no usage). Everything is known after `close`."""

    __slots__ = ("_count", "_document")

    def __init__(self, count: CountTokens) -> None:
        super().__init__()
        self._count = count
        self._document = Document(_SCANNED)

    def feed(self, chunk: bytes) -> bytes:
        self._document.feed(chunk)
        return chunk

    def close(self) -> bytes:
        scanner = self._document.scanner
        if scanner is not None:
            if not scanner.complete or scanner.broken:
                return b""
            response = _Response(**scanner.decoded())
        else:
            try:
                response = _decode_response(self._document.held())
            except (ValueError, RecursionError):
                return b""  # cut or garbage: not done
        self._note(response)
        status = response.status
        if status in ("failed", "cancelled") or (status is None and response.error):
            self._ended(response, "failed")
        elif status in ("completed", "incomplete"):
            self._ended(response, status)
        else:  # a background response that has only begun, or a count
            self.finish = status if isinstance(status, str) else ""
            self.done = True
        return b""

    def produced(self) -> int:
        """Counted from the output; where that can't be parsed, a token for every four bytes of the reply."""
        document = self._document
        if document.scanner is not None:
            return document.size // 4
        try:
            output = decode_any(document.held()).get("output")
        except (ValueError, RecursionError, AttributeError):
            return document.size // 4
        texts = [text for item in (output if isinstance(output, list) else []) for text in _texts(item)]
        return self._count("\n".join(texts)) if texts else 0


def _texts(item: Any) -> list[str]:
    """What the model produced of one output item."""
    if not isinstance(item, dict):
        return []
    texts = [item.get(name) for name in ("name", "arguments", "input", "code")]
    for name in ("content", "summary"):
        pieces = item.get(name)
        for piece in pieces if isinstance(pieces, list) else ():
            if isinstance(piece, dict):
                texts += [piece.get("text"), piece.get("refusal")]
    return [text for text in texts if isinstance(text, str) and text]
