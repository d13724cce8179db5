"""writer.py, output_out.py and echo.py: what a client of the Responses API gets, event by event and as a whole."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from freehold.wire.chat import (
    Delta,
    End,
    Event,
    Failure,
    Finish,
    FinishReason,
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
from freehold.wire.dialect import WriterOptions
from freehold.wire.seal import seal

from .bodies import DIALECT, RESPONSE, STREAM, as_the_sdk_reads, events_of, opened, read, reply_of, sdk_for, write
from .description import event_schemas, violations

CHAT_CITATION = {
    "type": "url_citation",
    "url_citation": {"url": "https://a.example", "title": "A", "start_index": 0, "end_index": 2},
}
TOKEN = {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}


def told(*parts: list[Event], reason: FinishReason = "stop", dialect: str = "other", usage: Usage | None = None) -> list[Event]:
    start = Start(id="r1", model="gpt-x", created_s=7, dialect=dialect)
    middle = [event for part in parts for event in part]
    report: list[Event] = [UsageReport(usage=usage or Usage(input=20, output=8, cache_read=15, reasoning=3))]
    return [start, *middle, Finish(reason=reason, raw_reason="x"), *report, End()]


def text(number: int, *pieces: str, **more: Any) -> list[Event]:
    deltas: list[Event] = [Delta(part=number, text=piece) for piece in pieces]
    return [PartStart(part=number, body=Text(text="", **more)), *deltas, PartEnd(part=number)]


def call(number: int, call_id: str, *pieces: str, **more: Any) -> list[Event]:
    deltas: list[Event] = [Delta(part=number, text=piece) for piece in pieces]
    return [PartStart(part=number, body=ToolUse(id=call_id, name="f", **more)), *deltas, PartEnd(part=number)]


def thinking(number: int, *pieces: str, signature: str = "", **more: Any) -> list[Event]:
    deltas: list[Event] = [Delta(part=number, text=piece) for piece in pieces]
    if signature:
        deltas.append(Delta(part=number, signature=signature))
    return [PartStart(part=number, body=Thinking(**more)), *deltas, PartEnd(part=number)]


FULL = told(
    thinking(0, "Hm, ", "well.", signature="sig"),
    text(1, "Hel", "lo"),
    call(2, "c1", '{"a":', "1}"),
    call(3, "c2"),
    reason="tool_use",
)


def output(events: list[Event], stream: bool = False) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = reply_of(events, stream)["output"]
    return found


# --- the order of events -----------------------------------------------------------------


def test_events_come_in_the_order_in_which_openai_sends_them() -> None:
    events = events_of(write(FULL))
    assert [event["type"].removeprefix("response.") for event in events] == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "output_item.added",
        "function_call_arguments.done",
        "output_item.done",
        "function_call_arguments.delta",  # a call without arguments is still an object
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))


def test_each_event_names_its_type_in_its_own_line() -> None:
    lines = write(FULL).decode().split("\n")
    names = [line[7:] for line in lines if line.startswith("event: ")]
    assert names == [event["type"] for event in events_of(write(FULL))]


def test_an_own_stream_comes_out_as_it_came_in() -> None:
    """Event by event, but for what OpenAI's own padding, keep-alives and numbering add."""

    def plain(stream: bytes) -> list[dict[str, Any]]:
        events = [{**event, "sequence_number": 0} for event in events_of(stream) if event["type"].startswith("response.")]
        for event in events:
            response = event.get("response", {})
            for name in set(response) - set(RESPONSE):
                del response[name]  # required fields that the sample leaves out
            response.pop("error", None)
            response.pop("incomplete_details", None)
            event.get("item", {}).pop("encrypted_content", None)
        return events

    written = plain(write(read(STREAM)))
    assert written == plain(STREAM)


@given(st.lists(st.integers(0, len(FULL)), max_size=6))
def test_the_stream_does_not_depend_on_how_events_are_grouped(cuts: list[int]) -> None:
    writer = DIALECT.writer(WriterOptions(stream=True, model="asked", call_id="call_1", created_s=99))
    edges = [0, *sorted(cuts), len(FULL)]
    data = b"".join(writer.write(FULL[a:b]) for a, b in pairwise(edges)) + writer.close()
    assert data == write(FULL)


# --- what the reply holds -----------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_a_reply_of_another_dialect(stream: bool) -> None:
    reply = reply_of(FULL, stream)
    assert (reply["id"], reply["model"], reply["created_at"], reply["status"]) == ("r1", "gpt-x", 7, "completed")
    assert reply["usage"] == {
        "input_tokens": 20,
        "input_tokens_details": {"cached_tokens": 15},
        "output_tokens": 8,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 28,
    }
    assert reply["output"] == [
        {
            "type": "reasoning",
            "id": "rs_call_1_0",
            "summary": [{"type": "summary_text", "text": "Hm, well."}],
            "encrypted_content": seal("other", "signature", "sig"),
        },
        {
            "type": "message",
            "id": "msg_call_1_1",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "annotations": [], "logprobs": [], "text": "Hello"}],
        },
        {
            "id": "fc_call_1_2",
            "type": "function_call",
            "status": "completed",
            "call_id": "c1",
            "name": "f",
            "arguments": '{"a":1}',
        },
        {"id": "fc_call_1_3", "type": "function_call", "status": "completed", "call_id": "c2", "name": "f", "arguments": "{}"},
    ]


