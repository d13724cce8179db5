"""Reasoning on its way into an output item: its text in one piece, or in the pieces that its provider told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

from freehold.wire.chat import Delta, Thinking
from freehold.wire.dialects.openai_responses.items_in import breaks_of
from freehold.wire.dialects.openai_responses.items_out import reasoning
from freehold.wire.dialects.openai_responses.slots import Members, Slot
from freehold.wire.dialects.openai_responses.words import BREAKS, IN, JOINT, decode_any, text_of
from freehold.wire.seal import seal

if TYPE_CHECKING:
    from freehold.wire.dialects.openai_responses.output_out import Output


class ReasoningSlot(Slot):
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

    def _emit(self, what: str, **members: object) -> None:
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
        self.out.done(self.index, item)
