"""What a model's name says it takes, and foreign knobs in those terms."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw

from freehold.wire.chat import ChatRequest, Message, Reasoning, Text
from freehold.wire.dialects.gemini.models import traits

from .bodies import DIALECT, PLAIN


def sent(model: str = "gemini-2.5-flash", **fields: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    request = ChatRequest(dialect="x", model="m", messages=[Message(role="user", parts=[Text(text="u")])], **fields)
    body, dropped = DIALECT.encode_request(request, model, PLAIN)
    return json.loads(body), dropped


@pytest.mark.parametrize(
    ("model", "tools", "output", "thinking", "signed"),
    [
        ("gemini-1.5-pro-002", False, False, "none", False),
        ("gemini-2.0-flash", True, False, "none", False),
        ("models/gemini-2.5-pro", True, True, "budget", False),
        ("gemini-2.5-flash-lite-preview-09-2025", True, True, "budget", False),
        ("gemini-2.5-flash-image", True, True, "none", False),
        ("gemini-2.5-flash-preview-tts", True, True, "none", False),
        ("gemini-3-pro-preview", True, True, "level", True),
        ("gemini-3.1-pro-preview", True, True, "level", True),
        ("gemini-3.5-flash", True, True, "level", True),
        ("gemini-flash-latest", True, True, "budget", True),
        ("gemma-3-27b-it", False, False, "none", False),
        ("some-other", False, False, "none", False),
    ],
)
def test_traits_by_name(model: str, tools: bool, output: bool, thinking: str, signed: bool) -> None:
    found = traits(model)
    assert (found.schema_tools, found.schema_output, found.thinking, found.signed_calls) == (tools, output, thinking, signed)


def config_of(model: str, asked: Reasoning) -> tuple[Any, tuple[str, ...]]:
    body, dropped = sent(model, reasoning=asked)
    return body.get("generationConfig", {}).get("thinkingConfig"), dropped


@pytest.mark.parametrize(
    ("asked", "budget", "dropped"),
    [
        (Reasoning(effort="minimal"), 1_024, ()),
        (Reasoning(effort="medium"), 8_192, ()),
        (Reasoning(effort="high"), 24_576, ()),
        (Reasoning(effort="max"), 24_576, ()),
        (Reasoning(budget_tokens=5_000), 5_000, ()),
        (Reasoning(budget_tokens=50_000), 24_576, ("reasoning budget (sent as 24576)",)),
        (Reasoning(enabled=True), -1, ()),
        (Reasoning(enabled=True, adaptive=True), -1, ()),
    ],
)
def test_budgets(asked: Reasoning, budget: int, dropped: tuple[str, ...]) -> None:
    assert config_of("gemini-2.5-flash", asked) == ({"includeThoughts": True, "thinkingBudget": budget}, dropped)


@pytest.mark.parametrize(
    ("model", "asked", "level", "dropped"),
    [
        ("gemini-3-flash", Reasoning(effort="minimal"), "minimal", ()),
        ("gemini-3-pro", Reasoning(effort="minimal"), "low", ("reasoning_effort (sent as low)",)),
        ("gemini-3-pro", Reasoning(effort="medium"), "high", ("reasoning_effort (sent as high)",)),
        ("gemini-3.1-pro", Reasoning(effort="medium"), "medium", ()),
        ("gemini-3-flash", Reasoning(effort="max"), "high", ("reasoning_effort (sent as high)",)),
        ("gemini-3-flash", Reasoning(budget_tokens=1_024), "low", ()),
        ("gemini-3-flash", Reasoning(budget_tokens=10_000), "medium", ()),
    ],
)
def test_levels(model: str, asked: Reasoning, level: str, dropped: tuple[str, ...]) -> None:
    assert config_of(model, asked) == ({"includeThoughts": True, "thinkingLevel": level}, dropped)


@pytest.mark.parametrize(
    ("model", "config", "named"),
    [
        ("gemini-2.5-flash", {"thinkingBudget": 0}, False),
        ("gemini-2.5-pro", {"thinkingBudget": 128}, True),
        ("gemini-3-flash", {"thinkingLevel": "minimal"}, True),
        ("gemini-3-pro", {"thinkingLevel": "low"}, True),
        ("gemini-2.0-flash", None, False),
    ],
)
def test_thinking_off_is_as_little_as_the_model_takes(model: str, config: Any, named: bool) -> None:
    for asked in (Reasoning(enabled=False), Reasoning(effort="none")):
        found, dropped = config_of(model, asked)
        assert found == config and bool(dropped) is named


def test_a_model_that_does_not_think_has_it_named() -> None:
    assert config_of("gemini-2.0-flash", Reasoning(effort="high")) == (None, ("reasoning_effort",))


def test_knobs_without_a_word_are_named() -> None:
    body, dropped = sent(
        min_p=0.1, metadata=Raw(b"{}"), logit_bias=Raw(b"{}"), user="u", seed=2**40, service_tier="scale", extras={"x": Raw(b"1")}
    )
    assert set(dropped) == {"min_p", "metadata", "logit_bias", "user", "seed", "service_tier", "x"}
    assert list(body) == ["contents"]


@pytest.mark.parametrize(
    ("tier", "expected"), [("flex", "flex"), ("default", "standard"), ("standard_only", "standard"), ("auto", None)]
)
def test_tiers(tier: str, expected: str | None) -> None:
    body, dropped = sent(service_tier=tier)
    assert (body.get("serviceTier"), dropped) == (expected, ())