def test_texts_that_follow_each_other_share_a_message() -> None:
    refusal: list[Event] = [PartStart(part=2, body=Refusal(text="")), Delta(part=2, text="no"), PartEnd(part=2)]
    events = told(text(0, "a"), text(1, ""), refusal, call(3, "c"), text(4, "b"))
    assert [item["type"] for item in output(events)] == ["message", "function_call", "message"]
    assert [part["type"] for part in output(events)[0]["content"]] == ["output_text", "refusal"]


def test_a_call_may_be_come_back_to_until_the_reply_finishes() -> None:
    events = told([*call(0, "a", "{"), *call(1, "b", "{}"), Delta(part=0, text="}")], reason="tool_use")
    assert [item["arguments"] for item in output(events, stream=True)] == ["{}", "{}"]


def test_logprobs_and_citations_have_their_fields() -> None:
    body = [
        PartStart(part=0, body=Text(text="")),
        Delta(part=0, text="a", logprobs=Raw(json.dumps({"content": [TOKEN]}).encode())),
        Delta(part=0, citation=Raw(json.dumps(CHAT_CITATION).encode())),
        Delta(part=0, citation=Raw(b'{"type":"char_location"}')),  # another dialect's: stays behind
        PartEnd(part=0),
    ]
    for stream in (True, False):
        part = output(told(body), stream)[0]["content"][0]
        assert part["logprobs"] == [TOKEN]
        assert part["annotations"] == [{"type": "url_citation", **CHAT_CITATION["url_citation"]}]  # type: ignore[dict-item]


def test_a_message_of_citations_alone_is_still_a_message() -> None:
    body: list[Event] = [
        PartStart(part=0, body=Text(text="a", citations=[Raw(json.dumps(CHAT_CITATION).encode())])),
        PartEnd(part=0),
    ]
    part = output(told(body))[0]["content"][0]
    assert (part["text"], len(part["annotations"])) == ("a", 1)


def test_reasoning_is_given_sealed_with_its_makers_name_also_where_it_came_unsigned() -> None:
    cases = [
        (thinking(0, "t", signature="sig"), seal("other", "signature", "sig")),
        (thinking(0, "t"), seal("other", "signature", "")),
        (thinking(0, redacted="r"), seal("other", "redacted", "r")),
        (thinking(0, "t", signature="sig", signed_by="third"), seal("third", "signature", "sig")),
    ]
    for events, sealed in cases:
        for stream in (True, False):
            assert output(told(events), stream)[0]["encrypted_content"] == sealed
    assert output(told(thinking(0), text(1, "a")))[0]["type"] == "message"  # no text, no proof: nothing


def test_a_calls_own_signature_travels_before_it() -> None:
    found = output(told(call(0, "c", "{}", signature="proof")), stream=True)
    assert [item["type"] for item in found] == ["reasoning", "function_call"]
    assert found[0]["encrypted_content"] == seal("other", "call", "proof")


def test_parts_and_extras_of_another_dialect_stay_behind() -> None:
    opaque: list[Event] = [PartStart(part=0, body=Opaque(dialect="other", kind="x", raw=Raw(b"{}"))), PartEnd(part=0)]
    events = told(opaque, text(1, "a", extras={"x": Raw(b"1")}))
    events[0] = Start(id="r", dialect="other", extras={"secret": Raw(b"1")})
    reply = reply_of(events, False)
    assert len(reply["output"]) == 1 and "secret" not in reply
    assert "x" not in reply["output"][0]["content"][0]


def test_only_the_first_choice_is_written() -> None:
    second: list[Event] = [
        PartStart(choice=1, part=0, body=Text(text="")),
        Delta(choice=1, part=0, text="two"),
        PartEnd(choice=1, part=0),
        Finish(choice=1, reason="length"),
    ]
    reply = reply_of(told(text(0, "one"), second), False)
    assert [item["content"][0]["text"] for item in reply["output"]] == ["one"]
    assert reply["status"] == "completed"


@pytest.mark.parametrize(
    ("reason", "status", "details"),
    [
        ("stop", "completed", None),
        ("tool_use", "completed", None),
        ("pause", "completed", None),
        ("unknown", "completed", None),
        ("length", "incomplete", {"reason": "max_output_tokens"}),
        ("content_filter", "incomplete", {"reason": "content_filter"}),
        ("refusal", "incomplete", {"reason": "content_filter"}),
        ("error", "failed", None),
    ],
)
def test_every_finish_reason_has_its_status(reason: FinishReason, status: str, details: Any) -> None:
    events = events_of(write(told(text(0, "a"), reason=reason)))
    response = events[-1]["response"]
    assert events[-1]["type"] == f"response.{status}"
    assert (response["status"], response["incomplete_details"]) == (status, details)
    assert (response["error"] is not None) == (status == "failed")
    assert (response["completed_at"] is not None) == (status == "completed")


