"""embedContent and batchEmbedContents <-> canonical embeddings. Upstream it is always batchEmbedContents, except that an
embedContent body of this dialect stays one.

Google sets purpose, size and title for each text; the canonical form has one purpose and size for all: requests that mix
them are refused, as is content that is not text.
"""

from __future__ import annotations

from array import array
from typing import Any

from msgspec import Raw, Struct, json

from freehold.base.errors import InvalidRequest, Unsupported
from freehold.wire.chat import Text, Usage
from freehold.wire.dialect import Peek
from freehold.wire.dialects.gemini import parts
from freehold.wire.dialects.gemini.words import (
    NAME,
    Fields,
    bare_model,
    decode_any,
    encode,
    listed,
    normal,
    opened,
    text_of,
    typed,
)
from freehold.wire.embed import EmbedReply, EmbedRequest, Purpose
from freehold.wire.typed import is_null

_PURPOSES: dict[str, Purpose] = {
    "RETRIEVAL_QUERY": "query",
    "RETRIEVAL_DOCUMENT": "document",
    "CLASSIFICATION": "classification",
    "CLUSTERING": "clustering",
    "SEMANTIC_SIMILARITY": "similarity",
    "QUESTION_ANSWERING": "query",
    "FACT_VERIFICATION": "query",
    "CODE_RETRIEVAL_QUERY": "query",
}
TASKS = {purpose: task for task, purpose in reversed(_PURPOSES.items())}
_NO_TASK = ("", "TASK_TYPE_UNSPECIFIED")
_int = json.Decoder(int, strict=False).decode
_ORIGINAL = "requests"  # among the extras: the requests as they came


class _Values(Struct):
    values: list[float] = []


class _Reply(Struct):
    embeddings: list[_Values] | None = None
    embedding: _Values | None = None
    usageMetadata: Any = None


_decode_reply = json.Decoder(_Reply).decode


class GeminiEmbeddings:
    def decode_request(self, peek: object) -> EmbedRequest:
        assert isinstance(peek, Peek)
        request = EmbedRequest(dialect=NAME, model=peek.model, plain="requests" not in peek.fields)
        raws = [Raw(encode(peek.fields))] if request.plain else listed(peek.fields["requests"], "requests")[0]
        settings: list[tuple[Any, ...]] = []
        for number, raw in enumerate(raws):
            settings.append(_one(request, raw, "" if request.plain else f"requests[{number}]."))
        if any(one != settings[0] for one in settings):
            raise Unsupported(
                "requests: taskType and outputDimensionality differ between the requests, which can't be translated. "
                "Send one batch for each.",
                param="requests",
            )
        request.dimensions, request.purpose = settings[0][0], settings[0][1]
        if not any(request.titles):
            request.titles = []
        request.extras[_ORIGINAL] = Raw(encode(raws))
        return request

    def encode_request(self, request: EmbedRequest, model: str) -> tuple[bytes, tuple[str, ...]]:
        name = f"models/{bare_model(model)}"
        if request.dialect == NAME and (held := self._original(request, name)) is not None:
            return encode(held[0] if request.plain else {"requests": held}), ()
        if request.tokens:
            raise Unsupported("input: this target takes texts, not token ids.", param="input")
        dropped = [name for name in ("user", "truncate") if getattr(request, name)]
        if request.dialect != NAME:
            dropped += [key for key, raw in request.extras.items() if bytes(raw) != b"null"]
        requests = [_written(request, number, name) for number in range(len(request.texts))]
        return encode(requests[0] if request.plain and request.dialect == NAME else {"requests": requests}), tuple(dropped)

    def _original(self, request: EmbedRequest, name: str) -> list[Any] | None:
        """The requests as they came, if the texts are still the same."""
        raws = request.extras.get(_ORIGINAL)
        if raws is None:
            return None
        found = listed(raws, "requests")[0]
        check = EmbedRequest(dialect=NAME, model=request.model)
        for raw in found:
            _one(check, raw, "")
        if check.texts != request.texts:
            return None
        held: list[Any] = []
        for raw in found:
            fields = opened(raw, "requests")
            held.append(fields | {"model": name} if "model" in fields or not request.plain else fields)
        return held

    def decode_reply(self, body: bytes) -> EmbedReply:
        try:
            reply = _decode_reply(body)
        except RecursionError:
            raise ValueError("nested too deeply") from None
        found = reply.embeddings if reply.embeddings is not None else [reply.embedding] if reply.embedding is not None else None
        if found is None:
            raise ValueError("no embeddings")
        count = reply.usageMetadata.get("promptTokenCount") if isinstance(reply.usageMetadata, dict) else None
        usage = Usage(input=count) if type(count) is int and count >= 0 else None
        return EmbedReply(vectors=[array("d", one.values) for one in found], usage=usage)

    def encode_reply(self, reply: EmbedReply, request: EmbedRequest) -> bytes:
        vectors = [{"values": list(vector)} for vector in reply.vectors]
        single = request.plain and request.dialect == NAME and len(vectors) == 1
        out: dict[str, Any] = {"embedding": vectors[0]} if single else {"embeddings": vectors}
        if reply.usage is not None:
            out["usageMetadata"] = {"promptTokenCount": reply.usage.input}
        return encode(out)


def _one(request: EmbedRequest, raw: Raw, path: str) -> tuple[Any, ...]:
    """Add one request's text and title; returns what must be the same for all."""
    fields = normal(opened(raw, path.rstrip(".") or "requests"), {})
    config: Fields = {}
    if not is_null(fields.get("embedContentConfig")):
        config = normal(opened(fields["embedContentConfig"], f"{path}embedContentConfig"), {})
    told = fields | config
    request.texts.append(_text(fields.get("content"), f"{path}content"))
    request.titles.append("" if is_null(told.get("title")) else text_of(told["title"], f"{path}title"))
    dimensions = None
    if not is_null(told.get("outputDimensionality")):
        dimensions = typed(_int, told["outputDimensionality"], f"{path}outputDimensionality", "a whole number")
    task = "" if is_null(told.get("taskType")) else str(typed(decode_any, told["taskType"], f"{path}taskType", "a string"))
    if task not in _NO_TASK and task not in _PURPOSES:
        raise InvalidRequest(
            f"{path}taskType: is {task[:40]!r}; it must be one of {', '.join(_PURPOSES)}.", param=f"{path}taskType"
        )
    return dimensions, _PURPOSES.get(task, "")


def _text(raw: Raw | None, path: str) -> str:
    """A content's texts, which Google embeds as one."""
    inner = opened(raw, path)
    if "parts" not in inner:
        raise InvalidRequest(f"{path}.parts: is missing; it must be a list of parts.", param=f"{path}.parts")
    texts: list[str] = []
    for number, item in enumerate(listed(inner["parts"], f"{path}.parts")[0]):
        part = parts.read(item, f"{path}.parts[{number}]")
        if not isinstance(part, Text):
            where = f"{path}.parts[{number}]"
            raise Unsupported(f"{where}: only text can be embedded by a target of another API.", param=where)
        texts.append(part.text)
    return "\n".join(texts)


def _written(request: EmbedRequest, number: int, name: str) -> dict[str, Any]:
    out: dict[str, Any] = {"model": name, "content": {"parts": [{"text": request.texts[number]}]}}
    if request.purpose:
        out["taskType"] = TASKS[request.purpose]
    if number < len(request.titles) and request.titles[number] and request.purpose in ("", "document"):
        out["title"] = request.titles[number]
        out.setdefault("taskType", TASKS["document"])  # Google takes titles for documents only
    if request.dimensions is not None:
        out["outputDimensionality"] = request.dimensions
    return out
