"""The canonical ChatRequest -> a generateContent request.

One from this dialect is written back as it came. The messages of one from another dialect are first adapted (adapt.py);
its knobs are put in Gemini's terms by knobs.py, its schemas by schema.py.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from freehold.base.errors import Unsupported
from freehold.wire.chat import Audio, ChatRequest, File, Image, Message, Opaque, Tool, ToolResult
from freehold.wire.dialect import Quirks
from freehold.wire.dialects.gemini import parts
from freehold.wire.dialects.gemini.adapt import adapt
from freehold.wire.dialects.gemini.decode import CACHED, CONFIG, PLAIN, tool_choice
from freehold.wire.dialects.gemini.knobs import choice_out, format_out, thinking_out
from freehold.wire.dialects.gemini.models import Traits, traits
from freehold.wire.dialects.gemini.schema import parameters_out
from freehold.wire.dialects.gemini.words import NAME, bare_model, decode_any, decode_fields, encode, respell
from freehold.wire.dropped import Dropped

Object = dict[str, Any]


def encode_request(request: ChatRequest, model: str, quirks: Quirks) -> tuple[bytes, tuple[str, ...]]:
    """The body and the names of what was left out. Raises Unsupported, and Unsupported for a history no API takes."""
    dropped: Dropped = {}
    known = traits(model)
    if quirks.unsupported:
        _refuse(request, quirks)
    if request.dialect != NAME:
        request = adapt(request, known, dropped)
    body = _body(request, model, known, dropped)
    for name in quirks.drop:
        if body.pop(name, None) is not None:
            dropped[name] = None
    if quirks.rename:
        body = {quirks.rename.get(name, name): value for name, value in body.items()}
    return encode(body), tuple(dropped)


def _body(request: ChatRequest, model: str, known: Traits, dropped: Dropped) -> Object:
    spelling = request.spelling
    out: Object = {}
    if (prefix := spelling.get("model")) is not None:
        out["model"] = prefix + bare_model(model)
    _system(request, out)
    contents = [_content(message) for message in request.messages if message.role not in ("system", "developer")]
    out["contents"] = contents[0] if spelling.get("contents") == "one" and len(contents) == 1 else contents
    tools = _tools(request, known, dropped)
    if tools is not None:
        out["tools"] = tools
    if (config := _tool_config(request)) is not None:
        out["toolConfig"] = config
    config = _config(request, known, dropped)
    if config or "generationConfig {}" in spelling:
        out["generationConfig"] = config
    if request.service_tier is not None:
        out["serviceTier"] = request.service_tier
    out |= {name: raw for name, raw in request.extras.items() if not name.startswith(CONFIG)}
    return respell(out, spelling)


def _system(request: ChatRequest, out: Object) -> None:
    """System messages, wherever they stand, make up systemInstruction; cached content has its own field."""
    messages: list[Message] = []
    for message in request.messages:
        if message.role in ("system", "developer"):
            only = message.parts[0] if len(message.parts) == 1 else None
            if isinstance(only, Opaque) and only.kind == CACHED:
                out[CACHED] = only.raw
            else:
                messages.append(message)
    if len(messages) == 1:
        out["systemInstruction"] = _with_parts(messages[0])
    elif messages:
        joined = Message(role="system", parts=[part for one in messages for part in one.parts], extras=messages[0].extras)
        out["systemInstruction"] = _with_parts(joined)


def _content(message: Message) -> Object:
    out = _with_parts(message)
    role = message.spelling.get("role")
    if role != "absent":
        out["role"] = role or ("model" if message.role == "assistant" else "user")
    return out


def _with_parts(message: Message) -> Object:
    written = [one for part in message.parts if (one := parts.write(part, own=True)) is not None]
    how = message.spelling.get("parts")
    out: Object = dict(message.extras)
    if how == "one" and len(written) == 1:
        out["parts"] = written[0]
    elif written or how != "absent":
        out["parts"] = written
    return out


# --- tools ---------------------------------------------------------------------


def _tools(request: ChatRequest, known: Traits, dropped: Dropped) -> Any:
    """Tool objects as they were grouped; ungrouped functions share one, each built-in tool has its own."""
    groups: dict[str, Object] = {}
    for number, tool in enumerate(request.tools):
        group = tool.spelling.get("group") or ("functions" if tool.raw is None else f"raw {number}")
        held = groups.setdefault(group, {})
        if tool.raw is not None:
            held |= decode_fields(tool.raw)
        else:
            name = "function_declarations" if "functionDeclarations" in tool.spelling else "functionDeclarations"
            held.setdefault(name, []).append(_function(tool, number, known, dropped))
    written: list[Any] = list(groups.values())
    hint = request.spelling.get("tools {}")
    if hint is None:
        return written or None
    told = decode_any(hint)
    for place in sorted(told["items"], key=int):
        written.insert(int(place), told["items"][place])
    return written[0] if told["one"] and len(written) == 1 else written


def _function(tool: Tool, number: int, known: Traits, dropped: Dropped) -> Object:
    out: Object = {"name": tool.name}
    if tool.description is not None:
        out["description"] = tool.description
    held = {
        name: tool.spelling[f"{name} {{}}"] for name in ("parameters", "parametersJsonSchema") if f"{name} {{}}" in tool.spelling
    }
    if held:
        out |= {name: Raw(text.encode()) for name, text in held.items()}
    elif tool.parameters is not None:
        out |= parameters_out(tool.parameters, f"tools[{number}].parameters", known.schema_tools, dropped)
    return respell(out | tool.extras, tool.spelling)


def _tool_config(request: ChatRequest) -> Any:
    held = request.spelling.get("toolConfig {}")
    if held is not None and tool_choice(Raw(held.encode())) == request.tool_choice:
        return Raw(held.encode())
    if request.tool_choice is None:
        return None
    return choice_out(request.tool_choice)


# --- generationConfig ------------------------------------------------------------


def _config(request: ChatRequest, known: Traits, dropped: Dropped) -> Object:
    out: Object = {}
    for name, (attribute, _, _) in PLAIN.items():
        value = getattr(request, attribute)
        if value is not None and value != []:
            out[name] = value
    output, thinking = request.output, request.reasoning
    if output is not None:
        held = {key.removesuffix(" {}"): text for key, text in output.spelling.items() if key.endswith(" {}")}
        out |= {name: Raw(text.encode()) for name, text in held.items()} or format_out(output, known, dropped)
    if thinking is not None:
        config = thinking.extras.get("thinkingConfig") or thinking_out(thinking, known, dropped)
        if config is not None:
            out["thinkingConfig"] = config
    for name, raw in request.extras.items():
        if name.startswith(CONFIG):
            out[name.removeprefix(CONFIG)] = raw
    return respell(out, request.spelling, CONFIG)


def _refuse(request: ChatRequest, quirks: Quirks) -> None:
    """What this target can't do at all."""
    refused = quirks.unsupported
    if "tools" in refused and request.tools:
        raise Unsupported("This target takes no tools.", param="tools")
    if "schema" in refused and request.output is not None and request.output.kind == "schema":
        raise Unsupported("This target can't be held to a JSON schema.", param="response_format")
    if "n" in refused and request.n is not None and request.n > 1:
        raise Unsupported(f"n: is {request.n}; this target gives one choice. Send several requests.", param="n")
    for number, message in enumerate(request.messages):
        for part in message.parts:
            for item in part.parts if isinstance(part, ToolResult) else [part]:
                kind = {Image: "image", File: "file", Audio: "audio"}.get(type(item))
                if kind in refused:
                    raise Unsupported(f"This target takes no {kind} input.", param=f"messages[{number}]")
