"""Google's Schema (a dialect of OpenAPI 3.0, types in capitals or as numbers) -> JSON Schema, as other APIs read it."""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from freehold.base.errors import InvalidRequest
from freehold.wire.dialects.gemini.words import camel_of, decode_any, encode

_MAX_DEPTH = 100
_NUMBERED = (None, "string", "number", "integer", "boolean", "array", "object", "null")
_LENGTHS = frozenset(("maxItems", "minItems", "maxLength", "minLength", "maxProperties", "minProperties"))


def json_schema(raw: Raw, path: str) -> Raw:
    """Raises InvalidRequest where it is no object, or nested more than 100 levels deep."""
    try:
        value = decode_any(raw)
    except (ValueError, RecursionError):
        raise InvalidRequest(f"{path}: must be an object in valid UTF-8.", param=path) from None
    if not isinstance(value, dict):
        raise InvalidRequest(f"{path}: must be an object.", param=path)
    return Raw(encode(_node(value, path, 0)))


def _node(node: Any, path: str, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        raise InvalidRequest(f"{path}: is nested more than {_MAX_DEPTH} levels deep.", param=path)
    if not isinstance(node, dict):
        return node
    fields = {camel_of(name): value for name, value in node.items()}
    out: dict[str, Any] = {}
    for name, value in fields.items():
        if name == "type":
            if (kind := _type(value)) is not None:
                out["type"] = kind
        elif name == "properties" and isinstance(value, dict):
            order = fields.get("propertyOrdering")
            names = [key for key in order if isinstance(key, str) and key in value] if isinstance(order, list) else []
            out["properties"] = {key: _node(value[key], path, depth + 1) for key in dict.fromkeys([*names, *value])}
        elif name == "anyOf" and isinstance(value, list):
            out["anyOf"] = [_node(item, path, depth + 1) for item in value]
        elif name in ("items", "additionalProperties"):
            out[name] = _node(value, path, depth + 1)
        elif name in _LENGTHS:
            out[name] = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
        elif name == "example":
            out["examples"] = [value]
        elif name not in ("nullable", "propertyOrdering"):
            out[name] = value
    return _nullable(out) if fields.get("nullable") is True else out


def _type(value: Any) -> Any:
    if isinstance(value, str):
        return None if value == "TYPE_UNSPECIFIED" else value.lower()
    if type(value) is int:
        return _NUMBERED[value] if 0 < value < len(_NUMBERED) else None
    return value


def _nullable(out: dict[str, Any]) -> dict[str, Any]:
    if "anyOf" in out:
        return out | {"anyOf": [*out["anyOf"], {"type": "null"}]}
    if isinstance(out.get("type"), str):
        out["type"] = [out["type"], "null"]
    if isinstance(out.get("enum"), list) and None not in out["enum"]:
        out["enum"] = [*out["enum"], None]
    return out
