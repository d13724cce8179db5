from __future__ import annotations

import shlex

import pytest
from msgspec import json, structs

from freehold.cli.welcome import Welcome, welcome

FIRST = Welcome(
    scheme="http",
    host="127.0.0.1",
    port=8080,
    file="",
    data="data",
    workers=1,
    providers={"sandbox": "built in"},
    routes={},
    keys_in_file=0,
    keys_made=1,
    secret="fh_secret",
)


def curl(w: Welcome) -> list[str]:
    [line] = [line for line in welcome(w).splitlines() if line.startswith("curl ")]
    return shlex.split(line)


def body(w: Welcome) -> dict[str, object]:
    found: dict[str, object] = json.decode(curl(w)[-1])
    return found


def test_the_first_start_shows_the_key_and_a_curl_line_with_it() -> None:
    assert "fh_secret" in welcome(FIRST) and "only once" in welcome(FIRST)
    assert "authorization: Bearer fh_secret" in curl(FIRST)
    assert body(FIRST)["model"] == "sandbox/echo"
    assert "no model" in welcome(FIRST)


def test_a_later_start_shows_no_key_and_says_how_to_make_one() -> None:
    later = structs.replace(FIRST, secret="")
    assert "key create" in welcome(later)
    assert "authorization: Bearer $FREEHOLD_KEY" in curl(later)


def test_a_route_is_tried_rather_than_the_sandbox() -> None:
    w = structs.replace(FIRST, routes={"fast model": ["lab/m", "openai/m"]}, file="freehold.yaml")
    assert body(w)["model"] == "fast model"
    assert "lab/m then openai/m" in welcome(w) and "sandbox only echoes" not in welcome(w)


@pytest.mark.parametrize("change", [{"providers": {"openai": "x"}}, {"routes": {"it's": ["a/b"]}}])
def test_where_no_model_can_be_named_the_list_of_models_is_asked_for(change: dict[str, object]) -> None:
    assert curl(structs.replace(FIRST, **change))[2] == "http://127.0.0.1:8080/v1/models"


def test_every_provider_is_named_with_its_reason() -> None:
    text = welcome(structs.replace(FIRST, providers={"openai": "OPENAI_API_KEY is in the environment", "sandbox": "built in"}))
    assert "openai   OPENAI_API_KEY is in the environment" in text
    assert "openai/..." in text


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:8080"),
        ("::", "http://[::1]:8080"),
        ("::1", "http://[::1]:8080"),
        ("gw.local", "http://gw.local:8080"),
    ],
)
def test_the_url_can_be_called_from_here(host: str, url: str) -> None:
    assert structs.replace(FIRST, host=host).url == url
