"""A chat completion request -> ChatRequest: everything above the messages.

What has no word in the canonical form stays raw in `extras`; what can be written in two ways is noted in `spelling`,
so that encoding the result again gives equal JSON. Messages are in messages_in.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import DecodeError, Raw, ValidationError, json

from freehold.base.errors import InvalidRequest
from freehold.wire.chat import ChatRequest, Extras, OutputFormat, Reasoning, Tool, ToolChoice
from freehold.wire.dialect import Peek
from freehold.wire.dialects.openai_chat.messages_in import cache_mark, decode_messages
from freehold.wire.dialects.openai_chat.peek import json_type
from freehold.wire.dialects.openai_chat.words import CACHE_AT, INNER, NAME, encode, text_of

_members = json.Decoder(dict[str, Raw]).decode
_float, _int, _bool, _str = (json.Decoder(t).decode for t in (float, int, bool, str))


def _as_is(value: Raw) -> Raw:
    return value


# wire name -> (attribute, decoder, what it must be)
_PLAIN: dict[str, tuple[str, Callable[[Raw], Any], str]] = {
    "temperature": ("temperature", _float, "a number"),
    "top_p": ("top_p", _float, "a number"),
    "top_k": ("top_k", _int, "a whole number"),
    "min_p": ("min_p", _float, "a number"),
    "seed": ("seed", _int, "a whole number"),
    "n": ("n", _int, "a whole number"),
    "frequency_penalty": ("frequency_penalty", _float, "a number"),
    "presence_penalty": ("presence_penalty", _float, "a number"),
    "top_logprobs": ("top_logprobs", _int, "a whole number"),
    "logit_bias": ("logit_bias", _as_is, "an object"),
    "metadata": ("metadata", _as_is, "an object"),
    "user": ("user", _str, "a string"),
    "service_tier": ("service_tier", _str, "a string"),
    "parallel_tool_calls": ("parallel_tools", _bool, "true or false"),
    "stream": ("stream", _bool, "true or false"),
    "max_completion_tokens": ("max_tokens", _int, "a whole number"),
}


def decode_request(opened: Peek) -> ChatRequest:
    """Raises InvalidRequest with the path of the offending field."""
    request = ChatRequest(dialect=NAME, model=opened.model, messages=[])
    decode_knobs(request, opened.fields)
    request.messages = decode_messages(opened.fields["messages"])
    return request


def decode_knobs(request: ChatRequest, members: dict[str, Raw]) -> None:
    """Everything but the model and the messages. Raises InvalidRequest."""
    for name, value in members.items():
        if name in ("model", "messages"):
            continue
        if bytes(value) == b"null" and (name in _PLAIN or name in _SPECIAL):
            request.spelling[name] = "null"
        elif name in _PLAIN:
            attribute, decode, wanted = _PLAIN[name]
            setattr(request, attribute, _typed(decode, value, name, wanted))
        elif name in _SPECIAL:
            _SPECIAL[name](request, value, members)
        else:
            request.extras[name] = value


def _typed(decode: Callable[[Raw], Any], value: Raw, path: str, wanted: str) -> Any:
    try:
        return decode(value)
    except (ValidationError, DecodeError, UnicodeDecodeError, RecursionError):
        kind = json_type(value)
        seen = "" if kind in wanted else f", not {kind}"
        raise InvalidRequest(f"'{path}' must be {wanted}{seen}", param=path) from None


def _object(value: Raw, path: str) -> dict[str, Raw]:
    return _typed(_members, value, path, "an object")  # type: ignore[no-any-return]


def _text(value: Raw | None, path: str) -> str:
    if value is None:
        raise InvalidRequest(f"'{path}' is missing", param=path)
    return _typed(_str, value, path, "a string")  # type: ignore[no-any-return]


def _is_null(value: Raw | None) -> bool:
    return value is None or bytes(value) == b"null"


def _max_tokens(request: ChatRequest, value: Raw, members: dict[str, Raw]) -> None:
    if _is_null(members.get("max_completion_tokens")):
        request.max_tokens = _typed(_int, value, "max_tokens", "a whole number")
        request.spelling["max_tokens"] = "max_tokens"
    else:
        request.extras["max_tokens"] = value


def _logprobs(request: ChatRequest, value: Raw, members: dict[str, Raw]) -> None:
    if bytes(value) in (b"true", b"false"):
        request.logprobs = bytes(value) == b"true"
    elif json_type(value) == "a number":
        request.extras["logprobs"] = value  # the older API's count, still spoken by Together
    else:
        _typed(_bool, value, "logprobs", "true or false")


def _stop(request: ChatRequest, value: Raw, members: dict[str, Raw]) -> None:
    if json_type(value) == "a string":
        request.stop = [_text(value, "stop")]
        request.spelling["stop"] = "string"
        return
    request.stop = _typed(json.Decoder(list[str]).decode, value, "stop", "a string or an array of strings")
    if not request.stop:
        request.spelling["stop"] = "empty"


def _stream_options(request: ChatRequest, value: Raw, members: dict[str, Raw]) -> None:
    options = _object(value, "stream_options")
    asked = options.pop("include_usage", None)
    if asked is not None and bytes(asked) in (b"true", b"false"):
        request.include_usage = bytes(asked) == b"true"
    elif asked is not None:
        if not _is_null(asked):
            raise InvalidRequest("'stream_options.include_usage' must be true or false", param="stream_options.include_usage")
        options["include_usage"] = asked
    if options:
        request.extras["stream_options"] = Raw(encode(options))
    elif asked is None:
        request.spelling["stream_options"] = "empty"


# --- tools --------------------------------------------------------------------


def _tools(request: ChatRequest, value: Raw, members: dict[str, Raw]) -> None:
    items = _typed(json.Decoder(list[Raw]).decode, value, "tools", "an array")
    request.tools = [_tool(_object(item, f"tools[{i}]"), item, f"tools[{i}]") for i, item in enumerate(items)]
    if not items:
        request.spelling["tools"] = "empty"


def _tool(members: dict[str, Raw], item: Raw, path: str) -> Tool:
    kind = _text(members.get("type"), f"{path}.type")
    if kind != "function":
        inner = members.get(kind)
        named = _object(inner, f"{path}.{kind}").get("name") if inner is not None and json_type(inner) == "an object" else None
        return Tool(name=kind if named is None else _text(named, f"{path}.{kind}.name"), raw=item)
    if "function" not in members:
        raise InvalidRequest(f"'{path}.function' is missing", param=f"{path}.function")
    tool = _function(_object(members["function"], f"{path}.function"), f"{path}.function")
    for key, member in members.items():
        if key in ("type", "function"):
            continue
        mark = cache_mark(json.decode(member)) if key == "cache_control" else None
        if mark is not None:
            tool.cache = mark
            tool.spelling.pop(CACHE_AT, None)
        else:
            tool.extras[key] = member
    return tool


def _function(members: dict[str, Raw], path: str) -> Tool:
    tool = Tool(name=_text(members.get("name"), f"{path}.name"))
    inner: Extras = {}
    for key, member in members.items():
        if key == "name":
            continue
        if key == "parameters" and json_type(member) == "an object":
            tool.parameters = member
        elif key == "description" and not _is_null(member):
            tool.description = _text(member, f"{path}.description")
        elif key == "strict" and not _is_null(member):
            tool.strict = _typed(_bool, member, f"{path}.strict", "true or false")
        else:
            if key == "cache_control":
                tool.cache = cache_mark(json.decode(member))
                tool.spelling[CACHE_AT] = "function"
            inner[key] = member
    if inner:
        tool.spelling[INNER] = text_of(inner)
    return tool


def _functions(request: ChatRequest, value: Raw, members: dict[str, Raw]) -> None:
    if not _is_null(members.get("tools")):
        request.extras["functions"] = value
        return
    items = _typed(json.Decoder(list[Raw]).decode, value, "functions", "an array")
    request.tools = [_function(_object(item, f"functions[{i}]"), f"functions[{i}]") for i, item in enumerate(items)]
    request.spelling["functions"] = "tools" if items else "empty"


_MODES = {"auto": "auto", "none": "none", "required": "required", "any": "required"}  # "any": Mistral's word


def _tool_choice(request: ChatRequest, value: Raw, members: dict[str, Raw]) -> None:
    if json_type(value) == "a string":
        word = _text(value, "tool_choice")
        if word not in _MODES:
            raise InvalidRequest(
                f"'tool_choice' must be auto, none, required or a named tool, not {word[:40]!r}", param="tool_choice"
            )
        request.tool_choice = ToolChoice(mode=_MODES[word])  # type: ignore[arg-type]
        if word == "any":
            request.spelling["tool_choice"] = word
        return
    members = _object(value, "tool_choice")
    kind = _text(members.get("type"), "tool_choice.type")
    inner = _object(members[kind], f"tool_choice.{kind}") if kind in members else {}
    if kind == "allowed_tools":
        mode = _text(inner.get("mode"), "tool_choice.allowed_tools.mode")
        choice = ToolChoice(mode="required" if mode == "required" else "auto", extras={"tool_choice": value})
    else:
        choice = ToolChoice(mode="tool", name=_text(inner.get("name"), f"tool_choice.{kind}.name"))
        if kind != "function" or len(inner) > 1 or len(members) > 2:
            choice.extras["tool_choice"] = value
    request.tool_choice = choice


def _function_call(request: ChatRequest, value: Raw, members: dict[str, Raw]) -> None:
    if not _is_null(members.get("tool_choice")):
        request.extras["function_call"] = value
        return
    request.spelling["function_call"] = "tool_choice"
    if json_type(value) == "a string":
        word = _text(value, "function_call")
        if word not in ("auto", "none"):
            raise InvalidRequest(
                f"'function_call' must be auto, none or a named function, not {word[:40]!r}", param="function_call"
            )
        request.tool_choice = ToolChoice(mode="auto" if word == "auto" else "none")
        return
    inner = _object(value, "function_call")
    request.tool_choice = ToolChoice(mode="tool", name=_text(inner.get("name"), "function_call.name"))
    if len(inner) > 1:
        request.tool_choice.extras["function_call"] = value


# --- output and reasoning ---------------------------------------------------------


def _response_format(request: ChatRequest, value: Raw, members: dict[str, Raw]) -> None:
    members = _object(value, "response_format")
    kind = _text(members.get("type"), "response_format.type")
    extras = {key: member for key, member in members.items() if key not in ("type", "json_schema")}
    if kind != "json_schema":
        if kind not in ("text", "json_object"):
            request.extras["response_format"] = value  # a grammar, a regex...: that server's own
            return
        if "json_schema" in members:
            extras["json_schema"] = members["json_schema"]
        request.output = OutputFormat(kind="text" if kind == "text" else "json", extras=extras)
        return
    output = OutputFormat(kind="schema", extras=extras)
    inner: Extras = {}
    path = "response_format.json_schema"
    if "json_schema" not in members:
        raise InvalidRequest(f"'{path}' is missing", param=path)
    for key, member in _object(members["json_schema"], path).items():
        if key == "schema" and not _is_null(member):
            output.schema = member
        elif key == "name" and bytes(member) != b'""' and not _is_null(member):
            output.name = _text(member, f"{path}.name")
        elif key == "strict" and not _is_null(member):
            output.strict = _typed(_bool, member, f"{path}.strict", "true or false")
        elif key == "description" and not _is_null(member):
            output.description = _text(member, f"{path}.description")
        else:
            inner[key] = member
    if inner:
        output.spelling[INNER] = text_of(inner)
    request.output = output


def _reasoning_of(request: ChatRequest, name: str, value: Raw) -> Reasoning:
    """The request's Reasoning. The knobs have three spellings, so each is also kept raw, for this dialect's encoder."""
    if request.reasoning is None:
        request.reasoning = Reasoning()
    request.reasoning.extras[name] = value
    return request.reasoning


def _reasoning_effort(request: ChatRequest, value: Raw, members: dict[str, Raw]) -> None:
    effort = _text(value, "reasoning_effort")
    reasoning = _reasoning_of(request, "reasoning_effort", value)
    reasoning.effort = effort
    if effort == "none":
        reasoning.enabled = False


def _reasoning(request: ChatRequest, value: Raw, members: dict[str, Raw]) -> None:
    """OpenRouter's {"effort" | "max_tokens" | "enabled", "exclude"}."""
    inner = _object(value, "reasoning")
    reasoning = _reasoning_of(request, "reasoning", value)
    if not _is_null(inner.get("effort")):
        reasoning.effort = _text(inner["effort"], "reasoning.effort")
    if not _is_null(inner.get("max_tokens")):
        reasoning.budget_tokens = _typed(_int, inner["max_tokens"], "reasoning.max_tokens", "a whole number")
    if not _is_null(inner.get("enabled")):
        reasoning.enabled = _typed(_bool, inner["enabled"], "reasoning.enabled", "true or false")
    elif reasoning.effort == "none":
        reasoning.enabled = False


def _thinking(request: ChatRequest, value: Raw, members: dict[str, Raw]) -> None:
    """{"type": "enabled" | "disabled" | "adaptive", "budget_tokens"}: DeepSeek, GLM, Kimi; Anthropic's through LiteLLM."""
    inner = _object(value, "thinking")
    reasoning = _reasoning_of(request, "thinking", value)
    kind = _text(inner.get("type"), "thinking.type")
    reasoning.enabled = kind != "disabled"
    reasoning.adaptive = kind in ("adaptive", "auto")
    if not _is_null(inner.get("budget_tokens")):
        reasoning.budget_tokens = _typed(_int, inner["budget_tokens"], "thinking.budget_tokens", "a whole number")


_SPECIAL: dict[str, Callable[[ChatRequest, Raw, dict[str, Raw]], None]] = {
    "max_tokens": _max_tokens,
    "logprobs": _logprobs,
    "stop": _stop,
    "stream_options": _stream_options,
    "tools": _tools,
    "functions": _functions,
    "tool_choice": _tool_choice,
    "function_call": _function_call,
    "response_format": _response_format,
    "reasoning_effort": _reasoning_effort,
    "reasoning": _reasoning,
    "thinking": _thinking,
}
