"""A bounded part of what `make fuzz-api` does, and what no document describes: bodies that are no bodies."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from freehold.admin.app import make_app
from freehold.admin.outer import MAX_BODY_BYTES, Outer
from freehold.admin.who import who
from freehold.control.plane import Plane
from tests.admin.conftest import BASE, client, service
from tests.admin.fuzzing import fuzz
from tests.admin.operations import MAKERS, OPERATIONS

WITH_BODY = [operation for operation in OPERATIONS if "requestBody" in operation.document]
DEEP = "[" * 100_000 + "]" * 100_000
HOSTILE: dict[str, bytes] = {
    "empty": b"",
    "no JSON": b"{",
    "invalid UTF-8": b'{"name": "\xff\xfe"}',
    "NUL": b'{"name": "a\\u0000b"}',
    "raw NUL": b'{"name": "a\x00b"}',
    "lone surrogate": b'{"name": "\\ud800", "config": {"a": "\\ud800"}, "metadata": {"\\udfff": "x"}}',
    "deep": b'{"name": "a", "config": ' + DEEP.encode() + b"}",
    "deep enough to be read": b'{"name": "a", "metadata": {}, "config": ' + b'{"a":' * 400 + b"1" + b"}" * 400 + b"}",
    "huge int": b'{"name": "a", "grace_s": ' + b"9" * 5000 + b', "config": {"retries": ' + b"9" * 4000 + b"}}",
    "large int": b'{"name": "a", "grace_s": 99999999999999999999, "limits": [{"requests": 99999999999999999999}]}',
    "infinite": b'{"name": "a", "budgets": [{"usd": Infinity}], "config": {"a": NaN}}',
    "no object": b"[1, 2]",
    "null": b"null",
    "a time past all": b'{"name": "a", "expires_at": "9999-12-31T23:59:59-14:00"}',
    "many names": json.dumps({f"n{n}": n for n in range(20_000)}).encode(),
}


def test_nothing_departs_from_the_document(plane: Plane) -> None:
    figures = fuzz(plane, service(plane, "owner"), examples=12)
    assert sum(figures.statuses.values()) >= 12 * len(OPERATIONS) * 0.5
    assert figures.statuses["200"] and figures.statuses["201"] and figures.statuses["422"], "both ways are gone"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_body_is_refused_as_a_problem(plane: Plane, name: str) -> None:
    asked = client(plane, service(plane, "owner"))
    for operation in WITH_BODY:
        noun = operation.path.strip("/").partition("/")[0]
        real = MAKERS[noun](plane, "default", "member_owner") if "{" in operation.path and noun in MAKERS else "none"
        path = operation.path.replace("{id}", real)
        answer = asked.request(operation.method, path, content=HOSTILE[name], headers={"content-type": "application/json"})
        if operation.id == "rotate_key" and name in ("empty", "null"):
            assert answer.status_code == 200, "its body may be left out"
            continue
        assert 400 <= answer.status_code < 500, f"{operation.id}: {answer.text[:300]}"
        assert answer.headers["content-type"] == "application/problem+json" and answer.json()["status"] == answer.status_code


@pytest.mark.parametrize("field", ["path", "cursor", "filter", "workspace", "version"])
def test_a_hostile_place_is_refused_as_a_problem(plane: Plane, field: str) -> None:
    asked = client(plane, service(plane, "owner"))
    texts = ["%00", "%ff%fe", "%ed%a0%80", "a%0ab", "%27%20OR%201=1", "x" * 150, "9" * 150]
    for operation in OPERATIONS:
        for text in texts:
            headers: dict[Any, Any] = {}
            path = operation.path.replace("{id}", text if field == "path" else "none")
            if field in ("cursor", "filter"):
                path += (
                    f"?cursor={text}"
                    if field == "cursor"
                    else f"?name={text}&provider={text}&actor={text}&disabled={text}&from={text}"
                )
            if field == "workspace":
                headers[b"x-freehold-workspace"] = text.encode() + b"\xff"
            if field == "version":
                headers[b"if-match"] = b'"' + text.encode() + b'"'
            body = {} if operation.method in ("POST", "PATCH") else None
            answer = asked.request(operation.method, path, json=body, headers=headers)
            assert answer.status_code < 500, f"{operation.id} {text}: {answer.text[:300]}"


def test_a_body_that_is_too_large_is_refused(plane: Plane) -> None:
    asked = TestClient(Outer(make_app(plane, who), lambda: ""), base_url=BASE)
    for operation in WITH_BODY:
        content = b'{"name": "' + b"x" * MAX_BODY_BYTES + b'"}'
        for sent in (content, iter([content[:1000], content[1000:]])):
            answer = asked.request(operation.method, operation.path.replace("{id}", "none"), content=sent)
            assert answer.status_code == 413 and answer.json()["status"] == 413, operation.id
