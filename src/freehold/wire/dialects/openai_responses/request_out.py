"""ChatRequest -> a Responses request for an upstream.

From this dialect everything goes back as it came. From another one nothing is stored (`store` is false), reasoning is
asked for in the encrypted form that a later turn can bring back, leading system messages become `instructions`, and
knobs that have no field here are named in `dropped`.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec import Raw

from freehold.base.errors import Unsupported
from freehold.wire import fields
from freehold.wire.chat import ChatRequest, Message, OutputFormat, Reasoning, Text, Tool, ToolChoice
from freehold.wire.dialect import Quirks
from freehold.wire.dialects.openai_chat.peek import fit
from freehold.wire.dialects.openai_responses.items_out import ItemEncoder
from freehold.wire.dialects.openai_responses.request_in import ENCRYPTED, LOGPROBS, opened_again
from freehold.wire.dialects.openai_responses.words import IN, NAME
from freehold.wire.dropped import Dropped

Members = dict[str, Any]

_PLAIN = (
    ("temperature", "temperature"),
    ("top_p", "top_p"),
    ("top_logprobs", "top_logprobs"),
    ("user", "user"),
    ("stream", "stream"),
)
_OWN = (
    ("max_output_tokens", "max_tokens"),
    ("frequency_penalty", "frequency_penalty"),
    ("presence_penalty", "presence_penalty"),
    ("parallel_tool_calls", "parallel_tools"),
    ("service_tier", "service_tier"),
    ("metadata", "metadata"),
)
_MIN_OUTPUT = 16  # OpenAI refuses a smaller `max_output_tokens`
# Thinking budgets in tokens -> effort. Anthropic's smallest budget is 1,024.
_LOW_BUDGET, _MEDIUM_BUDGET = 2_048, 8_192
_TIERS = {"auto": "auto", "default": "default", "flex": "flex", "priority": "priority", "standard_only": "default"}
# OpenAI's models that don't reason refuse both `reasoning` and a request for encrypted reasoning.
_NOT_REASONING = re.compile(r"(?:.*/)?(?:gpt-3|gpt-4|chatgpt-|gpt-5[0-9.]*-chat)")
_NO_PARAMETERS = Raw(b'{"type":"object","properties":{}}')


def encode_request(request: ChatRequest, model: str, quirks: Quirks) -> tuple[bytes, tuple[str, ...]]:
    """The body and the names of what was left out. Raises Unsupported, and Unsupported where nothing is left to ask."""
    own = request.dialect == NAME
    _check(request, quirks)
    items = ItemEncoder(request.dialect, quirks)
    members: Members = {"model": model}
    for name, attribute in _PLAIN:
        value = getattr(request, attribute)
        if value is not None:
            members[name] = value
    if request.tools:
        members["tools"] = [_tool(tool, number, own) for number, tool in enumerate(request.tools)]
    if own:
        _own_input(request, members, items)
        _own(request, members)
    else:
        _foreign_input(request, members, items)
        _foreign(request, model, members, quirks, items.dropped)
    members, refused = fit(members, quirks)
    return fields.join(members), (*items.dropped, *refused)


def _check(request: ChatRequest, quirks: Quirks) -> None:
    """Requirements that this target cannot meet."""
    lacking = quirks.unsupported
    if "tools" in lacking and request.tools:
        raise Unsupported("this target takes no tools; remove 'tools' or choose another model", param="tools")
    if "schema" in lacking and request.output is not None and request.output.kind == "schema":
        raise Unsupported("this target cannot hold its reply to a JSON schema", param="text.format")
    if request.n is not None and request.n > 1:
        raise Unsupported(f"n: is {request.n}; this target gives one choice. Send several requests.", param="n")


def _tool(tool: Tool, number: int, own: bool) -> Any:
    if tool.raw is not None:
        if not own:
            path = f"tools[{number}]"
            raise Unsupported(f"{path} ({tool.name[:100]}) is a tool built into another provider's API", param=path)
        return tool.raw
    item: Members = {"type": "function", "name": tool.name}
    if tool.description is not None:
        item["description"] = tool.description
    if own:
        known = {"parameters": tool.parameters, "strict": tool.strict}
        return item | {name: value for name, value in known.items() if value is not None} | tool.extras
    # Where it is left out, this API makes a schema strict; others don't.
    return item | {"parameters": tool.parameters or _NO_PARAMETERS, "strict": bool(tool.strict)}


def _choice(choice: ToolChoice) -> Any:
    return choice.mode if choice.mode != "tool" else {"type": "function", "name": choice.name}


def _format(output: OutputFormat, own: bool) -> Members:
    item: Members = {"type": {"text": "text", "json": "json_object", "schema": "json_schema"}[output.kind]}
    if output.kind == "schema":
        held = {
            "name": output.name or (None if own else "response"),
            "description": output.description,
            "schema": output.schema,
            "strict": output.strict,
        }
        item.update((key, value) for key, value in held.items() if value is not None)
    return item | output.extras if own else item


# --- this dialect's own -----------------------------------------------------------------


def _own_input(request: ChatRequest, members: Members, items: ItemEncoder) -> None:
    messages = list(request.messages)
    if messages and messages[0].spelling.get(IN) == "instructions":
        members["instructions"] = "".join(part.text for part in messages.pop(0).parts if isinstance(part, Text))
    if request.spelling.get("input") == "string" and len(messages) == 1 and messages[0].role == "user":
        parts = messages[0].parts
        if len(parts) == 1 and isinstance(parts[0], Text):
            members["input"] = parts[0].text
            return
    members["input"] = items.encode(messages)


def _own(request: ChatRequest, members: Members) -> None:
    for name, attribute in _OWN:
        value = getattr(request, attribute)
        if value is not None:
            members[name] = value
    choice = request.tool_choice
    if choice is not None:
        members["tool_choice"] = next(iter(choice.extras.values())) if choice.extras else _choice(choice)
    text: Members = dict(opened_again(request.extras, "text"))
    if request.output is not None:
        text["format"] = _format(request.output, True)
    if text:
        members["text"] = text
    reasoning: Members = dict(opened_again(request.extras, "reasoning"))
    if request.reasoning is not None:
        effort = {"effort": request.reasoning.effort} if request.reasoning.effort else _effort(request.reasoning)
        reasoning.update(effort | request.reasoning.extras)
    if reasoning:
        members["reasoning"] = reasoning
    members.update((key, value) for key, value in request.extras.items() if not key.startswith(("text.", "reasoning.")))
    for name, how in request.spelling.items():
        if name != "input":
            members.setdefault(name, Raw(how.encode()))


# --- from another dialect -----------------------------------------------------------------


def _foreign_input(request: ChatRequest, members: Members, items: ItemEncoder) -> None:
    leading: list[str] = []
    for message in request.messages:
        if message.role not in ("system", "developer") or not all(isinstance(part, Text) for part in message.parts):
            break
        leading.append(_instruction(message, items))
    if leading:
        members["instructions"] = "\n\n".join(leading)
    members["input"] = items.encode(request.messages[len(leading) :], len(leading))
    if not members["input"]:
        raise Unsupported("messages: this target needs at least one message besides the system prompt.", param="messages")


def _instruction(message: Message, items: ItemEncoder) -> str:
    for part in message.parts:
        if part.cache is not None:
            items.dropped["cache_control"] = None
    return "\n\n".join(part.text for part in message.parts if isinstance(part, Text))


def _foreign(request: ChatRequest, model: str, members: Members, quirks: Quirks, dropped: Dropped) -> None:
    members["store"] = False
    dropped.update(dict.fromkeys(request.extras))
    for name in ("top_k", "min_p", "seed", "logit_bias", "metadata"):
        if getattr(request, name) is not None:
            dropped[name] = None
    for name in ("stop", "frequency_penalty", "presence_penalty"):
        if getattr(request, name):  # 0 and [] ask for nothing
            dropped[name] = None
    if request.max_tokens is not None:
        members["max_output_tokens"] = max(request.max_tokens, _MIN_OUTPUT)
        if request.max_tokens < _MIN_OUTPUT:
            dropped[f"max_tokens (raised to {_MIN_OUTPUT})"] = None
    if request.service_tier is not None:
        if request.service_tier in _TIERS:
            members["service_tier"] = _TIERS[request.service_tier]
        else:
            dropped["service_tier"] = None
    if request.tools:
        _foreign_tools(request, members, dropped)
    if request.output is not None:
        members["text"] = {"format": _format(request.output, False)}
    include = [LOGPROBS] if request.logprobs else []
    reasons = quirks.reasoning != "none" and _NOT_REASONING.match(model) is None
    if reasons:
        include.append(ENCRYPTED)
    if include:
        members["include"] = include
    if request.reasoning is not None:
        _foreign_reasoning(request.reasoning, members, dropped, reasons)


def _foreign_tools(request: ChatRequest, members: Members, dropped: Dropped) -> None:
    for tool in request.tools:
        if tool.cache is not None:
            dropped["cache_control"] = None
        dropped.update((f"tools[].{name}", None) for name, value in tool.extras.items() if bytes(value) != b"null")
    if request.parallel_tools is not None:
        members["parallel_tool_calls"] = request.parallel_tools
    if request.tool_choice is not None:
        members["tool_choice"] = _choice(request.tool_choice)
        dropped.update((f"tool_choice.{name}", None) for name in request.tool_choice.extras)


def _foreign_reasoning(reasoning: Reasoning, members: Members, dropped: Dropped, reasons: bool) -> None:
    off = reasoning.enabled is False or reasoning.effort == "none"
    asked = _effort(reasoning)
    if not reasons:
        if asked and not off:
            dropped["reasoning"] = None
        return
    if reasoning.enabled and not off:
        asked["summary"] = "auto"  # the client asked to be shown the thinking; nothing comes unless it is asked for
    elif off and not asked:
        dropped["reasoning"] = None  # most reasoning models here cannot be told to stop
    if asked:
        members["reasoning"] = asked


def _effort(reasoning: Reasoning) -> Members:
    """`effort` from a word or a budget; nothing where neither is set or thinking is off by its switch."""
    if reasoning.enabled is False and reasoning.effort != "none":
        return {}  # Anthropic's effort goes on meaning something with thinking off; here it would turn thinking on
    if reasoning.effort:
        return {"effort": "xhigh" if reasoning.effort == "max" else reasoning.effort}
    budget = reasoning.budget_tokens
    if budget is None:
        return {}
    return {"effort": "low" if budget <= _LOW_BUDGET else "medium" if budget <= _MEDIUM_BUDGET else "high"}
