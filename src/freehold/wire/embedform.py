"""An embeddings codec made from a table of field names: OpenAI's API, and the APIs that differ from it in names.

Numbers stay what they were. JSON numbers are read as float64 and written with the fewest digits that give the same
float64 again. Base64 is little-endian float32: read, each becomes the float64 of equal value; written, each float64
becomes the nearest float32. So a vector that a provider computed as float32 is the same float32s either way. (A number
beyond float32 becomes infinity in base64; a NaN, which JSON lacks, becomes null in numbers.)
"""

from __future__ import annotations

import binascii
import sys
from array import array
from base64 import b64decode, b64encode
from collections.abc import Callable, Container
from typing import Any

from msgspec import Raw, Struct, field, json

from freehold.base.errors import InvalidRequest, Unsupported
from freehold.wire.counts import read_counts
from freehold.wire.dialect import Peek
from freehold.wire.dropped import Dropped
from freehold.wire.embed import EmbedReply, EmbedRequest, Purpose
from freehold.wire.typed import NULL, Fields, as_bool, as_int, as_str, decoded, nulls, optional, required

encode = json.Encoder().encode
_input = json.Decoder(str | list[str | int | list[int]]).decode
BASE64 = "base64"
_MEDIA = ("images", "inputs", "input")  # among the extras: content that is not text
# These say which numbers the vectors are made of. A client that wants others than floats can't use floats.
_NUMBER_TYPES = ("embedding_types", "embedding_type", "output_dtype", "encoding_format")
# Perplexity's embeddings are int8, which it also writes as base64; nothing but the model's name tells.
_INT8_MODELS = "pplx-embed"


class EmbedForm(Struct, frozen=True, kw_only=True):
    """How a dialect spells an embeddings request; "" where it has no such field."""

    dialect: str
    input: str = "input"
    model: str = "model"  # "": no body names one
    bare: bool = True  # one text may stand without its list
    tokens: bool = False  # takes token ids for texts
    dimensions: str = "dimensions"
    encoding: str = ""  # asks for "base64"
    number_type: str = ""  # "float" where it is said at all
    purpose: str = ""
    purposes: dict[Purpose, str] = field(default_factory=dict)
    truncate: str = ""  # a boolean: cut a text that is too long at its end, or refuse it
    user: str = ""
    media: tuple[str, ...] = ()  # hold content that is not text, which no other dialect can carry
    objects: bool = False  # the input's items may be objects, which may hold such content


