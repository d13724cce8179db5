"""A generateContent request -> the canonical ChatRequest.

Law: encoding the result for the same dialect gives equal JSON. Tools, schemas and settings whose canonical form is another
one than Google's keep their original as JSON text in a `spelling`. Keys of the request's own `spelling`, besides names
written in snake_case:
    "model"                  what stood before the model's name in the body ("models/" or "")
    "contents"               "one": a single object instead of a list
    "generationConfig {}"    the object was there and empty
    "toolConfig {}"          its original
    "tools {}"               tool objects that hold nothing, as JSON text by their place
A message's: "role" ("absent", "function"), "parts" ("absent", "one").
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw, json

from freehold.base.errors import InvalidRequest
from freehold.wire.chat import ChatRequest, Message, Opaque, OutputFormat, Reasoning, Role, Tool, ToolChoice, ToolResult, ToolUse
from freehold.wire.dialect import Peek
from freehold.wire.dialects.gemini import parts
from freehold.wire.dialects.gemini.schema_in import json_schema
from freehold.wire.dialects.gemini.words import (
    NAME,
    Fields,
    decode_any,
    encode,
    listed,
    normal,
    opened,
    text_of,
    typed,
)
from freehold.wire.typed import is_null

_ROLES: dict[str, Role] = {"user": "user", "model": "assistant", "function": "user"}
CACHED = "cachedContent"  # the kind of the Opaque part that names cached content: a part of the prompt, so never dropped

_float = json.Decoder(float, strict=False).decode
_int = json.Decoder(int, strict=False).decode
_bool = json.Decoder(bool).decode
_texts = json.Decoder(list[str]).decode

# generationConfig's name -> (attribute, decoder, what it must be)
PLAIN: dict[str, tuple[str, Any, str]] = {
    "temperature": ("temperature", _float, "a number"),
    "topP": ("top_p", _float, "a number"),
    "topK": ("top_k", _int, "a whole number"),
    "candidateCount": ("n", _int, "a whole number"),
    "maxOutputTokens": ("max_tokens", _int, "a whole number"),
    "stopSequences": ("stop", _texts, "a list of strings"),
    "seed": ("seed", _int, "a whole number"),
    "presencePenalty": ("presence_penalty", _float, "a number"),
    "frequencyPenalty": ("frequency_penalty", _float, "a number"),
    "responseLogprobs": ("logprobs", _bool, "true or false"),
    "logprobs": ("top_logprobs", _int, "a whole number"),
}
CONFIG = "generationConfig."
_OUTPUT = ("responseMimeType", "responseSchema", "responseJsonSchema", "_responseJsonSchema")


def decode_request(peek: Peek) -> ChatRequest:
    """Raises InvalidRequest with the path of the offending field."""
    request = ChatRequest(dialect=NAME, model=peek.model, messages=[], stream=True if peek.stream else None)
    spelling = request.spelling
    fields = normal(peek.fields, spelling)
    if "model" in fields:
        written = text_of(fields.pop("model"), "model")
        spelling["model"] = "models/" if written.startswith("models/") else ""
    if not is_null(fields.get(CACHED)):
        opaque = Opaque(dialect=NAME, kind=CACHED, raw=fields.pop(CACHED))
        request.messages.append(Message(role="system", parts=[opaque]))
    if not is_null(fields.get("systemInstruction")):
        request.messages.append(_message(fields.pop("systemInstruction"), "systemInstruction", "system"))
    if "contents" not in fields:
        raise InvalidRequest("contents: is missing; it must be a list with at least one content.", param="contents")
    raws, one = listed(fields.pop("contents"), "contents")
    if one:
        spelling["contents"] = "one"
    turns = [_message(raw, f"contents[{number}]") for number, raw in enumerate(raws)]
    _give_ids(turns)
    request.messages += turns
    if not is_null(fields.get("tools")):
        _tools(request, fields.pop("tools"))
    if not is_null(fields.get("toolConfig")):
        _tool_config(request, fields.pop("toolConfig"))
    if not is_null(fields.get("generationConfig")):
        _config(request, fields.pop("generationConfig"))
    if not is_null(fields.get("serviceTier")):
        request.service_tier = text_of(fields.pop("serviceTier"), "serviceTier")
    request.extras |= fields
    return request


# --- contents ------------------------------------------------------------------


def _message(raw: Raw, path: str, role: Role | None = None) -> Message:
    message = Message(role="user", parts=[])
    fields = opened(raw, path)
    if role is None:
        message.role = _role(fields, message.spelling, path)
    else:
        message.role = role
    if is_null(fields.get("parts")):
        message.spelling["parts"] = "absent"
    else:
        raws, one = listed(fields.pop("parts"), f"{path}.parts")
        message.parts = [parts.read(item, f"{path}.parts[{number}]") for number, item in enumerate(raws)]
        if one:
            message.spelling["parts"] = "one"
    message.extras = fields
    return message


def _role(fields: Fields, spelling: dict[str, str], path: str) -> Role:
    if is_null(fields.get("role")) or bytes(fields["role"]) == b'""':
        spelling["role"] = "absent"
        return "user"
    word = text_of(fields.pop("role"), f"{path}.role")
    role = _ROLES.get(word)
    if role is None:
        raise InvalidRequest(f"{path}.role: is {word[:40]!r}; it must be user or model.", param=f"{path}.role")
    if word == "function":
        spelling["role"] = word
    return role


def _give_ids(turns: list[Message]) -> None:
    """Ids for calls that have none, by their place; results take them by name and order (or their own id says which)."""
    waiting: list[ToolUse] = []
    for number, turn in enumerate(turns):
        if turn.role == "assistant" and (number == 0 or turns[number - 1].role != "assistant"):
            waiting = []
        for place, part in enumerate(turn.parts):
            if isinstance(part, ToolUse):
                part.id = part.id or f"call_{number}_{place}"
                waiting.append(part)
            elif isinstance(part, ToolResult):
                name = part.spelling["name"]
                found = next((call for call in waiting if call.id == part.call_id), None) if part.call_id else None
                found = found or next((call for call in waiting if call.name == name and not part.call_id), None)
                if found is not None:
                    waiting.remove(found)
                    part.call_id = found.id
                part.call_id = part.call_id or f"call_{number}_{place}"


# --- tools ---------------------------------------------------------------------


def _tools(request: ChatRequest, raw: Raw) -> None:
    """One canonical tool a function; built-in tools keep their raw form. "group" tells which shared an object."""
    raws, one = listed(raw, "tools")
    empty: dict[str, Any] = {}
    for number, item in enumerate(raws):
        path = f"tools[{number}]"
        spelling: dict[str, str] = {}
        fields = normal(opened(item, path), spelling)
        hints = {"group": str(number)}
        if (name := spelling.get("functionDeclarations")) is not None:
            hints["functionDeclarations"] = name
        before = len(request.tools)
        declarations = fields.pop("functionDeclarations", None)
        if not is_null(declarations):
            items, _ = listed(declarations, f"{path}.functionDeclarations")  # type: ignore[arg-type]
            for place, declaration in enumerate(items):
                request.tools.append(_function(declaration, f"{path}.functionDeclarations[{place}]", hints))
        for name, value in fields.items():
            request.tools.append(Tool(name=name, raw=Raw(encode({spelling.get(name, name): value})), spelling=dict(hints)))
        if len(request.tools) == before:
            empty[str(number)] = item
    if empty or not raws or one:
        request.spelling["tools {}"] = encode({"one": one, "items": empty}).decode()


def _function(raw: Raw, path: str, hints: dict[str, str]) -> Tool:
    tool = Tool(name="", spelling=dict(hints))
    fields = normal(opened(raw, path), tool.spelling)
    tool.name = text_of(fields.pop("name", None), f"{path}.name")
    if not is_null(fields.get("description")):
        tool.description = text_of(fields.pop("description"), f"{path}.description")
    for name in ("parametersJsonSchema", "parameters"):
        if is_null(fields.get(name)) or tool.parameters is not None:
            continue
        original = fields.pop(name)
        tool.parameters = original if name == "parametersJsonSchema" else json_schema(original, f"{path}.{name}")
        opened(tool.parameters, f"{path}.{name}")
        tool.spelling[f"{name} {{}}"] = bytes(original).decode("utf-8", "replace")
    tool.extras = fields
    return tool


_MODES = {"AUTO": "auto", "VALIDATED": "auto", "MODE_UNSPECIFIED": "auto", "ANY": "required", "NONE": "none"}
_NUMBERED_MODES = {0: "auto", 1: "auto", 2: "required", 3: "none"}


def _tool_config(request: ChatRequest, raw: Raw) -> None:
    request.tool_choice, request.spelling["toolConfig {}"] = tool_choice(raw), bytes(raw).decode("utf-8", "replace")


def tool_choice(raw: Raw) -> ToolChoice | None:
    """What a toolConfig says about calling functions. What it says beyond is among the choice's extras."""
    config = normal(opened(raw, "toolConfig"), {})
    path = "toolConfig.functionCallingConfig"
    inner = config.pop("functionCallingConfig", None)
    extras = config
    choice = ToolChoice(mode="auto")
    if not is_null(inner):
        fields = normal(opened(inner, path), {})
        choice.mode = _mode(fields.pop("mode", None), f"{path}.mode")  # type: ignore[assignment]
        if "allowedFunctionNames" in fields:
            names = typed(_texts, fields["allowedFunctionNames"], f"{path}.allowedFunctionNames", "a list of strings")
            if len(names) == 1 and choice.mode == "required":
                choice.mode, choice.name = "tool", names[0]
            if choice.mode == "tool" or not names:
                del fields["allowedFunctionNames"]
        extras = extras | fields
    elif not extras:
        return None
    choice.extras = extras
    return choice


