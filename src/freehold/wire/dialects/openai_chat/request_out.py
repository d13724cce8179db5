"""ChatRequest -> a chat completion request for an upstream.

From this dialect everything goes back as it came. From another one, knobs that have no field here are named in
`dropped`; its extras never leave. Providers' departures come last, by `Quirks.rename` and `Quirks.drop`.
"""

from __future__ import annotations

from typing import Any

from freehold.base.errors import Unsupported
from freehold.wire import fields
from freehold.wire.chat import ChatRequest, Reasoning, Tool, ToolChoice
from freehold.wire.dialect import Quirks
from freehold.wire.dialects.openai_chat.messages_out import MessageEncoder, cache_out
from freehold.wire.dialects.openai_chat.peek import ask_usage, fit
from freehold.wire.dialects.openai_chat.words import CACHE_AT, INNER, NAME, decode_any, raw

_PLAIN = (
    ("temperature", "temperature"),
    ("top_p", "top_p"),
    ("top_k", "top_k"),
    ("min_p", "min_p"),
    ("seed", "seed"),
    ("n", "n"),
    ("frequency_penalty", "frequency_penalty"),
    ("presence_penalty", "presence_penalty"),
    ("logprobs", "logprobs"),
    ("top_logprobs", "top_logprobs"),
    ("logit_bias", "logit_bias"),
    ("user", "user"),
    ("stream", "stream"),
)
# Thinking budgets in tokens -> effort, for providers that have only words. Anthropic's smallest budget is 1,024.
_LOW_BUDGET, _MEDIUM_BUDGET = 2_048, 8_192
_TIERS = {"auto": "auto", "standard_only": "default", "default": "default", "flex": "flex", "priority": "priority"}


def encode_request(request: ChatRequest, model: str, quirks: Quirks) -> tuple[bytes, tuple[str, ...]]:
    """The body and the names of what was left out. Raises Unsupported."""
    own = request.dialect == NAME
    _check(request, quirks)
    messages = MessageEncoder(request.dialect, quirks)
    members: dict[str, Any] = {"model": model, "messages": messages.encode(request.messages)}
    dropped = messages.dropped
    for name, attribute in _PLAIN:
        value = getattr(request, attribute)
        if value is not None:
            members[name] = value
    if request.stop:
        members["stop"] = request.stop[0] if request.spelling.get("stop") == "string" and len(request.stop) == 1 else request.stop
    if request.max_tokens is not None:
        older = request.spelling.get("max_tokens") == "max_tokens"
        members["max_tokens" if older else "max_completion_tokens"] = request.max_tokens
    if request.tools:
        _tools(request, members, quirks, dropped)
    if request.output is not None:
        members["response_format"] = _format(request)
    if request.include_usage is not None:
        members["stream_options"] = {"include_usage": request.include_usage}
    if own:
        _own(request, members)
    else:
        _foreign(request, members, quirks, dropped)
    if request.stream and quirks.stream_usage == "ask" and request.include_usage is not True:
        if "stream_options" in members:
            members["stream_options"] = raw(members["stream_options"])
        ask_usage(members)
    members, refused = fit(members, quirks)
    return fields.join(members), (*dropped, *refused)


def _check(request: ChatRequest, quirks: Quirks) -> None:
    """Requirements that this target cannot meet."""
    lacking = quirks.unsupported
    if "tools" in lacking and request.tools:
        raise Unsupported("this target takes no tools; remove 'tools' or choose another model", param="tools")
    if "n" in lacking and request.n is not None and request.n > 1:
        raise Unsupported("this target gives one choice only; set 'n' to 1", param="n")
    if "schema" in lacking and request.output is not None and request.output.kind == "schema":
        raise Unsupported("this target cannot hold its reply to a JSON schema", param="response_format")


# --- tools --------------------------------------------------------------------------


def _tools(request: ChatRequest, members: dict[str, Any], quirks: Quirks, dropped: dict[str, None]) -> None:
    own = request.dialect == NAME
    if own and request.spelling.get("functions") == "tools":
        members["functions"] = [_function(tool, own) for tool in request.tools]
        return
    encoded: list[Any] = []
    members["tools"] = encoded
    for number, tool in enumerate(request.tools):
        if tool.raw is not None:
            if not own:
                raise Unsupported(
                    f"tools[{number}] ({tool.name}) is a tool built into another provider's API", param=f"tools[{number}]"
                )
            encoded.append(tool.raw)
            continue
        item: dict[str, Any] = {"type": "function", "function": _function(tool, own)}
        if own:
            item.update(tool.extras)
        if tool.cache is not None and tool.spelling.get(CACHE_AT, "") != "function":
            if own or quirks.cache_marks:
                item["cache_control"] = cache_out(tool.cache)
            else:
                dropped["cache_control"] = None
        encoded.append(item)


