"""Canonical parts -> output items, with the events that tell them piece by piece.

Content parts that follow each other share a message; reasoning and calls are items of their own. Calls of other dialects
stay open until the reply finishes: their servers may come back to one at any time. Items of another dialect's parts open
with their first content, so none is empty. Opaque parts and extras of other dialects stay behind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from freehold.wire.chat import AnyPart, Delta, Opaque, PartEnd, PartStart, Refusal, Text, Thinking, ToolUse
from freehold.wire.dialects.openai_responses.items_out import item_members
from freehold.wire.dialects.openai_responses.reasoning_out import ReasoningSlot
from freehold.wire.dialects.openai_responses.slots import CallSlot, ContentSlot, Members, MessageOut, Slot
from freehold.wire.dialects.openai_responses.words import ITEM, NAME, WHOLE, decode_any

Emit = Callable[[str, Members], None]


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
        self._message: MessageOut | None = None

    def part_start(self, event: PartStart) -> None:
        body = event.body
        self.kinds.add(type(body))
        slot: Slot
        ours = isinstance(body, Opaque) and body.dialect == NAME
        item = ours and body.spelling.get(ITEM) == WHOLE
        if isinstance(body, Text | Refusal) or (ours and not item):
            slot = ContentSlot(self, body)
        elif isinstance(body, ToolUse):
            slot = CallSlot(self, body)
        elif isinstance(body, Thinking):
            slot = ReasoningSlot(self, body)
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

    def message_for(self, body: AnyPart) -> MessageOut:
        """The message that a content part goes into."""
        if self._message is None or (self.own and ITEM in body.spelling):
            self.end_message()
            members = item_members(body) if self.own else {}
            self._message = MessageOut(self, {"type": "message", "id": self.new_id("msg"), **members})
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
