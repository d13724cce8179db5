"""Parts that overlap come out one after another, and nothing is lost."""

from __future__ import annotations

from msgspec import Raw

from freehold.wire.chat import Delta, End, Event, Finish, PartEnd, PartStart, Start, Text, Thinking, ToolUse
from freehold.wire.fold import fold
from freehold.wire.sequence import Sequence


def sequenced(*events: Event, own: bool = False) -> list[Event]:
    sequence = Sequence()
    sequence.own = own
    return [out for event in events for out in sequence.add(event)]


def start(part: int, body: Text | Thinking | ToolUse) -> PartStart:
    return PartStart(part=part, body=body)


def test_text_that_is_interrupted_goes_on_in_a_new_part() -> None:
    first, second = [start(0, Text(text="")), Delta(part=0, text="a")], [start(1, Thinking()), Delta(part=1, text="b")]
    out = sequenced(*first, *second, Delta(part=0, text="c"), End())
    texts = [getattr(part, "text", "") for part in fold(out, "x").choices[0].parts]
    assert texts == ["a", "b", "c"]
    assert [event.part for event in out if isinstance(event, PartStart)] == [0, 1, 2]


def test_a_part_without_content_is_never_begun() -> None:
    assert sequenced(start(0, Text(text="")), PartEnd(part=0), start(1, Thinking()), End()) == [End()]


def test_the_first_tool_call_streams_and_the_second_waits() -> None:
    two = [
        start(0, ToolUse(id="a", name="f")),
        start(1, ToolUse(id="b", name="g")),
        Delta(part=1, text="{"),
        Delta(part=0, text="1"),
    ]
    out = sequenced(*two)
    assert [type(event) for event in out] == [PartStart, Delta] and out[1] == Delta(part=0, text="1")
    out = sequenced(*two, Delta(part=1, text="}"), Finish(reason="tool_use"))
    assert out[2:] == [
        PartEnd(part=0),
        PartStart(part=1, body=ToolUse(id="b", name="g")),
        Delta(part=1, text="{}"),
        PartEnd(part=1),
        Finish(reason="tool_use"),
    ]


def test_a_tool_call_ends_at_its_end_only_where_that_is_its_last_word() -> None:
    events = [start(0, ToolUse(id="a", name="f")), PartEnd(part=0), Delta(part=0, text="late")]
    assert sequenced(*events)[-1] == Delta(part=0, text="late")
    assert PartEnd(part=0) in sequenced(*events[:2], own=True)


def test_text_behind_an_open_tool_call_waits_and_keeps_its_order() -> None:
    out = sequenced(
        start(0, ToolUse(id="a", name="f")),
        start(1, Text(text="first")),
        start(2, Thinking(text="second", signature="s")),
        PartEnd(part=2),
        Delta(part=1, text=" more"),
        PartEnd(part=0),
        own=True,
    )
    parts = fold(out, "x").choices[0].parts
    assert [getattr(part, "text", "call") for part in parts] == ["call", "first more", "second"]
    assert parts[2].signature == "s"


def test_what_is_told_at_the_start_comes_as_deltas() -> None:
    out = sequenced(start(0, Thinking(text="h", signature="s")), PartEnd(part=0))
    assert out == [
        PartStart(part=0, body=Thinking()),
        Delta(part=0, text="h"),
        Delta(part=0, signature="s"),
        PartEnd(part=0),
    ]


def test_a_whole_part_comes_whole() -> None:
    body = Thinking(redacted="x")
    assert sequenced(start(0, body), PartEnd(part=0)) == [PartStart(part=0, body=body), PartEnd(part=0)]


def test_other_choices_and_unknown_parts_are_left_out() -> None:
    events = [PartStart(choice=1, part=0, body=Text(text="x")), Finish(choice=1, reason="stop"), Delta(part=9, text="x"), Start()]
    assert sequenced(*events) == [Start()]


def test_the_events_that_come_in_are_not_changed() -> None:
    body = Text(text="x")
    sequenced(start(0, body), Delta(part=0, text="y"), End())
    assert body == Text(text="x")


def test_a_citation_that_the_writer_can_not_write_begins_no_part() -> None:
    cited = start(0, Text(text="", citations=[Raw(b"{}")]))
    assert sequenced(cited, Delta(part=0, citation=Raw(b"{}")), End()) == [End()]
    assert [type(event) for event in sequenced(cited, End(), own=True)] == [PartStart, Delta, PartEnd, End]


def test_what_waits_when_the_reply_finishes_comes_out_in_one_piece() -> None:
    out = sequenced(
        start(0, ToolUse(id="a", name="f")),
        start(1, Thinking(signature="s")),
        Delta(part=1, text="why"),
        start(2, ToolUse(id="b", name="g")),
        Finish(reason="tool_use"),
    )
    parts = fold(out, "x").choices[0].parts
    assert [type(part) for part in parts] == [ToolUse, Thinking, ToolUse]
    assert isinstance(parts[1], Thinking) and (parts[1].text, parts[1].signature) == ("why", "s")


def test_more_text_of_the_open_part_is_numbered_as_that_part() -> None:
    out = sequenced(start(0, Text(text="")), start(5, Text(text="a")), Delta(part=5, text="b"), Delta(part=5, text="c"))
    assert out == [start(0, Text(text="")), *(Delta(part=0, text=text) for text in "abc")]


def test_withheld_thinking_takes_no_text() -> None:
    body = Thinking(redacted="x")
    assert sequenced(start(0, body), Delta(part=0, text="a"), PartEnd(part=0)) == [start(0, body), PartEnd(part=0)]
