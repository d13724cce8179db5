"""A Converse request -> the canonical ChatRequest.

Law: encoding the result for the same dialect gives equal JSON. Members that canonical words can't hold stay in `extras`
under the name of their top-level field, as an object of what is left of it. `spelling` keys:
    "reasoning"   where thinking was asked for: a member of additionalModelRequestFields ("thinking", "reasoning_config",
                  "reasoningConfig", "reasoning_effort")
    "effort"      where the effort stood: "outputConfig", or "output_config" in additionalModelRequestFields
    "top_k"       "top_k", or "inferenceConfig" (Nova) in additionalModelRequestFields
    "in"          on a system Message: "messages", where it stood among them
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw, Struct, json

from freehold.base.errors import InvalidRequest
from freehold.wire.chat import ChatRequest, Message, OutputFormat, Reasoning, Role, Tool, ToolChoice
from freehold.wire.dialect import Peek
from freehold.wire.dialects.anthropic.blocks import listed, opened, text_of
from freehold.wire.dialects.bedrock.content import Fields, cache_mark, parts
from freehold.wire.dialects.bedrock.words import IN, NAME

_ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system"}
_encode = json.Encoder().encode
_float = json.Decoder(float | None).decode
_int = json.Decoder(int | None).decode
_str = json.Decoder(str | None).decode
_texts = json.Decoder(list[str] | None).decode
_schema_object = json.Decoder(dict[str, Raw]).decode


def decode_request(peek: Peek) -> ChatRequest:
    """Raises InvalidRequest with the path of the offending field."""
    fields = dict(peek.fields)
    fields.pop("modelId", None)  # SDKs hold it beside the body; it belongs into the path
    request = ChatRequest(dialect=NAME, model=peek.model, messages=[], stream=peek.stream)
    _messages(request, fields)
    config = _take_object(fields, "inferenceConfig")
    if config is not None:
        request.max_tokens = _take(config, "maxTokens", "inferenceConfig", _int, "a whole number")
        request.temperature = _take(config, "temperature", "inferenceConfig", _float, "a number")
        request.top_p = _take(config, "topP", "inferenceConfig", _float, "a number")
        request.stop = _take(config, "stopSequences", "inferenceConfig", _texts, "a list of strings") or []
        _keep(fields, "inferenceConfig", config, request.max_tokens, request.temperature, request.top_p, request.stop)
    _tools(request, fields)
    _output(request, fields)
    _additional(request, fields)
    tier = _take_object(fields, "serviceTier")
    if tier is not None:
        request.service_tier = _take(tier, "type", "serviceTier", _str, "a string")
        _keep(fields, "serviceTier", tier, request.service_tier)
    if "requestMetadata" in fields and bytes(fields["requestMetadata"]) != b"null":
        request.metadata = fields.pop("requestMetadata")
    request.extras = fields
    return request


def _messages(request: ChatRequest, fields: Fields) -> None:
    if "system" in fields:
        raws = listed(fields["system"], "system")
        if raws:
            del fields["system"]
            request.messages.append(Message(role="system", parts=parts(raws, "system")))
    if "messages" not in fields:
        return
    for number, raw in enumerate(listed(fields.pop("messages"), "messages")):
        path = f"messages[{number}]"
        members = opened(raw, path)
        written = text_of(members.pop("role", None), f"{path}.role")
        role = _ROLES.get(written)
        if role is None:
            raise InvalidRequest(f"{path}.role: is {written[:40]!r}; it must be user, assistant or system", param=f"{path}.role")
        if "content" not in members:
            raise InvalidRequest(f"{path}.content: is missing; it must be a list", param=f"{path}.content")
        content = parts(listed(members.pop("content"), f"{path}.content"), f"{path}.content")
        spelling = {IN: "messages"} if role == "system" else {}
        request.messages.append(Message(role=role, parts=content, extras=members, spelling=spelling))


# --- one object after another, taken apart --------------------------------------


def _take_object(fields: Fields, name: str) -> Fields | None:
    """Remove an optional object; null stays among the extras."""
    raw = fields.get(name)
    if raw is None or bytes(raw) == b"null":
        return None
    del fields[name]
    return opened(raw, name)


def _take(fields: Fields, name: str, path: str, decode: Any, kind: str) -> Any:
    """Remove an optional value; null, "" and [] stay where they are."""
    raw = fields.get(name)
    if raw is None:
        return None
    try:
        value = decode(raw)
    except (ValueError, RecursionError):
        raise InvalidRequest(f"{path}.{name}: must be {kind}", param=f"{path}.{name}") from None
    if value is not None and value != [] and value != "":
        del fields[name]
    return value


def _keep(fields: Fields, name: str, rest: Fields, *taken: Any) -> None:
    """What is left of an object goes back among the extras, and so does one that was empty from the start."""
    if rest or all(value is None or value == [] or value == "" for value in taken):
        fields[name] = Raw(_encode(rest))


# --- tools ------------------------------------------------------------------------


def _tools(request: ChatRequest, fields: Fields) -> None:
    config = _take_object(fields, "toolConfig")
    if config is None:
        return
    if "tools" in config:
        for number, raw in enumerate(listed(config["tools"], "toolConfig.tools")):
            _tool(request, raw, f"toolConfig.tools[{number}]")
        if request.tools:
            del config["tools"]
    if "toolChoice" in config and bytes(config["toolChoice"]) != b"null":
        request.tool_choice = _choice(config.pop("toolChoice"), "toolConfig.toolChoice")
    _keep(fields, "toolConfig", config, request.tools, request.tool_choice)


def _tool(request: ChatRequest, raw: Raw, path: str) -> None:
    fields = opened(raw, path)
    kind = next(iter(fields), "")
    if kind == "cachePoint" and request.tools and request.tools[-1].cache is None:
        mark = cache_mark(raw)
        if mark is not None:
            request.tools[-1].cache = mark
            return
    if kind != "toolSpec" or len(fields) != 1:
        inner = fields.get(kind)
        name = _name_of(inner) if kind == "systemTool" else ""
        request.tools.append(Tool(name=name or kind or "unknown", raw=raw))
        return
    path = f"{path}.toolSpec"
    spec = opened(fields[kind], path)
    tool = Tool(name=text_of(spec.pop("name", None), f"{path}.name"))
    if "inputSchema" not in spec:
        raise InvalidRequest(f"{path}.inputSchema: is missing; it must be {{'json': SCHEMA}}", param=f"{path}.inputSchema")
    schema = opened(spec["inputSchema"], f"{path}.inputSchema")
    if schema.keys() == {"json"}:
        opened(schema["json"], f"{path}.inputSchema.json")
        tool.parameters = schema["json"]
        del spec["inputSchema"]
    tool.description = _take(spec, "description", path, _str, "a string") or None
    if "strict" in spec and bytes(spec["strict"]) in (b"true", b"false"):
        tool.strict = bytes(spec.pop("strict")) == b"true"
    tool.extras = spec
    request.tools.append(tool)


class _Named(Struct):
    name: str = ""


_named = json.Decoder(_Named).decode


def _name_of(raw: Raw | None) -> str:
    try:
        return _named(raw).name if raw is not None else ""
    except (ValueError, RecursionError):
        return ""


def _choice(raw: Raw, path: str) -> ToolChoice:
    fields = opened(raw, path)
    kind = next(iter(fields), "")
    if len(fields) != 1 or kind not in ("auto", "any", "tool"):
        raise InvalidRequest(f"{path}: must be one of auto, any or tool, as in {{'auto': {{}}}}", param=path)
    inner = opened(fields[kind], f"{path}.{kind}")
    if kind != "tool":
        return ToolChoice(mode="auto" if kind == "auto" else "required", extras=inner)
    return ToolChoice(mode="tool", name=text_of(inner.pop("name", None), f"{path}.tool.name"), extras=inner)


# --- output, thinking, sampling -------------------------------------------------------


def _output(request: ChatRequest, fields: Fields) -> None:
    config = _take_object(fields, "outputConfig")
    if config is None:
        return
    effort = _take(config, "effort", "outputConfig", _str, "a string")
    if effort:
        request.reasoning = Reasoning(effort=effort)
        request.spelling["effort"] = "outputConfig"
    if "textFormat" in config:
        request.output = _text_format(config["textFormat"])
        if request.output is not None:
            del config["textFormat"]
    _keep(fields, "outputConfig", config, effort, request.output)


def _text_format(raw: Raw) -> OutputFormat | None:
    """{"type": "json_schema", "structure": {"jsonSchema": {"schema": JSON text, ...}}}; another shape stays as it is."""
    path = "outputConfig.textFormat"
    fields = opened(raw, path)
    structure = opened(fields["structure"], f"{path}.structure") if "structure" in fields else {}
    if bytes(fields.get("type", b"")) != b'"json_schema"' or len(fields) != 2 or structure.keys() != {"jsonSchema"}:
        return None
    path = f"{path}.structure.jsonSchema"
    definition = opened(structure["jsonSchema"], path)
    text = text_of(definition.pop("schema", None), f"{path}.schema")
    try:
        _schema_object(text)
    except (ValueError, RecursionError):
        raise InvalidRequest(f"{path}.schema: must be a string that holds a JSON Schema object", param=f"{path}.schema") from None
    return OutputFormat(
        kind="schema",
        schema=Raw(text.encode()),
        name=_take(definition, "name", path, _str, "a string") or "",
        description=_take(definition, "description", path, _str, "a string") or None,
        extras=definition,
    )


class _Thinking(Struct):
    """Claude's `thinking` and `reasoning_config`, and Nova's `reasoningConfig`."""

    type: str
    budget_tokens: int | None = None
    maxReasoningEffort: str = ""


_thinking = json.Decoder(_Thinking).decode


def _additional(request: ChatRequest, fields: Fields) -> None:
    """Each model family's own fields: those that mean a canonical word are taken out."""
    name = "additionalModelRequestFields"
    raw = fields.get(name)
    if raw is None:
        return
    try:
        more: Fields = _schema_object(raw)
    except (ValueError, RecursionError):
        return  # any JSON is allowed here
    before = len(more)
    changed = _reasoning(request, more)
    if (top_k := _plain_int(more.get("top_k"))) is not None:
        request.top_k, request.spelling["top_k"] = top_k, "top_k"
        del more["top_k"]
    elif "inferenceConfig" in more:
        inner = _opened(more["inferenceConfig"])
        if (top_k := _plain_int(inner.get("topK"))) is not None:
            request.top_k, request.spelling["top_k"] = top_k, "inferenceConfig"
            _put_back(more, "inferenceConfig", inner, "topK")
            changed = True
    if changed or len(more) != before:
        if more:
            fields[name] = Raw(_encode(more))
        else:
            del fields[name]