def _function(tool: Tool, own: bool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.parameters is not None:
        function["parameters"] = tool.parameters
    if tool.strict is not None:
        function["strict"] = tool.strict
    if own and INNER in tool.spelling:
        function.update(decode_any(tool.spelling[INNER]))
    return function


def _choice(choice: ToolChoice) -> Any:
    return choice.mode if choice.mode != "tool" else {"type": "function", "function": {"name": choice.name}}


# --- this dialect's own -----------------------------------------------------------------


def _own(request: ChatRequest, members: dict[str, Any]) -> None:
    if request.metadata is not None:
        members["metadata"] = request.metadata
    if request.service_tier is not None:
        members["service_tier"] = request.service_tier
    if request.parallel_tools is not None:
        members["parallel_tool_calls"] = request.parallel_tools
    choice = request.tool_choice
    if choice is not None and request.spelling.get("function_call") == "tool_choice":
        members["function_call"] = choice.mode if choice.mode != "tool" else {"name": choice.name}
    elif choice is not None:
        any_word = choice.mode == "required" and request.spelling.get("tool_choice") == "any"
        members["tool_choice"] = "any" if any_word else _choice(choice)
    if choice is not None:
        members.update(choice.extras)
    if request.reasoning is not None:
        # A Reasoning that the gateway itself made has no spelling yet: it takes the plainest one.
        members.update(request.reasoning.extras or _effort(request.reasoning))
    for name, value in request.extras.items():
        if name == "stream_options" and request.include_usage is not None:
            members[name] = {**decode_any(value), "include_usage": request.include_usage}
        else:
            members[name] = value
    for name, how in request.spelling.items():
        if how == "null":
            members.setdefault(name, None)
        elif how == "empty":
            members.setdefault(name, {} if name == "stream_options" else [])


def _format(request: ChatRequest) -> Any:
    output = request.output
    assert output is not None
    own = request.dialect == NAME
    item: dict[str, Any] = {"type": {"text": "text", "json": "json_object", "schema": "json_schema"}[output.kind]}
    if output.kind == "schema":
        held = {
            "name": output.name or (None if own else "response"),  # OpenAI requires one
            "description": output.description,
            "schema": output.schema,
            "strict": output.strict,
        }
        inner = {key: value for key, value in held.items() if value is not None}
        if own and INNER in output.spelling:
            inner.update(decode_any(output.spelling[INNER]))
        item["json_schema"] = inner
    if own:
        item.update(output.extras)
    return item


# --- from another dialect -----------------------------------------------------------------


def _foreign(request: ChatRequest, members: dict[str, Any], quirks: Quirks, dropped: dict[str, None]) -> None:
    dropped.update(dict.fromkeys(request.extras))
    if request.metadata is not None:
        dropped["metadata"] = None  # OpenAI takes it only for stored completions, most others not at all
    if request.service_tier is not None:
        if request.service_tier in _TIERS:
            members["service_tier"] = _TIERS[request.service_tier]
        else:
            dropped["service_tier"] = None
    if request.tools:  # providers refuse both knobs without tools
        if request.parallel_tools is not None:
            members["parallel_tool_calls"] = request.parallel_tools
        if request.tool_choice is not None:
            members["tool_choice"] = _choice(request.tool_choice)
            dropped.update((f"tool_choice.{name}", None) for name in request.tool_choice.extras)
    if request.reasoning is not None:
        _foreign_reasoning(request.reasoning, members, quirks, dropped)


def _foreign_reasoning(reasoning: Reasoning, members: dict[str, Any], quirks: Quirks, dropped: dict[str, None]) -> None:
    off = reasoning.enabled is False or reasoning.effort == "none"
    if quirks.reasoning == "effort":
        members.update(_effort(reasoning))
        if "reasoning_effort" not in members and (off or reasoning.enabled or reasoning.adaptive):
            # Most reasoning models here cannot be told to stop or to choose for themselves; others never think.
            dropped["reasoning"] = None
    elif quirks.reasoning == "reasoning_object":
        if off:
            members["reasoning"] = {"enabled": False}
        elif reasoning.effort:
            members["reasoning"] = {"effort": "xhigh" if reasoning.effort == "max" else reasoning.effort}
        elif reasoning.budget_tokens is not None:
            members["reasoning"] = {"max_tokens": reasoning.budget_tokens}
        elif reasoning.enabled or reasoning.adaptive:
            members["reasoning"] = {"enabled": True}
    elif quirks.reasoning == "thinking_object":
        members["thinking"] = {"type": "disabled" if off else "enabled"}
        if not off and (reasoning.effort or reasoning.budget_tokens is not None):
            dropped["reasoning.effort" if reasoning.effort else "reasoning.budget_tokens"] = None
    elif not off:
        dropped["reasoning"] = None


def _effort(reasoning: Reasoning) -> dict[str, str]:
    """`reasoning_effort` from a word or a budget; nothing where neither is set or thinking is off by its switch."""
    if reasoning.enabled is False and reasoning.effort != "none":
        return {}  # Anthropic's effort goes on meaning something with thinking off; here it would turn thinking on
    if reasoning.effort:
        return {"reasoning_effort": "xhigh" if reasoning.effort == "max" else reasoning.effort}
    budget = reasoning.budget_tokens
    if budget is None:
        return {}
    return {"reasoning_effort": "low" if budget <= _LOW_BUDGET else "medium" if budget <= _MEDIUM_BUDGET else "high"}
