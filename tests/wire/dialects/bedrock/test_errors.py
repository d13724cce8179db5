"""Errors as Bedrock writes them, and its own made safe to show."""

from __future__ import annotations

import json

import pytest

from freehold.base.errors import GatewayError, InvalidRequest, LimitExceeded, ModelNotFound, UpstreamBroken, UpstreamRefused
from freehold.wire.chat import Failure
from tests.wire.dialects.bedrock.samples import DIALECT, frames


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (InvalidRequest("wrong", param="messages"), "ValidationException"),
        (ModelNotFound("no such model"), "ResourceNotFoundException"),
        (LimitExceeded("too fast"), "ThrottlingException"),
        (UpstreamBroken("cut"), "ModelErrorException"),
        (UpstreamRefused("m", status=429, error_type="ModelNotReadyException"), "ModelNotReadyException"),
        (UpstreamRefused("m", status=418, error_type="rate_limit_error"), "ValidationException"),
        (GatewayError("ours"), "InternalServerException"),
    ],
)
def test_every_status_has_its_exception(error: GatewayError, kind: str) -> None:
    body = json.loads(DIALECT.encode_error(error, "c1"))
    assert body["__type"] == kind and error.message in body["message"]


def test_the_message_names_the_field() -> None:
    body = json.loads(DIALECT.encode_error(InvalidRequest("must be a list", param="messages"), "c1"))
    assert body["message"] == "messages: must be a list"


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (LimitExceeded("x"), "throttlingException"),
        (InvalidRequest("x"), "validationException"),
        (UpstreamBroken("x"), "modelStreamErrorException"),
        (Failure(status=504, message="x"), "modelStreamErrorException"),
        (Failure(status=529, message="x"), "serviceUnavailableException"),
        (Failure(status=403, message="x"), "validationException"),
        (GatewayError("x"), "internalServerException"),
    ],
)
def test_a_stream_error_is_an_exception_message(error: GatewayError | Failure, name: str) -> None:
    assert frames(DIALECT.encode_stream_error(error, "c1")) == [(name, {"message": "x"})]


def test_an_upstreams_error_keeps_its_type_and_its_cleaned_message() -> None:
    body = b'{"__type": "com.amazon.coral.service#ThrottlingException", "message": "Bearer abcdefgh1234 of 123456789012 is slow"}'
    error = DIALECT.decode_error(429, body, "aws")
    assert (error.status, error.error_type, error.message) == (429, "ThrottlingException", "Bearer *** of *** is slow")
    assert DIALECT.decode_error(400, b'{"Message": "m"}', "aws").message == "m"
    assert DIALECT.decode_error(400, b'{"message": "m", "__type": "Odd"}', "aws").error_type is None


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_credential_is_the_operators_business(status: int) -> None:
    error = DIALECT.decode_error(status, b'{"message": "User: arn:aws:iam::1:user/x is not authorized"}', "aws")
    assert "arn" not in error.message and "aws" in error.message


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"\xff", b'{"message": 7}', b'{"message": null}', b"[" * 5000])
def test_an_unreadable_error_is_not_shown(body: bytes) -> None:
    error = DIALECT.decode_error(502, body, "aws")
    assert error.message == "aws answered with status 502 and no readable message."
