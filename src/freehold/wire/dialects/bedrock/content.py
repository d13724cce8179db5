"""Converse's content blocks <-> canonical parts: the same in requests and replies.

A block is an object with one member, whose name is its kind. What has no canonical word (guarded content, search results,
video, objects in S3, server-side tools, kinds yet to come) is kept whole as Opaque, and so is a known block whose shape
says more than a part can hold. `spelling` keys:
    "in"      on Text: "json" (a tool result's JSON), "citationsContent"
    "texts"   on a citationsContent Text: the lengths of its texts, unless it is one, or has no `content` at all
    "status"  on ToolResult: "success", which may also be left out
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Raw, json

from freehold.base.errors import InvalidRequest
from freehold.wire.arguments import arguments_object
from freehold.wire.chat import AnyPart, Audio, CacheMark, Extras, File, Image, Media, Opaque, Text, Thinking, ToolResult, ToolUse
from freehold.wire.dialects.anthropic.blocks import listed, opened, text_of
from freehold.wire.dialects.bedrock.words import DOCUMENT_FORMATS, DOCUMENT_TYPES, IN, NAME

Fields = dict[str, Raw]
Object = dict[str, Any]

_encode = json.Encoder().encode
_strings = json.Decoder(dict[str, str]).decode
_texts = json.Decoder(list[dict[str, str]]).decode
_lengths = json.Decoder(list[int]).decode
_raws = json.Decoder(list[Raw]).decode


# --- reading ------------------------------------------------------------------


def parts(raws: list[Raw], path: str, *, in_result: bool = False) -> list[AnyPart]:
    """Raises InvalidRequest with the path. A cache point becomes the mark of the part before it."""
    found: list[AnyPart] = []
    for number, raw in enumerate(raws):
        item = part(raw, f"{path}[{number}]", in_result=in_result)
        if isinstance(item, Opaque) and item.kind == "cachePoint" and found and found[-1].cache is None:
            mark = cache_mark(raw)
            if mark is not None:
                found[-1].cache = mark
                continue
        found.append(item)
    return found


def part(raw: Raw, path: str, *, in_result: bool = False) -> AnyPart:
    """One content block. A tool result inside a tool result is nothing this API knows: it stays Opaque."""
    fields = opened(raw, path)
    kind = next(iter(fields), "")
    if not kind:
        raise InvalidRequest(f"{path}: is empty; a content block has one member, as in {{'text': '...'}}.", param=path)
    read = _READ.get(kind) if len(fields) == 1 else None
    if in_result:
        read = None if kind == "toolResult" else _json if kind == "json" and len(fields) == 1 else read
    item = read(fields[kind], f"{path}.{kind}") if read is not None else None
    return item if item is not None else Opaque(dialect=NAME, kind=kind, raw=raw)


def cache_mark(raw: Raw) -> CacheMark | None:
    """{"cachePoint": {"type": "default", "ttl"?}} and nothing else; None for another shape."""
    outer = opened(raw, "cachePoint")
    try:
        fields = _strings(outer["cachePoint"]) if len(outer) == 1 else {}
    except (ValueError, RecursionError):
        return None
    ttl = fields.get("ttl", "")
    known = fields.get("type") == "default" and len(fields) == (2 if ttl else 1)
    return CacheMark(ttl=ttl) if known else None


def _text(raw: Raw, path: str) -> AnyPart:
    return Text(text=text_of(raw, path))


def _json(raw: Raw, path: str) -> AnyPart | None:
    try:
        return Text(text=bytes(raw).decode(), spelling={IN: "json"})
    except UnicodeDecodeError:
        raise InvalidRequest(f"{path}: is not valid UTF-8", param=path) from None


def _media(fields: Fields, path: str, kinds: tuple[str, ...] = ("bytes",)) -> tuple[str, str] | None:
    """Take `source` out: (the member it has, its value); None where it is elsewhere (S3) or of another shape."""
    if "source" not in fields:
        raise InvalidRequest(f"{path}.source: is missing", param=f"{path}.source")
    try:
        source = _strings(fields.pop("source"))
    except (ValueError, RecursionError):
        return None
    kind = next(iter(source), "")
    return (kind, source[kind]) if len(source) == 1 and kind in kinds else None


def _format(fields: Fields, path: str) -> str:
    return text_of(fields.pop("format"), f"{path}.format") if "format" in fields else ""


def _image(raw: Raw, path: str) -> AnyPart | None:
    fields = opened(raw, path)
    media, form = _media(fields, path), _format(fields, path)
    if media is None or not form:
        return None
    return Image(media=Media(kind="base64", value=media[1], media_type=f"image/{form}"), extras=fields)


def _audio(raw: Raw, path: str) -> AnyPart | None:
    fields = opened(raw, path)
    media, form = _media(fields, path), _format(fields, path)
    if media is None or not form:
        return None
    return Audio(media=Media(kind="base64", value=media[1], media_type=f"audio/{form}"), extras=fields)


def _document(raw: Raw, path: str) -> AnyPart | None:
    fields = opened(raw, path)
    media, form = _media(fields, path, ("bytes", "text")), _format(fields, path)
    if media is None or (form not in DOCUMENT_TYPES and (form or media[0] == "bytes")):
        return None
    name = text_of(fields.pop("name"), f"{path}.name") if "name" in fields else ""
    if not name:
        return None
    return File(
        media=Media(kind="base64" if media[0] == "bytes" else "text", value=media[1], media_type=DOCUMENT_TYPES.get(form, "")),
        name=name,
        extras=fields,
    )


def _tool_use(raw: Raw, path: str) -> AnyPart | None:
    fields = opened(raw, path)
    if bytes(fields.get("type", b"")) == b'"server_tool_use"':
        return None
    given = fields.pop("input", None)
    if given is None:
        raise InvalidRequest(f"{path}.input: is missing; it must be an object", param=f"{path}.input")
    opened(given, f"{path}.input")
    try:
        arguments = bytes(given).decode()
    except UnicodeDecodeError:
        raise InvalidRequest(f"{path}.input: is not valid UTF-8", param=f"{path}.input") from None
    return ToolUse(
        id=text_of(fields.pop("toolUseId", None), f"{path}.toolUseId"),
        name=text_of(fields.pop("name", None), f"{path}.name"),
        arguments=arguments,
        extras=fields,
    )


def _tool_result(raw: Raw, path: str) -> AnyPart | None:
    fields = opened(raw, path)
    result = ToolResult(call_id=text_of(fields.pop("toolUseId", None), f"{path}.toolUseId"))
    if "content" not in fields:
        raise InvalidRequest(f"{path}.content: is missing; it must be a list", param=f"{path}.content")
    result.parts = parts(listed(fields.pop("content"), f"{path}.content"), f"{path}.content", in_result=True)
    if "status" in fields:
        status = text_of(fields["status"], f"{path}.status")
        if status in ("success", "error"):
            del fields["status"]
            result.is_error = status == "error"
            if not result.is_error:
                result.spelling["status"] = status
    result.extras = fields
    return result


def _reasoning(raw: Raw, path: str) -> AnyPart | None:
    fields = opened(raw, path)
    if len(fields) != 1:
        return None
    if "redactedContent" in fields:
        data = text_of(fields["redactedContent"], f"{path}.redactedContent")
        return Thinking(redacted=data) if data else None
    if "reasoningText" not in fields:
        return None
    inner = opened(fields["reasoningText"], f"{path}.reasoningText")
    text = text_of(inner.pop("text", None), f"{path}.reasoningText.text")
    signature = ""
    if "signature" in inner:
        signature = text_of(inner["signature"], f"{path}.reasoningText.signature")
        if signature:
            del inner["signature"]
    return Thinking(text=text, signature=signature, extras=inner)


def _citations(raw: Raw, path: str) -> AnyPart | None:
    fields = opened(raw, path)
    told = "content" in fields
    try:
        items = _texts(fields.pop("content", b"[]"))
        citations = _raws(fields.pop("citations", b"[]"))
    except (ValueError, RecursionError):
        return None
    if not citations or any(item.keys() != {"text"} for item in items):
        return None
    spelling = {IN: "citationsContent"}
    text = "".join(item["text"] for item in items)
    if told and (len(items) != 1 or not text):
        spelling["texts"] = _encode([len(item["text"]) for item in items]).decode()
    return Text(text=text, citations=citations, spelling=spelling, extras=fields)


_READ: dict[str, Callable[[Raw, str], AnyPart | None]] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "audio": _audio,
    "toolUse": _tool_use,
    "toolResult": _tool_result,
    "reasoningContent": _reasoning,
    "citationsContent": _citations,
}

# --- writing ------------------------------------------------------------------


def cache_point(mark: CacheMark) -> Object:
    return {"cachePoint": {"type": "default", "ttl": mark.ttl} if mark.ttl else {"type": "default"}}


def blocks(items: list[AnyPart]) -> list[Object | Raw]:
    """The parts of a request of this dialect, each with its cache point after it."""
    out: list[Object | Raw] = []
    for item in items:
        written = block(item, same_dialect=True)
        if written is not None:
            out.append(written)
            if item.cache is not None:
                out.append(cache_point(item.cache))
    return out


def block(item: AnyPart, same_dialect: bool) -> Object | Raw | None:
    """A part as a content block; None for what this dialect never carries. Extras and citations are its own only."""
    extras: Extras = item.extras if same_dialect else {}
    if isinstance(item, Opaque):
        return item.raw if item.dialect == NAME else None
    if isinstance(item, Text):
        return _text_block(item, extras) if same_dialect else {"text": item.text}
    if isinstance(item, Image):
        form = item.media.media_type.removeprefix("image/")
        return {"image": {"format": form, "source": {"bytes": item.media.value}, **extras}}
    if isinstance(item, Audio):
        form = item.media.media_type.removeprefix("audio/")
        return {"audio": {"format": form, "source": {"bytes": item.media.value}, **extras}}
    if isinstance(item, File):
        document: Object = {"name": item.name, "source": {_source(item.media): item.media.value}, **extras}
        if item.media.media_type in DOCUMENT_FORMATS:
            document["format"] = DOCUMENT_FORMATS[item.media.media_type]
        return {"document": document}
    if isinstance(item, Thinking):
        if item.redacted:
            return {"reasoningContent": {"redactedContent": item.redacted}}
        signed = {"signature": item.signature} if item.signature else {}
        return {"reasoningContent": {"reasoningText": {"text": item.text, **signed, **extras}}}
    if isinstance(item, ToolUse):
        given = arguments_object(item.arguments)
        return {"toolUse": {"toolUseId": item.id, "name": item.name, "input": given, **extras}}
    if isinstance(item, ToolResult):
        result: Object = {"toolUseId": item.call_id, "content": blocks(item.parts)}
        if item.is_error or "status" in item.spelling:
            result["status"] = "error" if item.is_error else "success"
        return {"toolResult": result | extras}
    return None


def _source(media: Media) -> str:
    return "bytes" if media.kind == "base64" else "text"


def _text_block(item: Text, extras: Extras) -> Object:
    where = item.spelling.get(IN, "")
    if where == "json":
        try:
            json.decode(item.text)  # it may have been changed on the way
        except (ValueError, RecursionError):
            return {"text": item.text}
        return {"json": Raw(item.text.encode())}
    if where != "citationsContent" and not item.citations:
        return {"text": item.text}
    pieces = [item.text] if item.text else None
    if "texts" in item.spelling:
        lengths = _lengths(item.spelling["texts"])
        if sum(lengths) == len(item.text):
            ends = [sum(lengths[: number + 1]) for number in range(len(lengths))]
            pieces = [item.text[end - length : end] for length, end in zip(lengths, ends, strict=True)]
    told = {} if pieces is None else {"content": [{"text": piece} for piece in pieces]}
    return {"citationsContent": {**told, "citations": item.citations, **extras}}
