"""Gemini's parts <-> canonical parts: the same in requests and replies.

What has no canonical word (code execution, server-side tool calls, kinds yet to come) is kept whole as Opaque. Keys of a
part's `spelling`, besides names written in snake_case:
    "text"       "absent": a signature alone, without text
    "id"         "absent": the call or result was written without an id (decode.py made one)
    "args"       "absent"
    "name"       the function's name, on a ToolResult
    "response"   how a ToolResult's text was held: "object" (the text is that object's JSON), "absent", or the one key
                 that held it as a string: "output", "result" or "error"
    "alphabet"   "url": the signature was written in the URL-safe base64 that Google's SDKs write; held in the plain one
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Raw

from freehold.base.errors import InvalidRequest
from freehold.wire.arguments import arguments_object
from freehold.wire.chat import AnyPart, Audio, File, Image, Media, Opaque, Refusal, Text, Thinking, ToolResult, ToolUse
from freehold.wire.dialects.gemini.words import (
    NAME,
    Fields,
    decode_fields,
    encode,
    listed,
    normal,
    opened,
    respell,
    text_of,
)
from freehold.wire.typed import is_null

Spelling = dict[str, str]

# Where Google itself keeps files: nobody else can read them.
_STORES = ("https://generativelanguage.googleapis.com/", "gs://", "files/")
_TEXT_KEYS = ("output", "result", "error")
_STANDARD = str.maketrans("-_", "+/")
_URL_SAFE = str.maketrans("+/", "-_")


# --- reading ------------------------------------------------------------------


def read(raw: Raw, path: str, *, nested: bool = False) -> AnyPart:
    """One part. Raises InvalidRequest with the path. ToolUse and ToolResult may come without an id.

    `nested`: inside a function response, where only media may be; which also bounds recursion.
    """
    spelling: Spelling = {}
    fields = normal(opened(raw, path), spelling)
    kinds = [name for name in fields if name in _READ]
    if len(kinds) > 1 or (not kinds and "thoughtSignature" not in fields and "thought" not in fields):
        return Opaque(dialect=NAME, kind=next(iter(fields), "empty part"), raw=raw)
    signature = _take_signature(fields, spelling, path)
    kind = kinds[0] if kinds else "text"
    if nested and kind == "functionResponse":
        return Opaque(dialect=NAME, kind=kind, raw=raw)
    part = _READ[kind](fields, spelling, f"{path}.{kind}")
    if part is None:
        return Opaque(dialect=NAME, kind=kind, raw=raw)
    part.signature = signature
    part.spelling = spelling
    part.extras.update(fields)
    return part


def reply_part(raw: Raw) -> AnyPart:
    """A part of a reply. One that doesn't fit its own kind is carried as Opaque rather than refused."""
    try:
        return read(raw, "parts")
    except InvalidRequest:
        return Opaque(dialect=NAME, kind="unknown", raw=raw)


def _take_signature(fields: Fields, spelling: Spelling, path: str) -> str:
    raw = fields.get("thoughtSignature")
    if is_null(raw) or bytes(raw) == b'""':  # type: ignore[arg-type]
        return ""
    signature = text_of(fields.pop("thoughtSignature"), f"{path}.thoughtSignature")
    if "-" in signature or "_" in signature:
        standard = signature.translate(_STANDARD)
        if standard.translate(_URL_SAFE) == signature:
            spelling["alphabet"] = "url"
            return standard
    return signature


def _text(fields: Fields, spelling: Spelling, path: str) -> AnyPart:
    thought = bytes(fields.get("thought", b"")) == b"true"
    if thought:
        del fields["thought"]
    text = ""
    if "text" in fields:
        text = text_of(fields.pop("text"), path)
    else:
        spelling["text"] = "absent"
    return Thinking(text=text) if thought else Text(text=text)


