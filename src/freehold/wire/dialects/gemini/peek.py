"""PASS: open a body at its top level and write it again for the target. The model and the stream are in the URL.

`input_text` is the only function here that looks into contents.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from msgspec import Raw, Struct, json

from freehold.base.errors import InvalidRequest
from freehold.wire.dialect import Asked, Kind, Peek, Quirks
from freehold.wire.dialects.gemini.words import bare_model, camel_of, decode_any, decode_fields, decode_list, encode
from freehold.wire.fields import FieldsError, join, split

_str = json.Decoder(str).decode
_int = json.Decoder(int, strict=False).decode  # 100, 100.0 and "100" are one number to Google

ARRAY = "array"  # Peek.form: the stream as one JSON array, which Google sends where `alt=sse` is not asked for
_SHORT = 64  # a list shorter than this may be empty: look inside


class _Config(Struct):
    maxOutputTokens: Raw = Raw()
    max_output_tokens: Raw = Raw()


_config = json.Decoder(_Config | None).decode


def peek(body: bytes, kind: Kind, asked: Asked) -> Peek:
    """Raises InvalidRequest."""
    try:
        fields = split(body)
    except FieldsError as error:
        raise InvalidRequest(f"The request body can't be read: {error}.") from None
    model = bare_model(asked.model or _model(fields))
    if not model:
        raise InvalidRequest("model: is missing; name it in the path: /v1beta/models/MODEL:generateContent.", param="model")
    if kind == "embeddings":
        if "requests" in fields or "content" not in fields:
            _require_filled(fields, "requests")
        return Peek(kind, fields, model, False, None, False)
    if kind != "count_tokens" or not ("generateContentRequest" in fields or "generate_content_request" in fields):
        _require_filled(fields, "contents")
    opened = Peek(kind, fields, model, bool(asked.stream), _max_output(fields), True)
    if opened.stream and not (asked.query.get("alt") or asked.query.get("$alt", "")).startswith("sse"):
        opened.form, opened.stream_type = ARRAY, b"application/json"
    return opened


def _model(fields: dict[str, Raw]) -> str:
    raw = fields.get("model")
    try:
        return _str(raw) if raw is not None else ""
    except (ValueError, RecursionError):
        raise InvalidRequest("model: must be a string.", param="model") from None


def _require_filled(fields: dict[str, Raw], name: str) -> None:
    raw = fields.get(name)
    if raw is None:
        raise InvalidRequest(f"{name}: is missing; it must be a list with at least one item.", param=name)
    opener = bytes(memoryview(raw)[:1])
    if opener not in (b"[", b"{") or (opener == b"{" and name != "contents"):
        raise InvalidRequest(f"{name}: must be a list.", param=name)
    if len(raw) < _SHORT and not (decode_list(raw) if opener == b"[" else decode_fields(raw)):
        raise InvalidRequest(f"{name}: is empty; it must hold at least one item.", param=name)


def _max_output(fields: dict[str, Raw]) -> int | None:
    raw = fields.get("generationConfig") or fields.get("generation_config")
    if raw is None:
        return None
    try:
        config = _config(raw)
    except (ValueError, RecursionError):
        raise InvalidRequest("generationConfig: must be an object.", param="generationConfig") from None
    limit = (config.maxOutputTokens or config.max_output_tokens) if config is not None else Raw()
    if not limit or bytes(limit) == b"null":
        return None
    path = "generationConfig.maxOutputTokens"
    try:
        number = _int(limit)
    except (ValueError, RecursionError):
        raise InvalidRequest(f"{path}: must be a whole number.", param=path) from None
    if number < 0:
        raise InvalidRequest(f"{path}: is {number}; it must be 0 or more.", param=path)
    return number or None  # 0 is how a protobuf client says "unset"


def path(kind: Kind, opened: Peek, model: str) -> str | None:
    """Below a base URL that ends in /v1beta (or, on Vertex AI, in /publishers/google)."""
    if kind == "chat":
        action = "streamGenerateContent?alt=sse" if opened.stream else "generateContent"
    elif kind == "embeddings":
        # Only a body of this dialect has `content` at its top level, and is sent on in its own form.
        action = "embedContent" if "content" in opened.fields and "requests" not in opened.fields else "batchEmbedContents"
    elif kind == "count_tokens":
        action = "countTokens"
    else:
        return None
    return f"/models/{quote(bare_model(model), safe='')}:{action}"


def patch(opened: Peek, model: str, quirks: Quirks) -> tuple[bytes, tuple[str, ...]]:
    """The body for the target. The model's name is changed where the body repeats it; all else is byte-identical."""
    fields = opened.fields
    if bare_model(model) != opened.model:
        fields = _renamed(fields, opened.kind, model)
    if not quirks.drop and not quirks.rename:
        return join(fields), ()
    dropped = tuple(name for name in fields if name in quirks.drop)
    return join({quirks.rename.get(name, name): raw for name, raw in fields.items() if name not in quirks.drop}), dropped


def _renamed(fields: dict[str, Raw], kind: Kind, model: str) -> dict[str, Raw]:
    name = Raw(encode(f"models/{bare_model(model)}"))
    fields = dict(fields)
    if "model" in fields:
        fields["model"] = name
    try:
        if kind == "embeddings" and "requests" in fields:
            requests = [decode_fields(raw) for raw in decode_list(fields["requests"])]
            fields["requests"] = Raw(encode([one | {"model": name} if "model" in one else one for one in requests]))
        for key in ("generateContentRequest", "generate_content_request"):
            if kind == "count_tokens" and key in fields and "model" in (inner := decode_fields(fields[key])):
                fields[key] = Raw(encode(inner | {"model": name}))
    except (ValueError, RecursionError):
        pass  # of another shape: the provider says so
    return fields


# Where a request keeps text that a model reads: whole objects as their JSON, others by their texts.
_TEXT = frozenset(("text", "name", "description", "title", "code", "output", "displayName"))
_WHOLE = frozenset(("args", "response", "parameters", "parametersJsonSchema", "responseSchema", "responseJsonSchema"))
_INTO = frozenset((
    "contents", "content", "systemInstruction", "tools", "generationConfig", "generateContentRequest", "requests", "parts",
    "functionCall", "functionResponse", "executableCode", "codeExecutionResult", "functionDeclarations",
))  # fmt: skip


def input_text(opened: Peek) -> str:
    """All prompt text joined. Unreadable values count as nothing: this feeds an estimate, never an error."""
    pieces: list[str] = []
    for name, raw in opened.fields.items():
        if camel_of(name) in _INTO:
            try:
                pieces.extend(_texts(decode_any(raw)))
            except (ValueError, RecursionError):
                continue
    return "\n".join(pieces)


def _texts(value: Any) -> Iterator[str]:
    """Depth first, in order. The depth is bounded by the JSON decoder's own limit."""
    stack: list[Any] = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, list):
            stack.extend(entry for entry in reversed(item) if not isinstance(entry, str))
        elif isinstance(item, dict):
            stack.extend(reversed([_text_in(camel_of(name), child) for name, child in item.items()]))


def _text_in(name: str, child: Any) -> Any:
    if name in _WHOLE:
        return encode(child).decode("utf-8", "replace")
    if name in _TEXT:
        return child if isinstance(child, str) else None
    return child if name in _INTO else None
