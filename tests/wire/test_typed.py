"""typed.py: members by type, and errors that name them."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Raw

from freehold.base.errors import InvalidRequest
from freehold.wire.typed import (
    as_bool,
    as_int,
    as_str,
    filled,
    is_null,
    kind_of,
    model_of,
    nulls,
    opened,
    optional,
    required,
    typed,
)


@pytest.mark.parametrize("body", [b"", b"[]", b"5", b"{", b'{"a":}', b"[" * 9999, b'{"a":{"b":"\xff"}}'])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        opened(body)


def test_members_are_taken_out() -> None:
    fields = dict(opened(b'{"a":"x","b":null,"c":5}'))
    spelling: dict[str, str] = {}
    assert required(fields, "a", as_str, "a string") == "x"
    assert optional(fields, "b", as_str, "a string", spelling) is None
    assert optional(fields, "missing", as_str, "a string", spelling) is None
    assert (list(fields), spelling, nulls(spelling)) == (["c"], {"b": "null"}, {"b": None})


@pytest.mark.parametrize(
    ("call", "param", "words"),
    [
        (lambda f: required(f, "x", as_str, "a string", "a[0]"), "a[0].x", "is missing"),
        (lambda f: required(f, "s", as_int, "a whole number", "a[0]"), "a[0].s", "not a string"),
        (lambda f: optional(f, "s", as_bool, "true or false", {}, "a"), "a.s", "not a string"),
        (lambda f: typed(f["n"], as_int, "n", "a whole number"), "n", "must be a whole number"),
    ],
)
def test_a_mistake_names_its_place_and_what_was_there(call: Any, param: str, words: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        call(dict(opened(b'{"s":"x","n":1.5}')))
    assert caught.value.param == param and words in caught.value.message


def test_kinds_have_names() -> None:
    kinds = [kind_of(Raw(raw)) for raw in (b'"a"', b"[]", b"{}", b"true", b"null", b"-1")]
    assert kinds == ["a string", "an array", "an object", "a boolean", "null", "a number"]


@pytest.mark.parametrize("value", ["[]", "[ ]", '""', "null", "5", "{}"])
def test_what_is_empty_or_of_another_kind_is_not_filled(value: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        filled(opened(f'{{"a":{value}}}'.encode()), "a", '"[', "a text")
    assert caught.value.param == "a"


@pytest.mark.parametrize("value", ["[0]", '" "', '["a"]', "[[]]", '[""]'])
def test_what_holds_something_is_filled(value: str) -> None:
    filled(opened(f'{{"a":{value}}}'.encode()), "a", '"[', "a text")


def test_a_model_may_come_from_the_url() -> None:
    assert model_of(opened(b'{"model":"m"}'), "u") == "m"
    assert model_of(opened(b"{}"), "u") == "u"
    for body in (b"{}", b'{"model":""}', b'{"model":5}', b'{"model":null}'):
        with pytest.raises(InvalidRequest):
            model_of(opened(body))


@pytest.mark.parametrize(("raw", "null"), [(None, True), (Raw(b"null"), True), (Raw(b'"null"'), False), (Raw(b"0"), False)])
def test_absent_and_null_say_the_same(raw: Raw | None, null: bool) -> None:
    assert is_null(raw) is null
