"""A request from another dialect -> one that Converse accepts, still in canonical form.

Turns, tool results, their ids and blank text follow the rules of Anthropic's API (its adapt.py), which Converse shares.
Decisions, where it differs:
- Images, files and audio go as bytes: there is no URL and no file id. A file gets a name in the allowed characters that
  no other one of the request has; plain text goes as a txt document.
- Only Claude takes back signed thinking; for other models it is left out (named "thinking").
- Only Claude and Nova know a result's status: for other models an error begins with the text "Error:".
- Cache marks become cache points where the model knows them, else they are dropped; a tool result holds none inside.
- `tool_choice` "none" has no word. Without tool calls in the history the tools are left out, which means the same; with
  them Converse insists on the tools, so the choice is dropped and named.
- A JSON schema becomes outputConfig.textFormat for every model: which ones can be held to it changes too often to be
  known here, and the provider's own refusal is clear. A provider row whose models can't says `unsupported: [schema]`; no
  tool call is forced in its place, since that would be another reply. "Any JSON object" has no equivalent: dropped.
- No `max_tokens` stays none: the API then allows as much as the model can.
- Metadata goes into requestMetadata where it fits its rules.
"""

from __future__ import annotations

import re
from base64 import b64encode

from msgspec import Raw, json, structs

from freehold.base.errors import InvalidRequest, Unsupported
from freehold.wire.chat import (
    AnyPart,
    Audio,
    ChatRequest,
    File,
    Image,
    Media,
    OutputFormat,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    ToolResult,
    ToolUse,
)
from freehold.wire.dialects.anthropic.adapt import Turns
from freehold.wire.dialects.anthropic.blocks import opened
from freehold.wire.dialects.anthropic.knobs import adapt_knobs
from freehold.wire.dialects.anthropic.models import Traits, traits
from freehold.wire.dialects.bedrock.models import Family, family
from freehold.wire.dialects.bedrock.words import DOCUMENT_FORMATS, NAME
from freehold.wire.dropped import Dropped, name_extras

