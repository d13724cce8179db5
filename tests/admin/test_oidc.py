"""Single sign-on from the browser's first request to its session, against a real identity provider."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi.testclient import TestClient
from msgspec import json
from sqlalchemy import select

from freehold.admin.app import make_app
from freehold.admin.who import who
from freehold.control.plane import Plane
from freehold.store.engine import reading
from freehold.store.tenants import identities, members, users
from tests.admin.conftest import workspace
from tests.control.people import ADA, BOB, acts, member_of, person
from tests.oidc import Idp, idp


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Idp]:
    with idp(tmp_path_factory.mktemp("idp")) as running:
        yield running


def configured(folder: Path, provider: Idp, **more: Any) -> None:
    one = {"name": "corp", "issuer": provider.issuer, "client_id": "freehold", "client_secret": "s3cret", **more}
    (folder / "freehold.yaml").write_bytes(json.encode({"sign_in": {"oidc": [one]}}))


def browser(plane: Plane, base: str = "http://test") -> TestClient:
    return TestClient(make_app(plane, who), base_url=base, follow_redirects=False)


def start(client: TestClient, after: str = "/") -> str:
    answer = client.get("/api/v1/auth/oidc/corp/start", params={"next": after})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def signed_in(client: TestClient, provider: Idp, subject: str, after: str = "/") -> Any:
    return client.get(provider.lets_in(start(client, after), subject))


def test_a_person_signs_up_with_the_role_of_their_group_and_it_follows_the_group(
    plane: Plane, provider: Idp, tmp_path: Path
) -> None:
    workspace(plane, "lab")
    roles = {"staff": "member", "leads": "admin", "lab": {"workspace": "lab", "role": "viewer"}}
    configured(tmp_path, provider, allow_sign_up=True, roles=roles)
    provider.knows("ada", email=ADA, email_verified=True, name="Ada Lovelace", groups=["staff", "lab"])
    client = browser(plane)
    url = start(client, "/keys?x=1")
    asked = {name: value[0] for name, value in parse_qs(urlsplit(url).query).items()}
    assert asked["code_challenge_method"] == "S256" and len(asked["code_challenge"]) == 43
    assert asked["response_type"] == "code" and asked["scope"] == "openid email profile"
    assert len(asked["state"]) >= 43 and len(asked["nonce"]) >= 43
    assert asked["redirect_uri"] == "http://test/api/v1/auth/oidc/corp/callback"
    answer = client.get(provider.lets_in(url, "ada"))
    assert answer.status_code == 303 and answer.headers["location"] == "/keys?x=1", answer.text
    me = client.get("/api/v1/me").json()
    assert me["name"] == ADA and {(one["workspace"], one["role"]) for one in me["workspaces"]} == {
        ("default", "member"),
        ("lab", "viewer"),
    }
    assert not me["password"] and "freehold_oidc" not in client.cookies
    provider.knows("ada", email=ADA, email_verified=True, groups=["leads"])
    assert signed_in(client, provider, "ada").status_code == 303
    assert [(one["workspace"], one["role"]) for one in client.get("/api/v1/me").json()["workspaces"]] == [("default", "admin")]
    assert member_of(plane, me["id"], "lab")["disabled"]
    provider.knows("ada", email=ADA, email_verified=True, groups=[])
    refused = signed_in(client, provider, "ada")
    assert refused.status_code == 403 and "none of your groups" in refused.json()["detail"]
    assert acts(plane)[-1] == "sign_in_failed user" and "linked user" in acts(plane)


def test_an_account_is_linked_by_a_verified_address_alone(plane: Plane, provider: Idp, tmp_path: Path) -> None:
    user_id = person(plane)
    configured(tmp_path, provider)
    client = browser(plane)
    provider.knows("ada2", email=ADA)
    assert signed_in(client, provider, "ada2").status_code == 403
    provider.knows("ada2", email=ADA, email_verified=False)
    assert signed_in(client, provider, "ada2").status_code == 403
    provider.knows("ada2", email=ADA, email_verified=True)
    assert signed_in(client, provider, "ada2").status_code == 303
    assert client.get("/api/v1/me").json()["id"] == user_id
    # Made by hand: what groups say does not count.
    assert client.get("/api/v1/me").json()["workspaces"][0]["role"] == "owner"
    # The address went to somebody else there.
    provider.knows("eve", email=ADA, email_verified=True)
    assert signed_in(browser(plane), provider, "eve").status_code == 403
    with reading(plane.engine) as connection:
        assert list(connection.execute(select(identities.c.subject))) == [("ada2",)]


def test_nobody_signs_up_uninvited_or_with_an_address_of_elsewhere(plane: Plane, provider: Idp, tmp_path: Path) -> None:
    provider.knows("bob", email=BOB, email_verified=True, groups=["staff"])
    provider.knows("mallory", email="mallory@example.com.evil.test", email_verified=True, groups=["staff"])
    configured(tmp_path, provider, roles={"staff": "member"})
    assert signed_in(browser(plane), provider, "bob").status_code == 403
    configured(tmp_path, provider, roles={"staff": "member"}, allow_sign_up=True, domains=["example.com"])
    assert signed_in(browser(plane), provider, "mallory").status_code == 403
    with reading(plane.engine) as connection:
        assert not connection.execute(select(users)).all() and not connection.execute(select(members)).all()
    assert signed_in(browser(plane), provider, "bob").status_code == 303


def test_a_session_is_a_new_one_whatever_cookie_was_planted(plane: Plane, provider: Idp, tmp_path: Path) -> None:
    person(plane)
    configured(tmp_path, provider)
    provider.knows("ada3", email=ADA, email_verified=True)
    client = browser(plane)
    client.cookies.set("freehold_session", "planted")
    answer = signed_in(client, provider, "ada3")
    cookie = next(one for one in answer.headers.get_list("set-cookie") if one.startswith("freehold_session="))
    assert "planted" not in cookie and "HttpOnly" in cookie and "samesite=strict" in cookie.lower()


def test_the_way_back_is_for_the_browser_that_was_sent_and_for_what_it_was_sent_with(
    plane: Plane, provider: Idp, tmp_path: Path
) -> None:
    person(plane)
    configured(tmp_path, provider)
    provider.knows("ada4", email=ADA, email_verified=True)
    victim, attacker = browser(plane), browser(plane)
    back = provider.lets_in(start(attacker), "ada4")
    assert victim.get(back).status_code == 403, "a browser that never began"
    start(victim)
    assert victim.get(back).status_code == 403, "one that began something else"
    state = parse_qs(urlsplit(back).query)["state"][0]
    assert attacker.get(back.replace(state, "x" * 43)).status_code == 403, "another state"
    assert attacker.get(back.split("code=")[0] + "state=" + state).status_code == 403, "no code"
    forged = attacker.cookies["freehold_oidc"]
    attacker.cookies.clear()
    attacker.cookies.set("freehold_oidc", forged[:-2] + ("00" if forged[-2:] != "00" else "11"))
    assert attacker.get(back).status_code == 403, "a cookie that was altered"
    attacker.cookies.clear()
    attacker.cookies.set("freehold_oidc", forged)
    # A code of another flow, put into this one: its nonce, and its PKCE verifier, are not this browser's.
    other = browser(plane)
    theirs = parse_qs(urlsplit(provider.lets_in(start(other), "ada4")).query)["code"][0]
    mine = parse_qs(urlsplit(back).query)["code"][0]
    assert attacker.get(back.replace(mine, theirs)).status_code == 403
    assert attacker.get(back).status_code == 303
    attacker.cookies.clear()
    attacker.cookies.set("freehold_oidc", forged)
    assert attacker.get(back).status_code == 403, "a code counts once"


def test_a_provider_that_lets_nobody_in_is_told_as_such(plane: Plane, provider: Idp, tmp_path: Path) -> None:
    configured(tmp_path, provider)
    client = browser(plane)
    answer = client.get(provider.lets_in(start(client), "ada", "deny"))
    assert answer.status_code == 403, "what a provider says of why is shown only where it is a plain word"
    assert client.get("/api/v1/auth/oidc/nowhere/start").status_code == 404


@pytest.mark.parametrize(
    "after",
    ["//evil.test", "https://evil.test", "/\\evil.test", "\\\\evil.test", "/%0d%0aset-cookie:x=y\r\nx: y", "javascript:1", ""],
)
def test_nobody_is_led_elsewhere(plane: Plane, provider: Idp, tmp_path: Path, after: str) -> None:
    person(plane)
    configured(tmp_path, provider)
    provider.knows("ada5", email=ADA, email_verified=True)
    answer = signed_in(browser(plane), provider, "ada5", after)
    assert answer.status_code == 303 and answer.headers["location"] == "/" and "x" not in answer.cookies


def test_behind_a_proxy_the_way_back_is_what_is_configured(plane: Plane, provider: Idp, tmp_path: Path) -> None:
    person(plane)
    configured(tmp_path, provider)
    text = json.decode((tmp_path / "freehold.yaml").read_bytes())
    text["sign_in"]["url"] = "https://freehold.example.com"
    (tmp_path / "freehold.yaml").write_bytes(json.encode(text))
    client = browser(plane, "http://internal:8081")
    answer = client.get("/api/v1/auth/oidc/corp/start")
    asked = parse_qs(urlsplit(answer.headers["location"]).query)
    assert asked["redirect_uri"] == ["https://freehold.example.com/api/v1/auth/oidc/corp/callback"]
    assert answer.headers["set-cookie"].startswith("__Host-freehold_oidc=") and "Secure" in answer.headers["set-cookie"]


def test_signing_out_can_lead_to_signing_out_there(plane: Plane, provider: Idp, tmp_path: Path) -> None:
    person(plane)
    configured(tmp_path, provider, logout=True)
    provider.knows("ada6", email=ADA, email_verified=True)
    client = browser(plane)
    assert signed_in(client, provider, "ada6").status_code == 303
    token = client.get("/api/v1/me").json()["csrf_token"]
    out = client.post("/api/v1/auth/sign-out", headers={"origin": "http://test", "x-csrf-token": token})
    assert out.json()["logout_url"].startswith(f"{provider.issuer}/oauth2/end_session?client_id=freehold&post_logout")
    assert client.get("/api/v1/me").status_code == 401


def test_a_provider_that_can_not_be_asked_lets_nobody_in(plane: Plane, provider: Idp, tmp_path: Path) -> None:
    configured(tmp_path, provider, issuer="http://127.0.0.1:9")
    answer = browser(plane).get("/api/v1/auth/oidc/corp/start")
    assert answer.status_code == 403 and "127.0.0.1" not in answer.text
