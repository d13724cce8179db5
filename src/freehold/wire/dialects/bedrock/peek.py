"""A Converse request opened at the top level: what PASS needs, and the prompt's text for local counting.

The model is in the path, and so is whether the reply is a stream.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from msgspec import Raw, Struct, json

from freehold.base.errors import InvalidRequest
from freehold.wire.dialect import Asked, Kind, Peek, Quirks
from freehold.wire.fields import FieldsError, join, split

_list = json.Decoder(list[Raw]).decode
_any = json.Decoder().decode
_encode = json.Encoder().encode
_SHORT = 64  # a list of messages shorter than this may be empty: look inside


class _Inference(Struct):
    maxTokens: int | None = None


_inference = json.Decoder(_Inference | None).decode


def peek(body: bytes, kind: Kind, asked: Asked) -> Peek:
    """Raises InvalidRequest."""
    try:
        fields = split(body)
    except FieldsError as error:
        raise InvalidRequest(f"The request body can't be read: {error}.") from None
    if not asked.model:
        raise InvalidRequest("modelId: the path names no model; it must be /model/MODEL/...", param="modelId")
    if kind == "count_tokens":
        if bytes(fields.get("input", b"n"))[0] != 0x7B:
            raise InvalidRequest("input: is missing or no object; it must hold `converse` or `invokeModel`.", param="input")
        return Peek(kind, fields, asked.model, False, None, True)
    if "messages" in fields or not _is_prompt(asked.model):
        _check_messages(fields.get("messages"))
    return Peek(kind, fields, asked.model, asked.stream is True, _max_output(fields), True)


def _is_prompt(model: str) -> bool:
    """A stored prompt's ARN in the model's place brings its own messages."""
    return model.startswith("arn:") and ":prompt/" in model


def _check_messages(raw: Raw | None) -> None:
    if raw is None:
        raise InvalidRequest("messages: is missing; it must be a list with at least one message.", param="messages")
    text = bytes(raw)
    if text[0] != 0x5B:
        raise InvalidRequest("messages: must be a list.", param="messages")
    if len(text) < _SHORT and not _list(text):
        raise InvalidRequest("messages: is empty; send at least one message.", param="messages")


def _max_output(fields: dict[str, Raw]) -> int | None:
    raw = fields.get("inferenceConfig")
    if raw is None:
        return None
    try:
        config = _inference(raw)
    except (ValueError, RecursionError):
        raise InvalidRequest(
            "inferenceConfig: must be an object whose maxTokens is a whole number.", param="inferenceConfig"
        ) from None
    maximum = config.maxTokens if config is not None else None
    if maximum is not None and maximum < 1:
        raise InvalidRequest(f"inferenceConfig.maxTokens: is {maximum}; it must be 1 or more.", param="inferenceConfig.maxTokens")
    return maximum


@lru_cache(maxsize=1024)
def path(operation: str, model: str) -> str:
    """The model's id quoted as AWS's SDKs quote it (a signature covers the path): all but letters, digits and -._~"""
    return f"/model/{quote(model, safe='')}/{operation}"


def patch(opened: Peek, quirks: Quirks) -> tuple[bytes, tuple[str, ...]]:
    """The body for the target; the model is in the path."""
    fields = opened.fields
    if not quirks.drop and not quirks.rename:
        return join(fields), ()
    dropped = tuple(name for name in fields if name in quirks.drop)
    return join({quirks.rename.get(name, name): raw for name, raw in fields.items() if name not in quirks.drop}), dropped


# Where a request keeps text that a model reads. Anything else (bytes, signatures, formats) counts as nothing.
_TEXT_KEYS = frozenset(
    (
        *("system", "messages", "content", "text", "toolUse", "toolResult", "reasoningContent", "reasoningText"),
        *("guardContent", "citationsContent", "searchResult", "document", "source", "context", "name", "title"),
        *("toolConfig", "tools", "toolSpec", "description", "inputSchema", "converse"),
    )
)
_WHOLE_KEYS = frozenset(("input", "json"))


def input_text(opened: Peek) -> str:
    """All prompt text joined. Unreadable values count as nothing: this feeds an estimate, never an error."""
    fields: dict[str, Any] = {}
    for name in ("system", "messages", "toolConfig", "input"):
        raw = opened.fields.get(name)
        if raw is None:
            continue
        try:
            fields[name] = _any(raw)
        except (ValueError, RecursionError):
            continue
    asked = fields.pop("input", None)
    if isinstance(asked, dict):  # count-tokens
        converse = asked.get("converse")
        fields = converse if isinstance(converse, dict) else _invoked(asked.get("invokeModel"))
    return "\n".join(texts(fields))


def _invoked(asked: Any) -> dict[str, Any]:
    try:
        body = _any(b64decode(asked["body"]))
    except (ValueError, TypeError, KeyError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def texts(value: Any) -> Iterator[str]:
    """Depth first, in order. The depth is bounded by the JSON decoder's own limit."""
    stack: list[Any] = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, list):
            stack.extend(reversed(item))
        elif isinstance(item, dict):
            stack.extend(reversed([_text_in(name, child) for name, child in item.items()]))


def _text_in(name: str, child: Any) -> Any:
    if name in _WHOLE_KEYS:
        return _encode(child).decode("utf-8", "replace")
    return child if name in _TEXT_KEYS else None
