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
_NO_REASONING: Members = {"effort": None, "summary": None}
_DEFAULTS: Members = {
    "background": False,
    "previous_response_id": None,
    "store": False,
    **{name: default for name, (_, default) in _FIELDS.items()},
    "tools": [],
    "text": {"format": {"type": "text"}},
    "reasoning": _NO_REASONING,
}
_TOOL = {"description": None, "parameters": None, "strict": False}


def repeated(peek: Peek | None) -> Members:
    """The fields of a response that do not depend on what the model said. The caller does not change the values."""
    members = dict(_DEFAULTS)
    given = {} if peek is None else peek.fields
    for name, (types, _) in _FIELDS.items():
        if name in given:
            value = _opened(given[name])
            if isinstance(value, types) and (type(value) is not bool or bool in types):
                members[name] = value
    tools = _opened(given["tools"]) if "tools" in given else None
    members["tools"] = [_tool(tool) for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
    if "text" in given:
        members["text"] = _text(_opened(given["text"]))
    reasoning = _opened(given["reasoning"]) if "reasoning" in given else None
    if isinstance(reasoning, dict):
        members["reasoning"] = {**_NO_REASONING, **reasoning}
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