def _reasoning(request: ChatRequest, more: Fields) -> bool:
    """Take the wish to think out of `more`. True where something was taken."""
    for name in ("thinking", "reasoning_config", "reasoningConfig"):
        if name in more and (found := _thinking_of(name, more[name])) is not None:
            if request.reasoning is not None:
                if found.effort:
                    return False  # two efforts: one of them has to stay where it is
                found.effort = request.reasoning.effort
            request.reasoning, request.spelling["reasoning"] = found, name
            del more[name]
            break
    effort = _plain_str(more.get("reasoning_effort"))
    if effort and request.reasoning is None:
        request.reasoning, request.spelling["reasoning"] = Reasoning(effort=effort), "reasoning_effort"
        del more["reasoning_effort"]
    config = _opened(more.get("output_config"))
    effort = _plain_str(config.get("effort"))
    if effort and (request.reasoning is None or not request.reasoning.effort):
        request.reasoning = request.reasoning or Reasoning()
        request.reasoning.effort, request.spelling["effort"] = effort, "output_config"
        _put_back(more, "output_config", config, "effort")
        return True
    return "reasoning" in request.spelling


def _thinking_of(name: str, raw: Raw) -> Reasoning | None:
    try:
        asked = _thinking(raw)
    except (ValueError, RecursionError):
        return None
    if asked.type not in ("enabled", "disabled", "adaptive"):
        return None
    rest = opened(raw, name)
    del rest["type"]
    if asked.budget_tokens is not None:
        del rest["budget_tokens"]
    effort = asked.maxReasoningEffort if name == "reasoningConfig" else ""
    if effort:
        del rest["maxReasoningEffort"]
    return Reasoning(
        enabled=asked.type != "disabled",
        adaptive=asked.type == "adaptive",
        effort=effort,
        budget_tokens=asked.budget_tokens,
        extras=rest,
    )


def _put_back(more: Fields, name: str, inner: Fields, taken: str) -> None:
    del inner[taken]
    if inner:
        more[name] = Raw(_encode(inner))
    else:
        del more[name]


def _opened(raw: Raw | None) -> Fields:
    try:
        return _schema_object(raw) if raw is not None else {}
    except (ValueError, RecursionError):
        return {}


def _plain_int(raw: Raw | None) -> int | None:
    try:
        return _int(raw) if raw is not None else None
    except (ValueError, RecursionError):
        return None


def _plain_str(raw: Raw | None) -> str | None:
    try:
        return _str(raw) if raw is not None else None
    except (ValueError, RecursionError):
        return None