class FormEmbeddings:
    """An EmbeddingsCodec. Dialects that differ in more than names override single steps."""

    def __init__(self, form: EmbedForm) -> None:
        self.form = form
        self._purpose_of: dict[str, Purpose] = {word: purpose for purpose, word in form.purposes.items()}

    # --- requests ------------------------------------------------------------------

    def decode_request(self, peek: object) -> EmbedRequest:
        assert isinstance(peek, Peek)
        form = self.form
        fields = dict(peek.fields)
        fields.pop("model", None)
        request = EmbedRequest(dialect=form.dialect, model=peek.model)
        for name in form.media:
            if name in fields and bytes(fields[name]) == NULL:
                del fields[name]
                request.spelling[name] = "null"
        if form.input in fields or not any(name in fields for name in form.media):
            self._texts_in(fields, request)
        if form.dimensions:
            request.dimensions = optional(fields, form.dimensions, as_int, "a whole number", request.spelling)
        if form.user:
            request.user = optional(fields, form.user, as_str, "a string", request.spelling)
        self.knobs_in(fields, request)
        request.extras = fields
        return request

    def _texts_in(self, fields: Fields, request: EmbedRequest) -> None:
        name = self.form.input
        wanted = "a string or an array of strings" + (" or of token ids" if self.form.tokens else "")
        if self.form.objects and name in fields and not _is_input(fields[name]):
            return  # stays among the extras
        value = required(fields, name, _input, wanted)
        if isinstance(value, str):
            request.texts, request.plain = [value], True
        elif not value:
            raise InvalidRequest(f"{name}: is empty; it needs at least one text", param=name)
        elif all(type(item) is str for item in value):
            request.texts = value
        elif self.form.tokens and all(type(item) is int for item in value):
            request.tokens, request.plain = [value], True
        elif self.form.tokens and all(type(item) is list for item in value):
            request.tokens = value
        else:
            raise InvalidRequest(f"{name}: must be {wanted}, all of one kind", param=name)

    def knobs_in(self, fields: Fields, request: EmbedRequest) -> None:
        """Encoding, purpose and truncation out of `fields`; values without a canonical word stay there."""
        form = self.form
        if form.encoding and (word := take_word(fields, form.encoding, (BASE64, "float"), request)):
            request.base64 = word == BASE64
            if not request.base64:
                request.spelling[form.encoding] = word
        if form.number_type and (word := take_word(fields, form.number_type, ("float",), request)):
            request.spelling[form.number_type] = word
        if form.purpose and (word := take_word(fields, form.purpose, self._purpose_of, request)):
            request.purpose = self._purpose_of[word]
        if form.truncate:
            cut = optional(fields, form.truncate, as_bool, "true or false", request.spelling)
            request.truncate = "" if cut is None else "END" if cut else "NONE"

    def encode_request(self, request: EmbedRequest, model: str) -> tuple[bytes, tuple[str, ...]]:
        form = self.form
        own = request.dialect == form.dialect
        dropped: Dropped = {}
        body: dict[str, Any] = {form.model: model} if form.model else {}
        values = self._input_out(request, own)
        if values is not None:
            body[form.input] = values[0] if request.plain and form.bare else values
        for name, where, value in (("dimensions", form.dimensions, request.dimensions), ("user", form.user, request.user)):
            if value is not None and where:
                body[where] = value
            elif value is not None:
                dropped[name] = None
        if request.titles:
            dropped["titles"] = None
        self.knobs_out(request, body, own, dropped)
        if own:
            body |= nulls(request.spelling) | request.extras
        else:
            _foreign_extras(request, dropped)
        return encode(body), tuple(dropped)

    def _input_out(self, request: EmbedRequest, own: bool) -> list[Any] | None:
        if not own and any(name in request.extras for name in _MEDIA):
            raise Unsupported("this target embeds text only; send texts, not images or other media", param="input")
        if not request.texts and not request.tokens:
            return None  # the content is among the extras
        if request.tokens and not self.form.tokens:
            raise Unsupported("this target takes texts, not token ids", param="input")
        return request.texts or request.tokens

    def knobs_out(self, request: EmbedRequest, body: dict[str, Any], own: bool, dropped: Dropped) -> None:
        form = self.form
        if own:
            body |= {name: word for name, word in request.spelling.items() if word == "float"}
        if form.encoding and request.base64:
            body[form.encoding] = BASE64
        if request.purpose:
            word = form.purposes.get(request.purpose)
            if word is not None:
                body[form.purpose] = word
            else:
                dropped["input_type"] = None
        if request.truncate:
            if form.truncate and request.truncate in ("END", "NONE"):
                body[form.truncate] = request.truncate == "END"
            else:
                dropped["truncate"] = None

    # --- replies -------------------------------------------------------------------

    def decode_reply(self, body: bytes) -> EmbedReply:
        reply = decoded(_reply, body)
        ordered = sorted(enumerate(reply.data), key=lambda at: at[0] if at[1].index is None else at[1].index)
        int8 = (reply.model or "").startswith(_INT8_MODELS)
        vectors = [vector_of(item.embedding, "b" if int8 else "f") for _, item in ordered]
        return EmbedReply(model=reply.model or "", id=reply.id or "", vectors=vectors, usage=read_counts(reply.usage))

    def encode_reply(self, reply: EmbedReply, request: EmbedRequest) -> bytes:
        write: Callable[[array[float]], Any] = base64_of if request.base64 else array.tolist
        data = [{"object": "embedding", "index": n, "embedding": write(vector)} for n, vector in enumerate(reply.vectors)]
        out: dict[str, Any] = {"id": reply.id} if reply.id else {}
        out |= {"object": "list", "data": data, "model": reply.model or request.model}
        tokens = reply.usage.input if reply.usage is not None else 0
        return encode(out | {"usage": {"prompt_tokens": tokens, "total_tokens": tokens}})


def _foreign_extras(request: EmbedRequest, dropped: Dropped) -> None:
    for name, raw in request.extras.items():
        if name in _NUMBER_TYPES:
            raise Unsupported(f"{name}: this target gives vectors of floats only", param=name)
        if bytes(raw) != NULL:
            dropped[name] = None


def take_word(fields: Fields, name: str, known: Container[str], request: EmbedRequest) -> str:
    """A string that is one of `known`, removed from `fields`; "" where it is missing, null (noted) or anything else."""
    raw = fields.get(name)
    if raw is None or chr(memoryview(raw)[0]) not in '"n':
        return ""
    word: str | None = optional({name: raw}, name, as_str, "a string", request.spelling)
    if word is not None and word not in known:
        return ""
    del fields[name]
    return word or ""


def _is_input(raw: Raw) -> bool:
    try:
        _input(raw)
    except (ValueError, RecursionError):
        return False
    return True


# --- vectors --------------------------------------------------------------------------


class _Item(Struct):
    embedding: list[float] | str
    index: int | None = None


class _Reply(Struct):
    data: list[_Item]
    model: str | None = None
    id: str | None = None
    usage: Any = None


_reply = json.Decoder(_Reply).decode


def vector_of(value: list[float] | str, code: str = "f") -> array[float]:
    """Numbers, or base64 of little-endian numbers of the array type `code`, as float64. Raises ValueError."""
    if not isinstance(value, str):
        return array("d", value)
    packed = array(code)
    try:
        packed.frombytes(b64decode(value, validate=True))
    except binascii.Error:
        raise ValueError("an embedding is not base64") from None
    if sys.byteorder == "big":
        packed.byteswap()
    return array("d", packed)


def base64_of(vector: array[float]) -> str:
    packed = array("f", vector)
    if sys.byteorder == "big":
        packed.byteswap()
    return b64encode(packed.tobytes()).decode()
