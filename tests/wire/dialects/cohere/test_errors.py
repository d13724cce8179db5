"""errors.py: errors as Cohere writes them, and its errors in canonical form."""

from __future__ import annotations

import json

import pytest

from freehold.base.errors import InvalidRequest, LimitExceeded, UpstreamRefused
from freehold.wire.chat import Failure

from .samples import DIALECT, dump, events_of


def test_an_error_is_a_message_with_an_id() -> None:
    assert json.loads(DIALECT.encode_error(LimitExceeded("slow down"), "call1")) == {"id": "call1", "message": "slow down"}
    named = json.loads(DIALECT.encode_error(InvalidRequest("must be a number", param="k"), "call1"))
    assert named["message"] == "k: must be a number"
    told = json.loads(DIALECT.encode_error(UpstreamRefused("no", status=400, error_type="TOO_MANY_TOKENS"), "call1"))
    assert told["error_type"] == "TOO_MANY_TOKENS"


@pytest.mark.parametrize("error", [Failure(message="broke"), LimitExceeded("broke")])
def test_a_stream_that_breaks_ends_with_its_error(error: Failure | LimitExceeded) -> None:
    stream = DIALECT.encode_stream_error(error, "call1")
    (event,) = events_of(stream)
    assert event == {"type": "message-end", "id": "call1", "delta": {"finish_reason": "ERROR", "error": "broke"}}
    assert b"[DONE]" not in stream
    reader = DIALECT.reader(True)
    assert reader.feed(stream)[-1] == Failure(status=502, message="broke")


def test_an_upstreams_error_keeps_its_reason_and_type() -> None:
    error = DIALECT.decode_error(400, dump({"error_type": "TOO_MANY_TOKENS", "message": "too many, key=abcdefghijk"}), "cohere")
    assert (error.status, error.error_type, error.message) == (400, "TOO_MANY_TOKENS", "cohere answered 400: too many, key=***")


@pytest.mark.parametrize("body", [b"", b"<html>oops</html>", b"[]", b'{"message":5}', b'{"message":{}}', b"\xff", b"[" * 9999])
def test_a_body_in_another_form_is_not_shown(body: bytes) -> None:
    assert DIALECT.decode_error(500, body, "cohere").message == "cohere answered 500 without a readable reason"


@pytest.mark.parametrize("status", [401, 403, 498])
def test_a_refused_credential_is_the_operators_business(status: int) -> None:
    error = DIALECT.decode_error(status, dump({"message": "invalid api token: abc123"}), "cohere")
    assert "abc123" not in error.message and "refused the gateway's credential" in error.message


def test_an_odd_error_type_is_dropped() -> None:
    assert DIALECT.decode_error(400, dump({"message": "x", "error_type": "a b<c>"}), "cohere").error_type is None
