"""InvokeModel bodies that can be translated: Claude's, which are Anthropic's Messages requests with three differences.

The model and `stream` are not in the body, `anthropic_version` is, and `anthropic_beta` stands for the header of that
name. `spelling` "anthropic_version" holds its value as JSON text. Everything else is the anthropic dialect's, whose name
the ChatRequest has.
"""

from __future__ import annotations

from msgspec import Raw, structs

from freehold.base.errors import InvalidRequest, Unsupported
from freehold.wire.chat import ChatRequest
from freehold.wire.dialect import Peek, Quirks
from freehold.wire.dialects.anthropic.blocks import NAME as ANTHROPIC
from freehold.wire.dialects.anthropic.decode import decode_request as decode_anthropic
from freehold.wire.dialects.anthropic.encode import encode_request as encode_anthropic
from freehold.wire.dialects.bedrock.models import family
from freehold.wire.dialects.bedrock_invoke.peek import is_anthropic
from freehold.wire.fields import join, split

_VERSION = Raw(b'"bedrock-2023-05-31"')
_BETA = "anthropic_beta"


def decode_request(peek: Peek) -> ChatRequest:
    """Raises Unsupported for the body of another model family."""
    if not is_anthropic(peek.fields):
        raise Unsupported(
            "This InvokeModel body is written for one model family and can't be translated for the chosen target; "
            "send a Converse request, or a Claude body with anthropic_version and messages.",
            param="body",
        )
    fields = dict(peek.fields)
    version = fields.pop("anthropic_version")
    if "stream" in fields or "model" in fields:
        name = "stream" if "stream" in fields else "model"
        raise InvalidRequest(f"{name}: does not belong into an InvokeModel body; the path says it.", param=name)
    request = decode_anthropic(structs.replace(peek, fields=fields))
    request.stream = peek.stream
    request.spelling["anthropic_version"] = bytes(version).decode("utf-8", "replace")
    return request


def encode_request(request: ChatRequest, model: str, quirks: Quirks) -> tuple[bytes, tuple[str, ...]]:
    """A body for Claude. Raises Unsupported for a model that is known to be another, and what the anthropic dialect raises."""
    if family(model) not in ("claude", "unknown"):
        raise Unsupported(
            f"{model[:100]}: this target's InvokeModel bodies can only be written for Claude; reach the model through Converse.",
            param="model",
        )
    own = request.dialect == ANTHROPIC and "anthropic_version" in request.spelling
    beta = request.extras.get(_BETA) if request.dialect == ANTHROPIC else None
    rest = {name: raw for name, raw in request.extras.items() if name != _BETA or request.dialect != ANTHROPIC}
    body, names = encode_anthropic(structs.replace(request, extras=rest), model, quirks)
    dropped = dict.fromkeys(names)
    fields = split(body)
    fields.pop("model", None)
    fields.pop("stream", None)
    if not own and fields.pop("service_tier", None) is not None:
        dropped["service_tier"] = None  # a header here, and in other words
    version = Raw(request.spelling["anthropic_version"].encode()) if own else _VERSION
    fields = {"anthropic_version": version, **fields}
    if beta is not None:
        fields[_BETA] = beta
    return join(fields), tuple(dropped)
