"""Canonical parts -> output items, with the events that tell them piece by piece.

Content parts that follow each other share a message; reasoning and calls are items of their own. Calls of other dialects
stay open until the reply finishes: their servers may come back to one at any time. Items of another dialect's parts open
with their first content, so none is empty. Opaque parts and extras of other dialects stay behind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Raw, json, structs

from freehold.wire.chat import AnyPart, Delta, Extras, Opaque, PartEnd, PartStart, Refusal, Text, Thinking, ToolUse
from freehold.wire.dialects.openai_responses.items_in import breaks_of
from freehold.wire.dialects.openai_responses.items_out import item_members, reasoning
from freehold.wire.dialects.openai_responses.words import (
    BREAKS,
    CALL,
    IN,
    ITEM,
    ITEM_EXTRAS,
    JOINT,
    NAME,
    WHOLE,
    decode_any,
    text_of,
)
from freehold.wire.seal import seal

Members = dict[str, Any]
Emit = Callable[[str, Members], None]

_logprobs = json.Decoder(dict[str, list[Raw] | None]).decode


def citation_out(citation: Raw, own: bool) -> Members | Raw | None:
    """An annotation; None for a citation of a dialect whose form is not known here. OpenAI's chat nests the members."""
    if own:
        return citation
    try:
        value = decode_any(citation)
    except (ValueError, RecursionError):
        return None
    inner = value.get("url_citation") if isinstance(value, dict) and value.get("type") == "url_citation" else None
    if not isinstance(inner, dict) or not isinstance(inner.get("url"), str):
        return None
    ends = {name: inner[name] if type(inner.get(name)) is int else 0 for name in ("start_index", "end_index")}
    return {"type": "url_citation", "url": inner["url"], "title": str(inner.get("title") or ""), **ends}


class Slot:
    """A part on its way into an item."""

    def __init__(self, out: Output, body: AnyPart) -> None:
        self.out = out
        self.body = body
        self.index = -1  # of its item, once that is open

    def delta(self, event: Delta) -> None: ...

    def end(self) -> None:
        """The part ended."""

    def close(self, status: str) -> None:
        """The reply ended."""


class Output:
    """All items of one reply. `items` holds the finished ones, in order; None where one is still open."""

    def __init__(self, call_id: str, dialect: str, emit: Emit) -> None:
        self.call_id = call_id
        self.dialect = dialect
        self.own = dialect == NAME
        self.emit = emit
        self.items: list[Any] = []
        self.kinds: set[type] = set()
        self._slots: dict[int, Slot] = {}
        self._message: _Message | None = None

    def part_start(self, event: PartStart) -> None:
        body = event.body
        self.kinds.add(type(body))
        slot: Slot
        ours = isinstance(body, Opaque) and body.dialect == NAME
        item = ours and body.spelling.get(ITEM) == WHOLE
        if isinstance(body, Text | Refusal) or (ours and not item):
            slot = _Content(self, body)
        elif isinstance(body, ToolUse):
            slot = _Call(self, body)
        elif isinstance(body, Thinking):
            slot = _Reasoning(self, body)
        elif isinstance(body, Opaque) and item:
            self.whole(decode_any(body.raw))
            return
        else:
            return
        self._slots[event.part] = slot
        slot.delta(Delta(part=event.part, text=getattr(body, "arguments", getattr(body, "text", ""))))
        for citation in body.citations if isinstance(body, Text) else ():
            slot.delta(Delta(part=event.part, citation=citation))

    def delta(self, event: Delta) -> None:
        if (slot := self._slots.get(event.part)) is not None:
            slot.delta(event)

    def part_end(self, event: PartEnd) -> None:
        if (slot := self._slots.get(event.part)) is not None:
            slot.end()

    def close(self, status: str) -> None:
        """Finish what is open. `status` is that of an item which the end of the reply cut short."""
        last = len(self.items) - 1  # only the last item was cut
        for slot in self._slots.values():
            slot.close("completed" if slot.index < last else status)
        self.end_message("completed" if self._message is not None and self._message.index < last else status)

    # --- for slots ------------------------------------------------------------------

    def open(self, item: Members, keep_message: bool = False) -> int:
        """Announce an item. Returns its index."""
        if not keep_message:
            self.end_message()
        self.items.append(None)
        index = len(self.items) - 1
        self.emit("response.output_item.added", {"output_index": index, "item": item})
        return index

    def done(self, index: int, item: Members) -> None:
        self.items[index] = item
        self.emit("response.output_item.done", {"output_index": index, "item": item})

    def new_id(self, prefix: str) -> str:
        return f"{prefix}_{self.call_id}_{len(self.items)}"

    def message_for(self, body: AnyPart) -> _Message:
        """The message that a content part goes into."""
        if self._message is None or (self.own and ITEM in body.spelling):
            self.end_message()
            members = item_members(body) if self.own else {}
            self._message = _Message(self, {"type": "message", "id": self.new_id("msg"), "status": "in_progress", **members})
        return self._message

    def end_message(self, status: str = "completed") -> None:
        if self._message is not None:
            held, self._message = self._message, None
            held.done(status)

    def whole(self, item: Members) -> None:
        """An item that is known at once. A custom tool's input is told in a delta, where clients look for it."""
        begun = {**item, "status": "in_progress"} if "status" in item else item
        told = item.get("input") if item.get("type") == "custom_tool_call" else None
        if not isinstance(told, str):
            self.done(self.open(begun), item)
            return
        index = self.open({**begun, "input": ""})
        place = {"item_id": item.get("id") or "", "output_index": index}
        self.emit("response.custom_tool_call_input.delta", {**place, "delta": told})
        self.emit("response.custom_tool_call_input.done", {**place, "input": told})
        self.done(index, item)


