from __future__ import annotations

import pytest

from freehold.config.address import fill, gaps, is_plain, plain


def test_gaps_are_named_once_and_the_model_is_none() -> None:
    assert gaps("https://{region}.x/{project}/{region}/{model}") == ["region", "project"]
    assert gaps("https://x/v1") == []


def test_a_gap_without_a_value_is_named() -> None:
    assert fill("https://{region}.x/{model}", {"region": "eu-1"}) == "https://eu-1.x/{model}"
    for values in ({}, {"region": ""}, {"region": None}):
        with pytest.raises(KeyError, match="region"):
            fill("https://{region}.x", values)


def test_a_variable_may_hold_a_whole_address() -> None:
    assert plain(" https://adb-1.azuredatabricks.net/ \n") == "adb-1.azuredatabricks.net"


@pytest.mark.parametrize("value", ["", "a/b", "a@b", "a b", "x?y", "x#y", "-a", "a\n", "{region}", "ü", "a" * 300])
def test_a_value_cannot_change_what_the_url_means(value: str) -> None:
    assert not is_plain(value)
