"""Anthropic's content blocks <-> canonical parts: the same in requests and replies.

What has no canonical word (server-side tools and their results, search results, uploads, block types yet to come) is
kept whole as Opaque. A known block whose shape says more than a part can hold also stays Opaque: nothing is lost.
Null and default values stay in `extras` as written, so that a block is written back as it came.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Raw, Struct, json

from freehold.base.errors import InvalidRequest
from freehold.wire.arguments import arguments_object
from freehold.wire.chat import (
    AnyPart,
    CacheMark,
    Extras,
    File,
    Image,
    Media,
    Opaque,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from freehold.wire.seal import What, seal, unseal

NAME = "anthropic"

Fields = dict[str, Raw]

_fields = json.Decoder(Fields).decode
_list = json.Decoder(list[Raw]).decode
_str = json.Decoder(str).decode
_bool = json.Decoder(bool).decode
_text_or_null = json.Decoder(str | None).decode
_text_or_list = json.Decoder(str | list[Raw] | None).decode
_list_or_null = json.Decoder(list[Raw] | None).decode

# --- reading ------------------------------------------------------------------


class _CacheControl(Struct, forbid_unknown_fields=True):
    type: str
    ttl: str = ""


_cache_control = json.Decoder(_CacheControl).decode


def opened(raw: Raw | bytes, path: str) -> Fields:
    """A JSON object's members. Raises InvalidRequest where `raw` is something else."""
    try:
        return _fields(raw)
    except (ValueError, RecursionError):
        raise InvalidRequest(f"{path}: must be an object", param=path) from None


def listed(raw: Raw, path: str) -> list[Raw]:
    try:
        return _list(raw)
    except (ValueError, RecursionError):
        raise InvalidRequest(f"{path}: must be a list", param=path) from None


def text_of(raw: Raw | None, path: str) -> str:
    if raw is None:
        raise InvalidRequest(f"{path}: is missing; it must be a string", param=path)
    try:
        return _str(raw)
    except (ValueError, RecursionError):
        raise InvalidRequest(f"{path}: must be a string in valid UTF-8", param=path) from None


def flag(raw: Raw, path: str) -> bool:
    try:
        return _bool(raw)
    except (ValueError, RecursionError):
        raise InvalidRequest(f"{path}: must be true or false", param=path) from None


def text_or_list(raw: Raw | None, path: str) -> str | list[Raw] | None:
    """Content as it is written: a bare string or a list of blocks; None where it is absent or null."""
    if raw is None:
        return None
    try:
        content: str | list[Raw] | None = _text_or_list(raw)
    except (ValueError, RecursionError):
        raise InvalidRequest(f"{path}: must be a string in valid UTF-8 or a list of content blocks", param=path) from None
    return content


def take_text(fields: Fields, name: str, path: str = "") -> str:
    """Remove an optional string; "" where it is absent or null, which then stays among the extras."""
    raw = fields.get(name)
    if raw is None:
        return ""
    try:
        text = _text_or_null(raw)
    except (ValueError, RecursionError):
        where = f"{path}.{name}" if path else name
        raise InvalidRequest(f"{where}: must be a string", param=where) from None
    if text:
        del fields[name]
    return text or ""


def take_cache(fields: Fields) -> CacheMark | None:
    """Remove `cache_control` where a CacheMark can say all of it; otherwise it stays among the extras."""
    raw = fields.get("cache_control")
    if raw is None:
        return None
    try:
        mark = _cache_control(raw)
    except (ValueError, RecursionError):
        return None
    if mark.type != "ephemeral" or ("ttl" in _fields(raw)) != bool(mark.ttl):
        return None
    del fields["cache_control"]
    return CacheMark(ttl=mark.ttl)