def _ended(members: Members, status: str) -> Members:
    """The status of a finished item: what its provider said, unless that was only that it had begun."""
    return {**members, "status": status} if members.get("status") in ("in_progress", None) else members


# --- messages -------------------------------------------------------------------------


class _Message:
    def __init__(self, out: Output, members: Members) -> None:
        self.out = out
        self.members = members
        self.contents: list[_Content] = []
        begun = {**members, "status": "in_progress", "role": "assistant", "content": []}
        self.index = out.open(begun, keep_message=True)

    @property
    def place(self) -> Members:
        return {"item_id": self.members["id"], "output_index": self.index}

    def done(self, status: str) -> None:
        for content in self.contents:
            content.end()
        parts = [content.part() for content in self.contents if not content.empty]
        members = self.members
        for content in self.contents:
            members = {**members, **content.item_extras}
        self.out.done(self.index, {**_ended(members, status), "role": "assistant", "content": parts})


class _Content(Slot):
    """One content part of a message."""

    def __init__(self, out: Output, body: AnyPart) -> None:
        super().__init__(out, body)
        self.pieces: list[str] = []
        self.annotations: list[Any] = []
        self.logprobs: list[Raw] = []
        self.extras: Extras = {key: raw for key, raw in body.extras.items() if key != ITEM_EXTRAS} if out.own else {}
        self.item_extras: Members = {}
        self.empty = out.own and body.spelling.get(IN) == "empty"  # stands for no content at all
        self._message: _Message | None = None
        self._number = 0
        self._ended = False
        if out.own:
            self._open()

    def part(self) -> Any:
        if isinstance(self.body, Opaque):
            return self.body.raw
        text = "".join(self.pieces)
        if isinstance(self.body, Refusal):
            return {"type": "refusal", "refusal": text, **self.extras}
        return {"type": "output_text", "annotations": self.annotations, "logprobs": self.logprobs, "text": text, **self.extras}

    def _open(self) -> _Message:
        if self._message is None:
            message = self._message = self.out.message_for(self.body)
            self._number = sum(1 for content in message.contents if not content.empty)
            message.contents.append(self)
            if not self.empty:
                self._emit("response.content_part.added", part=self.part())
        return self._message

    def _emit(self, kind: str, **members: Any) -> None:
        assert self._message is not None
        self.out.emit(kind, {**self._message.place, "content_index": self._number, **members})

    def delta(self, event: Delta) -> None:
        annotation = citation_out(event.citation, self.out.own) if event.citation is not None else None
        logprobs = _token_logprobs(event.logprobs)
        if self.out.own and event.extras:
            self.extras.update((key, raw) for key, raw in event.extras.items() if key != ITEM_EXTRAS)
            if ITEM_EXTRAS in event.extras:
                self.item_extras = decode_any(event.extras[ITEM_EXTRAS])
        if self._ended or not (event.text or annotation is not None or logprobs):
            return
        self._open()
        self.logprobs += logprobs
        if event.text or logprobs:
            self.pieces.append(event.text)
            if isinstance(self.body, Refusal):
                self._emit("response.refusal.delta", delta=event.text)
            else:
                self._emit("response.output_text.delta", delta=event.text, logprobs=logprobs)
        if annotation is not None and isinstance(self.body, Text):
            number = len(self.annotations)
            self.annotations.append(annotation)
            self._emit("response.output_text.annotation.added", annotation_index=number, annotation=annotation)

    def end(self) -> None:
        if self._ended or self._message is None:
            return
        self._ended = True
        if self.empty:
            return
        part = self.part()
        if isinstance(self.body, Refusal):
            self._emit("response.refusal.done", refusal=part["refusal"])
        elif isinstance(self.body, Text):
            self._emit("response.output_text.done", text=part["text"], logprobs=self.logprobs)
        self._emit("response.content_part.done", part=part)


