"""PASS for what is not text in, text out: images, speech, transcriptions, moderations, files, batches.

None of these is ever translated: the model's name is replaced, everything else goes as it came. Requests are JSON, or a
form with files in it (wire/multipart.py), or not opened at all (files, batches).
"""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

from msgspec import Raw, json, structs

from freehold.base.errors import InvalidRequest
from freehold.wire import fields, multipart
from freehold.wire.dialect import BOUND, Asked, ClientPath, Kind, Peek
from freehold.wire.dialects.openai_chat import peek as peeking
from freehold.wire.multipart import Upload

# Paths of clients; an upstream has them without the "/v1", which its base URL holds.
PATHS: tuple[ClientPath, ...] = (
    ClientPath("/v1/images/generations", "images"),
    ClientPath("/v1/images/edits", "images"),
    ClientPath("/v1/images/variations", "images"),
    ClientPath("/v1/audio/speech", "speech"),
    ClientPath("/v1/audio/transcriptions", "transcriptions"),
    ClientPath("/v1/audio/translations", "transcriptions"),
    ClientPath("/v1/moderations", "moderations"),
    ClientPath("/v1/files", "files"),
    ClientPath("/v1/files", "files", method="GET"),
    ClientPath("/v1/files/{id}", "files", method="GET"),
    ClientPath("/v1/files/{id}", "files", method="DELETE"),
    ClientPath("/v1/files/{id}/content", "files", method="GET"),
    ClientPath("/v1/batches", "batches"),
    ClientPath("/v1/batches", "batches", method="GET"),
    ClientPath("/v1/batches/{id}", "batches", method="GET"),
    ClientPath("/v1/batches/{id}/cancel", "batches"),
    ClientPath("/v1/realtime", "realtime", method="GET"),
)
KINDS: frozenset[Kind] = frozenset(client.kind for client in PATHS)
DEFAULT_MODERATION = "omni-moderation-latest"  # what OpenAI takes where a request names no model

FORM_FIELDS = frozenset(("model", "stream", "prompt", "response_format", "n", "size", "quality", "user"))
_TEXT_FORMATS = ("text", "srt", "vtt")
_decode_str = json.Decoder(str).decode
_encode = json.Encoder().encode


def _below(asked: Asked) -> str:
    """The upstream's path, below its base URL. Queries mean nothing there, but where a call has no body."""
    return asked.path.removeprefix("/v1").replace("{id}", asked.id)


def _with_query(asked: Asked) -> str:
    return f"{_below(asked)}?{asked.raw_query}" if asked.raw_query else _below(asked)


def peek(body: bytes, kind: Kind, asked: Asked) -> Peek:
    """Raises InvalidRequest."""
    if kind in BOUND:
        # Content may be large, and is given on as it comes; the rest are short JSON documents.
        streams = asked.path.endswith("/content")
        return Peek(
            kind,
            {},
            asked.model,
            streams,
            None,
            True,
            path=_with_query(asked),
            upload=Upload(asked.content_type, body),
            opaque=True,
        )
    if kind == "realtime":
        return _peek_session(kind, asked)
    if multipart.is_form(asked.content_type):
        return _peek_form(body, kind, asked)
    if kind == "transcriptions" or asked.path == "/v1/images/variations":
        raise InvalidRequest("the body must be multipart/form-data, with the file in it")
    try:
        members = fields.split(body)
    except fields.FieldsError as error:
        raise InvalidRequest(f"the request body could not be read: {error}") from None
    if kind == "moderations" and "model" not in members:
        members["model"] = Raw(_encode(DEFAULT_MODERATION))
    model = peeking.model_of(members.get("model"))
    stream = members.get("stream")
    # Audio is given on as it comes, asked for as a stream or not: it is a stream by nature.
    streams = kind == "speech" or (stream is not None and peeking.stream_of(stream))
    return Peek(kind, members, model, streams, None, True, path=_below(asked), opaque=True)


def _peek_session(kind: Kind, asked: Asked) -> Peek:
    """A realtime session names its model in the query."""
    pairs = parse_qsl(asked.raw_query, keep_blank_values=True)
    models = [value for name, value in pairs if name == "model"]
    if len(models) != 1 or not models[0]:
        raise InvalidRequest("name the model to ask in the query, once: /v1/realtime?model=...", param="model")
    others = urlencode([pair for pair in pairs if pair[0] != "model"])
    path = _with_query(structs.replace(asked, raw_query=others))
    return Peek(kind, {}, models[0], True, None, True, path=path, opaque=True)


def _peek_form(body: bytes, kind: Kind, asked: Asked) -> Peek:
    form = asked.form or multipart.read_form(asked.content_type, body, FORM_FIELDS)
    model = form.texts.get("model", "")
    if not model:
        raise InvalidRequest("'model' is missing: name the model to ask in a field of the form", param="model")
    stream = form.texts.get("stream", "false").lower()
    if stream not in ("true", "false"):
        raise InvalidRequest(f"'stream' must be true or false, not {stream[:20]!r}", param="stream")
    upload = Upload(asked.content_type, body, form.spans["model"])
    return Peek(kind, fields_of(form), model, stream == "true", None, True, path=_below(asked), upload=upload, opaque=True)


def fields_of(form: multipart.Form) -> dict[str, Raw]:
    """A form's texts as if they had come as JSON."""
    return {name: Raw(_encode(text)) for name, text in form.texts.items()}


def pictures_of(opened: Peek) -> tuple[int, str]:
    """How many pictures are asked for, and their quality and size ("hd 1024x1024", or "" where it says neither)."""
    value = peeking.lenient(opened.fields.get("n"))
    if isinstance(value, str) and value.isdecimal() and len(value) < 6:
        value = int(value)
    images = int(value) if isinstance(value, int | float) and 1 <= value < 100_000 else 1
    return images, " ".join(filter(None, (text_of(opened, "quality")[:20], text_of(opened, "size")[:20])))


def is_text(opened: Peek) -> bool:
    """The client asked for a transcript that is no JSON."""
    return opened.kind == "transcriptions" and text_of(opened, "response_format") in _TEXT_FORMATS


def text_of(opened: Peek, name: str) -> str:
    """A text member; "" where there is none, or another type."""
    value = peeking.lenient(opened.fields.get(name))
    return value if isinstance(value, str) else ""


def input_text(opened: Peek) -> str:
    pieces: list[str] = []
    for name in ("prompt", "input", "instructions"):
        value = peeking.lenient(opened.fields.get(name))
        peeking.texts_of(
            [part.get("text") if isinstance(part, dict) else part for part in value] if isinstance(value, list) else value, pieces
        )
    return "\n".join(pieces)
