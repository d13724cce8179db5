from __future__ import annotations

import pytest

from tests.pipeline.conftest import RunningGateway


async def test_models_lists_routes_and_what_providers_offer(gateway: RunningGateway) -> None:
    await gateway.upstream("lab", models=["m1", "org/m2"])
    gateway.route("fast", "lab/m1")
    got = await gateway.call("/v1/models", method="GET")
    assert [(m["id"], m["owned_by"]) for m in got.json["data"]] == [
        ("fast", "freehold"),
        ("lab/m1", "lab"),
        ("lab/org/m2", "lab"),
    ]
    assert got.json["object"] == "list"


async def test_models_shows_only_what_the_key_may_use(gateway: RunningGateway) -> None:
    await gateway.upstream("lab", models=["m1"])
    gateway.route("fast", "lab/m1")
    gateway.config.keys[0].models = ["fast"]
    gateway.reload()
    assert [m["id"] for m in (await gateway.call("/v1/models", method="GET")).json["data"]] == ["fast"]
    assert (await gateway.call("/v1/models/lab/m1", method="GET")).status == 404
    assert (await gateway.call("/v1/models", method="GET", key=None)).status == 401


@pytest.mark.parametrize("path", ["/v1/models/lab/m1", "/v1/models/lab%2Fm1", "/openai/v1/models/lab/m1"])
async def test_one_model(gateway: RunningGateway, path: str) -> None:
    await gateway.upstream("lab", models=["m1"])
    got = await gateway.call(path, method="GET")
    assert got.json == {"id": "lab/m1", "object": "model", "created": 0, "owned_by": "lab"}


async def test_anthropic_clients_get_their_own_form(gateway: RunningGateway) -> None:
    await gateway.upstream("lab", models=["m1"])
    got = await gateway.call("/v1/models", method="GET", headers={"anthropic-version": "2023-06-01"})
    assert got.json["data"][0]["type"] == "model"
    assert got.json["has_more"] is False
    assert (await gateway.call("/anthropic/v1/models/lab/m1", method="GET")).json["id"] == "lab/m1"


async def test_a_bare_name_under_a_prefix_means_that_provider(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("openai")
    body = {"model": "gpt-x", "messages": [{"role": "user", "content": "x"}]}
    assert (await gateway.call("/openai/v1/chat/completions", body)).status == 200
    assert lab.seen[0].json["model"] == "gpt-x"
    assert (await gateway.call("/v1/chat/completions", body)).status == 404


async def test_health_and_metrics(gateway: RunningGateway) -> None:
    await gateway.upstream("lab")
    await gateway.call("/v1/chat/completions", {"model": "lab/m", "messages": [{"role": "user", "content": "x"}]})
    assert (await gateway.call("/healthz", method="GET", key=None)).status == 200
    assert (await gateway.call("/readyz", method="GET", key=None)).status == 200
    metrics = await gateway.call("/metrics", method="GET", key=None)
    assert b'freehold_calls_total{outcome="ok",route="lab/m",target="lab/m"} 1.0' in metrics.body
    gateway.gateway.draining = True
    assert (await gateway.call("/readyz", method="GET", key=None)).status == 503
    assert (await gateway.call("/healthz", method="GET", key=None)).status == 200


async def test_gemini_clients_get_their_own_form(gateway: RunningGateway) -> None:
    await gateway.upstream("lab", models=["m1"])
    listed = (await gateway.call("/v1beta/models", method="GET")).json["models"]
    assert [(m["name"], "generateContent" in m["supportedGenerationMethods"]) for m in listed] == [("models/lab/m1", True)]
    assert (await gateway.call("/gemini/v1beta/models/lab/m1", method="GET")).json["name"] == "models/lab/m1"
    assert (await gateway.call("/v1beta/models/none", method="GET")).status == 404


@pytest.mark.parametrize("prefix", ["", "/ollama"])
async def test_ollama_clients_get_their_own_form(gateway: RunningGateway, prefix: str) -> None:
    await gateway.upstream("lab", models=["m1"])
    gateway.route("fast", "lab/m1")
    tags = await gateway.call(f"{prefix}/api/tags", method="GET")
    assert [m["name"] for m in tags.json["models"]] == ["fast", "lab/m1"]
    assert (await gateway.call(f"{prefix}/api/show", {"model": "fast"})).json["capabilities"] == ["completion"]
    assert (await gateway.call(f"{prefix}/api/show", {"model": "none"})).status == 404
    assert (await gateway.call(f"{prefix}/api/show", {"model": 3})).status == 400
    assert (await gateway.call(f"{prefix}/api/show", method="GET")).status == 405
    assert (await gateway.call(f"{prefix}/api/version", method="GET", key=None)).json["version"]
    assert (await gateway.call(f"{prefix}/api/tags", method="GET", key=None)).status == 401
    assert (await gateway.call(f"{prefix}/api/ps", method="GET")).json == {"models": []}
