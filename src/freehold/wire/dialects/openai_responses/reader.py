"""Upstream responses -> canonical events, streamed or whole.

Output items become parts: each content part of a message, a function call, a reasoning item (its pieces joined); every
other item is one Opaque part, told when it is done. Servers leave events out: what a delta did not bring is taken from
`output_item.done`, and items that were never announced from the last event. Unknown events are skipped; unreadable bytes
yield a Failure, never an exception.
"""

from __future__ import annotations

from typing import Any

from msgspec import DecodeError

from freehold.wire.chat import End, Event, Extras, Failure, Finish, FinishReason, Opaque, Refusal, Start, ToolUse, UsageReport
from freehold.wire.dialects.openai_responses.errors import UNFINISHED, UNREADABLE, failure
from freehold.wire.dialects.openai_responses.output_in import CallItem, Item, MessageItem, ReasoningItem, WholeItem
from freehold.wire.dialects.openai_responses.usage import read_usage, web_searches
from freehold.wire.dialects.openai_responses.words import CALL, NAME, decode_any, rest_of
from freehold.wire.fields import raws
from freehold.wire.sse import SSEDecoder, SSEError
from freehold.wire.wholereader import WholeReader

_BASICS = ("id", "object", "created_at", "model", "output", "usage")
_ENDING = ("status", "completed_at", "incomplete_details", "error")
_ENDS = {"response.completed": "completed", "response.incomplete": "incomplete", "response.failed": "failed"}
_INCOMPLETE: dict[str, FinishReason] = {"max_output_tokens": "length", "content_filter": "content_filter"}


class ReplyReader:
    """What the stream and the whole reader share."""

    def __init__(self) -> None:
        self._items: dict[int, Item] = {}  # by output index
        self._parts = 0
        self._kinds: set[type] = set()
        self._started = False
        self.over = False  # nothing that follows counts

    # --- what both forms of a reply hold ------------------------------------------

    def start(self, response: dict[str, Any], events: list[Event]) -> None:
        if self._started:
            return
        self._started = True
        reply_id, model, created = response.get("id"), response.get("model"), response.get("created_at")
        events.append(
            Start(
                id=reply_id if isinstance(reply_id, str) else "",
                model=model if isinstance(model, str) else "",
                created_s=int(created) if isinstance(created, int | float) and 0 <= created < 1e12 else 0,
                dialect=NAME,
                extras=rest_of(response, *_BASICS, *_ENDING),
            )
        )

    def done(self, index: int, item: dict[str, Any], events: list[Event]) -> None:
        """An item is complete."""
        held = self._items.get(index)
        if held is None or (type(held) is WholeItem and not held.ended):  # what it is may only be told now
            held = self._open(index, item)
        if not held.ended:
            held.done(item, events)
            held.ended = True

    def end(self, response: dict[str, Any], word: str, extras: Extras, events: list[Event]) -> None:
        """The last of a reply: `word` is its status."""
        if self.over:
            return
        self.start(response, events)
        output = response.get("output")
        if isinstance(output, list) and not self._items:
            for index, item in enumerate(output):
                if isinstance(item, dict):
                    self.done(index, item, events)
        for held in self._items.values():
            if not held.ended:
                held.cut(events)
        if word not in ("completed", "incomplete"):
            self.fail(failure(response) if isinstance(response.get("error"), dict) else UNFINISHED, events)
            return
        self.over = True
        details = response.get("incomplete_details")
        cause = details.get("reason") if isinstance(details, dict) else None
        raw_reason = cause if isinstance(cause, str) and word == "incomplete" else word
        events.append(Finish(reason=self._reason(word, raw_reason), raw_reason=raw_reason, extras=extras))
        usage = read_usage(response.get("usage"), service_tier=response.get("service_tier"))
        if usage is not None:
            usage.web_searches = web_searches(response.get("tool_usage"))
            events.append(UsageReport(usage=usage))
        events.append(End())

    def fail(self, found: Failure, events: list[Event]) -> None:
        if not self.over:
            self.over = True
            events.append(found)

    def _reason(self, word: str, raw_reason: str) -> FinishReason:
        if word == "incomplete":
            return _INCOMPLETE.get(raw_reason, "length" if raw_reason == word else "unknown")
        if ToolUse in self._kinds:
            return "tool_use"
        return "refusal" if Refusal in self._kinds else "stop"

    # --- items ----------------------------------------------------------------------

    def _open(self, index: int, item: dict[str, Any]) -> Item:
        kind = item.get("type")
        held: Item
        if kind == "message":
            held = MessageItem(self, item)
        elif kind == "reasoning":
            held = ReasoningItem(self, item)
        elif kind == CALL and all(isinstance(item.get(name), str) for name in ("call_id", "name")):
            held = CallItem(self, item)
        else:
            held = WholeItem(self, item)
        self._items[index] = held
        return held

    def number(self, kind: type) -> int:
        """The next part's number."""
        if kind is not Opaque:
            self._kinds.add(kind)
        self._parts += 1
        return self._parts - 1

    # --- events ---------------------------------------------------------------------

    def event(self, value: Any, events: list[Event]) -> None:
        if not isinstance(value, dict):
            self.fail(UNREADABLE, events)
            return
        kind = value.get("type")
        if not isinstance(kind, str | None):
            return
        index = value.get("output_index")
        index = index if type(index) is int else 0
        response = value.get("response")
        if kind == "error" or (kind is None and value.get("error")):
            self.fail(failure(value), events)
        elif isinstance(response, dict):
            self.start(response, events)
            if kind in _ENDS:
                status = response.get("status")
                word = _ENDS[kind] if kind == "response.failed" or not isinstance(status, str) else status
                self.end(response, word, rest_of(response, *_BASICS), events)
        elif kind is not None and kind.startswith("response."):
            self.start({}, events)
            self._item_event(kind, index, value, events)

    def _item_event(self, kind: str, index: int, value: dict[str, Any], events: list[Event]) -> None:
        item = value.get("item")
        if isinstance(item, dict):
            if kind == "response.output_item.added":
                if index not in self._items:
                    self._open(index, item).added(events)
            elif kind == "response.output_item.done":
                self.done(index, item, events)
            return
        held = self._items.get(index)
        if held is None and kind in _UNANNOUNCED:
            held = self._open(index, {"type": _UNANNOUNCED[kind]})
        if held is not None and not held.ended:
            held.event(kind, value, events)


