from __future__ import annotations

from pathlib import Path
from time import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from freehold.base.errors import CredentialUnavailable
from freehold.config.schema import CredentialConfig
from freehold.upstream.credentials.azure import azure_credential
from freehold.upstream.credentials.rotating import Bearer
from tests.upstream.credentials.asking import Places

ENTRA = "https://login.microsoftonline.com/t-1/oauth2/v2.0/token"
METADATA = "http://169.254.169.254/metadata/identity/oauth2/token"
GIVEN = {"access_token": "ey.tok", "expires_in": 3599, "token_type": "Bearer"}
APP = {"AZURE_TENANT_ID": "t-1", "AZURE_CLIENT_ID": "c-1"}


def credential(places: Places, env: dict[str, str], **given: Any) -> Bearer:
    return azure_credential("azure", CredentialConfig(type="azure", **given), places, env)


async def line(azure: Bearer) -> bytes:
    await azure.ready()
    return azure.lines("POST", "h", "/", b"")


async def problem(azure: Bearer) -> str:
    with pytest.raises(CredentialUnavailable) as raised:
        await azure.ready()
    assert "'azure'" in str(raised.value)
    return str(raised.value)


async def test_an_applications_secret() -> None:
    places = Places()
    places.answers[ENTRA] = (200, GIVEN)
    azure = credential(places, APP | {"AZURE_CLIENT_ID": "other"}, client_id="c-1", client_secret="s+1")
    assert await line(azure) == b"authorization: Bearer ey.tok\r\n"
    assert parse_qs(places.seen[0].body) == {
        "grant_type": ["client_credentials"],
        "client_id": ["c-1"],
        "client_secret": ["s+1"],
        "scope": ["https://cognitiveservices.azure.com/.default"],
    }


async def test_a_workload_identity(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("jwt-1\n")
    places = Places()
    places.answers[ENTRA] = (200, GIVEN)
    await line(credential(places, APP | {"AZURE_FEDERATED_TOKEN_FILE": str(tmp_path / "token")}, scope="api://x/.default"))
    sent = parse_qs(places.seen[0].body)
    assert sent["client_assertion"] == ["jwt-1"] and sent["scope"] == ["api://x/.default"]


async def test_a_managed_identity_of_the_machine() -> None:
    places = Places()
    places.answers[METADATA] = (200, GIVEN | {"expires_in": "3599"})
    await line(credential(places, {}, client_id="user-assigned"))
    assert places.seen[0].headers == {"metadata": "true"}
    assert parse_qs(urlsplit(places.seen[0].url).query) == {
        "api-version": ["2018-02-01"],
        "resource": ["https://cognitiveservices.azure.com"],
        "client_id": ["user-assigned"],
    }
    assert "no managed identity" in await problem(credential(Places(), {}))


async def test_a_managed_identity_of_app_service_says_only_when_the_token_ends() -> None:
    places = Places()
    places.answers["http://127.0.0.1:41/msi"] = (200, {"access_token": "t", "expires_on": str(int(time()) + 600)})
    env = {"IDENTITY_ENDPOINT": "http://127.0.0.1:41/msi", "IDENTITY_HEADER": "h-1"}
    assert await line(credential(places, env)) == b"authorization: Bearer t\r\n"
    assert places.seen[0].headers == {"x-identity-header": "h-1"}


ELSEWHERE = ("http://else.example/", "http://169.254.evil.example/", "http://8.8.8.8/", "http://[bad", "https:///x")


@pytest.mark.parametrize("env", [{"IDENTITY_ENDPOINT": url, "IDENTITY_HEADER": "h"} for url in ELSEWHERE])
async def test_an_identity_header_goes_to_this_machine_or_by_https(env: dict[str, str]) -> None:
    places = Places()
    assert "neither https nor this machine" in await problem(credential(places, env))
    assert places.seen == []


async def test_a_secret_goes_to_known_authorities_only() -> None:
    places = Places()
    text = await problem(credential(places, APP | {"AZURE_AUTHORITY_HOST": "https://thief.example"}, client_secret="hush"))
    assert "AZURE_AUTHORITY_HOST is none of" in text and places.seen == []


async def test_another_cloud_has_another_authority() -> None:
    places = Places()
    places.answers["https://login.microsoftonline.us/t-1/oauth2/v2.0/token"] = (200, GIVEN)
    await line(credential(places, APP | {"AZURE_AUTHORITY_HOST": "https://login.microsoftonline.us/"}, client_secret="s"))


async def test_a_refusal_is_told_by_its_codes_alone() -> None:
    places = Places()
    says = "AADSTS7000215: Invalid client secret provided for hush."
    places.answers[ENTRA] = (401, {"error": "invalid_client", "error_description": says})
    text = await problem(credential(places, APP, client_secret="s3cret"))
    assert "401 invalid_client AADSTS7000215" in text and "hush" not in text and "s3cret" not in text


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"[]",
        {},
        {"access_token": "t"},
        {"access_token": "t", "expires_in": "soon"},
        {"access_token": "a b", "expires_in": 9},
    ],
)
async def test_a_reply_without_a_token_is_told(reply: Any) -> None:
    places = Places()
    places.answers[ENTRA] = (200, reply)
    await problem(credential(places, APP, client_secret="s"))
