"""Errors in Ollama's form."""

from __future__ import annotations

import json

import pytest

from freehold.base.errors import InvalidRequest
from freehold.wire.chat import Failure
from tests.wire.dialects.ollama.samples import DIALECT


def test_an_error_is_one_text() -> None:
    assert json.loads(DIALECT.encode_error(InvalidRequest("no", param="model"), "c1")) == {"error": "no"}


@pytest.mark.parametrize("error", [InvalidRequest("no"), Failure(message="no")])
def test_an_error_in_a_stream_is_a_line(error: InvalidRequest | Failure) -> None:
    assert DIALECT.encode_stream_error(error, "c1") == b'{"error":"no"}\n'


def test_a_failure_without_words_gets_some() -> None:
    assert json.loads(DIALECT.encode_stream_error(Failure(), "c1"))["error"]


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (404, b'{"error":"model \'x\' not found"}', "ollama answered 404: model 'x' not found"),
        (401, b'{"error":{"message":"Unauthorized"}}', "ollama refused the gateway's credential"),
        (500, b"<html>", "ollama answered 500 without a readable reason"),
    ],
)
def test_an_upstreams_error(status: int, body: bytes, message: str) -> None:
    error = DIALECT.decode_error(status, body, "ollama")
    assert error.status == status and error.message.startswith(message)
