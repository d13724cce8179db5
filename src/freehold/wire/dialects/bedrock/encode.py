"""The canonical ChatRequest -> a Converse request.

One from this dialect is written back as it came. One from another dialect is first adapted (adapt.py) into one that this
dialect could have sent. The model and the form of the reply are in the path.
"""

from __future__ import annotations

from msgspec import Raw, json, structs

from freehold.base.errors import Unsupported
from freehold.wire.chat import Audio, ChatRequest, File, Image, OutputFormat, Tool, ToolChoice, ToolResult
from freehold.wire.dialect import Quirks
from freehold.wire.dialects.bedrock.adapt import adapt, place
from freehold.wire.dialects.bedrock.content import Fields, Object, blocks, cache_point
from freehold.wire.dialects.bedrock.models import family
from freehold.wire.dialects.bedrock.words import IN, NAME

_encode = json.Encoder().encode
_fields = json.Decoder(Fields).decode
_MORE = "additionalModelRequestFields"


def encode_request(request: ChatRequest, model: str, quirks: Quirks) -> tuple[bytes, tuple[str, ...]]:
    """The body and the names of what was left out. Raises Unsupported, and Unsupported for a history no API takes."""
    dropped: dict[str, None] = {}
    if request.dialect != NAME:
        request = adapt(request, model, dropped)
    request = structs.replace(request, spelling=dict(request.spelling))  # another target may be tried after this one
    place(request, family(model))
    if quirks.unsupported:
        _refuse(request, quirks)
    body = _body(request)
    for name in quirks.drop:
        if body.pop(name, None) is not None:
            dropped[name] = None
    if quirks.rename:
        body = {quirks.rename.get(name, name): value for name, value in body.items()}
    return _encode(body), tuple(dropped)


def _body(request: ChatRequest) -> Object:
    extras = dict(request.extras)
    out: Object = {}
    system: list[Object | Raw] = []
    messages: list[Object] = []
    for message in request.messages:
        if message.role == "system" and IN not in message.spelling:
            system += blocks(message.parts)
        else:
            messages.append({"role": message.role, "content": blocks(message.parts), **message.extras})
    if system:
        out["system"] = system
    if messages:  # a stored prompt brings its own
        out["messages"] = messages
    _put(out, extras, "inferenceConfig", _inference(request))
    _put(out, extras, "toolConfig", _tool_config(request))
    _put(out, extras, "outputConfig", _output(request))
    _additional(request, out, extras)
    if request.service_tier is not None:
        _put(out, extras, "serviceTier", {"type": request.service_tier})
    if request.metadata is not None:
        out["requestMetadata"] = request.metadata
    return out | extras


def _put(out: Object, extras: Fields, name: str, members: Object) -> None:
    """A top-level object from what canonical words say and what is left of it among the extras."""
    if members:
        out[name] = {**members, **_opened(extras.pop(name, None))}


def _opened(raw: Raw | None) -> Fields:
    return _fields(raw) if raw is not None and bytes(raw) != b"null" else {}


def _inference(request: ChatRequest) -> Object:
    found = {
        "maxTokens": request.max_tokens,
        "temperature": request.temperature,
        "topP": request.top_p,
        "stopSequences": request.stop or None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _tool_config(request: ChatRequest) -> Object:
    out: Object = {}
    if request.tools:
        out["tools"] = [item for tool in request.tools for item in _tool(tool)]
    if request.tool_choice is not None:
        out["toolChoice"] = _choice(request.tool_choice)
    return out


def _tool(tool: Tool) -> list[Object | Raw]:
    item: Object | Raw
    if tool.raw is not None:
        item = tool.raw
    else:
        spec: Object = {"name": tool.name}
        if tool.description is not None:
            spec["description"] = tool.description
        if tool.parameters is not None:
            spec["inputSchema"] = {"json": tool.parameters}
        if tool.strict is not None:
            spec["strict"] = tool.strict
        item = {"toolSpec": spec | tool.extras}
    return [item] if tool.cache is None else [item, cache_point(tool.cache)]


def _choice(choice: ToolChoice) -> Object:
    if choice.mode == "tool":
        return {"tool": {"name": choice.name, **choice.extras}}
    return {"any" if choice.mode == "required" else "auto": choice.extras}


def _output(request: ChatRequest) -> Object:
    out: Object = {}
    if request.reasoning is not None and request.spelling.get("effort") == "outputConfig":
        out["effort"] = request.reasoning.effort
    if request.output is not None:
        out["textFormat"] = _text_format(request.output)
    return out


def _text_format(output: OutputFormat) -> Object:
    definition: Object = {"schema": bytes(output.schema or b"{}").decode()}
    if output.name:
        definition["name"] = output.name
    if output.description is not None:
        definition["description"] = output.description
    return {"type": "json_schema", "structure": {"jsonSchema": definition | output.extras}}


def _additional(request: ChatRequest, out: Object, extras: Fields) -> None:
    """The model family's own fields. `spelling` says where each of them goes."""
    more: Object = {}
    where, effort_at = request.spelling.get("reasoning", ""), request.spelling.get("effort", "")
    if (reasoning := request.reasoning) is not None:
        if where == "reasoning_effort":
            more[where] = reasoning.effort
        elif where:
            kind = "adaptive" if reasoning.adaptive else "enabled" if reasoning.enabled else "disabled"
            asked: Object = {"type": kind}
            if reasoning.budget_tokens is not None:
                asked["budget_tokens"] = reasoning.budget_tokens
            if reasoning.effort and not effort_at:
                asked["maxReasoningEffort"] = reasoning.effort
            more[where] = asked | reasoning.extras
        if effort_at == "output_config":
            more[effort_at] = {"effort": reasoning.effort}
    if request.top_k is not None:
        nova = request.spelling.get("top_k") == "inferenceConfig"
        more |= {"inferenceConfig": {"topK": request.top_k}} if nova else {"top_k": request.top_k}
    if more:
        rest = _opened(extras.pop(_MORE, None))
        for name, value in rest.items():
            more[name] = {**more[name], **_opened(value)} if name in more else value
        out[_MORE] = more


def _refuse(request: ChatRequest, quirks: Quirks) -> None:
    refused = quirks.unsupported
    if request.tools and "tools" in refused:
        raise Unsupported("This target takes no tools.", param="tools")
    if request.output is not None and "schema" in refused:
        raise Unsupported("This target can't be held to a JSON schema.", param="response_format")
    names = {Image: "image", File: "file", Audio: "audio"}
    for number, message in enumerate(request.messages):
        for part in message.parts:
            for item in part.parts if type(part) is ToolResult else [part]:
                kind = names.get(type(item), "")
                if kind and kind in refused:
                    raise Unsupported(f"This target takes no {kind} content.", param=f"messages[{number}]")
