"""Embeddings: /api/embed, and the older /api/embeddings with one prompt and one vector.

A request in the older form is marked in `spelling`, so that its reply is written in that form too.
"""

from __future__ import annotations

from array import array
from typing import Any

from msgspec import Raw, Struct, json

from freehold.base.errors import InvalidRequest, Unsupported
from freehold.wire.chat import Usage
from freehold.wire.dialect import Peek
from freehold.wire.dialects.ollama.words import (
    EMBEDDINGS,
    FORM,
    NAME,
    NOTHING,
    decode_any,
    encode,
    flag_of,
    integer_of,
    string_of,
    text,
    wrong,
)
from freehold.wire.dialects.openai_chat.peek import json_type
from freehold.wire.embed import EmbedReply, EmbedRequest

_texts = json.Decoder(list[str]).decode
_KNOWN = frozenset(("options", "keep_alive", "truncate", "dimensions"))


class _Reply(Struct):
    model: str | None = None
    embeddings: list[list[float]] | None = None
    embedding: list[float] | None = None  # the older form
    prompt_eval_count: int | None = None


_reply = json.Decoder(_Reply).decode


class OllamaEmbeddings:
    def decode_request(self, peek: object) -> EmbedRequest:
        assert isinstance(peek, Peek)
        request = EmbedRequest(dialect=NAME, model=peek.model)
        old = peek.form == EMBEDDINGS
        if old:
            request.spelling[FORM] = EMBEDDINGS
        for name, value in peek.fields.items():
            if name == ("prompt" if old else "input"):
                _input(request, value, name)
            elif name in _KNOWN and bytes(value) in NOTHING:
                request.spelling[name] = text(value)
            elif name == "truncate":
                request.truncate = "END" if flag_of(value, name) else "NONE"
            elif name == "dimensions":
                request.dimensions = integer_of(value, name)
            elif name != "model":
                request.extras[name] = value
        return request

    def encode_request(self, request: EmbedRequest, model: str) -> tuple[bytes, tuple[str, ...]]:
        if request.tokens:
            raise Unsupported("this target takes texts, not token ids; send 'input' as text", param="input")
        members: dict[str, Any] = {"model": model}
        if request.spelling.get(FORM) == EMBEDDINGS and request.dialect == NAME:
            members["prompt"] = request.texts[0]
        else:
            members["input"] = request.texts[0] if request.plain and len(request.texts) == 1 else request.texts
        if request.dimensions is not None:
            members["dimensions"] = request.dimensions
        if request.truncate in ("END", "NONE"):
            members["truncate"] = request.truncate == "END"
        if request.dialect == NAME:
            members.update(request.extras)
            for name, how in request.spelling.items():
                if name != FORM:
                    members.setdefault(name, decode_any(how))
            return encode(members), ()
        dropped = list(request.extras)
        held = {
            "truncate": request.truncate == "START",
            "purpose": request.purpose,
            "titles": request.titles,
            "user": request.user,
        }
        dropped += [name for name, value in held.items() if value]
        return encode(members), tuple(dropped)

    def decode_reply(self, body: bytes) -> EmbedReply:
        found = _reply(body)
        vectors = found.embeddings if found.embedding is None else [found.embedding]
        if vectors is None:
            raise ValueError("the reply holds no embeddings")
        count = found.prompt_eval_count
        return EmbedReply(
            model=found.model or "",
            vectors=[array("d", vector) for vector in vectors],
            usage=None if count is None else Usage(input=max(count, 0)),
        )

    def encode_reply(self, reply: EmbedReply, request: EmbedRequest) -> bytes:
        if request.spelling.get(FORM) == EMBEDDINGS:
            return encode({"embedding": list(reply.vectors[0]) if reply.vectors else []})
        members: dict[str, Any] = {
            "model": reply.model or request.model,
            "embeddings": [list(vector) for vector in reply.vectors],
            "total_duration": 0,
            "load_duration": 0,
        }
        if reply.usage is not None:
            members["prompt_eval_count"] = reply.usage.input
        return encode(members)


def _input(request: EmbedRequest, value: Raw, name: str) -> None:
    if json_type(value) == "a string":
        request.texts = [string_of(value, name)]
        request.plain = True
        return
    try:
        request.texts = _texts(value)
    except ValueError:
        raise wrong(value, name, "a string or an array of strings") from None
    if not request.texts:
        raise InvalidRequest(f"'{name}' is empty: it needs at least one text", param=name)
