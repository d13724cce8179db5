"""Tuning knobs of a foreign request in Anthropic's terms: reasoning, sampling, stops, format, tier.

What this API has no word for, or refuses next to another setting, is left out and named in `dropped`. Reasoning:

    asked                      models with budgets        adaptive models (4.6 on)          models without thinking
    effort none / disabled     thinking disabled          thinking disabled                 nothing
    effort minimal             budget  1,024              adaptive, effort low              dropped
    effort low                 budget  2,048              adaptive, effort low              dropped
    effort medium, or only on  budget  8,192              adaptive, effort medium / unset   dropped
    effort high                budget 16,384              adaptive, effort high             dropped
    effort xhigh, max          budget 24,576              adaptive, xhigh or high, max      dropped
    a budget of N tokens       budget N                   effort low <= 4,096 < medium      dropped
                                                          <= 12,288 < high

A budget is at least 1,024 and leaves a fifth of `max_tokens` for the answer. The API refuses thinking next to a forced
tool call, and with a budget when the tool loop going on has no thinking to go on from: then it is off for this request.
It refuses temperature and top_k next to thinking: those go.
"""

from __future__ import annotations

from freehold.wire.chat import ChatRequest, OutputFormat, Reasoning, Thinking, ToolResult
from freehold.wire.dialects.anthropic.models import Traits
from freehold.wire.dropped import Dropped

_BUDGETS = {"minimal": 1_024, "low": 2_048, "medium": 8_192, "high": 16_384, "xhigh": 24_576, "max": 24_576}
_EFFORTS = {"minimal": "low", "xhigh": "high"}  # where the model does not know the word
_MIN_BUDGET = 1_024
_MAX_USER_CHARS = 512
_TIERS = {"auto": "auto", "default": "standard_only"}


def adapt_knobs(request: ChatRequest, adapted: ChatRequest, known: Traits, dropped: Dropped) -> None:
    """Fill the knobs of `adapted`, whose messages, tools and max_tokens are already set, from the foreign `request`."""
    for name in ("seed", "min_p", "metadata", "logit_bias", "top_logprobs"):
        if getattr(request, name) is not None:
            dropped[name] = None
    for name in ("frequency_penalty", "presence_penalty", "logprobs"):
        if getattr(request, name):  # 0 and false ask for nothing
            dropped[name] = None
    adapted.reasoning = _reasoning(request, adapted, known, dropped)
    _sampling(request, adapted, known, dropped)
    adapted.stop = [stop for stop in request.stop if stop.strip()]
    if len(adapted.stop) < len(request.stop):
        dropped["stop (blank)"] = None
    adapted.output = _format(request.output, dropped)
    if request.user:
        if len(request.user) <= _MAX_USER_CHARS:
            adapted.user = request.user
        else:
            dropped["user"] = None
    if request.service_tier is not None:
        adapted.service_tier = _TIERS.get(request.service_tier)
        if adapted.service_tier is None:
            dropped["service_tier"] = None


def _reasoning(request: ChatRequest, adapted: ChatRequest, known: Traits, dropped: Dropped) -> Reasoning | None:
    asked = request.reasoning
    if asked is None:
        return None
    if asked.enabled is False or asked.effort == "none":
        return Reasoning(enabled=False) if known.can_disable else None
    if not (asked.enabled or asked.effort or asked.budget_tokens):
        return None
    if known.thinking == "none":
        dropped["reasoning_effort"] = None
        return None
    forced = adapted.tool_choice is not None and adapted.tool_choice.mode in ("required", "tool")
    if known.thinking == "adaptive":
        effort = _effort(asked, known, dropped)
        if forced:
            dropped["thinking"] = None
            return Reasoning(enabled=False, effort=effort)
        return Reasoning(enabled=True, adaptive=True, effort=effort)
    if forced or _loop_lacks_thinking(adapted):
        dropped["thinking"] = None
        return None
    return _budget(asked, adapted.max_tokens or 0, dropped)


def _effort(asked: Reasoning, known: Traits, dropped: Dropped) -> str:
    wanted = asked.effort
    if not wanted and asked.budget_tokens:
        wanted = "low" if asked.budget_tokens <= 4_096 else "medium" if asked.budget_tokens <= 12_288 else "high"
    if not wanted or wanted in known.efforts:
        return wanted
    sent = _EFFORTS.get(wanted, "")
    dropped[f"reasoning_effort (sent as {sent})" if sent else "reasoning_effort"] = None
    return sent


def _budget(asked: Reasoning, max_tokens: int, dropped: Dropped) -> Reasoning | None:
    if max_tokens <= _MIN_BUDGET:
        dropped["reasoning_effort"] = None
        return None
    budget = asked.budget_tokens or _BUDGETS.get(asked.effort or "medium", _BUDGETS["medium"])
    return Reasoning(enabled=True, budget_tokens=max(_MIN_BUDGET, min(budget, max_tokens * 4 // 5)))


def _loop_lacks_thinking(adapted: ChatRequest) -> bool:
    """The last assistant turn goes on (a prefill, or its tool results come last) and does not begin with thinking."""
    messages = adapted.messages
    last = messages[-1]
    if last.role == "user" and len(messages) > 1 and any(type(part) is ToolResult for part in last.parts):
        last = messages[-2]
    return last.role == "assistant" and type(last.parts[0]) is not Thinking


def _sampling(request: ChatRequest, adapted: ChatRequest, known: Traits, dropped: Dropped) -> None:
    temperature, top_p, top_k = request.temperature, request.top_p, request.top_k
    thinking = adapted.reasoning is not None and adapted.reasoning.enabled is True
    if temperature is not None and temperature > 1:
        temperature = 1.0
        dropped["temperature (clamped to 1)"] = None
    if temperature is not None and temperature != 1 and (thinking or not known.sampling):
        temperature = None
        dropped["temperature"] = None
    lowest = 0.99 if not known.sampling else 0.95 if thinking else 0.0
    if top_p is not None and (top_p < lowest or (temperature is not None and known.one_of_temperature_and_top_p)):
        top_p = None
        dropped["top_p"] = None
    if top_k is not None and (thinking or not known.sampling):
        top_k = None
        dropped["top_k"] = None
    adapted.temperature, adapted.top_p, adapted.top_k = temperature, top_p, top_k


def _format(output: OutputFormat | None, dropped: Dropped) -> OutputFormat | None:
    if output is None or output.kind == "text":
        return None
    if output.kind == "schema" and output.schema is not None:
        return OutputFormat(kind="schema", schema=output.schema)
    dropped["response_format (json_object)"] = None
    return None
