"""The life of a call, by real HTTP through the server, the request function and the transport."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from freehold.pipeline import attempt
from tests.pipeline.conftest import KEY, RunningGateway
from tests.pipeline.upstream import Act, chunk, reply, stream

CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"


def ask(model: str = "lab/m", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "hello there"}], **more}


def ask_anthropic(model: str = "lab/m", **more: Any) -> dict[str, Any]:
    return {"model": model, "max_tokens": 50, "messages": [{"role": "user", "content": "hello there"}], **more}


# --- the good path ---


async def test_a_call_is_answered_and_recorded(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab")
    got = await gateway.call(CHAT, ask(temperature=0.5))
    assert got.status == 200
    assert got.json["choices"][0]["message"]["content"] == "hi"
    assert lab.seen[0].path == "/v1/chat/completions"
    assert lab.seen[0].json == {"model": "m", "messages": [{"role": "user", "content": "hello there"}], "temperature": 0.5}
    line = await gateway.line()
    assert (line.outcome, line.status, line.input, line.output, line.estimated) == ("ok", 200, 10, 2, False)
    assert (line.key, line.route, line.provider, line.model, line.answered_by) == ("dev", "lab/m", "lab", "m", "m-2026")
    assert line.call_id == got.headers["x-freehold-call-id"]
    assert [a.target for a in line.attempts] == ["lab/m"]


async def test_the_upstream_gets_its_own_key_and_none_of_the_clients(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab")
    await gateway.call(CHAT, ask(), headers={"cookie": "a=b", "x-forwarded-for": "1.2.3.4", "openai-organization": "org"})
    seen = lab.seen[0].headers
    assert seen["authorization"] == "Bearer sk-upstream-secret"
    assert not {"cookie", "x-forwarded-for", "openai-organization", "x-api-key"} & set(seen)
    assert KEY not in str(seen)
    assert seen["accept-encoding"] == "identity"


@pytest.mark.parametrize("header", ["x-api-key", "api-key", "x-goog-api-key"])
async def test_the_key_may_come_in_any_of_the_fields_headers(gateway: RunningGateway, header: str) -> None:
    await gateway.upstream("lab")
    assert (await gateway.call(CHAT, ask(), key=None, headers={header: KEY})).status == 200


async def test_a_route_renames_the_model_and_leaves_the_rest_alone(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab")
    gateway.route("fast", "lab/gpt-4o-mini")
    body = b'{"messages": [ {"role":"user","content":"h\\u00e9"} ],  "model": "fast", "x_odd":1.50}'
    got = await gateway.call(CHAT, body)
    assert got.headers["x-freehold-target"] == "lab/gpt-4o-mini"
    assert lab.seen[0].body == b'{"messages":[ {"role":"user","content":"h\\u00e9"} ],"model":"gpt-4o-mini","x_odd":1.50}'


async def test_a_stream_arrives_event_by_event(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab")
    lab.acts(stream("a", "b", gap_s=0.05))
    reader, writer = await gateway.open(CHAT, ask(stream=True))
    head = await reader.readuntil(b"\r\n\r\n")
    assert b"content-type: text/event-stream" in head
    first = await reader.readuntil(b"\n\n")
    assert b'"role":"assistant"' in first
    assert not gateway.ledger, "the first event must not wait for the end of the reply"
    rest = await reader.read()
    assert b"[DONE]" in rest
    writer.close()
    assert (await gateway.line()).output == 2


async def test_usage_that_we_asked_for_is_recorded_but_not_shown(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab")
    lab.acts(stream("a"))
    got = await gateway.call(CHAT, ask(stream=True))
    assert lab.seen[0].json["stream_options"] == {"include_usage": True}
    assert b'"usage":{' not in got.body
    assert got.events[-1] == b"[DONE]"
    line = await gateway.line()
    assert (line.input, line.output, line.stream) == (10, 2, True)


async def test_usage_that_the_client_asked_for_is_shown(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab")
    lab.acts(stream("a"))
    got = await gateway.call(CHAT, ask(stream=True, stream_options={"include_usage": True}))
    assert b'"prompt_tokens":10' in got.events[-2]


async def test_the_cost_is_exact_and_told(gateway: RunningGateway) -> None:
    from freehold.config.schema import PriceConfig

    await gateway.upstream("lab", price=PriceConfig(input=0.15, output=0.6))
    got = await gateway.call(CHAT, ask())
    assert got.headers["x-freehold-cost-usd"] == "0.0000027"
    line = await gateway.line()
    assert (line.cost_nusd, line.price_source) == (10 * 150 + 2 * 600, "freehold.yaml")


async def test_an_unpriced_model_costs_nothing_known(gateway: RunningGateway) -> None:
    await gateway.upstream("lab")
    got = await gateway.call(CHAT, ask())
    assert "x-freehold-cost-usd" not in got.headers
    assert (await gateway.line()).cost_nusd is None


async def test_a_clients_request_id_is_echoed_and_never_ours(gateway: RunningGateway) -> None:
    await gateway.upstream("lab")
    got = await gateway.call(CHAT, ask(), headers={"x-request-id": "mine-1"})
    assert got.headers["x-request-id"] == "mine-1"
    assert got.headers["x-freehold-call-id"].startswith("call_")
    line = await gateway.line()
    assert line.client_id == "mine-1"
    assert line.call_id == got.headers["x-freehold-call-id"]


# --- translation ---


async def test_an_anthropic_client_talks_to_an_openai_upstream(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab")
    got = await gateway.call(MESSAGES, ask_anthropic(top_k=5, system="be kind"))
    assert got.json["type"] == "message"
    assert got.json["content"] == [{"type": "text", "text": "hi"}] or got.json["content"][0]["text"] == "hi"
    assert (got.json["usage"]["input_tokens"], got.json["usage"]["output_tokens"]) == (10, 2)
    sent = lab.seen[0].json
    assert sent["messages"][0]["role"] in ("system", "developer")
    assert sent.get("max_tokens", sent.get("max_completion_tokens")) == 50
    assert (await gateway.line()).translated


async def test_a_translated_stream_ends_as_the_client_expects(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab")
    lab.acts(stream("a", "b"))
    got = await gateway.call(MESSAGES, ask_anthropic(stream=True))
    kinds = [line[7:].decode() for line in got.body.split(b"\n") if line.startswith(b"event: ")]
    assert kinds[0] == "message_start"
    assert kinds[-1] == "message_stop"
    assert b'"output_tokens":2' in got.body
    assert (await gateway.line()).output == 2


async def test_what_was_dropped_is_told(gateway: RunningGateway) -> None:
    claude = await gateway.upstream("claude", dialect="anthropic")
    body = b'{"id":"msg_1","type":"message","role":"assistant","model":"c","content":[{"type":"text","text":"yo"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":1}}'  # noqa: E501
    claude.acts(Act(pieces=[body]))
    got = await gateway.call(CHAT, ask("claude/c", seed=7))
    assert got.json["choices"][0]["message"]["content"] == "yo"
    assert "seed" in got.headers["x-freehold-dropped"]
    assert claude.seen[0].path == "/v1/messages"
    assert claude.seen[0].headers["anthropic-version"] == "2023-06-01"
    assert claude.seen[0].headers["x-api-key"] == "sk-upstream-secret"


async def test_an_upstream_that_streams_unasked_still_answers_whole(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab")
    lab.acts(stream("a", "b"))
    got = await gateway.call(CHAT, ask())
    assert got.json["choices"][0]["message"]["content"] == "ab"


async def test_an_upstream_that_answers_a_stream_whole_is_streamed(gateway: RunningGateway) -> None:
    await gateway.upstream("lab")
    got = await gateway.call(CHAT, ask(stream=True))
    assert got.headers["content-type"].startswith("text/event-stream")
    assert got.events[-1] == b"[DONE]"
    assert b'"content":"hi"' in got.body


async def test_tokens_are_counted_here_where_the_target_cannot(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab")
    body = ask_anthropic()
    del body["max_tokens"]
    got = await gateway.call("/v1/messages/count_tokens", body)
    assert got.status == 200
    assert 1 < got.json["input_tokens"] < 20
    assert not lab.seen
    assert (await gateway.line()).kind == "count_tokens"


async def test_embeddings_pass(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab")
    vector = b'{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.1,0.2]}],"model":"e","usage":{"prompt_tokens":4,"total_tokens":4}}'  # noqa: E501
    lab.acts(Act(pieces=[vector]))
    got = await gateway.call("/v1/embeddings", {"model": "lab/e", "input": "hello"})
    assert got.body == vector
    line = await gateway.line()
    assert (line.kind, line.input, line.output) == ("embeddings", 4, 0)


# --- retry and fallback before the commit point ---

DEAD = [
    Act(before="reset"),
    Act(before="garbage"),
    Act(status=500, pieces=[b'{"error":{"message":"boom"}}']),
    Act(status=429, pieces=[b'{"error":{"message":"slow down"}}']),
    Act(status=401, pieces=[b'{"error":{"message":"bad key"}}']),
    Act(pieces=[b"<html>a proxy's page</html>"], content_type="text/html"),
    Act(pieces=[b'{"id":"x","choices":[{"ind'], then="cut"),
    Act(pieces=[b'{"id":"x","choices":[{"ind']),
]


@pytest.mark.parametrize("act", DEAD, ids=lambda a: a.before or f"{a.status} {a.then} {a.content_type}")
async def test_falls_back_when_the_first_target_fails_before_the_first_event(gateway: RunningGateway, act: Act) -> None:
    (await gateway.upstream("a")).acts(act)
    await gateway.upstream("b")
    gateway.route("both", "a/m", "b/m")
    got = await gateway.call(CHAT, ask("both"))
    assert got.status == 200
    assert got.headers["x-freehold-target"] == "b/m"
    assert got.headers["x-freehold-attempts"] == "2"
    line = await gateway.line()
    assert [(a.target, bool(a.reason)) for a in line.attempts] == [("a/m", True), ("b/m", False)]


@pytest.mark.parametrize(
    "pieces",
    [[b'data: {"error":{"message":"overloaded","type":"server_error"}}\n\n'], [b": keep-alive\n\n"], []],
    ids=["error event first", "only comments", "nothing"],
)
async def test_a_stream_that_dies_before_its_first_event_falls_back(gateway: RunningGateway, pieces: list[bytes]) -> None:
    (await gateway.upstream("a")).acts(Act(pieces=pieces, content_type="text/event-stream"))
    (await gateway.upstream("b")).acts(stream("fine"))
    gateway.route("both", "a/m", "b/m")
    got = await gateway.call(CHAT, ask("both", stream=True))
    assert got.status == 200
    assert b"fine" in got.body
    assert b"overloaded" not in got.body


async def test_the_same_target_is_retried(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab")
    lab.acts(Act(status=503), reply("second"))
    gateway.route("r", "lab/m", retries=1)
    got = await gateway.call(CHAT, ask("r"))
    assert got.json["choices"][0]["message"]["content"] == "second"
    assert got.headers["x-freehold-attempts"] == "2"


@pytest.mark.parametrize("status", [400, 404, 413, 422])
async def test_a_refusal_of_the_request_itself_is_not_tried_elsewhere(gateway: RunningGateway, status: int) -> None:
    (await gateway.upstream("a")).acts(Act(status=status, pieces=[b'{"error":{"message":"no such field"}}']))
    b = await gateway.upstream("b")
    gateway.route("both", "a/m", "b/m")
    got = await gateway.call(CHAT, ask("both"))
    assert got.status == status
    assert not b.seen


async def test_a_target_that_cannot_carry_the_content_is_passed_over(gateway: RunningGateway) -> None:
    claude = await gateway.upstream("claude", dialect="anthropic")
    await gateway.upstream("lab")
    gateway.route("both", "claude/c", "lab/m")
    got = await gateway.call(CHAT, ask("both", n=2))
    assert got.status == 200
    assert got.headers["x-freehold-target"] == "lab/m"
    assert not claude.seen


async def test_a_history_that_one_target_takes_in_no_form_goes_to_the_next(gateway: RunningGateway) -> None:
    claude = await gateway.upstream("claude", dialect="anthropic")
    await gateway.upstream("lab")
    gateway.route("both", "claude/c", "lab/m")
    got = await gateway.call(CHAT, ask("both", messages=[{"role": "system", "content": "greet"}]))
    assert (got.status, got.headers["x-freehold-target"]) == (200, "lab/m")
    assert not claude.seen


# --- after the commit point ---


async def test_a_stream_cut_in_the_middle_ends_with_an_error_and_is_charged(gateway: RunningGateway) -> None:
    from freehold.config.schema import PriceConfig

    lab = await gateway.upstream("lab", price=PriceConfig(input=1, output=2))
    words = [chunk(delta={"content": f"word{n} "}, finish_reason=None) for n in range(10)]
    lab.acts(Act(pieces=words, content_type="text/event-stream", then="cut"))
    got = await gateway.call(CHAT, ask(stream=True))
    assert got.status == 200
    assert got.whole
    assert b'"error"' in got.events[-1]
    line = await gateway.line()
    assert line.outcome == "cut"
    assert line.estimated
    assert line.output >= 10
    assert line.input > 1
    assert line.cost_nusd is not None
    assert line.cost_nusd > 20_000


async def test_an_anthropic_client_gets_an_anthropic_error_event(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab")
    lab.acts(Act(pieces=[chunk(delta={"content": "x"}, finish_reason=None)], content_type="text/event-stream", then="cut"))
    got = await gateway.call(MESSAGES, ask_anthropic(stream=True))
    assert b"event: error\ndata: " in got.body
    assert b"message_stop" not in got.body


async def test_an_error_inside_a_stream_is_told_in_our_words(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab")
    secret = b'data: {"error":{"message":"failed for sk-abcdefghijklmnopqrstuvwxyz012345","type":"server_error"}}\n\n'
    lab.acts(
        Act(pieces=[chunk(delta={"content": "x"}, finish_reason=None), secret], content_type="text/event-stream", gap_s=0.02)
    )
    got = await gateway.call(CHAT, ask(stream=True))
    assert b"sk-abcdefghij" not in got.body
    assert b'"error"' in got.events[-1]
    assert (await gateway.line()).outcome == "cut"


async def test_a_large_whole_reply_is_passed_on_before_it_is_complete(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab")
    big = reply("x" * 400_000).pieces[0]
    lab.acts(Act(pieces=[big[i : i + 30_000] for i in range(0, len(big), 30_000)], gap_s=0.005))
    got = await gateway.call(CHAT, ask())
    assert got.body == big
    assert "x-freehold-cost-usd" not in got.headers
    line = await gateway.line()
    assert (line.input, line.output, line.outcome) == (10, 2, "ok")


@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream"])
async def test_what_is_held_before_the_first_byte_for_the_client_is_bounded(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch, content_type: str
) -> None:
    """A whole reply that has to be translated, and a stream of nothing but comments."""
    monkeypatch.setattr(attempt, "MAX_BEGIN_BYTES", 1_000_000)
    lab = await gateway.upstream("lab")
    gateway.route("r", "lab/m")
    json_piece, comment = b" " * 50_000, b": wait" + b"." * 50_000 + b"\n\n"
    lab.acts(Act(pieces=[json_piece if content_type == "application/json" else comment] * 1000, content_type=content_type))
    got = await gateway.call(MESSAGES, ask_anthropic("r", stream=content_type != "application/json"))
    assert got.status == 502
    assert lab.sent < 20_000_000
    assert (await gateway.line()).error == "upstream_broken"


async def test_a_large_reply_cut_short_is_visibly_not_whole(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab")
    big = reply("x" * 400_000).pieces[0]
    lab.acts(Act(pieces=[big[:300_000]], then="cut"))
    got = await gateway.call(CHAT, ask())
    assert not got.whole
    assert (await gateway.line()).outcome == "cut"


async def test_a_stream_without_its_done_mark_is_still_whole(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab")
    pieces = list(stream("a").pieces)[:-1]
    lab.acts(Act(pieces=pieces, content_type="text/event-stream"))
    got = await gateway.call(CHAT, ask(stream=True))
    assert got.whole
    assert b'"error"' not in got.body
    assert (await gateway.line()).outcome == "ok"


async def test_an_upstream_that_never_ends_its_message_does_not_hold_the_client(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab")
    lab.acts(stream("a", then="hang"))
    got = await asyncio.wait_for(gateway.call(CHAT, ask(stream=True)), 10)
    assert got.whole
    assert (await gateway.line()).outcome == "ok"


# --- the client leaves ---


async def test_a_client_that_leaves_a_stream_stops_the_upstream_and_pays(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab")
    words = [chunk(delta={"content": f"word{n} "}, finish_reason=None) for n in range(5)]
    lab.acts(Act(pieces=words, content_type="text/event-stream", then="hang"))
    reader, writer = await gateway.open(CHAT, ask(stream=True))
    await reader.readuntil(b"word4")
    writer.close()
    await asyncio.wait_for(lab.gone.wait(), 1)
    line = await gateway.line()
    assert (line.outcome, line.estimated) == ("client_gone", True)
    assert line.output >= 5


async def test_a_client_that_leaves_before_the_reply_stops_the_upstream(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab")
    lab.acts(Act(before="hang"))
    _, writer = await gateway.open(CHAT, ask())
    while not lab.seen:
        await asyncio.sleep(0.01)
    writer.close()
    await asyncio.wait_for(lab.gone.wait(), 1)
    line = await gateway.line()
    assert (line.outcome, line.estimated) == ("client_gone", True)
    assert line.input > 1


async def test_the_line_is_written_before_the_client_sees_the_end(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab")
    lab.acts(stream("a", then="hang"))
    reader, writer = await gateway.open(CHAT, ask(stream=True))
    await reader.readuntil(b"[DONE]")
    assert [line.outcome for line in gateway.ledger] == ["ok"]
    writer.close()
