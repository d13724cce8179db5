"""What an Ollama server tells about itself and its models, for clients that ask before they call.

Pure functions: what the gateway knows -> JSON. It has no files, so sizes are 0, and a digest is made of the name.
"""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from msgspec import Struct

from freehold.base.errors import InvalidRequest
from freehold.wire import fields
from freehold.wire.dialects.ollama.words import encode, string_of

RUNNING = b"Ollama is running"  # GET and HEAD /
API_VERSION = "0.13.0"  # of the Ollama whose API this is; clients refuse servers that are too old
_ARCHITECTURE = "freehold"
_NO_DETAILS: dict[str, Any] = {
    "parent_model": "",
    "format": "",
    "family": _ARCHITECTURE,
    "families": [_ARCHITECTURE],
    "parameter_size": "",
    "quantization_level": "",
}


class Model(Struct, frozen=True):
    """A model as a client may see it. Ollama's capabilities: completion, embedding, tools, vision, thinking, insert."""

    name: str
    context_window: int | None = None  # tokens
    capabilities: tuple[str, ...] = ("completion",)


def tags(models: list[Model], since_s: int) -> bytes:
    """GET /api/tags: every model. `since_s`: when they were last changed, in seconds since 1970."""
    time = _time(since_s)
    return encode({"models": [{**_entry(model), "modified_at": time} for model in models]})


def ps(models: list[Model], until_s: int) -> bytes:
    """GET /api/ps: the models that answer without loading. `until_s`: until when, in seconds since 1970."""
    time = _time(until_s)
    listed = [{**_entry(model), "expires_at": time, "size_vram": 0, **_window("context_length", model)} for model in models]
    return encode({"models": listed})


def show(model: Model, since_s: int) -> bytes:
    """POST /api/show: one model. Clients read the window under the name that the architecture gives it."""
    info: dict[str, Any] = {"general.architecture": _ARCHITECTURE, "general.basename": model.name}
    info.update(_window(f"{_ARCHITECTURE}.context_length", model))
    return encode(
        {
            "license": "",
            "modelfile": "",
            "parameters": "",
            "template": "",
            "details": _NO_DETAILS,
            "model_info": info,
            "capabilities": list(model.capabilities),
            "modified_at": _time(since_s),
        }
    )


def version() -> bytes:
    """GET /api/version."""
    return encode({"version": API_VERSION})


def shown(body: bytes) -> str:
    """The model that a /api/show request names, under either of its names. Raises InvalidRequest."""
    try:
        members = fields.split(body)
    except fields.FieldsError as error:
        raise InvalidRequest(f"the request body could not be read: {error}") from None
    name = string_of(members.get("model", members.get("name")), "model")
    if not name:
        raise InvalidRequest("'model' is empty: name the model to show", param="model")
    return name


def _entry(model: Model) -> dict[str, Any]:
    digest = sha256(model.name.encode("utf-8", "surrogatepass")).hexdigest()
    return {"name": model.name, "model": model.name, "size": 0, "digest": digest, "details": _NO_DETAILS}


def _window(name: str, model: Model) -> dict[str, int]:
    return {} if model.context_window is None else {name: model.context_window}


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
