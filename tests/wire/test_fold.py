"""Events <-> whole replies: each says all that the other does."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from freehold.wire.chat import (
    ChatReply,
    Choice,
    Delta,
    End,
    Event,
    Failure,
    Finish,
    Opaque,
    PartEnd,
    PartStart,
    Refusal,
    Start,
    Text,
    Thinking,
    ToolUse,
    Usage,
    UsageReport,
)
from freehold.wire.fold import Fold, fold, unfold

_text = st.text(max_size=5)
_raw = st.sampled_from([Raw(b"1"), Raw(b'{"a":[]}')])
_extras = st.dictionaries(_text, _raw, max_size=2)
_part = (
    st.builds(Text, text=_text, citations=st.lists(_raw, max_size=2), extras=_extras)
    | st.builds(Thinking, text=_text, signature=_text, redacted=_text, id=_text, extras=_extras)
    | st.builds(ToolUse, id=_text, name=_text, arguments=_text, extras=_extras)
    | st.builds(Refusal, text=_text)
    | st.builds(Opaque, dialect=_text, kind=_text, raw=_raw)
)
_logprobs = st.none() | st.just(Raw(b'{"content":[{"token":"a"}]}'))
_choice = st.builds(
    Choice,
    parts=st.lists(_part, min_size=1, max_size=4),
    finish=st.sampled_from(["stop", "length", "tool_use", "unknown"]),
    raw_reason=_text,
    stop_sequence=st.none() | _text,
    logprobs=_logprobs,
    extras=_extras,
)


def _numbered(choices: list[Choice]) -> list[Choice]:
    for number, choice in enumerate(choices):
        choice.index = number
    return choices


_reply = st.builds(
    ChatReply,
    dialect=st.sampled_from(["anthropic", "openai_chat"]),
    id=_text,
    model=_text,
    created_s=st.integers(0, 9),
    choices=st.lists(_choice, max_size=3).map(_numbered),
    usage=st.none() | st.builds(Usage, input=st.integers(0, 9), output=st.integers(0, 9), extras=_extras),
    extras=_extras,
)


@settings(max_examples=200)
@given(_reply)
def test_a_reply_unfolded_and_folded_is_the_same(reply: ChatReply) -> None:
    assert fold(unfold(reply), "another") == reply


@given(_reply)
def test_unfolding_leaves_the_reply_alone(reply: ChatReply) -> None:
    before = repr(reply)
    fold(unfold(reply), "another").model = "changed"
    assert repr(reply) == before


def test_a_reply_in_one_go_and_in_pieces_is_the_same() -> None:
    pieces: list[Event] = [
        Start(id="r", model="m", usage=Usage(input=3, estimated=True)),
        PartStart(part=0, body=Thinking()),
        Delta(part=0, text="a"),
        Delta(part=0, signature="s1"),
        Delta(part=0, text="b", signature="s2"),
        PartStart(part=1, body=ToolUse(id="t", name="f")),
        PartStart(part=2, body=Text(text="x")),
        Delta(part=1, text='{"k"'),
        Delta(part=2, text="y", citation=Raw(b"1")),
        Delta(part=1, text=":1}"),
        PartEnd(part=1),
        Finish(reason="stop", raw_reason="end"),
        UsageReport(usage=Usage(input=3, output=9)),
        End(),
    ]
    choice = Choice(
        parts=[
            Thinking(text="ab", signature="s2"),
            ToolUse(id="t", name="f", arguments='{"k":1}'),
            Text(text="xy", citations=[Raw(b"1")]),
        ],
        finish="stop",
        raw_reason="end",
    )
    assert fold(pieces, "d") == ChatReply(dialect="d", id="r", model="m", choices=[choice], usage=Usage(input=3, output=9))


def test_choices_come_out_in_their_order_with_their_own_parts() -> None:
    events: list[Event] = [PartStart(choice=number, part=0, body=Text(text="")) for number in (2, 0, 1)]
    events += [Delta(choice=number, part=0, text=str(number)) for number in (0, 1, 2, 2)]
    choices = fold(events, "d").choices
    assert [(choice.index, choice.parts) for choice in choices] == [
        (0, [Text(text="0")]),
        (1, [Text(text="1")]),
        (2, [Text(text="22")]),
    ]


def test_logprobs_of_pieces_are_joined_and_odd_ones_skipped() -> None:
    raws = [b'{"content":[1],"refusal":null}', b'{"content":7}', b'{"content":[2,3],"refusal":[4]}', b'{"content":null}']
    events: list[Event] = [PartStart(part=0, body=Text(text=""))]
    events += [Delta(part=0, logprobs=Raw(raw)) for raw in raws]
    logprobs = fold(events, "d").choices[0].logprobs
    assert logprobs is not None and json.loads(bytes(logprobs)) == {"content": [1, 2, 3], "refusal": [4]}


def test_the_reply_may_be_taken_before_the_end_and_again() -> None:
    collected = Fold("d")
    collected.add([PartStart(part=0, body=Text(text="")), Delta(part=0, text="a")])
    assert collected.reply().choices[0].parts == [Text(text="a")] and not collected.done
    collected.add([Delta(part=0, text="b"), End()])
    assert collected.reply().choices[0].parts == [Text(text="ab")] and collected.done


def test_the_first_failure_is_kept() -> None:
    collected = Fold("d")
    collected.add([Failure(message="first"), Failure(message="second")])
    assert collected.failure is not None and collected.failure.message == "first"


def test_the_reader_s_own_parts_are_not_changed() -> None:
    part = Text(text="")
    fold([PartStart(part=0, body=part), Delta(part=0, text="a", extras={"x": Raw(b"1")}, citation=Raw(b"2"))], "d")
    assert part == Text(text="")
