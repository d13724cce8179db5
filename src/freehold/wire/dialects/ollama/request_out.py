"""ChatRequest -> a chat or generate call for an Ollama server.

From this dialect everything goes back as it came. From another one it is always a chat; knobs without a field here are
named in `dropped`. Ollama has no tool_choice: "none" leaves the tools out, a forced call is refused.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from freehold.base.errors import Unsupported
from freehold.wire import fields
from freehold.wire.chat import ChatRequest, Image, Opaque, Reasoning, Text
from freehold.wire.dialect import Quirks
from freehold.wire.dialects.ollama.messages_out import MessageEncoder
from freehold.wire.dialects.ollama.request_in import OPTIONS
from freehold.wire.dialects.ollama.words import FORM, GENERATE, IN, INNER, NAME, decode_any
from freehold.wire.dialects.openai_chat.peek import fit

_NO_PARAMETERS = Raw(b'{"type":"object","properties":{}}')
_LEVELS = {"minimal": "low", "low": "low", "medium": "medium"}  # all above is high: only the newest versions know "max"
# Thinking budgets in tokens -> level, as the chat completions dialect does it.
_LOW_BUDGET, _MEDIUM_BUDGET = 2_048, 8_192


def encode_request(request: ChatRequest, model: str, quirks: Quirks) -> tuple[bytes, tuple[str, ...]]:
    """The body and the names of what was left out. Raises Unsupported, Unsupported."""
    own = request.dialect == NAME
    _check(request, quirks)
    encoder = MessageEncoder(request.dialect, quirks)
    dropped = encoder.dropped
    members: dict[str, Any] = {"model": model}
    if own and request.spelling.get(FORM) == GENERATE:
        _prompt(request, members, encoder)
    else:
        messages = encoder.encode(request.messages)
        if messages or not own:
            members["messages"] = messages
    options: dict[str, Any] = {}
    for name, (attribute, _) in OPTIONS.items():
        value = getattr(request, attribute)
        if value is not None:
            options[name] = value
    if request.max_tokens is not None:
        options["num_predict"] = request.max_tokens
    if request.stop:
        options["stop"] = request.stop[0] if request.spelling.get("options.stop") == "string" else request.stop
    for name in ("logprobs", "top_logprobs"):
        value = getattr(request, name)
        if value is not None:
            members[name] = value
    if request.tools:
        _tools(request, members, quirks, dropped)
    if request.output is not None and request.output.kind != "text":
        members["format"] = "json" if request.output.schema is None else request.output.schema
    if request.reasoning is not None:
        _think(request.reasoning, own, members, quirks, dropped)
    members["stream"] = bool(request.stream)
    if own:
        _own(request, members, options)
    else:
        _foreign(request, dropped)
    if options:
        members["options"] = options
    members, refused = fit(members, quirks)
    return fields.join(members), (*dropped, *refused)


def _check(request: ChatRequest, quirks: Quirks) -> None:
    """Requirements that this target cannot meet."""
    if request.n is not None and request.n > 1:
        raise Unsupported(f"this target gives one choice only, not {request.n}; set 'n' to 1", param="n")
    if "tools" in quirks.unsupported and request.tools:
        raise Unsupported("this target takes no tools; remove 'tools' or choose another model", param="tools")
    if "schema" in quirks.unsupported and request.output is not None and request.output.kind == "schema":
        raise Unsupported("this target cannot hold its reply to a JSON schema", param="response_format")
    choice = request.tool_choice
    if choice is not None and choice.mode in ("required", "tool"):
        raise Unsupported("this target cannot force a tool call; set 'tool_choice' to auto", param="tool_choice")


def _prompt(request: ChatRequest, members: dict[str, Any], encoder: MessageEncoder) -> None:
    """The messages of a generate call, where nobody has added any."""
    *before, last = request.messages
    system = [part.text for message in before for part in message.parts if isinstance(part, Text)]
    if any(message.role != "system" for message in before) or len(before) > 1 or last.role != "user":
        raise Unsupported("a generate call carries one prompt and no conversation; send it to /api/chat", param="prompt")
    if system:
        members["system"] = "\n\n".join(system)
    for part in last.parts:
        if isinstance(part, Opaque) and part.spelling.get(IN) != "load":
            members[part.spelling[IN]] = part.raw
    item = encoder.encode([type(last)(role="user", parts=[part for part in last.parts if isinstance(part, Text | Image)])])[0]
    if "content" in item:
        members["prompt"] = item["content"]
    if "images" in item:
        members["images"] = item["images"]


def _tools(request: ChatRequest, members: dict[str, Any], quirks: Quirks, dropped: dict[str, None]) -> None:
    own = request.dialect == NAME
    encoded: list[Any] = []
    for number, tool in enumerate(request.tools):
        if tool.raw is not None:
            if not own:
                path = f"tools[{number}]"
                raise Unsupported(f"{path} ({tool.name[:100]}) is a tool built into another provider's API", param=path)
            encoded.append(tool.raw)
            continue
        function: dict[str, Any] = {"name": tool.name}
        if tool.description is not None:
            function["description"] = tool.description
        if tool.parameters is not None or not own:
            function["parameters"] = tool.parameters or _NO_PARAMETERS
        item: dict[str, Any] = {"type": "function", "function": function}
        if own:
            if tool.strict is not None:
                function["strict"] = tool.strict
            function.update(decode_any(tool.spelling.get(INNER, "{}")))
            item.update(tool.extras)
            written = tool.spelling.get("type")
            if written == "absent":
                del item["type"]
            elif written is not None:
                item["type"] = Raw(written.encode())
        else:
            if tool.strict:
                dropped["tools[].strict"] = None
            if tool.cache is not None:
                dropped["cache_control"] = None
        encoded.append(item)
    if request.tool_choice is None or request.tool_choice.mode != "none":
        members["tools"] = encoded


def _think(reasoning: Reasoning, own: bool, members: dict[str, Any], quirks: Quirks, dropped: dict[str, None]) -> None:
    if reasoning.enabled is False or reasoning.effort == "none":
        members["think"] = False
    elif quirks.reasoning == "none":
        dropped["reasoning"] = None
    elif reasoning.effort:
        level = reasoning.effort if own else _LEVELS.get(reasoning.effort, "high")
        members["think"] = level
        if level != reasoning.effort:
            dropped[f"reasoning_effort (sent as {level})"] = None
    elif reasoning.budget_tokens is not None:
        budget = reasoning.budget_tokens
        members["think"] = "low" if budget <= _LOW_BUDGET else "medium" if budget <= _MEDIUM_BUDGET else "high"
    elif reasoning.enabled or reasoning.adaptive:
        members["think"] = True


# --- this dialect's own, and another's ----------------------------------------------------------


def _own(request: ChatRequest, members: dict[str, Any], options: dict[str, Any]) -> None:
    for name, value in request.extras.items():
        if name.startswith("options."):
            options[name.removeprefix("options.")] = value
        else:
            members[name] = value
    for name, how in request.spelling.items():
        if name == "stream":
            if request.stream:  # the default, not written or null
                members["stream"] = None
                if how == "absent":
                    del members["stream"]
        elif name.startswith("options."):
            if how != "string":
                options.setdefault(name.removeprefix("options."), decode_any(how))
        elif name != FORM:
            members.setdefault(name, decode_any(how))


def _foreign(request: ChatRequest, dropped: dict[str, None]) -> None:
    dropped.update(dict.fromkeys(request.extras))
    for name in ("logit_bias", "user", "metadata", "service_tier"):
        if getattr(request, name) is not None:
            dropped[name] = None
    if request.parallel_tools is False and request.tools:
        dropped["parallel_tool_calls"] = None
    if request.output is not None and request.output.description:
        dropped["response_format.json_schema.description"] = None
