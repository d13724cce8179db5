"""The `input` of a Responses request -> canonical messages; the parts of items, in requests and replies.

Items are a flat list; other APIs have turns. What the assistant said and did without an interruption (reasoning, a
message, calls) becomes one message of parts in the order of the items, and so do tool results that follow each other.
A further assistant message starts a new turn unless calls wait for their results: those must stay in one turn.

Item types that have no word here travel whole as Opaque: a call that the provider itself ran within the assistant's turn,
everything else (references, compactions, results of built-in tools) as a user's, where every other dialect refuses it.
"""

from __future__ import annotations

from typing import Any

from msgspec import DecodeError, Raw

from freehold.base.errors import InvalidRequest
from freehold.wire.chat import (
    AnyPart,
    Audio,
    File,
    Image,
    Media,
    Message,
    Opaque,
    Refusal,
    Role,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from freehold.wire.dialects.openai_chat.messages_in import media_of
from freehold.wire.dialects.openai_responses.words import (
    BREAKS,
    CALL,
    IN,
    ITEM,
    ITEM_EXTRAS,
    JOINT,
    NAME,
    RESULT,
    WHOLE,
    decode_any,
    raw,
    rest_of,
    string,
    text_of,
    wrong,
)
from freehold.wire.seal import unseal

_ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system", "developer": "developer"}
_SAID = ("type", "id", "status")  # members of an item that say nothing to a model
_PROVIDERS_OWN = ("mcp_list_tools", "mcp_approval_request", "program")  # and every "*_call"


def decode_input(value: Raw) -> list[Message]:
    """An array of items as messages. Raises InvalidRequest with the path of the offending field."""
    try:
        items = decode_any(value)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidRequest("'input' holds text that is not valid UTF-8", param="input") from None
    turns = _Turns()
    for number, item in enumerate(items):
        path = f"input[{number}]"
        if not isinstance(item, dict):
            raise wrong(path, "an object", item)
        turns.item(item, path)
    return turns.messages


class _Turns:
    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._call_signature = ""  # a sealed signature that belongs to the next call
        self._call_maker = ""

    def item(self, item: dict[str, Any], path: str) -> None:
        kind = item.get("type")
        if kind is None and "role" in item:
            kind = "message"
        if kind == "message":
            self._message(item, path)
        elif kind == CALL:
            self._add("assistant", self._call(item, path))
        elif kind == RESULT:
            self._add("tool", tool_result(item, path))
        elif kind == "reasoning":
            self._reasoning(item, path)
        elif kind is None and isinstance(item.get("id"), str):
            self._add("user", opaque_item("item_reference", item))  # its type may be left out
        elif isinstance(kind, str):
            own = kind.endswith("_call") or kind in _PROVIDERS_OWN
            self._add("assistant" if own else "user", opaque_item(kind, item))
        else:
            raise wrong(f"{path}.type", "a string", kind)

    def _add(self, role: Role, *parts: AnyPart) -> None:
        """To the turn that is going on, or to a new one."""
        last = self.messages[-1] if self.messages else None
        if last is None or last.role != role or role not in ("assistant", "tool"):
            last = Message(role=role, parts=[])
            self.messages.append(last)
        last.plain = False
        last.parts.extend(parts)

    def _message(self, item: dict[str, Any], path: str) -> None:
        word = string(item, "role", path)
        role = _ROLES.get(word)
        if role is None:
            raise InvalidRequest(f"'{path}.role' is {word[:40]!r}; it must be one of {', '.join(_ROLES)}", param=f"{path}.role")
        parts = content(item.get("content"), f"{path}.content", role)
        around(parts[0], item, "role", "content")
        last = self.messages[-1] if self.messages else None
        goes_on = last is not None and role == "assistant" == last.role and not _is_answer(last)
        if goes_on:
            self._add(role, *parts)
        else:
            self.messages.append(Message(role=role, parts=parts, plain=isinstance(item["content"], str)))

    def _call(self, item: dict[str, Any], path: str) -> ToolUse:
        part = tool_use(item, path)
        part.signature, part.signed_by = self._call_signature, self._call_maker
        self._call_signature = self._call_maker = ""
        return part

    def _reasoning(self, item: dict[str, Any], path: str) -> None:
        sealed = unseal(encrypted) if isinstance(encrypted := item.get("encrypted_content"), str) else None
        if sealed is not None and sealed.what == "call":
            self._call_signature, self._call_maker = sealed.value, sealed.maker
            return
        self._add("assistant", thinking(item, path))


def _is_answer(message: Message) -> bool:
    """The turn has said something and waits for no result: another assistant message is another turn."""
    kinds = {type(part) for part in message.parts}
    return ToolUse not in kinds and bool(kinds & {Text, Refusal})


# --- items ----------------------------------------------------------------------------


def around(part: AnyPart, item: dict[str, Any], *known: str) -> None:
    """Note on a part what the item around it says besides `known`."""
    part.spelling[ITEM] = text_of({key: item[key] for key in _SAID if key in item})
    rest = {key: member for key, member in item.items() if key not in _SAID and key not in known}
    if rest:
        part.extras[ITEM_EXTRAS] = raw(rest)


def opaque_item(kind: str, item: dict[str, Any]) -> Opaque:
    return Opaque(dialect=NAME, kind=kind, raw=raw(item), spelling={ITEM: WHOLE})


def tool_use(item: dict[str, Any], path: str) -> ToolUse:
    part = ToolUse(id=string(item, "call_id", path), name=string(item, "name", path), arguments=string(item, "arguments", path))
    around(part, item, "call_id", "name", "arguments")
    return part


def tool_result(item: dict[str, Any], path: str) -> ToolResult:
    output = item.get("output")
    part = ToolResult(call_id=string(item, "call_id", path), plain=isinstance(output, str))
    if isinstance(output, list) and not output:
        part.spelling[IN] = "empty"
    else:
        part.parts = content(output, f"{path}.output", "user")
    around(part, item, "call_id", "output")
    return part


def thinking(item: dict[str, Any], path: str) -> Thinking:
    """A reasoning item. Its text is `content` where the model's own words are there, else `summary`."""
    part = Thinking(spelling={ITEM: text_of({key: item[key] for key in ("status",) if key in item})})
    taken = {"type", "status"}
    if isinstance(item.get("id"), str) and item["id"]:
        part.id = item["id"]
        taken.add("id")
    main = "content" if item.get("content") else "summary"
    texts = reasoning_texts(item.get(main), main)
    if texts is not None and (texts or main == "summary"):
        taken.add(main)
        part.text = JOINT.join(texts)
        if len(texts) > 1:
            part.spelling[BREAKS] = text_of(breaks_of(texts))
    if main == "content":
        part.spelling[IN] = "content"
        if item.get("summary") == []:
            taken.add("summary")
    if "summary" not in item:
        part.spelling["summary"] = "absent"
    for name in ("content", "encrypted_content"):
        if name in item and not item[name]:  # null, [] and "" only differ in how nothing is written
            part.spelling[name] = text_of(item[name])
            taken.add(name)
    encrypted = item.get("encrypted_content")
    if isinstance(encrypted, str) and encrypted:
        taken.add("encrypted_content")
        _sign(part, encrypted)
    part.extras = {key: raw(member) for key, member in item.items() if key not in taken}
    return part


def _sign(part: Thinking, encrypted: str) -> None:
    sealed = unseal(encrypted)
    if sealed is None:
        part.signature, part.signed_by = encrypted, NAME
        return
    part.signed_by = sealed.maker
    if sealed.what == "redacted":
        part.redacted = sealed.value
    else:
        part.signature = sealed.value


def reasoning_texts(value: Any, field: str) -> list[str] | None:
    """The texts of a `summary` or `content` list; None where its items are not of the one known shape."""
    kind = "summary_text" if field == "summary" else "reasoning_text"
    if not isinstance(value, list):
        return None
    texts: list[str] = []
    for piece in value:
        if not isinstance(piece, dict) or piece.keys() != {"type", "text"} or piece["type"] != kind:
            return None
        if not isinstance(piece["text"], str) or (not piece["text"] and len(value) == 1):
            return None
        texts.append(piece["text"])
    return texts


def breaks_of(texts: list[str]) -> list[int]:
    """Where in the joined text each joint begins."""
    offsets: list[int] = []
    at = 0
    for text in texts[:-1]:
        at += len(text)
        offsets.append(at)
        at += len(JOINT)
    return offsets


# --- content --------------------------------------------------------------------------


def content(value: Any, path: str, role: str) -> list[AnyPart]:
    """A message's content or a result's output as parts, never none: an empty list is an empty text that says so."""
    if isinstance(value, str):
        return [Text(text=value, spelling={IN: "string"})]
    if not isinstance(value, list):
        raise wrong(path, "a string or an array of parts", value)
    return [content_part(part, f"{path}[{i}]", role) for i, part in enumerate(value)] or [Text(text="", spelling={IN: "empty"})]


def usual_text(role: str) -> str:
    return "output_text" if role == "assistant" else "input_text"


def content_part(item: Any, path: str, role: str) -> AnyPart:
    """One member of a content list. A shape that has no word here is carried whole."""
    if not isinstance(item, dict):
        raise wrong(path, "an object", item)
    kind = string(item, "type", path)
    part: AnyPart | None = None
    if kind in ("input_text", "output_text", "text"):
        return _text(item, kind, path, role)
    if kind == "refusal":
        part = Refusal(text=string(item, "refusal", path), extras=rest_of(item, "type", "refusal"))
    elif kind == "input_image":
        part = _image(item)
    elif kind == "input_file":
        part = _file(item)
    elif kind == "input_audio":
        part = _audio(item)
    return part if part is not None else Opaque(dialect=NAME, kind=kind, raw=raw(item))


def _text(item: dict[str, Any], kind: str, path: str, role: str) -> Text:
    part = Text(text=string(item, "text", path))
    if kind != usual_text(role):
        part.spelling[IN] = kind
    for key, member in item.items():
        if key in ("type", "text"):
            continue
        if key in ("annotations", "logprobs") and member == []:
            part.spelling[key] = "empty"
        elif key == "annotations" and isinstance(member, list):
            part.citations = [raw(citation) for citation in member]
        else:
            part.extras[key] = raw(member)
    return part


def _image(item: dict[str, Any]) -> AnyPart | None:
    media = _media(item, {"image_url": "url", "file_id": "file_id"})
    if media is None:
        return None
    found, key = media
    part = Image(media=found, extras=rest_of(item, "type", key))
    detail = item.get("detail")
    if isinstance(detail, str) and detail:
        part.detail = detail
        del part.extras["detail"]
    return part


def _file(item: dict[str, Any]) -> AnyPart | None:
    media = _media(item, {"file_data": "base64", "file_url": "url", "file_id": "file_id"})
    if media is None:
        return None
    found, key = media
    part = File(media=found, extras=rest_of(item, "type", key))
    if key == "file_url":
        part.spelling[IN] = key
    name = item.get("filename")
    if isinstance(name, str) and name:
        part.name = name
        del part.extras["filename"]
    return part


def _media(item: dict[str, Any], fields: dict[str, Any]) -> tuple[Media, str] | None:
    """The one field that says where the bytes are, as Media, and its name; None where none or several do."""
    filled = [key for key in fields if item.get(key) is not None]
    if len(filled) != 1 or not isinstance(item[filled[0]], str) or not item[filled[0]]:
        return None
    key, text = filled[0], item[filled[0]]
    if key == "file_id":
        return Media(kind="file_id", value=text), key
    media = media_of(text)
    if key == "file_data" and media.kind == "url" and not text.startswith(("http://", "https://", "data:")):
        media = Media(kind="base64", value=text)
    return media, key


def _audio(item: dict[str, Any]) -> AnyPart | None:
    inner = item.get("input_audio")
    if not isinstance(inner, dict) or inner.keys() != {"data", "format"}:
        return None
    data, form = inner["data"], inner["format"]
    if not isinstance(data, str) or not isinstance(form, str):
        return None
    media = Media(kind="base64", value=data, media_type=f"audio/{form}")
    return Audio(media=media, extras=rest_of(item, "type", "input_audio"))
