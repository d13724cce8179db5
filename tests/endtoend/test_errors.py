"""What goes wrong, told to a client of every chat dialect in its own form: the gateway's refusals and its upstreams'."""

from __future__ import annotations

import json

import pytest

from freehold.config.schema import KeyConfig
from tests.endtoend.conftest import add_upstream
from tests.endtoend.speaking import CLIENTS, SPOKEN, UPSTREAMS, Body
from tests.pipeline.conftest import KEY, Answered, RunningGateway
from tests.pipeline.upstream import Act

OTHER = "fh_other_key_0123456789abcdef"


def told(client: str, got: Answered, status: int) -> str:
    """The message of an error reply, after what holds for every one."""
    assert (got.status, got.whole) == (status, True), got.body
    assert got.headers["content-type"] == "application/json" and got.headers["x-freehold-call-id"]
    dialect = SPOKEN[client].dialect or client
    assert KINDS[dialect](got.json), got.json
    message = SPOKEN[client].error(got.json)
    assert message and "sk-upstream-secret" not in message
    return message


def _openai(error: Body) -> bool:
    return error["error"].keys() >= {"message", "type", "param", "code"}


def _aws(error: Body) -> bool:
    """The SDK takes the class from `__type`; the message is the other member."""
    return str(error["__type"]).endswith("Exception") and "message" in error


KINDS = {
    "openai_chat": _openai,
    "openai_responses": _openai,
    "openai_completions": _openai,
    "anthropic": lambda error: error["type"] == "error" and error["error"].keys() >= {"type", "message"},
    "gemini": lambda error: error["error"].keys() >= {"code", "message", "status"} and isinstance(error["error"]["code"], int),
    "bedrock": _aws,
    "bedrock_invoke": _aws,
    "cohere": lambda error: "message" in error,
    "ollama": lambda error: error.keys() == {"error"},
}

pytestmark = pytest.mark.parametrize("client", CLIENTS)


@pytest.fixture
def upstream_of(client: str) -> str:
    """Another dialect than the client's."""
    return "anthropic" if SPOKEN[client].dialect or client != "anthropic" else "gemini"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_no_key_is_401(gateway: RunningGateway, client: str, upstream_of: str, stream: bool) -> None:
    await add_upstream(gateway, upstream_of)
    got = await gateway.call(SPOKEN[client].path[stream], SPOKEN[client].ask(stream), key=None)
    assert "key" in told(client, got, 401)


async def test_a_model_that_the_key_may_not_use_is_403(gateway: RunningGateway, client: str, upstream_of: str) -> None:
    await add_upstream(gateway, upstream_of)
    gateway.config.keys.append(KeyConfig(name="narrow", key=OTHER, models=["another"]))
    gateway.reload()
    got = await gateway.call(SPOKEN[client].path[0], SPOKEN[client].ask(False), key=OTHER)
    assert "'m'" in told(client, got, 403)
    assert (await gateway.line()).outcome == "refused"


async def test_an_unknown_model_is_404(gateway: RunningGateway, client: str) -> None:
    got = await gateway.call(SPOKEN[client].path[0], SPOKEN[client].ask(False))
    assert "'m'" in told(client, got, 404)


@pytest.mark.parametrize("body", [b"{", b"[]", b""], ids=["no JSON", "no object", "nothing"])
async def test_a_body_that_cant_be_read_is_400(gateway: RunningGateway, client: str, upstream_of: str, body: bytes) -> None:
    await add_upstream(gateway, upstream_of)
    told(client, await gateway.call(SPOKEN[client].path[0], body), 400)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 503, 529])
async def test_a_refusal_by_the_upstream_keeps_its_meaning(
    gateway: RunningGateway, client: str, upstream_of: str, stream: bool, status: int
) -> None:
    server = await add_upstream(gateway, upstream_of)
    error = {"type": "error", "error": {"type": "x", "message": "the provider's words", "code": status, "status": "X"}}
    server.acts(Act(status=status, pieces=[json.dumps(error).encode()], headers={"retry-after": "7"}))
    got = await gateway.call(SPOKEN[client].path[stream], SPOKEN[client].ask(stream))
    message = told(client, got, status)
    # A refused credential is the gateway's own: what its provider says of it is not the client's to see.
    assert ("the provider's words" in message) == (status not in (401, 403))
    assert got.headers.get("retry-after") == "7"
    assert got.headers["x-freehold-target"] == "up/claude-x"
    assert (await gateway.line()).outcome == "upstream_error"


@pytest.mark.parametrize(
    "act", [Act(before="reset"), Act(before="garbage"), Act(pieces=[b"<html>"])], ids=["reset", "garbage", "html"]
)
async def test_an_upstream_that_makes_no_sense_is_502(gateway: RunningGateway, client: str, upstream_of: str, act: Act) -> None:
    (await add_upstream(gateway, upstream_of)).acts(act)
    told(client, await gateway.call(SPOKEN[client].path[0], SPOKEN[client].ask(False)), 502)


@pytest.mark.parametrize("cut", [0, 5], ids=["between events", "inside an event"])
@pytest.mark.parametrize("upstream", UPSTREAMS)
async def test_a_stream_cut_in_the_middle_ends_with_an_error_that_the_client_can_read(
    gateway: RunningGateway, client: str, upstream: str, cut: int
) -> None:
    asking = SPOKEN[client]
    answering = asking if (client, upstream) == ("ollama generate", "ollama") else SPOKEN[upstream]
    server = await add_upstream(gateway, upstream)
    first, second, _ = answering.stream()
    pieces = [first, second[:-cut] if cut else second]
    server.acts(Act(pieces=pieces, content_type=answering.stream_type, gap_s=0.01, then="cut"))
    got = await gateway.call(asking.path[1], asking.ask(True))
    assert got.status == 200
    if client == "gemini array":
        assert not got.whole  # an array has no place for an error: the connection is cut
    else:
        assert got.whole
        assert [bool(message) for message in asking.errors_in_stream(got.body)] == [True]
    line = await gateway.line()
    assert (line.outcome, line.status) == ("cut", 200) and line.output > 0


async def test_the_gateways_own_key_is_told_by_the_right_words(gateway: RunningGateway, client: str) -> None:
    got = await gateway.call(SPOKEN[client].path[0], SPOKEN[client].ask(False), key=KEY[:-1])
    assert "not one of this gateway's" in told(client, got, 401)