def _inline(fields: Fields, spelling: Spelling, path: str) -> AnyPart | None:
    inner = normal(opened(fields["inlineData"], path), spelling)
    if not inner.keys() <= {"mimeType", "data", "displayName"} or not {"mimeType", "data"} <= inner.keys():
        return None
    kind = text_of(inner["mimeType"], f"{path}.mimeType")
    name = text_of(inner["displayName"], f"{path}.displayName") if "displayName" in inner else ""
    data = text_of(inner["data"], f"{path}.data")
    if not kind or ("displayName" in inner and not (name and _is_file(kind))):
        return None
    del fields["inlineData"]
    return _of_type(Media(kind="base64", value=data, media_type=kind), name)


def _file(fields: Fields, spelling: Spelling, path: str) -> AnyPart | None:
    inner = normal(opened(fields["fileData"], path), spelling)
    if not inner.keys() <= {"mimeType", "fileUri", "displayName"} or "fileUri" not in inner:
        return None
    kind = text_of(inner["mimeType"], f"{path}.mimeType") if "mimeType" in inner else ""
    name = text_of(inner["displayName"], f"{path}.displayName") if "displayName" in inner else ""
    uri = text_of(inner["fileUri"], f"{path}.fileUri")
    if ("mimeType" in inner and not kind) or ("displayName" in inner and not (name and _is_file(kind))):
        return None
    del fields["fileData"]
    return _of_type(Media(kind="file_id" if uri.startswith(_STORES) else "url", value=uri, media_type=kind), name)


def _is_file(media_type: str) -> bool:
    return not media_type.startswith(("image/", "audio/"))


def _of_type(media: Media, name: str) -> AnyPart:
    if media.media_type.startswith("image/"):
        return Image(media=media)
    return Audio(media=media) if media.media_type.startswith("audio/") else File(media=media, name=name)


def _call(fields: Fields, spelling: Spelling, path: str) -> AnyPart:
    inner = normal(opened(fields.pop("functionCall"), path), spelling)
    name = text_of(inner.pop("name", None), f"{path}.name")
    call_id = _take_id(inner, spelling, path)
    arguments = ""
    if is_null(inner.get("args")):
        spelling["args"] = "absent"
    else:
        raw = inner.pop("args")
        opened(raw, f"{path}.args")
        try:
            arguments = bytes(raw).decode()
        except UnicodeDecodeError:
            raise InvalidRequest(f"{path}.args: is not valid UTF-8.", param=f"{path}.args") from None
    part = ToolUse(id=call_id, name=name, arguments=arguments)
    if inner:
        part.extras["functionCall"] = Raw(encode(inner))
    return part


def _take_id(inner: Fields, spelling: Spelling, path: str) -> str:
    raw = inner.get("id")
    call_id = "" if is_null(raw) else text_of(raw, f"{path}.id")
    if call_id:
        del inner["id"]
    else:
        spelling["id"] = "absent"
    return call_id


def _result(fields: Fields, spelling: Spelling, path: str) -> AnyPart:
    inner = normal(opened(fields.pop("functionResponse"), path), spelling)
    spelling["name"] = text_of(inner.pop("name", None), f"{path}.name")
    result = ToolResult(call_id=_take_id(inner, spelling, path))
    if is_null(inner.get("response")):
        spelling["response"] = "absent"
    else:
        key, text = _response(inner.pop("response"), f"{path}.response")
        spelling["response"] = key
        result.is_error = key == "error"
        result.parts.append(Text(text=text))
    if "parts" in inner:
        raws, one = listed(inner["parts"], f"{path}.parts")
        if raws and not one:
            del inner["parts"]
        result.parts += [read(raw, f"{path}.parts[{n}]", nested=True) for n, raw in enumerate(raws if not one else ())]
    result.plain = [type(part) for part in result.parts] == [Text]
    if inner:
        result.extras["functionResponse"] = Raw(encode(inner))
    return result


def _response(raw: Raw, path: str) -> tuple[str, str]:
    """(how it was held, its text) of a response object."""
    response = opened(raw, path)
    if len(response) == 1:
        ((key, value),) = response.items()
        if key in _TEXT_KEYS and bytes(memoryview(value)[:1]) == b'"':
            return key, text_of(value, f"{path}.{key}")
    try:
        return "object", bytes(raw).decode()
    except UnicodeDecodeError:
        raise InvalidRequest(f"{path}: is not valid UTF-8.", param=path) from None


