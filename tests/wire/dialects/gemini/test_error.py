"""Errors as Google writes them, both ways."""

from __future__ import annotations

import json

import pytest

from freehold.base.errors import InvalidRequest, LimitExceeded, ModelNotFound, UpstreamRefused, UpstreamTimeout
from freehold.wire.chat import Failure

from .bodies import DIALECT, chunks_of, dump


def error_of(error: object) -> dict[str, object]:
    found: dict[str, object] = json.loads(DIALECT.encode_error(error, "c1"))["error"]  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (InvalidRequest("m"), 400, "INVALID_ARGUMENT"),
        (ModelNotFound("m"), 404, "NOT_FOUND"),
        (LimitExceeded("m"), 429, "RESOURCE_EXHAUSTED"),
        (UpstreamTimeout("m"), 504, "DEADLINE_EXCEEDED"),
        (UpstreamRefused("m", status=529), 529, "INTERNAL"),
        (UpstreamRefused("m", status=422), 422, "INVALID_ARGUMENT"),
        (UpstreamRefused("m", status=400, error_type="FAILED_PRECONDITION"), 400, "FAILED_PRECONDITION"),
        (UpstreamRefused("m", status=400, error_type="invalid_request_error"), 400, "INVALID_ARGUMENT"),
    ],
)
def test_an_error_has_googles_shape(error: object, code: int, status: str) -> None:
    found = error_of(error)
    assert (found["code"], found["message"], found["status"]) == (code, "m", status)


def test_the_details_name_the_field_our_code_and_when_to_retry() -> None:
    details = error_of(LimitExceeded("m", param="contents", retry_after_s=2.5))["details"]
    assert isinstance(details, list)
    by_kind = {one["@type"].rpartition(".")[2]: one for one in details}
    assert by_kind["ErrorInfo"]["reason"] == "RATE_LIMIT_EXCEEDED"
    assert by_kind["BadRequest"]["fieldViolations"] == [{"field": "contents", "description": "m"}]
    assert (by_kind["RetryInfo"]["retryDelay"], by_kind["RequestInfo"]["requestId"]) == ("2.5s", "c1")


def test_a_stream_error_is_one_event() -> None:
    (event,) = chunks_of(DIALECT.encode_stream_error(Failure(status=503, message="m", error_type="UNAVAILABLE"), "c1"))
    assert (event["error"]["code"], event["error"]["status"], event["error"]["message"]) == (503, "UNAVAILABLE", "m")


def refused(code: int, /, **error: object) -> UpstreamRefused:
    return DIALECT.decode_error(code, dump({"error": {"code": code, **error}}), "gem")


def test_a_refusal_keeps_identifiers_and_the_delay() -> None:
    delay = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "48.5s"}
    error = refused(429, message="You exceeded your current quota.", status="RESOURCE_EXHAUSTED", details=[delay])
    assert (error.status, error.error_type, error.retry_after_s) == (429, "RESOURCE_EXHAUSTED", 48.5)
    assert error.message == "You exceeded your current quota."


def test_an_invalid_key_is_the_gateways_not_the_clients() -> None:
    detail = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
    error = refused(400, message="API key not valid: AIzaSyD-secret-1234567890", status="INVALID_ARGUMENT", details=[detail])
    assert (error.status, error.code, error.may_retry) == (401, "API_KEY_INVALID", True)
    assert "AIza" not in error.message and "gem refused the gateway's credential" in error.message


def test_secrets_in_a_message_are_masked() -> None:
    assert "ya29" not in refused(400, message="token ya29.a0AfH6SMBx1234567890abcdef is bad").message


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>secret</html>",
        b"[]",
        b"5",
        b'{"error":5}',
        b'{"error":{"message":5,"details":[5,{"retryDelay":5}]}}',
        b"\xff",
    ],
)
def test_a_body_in_another_form_is_not_shown(body: bytes) -> None:
    error = DIALECT.decode_error(500, body, "gem")
    assert error.message == "gem answered with status 500 and no readable message."


@pytest.mark.parametrize("body", [b'[{"error":{"message":"m"}}]', b'data: {"error":{"message":"m"}}\r\n\r\n', b'{"error":"m"}'])
def test_an_error_in_a_streams_form_is_read(body: bytes) -> None:
    assert DIALECT.decode_error(500, body, "gem").message == "m"
