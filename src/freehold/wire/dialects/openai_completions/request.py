"""A text completion request <-> ChatRequest: one user message, whose text is the prompt.

All knobs are read and written by the chat dialect, which has the same ones. What only this API can do is an Opaque part of
that message, so that every other dialect refuses it by name: several prompts, a prompt of token ids, `suffix`, `echo`,
`best_of` above 1, and `logprobs`, which is a count here.
"""

from __future__ import annotations

from msgspec import Raw, json, structs

from freehold.base.errors import Unsupported
from freehold.wire import fields
from freehold.wire.chat import AnyPart, ChatRequest, Message, Opaque, Text
from freehold.wire.dialect import Peek, Quirks
from freehold.wire.dialects.openai_chat import request_out as chat
from freehold.wire.dialects.openai_chat.request_in import decode_knobs
from freehold.wire.dialects.openai_chat.words import IN, decode_any, encode, raw
from freehold.wire.dialects.openai_chat.words import NAME as CHAT

NAME = "openai_completions"

_ONLY_HERE = ("suffix", "echo", "best_of", "logprobs")
_NOTHING = frozenset(((b"suffix", b'""'), (b"echo", b"false"), (b"best_of", b"1"), (b"best_of", b"0")))
_split = json.Decoder(dict[str, Raw]).decode


def decode_request(opened: Peek) -> ChatRequest:
    """Raises InvalidRequest with the path of the offending field."""
    members = dict(opened.fields)
    request = ChatRequest(dialect=NAME, model=opened.model, messages=[])
    parts = _prompt(members.pop("prompt"), request)
    for name in _ONLY_HERE:
        value = members.pop(name, None)
        if value is None:
            continue
        held = bytes(value)
        if held == b"null" or (name.encode(), held) in _NOTHING:
            request.spelling[name] = held.decode()
        else:
            parts.append(_opaque(name, value, name))
    decode_knobs(request, members)
    request.messages = [Message(role="user", parts=parts, plain=True)]
    return request


def _opaque(kind: str, value: Raw, field: str) -> Opaque:
    return Opaque(dialect=NAME, kind=kind, raw=value, spelling={IN: field})


def _prompt(value: Raw, request: ChatRequest) -> list[AnyPart]:
    prompt = decode_any(value)
    if isinstance(prompt, list) and len(prompt) == 1 and isinstance(prompt[0], str):
        request.spelling["prompt"] = "array"
        prompt = prompt[0]
    if isinstance(prompt, str):
        return [Text(text=prompt)]
    if prompt is None:
        request.spelling["prompt"] = "null"
        return [Text(text="")]
    several = any(isinstance(item, str | list) for item in prompt)
    return [_opaque("a list of prompts" if several else "a prompt of token ids", value, "prompt")]


def encode_request(request: ChatRequest, model: str, quirks: Quirks) -> tuple[bytes, tuple[str, ...]]:
    """The body and the names of what was left out. Raises Unsupported."""
    own = request.dialect == NAME
    dropped: dict[str, None] = {}
    special = _special(request, own, dropped)
    # The chat dialect's codec read our knobs, so what they hold is its own.
    knobs = structs.replace(request, dialect=CHAT, messages=[]) if own else _foreign(request, special, dropped)
    body, left_out = chat.encode_request(knobs, model, quirks)
    members = _split(body)
    del members["messages"]
    for name, value in special.items():
        if name in quirks.drop:
            dropped[name] = None
        else:
            members[quirks.rename.get(name, name)] = value
    return fields.join(members), (*dropped, *left_out)


def _special(request: ChatRequest, own: bool, dropped: dict[str, None]) -> dict[str, Raw]:
    """The prompt and the fields that only this API has."""
    text, special = _text(request, own, dropped)
    found: dict[str, Raw] = {}
    if text is not None:
        how = request.spelling.get("prompt") if own else None
        found["prompt"] = raw([text] if how == "array" else None if how == "null" and not text else text)
    found.update(special)
    if own:
        for name in _ONLY_HERE:
            if name in request.spelling:
                found.setdefault(name, Raw(request.spelling[name].encode()))
    return found


def _text(request: ChatRequest, own: bool, dropped: dict[str, None]) -> tuple[str | None, dict[str, Raw]]:
    """The one text of the one user message."""
    message = request.messages[0] if len(request.messages) == 1 else None
    texts: list[str] = []
    special: dict[str, Raw] = {}
    if message is not None and message.role == "user":
        for part in message.parts:
            if isinstance(part, Text):
                texts.append(part.text)
                if part.cache is not None:
                    dropped["cache_control"] = None
            elif isinstance(part, Opaque) and own:
                special[part.spelling[IN]] = part.raw
            else:
                texts = []
                break
    if len(texts) + ("prompt" in special) != 1:
        raise Unsupported(
            "this target completes one text: it takes a single user message of text, no conversation, system prompt or media",
            param="messages",
        )
    if message is not None and message.name:
        dropped["messages[].name"] = None
    return (texts[0] if texts else None), special


def _foreign(request: ChatRequest, special: dict[str, Raw], dropped: dict[str, None]) -> ChatRequest:
    """The request with its knobs only, in words that this API has."""
    if request.tools:
        raise Unsupported("this target completes text and calls no tools; remove 'tools' or choose another model", param="tools")
    if request.output is not None and request.output.kind != "text":
        raise Unsupported("this target cannot hold its reply to JSON; remove 'response_format'", param="response_format")
    reasoning = request.reasoning
    if reasoning is not None and (
        reasoning.enabled or reasoning.adaptive or reasoning.budget_tokens or reasoning.effort not in ("", "none")
    ):
        dropped["reasoning"] = None
    if request.service_tier is not None:
        dropped["service_tier"] = None
    if request.logprobs:
        special["logprobs"] = Raw(encode(request.top_logprobs or 0))
    return structs.replace(
        request,
        messages=[],
        output=None,
        reasoning=None,
        service_tier=None,
        logprobs=None,
        top_logprobs=None,
        spelling={"max_tokens": "max_tokens"},
    )