def _opaque(fields: Fields, spelling: Spelling, path: str) -> None:
    return None


_READ: dict[str, Callable[[Fields, Spelling, str], AnyPart | None]] = {
    "text": _text,
    "inlineData": _inline,
    "fileData": _file,
    "functionCall": _call,
    "functionResponse": _result,
    "executableCode": _opaque,
    "codeExecutionResult": _opaque,
    "toolCall": _opaque,
    "toolResponse": _opaque,
}

# --- writing ------------------------------------------------------------------


def write(part: AnyPart, own: bool) -> dict[str, Any] | Raw | None:
    """A part as Gemini writes it; None for what this dialect has no place for. `own`: it was read by this dialect."""
    if isinstance(part, Opaque):
        return part.raw if part.dialect == NAME else None
    spelling = part.spelling if own else {}
    extras = dict(part.extras) if own else {}
    out: dict[str, Any]
    if isinstance(part, Text | Refusal | Thinking):
        out = {} if spelling.get("text") == "absent" and not part.text else {"text": part.text}
        if isinstance(part, Thinking):
            out["thought"] = True
    elif isinstance(part, Image | File | Audio):
        out = _media(part, spelling)
    elif isinstance(part, ToolUse):
        out = {"functionCall": respell(_call_out(part, spelling, extras.pop("functionCall", None)), spelling)}
    else:
        out = {"functionResponse": respell(_result_out(part, spelling, extras.pop("functionResponse", None)), spelling)}
    if part.signature:
        url_safe = spelling.get("alphabet") == "url"
        out["thoughtSignature"] = part.signature.translate(_URL_SAFE) if url_safe else part.signature
    return respell(out | extras, spelling)


def _media(part: Image | File | Audio, spelling: Spelling) -> dict[str, Any]:
    media = part.media
    name = part.name if isinstance(part, File) and spelling is part.spelling else ""
    inline = media.kind == "base64"
    inner = {"mimeType": media.media_type, "data": media.value} if inline else {"fileUri": media.value}
    if not inline and media.media_type:
        inner["mimeType"] = media.media_type
    if name:
        inner["displayName"] = name
    return {"inlineData" if inline else "fileData": respell(inner, spelling)}


def _call_out(part: ToolUse, spelling: Spelling, rest: Raw | None) -> dict[str, Any]:
    out: dict[str, Any] = {"name": part.name}
    if part.id and spelling.get("id") != "absent":
        out["id"] = part.id
    if part.arguments or spelling.get("args") != "absent":
        arguments = arguments_object(part.arguments)
        # `args` must be an object. What isn't one is shown to the caller as the model wrote it.
        out["args"] = {"INVALID_JSON": part.arguments} if arguments is None else arguments
    return out | (decode_fields(rest) if rest is not None else {})


def _result_out(part: ToolResult, spelling: Spelling, rest: Raw | None) -> dict[str, Any]:
    out: dict[str, Any] = {"name": spelling.get("name", "")}
    if part.call_id and spelling.get("id") != "absent":
        out["id"] = part.call_id
    texts = [inner.text for inner in part.parts if isinstance(inner, Text | Refusal)]
    media = [write(inner, own=spelling is part.spelling) for inner in part.parts if not isinstance(inner, Text | Refusal)]
    if texts or spelling.get("response") != "absent":
        out["response"] = _response_out("\n".join(texts), spelling.get("response", ""), part.is_error)
    if media:
        out["parts"] = media
    return out | (decode_fields(rest) if rest is not None else {})


def _response_out(text: str, how: str, is_error: bool) -> Any:
    if how in _TEXT_KEYS:
        return {how: text}
    if how == "object" and (whole := arguments_object(text)) is not None:
        return whole
    return {"error" if is_error else "output": text}
