from __future__ import annotations

import pytest

from freehold.control.imports.portkey import convert
from freehold.upstream.catalogue import PROVIDERS


def test_a_config_becomes_one_route() -> None:
    config = {
        "strategy": {"mode": "loadbalance"},
        "retry": {"attempts": 3},
        "targets": [
            {"provider": "openai", "weight": 0.7, "override_params": {"model": "gpt-4o"}},
            {"provider": "@mistral-ai", "weight": 0.3, "override_params": {"model": "mistral-large-latest"}},
        ],
    }
    out = convert(config, PROVIDERS)
    assert out.routes == {
        "imported": {
            "strategy": "weighted",
            "retries": 3,
            "targets": [
                {"provider": "openai", "model": "gpt-4o", "weight": 0.7},
                {"provider": "mistral", "model": "mistral-large-latest", "weight": 0.3},
            ],
        }
    }
    assert out.left == []


def test_a_model_of_its_catalogue_names_its_provider_and_nested_targets_come_in_order() -> None:
    config = {
        "strategy": {"mode": "fallback", "on_status_codes": [429]},
        "targets": [
            {"override_params": {"model": "@anthropic/claude-sonnet-4-5", "max_tokens": 9}},
            {
                "strategy": {"mode": "loadbalance"},
                "targets": [
                    {"provider": "openai", "override_params": {"model": "a"}, "api_key": "sk-secret-1"},
                    {"provider": "acme", "custom_host": "https://llm.acme.test/v1", "override_params": {"model": "b"}},
                ],
            },
        ],
    }
    out = convert(config, PROVIDERS, "fast")
    assert [target["model"] for target in out.routes["fast"]["targets"]] == ["claude-sonnet-4-5", "a", "b"]
    assert out.providers["acme"] == {"base_url": "https://llm.acme.test/v1", "dialect": "openai_chat"}
    assert [left.path for left in out.left] == [
        "targets[0].override_params.max_tokens",
        "targets[1].strategy",
        "targets[1].targets[0].api_key",
        "strategy.on_status_codes",
    ]
    assert "sk-secret-1" not in str(out)


def test_what_only_portkey_knows_is_listed() -> None:
    out = convert({"virtual_key": "vk-1", "cache": {"mode": "simple"}}, PROVIDERS)
    assert [left.path for left in out.left] == ["virtual_key", "targets"] and out.document() == {}


@pytest.mark.parametrize("document", [None, [], {}, {"model_list": []}])
def test_another_kind_of_file_is_refused(document: object) -> None:
    with pytest.raises(ValueError, match="no Portkey config"):
        convert(document, PROVIDERS)
