"""A client of every chat dialect asks an upstream of every one, whole and streamed: paths, framing, headers, ledger."""

from __future__ import annotations

import pytest

from tests.endtoend.conftest import add_upstream
from tests.endtoend.speaking import CLIENTS, SPOKEN, TEXT, TOKENS, UPSTREAMS, Spoken
from tests.pipeline.conftest import RunningGateway
from tests.pipeline.upstream import Act


def act_of(spoken: Spoken, stream: bool) -> Act:
    if stream:
        return Act(pieces=spoken.stream(), content_type=spoken.stream_type)
    return Act(pieces=[spoken.whole()])


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("upstream", UPSTREAMS)
@pytest.mark.parametrize("client", CLIENTS)
async def test_a_client_gets_its_own_form_from_any_upstream(
    gateway: RunningGateway, client: str, upstream: str, stream: bool
) -> None:
    asking, answering = SPOKEN[client], SPOKEN[upstream]
    if (client, upstream) == ("ollama generate", "ollama"):
        answering = asking  # passes, and is answered in its own form
    server = await add_upstream(gateway, upstream)
    server.acts(act_of(answering, stream))
    got = await gateway.call(asking.path[stream], asking.ask(stream))

    assert (got.status, got.whole) == (200, True), got.body
    assert got.headers["content-type"].partition(";")[0] == (asking.stream_type if stream else "application/json")
    assert (asking.read_stream(got.body) if stream else asking.read_whole(got.json)) == TEXT
    if not stream:
        assert asking.usage(got.json) == TOKENS
    seen = server.seen[0]
    assert seen.path == answering.upstream_path[stream] and "fh_test" not in str(seen.headers)
    assert "Hello" in seen.body.decode()
    told = {name: got.headers.get(f"x-freehold-{name}") for name in ("target", "attempts")}
    assert told == {"target": "up/claude-x", "attempts": "1"}
    assert float(got.headers["x-freehold-overhead-ms"]) >= 0 and got.headers["x-freehold-call-id"]
    line = await gateway.line()
    dialect = asking.dialect or client
    assert (line.call_id, line.dialect, line.kind, line.stream) == (got.headers["x-freehold-call-id"], dialect, "chat", stream)
    assert (line.input, line.output, line.estimated, line.outcome, line.status) == (*TOKENS, False, "ok", 200)
    assert line.cost_nusd == (11 * 1 + 5 * 2) * 1000
    assert (line.provider, line.model, line.route) == ("up", "claude-x", "m")
    assert line.translated == (dialect != upstream or (client == "gemini array" and stream))
    assert stream or got.headers["x-freehold-cost-usd"] == "0.000021"
