"""What a response repeats of its request, and the fields that it must have in any case.

Everything that the Open Responses description requires is there. Values come from the client's own request; where it
has none, they are what OpenAI shows for the default.
"""

from __future__ import annotations

from typing import Any

from msgspec import json

from freehold.wire.dialect import Peek

Members = dict[str, Any]

_any = json.Decoder().decode
# field -> (types that may be repeated, the default)
_FIELDS: dict[str, tuple[tuple[type, ...], Any]] = {
    "instructions": ((str,), None),
    "max_output_tokens": ((int,), None),
    "max_tool_calls": ((int,), None),
    "parallel_tool_calls": ((bool,), True),
    "temperature": ((int, float), 1.0),
    "top_p": ((int, float), 1.0),
    "presence_penalty": ((int, float), 0.0),
    "frequency_penalty": ((int, float), 0.0),
    "top_logprobs": ((int,), 0),
    "truncation": ((str,), "disabled"),
    "metadata": ((dict,), {}),
    "safety_identifier": ((str,), None),
    "prompt_cache_key": ((str,), None),
    "user": ((str,), None),
    "tool_choice": ((str, dict), "auto"),
}
_TOOL = {"description": None, "parameters": None, "strict": False}


def repeated(peek: Peek | None) -> Members:
    """The fields of a response that do not depend on what the model said."""
    asked = {} if peek is None else {name: _opened(raw) for name, raw in peek.fields.items() if name != "input"}
    members: Members = {"background": False, "previous_response_id": None, "store": False}
    for name, (types, default) in _FIELDS.items():
        value = asked.get(name)
        fits = isinstance(value, types) and (type(value) is not bool or bool in types)
        members[name] = value if fits else default
    tools = asked.get("tools")
    members["tools"] = [_tool(tool) for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
    members["text"] = _text(asked.get("text"))
    reasoning = asked.get("reasoning")
    members["reasoning"] = {"effort": None, "summary": None, **(reasoning if isinstance(reasoning, dict) else {})}
    return members


def _opened(raw: Any) -> Any:
    try:
        return _any(raw)
    except (ValueError, RecursionError):
        return None


def _tool(tool: Members) -> Members:
    if tool.get("type") != "function":
        return tool
    return {**_TOOL, **tool, "strict": bool(tool.get("strict"))}


def _text(asked: Any) -> Members:
    text = dict(asked) if isinstance(asked, dict) else {}
    form = text.get("format")
    if not isinstance(form, dict) or "type" not in form:
        form = {"type": "text"}
    if form["type"] == "json_schema":
        form = {"name": "response", "description": None, "schema": None, **form, "strict": bool(form.get("strict"))}
    return {**text, "format": form}