def test_a_refusal_in_words_is_complete() -> None:
    body = [PartStart(part=0, body=Refusal(text="")), Delta(part=0, text="No."), PartEnd(part=0)]
    assert reply_of(told(body, reason="refusal"), False)["status"] == "completed"


def test_the_item_that_the_end_cut_short_is_incomplete() -> None:
    cut = [event for event in told(text(0, "a"), call(1, "c", "{"), reason="length") if not isinstance(event, PartEnd)]
    assert [item["status"] for item in output(cut)] == ["completed", "incomplete"]


def test_an_upstream_that_never_says_that_it_began() -> None:
    events = [*text(0, "a"), End()]
    reply = reply_of(events, True)
    assert (reply["id"], reply["model"], reply["created_at"], reply["usage"]) == ("resp_call_1", "asked", 99, None)
    assert reply_of([End()], False)["output"] == []


# --- what it repeats of the request ---------------------------------------------------------


ASKED: dict[str, Any] = {
    "instructions": "be brief",
    "tools": [{"type": "function", "name": "f"}, {"type": "function", "name": "g", "parameters": {}, "strict": None}],
    "tool_choice": {"type": "function", "name": "f"},
    "parallel_tool_calls": False,
    "temperature": 0.5,
    "top_p": 1,
    "max_output_tokens": 9,
    "metadata": {"a": "b"},
    "reasoning": {"effort": "low"},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}, "verbosity": "low"},
    "prompt_cache_key": "k",
    "safety_identifier": "s",
    "truncation": "auto",
}


def test_a_response_repeats_what_was_asked_and_was_not_stored() -> None:
    for stream in (True, False):
        reply = reply_of(FULL, stream, opened(**ASKED))
        assert {name: reply[name] for name in ASKED if name not in ("tools", "reasoning", "text")} == {
            name: value for name, value in ASKED.items() if name not in ("tools", "reasoning", "text")
        }
        assert [tool["name"] for tool in reply["tools"]] == ["f", "g"]
        assert reply["reasoning"] == {"effort": "low", "summary": None}
        assert reply["text"]["format"]["schema"] == {"type": "object"}
        assert (reply["store"], reply["background"], reply["previous_response_id"]) == (False, False, None)


ODD = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3) | st.lists(st.integers(), max_size=2) | st.just({})


@given(st.dictionaries(st.sampled_from(sorted(ASKED)), ODD))
def test_a_value_of_the_wrong_type_is_not_repeated(fields: dict[str, Any]) -> None:
    fields.pop("max_output_tokens", None)
    fields = {k: v for k, v in fields.items() if not (k == "truncation" and isinstance(v, str)) and k != "tool_choice"}
    reply = reply_of(FULL, False, opened(**fields))
    assert violations("ResponseResource", reply) == []


def _conforms(events: list[Event], peek: Any = None) -> None:
    for event in events_of(write(events, True, peek)):
        schema = event_schemas().get(event["type"])
        assert schema is None or violations(schema, event) == [], event["type"]
    assert violations("ResponseResource", reply_of(events, False, peek)) == []


@pytest.mark.parametrize("reason", ["stop", "length", "content_filter", "error"])
def test_everything_that_is_written_is_as_the_description_requires(reason: FinishReason) -> None:
    refusal: list[Event] = [PartStart(part=9, body=Refusal(text="no")), PartEnd(part=9)]
    events = [*FULL[1:-3], *refusal]
    for peek in (None, opened(), opened(**ASKED)):
        _conforms(told(events, reason=reason), peek)
    _conforms(told(reason=reason))


# --- the official SDK -------------------------------------------------------------------------


def test_the_official_sdk_reads_both_forms_alike() -> None:
    streamed, whole = as_the_sdk_reads(write(FULL), True), as_the_sdk_reads(write(FULL, False), False)
    assert streamed == whole


def test_the_official_sdks_accumulator_follows_the_stream() -> None:
    with sdk_for(write(FULL), True).responses.stream(model="m", input="hi") as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert kinds[-1] == "response.completed"
    assert final.output_text == "Hello"
    assert [item.type for item in final.output] == ["reasoning", "message", "function_call", "function_call"]


def test_the_official_sdks_accumulator_follows_an_own_stream() -> None:
    with sdk_for(write(read(STREAM)), True).responses.stream(model="m", input="hi") as stream:
        final = stream.until_done().get_final_response()
    assert [item.type for item in final.output] == [
        "reasoning",
        "message",
        "function_call",
        "custom_tool_call",
        "web_search_call",
    ]


def test_the_official_sdk_raises_on_an_error_inside_a_stream() -> None:
    body = write(FULL)[: write(FULL).rfind(b"event: ")] + DIALECT.encode_stream_error(Failure(message="It broke."), "c")
    with pytest.raises(openai.APIError, match="It broke"):
        list(sdk_for(body, True).responses.create(model="m", input="hi", stream=True))
