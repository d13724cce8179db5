"""Which target is tried first, what a failure teaches, and who is tried when all of a route's own have failed."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from freehold.policy.health import FAILURES_IN_A_ROW
from tests.client import Answered
from tests.pipeline.conftest import RunningGateway
from tests.pipeline.upstream import Act, reply, stream

CHAT = "/v1/chat/completions"
TOO_LONG = b'{"error":{"message":"This model\'s maximum context length is 8 tokens","code":"context_length_exceeded"}}'
UNWELCOME = b'{"error":{"message":"The response was filtered","code":"content_filter"}}'


def ask(model: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "hello"}], **more}


async def three(gateway: RunningGateway, **more: Any) -> None:
    for name in "abc":
        await gateway.upstream(name)
    gateway.route("r", "a/m", "b/m", "c/m", **more)


async def chosen(gateway: RunningGateway, n: int, **body: Any) -> list[str]:
    answers = [await gateway.call(CHAT, ask("r", **body)) for _ in range(n)]
    assert all(one.status == 200 for one in answers), answers
    return [one.headers["x-freehold-target"][0] for one in answers]


def health(gateway: RunningGateway, name: str) -> Any:
    return gateway.gateway.runtime.healths[("default", f"{name}/m")]


async def test_weights_are_shares_and_a_weight_of_nothing_is_for_when_no_other_can(gateway: RunningGateway) -> None:
    await three(gateway, strategy="weighted", weights=(3, 1, 0))
    found = Counter(await chosen(gateway, 120))
    assert found["a"] > found["b"] > 0 and found["c"] == 0
    gateway.upstreams["a"].acts(Act(before="reset"))
    gateway.upstreams["b"].acts(Act(before="reset"))
    assert await chosen(gateway, 1) == ["c"]


async def test_least_busy_goes_where_fewest_calls_are_under_way(gateway: RunningGateway) -> None:
    await three(gateway, strategy="least_busy")
    held = asyncio.Event()
    for upstream in gateway.upstreams.values():
        upstream.acts(stream("one", held=held))
    opened = [await gateway.open(CHAT, ask("r", stream=True)) for _ in range(3)]
    for reader, _ in opened:
        await reader.readuntil(b"\n\n")
    assert [len(upstream.seen) for upstream in gateway.upstreams.values()] == [1, 1, 1]
    held.set()
    for reader, writer in opened:
        await reader.readuntil(b"[DONE]")
        writer.close()
    while any(health(gateway, name).in_flight for name in "abc"):
        await asyncio.sleep(0.01)


async def test_the_fastest_is_learned(gateway: RunningGateway) -> None:
    await three(gateway, strategy="fastest")
    (whole,) = reply().pieces
    for name in "ab":
        gateway.upstreams[name].acts(Act(pieces=[whole[:9], whole[9:]], gap_s=0.3))
    while not all(upstream.seen for upstream in gateway.upstreams.values()):
        await chosen(gateway, 1)
    assert Counter(await chosen(gateway, 12)).most_common(1)[0][0] == "c"
    assert health(gateway, "a").load_s(0) > health(gateway, "c").load_s(0)


async def test_the_cheapest_for_the_call_comes_first(gateway: RunningGateway) -> None:
    from freehold.config.schema import PriceConfig

    await gateway.upstream("a", price=PriceConfig(input=5, output=5))
    await gateway.upstream("b")
    await gateway.upstream("c", price=PriceConfig(input=1, output=9))
    gateway.route("r", "a/m", "b/m", "c/m", strategy="cheapest")
    assert await chosen(gateway, 1) == ["a"], "a short question, a long answer"
    assert await chosen(gateway, 1, messages=[{"role": "user", "content": "word " * 2000}]) == ["c"]


@pytest.mark.parametrize(
    ("sticky", "same"),
    [
        ("session", {"headers": {"x-freehold-session": "s1"}}),
        ("user", {"body": {"user": "ada"}}),
        ("prompt", {"body": {"messages": [{"role": "user", "content": "a long common beginning " * 100}]}}),
    ],
)
async def test_what_sticks_stays_and_yields_to_failover(gateway: RunningGateway, sticky: str, same: dict[str, Any]) -> None:
    await three(gateway, strategy="weighted", sticky=sticky)

    async def call() -> Answered:
        got = await gateway.call(CHAT, ask("r", **same.get("body", {})), headers=same.get("headers", {}))
        assert got.status == 200
        return got

    homes = {(await call()).headers["x-freehold-target"] for _ in range(12)}
    assert len(homes) == 1
    home = homes.pop()[0]
    gateway.upstreams[home].acts(Act(before="reset"))
    others = [(await call()).headers["x-freehold-target"][0] for _ in range(6)]
    assert home not in others and len(set(others)) == 1
    gateway.upstreams[home].acts(reply())


async def test_a_target_that_fails_is_left_alone_and_comes_back(gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    from freehold.policy import health as module

    monkeypatch.setattr(module, "OPEN_S", 0.2)
    await three(gateway)
    gateway.upstreams["a"].acts(Act(status=500))
    assert await chosen(gateway, FAILURES_IN_A_ROW) == ["b"] * FAILURES_IN_A_ROW
    asked = len(gateway.upstreams["a"].seen)
    assert asked == FAILURES_IN_A_ROW
    assert await chosen(gateway, 5) == ["b"] * 5 and len(gateway.upstreams["a"].seen) <= asked + 1
    gateway.upstreams["a"].acts(reply())
    await asyncio.sleep(0.5)
    while await chosen(gateway, 1) != ["a"]:
        await asyncio.sleep(0.05)


async def test_a_target_that_asks_for_rest_gets_it(gateway: RunningGateway) -> None:
    await three(gateway)
    gateway.upstreams["a"].acts(Act(status=429, headers={"retry-after": "60"}))
    assert await chosen(gateway, 4) == ["b"] * 4
    assert len(gateway.upstreams["a"].seen) == 1 and health(gateway, "a").reason == "resting"


async def test_a_refused_credential_is_said_once_and_the_target_left(
    gateway: RunningGateway, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    await three(gateway)
    gateway.upstreams["a"].acts(Act(status=401, pieces=[b'{"error":{"message":"bad key"}}']))
    assert await chosen(gateway, 4) == ["b"] * 4
    assert len(gateway.upstreams["a"].seen) == 1
    said = capfdbinary.readouterr().err
    assert said.count(b"credential_refused") == 1 and b"a/m" in said and b"bad key" not in said


async def test_when_all_are_down_the_soonest_due_is_tried_still(gateway: RunningGateway) -> None:
    await three(gateway)
    for upstream in gateway.upstreams.values():
        upstream.acts(Act(status=500))
    for _ in range(FAILURES_IN_A_ROW + 1):
        assert (await gateway.call(CHAT, ask("r"))).status == 500
    gateway.upstreams["b"].acts(reply())
    assert await chosen(gateway, 1) == ["b"]


async def test_a_request_that_is_too_long_goes_to_a_target_that_may_take_it(gateway: RunningGateway) -> None:
    await three(gateway)
    gateway.upstreams["a"].acts(Act(status=400, pieces=[TOO_LONG]))
    gateway.upstreams["b"].acts(Act(status=400, pieces=[UNWELCOME]))
    assert await chosen(gateway, 2) == ["c", "c"]
    assert health(gateway, "a").reason == "", "it is the request's doing, not the target's"


async def test_a_target_with_no_longer_a_context_is_not_asked_too(gateway: RunningGateway) -> None:
    await three(gateway)
    gateway.upstreams["a"].acts(Act(status=400, pieces=[TOO_LONG]))
    for target, context in zip(gateway.gateway.runtime.snapshot.space.routes["r"].targets, (8, 8, 16), strict=True):
        target.context_tokens = context
    assert await chosen(gateway, 1) == ["c"] and not gateway.upstreams["b"].seen


async def test_fallback_routes_come_after_a_routes_own_targets_and_a_circle_ends(gateway: RunningGateway) -> None:
    for name in "abc":
        await gateway.upstream(name)
    gateway.config.routes.clear()
    gateway.route("third", "c/m", "a/m")
    gateway.route("second", "b/m")
    gateway.route("r", "a/m", fallbacks=["second"])
    gateway.config.routes["second"].fallbacks = ["third", "r"]
    gateway.reload()
    for name in "ab":
        gateway.upstreams[name].acts(Act(status=503))
    got = await gateway.call(CHAT, ask("r"))
    assert got.headers["x-freehold-target"] == "c/m" and got.headers["x-freehold-attempts"] == "3"
    gateway.upstreams["c"].acts(Act(status=503))
    got = await gateway.call(CHAT, ask("r"))
    assert got.status == 503 and len(gateway.upstreams["a"].seen) == 2, "no target is tried twice"
    line = gateway.ledger[-1]
    assert [one.target for one in line.attempts] == ["a/m", "b/m", "c/m"] and all(one.reason for one in line.attempts)


async def test_a_client_that_leaves_frees_the_target(gateway: RunningGateway) -> None:
    await three(gateway)
    gateway.upstreams["a"].acts(Act(before="hang"))
    _, writer = await gateway.open(CHAT, ask("r"))
    while not gateway.upstreams["a"].seen:
        await asyncio.sleep(0.01)
    assert health(gateway, "a").in_flight == 1
    writer.close()
    while health(gateway, "a").in_flight:
        await asyncio.sleep(0.01)
    assert health(gateway, "a").reason == ""


async def test_names_that_clients_invent_are_not_remembered_for_ever(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    from freehold.pipeline import choose

    monkeypatch.setattr(choose, "MAX_HEALTHS", 3)
    (await gateway.upstream("a")).acts(Act(status=500))
    for n in range(6):
        await gateway.call(CHAT, ask(f"a/invented-{n}"))
    assert len(gateway.gateway.runtime.healths) == 3


async def test_retries_have_a_budget(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab")
    lab.acts(Act(status=503))
    gateway.route("r", "lab/m", retries=1)
    budget = gateway.gateway.runtime.retries
    while budget.spend():
        pass
    assert (await gateway.call(CHAT, ask("r"))).status == 503 and len(lab.seen) == 1