def part(raw: Raw, path: str, spelling: dict[str, str], *, nested: bool = False) -> AnyPart:
    """One content block. `spelling` gets what a ToolResult can't hold. Raises InvalidRequest with the path.

    A tool result inside a tool result (`nested`) is nothing this API knows: it stays Opaque, which also bounds recursion.
    """
    fields = opened(raw, path)
    kind = text_of(fields.get("type"), f"{path}.type")
    read = _READ.get(kind) if not nested or kind != "tool_result" else None
    found = read(fields, path, spelling) if read is not None else None
    return found if found is not None else Opaque(dialect=NAME, kind=kind, raw=raw)


def parts(raws: list[Raw], path: str, spelling: dict[str, str], *, nested: bool = False) -> list[AnyPart]:
    return [part(raw, f"{path}[{number}]", spelling, nested=nested) for number, raw in enumerate(raws)]


def _rest(fields: Fields, *known: str) -> Extras:
    return {name: raw for name, raw in fields.items() if name not in known and name != "type"}


def _text(fields: Fields, path: str, spelling: dict[str, str]) -> AnyPart:
    text = text_of(fields.get("text"), f"{path}.text")
    cache = take_cache(fields)
    citations: list[Raw] = []
    if (raw := fields.get("citations")) is not None:
        try:
            citations = _list_or_null(raw) or []
        except (ValueError, RecursionError):
            raise InvalidRequest(f"{path}.citations: must be a list", param=f"{path}.citations") from None
        if citations:
            del fields["citations"]
    return Text(text=text, citations=citations, cache=cache, extras=_rest(fields, "text"))


_SOURCES: dict[str, tuple[Literal["base64", "url", "file_id", "text"], str, frozenset[str]]] = {
    "base64": ("base64", "data", frozenset(("type", "data", "media_type"))),
    "url": ("url", "url", frozenset(("type", "url"))),
    "file": ("file_id", "file_id", frozenset(("type", "file_id"))),
    "text": ("text", "data", frozenset(("type", "data", "media_type"))),
}
_sources = json.Decoder(dict[str, str]).decode


def media_of(raw: Raw) -> Media | None:
    """A `source` object; None where it is of another kind, or says more, than Media can."""
    try:
        fields = _sources(raw)
    except (ValueError, RecursionError):
        return None
    kind, name, known = _SOURCES.get(fields.get("type", ""), ("text", "", frozenset(("",))))
    if fields.keys() != known or (kind == "text" and fields["media_type"] != "text/plain"):
        return None
    return Media(kind=kind, value=fields[name], media_type=fields.get("media_type", ""))


def _image(fields: Fields, path: str, spelling: dict[str, str]) -> AnyPart | None:
    media = _media(fields, path)
    if media is None or media.kind == "text":
        return None
    cache = take_cache(fields)
    return Image(media=media, cache=cache, extras=_rest(fields, "source"))


def _document(fields: Fields, path: str, spelling: dict[str, str]) -> AnyPart | None:
    media = _media(fields, path)
    if media is None:
        return None
    cache = take_cache(fields)
    name = take_text(fields, "title", path)
    return File(media=media, name=name, cache=cache, extras=_rest(fields, "source"))


def _media(fields: Fields, path: str) -> Media | None:
    if "source" not in fields:
        raise InvalidRequest(f"{path}.source: is missing", param=f"{path}.source")
    return media_of(fields["source"])


def _tool_use(fields: Fields, path: str, spelling: dict[str, str]) -> AnyPart:
    raw = fields.get("input")
    if raw is None:
        raise InvalidRequest(f"{path}.input: is missing; it must be an object", param=f"{path}.input")
    opened(raw, f"{path}.input")
    try:
        arguments = bytes(raw).decode()
    except UnicodeDecodeError:
        raise InvalidRequest(f"{path}.input: is not valid UTF-8", param=f"{path}.input") from None
    cache = take_cache(fields)
    return ToolUse(
        id=text_of(fields.get("id"), f"{path}.id"),
        name=text_of(fields.get("name"), f"{path}.name"),
        arguments=arguments,
        cache=cache,
        extras=_rest(fields, "id", "name", "input"),
    )