def _token_logprobs(raw: Raw | None) -> list[Raw]:
    """OpenAI's {"content": [...], "refusal": [...]} as this API's list; nothing for another shape."""
    if raw is None:
        return []
    try:
        lists = _logprobs(raw)
    except (ValueError, RecursionError):
        return []
    return lists.get("content") or lists.get("refusal") or []


# --- calls ----------------------------------------------------------------------------


class _Call(Slot):
    def __init__(self, out: Output, body: ToolUse) -> None:
        super().__init__(out, body)
        if body.signature and not out.own:
            _seal_call(out, body)
        members = {"id": out.new_id("fc"), "type": CALL, "status": "in_progress", **(item_members(body) if out.own else {})}
        call = {"call_id": body.id or f"{out.call_id}_{len(out.items)}", "name": body.name}
        self._members: Members = {**members, **call}
        self._pieces: list[str] = []
        self._ended = False
        self.index = out.open({**self._members, "status": "in_progress", "arguments": ""})

    def _place(self) -> Members:
        return {"item_id": self._members["id"], "output_index": self.index}

    def delta(self, event: Delta) -> None:
        if self._ended:
            return
        if ITEM_EXTRAS in event.extras and self.out.own:
            self._members |= decode_any(event.extras[ITEM_EXTRAS])
        if event.text:
            self._pieces.append(event.text)
            self.out.emit("response.function_call_arguments.delta", {**self._place(), "delta": event.text})

    def end(self) -> None:
        if self.out.own:
            self.close("completed")

    def close(self, status: str) -> None:
        if self._ended:
            return
        arguments = "".join(self._pieces)
        if not arguments and not self.out.own:
            # Clients parse the arguments as JSON: a call without any must still be an object.
            arguments = "{}"
            self.delta(Delta(part=0, text=arguments))
        self._ended = True
        whole = {"name": self._members["name"], "arguments": arguments}
        self.out.emit("response.function_call_arguments.done", {**self._place(), **whole})
        self.out.done(self.index, {**_ended(self._members, status), "arguments": arguments})


def _seal_call(out: Output, body: ToolUse) -> None:
    """A call has no field for a signature: it travels in a reasoning item before it."""
    sealed = seal(body.signed_by or out.dialect, "call", body.signature)
    item: Members = {"id": out.new_id("rs"), "type": "reasoning", "summary": []}
    out.done(out.open(item), {**item, "encrypted_content": sealed})


