"""The OpenAPI document: whole, and true. That answers are as it says is test_fuzzing.py's matter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from freehold.admin.app import make_app
from freehold.admin.request import ANYONE
from freehold.admin.who import who
from tests.admin.operations import OPERATIONS, Operation

DOCUMENT: dict[str, Any] = make_app(None, who).openapi()  # type: ignore[arg-type]  # nothing is asked
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]


def refs(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        node = list(node.values())
    if isinstance(node, list):
        for one in node:
            yield from refs(one)


def test_every_reference_leads_somewhere() -> None:
    for ref in set(refs(DOCUMENT)):
        found: Any = DOCUMENT
        for step in ref.removeprefix("#/").split("/"):
            found = found[step]
    assert DOCUMENT["openapi"] == "3.1.0" and "HTTPValidationError" not in SCHEMAS


def test_it_says_how_to_sign_in() -> None:
    assert DOCUMENT["security"] == [{"token": []}, {"session": []}]
    assert {scheme["type"] for scheme in DOCUMENT["components"]["securitySchemes"].values()} == {"http", "apiKey"}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.id)
def test_every_refusal_is_a_problem_that_is_documented(operation: Operation) -> None:
    document, responses = operation.document, operation.document["responses"]
    assert document["summary"] and document["tags"]
    needed = {"422", "500", "503"} | (set() if operation.scope == ANYONE else {"401", "403"})
    needed |= {"404"} if "{" in operation.path else set()
    needed |= {"400", "409", "413"} if "requestBody" in document else set()
    assert needed <= set(responses)
    for status, response in responses.items():
        if status >= "4":
            name = response["$ref"].rpartition("/")[2]
            assert list(DOCUMENT["components"]["responses"][name]["content"]) == ["application/problem+json"]


@pytest.mark.parametrize("name", SCHEMAS)
def test_examples_are_what_they_are_examples_of(name: str) -> None:
    for field, schema in SCHEMAS[name].get("properties", {}).items():
        for example in schema.get("examples", ()):
            whole = {**schema, "components": DOCUMENT["components"]}
            jsonschema_rs.validator_for(whole).validate(example), f"{name}.{field}"


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if "requestBody" in o.document], ids=lambda o: o.id)
def test_what_is_sent_has_examples_and_is_explained(operation: Operation) -> None:
    body = operation.document["requestBody"]["content"]["application/json"]["schema"]
    ref = body.get("$ref") or next(part["$ref"] for part in body["anyOf"] if "$ref" in part)
    fields = SCHEMAS[ref.rpartition("/")[2]]["properties"]
    bare = [n for n, field in fields.items() if not field.get("description") and n not in ("name", "expires_at")]
    assert not bare, f"without a description: {bare}"
