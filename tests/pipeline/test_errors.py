"""Bad input and bad upstreams: the right status, the client's dialect, no secret, and always a ledger line."""

from __future__ import annotations

from typing import Any

import pytest

from freehold.config.schema import TimeoutsConfig
from tests.pipeline.conftest import KEY, RunningGateway
from tests.pipeline.upstream import Act

CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"
GOOD = [{"role": "user", "content": "x"}]

BAD_BODIES: list[tuple[bytes, str]] = [
    (b"", ""),
    (b"{", ""),
    (b'{"model":"lab/m","messages":[{"role":"user"', ""),
    (b"[]", ""),
    (b'"text"', ""),
    (b"\xff\xfe\x00", ""),
    (b"{}", "model"),
    (b'{"model":5,"messages":[{"role":"user","content":"x"}],"max_tokens":1}', "model"),
    (b'{"model":"lab/m","max_tokens":1}', "messages"),
    (b'{"model":"lab/m","messages":[],"max_tokens":1}', "messages"),
    (b'{"model":"lab/m","messages":"x","max_tokens":1}', "messages"),
    (b'{"model":"lab/m","messages":[{"role":"user","content":"x"}],"stream":"yes","max_tokens":1}', "stream"),
]


def _message(path: str, error: dict[str, Any]) -> str:
    """The message of an error body, after checking that its form is the dialect's."""
    if path == CHAT:
        assert set(error) == {"error"}
        assert {"message", "type", "param", "code"} <= set(error["error"])
    else:
        assert error["type"] == "error"
        assert {"type", "message"} <= set(error["error"])
    return str(error["error"]["message"])


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
@pytest.mark.parametrize(("body", "named"), BAD_BODIES, ids=lambda v: str(v)[:40])
async def test_bad_bodies_are_400_and_name_the_field(gateway: RunningGateway, path: str, body: bytes, named: str) -> None:
    lab = await gateway.upstream("lab")
    got = await gateway.call(path, body)
    assert got.status == 400
    assert named in _message(path, got.json)
    assert not lab.seen
    line = await gateway.line()
    assert (line.outcome, line.status, line.cost_nusd) == ("refused", 400, None)


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
@pytest.mark.parametrize(
    "headers", [{}, {"authorization": "Bearer fh_wrong"}, {"x-api-key": "nope"}, {"authorization": "Basic abc"}]
)
async def test_no_key_or_a_wrong_one_is_401(gateway: RunningGateway, path: str, headers: dict[str, str]) -> None:
    got = await gateway.call(path, {"model": "lab/m", "messages": GOOD}, key=None, headers=headers)
    assert got.status == 401
    assert "key" in _message(path, got.json)
    assert "nope" not in got.body.decode()
    assert "fh_wrong" not in got.body.decode()


async def test_unknown_models_are_404_and_near_names_are_told(gateway: RunningGateway) -> None:
    await gateway.upstream("lab", models=["gpt-4o-mini"])
    gateway.route("fast-model", "lab/m")
    got = await gateway.call(CHAT, {"model": "fast-modle", "messages": GOOD})
    assert got.status == 404
    assert got.json["error"]["code"] == "model_not_found"
    assert "'fast-model'" in got.json["error"]["message"]
    got = await gateway.call(CHAT, {"model": "lab/gpt-4o-mni\r\nx: y", "messages": GOOD})
    assert got.status == 404


async def test_a_key_without_the_model_is_403(gateway: RunningGateway) -> None:
    await gateway.upstream("lab")
    gateway.config.keys[0].models = ["fast", "openai/*"]
    gateway.reload()
    got = await gateway.call(CHAT, {"model": "lab/m", "messages": GOOD})
    assert got.status == 403
    assert "'lab/m'" in got.json["error"]["message"]
    assert "fast, openai/*" in got.json["error"]["message"]


async def test_a_route_name_that_is_allowed_does_not_open_its_targets(gateway: RunningGateway) -> None:
    await gateway.upstream("lab")
    gateway.config.keys[0].models = ["fast"]
    gateway.route("fast", "lab/m")
    assert (await gateway.call(CHAT, {"model": "fast", "messages": GOOD})).status == 200
    assert (await gateway.call(CHAT, {"model": "lab/m", "messages": GOOD})).status == 403


async def test_a_body_over_the_bound_is_413(gateway: RunningGateway) -> None:
    got = await gateway.call(CHAT, b"x" * 100, headers={"content-length": str(33 * 1024 * 1024)})
    assert got.status == 413
    assert "32" in got.json["error"]["message"]


