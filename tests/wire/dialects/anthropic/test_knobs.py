"""Tuning knobs of other dialects, for each generation of models."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw

from freehold.wire.chat import OutputFormat, Reasoning, Text, Thinking, Tool, ToolChoice
from freehold.wire.dialects.anthropic.models import traits
from tests.wire.dialects.anthropic.samples import DIALECT, QUIRKS
from tests.wire.dialects.anthropic.test_adapt import call, encoded, request, result, says

OLD, BUDGET, ADAPTIVE, NEW, OTHER = (
    "claude-3-5-sonnet-latest",
    "claude-sonnet-4-20250514",
    "claude-opus-4-6",
    "claude-opus-4-7",
    "kimi-k2",
)


@pytest.mark.parametrize(
    ("model", "thinking", "most"),
    [
        ("claude-3-haiku-20240307", "none", 4_096),
        ("claude-2.1", "none", 4_096),
        ("claude-3-5-haiku-20241022", "none", 8_192),
        ("claude-3-7-sonnet-20250219", "budget", 32_000),
        ("claude-sonnet-4-20250514", "budget", 32_000),
        ("claude-opus-4-1@20250805", "budget", 32_000),
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", "budget", 32_000),
        ("anthropic/claude-sonnet-4.6", "adaptive", 32_000),
        ("claude-sonnet-5", "adaptive", 32_000),
        ("deepseek-chat", "budget", 8_192),
    ],
)
def test_a_model_s_name_tells_its_generation(model: str, thinking: str, most: int) -> None:
    known = traits(model)
    assert (known.thinking, known.default_max_tokens) == (thinking, most)
    assert encoded(model=model)[0]["max_tokens"] == most


def test_max_tokens_is_never_changed() -> None:
    for model in (OLD, BUDGET, ADAPTIVE, OTHER):
        for asked in (1, 500_000):
            assert encoded(model=model, max_tokens=asked, reasoning=Reasoning(effort="high"))[0]["max_tokens"] == asked


@pytest.mark.parametrize(
    ("model", "asked", "thinking", "effort", "dropped"),
    [
        (BUDGET, Reasoning(effort="minimal"), {"type": "enabled", "budget_tokens": 1_024}, None, ()),
        (BUDGET, Reasoning(effort="low"), {"type": "enabled", "budget_tokens": 2_048}, None, ()),
        (BUDGET, Reasoning(enabled=True), {"type": "enabled", "budget_tokens": 8_192}, None, ()),
        (BUDGET, Reasoning(effort="high"), {"type": "enabled", "budget_tokens": 16_384}, None, ()),
        (BUDGET, Reasoning(effort="xhigh"), {"type": "enabled", "budget_tokens": 24_576}, None, ()),
        (BUDGET, Reasoning(budget_tokens=5_000), {"type": "enabled", "budget_tokens": 5_000}, None, ()),
        (BUDGET, Reasoning(budget_tokens=5), {"type": "enabled", "budget_tokens": 1_024}, None, ()),
        (BUDGET, Reasoning(effort="none"), {"type": "disabled"}, None, ()),
        (ADAPTIVE, Reasoning(effort="none"), {"type": "disabled"}, None, ()),
        (ADAPTIVE, Reasoning(enabled=True), {"type": "adaptive"}, None, ()),
        (ADAPTIVE, Reasoning(effort="medium"), {"type": "adaptive"}, "medium", ()),
        (ADAPTIVE, Reasoning(effort="max"), {"type": "adaptive"}, "max", ()),
        (ADAPTIVE, Reasoning(effort="minimal"), {"type": "adaptive"}, "low", ("reasoning_effort (sent as low)",)),
        (ADAPTIVE, Reasoning(effort="xhigh"), {"type": "adaptive"}, "high", ("reasoning_effort (sent as high)",)),
        (ADAPTIVE, Reasoning(budget_tokens=9_000), {"type": "adaptive"}, "medium", ()),
        (ADAPTIVE, Reasoning(effort="heroic"), {"type": "adaptive"}, None, ("reasoning_effort",)),
        (NEW, Reasoning(effort="xhigh"), {"type": "adaptive"}, "xhigh", ()),
        (OLD, Reasoning(effort="high"), None, None, ("reasoning_effort",)),
        (OLD, Reasoning(effort="none"), None, None, ()),
        (OTHER, Reasoning(effort="none"), None, None, ()),
        (BUDGET, Reasoning(), None, None, ()),
        (BUDGET, None, None, None, ()),
    ],
)
def test_reasoning_in_the_words_of_the_model(
    model: str, asked: Reasoning | None, thinking: Any, effort: str | None, dropped: tuple[str, ...]
) -> None:
    body, named = encoded(model=model, reasoning=asked)
    assert body.get("thinking") == thinking
    assert body.get("output_config", {}).get("effort") == effort
    assert named == dropped


def test_a_budget_leaves_room_for_the_answer_or_is_not_sent() -> None:
    body, _ = encoded(model=BUDGET, reasoning=Reasoning(effort="high"), max_tokens=4_000)
    assert body["thinking"]["budget_tokens"] == 3_200
    body, dropped = encoded(model=BUDGET, reasoning=Reasoning(effort="high"), max_tokens=1_024)
    assert "thinking" not in body and dropped == ("reasoning_effort",)


def test_thinking_gives_way_to_a_forced_tool_call() -> None:
    for model, thinking in ((BUDGET, None), (ADAPTIVE, {"type": "disabled"})):
        body, dropped = encoded(
            model=model, reasoning=Reasoning(effort="low"), tools=[Tool(name="f")], tool_choice=ToolChoice(mode="required")
        )
        assert body.get("thinking") == thinking and dropped == ("thinking",) and body["tool_choice"] == {"type": "any"}


def test_a_tool_loop_without_thinking_goes_on_without() -> None:
    loop = [says("user", "u"), says("assistant", call()), result()]
    signed = [says("user", "u"), says("assistant", Thinking(text="t", signature="s"), call()), result()]
    over = [*loop, says("assistant", "done"), says("user", "next")]
    for messages, enabled in ((loop, False), (signed, True), (over, True), ([*loop, says("assistant", "prefill")], False)):
        body, dropped = encoded(*messages, model=BUDGET, reasoning=Reasoning(effort="low"))
        assert ("thinking" in body, "thinking" not in dropped) == (enabled, enabled)
    assert encoded(*loop, model=ADAPTIVE, reasoning=Reasoning(effort="low"))[0]["thinking"] == {"type": "adaptive"}


@pytest.mark.parametrize(
    ("model", "fields", "sent", "dropped"),
    [
        (BUDGET, {"temperature": 0.2, "top_p": 0.5, "top_k": 4}, {"temperature": 0.2, "top_p": 0.5, "top_k": 4}, ()),
        (BUDGET, {"temperature": 1.7}, {"temperature": 1.0}, ("temperature (clamped to 1)",)),
        ("claude-sonnet-4-5", {"temperature": 0.2, "top_p": 0.5}, {"temperature": 0.2}, ("top_p",)),
        ("claude-sonnet-4-5", {"top_p": 0.5}, {"top_p": 0.5}, ()),
        (NEW, {"temperature": 0.2, "top_p": 0.5, "top_k": 4}, {}, ("temperature", "top_p", "top_k")),
        (NEW, {"temperature": 1.0, "top_p": 1.0}, {"temperature": 1.0, "top_p": 1.0}, ()),
        (
            BUDGET,
            {"temperature": 0.2, "top_p": 0.5, "top_k": 4, "reasoning": Reasoning(effort="low")},
            {},
            ("temperature", "top_p", "top_k"),
        ),
        (
            BUDGET,
            {"temperature": 1.0, "top_p": 0.96, "reasoning": Reasoning(effort="low")},
            {"temperature": 1.0, "top_p": 0.96},
            (),
        ),
    ],
)
def test_sampling_is_sent_as_far_as_the_model_takes_it(
    model: str, fields: dict[str, Any], sent: dict[str, float], dropped: tuple[str, ...]
) -> None:
    body, named = encoded(model=model, **fields)
    assert {name: body[name] for name in ("temperature", "top_p", "top_k") if name in body} == sent
    assert named == dropped


def test_knobs_without_a_word_here_are_named_and_those_that_ask_nothing_are_not() -> None:
    _, dropped = encoded(
        seed=0,
        min_p=0.1,
        frequency_penalty=0.0,
        presence_penalty=0.5,
        logprobs=False,
        logit_bias=Raw(b"{}"),
        metadata=Raw(b"{}"),
        n=1,
    )
    assert set(dropped) == {"seed", "min_p", "presence_penalty", "logit_bias", "metadata"}


def test_blank_stops_are_left_out_and_named() -> None:
    body, dropped = encoded(stop=["\n", "END"])
    assert body["stop_sequences"] == ["END"] and dropped == ("stop (blank)",)


def test_formats() -> None:
    schema = Raw(b'{"type": "object"}')
    body, dropped = DIALECT.encode_request(
        request(output=OutputFormat(kind="schema", schema=schema, name="n", strict=True)), "m", QUIRKS
    )
    assert json.loads(body)["output_config"] == {"format": {"type": "json_schema", "schema": {"type": "object"}}}
    assert bytes(schema) in body and dropped == ()
    assert encoded(output=OutputFormat(kind="text"))[1] == ()
    assert encoded(output=OutputFormat(kind="json"))[1] == ("response_format (json_object)",)


@pytest.mark.parametrize(("tier", "sent"), [("auto", "auto"), ("default", "standard_only"), ("flex", None)])
def test_service_tiers(tier: str, sent: str | None) -> None:
    body, dropped = encoded(service_tier=tier)
    assert body.get("service_tier") == sent and dropped == (() if sent else ("service_tier",))


def test_the_user_is_told_up_to_the_length_that_the_api_takes() -> None:
    assert encoded(user="u" * 512)[0]["metadata"] == {"user_id": "u" * 512}
    body, dropped = encoded(user="u" * 513)
    assert "metadata" not in body and dropped == ("user",)


def test_strict_tools_only_for_models_that_know_them() -> None:
    tools = [Tool(name="f", strict=True)]
    assert encoded(model="claude-opus-4-5", tools=tools)[0]["tools"][0]["strict"] is True
    body, dropped = encoded(says("user", Text(text="u")), model=OLD, tools=tools)
    assert "strict" not in body["tools"][0] and dropped == ("tools[].strict",)
