"""WholeWriter: nothing before the end, then what `encode` makes of the folded events."""

from __future__ import annotations

import pytest

from freehold.wire.chat import ChatReply, Delta, End, Event, Finish, PartEnd, PartStart, Start, Text
from freehold.wire.dialect import WriterOptions
from freehold.wire.wholewriter import WholeWriter

OPTIONS = WriterOptions(False, "model", "call", 1)
EVENTS: list[Event] = [
    Start(id="r", dialect="there"),
    PartStart(part=0, body=Text(text="")),
    Delta(part=0, text="one "),
    Delta(part=0, text="two"),
    PartEnd(part=0),
    Finish(reason="stop"),
    End(),
]


def _encode(reply: ChatReply, options: WriterOptions) -> bytes:
    texts = [part.text for choice in reply.choices for part in choice.parts if isinstance(part, Text)]
    return repr((options.call_id, reply.id, reply.dialect, texts)).encode()


@pytest.mark.parametrize("cut", range(len(EVENTS) + 1))
def test_the_reply_is_encoded_once_at_the_end_however_its_events_come(cut: int) -> None:
    writer = WholeWriter(_encode, OPTIONS)
    assert writer.write(EVENTS[:cut]) == writer.write(EVENTS[cut:]) == b""
    assert writer.close() == b"('call', 'r', 'there', ['one two'])"


def test_a_reply_that_nobody_began_is_of_no_dialect() -> None:
    """So that no dialect takes what it holds for its own."""
    assert WholeWriter(_encode, OPTIONS).close() == b"('call', '', '', [])"