def _mode(raw: Raw | None, path: str) -> str:
    if is_null(raw):
        return "auto"
    word = typed(decode_any, raw, path, "a string")
    mode = _NUMBERED_MODES.get(word) if type(word) is int else _MODES.get(str(word).upper())
    if mode is None:
        raise InvalidRequest(f"{path}: is {str(word)[:40]!r}; it must be AUTO, ANY, NONE or VALIDATED.", param=path)
    return mode


# --- generationConfig ------------------------------------------------------------


def _config(request: ChatRequest, raw: Raw) -> None:
    fields = normal(opened(raw, "generationConfig"), request.spelling, CONFIG)
    if not fields:
        request.spelling["generationConfig {}"] = "empty"
    for name, (attribute, decode, wanted) in PLAIN.items():
        if is_null(fields.get(name)):
            continue
        value = typed(decode, fields[name], CONFIG + name, wanted)
        if value != []:
            setattr(request, attribute, value)
            del fields[name]
    if not is_null(fields.get("thinkingConfig")):
        request.reasoning = reasoning(fields.pop("thinkingConfig"))
    request.output = _output(fields)
    for name, value in fields.items():
        request.extras[CONFIG + name] = value


def _output(fields: Fields) -> OutputFormat | None:
    """The format, its fields removed; None (and they stay) where it is none that another API could have."""
    kind = fields.get("responseMimeType")
    mime = "" if is_null(kind) else text_of(kind, f"{CONFIG}responseMimeType")
    if mime not in ("", "text/plain", "application/json"):
        return None
    schemas = [name for name in _OUTPUT[1:] if not is_null(fields.get(name))]
    if not schemas and not mime:
        return None
    output = OutputFormat(kind="text" if mime == "text/plain" else "json")
    if schemas and output.kind == "json":
        name = schemas[-1]
        opened(fields[name], CONFIG + name)
        output.kind = "schema"
        output.schema = json_schema(fields[name], CONFIG + name) if name == "responseSchema" else fields[name]
    for name in _OUTPUT:
        if name in fields:
            output.spelling[f"{name} {{}}"] = bytes(fields.pop(name)).decode("utf-8", "replace")
    return output


def reasoning(raw: Raw) -> Reasoning:
    path = f"{CONFIG}thinkingConfig"
    fields = normal(opened(raw, path), {})
    found = Reasoning(extras={"thinkingConfig": raw})
    if not is_null(fields.get("thinkingBudget")):
        budget = typed(_int, fields["thinkingBudget"], f"{path}.thinkingBudget", "a whole number")
        if budget > 0:
            found.enabled, found.budget_tokens = True, budget
        elif budget == 0:
            found.enabled = False
        else:
            found.enabled = found.adaptive = True
    if not is_null(fields.get("thinkingLevel")):
        level = typed(decode_any, fields["thinkingLevel"], f"{path}.thinkingLevel", "a string")
        if isinstance(level, str) and level.upper() in ("MINIMAL", "LOW", "MEDIUM", "HIGH"):
            found.enabled, found.effort = True, level.lower()
    return found
