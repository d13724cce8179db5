"""The conformance tests' own tools: what they call equal is equal, and what differs they see."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.conformance import expected, native_usage
from tests.conformance.asks import ask
from tests.conformance.checks import Finding
from tests.conformance.content import Call, Content, content
from tests.conformance.crossing import refusal_reason, request_differences, short_reply
from tests.conformance.exceptions import all_exceptions, unexplained
from tests.conformance.native import Got
from tests.conformance.native_checks import reply_differences
from tests.conformance.replay import odd_pieces
from tests.endtoend.framing import aws

REASONING = {"completion_tokens_details": {"reasoning_tokens": 7}}
BODY = "où🙂".encode() * 400


def test_odd_pieces_lose_nothing_and_cut_characters() -> None:
    pieces = list(odd_pieces(BODY))
    assert b"".join(pieces) == BODY
    assert any(piece[:1] >= b"\x80" and piece[:1] < b"\xc0" for piece in pieces), "no piece begins inside a character"


@pytest.mark.parametrize(
    ("report", "tokens"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}, (10, 5, 0)),
        # reasoning beside the completion, told by the total
        ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 22, **REASONING}, (10, 12, 7)),
        # reasoning inside it
        ({"prompt_tokens": 10, "completion_tokens": 9, "total_tokens": 19, **REASONING}, (10, 9, 7)),
        # the total only
        ({"total_tokens": 12}, (12, 0, 0)),
    ],
)  # fmt: skip
def test_expected_usage_counts_everything_once(report: dict[str, object], tokens: tuple[int, int, int]) -> None:
    found = expected.usage("chat/completions", json.dumps({"usage": report}).encode())
    assert found is not None
    assert (found["input"], found["output"], found["reasoning"]) == tokens


def test_expected_usage_of_an_anthropic_stream_is_the_last_word_on_each_field() -> None:
    events = [
        {"type": "message_start", "message": {"usage": {"input_tokens": 3, "cache_read_input_tokens": 20, "output_tokens": 1}}},
        {"type": "message_delta", "usage": {"output_tokens": 9}},
    ]
    found = expected.usage("messages", "".join(f"data: {json.dumps(e)}\n\n" for e in events).encode())
    assert found is not None
    assert (found["input"], found["cache_read"], found["output"]) == (23, 20, 9)


def test_a_reply_without_usage_has_none() -> None:
    assert expected.usage("chat/completions", b'{"choices": []}') is None


@pytest.mark.parametrize("stream", [False, True])
def test_both_dialects_words_for_the_same_reply_have_the_same_content(stream: bool) -> None:
    one, two = (
        content(endpoint, stream, expected.items(short_reply(endpoint, stream).body))
        for endpoint in ("chat/completions", "messages")
    )
    assert one.text == "Hi"
    assert one.differences(two) == []


@pytest.mark.parametrize(
    ("other", "seen"),
    [
        (Content("Ho", "", [Call("a", "f", {})], "tools"), ["text"]),
        (Content("Hi", "", [Call("a", "f", {"x": 1})], "tools"), ["calls"]),
        (Content("Hi", "", [Call("b", "f", {})], "tools"), ["call ids"]),
        (Content("Hi", "", [Call("a", "f", {})], "length"), ["ending tools/length"]),
    ],
)
def test_a_difference_in_content_is_seen(other: Content, seen: list[str]) -> None:
    assert Content("Hi", "", [Call("a", "f", {})], "tools").differences(other) == seen


def test_streamed_calls_under_one_number_are_kept_apart_by_their_ids() -> None:
    chunks = [
        {
            "choices": [
                {"index": 0, "delta": {"tool_calls": [{"index": 0, "id": i, "function": {"name": "f", "arguments": "{}"}}]}}
            ]
        }
        for i in ("a", "b")
    ]
    assert [call.id for call in content("chat/completions", True, chunks).calls] == ["a", "b"]


OPENAI: dict[str, Any] = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Weather?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "call.1", "function": {"name": "w", "arguments": '{"c": 1}'}}],
        },
        {"role": "tool", "tool_call_id": "call.1", "content": "sunny"},
    ],
    "max_tokens": 9,
    "stop": "END",
}
ANTHROPIC: dict[str, Any] = {
    "system": [{"type": "text", "text": "Be brief."}],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "Weather?"}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "call_1", "name": "w", "input": {"c": 1}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": "sunny"}]},
    ],
    "max_tokens": 9,
    "stop_sequences": ["END"],
}


def test_one_conversation_asks_the_same_in_both_dialects() -> None:
    assert ask("chat/completions", OPENAI) == ask("messages", ANTHROPIC)
    assert request_differences("chat/completions", OPENAI, ANTHROPIC, []) == []


def test_a_setting_that_is_lost_is_seen_unless_it_is_named() -> None:
    lost = {name: value for name, value in ANTHROPIC.items() if name != "stop_sequences"}
    assert request_differences("chat/completions", OPENAI, lost, []) == ['stop ["END"] became null']
    assert request_differences("chat/completions", OPENAI, lost, ["stop"]) == []


def test_a_message_that_is_lost_is_seen() -> None:
    lost = {**ANTHROPIC, "messages": ANTHROPIC["messages"][:2]}
    assert request_differences("chat/completions", OPENAI, lost, []) == ["3 parts became 2"]


def test_a_setting_that_is_made_up_is_seen() -> None:
    assert request_differences("chat/completions", OPENAI, {**ANTHROPIC, "temperature": 1.0}, []) == ["made up: temperature"]


def test_only_what_has_no_counterpart_may_be_refused() -> None:
    assert refusal_reason("chat/completions", OPENAI) == ""
    assert refusal_reason("messages", ANTHROPIC) == ""
    assert refusal_reason("chat/completions", {**OPENAI, "n": 2}) == "more than one choice"


def test_a_problem_without_an_exception_and_an_exception_without_its_problem_both_fail() -> None:
    exempt = all_exceptions()[0]
    findings = [Finding("pass", "never-recorded", "differs"), Finding(exempt.check, exempt.ids[0]), Finding("pass", "fine")]
    assert [line.split(":")[0] for line in unexplained(findings)] == ["pass never-recorded", f"{exempt.check} {exempt.ids[0]}"]


def test_an_equal_reply_and_an_unequal_one_are_told_apart() -> None:
    direct = Got(200, "application/json", b'{"a":1}', {})
    assert reply_differences(direct, replace(direct, headers={"x-freehold-call-id": "c"})) == ""
    assert reply_differences(direct, replace(direct, body=b'{"a": 1}')).startswith("7 bytes, through 8, other from 5")
    assert reply_differences(direct, replace(direct, content_type="text/plain")).startswith("content type")
    assert reply_differences(direct, replace(direct, status=502)).startswith("status 200, through 502")


@pytest.mark.parametrize(
    ("dialect", "endpoint", "body", "tokens"),
    [
        (
            "openai_responses",
            "responses",
            {"usage": {"input_tokens": 9, "output_tokens": 4, "input_tokens_details": {"cached_tokens": 5}}},
            (9, 4, 5),
        ),
        (
            "gemini",
            "generateContent",
            {
                "usageMetadata": {
                    "promptTokenCount": 9,
                    "candidatesTokenCount": 3,
                    "thoughtsTokenCount": 1,
                    "cachedContentTokenCount": 5,
                }
            },
            (9, 4, 5),
        ),
        ("bedrock", "converse", {"usage": {"inputTokens": 4, "outputTokens": 4, "cacheReadInputTokens": 5}}, (9, 4, 5)),
        ("bedrock_invoke", "invoke", {"usage": {"input_tokens": 4, "output_tokens": 4, "cache_read_input_tokens": 5}}, (9, 4, 5)),
        ("bedrock_invoke", "invoke", {"inputTextTokenCount": 9, "results": [{"tokenCount": 4}]}, (9, 4, 0)),
        (
            "cohere",
            "chat",
            {"usage": {"billed_units": {"input_tokens": 9, "output_tokens": 4}, "tokens": {"input_tokens": 99}}},
            (9, 4, 0),
        ),
        ("ollama", "api/chat", {"done": True, "prompt_eval_count": 9, "eval_count": 4}, (9, 4, 0)),
    ],
)
def test_expected_usage_of_the_other_dialects_counts_everything_once(
    dialect: str, endpoint: str, body: dict[str, Any], tokens: tuple[int, int, int]
) -> None:
    found = native_usage.usage(dialect, endpoint, json.dumps(body).encode())
    assert found is not None
    assert (found["input"], found["output"], found["cache_read"]) == tokens


def test_aws_events_are_opened_with_their_payloads() -> None:
    data = aws(("messageStart", {"role": "assistant"}), ("metadata", {"usage": {"inputTokens": 3, "outputTokens": 2}}))
    assert [*native_usage.items(data)[0]] == ["role"]
    found = native_usage.usage("bedrock", "converse-stream", data)
    assert found is not None and (found["input"], found["output"]) == (3, 2)