# Deltas that say by themselves what their item is.
_UNANNOUNCED = {
    "response.output_text.delta": "message",
    "response.refusal.delta": "message",
    "response.reasoning_summary_text.delta": "reasoning",
    "response.reasoning_text.delta": "reasoning",
}


class StreamReader:
    """Server-sent events in any chunking -> canonical events."""

    def __init__(self) -> None:
        self._sse = SSEDecoder()
        self._reply = ReplyReader()

    def feed(self, chunk: bytes) -> list[Event]:
        events: list[Event] = []
        if self._reply.over:
            return events
        try:
            blocks = self._sse.feed(chunk)
        except SSEError:
            self._reply.fail(UNREADABLE, events)
            return events
        for block in blocks:
            self._event(block.data, events)
        return events

    def close(self) -> list[Event]:
        events: list[Event] = []
        if self._reply.over:
            return events
        rest = self._sse.rest
        if rest[:1] == b"{":  # a whole reply, or an error, from a server that does not stream
            value = _parsed(rest)
            if isinstance(value, dict):
                whole(self._reply, value, events)
            return events
        for block in self._sse.close():
            if _parsed(block.data) is not None:  # else cut in the middle of an event: not whole
                self._event(block.data, events)
        return events

    def _event(self, data: bytes, events: list[Event]) -> None:
        if self._reply.over or not data.strip() or data.strip() == b"[DONE]":
            return
        value = _parsed(data)
        if value is None:
            self._reply.fail(UNREADABLE, events)
        else:
            self._reply.event(value, events)


def _parsed(data: bytes) -> Any:
    try:
        return decode_any(data)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return None


def whole(reply: ReplyReader, value: dict[str, Any], events: list[Event]) -> None:
    """A response object, or an error in its place."""
    error, status = value.get("error"), value.get("status")
    if error and not isinstance(value.get("output"), list):
        reply.fail(failure(value), events)
    elif not isinstance(value.get("output"), list):
        reply.fail(UNREADABLE, events)
    else:
        extras = raws({name: member for name, member in value.items() if name in _ENDING})
        reply.end(value, status if isinstance(status, str) else "completed", extras, events)


def whole_reader() -> WholeReader:
    return WholeReader(_whole, UNREADABLE)


def _whole(body: bytes) -> list[Event]:
    value = decode_any(body)
    if not isinstance(value, dict):
        return [UNREADABLE]
    events: list[Event] = []
    whole(ReplyReader(), value, events)
    return events
