"""A tool call's arguments: an object as the model wrote it, or wrapped into one."""

from __future__ import annotations

import json

import pytest
from msgspec import Raw

from freehold.wire.arguments import arguments_object, complete
from freehold.wire.chat import ToolUse


@pytest.mark.parametrize("text", ["{}", '{"b": 1.0,  "a": [1]}', ' {"ü": "\\n"} '])
def test_an_object_is_left_as_it_was_written(text: str) -> None:
    assert arguments_object(text) == Raw(text.encode())
    assert complete(ToolUse(id="a", name="f", arguments=text), "made") == ToolUse(id="a", name="f", arguments=text)


@pytest.mark.parametrize("text", ["", " \n"])
def test_no_arguments_are_an_empty_object(text: str) -> None:
    assert arguments_object(text) == Raw(b"{}")


@pytest.mark.parametrize("text", ["[1]", "7", '{"a":', '{"a": 1} x', "null", "{'a': 1}", '{"a":' + "[" * 5000, '{"a\udc80": 1}'])
def test_what_is_no_object_is_wrapped_into_one(text: str) -> None:
    assert arguments_object(text) is None
    if text.isascii():
        assert json.loads(complete(ToolUse(id="", name="f", arguments=text), "made").arguments) == {"INVALID_JSON": text}


def test_a_call_keeps_its_id_or_is_given_one() -> None:
    assert complete(ToolUse(id="", name="f"), "made").id == "made"
    assert complete(ToolUse(id="own", name="f", signature="s"), "made") == ToolUse(id="own", name="f", signature="s")
