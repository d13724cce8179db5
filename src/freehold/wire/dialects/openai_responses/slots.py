"""Parts on their way into output items: content into messages, calls into items of their own (reasoning_out.py: reasoning)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Raw, json

from freehold.wire.chat import AnyPart, Delta, Extras, Opaque, Refusal, Text, ToolUse
from freehold.wire.dialects.openai_responses.items_out import item_members
from freehold.wire.dialects.openai_responses.words import CALL, IN, ITEM_EXTRAS, decode_any
from freehold.wire.seal import seal

if TYPE_CHECKING:
    from freehold.wire.dialects.openai_responses.output_out import Output

Members = dict[str, Any]

_logprobs = json.Decoder(dict[str, list[Raw] | None]).decode


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


# --- messages -------------------------------------------------------------------------


class MessageOut:
    def __init__(self, out: Output, members: Members) -> None:
        self.out = out
        self.members = members
        self.contents: list[ContentSlot] = []
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
        self.out.done(self.index, {"status": status, **members, "role": "assistant", "content": parts})


class ContentSlot(Slot):
    """One content part of a message."""

    def __init__(self, out: Output, body: AnyPart) -> None:
        super().__init__(out, body)
        self.pieces: list[str] = []
        self.annotations: list[Any] = []
        self.logprobs: list[Raw] = []
        self.extras: Extras = {key: raw for key, raw in body.extras.items() if key != ITEM_EXTRAS} if out.own else {}
        self.item_extras: Members = {}
        self.empty = out.own and body.spelling.get(IN) == "empty"  # stands for no content at all
        self._message: MessageOut | None = None
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

    def _open(self) -> MessageOut:
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


class CallSlot(Slot):
    def __init__(self, out: Output, body: ToolUse) -> None:
        super().__init__(out, body)
        if body.signature and not out.own:
            _seal_call(out, body)
        members = {"id": out.new_id("fc"), "type": CALL, **(item_members(body) if out.own else {})}
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
        self.out.done(self.index, {"status": status, **self._members, "arguments": arguments})


def _seal_call(out: Output, body: ToolUse) -> None:
    """A call has no field for a signature: it travels in a reasoning item before it."""
    sealed = seal(body.signed_by or out.dialect, "call", body.signature)
    item: Members = {"id": out.new_id("rs"), "type": "reasoning", "summary": []}
    out.done(out.open(item), {**item, "encrypted_content": sealed})
