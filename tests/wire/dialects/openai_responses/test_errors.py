"""errors.py: errors as this API writes them, and an upstream's in canonical form."""

from __future__ import annotations

import json

import pytest

from freehold.base.errors import GatewayError, InvalidRequest, LimitExceeded, UpstreamRefused, UpstreamTimeout
from freehold.wire.chat import Failure

from .bodies import DIALECT
from .description import violations


def test_an_error_reply_is_openais() -> None:
    body = json.loads(DIALECT.encode_error(InvalidRequest("'input' is missing", param="input"), "call_1"))
    assert body == {
        "error": {"message": "'input' is missing", "type": "invalid_request_error", "param": "input", "code": None},
    }


@pytest.mark.parametrize(
    "error",
    [
        Failure(message="It broke."),
        Failure(status=400, kind="k", code="bad", error_type="t", message=""),
        LimitExceeded("Too many."),
        UpstreamTimeout("It was silent."),
        InvalidRequest("No.", param="input[0]"),
    ],
)
def test_an_error_event_is_well_formed_in_both_of_its_forms(error: GatewayError | Failure) -> None:
    data = DIALECT.encode_stream_error(error, "call_1")
    name, line, rest = data.split(b"\n", 2)
    event = json.loads(line.removeprefix(b"data: "))
    assert (name, rest) == (b"event: error", b"\n")
    assert event["message"] == event["error"]["message"] and event["message"]
    assert (event["code"], event["param"]) == (event["error"]["code"], event["error"]["param"])
    assert event["sequence_number"] > 10**6
    assert violations("ErrorStreamingEvent", event) == []


def test_an_upstreams_refusal_keeps_what_users_branch_on() -> None:
    told = {"message": "The model does not exist.", "type": "invalid_request_error", "param": "model", "code": "model_not_found"}
    error = DIALECT.decode_error(400, json.dumps({"error": told}).encode(), "openai")
    assert isinstance(error, UpstreamRefused)
    assert (error.status, error.param, error.code, error.error_type) == (400, "model", "model_not_found", "invalid_request_error")
    assert "The model does not exist." in error.message
    assert "x.ai" not in DIALECT.decode_error(403, b'{"code":"c","error":"Key xai-abcdefgh of x.ai"}', "xai").message
