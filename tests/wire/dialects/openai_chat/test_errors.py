"""errors.py: OpenAI's error bodies out; any vendor's in, with nothing that must stay private."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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

from .bodies import DIALECT, dump


@pytest.mark.parametrize(
    ("error", "kind", "code", "param"),
    [
        (InvalidRequest("m", param="messages"), "invalid_request_error", None, "messages"),
        (Unauthenticated("m"), "invalid_request_error", "invalid_api_key", None),
        (NotAllowed("m"), "invalid_request_error", "not_allowed", None),
        (ModelNotFound("m", param="model"), "invalid_request_error", "model_not_found", "model"),
        (TooLarge("m"), "invalid_request_error", "request_too_large", None),
        (LimitExceeded("m"), "requests", "rate_limit_exceeded", None),
        (UpstreamBroken("m"), "server_error", "upstream_broken", None),
        (UpstreamTimeout("m"), "server_error", "upstream_timeout", None),
        (Unavailable("m"), "server_error", "unavailable", None),
        (GatewayError("m"), "server_error", "internal_error", None),
        (UpstreamRefused("m", status=429), "requests", "upstream_refused", None),
        (UpstreamRefused("m", status=400, code="c", error_type="t", param="p"), "t", "c", "p"),
    ],
)
def test_our_errors_are_written_as_openai_writes_its_own(error: GatewayError, kind: str, code: Any, param: Any) -> None:
    expected = {"error": {"message": "m", "type": kind, "param": param, "code": code}}
    assert json.loads(DIALECT.encode_error(error, "id")) == expected
    event = DIALECT.encode_stream_error(error, "id")
    assert event.startswith(b"data: {")
    assert event.endswith(b"\n\n")
    assert json.loads(event[6:]) == expected


def test_a_failure_inside_a_reply_is_written_as_an_error_event() -> None:
    event = DIALECT.encode_stream_error(Failure(status=429, message="slow down", code="busy"), "id")
    assert json.loads(event[6:]) == {"error": {"message": "slow down", "type": "requests", "param": None, "code": "busy"}}


@pytest.mark.parametrize(
    ("body", "says", "code", "kind"),
    [
        (
            {"error": {"message": "no", "type": "invalid_request_error", "code": "bad", "param": "x"}},
            "no",
            "bad",
            "invalid_request_error",
        ),
        ({"error": {"message": "no", "code": 400, "metadata": {"raw": "hidden"}}}, "no", None, None),
        ({"object": "error", "message": "no", "type": "t"}, "no", None, "t"),
        ({"detail": "no"}, "no", None, None),
        ({"detail": [{"loc": ["body"], "msg": "no", "input": "hidden"}]}, "no", None, None),
        ({"error": "no"}, "no", None, None),
        ({"message": "no", "request_id": "hidden"}, "no", None, None),
        ({"message": {"detail": "no"}}, "no", None, None),
        ({"errors": [{"message": "no", "code": 7}]}, "no", None, None),
        ([{"error": {"message": "no", "status": "INVALID_ARGUMENT"}}], "no", None, None),
        ({"error": {"code": "../../etc", "message": "no", "type": "has space"}}, "no", None, None),
    ],
)
def test_every_vendors_shape_gives_its_message_and_identifiers(body: Any, says: str, code: Any, kind: Any) -> None:
    error = DIALECT.decode_error(400, dump(body), "lab")
    assert error.message == f"lab answered 400: {says}"
    assert (error.status, error.code, error.error_type) == (400, code, kind)
    assert "hidden" not in error.message


@pytest.mark.parametrize("body", [b"", b"<html>sk-secret</html>", b"\xff", b"null", b"[]", b"3", b"{}", b'{"error":{}}'])
def test_a_body_without_a_readable_reason_is_never_shown(body: bytes) -> None:
    assert DIALECT.decode_error(500, body, "lab").message == "lab answered 500 without a readable reason"


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_credential_shows_nothing_of_the_reply(status: int) -> None:
    body = dump({"error": {"message": "Incorrect API key provided: sk-abc****xyz", "code": "invalid_api_key"}})
    error = DIALECT.decode_error(status, body, "openai")
    assert "credential" in error.message
    assert "sk-" not in error.message
    assert (error.status, error.code, error.error_type) == (status, None, None)


def test_secrets_are_taken_out_of_messages() -> None:
    body = dump({"error": {"message": "before sk-proj-abcDEF123_456 after", "type": "sk-proj-abcDEF123", "code": "a1" * 16}})
    error = DIALECT.decode_error(400, body, "lab")
    assert (error.message, error.error_type, error.code) == ("lab answered 400: before *** after", None, None)


@pytest.mark.parametrize(
    "plain",
    [
        "This model's maximum context length is 200000 tokens; you requested 250021.",
        "The model `gpt-4o-mini-2024-07-18` does not exist",
        "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
        "Invalid 'messages[12].content[0].image_url': see https://platform.openai.com/docs/guides/vision",
    ],
)
def test_what_a_developer_needs_is_kept(plain: str) -> None:
    assert DIALECT.decode_error(400, dump({"error": {"message": plain}}), "lab").message.endswith(plain)


def test_a_long_message_is_cut_and_control_characters_removed() -> None:
    message = DIALECT.decode_error(400, dump({"error": "a\r\nb" + " word" * 500}), "lab").message
    assert len(message) <= 520
    assert "\n" not in message


@given(st.binary(max_size=200))
def test_any_error_body_is_decoded(body: bytes) -> None:
    DIALECT.decode_error(502, body, "lab")


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda x: (
            st.lists(x, max_size=2)
            | st.dictionaries(
                st.sampled_from(["error", "message", "detail", "errors", "code", "type", "msg", "status"]), x, max_size=4
            )
        ),
    )
)
def test_any_error_json_is_decoded(value: Any) -> None:
    DIALECT.decode_error(400, dump(value), "lab")
