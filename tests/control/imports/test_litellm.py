from __future__ import annotations

from typing import Any

import pytest

from freehold.control.imports.litellm import convert
from freehold.control.imports.result import Imported, Left
from freehold.upstream.catalogue import PROVIDERS


def deployment(name: str, model: str, **params: Any) -> dict[str, Any]:
    return {"model_name": name, "litellm_params": {"model": model, **params}}


def imported(*models: dict[str, Any], **more: Any) -> Imported:
    return convert({"model_list": list(models), **more}, PROVIDERS)


def test_a_model_becomes_a_route_and_its_variable_stays_one() -> None:
    out = imported(deployment("chat", "openai/gpt-4o", api_key="os.environ/OPENAI_API_KEY"))
    assert out.document() == {
        "providers": {"openai": {"api_key": "${OPENAI_API_KEY}"}},
        "routes": {"chat": {"targets": [{"provider": "openai", "model": "gpt-4o"}]}},
    }
    assert out.left == []


def test_a_secret_that_looks_like_a_variable_of_ours_is_none() -> None:
    out = imported(deployment("chat", "gpt-4o", api_key="${HOME}"))
    assert out.providers["openai"]["api_key"] == "$${HOME}"


def test_deployments_of_one_name_share_a_route_by_weight() -> None:
    out = imported(
        deployment("chat", "openai/gpt-4o", weight=3),
        deployment("chat", "azure/mine", api_base="https://acme.openai.azure.com/", api_version="2024-10-21", weight=1),
    )
    assert out.routes["chat"] == {
        "strategy": "weighted",
        "targets": [
            {"provider": "openai", "model": "gpt-4o", "weight": 3},
            {"provider": "azure-deployments", "model": "mine", "weight": 1},
        ],
    }
    assert out.providers["azure-deployments"] == {"resource": "acme", "query": {"api-version": "2024-10-21"}}


def test_two_keys_of_one_vendor_are_two_providers() -> None:
    out = imported(
        deployment("a", "groq/llama", api_key="os.environ/ONE"),
        deployment("b", "groq/llama", api_key="os.environ/TWO"),
        deployment("c", "groq/llama", api_key="os.environ/TWO"),
    )
    row = PROVIDERS["groq"]
    assert out.providers == {
        "groq": {"api_key": "${ONE}"},
        "groq-2": {"dialect": row.dialect, "base_url": row.base_url, "api_key": "${TWO}"},
    }
    assert [route["targets"][0]["provider"] for route in out.routes.values()] == ["groq", "groq-2", "groq-2"]


def test_a_server_of_their_own_and_prices_are_carried_over() -> None:
    entry = deployment("mine", "openai/llama", api_base="http://10.0.0.1:8000/v1", timeout=30)
    entry["model_info"] = {"input_cost_per_token": 2.5e-7, "output_cost_per_token": 1e-6}
    out = imported(entry)
    assert out.providers == {
        "10-0-0-1": {"dialect": "openai_chat", "base_url": "http://10.0.0.1:8000/v1", "timeouts": {"first_byte": 30}}
    }
    assert out.routes["mine"]["targets"][0]["price"] == {"input": 0.25, "output": 1.0}


def test_fallbacks_retries_strategy_and_master_key() -> None:
    out = imported(
        deployment("a", "gpt-4o"),
        deployment("a", "groq/llama"),
        deployment("b", "claude-x", custom_llm_provider="anthropic"),
        litellm_settings={"fallbacks": [{"a": ["b", "nobody"]}, {"nobody": ["a"]}], "num_retries": 9},
        router_settings={"routing_strategy": "least-busy"},
        general_settings={"master_key": "os.environ/MASTER"},
    )
    assert out.routes["a"]["fallbacks"] == ["b"] and out.routes["a"]["strategy"] == "least_busy"
    assert out.routes["b"] == {"targets": [{"provider": "anthropic", "model": "claude-x"}], "retries": 5}
    assert out.keys == [{"name": "master", "key": "${MASTER}", "models": ["*"]}]
    assert [left.path for left in out.left] == ["litellm_settings.fallbacks[1]"]


def test_what_has_no_counterpart_is_listed_with_its_path() -> None:
    out = imported(
        deployment("a", "gpt-4o", rpm=5),
        deployment("*", "openai/*"),
        deployment("b", "nowhere/model"),
        {"model_name": "c"},
        router_settings={"routing_strategy": "usage-based-routing", "redis_host": "x"},
        general_settings={"master_key": "sk-1234"},
        guardrails=[],
    )
    assert [left.path for left in out.left] == [
        "model_list[0].litellm_params.rpm",
        "model_list[1].model_name",
        "model_list[2].litellm_params.model",
        "model_list[3]",
        "router_settings.routing_strategy",
        "general_settings.master_key",
        "router_settings.redis_host",
        "guardrails",
    ]
    assert "sk-1234" not in str(out)
    assert list(out.routes) == ["a"]


@pytest.mark.parametrize("document", [None, [], "text", {}, {"targets": []}])
def test_another_kind_of_file_is_refused(document: object) -> None:
    with pytest.raises(ValueError, match="no LiteLLM configuration"):
        convert(document, PROVIDERS)


def test_nonsense_inside_is_listed_not_raised() -> None:
    out = convert({"model_list": [None, 3, {"model_name": 1, "litellm_params": []}], "router_settings": "x"}, PROVIDERS)
    assert [type(left) for left in out.left] == [Left] * 3 and out.document() == {}
