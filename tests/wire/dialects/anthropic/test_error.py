"""Errors in Anthropic's form, and Anthropic's errors in ours: no secret, no upstream body."""

from __future__ import annotations

import json

import pytest

from freehold.base.errors import (
    GatewayError,
    InvalidRequest,
    LimitExceeded,
    ModelNotFound,
    NotAllowed,
    TooLarge,
    Unauthenticated,
    Unavailable,
    UpstreamBroken,
    UpstreamRefused,
    UpstreamTimeout,
)
from freehold.wire.chat import Failure
from tests.wire.dialects.anthropic.samples import DIALECT, read


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (InvalidRequest("x"), "invalid_request_error"),
        (Unauthenticated("x"), "authentication_error"),
        (NotAllowed("x"), "permission_error"),
        (ModelNotFound("x"), "not_found_error"),
        (TooLarge("x"), "request_too_large"),
        (LimitExceeded("x"), "rate_limit_error"),
        (Unavailable("x"), "overloaded_error"),
        (UpstreamTimeout("x"), "timeout_error"),
        (UpstreamBroken("x"), "api_error"),
        (UpstreamRefused("x", status=529), "overloaded_error"),
        (UpstreamRefused("x", status=418), "invalid_request_error"),
        (UpstreamRefused("x", status=400, error_type="billing_error"), "billing_error"),
        (UpstreamRefused("x", status=429, error_type="insufficient_quota"), "rate_limit_error"),
    ],
)
def test_each_failure_has_the_type_that_sdks_expect(error: GatewayError, kind: str) -> None:
    assert json.loads(DIALECT.encode_error(error, "call-1")) == {
        "type": "error",
        "error": {"type": kind, "message": "x"},
        "request_id": "call-1",
    }


def test_the_offending_field_is_in_the_message_once() -> None:
    named = InvalidRequest("messages[0].role: is wrong", param="messages[0].role")
    unnamed = InvalidRequest("is wrong", param="messages[0].role")
    for error in (named, unnamed):
        assert json.loads(DIALECT.encode_error(error, "c"))["error"]["message"] == "messages[0].role: is wrong"


def test_a_stream_error_is_an_event_that_readers_understand() -> None:
    failure = Failure(status=529, message="busy", error_type="overloaded_error")
    data = DIALECT.encode_stream_error(failure, "c")
    assert data.startswith(b"event: error\ndata: ") and data.endswith(b"\n\n")
    assert read(data, True) == [failure]


def test_an_upstream_error_keeps_its_type_and_cleaned_message() -> None:
    body = b'{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long"},"request_id":"req_1"}'
    error = DIALECT.decode_error(400, body, "anthropic")
    assert (error.status, error.error_type, error.message) == (400, "invalid_request_error", "prompt is too long")


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_credential_is_told_without_the_provider_s_words(status: int) -> None:
    body = b'{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key abc"}}'
    error = DIALECT.decode_error(status, body, "anthropic")
    assert "gateway's credential" in error.message and "abc" not in error.message
    assert (error.status, error.error_type) == (status, "authentication_error")


@pytest.mark.parametrize("body", [b"", b"<html>secret</html>", b"[]", b'"secret"', b"\xff", b'{"error":7}', b"[" * 9000])
def test_a_body_of_another_form_is_not_shown(body: bytes) -> None:
    error = DIALECT.decode_error(500, body, "lab")
    assert error.message == "lab answered with status 500 and no readable message."


@pytest.mark.parametrize(
    "body", [b'{"error":"busy"}', b'{"message":"busy"}', b'{"detail":"busy"}', b'{"error":{"message":"busy","code":7}}']
)
def test_other_servers_forms_are_read(body: bytes) -> None:
    assert DIALECT.decode_error(500, body, "lab").message == "busy"


def test_odd_identifiers_are_left_out() -> None:
    error = DIALECT.decode_error(500, b'{"error":{"type":"a b\\n","code":"ok_1","message":"m"}}', "lab")
    assert (error.error_type, error.code) == (None, "ok_1")


def test_a_key_in_an_identifier_is_left_out() -> None:
    error = DIALECT.decode_error(
        400, b'{"error":{"type":"sk-ant-api03-abcDEF123","code":"%b","message":"m"}}' % (b"a1" * 16), "lab"
    )
    assert (error.error_type, error.code) == (None, None)