def _tool_result(fields: Fields, path: str, spelling: dict[str, str]) -> AnyPart:
    call_id = text_of(fields.get("tool_use_id"), f"{path}.tool_use_id")
    cache = take_cache(fields)
    result = ToolResult(call_id=call_id, cache=cache)
    content = text_or_list(fields.get("content"), f"{path}.content")
    if isinstance(content, str):
        result.plain = True
        result.parts = [Text(text=content)]
    elif content:
        result.parts = parts(content, f"{path}.content", spelling, nested=True)
    if result.parts:
        del fields["content"]
    if (raw := fields.pop("is_error", None)) is not None:
        result.is_error = flag(raw, f"{path}.is_error")
        if not result.is_error:
            spelling[f"is_error {call_id}"] = "false"
    result.extras = _rest(fields, "tool_use_id")
    return result


def _thinking(fields: Fields, path: str, spelling: dict[str, str]) -> AnyPart:
    text = text_of(fields.get("thinking"), f"{path}.thinking")
    signature = take_text(fields, "signature", path)
    cache = take_cache(fields)
    part = Thinking(text=text, signature=signature, cache=cache, extras=_rest(fields, "thinking", "signature"))
    if (sealed := unseal(signature)) is not None:
        part.signature, part.signed_by = sealed.value, sealed.maker
    return part


def _redacted(fields: Fields, path: str, spelling: dict[str, str]) -> AnyPart | None:
    data = text_of(fields.get("data"), f"{path}.data")
    cache = take_cache(fields)
    part = Thinking(redacted=data, cache=cache, extras=_rest(fields, "data"))
    if (sealed := unseal(data)) is not None:
        part.redacted, part.signed_by = sealed.value, sealed.maker
    return part if data else None


_READ = {
    "text": _text,
    "image": _image,
    "document": _document,
    "tool_use": _tool_use,
    "tool_result": _tool_result,
    "thinking": _thinking,
    "redacted_thinking": _redacted,
}

# --- writing ------------------------------------------------------------------


def cache_control(mark: CacheMark) -> dict[str, str]:
    return {"type": "ephemeral", "ttl": mark.ttl} if mark.ttl else {"type": "ephemeral"}


def source(media: Media) -> dict[str, str]:
    if media.kind == "base64":
        return {"type": "base64", "media_type": media.media_type, "data": media.value}
    if media.kind == "url":
        return {"type": "url", "url": media.value}
    if media.kind == "file_id":
        return {"type": "file", "file_id": media.value}
    return {"type": "text", "media_type": "text/plain", "data": media.value}


def signed(item: Thinking, what: What, value: str) -> str:
    """A signature or redacted thinking as a client of this dialect is given it: sealed where another maker issued it."""
    return value if item.signed_by in ("", NAME) or not value else seal(item.signed_by, what, value)


def block(item: AnyPart, same_dialect: bool) -> dict[str, Any] | Raw | None:
    """A part as a content block; None for what replies and history never carry in this dialect.

    ToolResult is the request encoder's (its content needs the request's rules). Extras and citations go back only to
    their own dialect.
    """
    out: dict[str, Any]
    if isinstance(item, Opaque):
        return item.raw if item.dialect == NAME else None
    if isinstance(item, Text):
        out = {"type": "text", "text": item.text}
    elif isinstance(item, Image):
        out = {"type": "image", "source": source(item.media)}
    elif isinstance(item, File):
        out = {"type": "document", "source": source(item.media)}
        if item.name:
            out["title"] = item.name
    elif isinstance(item, Thinking):
        if item.redacted:
            out = {"type": "redacted_thinking", "data": signed(item, "redacted", item.redacted)}
        else:
            out = {"type": "thinking", "thinking": item.text, "signature": signed(item, "signature", item.signature)}
    elif isinstance(item, ToolUse):
        out = {"type": "tool_use", "id": item.id, "name": item.name, "input": arguments_object(item.arguments)}
    else:
        return None
    if item.cache is not None:
        out["cache_control"] = cache_control(item.cache)
    if same_dialect:
        out |= item.extras
        if isinstance(item, Text) and item.citations:
            out["citations"] = item.citations
    return out
