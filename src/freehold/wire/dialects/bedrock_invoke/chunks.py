"""Claude's replies on Bedrock: the events of Anthropic's stream, each as base64 in a chunk of an AWS event stream.

The reader takes the chunks out and gives them to Anthropic's own as server-sent events; the writer goes the other way.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw, json

from freehold.wire.chat import Event, Start, Usage, UsageReport
from freehold.wire.dialect import WriterOptions
from freehold.wire.dialects.anthropic.reader import StreamReader as AnthropicReader
from freehold.wire.dialects.anthropic.writer import StreamWriter as AnthropicWriter
from freehold.wire.dialects.bedrock.events import broken, failure, is_failure
from freehold.wire.dialects.bedrock_invoke.tap import WireChunk, decode_chunk
from freehold.wire.eventstream import EventStreamDecoder, EventStreamError
from freehold.wire.eventstream import encode as encode_message
from freehold.wire.sse import SSEDecoder
from freehold.wire.sse import encode as sse

_encode = json.Encoder().encode
_fields = json.Decoder(dict[str, Raw]).decode
_HEADERS = {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}


class StreamReader:
    __slots__ = ("_decoder", "_failed", "_inner")

    def __init__(self) -> None:
        self._decoder = EventStreamDecoder()
        self._inner = AnthropicReader()
        self._failed = False

    def feed(self, chunk: bytes) -> list[Event]:
        if self._failed:
            return []
        events: list[Event] = []
        try:
            for message in self._decoder.feed(chunk):
                if is_failure(message):
                    self._failed = True
                    return [*events, failure(message)]
                if message.text(":event-type") == "chunk":
                    data = decode_chunk(message.payload).data
                    events += self._inner.feed(sse(data.replace(b"\n", b" ").replace(b"\r", b" ")))
        except EventStreamError as error:
            self._failed = True
            events.append(broken(str(error)))
        except (ValueError, RecursionError):
            self._failed = True
            events.append(broken("a chunk of the stream is not what the model sends"))
        return events

    def close(self) -> list[Event]:
        if self._failed:
            return []
        try:
            self._decoder.close()
        except EventStreamError as error:
            if not self._decoder.rest:  # one that was cut is not broken
                self._failed = True
                return [broken(str(error))]
        return self._inner.close()


class StreamWriter:
    """The last chunk has the metrics that Bedrock adds there, without the times: this side knows no clock."""

    __slots__ = ("_inner", "_sse", "_usage")

    def __init__(self, options: WriterOptions) -> None:
        self._inner = AnthropicWriter(options)
        self._sse = SSEDecoder()
        self._usage = Usage()

    def write(self, events: list[Event]) -> bytes:
        for event in events:
            if isinstance(event, UsageReport | Start) and event.usage is not None:
                self._usage = event.usage
        return self._wrap(self._inner.write(events))

    def close(self) -> bytes:
        return self._wrap(self._inner.close())

    def _wrap(self, data: bytes) -> bytes:
        return b"".join(
            [chunk(self._with_metrics(e.data) if e.event == b"message_stop" else e.data) for e in self._sse.feed(data)]
        )

    def _with_metrics(self, data: bytes) -> bytes:
        usage = self._usage
        fields: dict[str, Any] = dict(_fields(data))
        metrics = {
            "inputTokenCount": max(usage.input - usage.cache_read - usage.cache_write, 0),
            "outputTokenCount": usage.output,
            "cacheReadInputTokenCount": usage.cache_read,
            "cacheWriteInputTokenCount": usage.cache_write,
        }
        return _encode({**fields, "amazon-bedrock-invocationMetrics": metrics})


def chunk(payload: bytes) -> bytes:
    return encode_message(_encode(WireChunk(payload)), {**_HEADERS})