_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9\-()\[\] ]+")
_SPACES = re.compile(r"\s+")
_METADATA = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,\-.]{0,256}")
_IMAGE_FORMATS = ("png", "jpeg", "gif", "webp")
_AUDIO_FORMATS = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav", "x-m4a": "m4a", "pcm16": "pcm"}
_AUDIO = ("mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "mka", "x-aac", "m4a", "mpeg", "mpga", "pcm", "webm")
_NO_PARAMETERS = Raw(b'{"type":"object","properties":{}}')
_PLAIN = Traits("none", 0)
_TIERS = {"default": "default", "standard_only": "default", "flex": "flex", "priority": "priority", "reserved": "reserved"}
_EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
_MAX_NAME_CHARS = 190
_encode = json.Encoder().encode
_labels = json.Decoder(dict[str, str]).decode


def adapt(request: ChatRequest, model: str, dropped: Dropped) -> ChatRequest:
    """Raises Unsupported for content that can't be carried, Unsupported for a history that no API takes."""
    if request.n is not None and request.n > 1:
        raise Unsupported(f"n: is {request.n}; this target gives one choice. Send several requests.", param="n")
    if bytes(request.extras.get("audio", b"null")) != b"null":
        raise Unsupported("audio: this target answers in text only.", param="audio")
    maker = family(model)
    extras = dict(request.extras)
    beta = extras.pop("anthropic_beta", None) if maker == "claude" else None
    name_extras(extras, "", dropped)
    adapted = ChatRequest(
        dialect=NAME,
        model=request.model,
        messages=_Turns(request, maker, dropped).messages(),
        tools=[_tool(tool, number, model, maker, dropped) for number, tool in enumerate(request.tools)],
        max_tokens=request.max_tokens,
        stream=request.stream,
        extras={"additionalModelRequestFields": Raw(_encode({"anthropic_beta": beta}))} if beta is not None else {},
    )
    _marks(adapted, maker, dropped)
    _choice(request, adapted, dropped)
    if request.parallel_tools is False and request.tools:
        dropped["parallel_tool_calls"] = None
    _knobs(request, adapted, model, maker, dropped)
    return adapted


# --- messages -----------------------------------------------------------------


class _Turns(Turns):
    max_id_chars: int | None = 60  # of 64: a number may follow

    def __init__(self, request: ChatRequest, maker: Family, dropped: Dropped) -> None:
        super().__init__(request, dropped)
        self._maker = maker
        self._names: set[str] = set()  # of documents: the API refuses a repeated one

    def _part(self, part: AnyPart, role: str, path: str) -> list[AnyPart]:
        if role == "assistant":
            if type(part) is Thinking and self._maker != "claude":
                self._dropped["thinking"] = None
                return []
            return super()._part(part, role, path)
        carried = self._media(part, path)
        if carried is None:
            return super()._part(part, role, path)
        name_extras(part.extras, "messages[].content[].", self._dropped)
        return [carried]

    def _tool_result(self, part: ToolResult, path: str) -> ToolResult:
        result = super()._tool_result(part, path)
        if result.is_error and self._maker in ("gpt-oss", "other"):
            result.is_error = False
            result.parts.insert(0, Text(text="Error:"))
        return result

    def _media(self, part: AnyPart, path: str) -> AnyPart | None:
        if isinstance(part, Image):
            return self._image(part, path)
        if isinstance(part, File):
            return self._document(part, path)
        return self._audio(part, path) if isinstance(part, Audio) else None

    def _image(self, part: Image, path: str) -> Image:
        if part.detail not in ("", "auto"):
            self._dropped["messages[].content[].image_url.detail"] = None
        form = part.media.media_type.removeprefix("image/").replace("jpg", "jpeg")
        return Image(media=_bytes(part.media, "images", f"image/{form}", form in _IMAGE_FORMATS, path), cache=part.cache)

    def _audio(self, part: Audio, path: str) -> Audio:
        form = part.media.media_type.removeprefix("audio/")
        form = _AUDIO_FORMATS.get(form, form)
        return Audio(media=_bytes(part.media, "audio", f"audio/{form}", form in _AUDIO, path), cache=part.cache)

    def _document(self, part: File, path: str) -> File:
        media, name = part.media, part.name
        stem, dot, ending = name.rpartition(".")
        if media.kind == "text":
            kind = media.media_type if media.media_type in DOCUMENT_FORMATS else "text/plain"
            media = Media(kind="base64", value=b64encode(media.value.encode()).decode(), media_type=kind)
        kind = media.media_type
        if kind in ("", "application/octet-stream"):  # the name may know better
            kind = next((known for known, form in DOCUMENT_FORMATS.items() if dot and form == ending.lower()), kind)
        elif kind not in DOCUMENT_FORMATS and (kind.startswith("text/") or kind == "application/json"):
            kind = "text/plain"  # which is what it is
        media = _bytes(media, "files", kind, kind in DOCUMENT_FORMATS, path)
        return File(media=media, name=self._name(stem if dot and len(ending) <= 5 else name), cache=part.cache)

    def _name(self, asked: str) -> str:
        name = _SPACES.sub(" ", _NOT_IN_NAME.sub(" ", asked)).strip()[:_MAX_NAME_CHARS] or "document"
        found, number = name, 2
        while found in self._names:
            found = f"{name} {number}"
            number += 1
        self._names.add(found)
        return found


def _bytes(media: Media, what: str, kind: str, known: bool, path: str) -> Media:
    where = f"{path}.content"
    if media.kind != "base64":
        held = "at a URL" if media.kind == "url" else "in another provider's file store"
        raise Unsupported(f"{path}: this target takes {what} as bytes only, not {held}; send the bytes.", param=where)
    if not known:
        said = repr(media.media_type[:60]) if media.media_type else "an unknown type"
        raise Unsupported(f"{path}: this target does not take {what} of {said}.", param=where)
    return structs.replace(media, media_type=kind)


def _marks(adapted: ChatRequest, maker: Family, dropped: Dropped) -> None:
    """Take away the cache marks that this model, or this place, can't have."""
    caching = maker in ("claude", "nova", "unknown")
    holders: list[AnyPart | Tool] = [*adapted.tools]
    for message in adapted.messages:
        holders += message.parts
        for part in message.parts:
            for inner in part.parts if isinstance(part, ToolResult) else ():
                if inner.cache is not None:
                    inner.cache = None
                    dropped["cache_control"] = None
    for holder in holders:
        if holder.cache is None:
            continue
        if not caching or isinstance(holder, Thinking):
            holder.cache = None
            dropped["cache_control"] = None
        elif maker == "nova" and holder.cache.ttl not in ("", "5m"):
            holder.cache = structs.replace(holder.cache, ttl="")
            dropped["cache_control.ttl"] = None


# --- tools --------------------------------------------------------------------


def _tool(tool: Tool, number: int, model: str, maker: Family, dropped: Dropped) -> Tool:
    path = f"tools[{number}]"
    if tool.raw is not None:
        raise Unsupported(f"{path}: the built-in tool {tool.name[:100]!r} does not exist on this target.", param=path)
    if not _TOOL_NAME.fullmatch(tool.name):
        raise Unsupported(
            f"{path}: the name {tool.name[:140]!r} must be 1 to 64 letters, digits, '_' or '-' for this target.",
            param=f"{path}.name",
        )
    name_extras(tool.extras, "tools[].", dropped)
    strict = tool.strict or None
    if strict and not (maker == "claude" and traits(model).strict_tools):
        strict = None
        dropped["tools[].strict"] = None
    return Tool(
        name=tool.name,
        description=tool.description or None,
        parameters=_schema(tool, path),
        strict=strict,
        cache=tool.cache,
    )


def _schema(tool: Tool, path: str) -> Raw:
    """The parameters, with the `type` that models insist on."""
    if tool.parameters is None:
        return _NO_PARAMETERS
    try:
        fields = opened(tool.parameters, f"{path}.parameters")
    except InvalidRequest as error:  # the encoder's word for what the client's own dialect let pass
        raise Unsupported(error.message, param=error.param) from None
    return tool.parameters if "type" in fields else Raw(_encode({"type": "object", **fields}))


def _choice(request: ChatRequest, adapted: ChatRequest, dropped: Dropped) -> None:
    choice = request.tool_choice
    if choice is None:
        return
    if not request.tools:
        if choice.mode in ("required", "tool"):
            raise Unsupported("tool_choice: asks for a tool call, but there are no tools.", param="tool_choice")
        return
    name_extras(choice.extras, "tool_choice.", dropped)
    if choice.mode != "none":
        adapted.tool_choice = ToolChoice(mode=choice.mode, name=choice.name)
    elif any(isinstance(part, ToolUse | ToolResult) for message in adapted.messages for part in message.parts):
        dropped["tool_choice"] = None
    else:
        adapted.tools = []


# --- knobs --------------------------------------------------------------------


def _knobs(request: ChatRequest, adapted: ChatRequest, model: str, maker: Family, dropped: Dropped) -> None:
    """Claude's rules for thinking, sampling and stops are Anthropic's (its knobs.py); the rest is Converse's."""
    claude = maker == "claude"
    known = traits(model) if claude else _PLAIN
    asked = structs.replace(request, metadata=None, user=None, service_tier=None, reasoning=request.reasoning if claude else None)
    if claude and adapted.max_tokens is None and known.thinking == "budget":
        adapted.max_tokens = known.default_max_tokens  # a thinking budget is a part of it
        adapt_knobs(asked, adapted, known, dropped)
        if adapted.reasoning is None or not adapted.reasoning.enabled:
            adapted.max_tokens = None
    else:
        adapt_knobs(asked, adapted, known, dropped)
    if not claude and request.reasoning is not None:
        adapted.reasoning = _reasoning(request.reasoning, adapted, model, maker, dropped)
    if adapted.top_k is not None and maker not in ("claude", "nova"):
        adapted.top_k = None
        dropped["top_k"] = None
    if adapted.output is not None and request.output is not None:
        wanted = request.output
        adapted.output = OutputFormat(kind="schema", schema=wanted.schema, name=wanted.name, description=wanted.description)
    if claude and adapted.stop:
        adapted.extras["additionalModelResponseFieldPaths"] = Raw(b'["/stop_sequence"]')  # else nobody says which one it was
    _labels_and_tier(request, adapted, dropped)


def place(request: ChatRequest, maker: Family) -> None:
    """Say in `spelling` where thinking and top_k go, where nothing says so yet."""
    reasoning, spelling = request.reasoning, request.spelling
    if reasoning is not None and "reasoning" not in spelling and "effort" not in spelling:
        if maker in ("nova", "gpt-oss"):
            spelling["reasoning"] = "reasoningConfig" if maker == "nova" else "reasoning_effort"
        else:
            if reasoning.enabled is not None:
                spelling["reasoning"] = "thinking"
            if reasoning.effort:
                spelling["effort"] = "outputConfig"
    if request.top_k is not None:
        spelling.setdefault("top_k", "inferenceConfig" if maker == "nova" else "top_k")


def _reasoning(asked: Reasoning, adapted: ChatRequest, model: str, maker: Family, dropped: Dropped) -> Reasoning | None:
    """Nova 2's and gpt-oss's three efforts. Nova's highest one forbids `maxTokens` and sampling."""
    off = asked.enabled is False or asked.effort == "none"
    nova_2 = maker == "nova" and "nova-2" in model
    if off or not (asked.enabled or asked.effort or asked.budget_tokens):
        return Reasoning(enabled=False) if off and nova_2 else None
    if not nova_2 and maker != "gpt-oss":
        dropped["reasoning_effort"] = None
        return None
    budget = asked.budget_tokens or 0
    wanted = asked.effort or ("medium" if not budget else "low" if budget <= 4_096 else "medium" if budget <= 12_288 else "high")
    effort = _EFFORTS.get(wanted, "medium")
    if nova_2 and effort == "high":
        if adapted.max_tokens is not None:
            effort = "medium"
        else:
            for name in ("temperature", "top_p", "top_k"):
                if getattr(adapted, name) is not None:
                    setattr(adapted, name, None)
                    dropped[name] = None
    if asked.effort and effort != asked.effort:
        dropped[f"reasoning_effort (sent as {effort})"] = None
    return Reasoning(enabled=True, effort=effort)


def _labels_and_tier(request: ChatRequest, adapted: ChatRequest, dropped: Dropped) -> None:
    if request.user:
        dropped["user"] = None
    if request.metadata is not None and bytes(request.metadata) not in (b"null", b"{}"):
        if _fits(request.metadata):
            adapted.metadata = request.metadata
        else:
            dropped["metadata"] = None
    if request.service_tier is not None and request.service_tier != "auto":
        adapted.service_tier = _TIERS.get(request.service_tier)
        if adapted.service_tier is None:
            dropped["service_tier"] = None


def _fits(metadata: Raw) -> bool:
    try:
        labels = _labels(metadata)
    except (ValueError, RecursionError):
        return False
    return len(labels) <= 16 and all(key and _METADATA.fullmatch(key) and _METADATA.fullmatch(v) for key, v in labels.items())
