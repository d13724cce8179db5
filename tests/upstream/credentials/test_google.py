from __future__ import annotations

import base64
from pathlib import Path
from time import time
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from msgspec import json

from freehold.base.errors import CredentialUnavailable
from freehold.config.schema import CredentialConfig
from freehold.upstream.credentials.google import google_credential
from freehold.upstream.credentials.rotating import Bearer
from tests.upstream.credentials.asking import Places

TOKEN = "https://oauth2.googleapis.com/token"
METADATA = "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
GIVEN = {"access_token": "ya29.tok", "expires_in": 3599, "token_type": "Bearer"}


def pem(key: Any) -> str:
    form, none = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return str(key.private_bytes(serialization.Encoding.PEM, form, none).decode())


def account(**change: Any) -> dict[str, Any]:
    return {
        "type": "service_account",
        "project_id": "p",
        "private_key_id": "kid1",
        "private_key": pem(KEY),
        "client_email": "sa@p.iam.gserviceaccount.com",
        "token_uri": "https://thief.example/token",
    } | change


def credential(file: Path | None, places: Places, **env: str) -> Bearer:
    config = CredentialConfig(type="google", file=str(file) if file else None)
    return google_credential("vertex", config, places, {"HOME": "/nowhere"} | env)


def written(folder: Path, value: Any, name: str = "creds.json") -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(value if isinstance(value, bytes) else json.encode(value))
    return file


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


async def problem(google: Bearer) -> str:
    with pytest.raises(CredentialUnavailable) as raised:
        await google.ready()
    assert "'vertex'" in str(raised.value) and "PRIVATE" not in str(raised.value)
    return str(raised.value)


async def test_a_service_account_signs_for_a_token_at_googles_own_address(tmp_path: Path) -> None:
    places = Places()
    places.answers[TOKEN] = (200, GIVEN)
    google = credential(written(tmp_path, account()), places)
    await google.ready()
    assert google.lines("POST", "h", "/", b"") == b"authorization: Bearer ya29.tok\r\n"
    sent = parse_qs(places.seen[0].body)
    assert sent["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    head, claims, signature = sent["assertion"][0].split(".")
    KEY.public_key().verify(decoded(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256())
    assert json.decode(decoded(head)) == {"alg": "RS256", "typ": "JWT", "kid": "kid1"}
    said = json.decode(decoded(claims))
    assert (said["iss"], said["aud"]) == ("sa@p.iam.gserviceaccount.com", TOKEN)
    assert said["exp"] - said["iat"] == 3600 and abs(said["iat"] - time()) < 60
    assert said["scope"] == "https://www.googleapis.com/auth/cloud-platform"


async def test_a_users_login_is_refreshed(tmp_path: Path) -> None:
    places = Places()
    places.answers[TOKEN] = (200, GIVEN)
    user = {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r/1"}
    await credential(written(tmp_path, user), places).ready()
    assert parse_qs(places.seen[0].body) == {
        "grant_type": ["refresh_token"],
        "client_id": ["c"],
        "client_secret": ["s"],
        "refresh_token": ["r/1"],
    }


async def test_where_the_file_is_looked_for(tmp_path: Path) -> None:
    user = {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "mine"}
    named, gcloud = written(tmp_path, user), tmp_path / "home"
    written(gcloud, user | {"refresh_token": "gcloud"}, ".config/gcloud/application_default_credentials.json")
    for env, token in (({"GOOGLE_APPLICATION_CREDENTIALS": str(named)}, "mine"), ({}, "gcloud")):
        places = Places()
        places.answers[TOKEN] = (200, GIVEN)
        await credential(None, places, **({"HOME": str(gcloud)} | env)).ready()
        assert f"refresh_token={token}" in places.seen[0].body


async def test_without_a_file_the_metadata_server_is_asked() -> None:
    places = Places()
    places.answers[METADATA] = (200, GIVEN)
    google = credential(None, places)
    await google.ready()
    assert places.seen[0].headers == {"metadata-flavor": "Google"}
    assert "no Google credentials file" in await problem(credential(None, Places()))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"not json", "is not a Google credentials file"),
        ({"type": "external_account"}, "no whole credential"),
        (account(client_email=""), "no whole credential"),
        (account(private_key="-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----"), "not an RSA key"),
        (account(private_key=pem(ec.generate_private_key(ec.SECP256R1()))), "not an RSA key"),
    ],
)
async def test_a_file_that_cannot_be_used_is_told(content: Any, says: str, tmp_path: Path) -> None:
    places = Places()
    assert says in await problem(credential(written(tmp_path, content), places))
    assert places.seen == []


async def test_a_refusal_is_told_by_its_code_alone(tmp_path: Path) -> None:
    places = Places()
    places.answers[TOKEN] = (400, {"error": "invalid_grant", "error_description": "hush"})
    text = await problem(credential(written(tmp_path, account()), places))
    assert "400 invalid_grant" in text and "hush" not in text


@pytest.mark.parametrize("reply", [b"", {"access_token": 5}, {"access_token": "a b", "expires_in": 5}, {"access_token": "a"}])
async def test_a_reply_without_a_token_is_told(reply: Any, tmp_path: Path) -> None:
    places = Places()
    places.answers[TOKEN] = (200, reply)
    assert "a b" not in await problem(credential(written(tmp_path, account()), places))