async def test_strangers_cannot_send_large_bodies(gateway: RunningGateway) -> None:
    got = await gateway.call(CHAT, b"", key=None, headers={"content-length": "10000000"})
    assert got.status == 401


async def test_wrong_paths_and_methods(gateway: RunningGateway) -> None:
    assert (await gateway.call("/v1/nothing", {})).status == 404
    assert (await gateway.call(CHAT, method="GET")).status == 405
    assert (await gateway.call("/v1/models", {}, method="POST")).status == 405
    assert (await gateway.call(CHAT, b"\x1f\x8b", headers={"content-encoding": "gzip"})).status == 400


async def test_content_that_the_target_cannot_take_is_refused(gateway: RunningGateway) -> None:
    claude = await gateway.upstream("claude", dialect="anthropic")
    got = await gateway.call(CHAT, {"model": "claude/c", "messages": GOOD, "n": 3})
    assert got.status == 400
    assert "n" in got.json["error"]["message"]
    assert not claude.seen
    assert (await gateway.line()).outcome == "refused"


UPSTREAM_ANSWERS = [
    (
        Act(
            status=400,
            pieces=[
                b'{"error":{"message":"max_tokens is too large","type":"invalid_request_error","param":"max_tokens","code":"too_large"}}'  # noqa: E501
            ],
        ),
        400,
    ),
    (Act(status=404, pieces=[b'{"error":{"message":"no such model","code":"model_not_found"}}']), 404),
    (Act(status=429, headers={"retry-after": "7"}, pieces=[b'{"error":{"message":"slow down"}}']), 429),
    (Act(status=500, pieces=[b"Traceback (most recent call last): secret_function()"], content_type="text/plain"), 500),
    (Act(status=503, pieces=[b"<html>nginx 10.0.0.7</html>"], content_type="text/html"), 503),
    (Act(status=529, pieces=[b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}']), 529),
    (Act(status=302, headers={"location": "http://169.254.169.254/"}), 502),
    (Act(before="reset"), 502),
    (Act(before="garbage"), 502),
    (Act(before="hang"), 504),
    (Act(pieces=[b"not json"]), 502),
    (Act(pieces=[b'{"id":"x","choi'], then="cut"), 502),
]


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
@pytest.mark.parametrize(("act", "status"), UPSTREAM_ANSWERS, ids=lambda v: str(v) if isinstance(v, int) else v.before or v.then)
async def test_upstream_failures_keep_their_status_and_leak_nothing(
    gateway: RunningGateway, path: str, act: Act, status: int
) -> None:
    lab = await gateway.upstream("lab", timeouts=TimeoutsConfig(first_byte=0.3))
    lab.acts(act)
    gateway.route("r", "lab/m", retries=0)
    got = await gateway.call(path, {"model": "r", "messages": GOOD, "max_tokens": 5})
    assert got.status == status
    text = got.body.decode()
    _message(path, got.json)
    for secret in ("sk-upstream-secret", "Traceback", "secret_function", "nginx 10", "169.254", KEY):
        assert secret not in text
    line = await gateway.line()
    assert line.outcome == "upstream_error"
    assert line.status == status
    assert len(line.attempts) == 1


async def test_retry_after_and_the_providers_identifiers_are_kept(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab")
    lab.acts(UPSTREAM_ANSWERS[2][0])
    got = await gateway.call(CHAT, {"model": "lab/m", "messages": GOOD})
    assert got.headers["retry-after"] == "7"
    lab.acts(UPSTREAM_ANSWERS[0][0])
    got = await gateway.call(CHAT, {"model": "lab/m", "messages": GOOD})
    assert (got.json["error"]["param"], got.json["error"]["code"]) == ("max_tokens", "too_large")
    assert "max_tokens is too large" in got.json["error"]["message"]


async def test_a_refused_credential_is_told_without_the_providers_words(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab")
    lab.acts(Act(status=401, pieces=[b'{"error":{"message":"Incorrect API key provided: sk-upst***cret"}}']))
    got = await gateway.call(CHAT, {"model": "lab/m", "messages": GOOD})
    assert got.status == 401
    assert "sk-upst" not in got.body.decode()
    assert "lab" in got.json["error"]["message"]


async def test_a_full_disk_stops_new_calls(gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    from freehold.store import spool

    lab = await gateway.upstream("lab")
    monkeypatch.setattr(spool, "MAX_HELD", 0)
    got = await gateway.call(CHAT, {"model": "lab/m", "messages": GOOD})
    assert got.status == 503
    assert not lab.seen
    assert (await gateway.call("/readyz", method="GET")).status == 503
