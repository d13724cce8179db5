"""What clients ask an Ollama server before they call a model."""

from __future__ import annotations

import json

import pytest

from freehold.base.errors import InvalidRequest
from freehold.wire.dialects.ollama import pages

MODELS = [pages.Model("smart", 200_000, ("completion", "tools", "vision", "thinking")), pages.Model("plain")]


def test_tags_list_every_model() -> None:
    listed = json.loads(pages.tags(MODELS, 7))["models"]
    assert [(model["name"], model["model"], model["modified_at"]) for model in listed] == [
        ("smart", "smart", "1970-01-01T00:00:07Z"),
        ("plain", "plain", "1970-01-01T00:00:07Z"),
    ]
    assert len({model["digest"] for model in listed}) == 2


def test_show_tells_the_window_where_clients_look_for_it() -> None:
    shown = json.loads(pages.show(MODELS[0], 7))
    assert shown["model_info"][shown["model_info"]["general.architecture"] + ".context_length"] == 200_000
    assert shown["capabilities"] == ["completion", "tools", "vision", "thinking"]
    assert not any(name.endswith("context_length") for name in json.loads(pages.show(MODELS[1], 7))["model_info"])


def test_ps_lists_models_as_loaded() -> None:
    first, second = json.loads(pages.ps(MODELS, 7))["models"]
    assert (first["context_length"], first["expires_at"]) == (200_000, "1970-01-01T00:00:07Z")
    assert "context_length" not in second


def test_version() -> None:
    assert [int(number) for number in json.loads(pages.version())["version"].split(".")] >= [0, 6, 4]


def test_the_model_to_show_has_two_names() -> None:
    assert pages.shown(b'{"model":"m"}') == pages.shown(b'{"name":"m"}') == "m"
    for body in (b"", b"{}", b'{"model":""}', b'{"model":5}', b"[]"):
        with pytest.raises(InvalidRequest):
            pages.shown(body)
