"""fields.py: the top level of a JSON object, whole or in pieces."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from freehold.wire.fields import FieldsError, TopLevelScanner, join, raws, split

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
DOCUMENTS = st.dictionaries(st.sampled_from(["usage", "model", "a", "é", 'q"uo\\te', ""]) | st.text(), JSON_VALUES, max_size=6)
WANTED = frozenset(("usage", "model", "é", 'q"uo\\te'))


def pieces(body: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    return [body[a:b] for a, b in pairwise(edges)]


def scan(chunks: list[bytes], limit: int = 64 * 1024) -> TopLevelScanner:
    scanner = TopLevelScanner(WANTED, limit)
    for chunk in chunks:
        scanner.feed(chunk)
    return scanner


def test_split_keeps_order_and_every_byte_of_a_value() -> None:
    body = b'{ "z" : [1,  2.50e1] , "a":{"b" :null}, "s":"\\u00e9/\\/" }'
    members = split(body)
    assert [(name, bytes(value)) for name, value in members.items()] == [
        ("z", b"[1,  2.50e1]"),
        ("a", b'{"b" :null}'),
        ("s", b'"\\u00e9/\\/"'),
    ]
    assert join(members) == b'{"z":[1,  2.50e1],"a":{"b" :null},"s":"\\u00e9/\\/"}'


def test_the_last_of_a_repeated_key_counts() -> None:
    assert bytes(split(b'{"a":1,"a":2}')["a"]) == b"2"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "empty"),
        (b'{"model":"x"', "ends early (byte 12)"),
        (b'{"a":1,}', "trailing comma in object (byte 7)"),
        (b'{"a":tru}', "(byte 6)"),
        (b"[1]", "must be an object, got `array`"),
        (b'"x"', "must be an object"),
        (b'{"a":1} x', "trailing characters"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
        (b'{"\xff":1}', "not valid UTF-8"),
    ],
)
def test_split_says_what_is_wrong_and_where(body: bytes, says: str) -> None:
    with pytest.raises(FieldsError) as error:
        split(body)
    assert says in str(error.value)


@given(DOCUMENTS, st.sampled_from([None, 2]), st.lists(st.integers(0, 2000), max_size=12))
def test_the_scanner_finds_the_same_values_however_the_document_is_cut(
    document: dict[str, Any], indent: int | None, cuts: list[int]
) -> None:
    body = json.dumps(document, indent=indent).encode()
    scanner = scan(pieces(body, cuts))
    assert scanner.complete
    assert not scanner.broken
    assert {key: json.loads(value) for key, value in scanner.values.items()} == {
        key: value for key, value in document.items() if key in WANTED
    }


@given(DOCUMENTS, st.integers(0, 10_000), st.lists(st.integers(0, 2000), max_size=6))
def test_a_cut_document_is_never_complete(document: dict[str, Any], where: int, cuts: list[int]) -> None:
    body = json.dumps(document).encode()
    assert not scan(pieces(body[: where % len(body)], cuts)).complete


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=6))
def test_any_bytes_give_the_same_verdict_in_any_chunking(body: bytes, cuts: list[int]) -> None:
    whole, cut = scan([body]), scan(pieces(body, cuts))
    assert (whole.complete, whole.broken, whole.values) == (cut.complete, cut.broken, cut.values)


@given(st.text(alphabet='{}[]",:\\ aé1', max_size=60), st.lists(st.integers(0, 60), max_size=6))
def test_structural_noise_gives_the_same_verdict_in_any_chunking(text: str, cuts: list[int]) -> None:
    body = text.encode()
    whole, cut = scan([body]), scan(pieces(body, cuts))
    assert (whole.complete, whole.broken, whole.values) == (cut.complete, cut.broken, cut.values)


@pytest.mark.parametrize("body", [b"{]", b'{"a":[}', b"[1}", b"3", b"<html>", b"{}{}", b'{"a":1}x', b"[" * 2000])
def test_what_does_not_nest_is_broken(body: bytes) -> None:
    scanner = scan([body])
    assert scanner.broken
    assert not scanner.complete


def test_white_space_around_the_root_is_fine_at_any_length() -> None:
    assert scan([b" " * 200, b"\n{", b"}", b"\r\n" * 200]).complete


def test_a_value_over_the_bound_is_left_out_and_memory_stays_bounded() -> None:
    scanner = scan([b'{"usage":"', *[b"x" * 1000] * 200, b'","model":"m"}'], limit=1000)
    assert scanner.complete
    assert scanner.values == {"model": b'"m"'}


def test_a_key_over_the_bound_is_not_kept() -> None:
    scanner = scan([b'{"', *[b"k" * 100] * 200, b'":1,"model":"m"}'], limit=1000)
    assert (scanner.complete, scanner.values) == (True, {"model": b'"m"'})


def test_only_top_level_keys_count() -> None:
    assert scan([b'{"a":{"usage":1},"b":["usage",{"usage":2}],"usage":3}']).values == {"usage": b"3"}


@settings(max_examples=30)
@given(st.integers(0, 40))
def test_runs_of_backslashes_before_a_quote_are_counted_across_seams(run: int) -> None:
    body = json.dumps({"a": "\\" * run + '"', "usage": run}).encode()
    for cut in range(len(body)):
        assert scan([body[:cut], body[cut:]]).values == {"usage": str(run).encode()}


def test_scanned_values_are_given_as_one_object_or_decoded_one_by_one() -> None:
    scanner = TopLevelScanner(frozenset(("a", "b", "c", "d")))
    scanner.feed(b'{"a": {"x": [1, 2]}, "b": "t", "c": nul, "e": 5, "d": null}')
    assert scanner.joined() == b'{"a":{"x": [1, 2]},"b":"t","c":nul,"d":null}'
    assert scanner.decoded() == {"a": {"x": [1, 2]}, "b": "t", "d": None}  # `c` is no JSON
    assert TopLevelScanner(frozenset()).joined() == b"{}"


@given(DOCUMENTS)
def test_members_apart_are_each_what_it_would_be_alone(members: dict[str, Any]) -> None:
    assert list(raws(members).items()) == [(name, Raw(join(value))) for name, value in members.items()]
