"""JSON Schema as tools and response formats bring it -> what each kind of Gemini model takes."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from freehold.base.errors import InvalidRequest, Unsupported
from freehold.wire.dialects.gemini.schema import adjusted, converted, output_schema, parameters_out
from freehold.wire.dialects.gemini.schema_in import json_schema
from tests.traffic import exchanges, traffic_dir

# Google's Schema type. Any other member makes it refuse the request.
MEMBERS = frozenset(
    (
        "anyOf", "default", "description", "enum", "example", "format", "items", "maxItems", "maxLength", "maxProperties",
        "maximum", "minItems", "minLength", "minProperties", "minimum", "nullable", "pattern", "properties",
        "propertyOrdering", "required", "title", "type",
    )
)  # fmt: skip


def raw(schema: Any) -> Raw:
    return Raw(json.dumps(schema).encode())


def convert(schema: Any) -> tuple[Any, list[str]]:
    dropped: dict[str, None] = {}
    found = converted(raw(schema), "p", dropped)
    return found, [name.removeprefix("p (").removesuffix(")") for name in dropped]


def adjust(schema: Any) -> Any:
    found = adjusted(raw(schema), "p", {})
    return json.loads(bytes(found)) if isinstance(found, Raw) else found


def check(node: dict[str, Any]) -> None:
    """Only members of Schema, types in capitals, string enums, items in every array, required names that exist."""
    assert node.keys() <= MEMBERS, node
    assert node.get("type", "STRING") in ("STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL")
    assert all(isinstance(value, str) and value for value in node.get("enum", []))
    assert node.get("type") != "ARRAY" or "items" in node
    assert set(node.get("required", [])) <= set(node.get("properties", {}))
    for child in [*node.get("properties", {}).values(), *node.get("anyOf", []), *([node["items"]] if "items" in node else [])]:
        check(child)


# --- Google's Schema ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string"}, {"type": "STRING"}),
        ({"type": ["string", "null"]}, {"type": "STRING", "nullable": True}),
        ({"type": ["string", "integer"]}, {"anyOf": [{"type": "STRING"}, {"type": "INTEGER"}]}),
        (
            {"type": ["array", "string", "null"], "items": {"type": "number"}},
            {"anyOf": [{"type": "ARRAY", "items": {"type": "NUMBER"}}, {"type": "STRING"}], "nullable": True},
        ),
        ({"const": "a"}, {"type": "STRING", "format": "enum", "enum": ["a"]}),
        ({"enum": ["a", "b", "a", ""]}, {"type": "STRING", "format": "enum", "enum": ["a", "b"]}),
        ({"enum": ["a", None]}, {"type": "STRING", "format": "enum", "enum": ["a"], "nullable": True}),
        ({"type": "string", "enum": []}, {"type": "STRING"}),
        ({"const": None}, {"type": "NULL"}),
        ({"type": "integer", "enum": [1, 2]}, {"type": "INTEGER", "description": "One of: 1, 2."}),
        ({"type": "integer", "enum": [1], "description": "D."}, {"type": "INTEGER", "description": "D. One of: 1."}),
        ({"type": "boolean", "const": True}, {"type": "BOOLEAN", "description": "One of: true."}),
        ({"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 9}, {"type": "INTEGER", "minimum": 1, "maximum": 8}),
        ({"type": "number", "exclusiveMinimum": 0}, {"type": "NUMBER", "minimum": 0}),
        ({"type": "integer", "minimum": 5, "exclusiveMinimum": True}, {"type": "INTEGER", "minimum": 6}),
        ({"type": "integer", "minimum": 5, "exclusiveMinimum": 2}, {"type": "INTEGER", "minimum": 5}),
        (
            {"oneOf": [{"type": "string"}, {"type": "null"}], "default": None},
            {"type": "STRING", "nullable": True, "default": None},
        ),
        (
            {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}], "title": "T"},
            {"title": "T", "anyOf": [{"type": "STRING"}, {"type": "INTEGER"}], "nullable": True},
        ),
        ({"type": "array"}, {"type": "ARRAY", "items": {"type": "STRING"}}),
        ({"type": "array", "items": True}, {"type": "ARRAY", "items": {"type": "STRING"}}),
        ({"items": {"type": "number"}}, {"type": "ARRAY", "items": {"type": "NUMBER"}}),
        (
            {"type": "array", "prefixItems": [{"type": "string"}, {"type": "number"}, {"type": "string"}], "minItems": 3},
            {"type": "ARRAY", "items": {"anyOf": [{"type": "STRING"}, {"type": "NUMBER"}]}, "minItems": 3},
        ),
        ({"properties": {"a": {}}, "required": ["a", "b", 5]}, {"type": "OBJECT", "properties": {"a": {}}, "required": ["a"]}),
        ({"type": "object", "properties": {}, "additionalProperties": False}, {"type": "OBJECT"}),
        ({"$schema": "s", "$id": "i", "type": "string", "examples": ["a"], "x-y": 1, "$comment": "c"}, {"type": "STRING"}),
        ({"type": "STRING"}, {"type": "STRING"}),
        ({}, {}),
    ],
)
def test_each_keyword_is_written_as_google_has_it(schema: Any, expected: Any) -> None:
    found, _ = convert(schema)
    check(found)
    assert found == expected


@pytest.mark.parametrize(
    ("schema", "named"),
    [
        ({"type": "object", "additionalProperties": {"type": "string"}}, ["additionalProperties"]),
        ({"type": "string", "not": {"const": "a"}}, ["not"]),
        ({"type": "object", "if": {}, "then": {}, "else": {}, "properties": {"a": {}}}, ["if", "then", "else"]),
        ({"type": "object", "patternProperties": {"^a": {}}}, ["patternProperties"]),
        ({"type": "number", "multipleOf": 2}, ["multipleOf"]),
        ({"type": "number", "exclusiveMaximum": 2}, ["exclusiveMaximum, sent as maximum"]),
        ({"type": "integer", "enum": [1]}, ["enum of numbers, told in the description"]),
        ({"type": "array"}, ["items of any type, sent as strings"]),
        ({"type": "object", "properties": {"a": {}}, "anyOf": [{"required": ["a"]}]}, ["anyOf"]),
        ({"type": "object", "properties": {"a": False}}, ["false"]),
        ({"type": "object", "additionalProperties": False, "$schema": "s", "title": "T", "deprecated": True}, []),
    ],
)
def test_what_restricts_and_is_left_out_is_named(schema: Any, named: list[str]) -> None:
    assert convert(schema)[1] == named


def test_references_are_written_out_where_they_stand() -> None:
    schema = {
        "$defs": {"A": {"type": "object", "properties": {"b": {"$ref": "#/$defs/B c~1d"}}}, "B c/d": {"type": "string"}},
        "type": "object",
        "properties": {
            "one": {"$ref": "#/$defs/A", "description": "D"},
            "two": {"allOf": [{"$ref": "#/$defs/A"}], "default": None},
            "three": {"anyOf": [{"$ref": "#/$defs/A"}, {"type": "null"}]},
            "four": {"$ref": "#/properties/one"},
        },
    }
    a = {"type": "OBJECT", "properties": {"b": {"type": "STRING"}}}
    found, named = convert(schema)
    assert found["properties"] == {
        "one": a | {"description": "D"},
        "two": a | {"default": None},
        "three": a | {"nullable": True},
        "four": a | {"description": "D"},
    }
    assert named == []


def test_all_of_is_merged() -> None:
    schema = {
        "definitions": {"Base": {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}},
        "allOf": [
            {"$ref": "#/definitions/Base"},
            {"properties": {"b": {"type": "integer"}}, "required": ["b"]},
            {"$ref": "#/definitions/Base"},
        ],
        "description": "D",
    }
    assert convert(schema)[0] == {
        "type": "OBJECT",
        "description": "D",
        "properties": {"a": {"type": "STRING"}, "b": {"type": "INTEGER"}},
        "required": ["a", "b"],
    }


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$ref": "#/$defs/N", "$defs": {"N": {"properties": {"next": {"$ref": "#/$defs/N"}}}}},
        {"$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/A"}}, "properties": {"a": {"$ref": "#/$defs/A"}}},
        {"$defs": {"A": {"items": {"anyOf": [{"$ref": "#/$defs/A"}]}}}, "allOf": [{"$ref": "#/$defs/A"}]},
    ],
)
def test_recursion_is_refused_by_name(schema: Any) -> None:
    with pytest.raises(Unsupported, match="refers to itself") as caught:
        convert(schema)
    assert caught.value.param == "p"


def test_the_same_definition_twice_is_no_recursion() -> None:
    schema = {"$defs": {"A": {"type": "string"}}, "properties": {n: {"$ref": "#/$defs/A"} for n in "ab"}}
    assert convert(schema)[0]["properties"] == {"a": {"type": "STRING"}, "b": {"type": "STRING"}}


@pytest.mark.parametrize("keyword", ["properties", "allOf"])
def test_a_small_schema_that_writes_out_to_millions_of_parts_is_refused(keyword: str) -> None:
    def two(name: str) -> Any:
        refs = [{"$ref": f"#/$defs/{name}"}, {"$ref": f"#/$defs/{name}"}]
        return {"properties": dict(zip("ab", refs, strict=True))} if keyword == "properties" else {"allOf": refs}

    schema = two("d0") | {"$defs": {f"d{n}": two(f"d{n + 1}") for n in range(40)} | {"d40": {"type": "string"}}}
    with pytest.raises(Unsupported, match="too large"):
        convert(schema)
    if keyword == "allOf":
        with pytest.raises(Unsupported, match="too large"):
            adjust(schema)


def test_deep_nesting_is_refused_not_crashed_on() -> None:
    deep: Any = {"type": "string"}
    for _ in range(300):
        deep = {"type": "array", "items": deep, "$schema": "s"}
    all_of: Any = {"type": "string"}
    for _ in range(400):
        all_of = {"allOf": [all_of]}
    for schema in (deep, all_of):
        for write in (convert, adjust):
            try:
                write(schema)
            except Unsupported as error:
                assert error.param == "p"


@pytest.mark.parametrize("ref", ["https://x.y/s.json", "other.json#/a"])
def test_references_out_of_the_schema_are_refused(ref: str) -> None:
    with pytest.raises(Unsupported, match="outside"):
        convert({"properties": {"a": {"$ref": ref}}})


def test_a_reference_to_nothing_is_refused() -> None:
    with pytest.raises(Unsupported, match="names no definition"):
        convert({"$ref": "#/$defs/missing"})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["string", "object", "array", "a", "#/$defs/a", "#"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type", "properties", "items", "anyOf", "oneOf", "allOf", "enum", "const", "required", "$ref", "$defs",
                    "a", "nullable", "exclusiveMinimum", "minimum", "prefixItems", "additionalProperties", "description",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=25,
)  # fmt: skip


_TOP = {"type", "properties", "items", "anyOf", "allOf", "$defs", "$ref", "enum"}


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(_TOP)), JSON, max_size=5))
def test_any_json_converts_to_a_valid_schema_or_is_refused(schema: Any) -> None:
    for write in (convert, adjust):
        try:
            found = write(schema)
        except Unsupported as error:
            assert error.param == "p"
            continue
        if write is convert:
            check(found[0])
        else:
            json.dumps(found)


# --- models that read JSON Schema ----------------------------------------------------


def test_a_plain_schema_is_sent_byte_identical() -> None:
    schema = Raw(b'{ "type":"object","properties":{"a":{"type":["string","null"],"pattern":"^a"}},"additionalProperties":false}')
    assert adjusted(schema, "p", {}) is schema


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"properties": {"k": {"const": "a"}}}, {"properties": {"k": {"enum": ["a"], "type": "string"}}}),
        ({"type": "integer", "const": 3}, {"type": "integer", "enum": [3]}),
        ({"const": None}, {"type": "null"}),
        ({"type": "integer", "exclusiveMinimum": 0}, {"type": "integer", "minimum": 1}),
        ({"$schema": "s", "type": "object"}, {"type": "object"}),
        (
            {"definitions": {"A": {"type": "string"}}, "properties": {"a": {"$ref": "#/definitions/A", "description": "D"}}},
            {"$defs": {"A": {"type": "string"}}, "properties": {"a": {"$ref": "#/$defs/A"}}},
        ),
        (
            {"$defs": {"A": {"type": "string"}}, "properties": {"a": {"allOf": [{"$ref": "#/$defs/A"}], "default": 1}}},
            {"$defs": {"A": {"type": "string"}}, "properties": {"a": {"$ref": "#/$defs/A"}}},
        ),
        (
            {"allOf": [{"type": "object", "properties": {"a": {}}}, {"properties": {"b": {}}, "required": ["b"]}]},
            {"type": "object", "properties": {"a": {}, "b": {}}, "required": ["b"]},
        ),
        (
            {"$defs": {"N": {"type": "object", "properties": {"n": {"$ref": "#/$defs/N"}}}}, "$ref": "#/$defs/N"},
            {
                "type": "object",
                "properties": {"n": {"$ref": "#/$defs/N"}},
                "$defs": {"N": {"type": "object", "properties": {"n": {"$ref": "#/$defs/N"}}}},
            },
        ),
    ],
)
def test_only_what_would_be_misread_is_rewritten(schema: Any, expected: Any) -> None:
    assert adjust(schema) == expected


def test_a_property_named_like_a_keyword_is_kept() -> None:
    properties = {name: {"type": "string"} for name in ("const", "$schema", "allOf", "title", "required", "default", "$ref")}
    assert adjust({"type": "object", "properties": properties})["properties"] == properties
    found, named = convert({"type": "object", "properties": properties})
    assert list(found["properties"]) == list(properties) and named == []


def test_parameters_go_into_the_field_that_the_model_reads() -> None:
    schema = {"properties": {"a": {"type": "string"}}}
    new = parameters_out(raw(schema), "p", True, {})
    assert list(new) == ["parametersJsonSchema"]
    assert json.loads(bytes(new["parametersJsonSchema"])) == {"type": "object"} | schema
    old = parameters_out(raw(schema), "p", False, {})
    assert old == {"parameters": {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}}


@pytest.mark.parametrize("schema", [{}, {"type": "object"}, {"type": "object", "properties": {}, "additionalProperties": False}])
def test_no_parameters_are_not_declared_where_an_empty_object_is_refused(schema: Any) -> None:
    assert parameters_out(raw(schema), "p", False, {}) == {}


@pytest.mark.parametrize("schema", [b"[]", b"5", b'"x"', b"null", b'{"a":"\xff"}'])
@pytest.mark.parametrize("new", [True, False])
def test_what_is_no_schema_is_refused(schema: bytes, new: bool) -> None:
    for write in (parameters_out, output_schema):
        if new and schema.startswith(b"{"):
            continue  # strings are not looked into there
        with pytest.raises(Unsupported) as caught:
            write(Raw(schema), "p", new, {})
        assert caught.value.param == "p"


# --- all the schemas that real clients sent -----------------------------------------------


def test_every_recorded_schema_of_other_dialects_converts_to_a_valid_one() -> None:
    seen = 0
    for one in exchanges(endpoint=("chat/completions", "messages", "responses")):
        request = one.request
        schemas = [
            tool.get("function", tool).get("parameters") or tool.get("input_schema") for tool in _dicts(request.get("tools"))
        ]
        form = request.get("response_format") or {}
        schemas.append((form.get("json_schema") or {}).get("schema") if isinstance(form, dict) else None)
        for schema in schemas:
            if isinstance(schema, dict):
                check(convert(schema)[0])
                adjust(schema)
                seen += 1
    assert seen > 300


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def test_the_published_schema_type_has_these_members() -> None:
    folder = traffic_dir()
    spec = None if folder is None else folder.parent / "specs" / "gemini-discovery.json.gz"
    if spec is None or not spec.exists():
        pytest.skip("the published API description is not here")
    assert json.loads(gzip.decompress(spec.read_bytes()))["schemas"]["Schema"]["properties"].keys() == MEMBERS


# --- Google's Schema -> JSON Schema ---------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "STRING", "nullable": True, "enum": ["a"]}, {"type": ["string", "null"], "enum": ["a", None]}),
        ({"type": 6, "properties": {"a": {"type": 1}}}, {"type": "object", "properties": {"a": {"type": "string"}}}),
        ({"any_of": [{"type": "STRING"}], "nullable": True}, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        (
            {"type": "ARRAY", "items": {"type": "NUMBER"}, "min_items": "2"},
            {"type": "array", "items": {"type": "number"}, "minItems": 2},
        ),
        ({"type": "TYPE_UNSPECIFIED", "example": 5, "nullable": False}, {"examples": [5]}),
        (
            {"type": "OBJECT", "properties": {"type": {"type": "STRING"}, "nullable": {"type": "BOOLEAN"}}},
            {"type": "object", "properties": {"type": {"type": "string"}, "nullable": {"type": "boolean"}}},
        ),
    ],
)
def test_googles_schema_reads_as_json_schema(schema: Any, expected: Any) -> None:
    assert json.loads(bytes(json_schema(raw(schema), "p"))) == expected


def test_property_ordering_becomes_the_order_of_the_properties() -> None:
    schema = {"type": "OBJECT", "properties": {"a": {}, "b": {}, "c": {}}, "propertyOrdering": ["c", "a", "x"]}
    assert list(json.loads(bytes(json_schema(raw(schema), "p")))["properties"]) == ["c", "a", "b"]


def test_a_google_schema_nested_too_deep_is_refused() -> None:
    deep: Any = {"type": "STRING"}
    for _ in range(200):
        deep = {"type": "ARRAY", "items": deep}
    with pytest.raises(InvalidRequest, match="levels deep"):
        json_schema(raw(deep), "p")


def test_every_recorded_google_schema_survives_the_way_there_and_back() -> None:
    seen = 0
    for one in exchanges(endpoint=("generateContent", "streamGenerateContent")):
        for tool in one.request.get("tools", []):
            for declaration in tool.get("functionDeclarations", []):
                schema = declaration.get("parameters")
                if schema is None or "type" not in schema:
                    continue
                there = json_schema(raw(schema), "p")
                back = converted(there, "p", {})
                check(back)
                assert set(back.get("properties", {})) == set(schema.get("properties", {})), one.id
                seen += 1
    assert seen > 150