# --- reasoning ------------------------------------------------------------------------


class _Reasoning(Slot):
    """A reasoning item: its text in one piece, or in the pieces that its provider told."""

    body: Thinking

    def __init__(self, out: Output, body: Thinking) -> None:
        super().__init__(out, structs.replace(body, text="", extras=dict(body.extras) if out.own else {}))
        if not out.own:
            self.body.spelling = {}
        self._content = self.body.spelling.get(IN) == "content"
        breaks = decode_any(self.body.spelling[BREAKS]) if BREAKS in self.body.spelling else []
        self._breaks: list[int] = breaks
        self._at = 0  # characters of the joined text so far
        self._texts: list[str] = []  # finished pieces
        self._pieces: list[str] = []  # of the open one
        self._piece_open = False
        self._ended = False
        if out.own or body.redacted:
            self._open()

    def _open(self) -> None:
        if self.index < 0:
            self.body.id = self.body.id or self.out.new_id("rs")
            item = reasoning(Thinking(id=self.body.id, spelling=self._begun()))
            self.index = self.out.open({**item, "status": "in_progress"} if "status" in item else item)

    def _begun(self) -> dict[str, str]:
        return {key: how for key, how in self.body.spelling.items() if key != BREAKS}

    def delta(self, event: Delta) -> None:
        if self._ended:
            return
        if event.signature:
            self.body.signature = event.signature
        if self.out.own and event.extras:
            extras = dict(event.extras)
            if BREAKS in extras:
                self._breaks = decode_any(extras.pop(BREAKS))
            self.body.extras.update(extras)
        text = event.text
        while text:
            left = next((at for at in self._breaks if at >= self._at), None)
            if left is None or self._at + len(text) <= left:
                self._say(text)
                return
            head = left - self._at
            if not text.startswith(JOINT, head):  # the text was changed on the way: it goes on in one piece
                self._breaks = []
                continue
            self._say(text[:head])
            self._end_piece()
            text = text[head + len(JOINT) :]
            self._at = left + len(JOINT)
            self._open_piece()

    def _say(self, text: str) -> None:
        if text:
            self._open_piece()
            self._at += len(text)
            self._pieces.append(text)
            self._emit("text.delta", delta=text)

    def _open_piece(self) -> None:
        self._open()
        if not self._piece_open:
            self._piece_open = True
            self._emit("part.added", part=self._part(""))

    def _end_piece(self) -> None:
        if self._piece_open:
            self._piece_open = False
            text = "".join(self._pieces)
            self._pieces.clear()
            self._emit("text.done", text=text)
            self._emit("part.done", part=self._part(text))
            self._texts.append(text)

    def _part(self, text: str) -> Members:
        return {"type": "reasoning_text" if self._content else "summary_text", "text": text}

    def _emit(self, what: str, **members: Any) -> None:
        place: Members = {"item_id": self.body.id, "output_index": self.index}
        place["content_index" if self._content else "summary_index"] = len(self._texts)
        if self._content:
            kind = f"response.content_{what}" if what.startswith("part") else f"response.reasoning_{what}"
        else:
            kind = f"response.reasoning_summary_{what}"
        self.out.emit(kind, {**place, **members})

    def end(self) -> None:
        self.close("completed")

    def close(self, status: str) -> None:
        if self._ended:
            return
        body = self.body
        if body.signature:
            self._open()
        self._ended = True
        if self.index < 0:
            return
        self._end_piece()
        body.text = JOINT.join(self._texts)
        body.spelling = self._begun()
        if len(self._texts) > 1:
            body.spelling[BREAKS] = text_of(breaks_of(self._texts))
        if not self.out.own:
            what = "redacted" if body.redacted else "signature"
            sealed = seal(body.signed_by or self.out.dialect, what, body.redacted or body.signature)  # type: ignore[arg-type]
            body = structs.replace(body, signature=sealed)
        item = reasoning(body)
        self.out.done(self.index, _ended(item, status) if "status" in item else item)
