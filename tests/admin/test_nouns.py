"""Keys, providers, routes and credentials over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from freehold.base.secret import key_digest
from freehold.control.actor import command
from freehold.control.credentials import Credentials, NewCredential
from freehold.control.plane import Plane
from freehold.control.refusal import Forbidden
from freehold.store.credential import unseal
from freehold.store.engine import reading
from freehold.store.tenants import audit, credentials, keys
from tests.control.conftest import actor

LAB = {"dialect": "openai_chat", "base_url": "https://llm.example.com/v1"}
FILE = """
providers: {lab: {dialect: openai_chat, base_url: 'http://127.0.0.1:9/v1', headers: {x-key: abc}, query: {key: abc}}}
routes: {fast: {targets: [{provider: lab, model: m}]}}
keys: [{name: written, key: 0123456789abcdef, models: [fast]}]
"""


def refused(answer: Any, field: str, words: str = "") -> None:
    assert answer.status_code == 422, answer.text
    assert answer.json()["field"] == field and words in answer.json()["detail"], answer.text


# --- keys ---


def test_a_key_lives_from_its_making_to_its_end(api: TestClient, plane: Plane) -> None:
    made = api.post("/keys", json={"name": "bot", "models": ["fast"], "limits": [{"requests": 60, "per": "minute"}]})
    path, secret = f"/keys/{made.json()['id']}", made.json()["key"]
    seen = api.get(path)
    assert "key" not in seen.json() and seen.json()["last4"] == secret[-4:] and secret.startswith(seen.json()["prefix"])
    off = api.patch(path, json={"disabled": True}, headers={"if-match": made.headers["etag"]})
    assert off.json()["disabled"] is True and off.json()["models"] == ["fast"]
    assert api.post(f"{path}/rotate").status_code == 409, "switched off"
    assert api.patch(path, json={"disabled": False}).json()["disabled"] is False
    rotated = api.post(f"{path}/rotate", json={"grace_s": 3600})
    assert rotated.json()["key"] != secret and rotated.json()["old_until_at"] and rotated.headers["etag"] == '"4"'
    with reading(plane.engine) as connection:
        row = connection.execute(select(keys)).one()
    assert row.digest == key_digest(rotated.json()["key"].encode()) and row.old_digest == key_digest(secret.encode())
    assert api.post(f"{path}/rotate", headers={"if-match": '"1"'}).status_code == 412
    assert api.post(f"{path}/rotate", json={"grace_s": -1}).status_code == 422
    assert api.delete(path).status_code == 204 and api.post(f"{path}/rotate").status_code == 404
    with reading(plane.engine) as connection:
        told = "".join(map(str, connection.execute(select(audit))))
    assert secret not in told and rotated.json()["key"] not in told and key_digest(secret.encode()).hex() not in told


def test_what_the_file_owns_is_shown_and_read_only(api: TestClient, tmp_path: Path) -> None:
    file = tmp_path / "freehold.yaml"
    file.write_text(FILE)
    for noun, name in (("keys", "written"), ("providers", "lab"), ("routes", "fast")):
        shown = api.get(f"/{noun}").json()["data"]
        assert [(one["id"], one["source"]) for one in shown] == [(f"file:{name}", "file")]
        assert "abc" not in str(shown) and "0123456789abcdef" not in str(shown)
        path = f"/{noun}/file:{name}"
        assert api.get(path).json()["name"] == name
        for answer in (api.patch(path, json={"name": "x"}), api.delete(path)):
            assert answer.status_code == 409 and str(file) in answer.json()["detail"]
        assert api.get(f"/{noun}/file:other").status_code == api.delete(f"/{noun}/file:other").status_code == 404
    assert api.post("/keys/file:written/rotate").status_code == 409
    assert api.post("/providers", json={"name": "lab", "config": LAB}).status_code == 409
    made = api.post("/routes", json={"name": "mine", "config": {"targets": [{"provider": "lab", "model": "m"}]}})
    assert made.status_code == 201, "routes of the database may go to providers of the file"


# --- providers ---


def test_a_providers_config_is_kept_as_it_was_given(api: TestClient) -> None:
    config = {**LAB, "timeouts": {"connect": 2}, "models": ["large"], "headers": {"x-team": "a"}}
    made = api.post("/providers", json={"name": "lab", "config": config})
    assert made.status_code == 201 and made.json()["config"] == config
    assert api.post("/providers", json={"name": "openai"}).status_code == 201, "known ones need nothing"
    assert api.post("/providers", json={"name": "lab", "config": LAB}).status_code == 409


@pytest.mark.parametrize(
    ("config", "field", "words"),
    [
        ({**LAB, "base_ulr": "x"}, "config.base_ulr", 'did you mean "base_url"'),
        ({**LAB, "timeouts": {"idle": "long"}}, "config.timeouts.idle", "a number"),
        ({**LAB, "dialect": "french"}, "config.dialect", "not known"),
        ({"dialect": "openai_chat"}, "config.base_url", "needs base_url"),
        ({}, "config", "needs dialect and base_url"),
        ({**LAB, "base_url": "ftp://x.example.com"}, "config.base_url", "not an http"),
        ({**LAB, "api_key": "sk-1"}, "config.api_key", "credential"),
        ({**LAB, "headers": {"Authorization": "Bearer x"}}, "config.headers.Authorization", "credential"),
        ({**LAB, "headers": {"X-Api-Key": "x"}}, "config.headers.X-Api-Key", "credential"),
        ({**LAB, "headers": {"x-team": "sk-12345"}}, "config.headers.x-team", "credential"),
        ({**LAB, "query": {"key": "x"}}, "config.query.key", "credential"),
        ({**LAB, "headers": {"x-a": "${HOME}"}}, "config.headers.x-a", "freehold.yaml alone"),
        ({**LAB, "query": {"a": "file:/etc/passwd"}}, "config.query.a", "freehold.yaml alone"),
        ({**LAB, "models": ["a", "vault:x#y"]}, "config.models[1]", "freehold.yaml alone"),
        ({**LAB, "base_url": "https://${HOST}/v1"}, "config.base_url", "freehold.yaml alone"),
        ({**LAB, "ca_file": "/etc/passwd"}, "config.ca_file", "operators"),
        ({**LAB, "credential": {"type": "aws"}}, "config.credential", "operators"),
        ({**LAB, "base_url": "http://169.254.169.254/v1"}, "config.base_url", "public internet"),
        ({**LAB, "base_url": "http://localhost:8000/v1"}, "config.base_url", "private_networks"),
        ({**LAB, "base_url": "http://{resource}/v1", "resource": "127.0.0.1"}, "config.base_url", "public internet"),
        ({**LAB, "also": {"anthropic": "http://10.0.0.1/v1"}}, "config.also.anthropic", "public internet"),
    ],
)
def test_a_config_is_checked_as_in_the_file_and_may_do_less(api: TestClient, config: Any, field: str, words: str) -> None:
    refused(api.post("/providers", json={"name": "lab", "config": config}), field, words)
    assert api.get("/providers").json()["data"] == []


def test_a_known_provider_on_this_machine_is_inside_too(api: TestClient, tmp_path: Path) -> None:
    refused(api.post("/providers", json={"name": "ollama"}), "config.base_url", "public internet")
    (tmp_path / "freehold.yaml").write_text("admin: {private_networks: true}")
    assert api.post("/providers", json={"name": "ollama"}).status_code == 201
    assert api.post("/providers", json={"name": "lab", "config": {**LAB, "base_url": "http://10.1.2.3/v1"}}).status_code == 201


def test_every_mistake_is_told_at_once(api: TestClient) -> None:
    answer = api.post("/providers", json={"name": "lab", "config": {**LAB, "api_key": "x", "ca_file": "y", "zone": "z"}})
    assert [one["field"] for one in answer.json()["errors"]] == ["config.api_key", "config.ca_file", "config.zone"]
    deep: Any = 1
    for _ in range(40):
        deep = {"a": deep}
    assert api.post("/providers", json={"name": "lab", "config": deep}).status_code == 422


def test_a_provider_in_use_stays_and_its_credentials_go_with_it(api: TestClient, plane: Plane) -> None:
    path = f"/providers/{api.post('/providers', json={'name': 'lab', 'config': LAB}).json()['id']}"
    api.post("/credentials", json={"name": "main", "provider": "lab", "secret": "sk-0123456789abcdef"})
    route = api.post("/routes", json={"name": "fast", "config": {"targets": [{"provider": "lab", "model": "m"}]}})
    assert route.status_code == 201, route.text
    for answer in (
        api.delete(path),
        api.patch(path, json={"name": "x"}),
        api.patch(path, json={"config": {**LAB, "enabled": False}}),
    ):
        assert answer.status_code == 409 and "fast" in answer.json()["detail"]
    assert api.delete(f"/routes/{route.json()['id']}").status_code == 204
    assert api.delete(path).status_code == 204 and api.get("/credentials").json()["data"] == []
    acts = [(one["action"], one["kind"]) for one in api.get("/audit").json()["data"][:2]]
    assert acts == [("delete", "provider"), ("delete", "credential")]


# --- routes ---


@pytest.mark.parametrize(
    ("name", "config", "field"),
    [
        ("fast", {"targets": [{"provider": "nobody", "model": "m"}]}, "config.targets[0].provider"),
        ("fast", {"targets": [{"provider": "sandbox", "model": ""}]}, "config.targets[0].model"),
        ("fast", {"targets": []}, "config.targets"),
        ("fast", {"targets": [{"provider": "sandbox", "model": "m"}], "retries": 9}, "config.retries"),
        ("fast", {"targets": [{"provider": "sandbox", "model": "m", "price": {"input": 1}}]}, "config.targets[0].price.output"),
        ("a*", {"targets": [{"provider": "sandbox", "model": "m"}]}, "name"),
        ("openai/x", {"targets": [{"provider": "sandbox", "model": "m"}]}, "name"),
    ],
)
def test_a_route_is_checked_as_in_the_file(api: TestClient, name: str, config: Any, field: str) -> None:
    refused(api.post("/routes", json={"name": name, "config": config}), field)


def test_what_keys_can_ask_for_is_listed(api: TestClient) -> None:
    api.post("/providers", json={"name": "lab", "config": {**LAB, "models": ["large"]}})
    api.post("/routes", json={"name": "fast", "config": {"targets": [{"provider": "lab", "model": "m"}]}})
    found = api.get("/models", params={"limit": 1}).json()
    assert found["data"] == [
        {"id": "fast", "kind": "route", "context_tokens": None, "pricing": None, "deprecated": False, "targets": ["lab/m"]}
    ]
    seen = [found["data"][0]["id"]]
    while found["next"]:
        found = api.get("/models", params={"limit": 1, "cursor": found["next"]}).json()
        seen += [one["id"] for one in found["data"]]
    assert "lab/large" in seen and len(seen) == len(set(seen))
    assert [one["id"] for one in api.get("/models", params={"text": "large"}).json()["data"]] == ["lab/large"]


# --- credentials ---


def test_a_secret_is_given_once_and_never_seen_again(api: TestClient, plane: Plane) -> None:
    first, second = "sk-first-0123456789", "sk-second-987654321"
    made = api.post("/credentials", json={"name": "main", "provider": "openai", "secret": first})
    assert made.status_code == 201 and made.json()["last4"] == "6789" and made.json()["reference"] is None
    path = f"/credentials/{made.json()['id']}"
    replaced = api.patch(path, json={"secret": second})
    assert replaced.json()["last4"] == "4321" and api.patch(path, json={"disabled": True}).json()["disabled"] is True
    said = [made.text, replaced.text, api.get(path).text, api.get("/credentials").text, api.get("/audit").text]
    assert not any(secret in text for secret in (first, second) for text in said)
    assert [one["action"] for one in api.get("/audit", params={"kind": "credential"}).json()["data"]] == [
        "update",
        "replace",
        "create",
    ]
    with plane.writing(command()) as change:
        row = change.connection.execute(select(credentials)).one()
        assert second.encode() not in row.secret
        assert unseal(change.data_key(), row.id, row.secret).text == second


def test_of_a_short_secret_nothing_is_shown(api: TestClient) -> None:
    made = api.post("/credentials", json={"name": "main", "provider": "openai", "secret": "short-secret"})
    assert made.status_code == 201 and made.json()["last4"] == ""


@pytest.mark.parametrize("secret", ["", "with space", "tab\t", "ümlaut", "x" * 20_000, "a\nb"])
def test_what_is_no_secret_is_refused_and_not_repeated(api: TestClient, secret: str) -> None:
    answer = api.post("/credentials", json={"name": "main", "provider": "openai", "secret": secret})
    refused(answer, "secret")
    assert not secret or secret not in answer.text
    refused(api.post("/credentials", json={"name": "m", "provider": "nobody", "secret": "sk"}), "provider", "make it first")


@pytest.mark.parametrize("secret", ["file:/etc/passwd", "vault:secret/openai#key", "${HOME}"])
def test_only_operators_may_refer_to_secrets_of_the_server(api: TestClient, plane: Plane, secret: str) -> None:
    given = NewCredential(name="main", provider="openai", secret=secret)
    assert api.post("/credentials", json=given.model_dump(mode="json")).status_code == 403
    with pytest.raises(Forbidden):
        Credentials().create(plane, actor("owner"), given)
    made = Credentials().create(plane, command(), given)
    assert made.reference == secret and made.last4 == ""
