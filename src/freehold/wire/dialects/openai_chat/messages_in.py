"""The `messages` of a chat request -> canonical messages.

Order inside an assistant message becomes: thinking, content, tool calls (the wire keeps them in separate fields).
Content in a shape this module has no word for is carried whole as an Opaque part.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec import DecodeError, Raw

from freehold.base.errors import InvalidRequest
from freehold.wire.chat import (
    AnyPart,
    Audio,
    CacheMark,
    Extras,
    File,
    Image,
    Media,
    Message,
    Refusal,
    Role,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from freehold.wire.dialects.openai_chat.reasoning import (
    take_call_signature,
    thinking_blocks_in,
    thinking_details_in,
    thinking_text,
)
from freehold.wire.dialects.openai_chat.words import CACHE_AT, IN, INNER, decode_any, opaque, raw, rest_of, text_of

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "developer",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
_DATA_URL = re.compile(r"data:([^,;]+);base64,", re.ASCII)
_MESSAGE_WORDS = frozenset(("role", "content"))


def decode_messages(value: Raw) -> list[Message]:
    """Raises InvalidRequest with the path of the offending field."""
    try:
        items = decode_any(value)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidRequest("'messages' holds text that is not valid UTF-8", param="messages") from None
    messages: list[Message] = []
    legacy_ids: dict[str, str] = {}  # function name -> the id we gave its last call (the old API has none)
    for number, item in enumerate(items):
        path = f"messages[{number}]"
        if not isinstance(item, dict):
            raise _wrong(path, "an object", item)
        messages.append(_message(item, path, number, legacy_ids))
    return messages


def _wrong(path: str, wanted: str, value: Any) -> InvalidRequest:
    if value is None:
        return InvalidRequest(f"'{path}' is missing or null; it must be {wanted}", param=path)
    names = {str: "a string", bool: "a boolean", list: "an array", dict: "an object"}
    return InvalidRequest(f"'{path}' must be {wanted}, not {names.get(type(value), 'a number')}", param=path)


def _string(holder: dict[str, Any], key: str, path: str) -> str:
    value = holder.get(key)
    if not isinstance(value, str):
        raise _wrong(f"{path}.{key}", "a string", value)
    return value


def _message(item: dict[str, Any], path: str, number: int, legacy_ids: dict[str, str]) -> Message:
    word = _string(item, "role", path)
    role = _ROLES.get(word)
    if role is None:
        raise InvalidRequest(f"'{path}.role' is {word[:40]!r}; it must be one of {', '.join(_ROLES)}", param=f"{path}.role")
    message = Message(role=role, parts=[])
    rest = {key: value for key, value in item.items() if key not in _MESSAGE_WORDS}
    if role == "assistant":
        _assistant(message, item, rest, path, number, legacy_ids)
    else:
        _content(message, item, path)
    name = rest.get("name")
    if isinstance(name, str) and name:
        message.name = name
        del rest["name"]
    if role == "tool":
        _tool_result(message, item, rest, path, word == "function", legacy_ids)
    mark = cache_mark(rest.get("cache_control"))
    if mark is not None and message.parts and message.parts[-1].cache is None:
        message.parts[-1].cache = mark
        message.parts[-1].spelling[CACHE_AT] = "message"
        del rest["cache_control"]
    for key, value in rest.items():
        if value is None:
            message.spelling[key] = "null"
        else:
            message.extras[key] = raw(value)
    return message


def _content(message: Message, item: dict[str, Any], path: str) -> None:
    """`content` as parts. null, absent and [] differ only in the spelling."""
    content = item.get("content")
    if isinstance(content, str):
        message.plain = True
        message.parts.append(Text(text=content))
    elif isinstance(content, list):
        message.parts.extend(_part(part, f"{path}.content[{i}]") for i, part in enumerate(content))
        if not content:
            message.spelling["content"] = "empty"
    elif content is not None:
        raise _wrong(f"{path}.content", "a string or an array of parts", content)
    elif "content" in item:
        message.spelling["content"] = "null"
    elif message.role != "assistant":
        raise _wrong(f"{path}.content", "a string or an array of parts", None)


def _tool_result(
    message: Message, item: dict[str, Any], rest: dict[str, Any], path: str, legacy: bool, legacy_ids: dict[str, str]
) -> None:
    if legacy:
        message.spelling["role"] = "function"
        call_id = legacy_ids.get(message.name, "call_0")
    else:
        call_id = _string(item, "tool_call_id", path)
        del rest["tool_call_id"]
    message.parts = [ToolResult(call_id=call_id, parts=message.parts, plain=message.plain)]
    message.plain = False


def _assistant(
    message: Message, item: dict[str, Any], rest: dict[str, Any], path: str, number: int, legacy_ids: dict[str, str]
) -> None:
    message.parts.extend(_thinking(message, rest))
    _content(message, item, path)
    refusal = rest.get("refusal")
    if isinstance(refusal, str) and refusal:
        message.parts.append(Refusal(text=refusal))
        del rest["refusal"]
    if isinstance(rest.get("audio"), dict):
        message.parts.append(opaque("audio", rest.pop("audio"), "audio"))
    calls = rest.get("tool_calls")
    if isinstance(calls, list) and calls:
        message.parts.extend(_tool_call(call, f"{path}.tool_calls[{i}]") for i, call in enumerate(calls))
        del rest["tool_calls"]
    elif calls is not None and calls != []:
        raise _wrong(f"{path}.tool_calls", "an array", calls)
    call = rest.get("function_call")
    if isinstance(call, dict) and call.keys() <= {"name", "arguments"}:
        name = _string(call, "name", f"{path}.function_call")
        arguments = _string(call, "arguments", f"{path}.function_call")
        legacy_ids[name] = f"call_{number}"
        message.parts.append(ToolUse(id=legacy_ids[name], name=name, arguments=arguments, spelling={IN: "function_call"}))
        del rest["function_call"]


def _thinking(message: Message, rest: dict[str, Any]) -> list[AnyPart]:
    """The thinking of an earlier turn, from the best spelling present. Bare text that repeats it is only noted."""
    parts: list[AnyPart] = []
    for key, decode in (("reasoning_details", thinking_details_in), ("thinking_blocks", thinking_blocks_in)):
        parts = decode(rest.get(key))
        if parts:
            del rest[key]
            break
    for key in ("reasoning_content", "reasoning"):
        text = rest.get(key)
        if not isinstance(text, str) or not text:
            continue
        if not parts:
            parts = [Thinking(text=text, spelling={IN: key})]
            del rest[key]
        elif text == thinking_text(parts):
            message.spelling[key] = "same"
            del rest[key]
    return parts


def _tool_call(call: Any, path: str) -> AnyPart:
    if not isinstance(call, dict):
        raise _wrong(path, "an object", call)
    kind = call.get("type", "function")
    if kind != "function":
        return opaque(f"{kind} tool call", call, "tool_calls")
    function = call.get("function")
    if not isinstance(function, dict):
        raise _wrong(f"{path}.function", "an object", function)
    part = ToolUse(
        id=_string(call, "id", path),
        name=_string(function, "name", f"{path}.function"),
        arguments=_string(function, "arguments", f"{path}.function"),
        extras=rest_of(call, frozenset(("id", "type", "function"))),
    )
    if "type" not in call:
        part.spelling[IN] = "untyped"
    inner = {key: value for key, value in function.items() if key not in ("name", "arguments")}
    if inner:
        part.spelling[INNER] = text_of(inner)
    part.cache = _take_mark(part.extras)
    part.signature = take_call_signature(part.extras)
    return part


# --- content parts ------------------------------------------------------------------


def cache_mark(value: Any) -> CacheMark | None:
    """{"type": "ephemeral", "ttl"?} and nothing else; other shapes stay as they came."""
    if not isinstance(value, dict) or value.get("type") != "ephemeral":
        return None
    if len(value) == 1:
        return CacheMark()
    ttl = value.get("ttl")
    return CacheMark(ttl=ttl) if len(value) == 2 and isinstance(ttl, str) and ttl else None


def _take_mark(extras: Extras) -> CacheMark | None:
    held = extras.get("cache_control")
    mark = None if held is None else cache_mark(decode_any(held))
    if mark is not None:
        del extras["cache_control"]
    return mark


def _part(item: Any, path: str) -> AnyPart:
    if not isinstance(item, dict):
        raise _wrong(path, "an object", item)
    kind = _string(item, "type", path)
    part: AnyPart | None = None
    if kind == "text":
        part = Text(text=_string(item, "text", path))
    elif kind == "image_url":
        part = _image(item.get(kind), f"{path}.image_url")
    elif kind == "file":
        part = _file(item.get(kind), f"{path}.file")
    elif kind in ("file_url", "document_url"):
        part = _document(item.get(kind), kind)
    elif kind == "input_audio":
        part = _audio(item.get(kind))
    elif kind == "refusal":
        part = Refusal(text=_string(item, "refusal", path), spelling={IN: "content"})
    elif kind == "thinking":
        part = _mistral_thinking(item.get(kind))
    if part is None:
        return opaque(kind, item)
    part.extras.update(rest_of(item, frozenset(("type", kind))))
    part.cache = _take_mark(part.extras)
    return part


def media_of(url: str) -> Media:
    """A data: URL as bytes and type, any other as a URL."""
    found = _DATA_URL.match(url)
    if found is None:
        return Media(kind="url", value=url)
    return Media(kind="base64", value=url[found.end() :], media_type=found[1])


def _image(value: Any, path: str) -> AnyPart | None:
    if isinstance(value, str):  # Mistral's short form
        return Image(media=media_of(value), spelling={IN: "string"})
    if not isinstance(value, dict):
        raise _wrong(path, "an object", value)
    media = media_of(_string(value, "url", path))
    detail = value.get("detail", "")
    if not isinstance(detail, str) or ("detail" in value and not detail):
        return None
    part = Image(media=media, detail=detail)
    inner = {key: member for key, member in value.items() if key not in ("url", "detail")}
    if inner:
        part.spelling[INNER] = text_of(inner)
    return part


def _file(value: Any, path: str) -> AnyPart | None:
    if not isinstance(value, dict):
        raise _wrong(path, "an object", value)
    keys = [key for key in ("file_data", "file_id", "file_url") if key in value]
    if len(keys) != 1 or not isinstance(value[keys[0]], str) or not value[keys[0]]:
        return None
    key, text = keys[0], value[keys[0]]
    if key == "file_id":
        media = Media(kind="file_id", value=text)
    elif key == "file_data":
        media = media_of(text)
        if media.kind == "url" and not text.startswith(("http://", "https://", "data:")):
            media = Media(kind="base64", value=text)
    else:
        media = media_of(text)
    name = value.get("filename", "")
    if not isinstance(name, str) or ("filename" in value and not name):
        return None
    part = File(media=media, name=name, spelling={IN: "file.file_url"} if key == "file_url" else {})
    inner = {member: held for member, held in value.items() if member not in (key, "filename")}
    if inner:
        part.spelling[INNER] = text_of(inner)
    return part


def _document(value: Any, kind: str) -> AnyPart | None:
    """Perplexity's {"file_url": {"url": URL or bare base64}} and Mistral's {"document_url": URL}."""
    if kind == "document_url":
        return File(media=media_of(value), spelling={IN: kind}) if isinstance(value, str) else None
    url = value.get("url") if isinstance(value, dict) and len(value) == 1 else None
    if not isinstance(url, str):
        return None
    media = media_of(url)
    if media.kind == "url" and "://" not in url and not url.startswith("data:"):
        media = Media(kind="base64", value=url)
    return File(media=media, spelling={IN: kind})


def _audio(value: Any) -> AnyPart | None:
    if not isinstance(value, dict) or value.keys() != {"data", "format"}:
        return None
    data, form = value["data"], value["format"]
    if not isinstance(data, str) or not isinstance(form, str):
        return None
    return Audio(media=Media(kind="base64", value=data, media_type=f"audio/{form}"))


def _mistral_thinking(value: Any) -> AnyPart | None:
    """[{"type": "text", "text": ...}] inside the content list."""
    if not isinstance(value, list) or len(value) != 1 or not isinstance(value[0], dict):
        return None
    chunk = value[0]
    if chunk.keys() != {"type", "text"} or chunk["type"] != "text" or not isinstance(chunk["text"], str):
        return None
    return Thinking(text=chunk["text"], spelling={IN: "content"})
