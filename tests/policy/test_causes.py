from __future__ import annotations

import pytest

from freehold.policy.causes import Cause, cause_of


@pytest.mark.parametrize(
    ("status", "body", "cause"),
    [
        (
            400,
            b'{"error":{"code":"context_length_exceeded","message":"maximum context length is 8192"}}',
            "context_window",
        ),
        (
            400,
            b'{"error":{"message":"prompt is too long: 210000 tokens > 200000 maximum"}}',
            "context_window",
        ),
        (
            400,
            b'{"error":{"message":"The input token count (2000) exceeds the maximum number of tokens"}}',
            "context_window",
        ),
        (400, b'{"message":"Input is too long for requested model."}', "context_window"),
        (413, b"Prompt is too long", "context_window"),
        (400, b'{"error":{"code":"content_filter","innererror":{"code":"ResponsibleAIPolicyViolation"}}}', "content_policy"),
        (400, b'{"error":{"code":"content_policy_violation"}}', "content_policy"),
        (400, b'{"error":{"message":"Unknown parameter: \'foo\'"}}', ""),
        (500, b"context_length_exceeded", ""),
        (429, b"too many tokens", ""),
        (400, b"", ""),
    ],
)
def test_what_providers_say(status: int, body: bytes, cause: Cause) -> None:
    assert cause_of(status, body) == cause
