"""The translation cases in the other dialects' forms, as exchanges that native_checks.py understands."""

from __future__ import annotations

from tests.conformance.native import native_of, served_type, streams
from tests.conformance.replay import Reply
from tests.traffic import Recorded
from tests.translation.samples import case_replies

# Dialect -> (whole, streamed) as (endpoint, URL) in the recordings' words.
_CALLS = {
    "openai_responses": (("responses", "https://host/v1/responses"),) * 2,
    "gemini": (
        ("generateContent", "https://host/v1beta/models/m:generateContent"),
        ("streamGenerateContent", "https://host/v1beta/models/m:streamGenerateContent?alt=sse"),
    ),
    "bedrock": (("converse", "https://host/model/m/converse"), ("converse-stream", "https://host/model/m/converse-stream")),
    "bedrock_invoke": (
        ("invoke", "https://host/model/m/invoke"),
        ("invoke-with-response-stream", "https://host/model/m/invoke-with-response-stream"),
    ),
}


def native_case_exchanges() -> list[Recorded]:
    """Every reply of the cases in these dialects, whole or streamed, with the request that it answers."""
    found = []
    for reply, request in case_replies():
        if reply.dialect not in _CALLS or not request:
            continue
        endpoint, url = _CALLS[reply.dialect][reply.stream]
        body = dict(request)
        if reply.dialect == "openai_responses":
            body = {**body, "stream": reply.stream}
        found.append(Recorded(reply.id, "cases", "cases", endpoint, url, body, 200, "", (), reply.data))
    return found


def replies_of(found: list[Recorded]) -> dict[str, Reply]:
    assert all(native_of(x) is not None for x in found)
    return {x.id: Reply(200, served_type(x), x.response, streams(x)) for x in found}
