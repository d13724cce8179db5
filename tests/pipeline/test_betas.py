"""anthropic-beta on its way to Bedrock, and Bedrock's own headers."""

from __future__ import annotations

import pytest
from msgspec import Raw, json

from freehold.pipeline.betas import carried
from freehold.wire.chat import ChatRequest
from tests.pipeline.conftest import RunningGateway
from tests.pipeline.upstream import Act

ASK = {"model": "lab/anthropic.claude-x", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}
BETA = {"anthropic-beta": "interleaved-thinking-2025-05-14, claude-code-20250219,context-1m-2025-08-07"}
KNOWN = ["interleaved-thinking-2025-05-14", "context-1m-2025-08-07"]
CONVERSED = {
    "output": {"message": {"role": "assistant", "content": [{"text": "hi"}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2},
}
INVOKED = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [{"type": "text", "text": "hi"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 1, "output_tokens": 1},
}
GUARDED = {
    "x-amzn-bedrock-guardrailidentifier": "gr-1",
    "x-amzn-bedrock-guardrailversion": "7",
    "x-amzn-bedrock-trace": "ENABLED",
    "x-amzn-bedrock-performanceconfig-latency": "optimized",
    "x-amzn-bedrock-service-tier": "flex",
}


@pytest.mark.parametrize(("dialect", "reply"), [("bedrock", CONVERSED), ("bedrock_invoke", INVOKED)])
async def test_known_flags_go_into_the_body_and_others_are_named(
    gateway: RunningGateway, dialect: str, reply: dict[str, object]
) -> None:
    lab = await gateway.upstream("lab", dialect)
    lab.acts(Act(pieces=[json.encode(reply)]))
    got = await gateway.call("/v1/messages", ASK, headers=BETA)
    assert got.status == 200
    body = lab.seen[0].json
    assert body.get("additionalModelRequestFields", body)["anthropic_beta"] == KNOWN
    assert "anthropic-beta" in got.headers["x-freehold-dropped"]
    assert "anthropic-beta" not in lab.seen[0].headers


async def test_elsewhere_the_header_stays_what_it_is(gateway: RunningGateway) -> None:
    claude = await gateway.upstream("lab", "anthropic")
    claude.acts(Act(pieces=[json.encode(INVOKED)]))
    await gateway.call("/v1/messages", ASK, headers=BETA)
    assert claude.seen[0].headers["anthropic-beta"] == BETA["anthropic-beta"]
    assert "anthropic_beta" not in claude.seen[0].json


def test_what_the_body_says_itself_is_left_alone() -> None:
    request = ChatRequest(dialect="anthropic", model="m", messages=[], extras={"anthropic_beta": Raw(b'["a"]')})
    assert carried(request, b"effort-2025-11-24") == (request, ())
    assert carried(ChatRequest(dialect="anthropic", model="m", messages=[]), b" , ")[1] == ()


async def test_bedrocks_own_headers_pass(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab", "bedrock_invoke")
    lab.acts(Act(pieces=[json.encode(INVOKED)]))
    body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 5, "messages": ASK["messages"]}
    got = await gateway.call("/model/lab%2Fanthropic.claude-x/invoke", body, headers=GUARDED)
    assert got.status == 200
    assert {name: lab.seen[0].headers.get(name) for name in GUARDED} == GUARDED


async def test_a_guardrail_of_the_configurations_is_no_clients_to_change(gateway: RunningGateway) -> None:
    headers = {"X-Amzn-Bedrock-GuardrailIdentifier": "ours", "X-Amzn-Bedrock-Trace": "DISABLED"}
    lab = await gateway.upstream("lab", "bedrock_invoke", headers=headers)
    lab.acts(Act(pieces=[json.encode(INVOKED)]))
    body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 5, "messages": ASK["messages"]}
    await gateway.call("/model/lab%2Fanthropic.claude-x/invoke", body, headers=GUARDED)
    seen = lab.seen[0].headers
    assert seen["x-amzn-bedrock-guardrailidentifier"] == "ours" and "x-amzn-bedrock-guardrailversion" not in seen
    assert seen["x-amzn-bedrock-service-tier"] == "flex"
