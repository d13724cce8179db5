"""Errors as Bedrock's API writes them, and its errors in canonical form.

AWS tells an error's type in the header `x-amzn-errortype`. A dialect writes bodies only, so it stands in the body as
`__type`, where AWS's SDKs look for it as well.
"""

from __future__ import annotations

import re

from msgspec import Struct, field, json

from freehold.base.errors import GatewayError, UpstreamRefused
from freehold.wire.chat import Failure
from freehold.wire.clean import clean_message
from freehold.wire.dialects.bedrock.words import STATUS
from freehold.wire.eventstream import encode as encode_message

_encode = json.Encoder().encode
_ACCOUNT = re.compile(r"\b\d{12}\b")
_TYPES = {
    400: "ValidationException",
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    500: "InternalServerException",
    502: "ModelErrorException",
    503: "ServiceUnavailableException",
    504: "ModelTimeoutException",
    529: "ServiceUnavailableException",
}
# What a stream may hold. Every other type would reach clients as an error without a type.
_IN_STREAM = {
    "ValidationException": "validationException",
    "ThrottlingException": "throttlingException",
    "ModelNotReadyException": "throttlingException",
    "ServiceUnavailableException": "serviceUnavailableException",
    "InternalServerException": "internalServerException",
}


class _Body(Struct):
    message: str | None = None
    Message: str | None = None  # from the layers before the service: signatures, permissions
    type: str | None = field(default=None, name="__type")
    code: str | None = None


_body = json.Decoder(_Body).decode


def _type_of(error: GatewayError | Failure) -> str:
    told = error.error_type if isinstance(error, UpstreamRefused | Failure) else None
    if told in STATUS:
        return str(told)
    return _TYPES.get(error.status) or ("InternalServerException" if error.status >= 500 else "ValidationException")


def _message_of(error: GatewayError | Failure) -> str:
    param = getattr(error, "param", None)
    return f"{param}: {error.message}" if param and param not in error.message else error.message


def encode_error(error: GatewayError, call_id: str) -> bytes:
    """{"__type", "message"}. This API has no `param`: the message names it."""
    return _encode({"__type": _type_of(error), "message": _message_of(error)})


def encode_stream_error(error: GatewayError | Failure, call_id: str) -> bytes:
    """An exception message. What broke on the way is a model stream error, which clients may retry."""
    name = _IN_STREAM.get(_type_of(error), "modelStreamErrorException" if error.status >= 408 else "validationException")
    headers = {":exception-type": name, ":content-type": "application/json", ":message-type": "exception"}
    return encode_message(_encode({"message": _message_of(error)}), {**headers})


def decode_error(status: int, body: bytes, provider: str) -> UpstreamRefused:
    """An upstream's error reply: its type and its cleaned message; a body in another form is not shown at all."""
    message, kind = "", None
    try:
        told = _body(body)
        message = clean_message(_ACCOUNT.sub("***", told.message or told.Message or ""))
        kind = (told.type or told.code or "").rpartition("#")[2].partition(":")[0]  # "com.amazon.x#Type:http://..."
    except (ValueError, RecursionError):
        pass
    if status in (401, 403):
        # Its words may hold the credential or an ARN, and what they ask for is the operator's to do.
        message = f"{provider} refused the gateway's credential for this call ({status}). Check the provider's credential."
    elif not message:
        message = f"{provider} answered with status {status} and no readable message."
    return UpstreamRefused(message, status=status, error_type=kind if kind in STATUS else None)
