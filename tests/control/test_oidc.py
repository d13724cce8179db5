"""What an ID token must be, with tokens of our own making: a real provider makes no bad ones."""

from __future__ import annotations

import base64
import hmac
import time
from collections.abc import Mapping
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey
from msgspec import json

from freehold.config.schema import OidcConfig
from freehold.control.oidc import OidcError, Provider

ISSUER = "https://idp.example.com"
KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
OTHER = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
NONCE = "n" * 43


class Told(Provider):
    """Answers for the provider."""

    def __init__(self, keys: list[Any], document: Mapping[str, Any] | None = None) -> None:
        super().__init__(OidcConfig(name="corp", issuer=ISSUER, client_id="freehold"))
        self.keys = keys
        self.asked: list[str] = []
        self.document = document or {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys", "token_endpoint": f"{ISSUER}/token"}

    def _get(self, url: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        self.asked.append(url)
        return KeySet(self.keys).as_dict() if url.endswith("/keys") else dict(self.document)  # type: ignore[return-value]


def claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    good = {"iss": ISSUER, "sub": "ada", "aud": "freehold", "exp": now + 300, "iat": now, "nonce": NONCE, **changed}
    return {name: value for name, value in good.items() if value is not None}


def token(key: Any = KEY, alg: str = "RS256", header: Mapping[str, Any] | None = None, **changed: Any) -> str:
    return jwt.encode({"alg": alg, "kid": "one", **(header or {})}, claims(**changed), key, algorithms=[alg])


def test_a_good_token_counts() -> None:
    assert Told([KEY]).claims(token(), NONCE)["sub"] == "ada"
    assert Told([KEY]).claims(token(aud=["freehold"]), NONCE)
    assert Told([KEY]).claims(token(aud=["freehold", "x"], azp="freehold"), NONCE)
    now = int(time.time())
    assert Told([KEY]).claims(token(exp=now - 30, iat=now + 30), NONCE), "clocks differ by up to a minute"
    curve = ECKey.generate_key("P-256", {"kid": "one", "alg": "ES256"})
    assert Told([curve]).claims(token(curve, "ES256"), NONCE)


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://evil.example.com"},
        {"iss": ISSUER + "/"},
        {"iss": None},
        {"aud": "another"},
        {"aud": ["another"]},
        {"aud": None},
        {"aud": ["freehold", "another"]},
        {"aud": ["freehold", "another"], "azp": "another"},
        {"azp": "another"},
        {"exp": 1},
        {"exp": int(time.time()) - 120},
        {"exp": None},
        {"exp": "soon"},
        {"iat": None},
        {"iat": int(time.time()) + 3600},
        {"nonce": "m" * 43},
        {"nonce": None},
        {"nonce": ""},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "x" * 300},
        {"nbf": int(time.time()) + 3600},
    ],
    ids=",".join,
)
def test_a_token_with_one_wrong_claim_does_not(changed: dict[str, Any]) -> None:
    with pytest.raises(OidcError) as refused:
        Told([KEY]).claims(token(**changed), NONCE)
    assert "eyJ" not in str(refused.value)


def test_nor_does_one_that_somebody_else_signed_or_nobody() -> None:
    def part(text: str) -> str:
        return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()

    body = part(json.encode(claims(sub="eve")).decode())
    public = KEY.as_pem(private=False)
    signed = part('{"alg":"HS256","kid":"one"}') + "." + body  # with the public key for a secret
    forged = f"{signed}.{base64.urlsafe_b64encode(hmac.digest(public, signed.encode(), 'sha256')).rstrip(b'=').decode()}"
    head, payload, signature = token().split(".")
    none = part('{"alg":"none","kid":"one"}')
    bad = [
        token(OTHER),
        forged,
        f"{none}.{body}.",
        f"{none}.{body}.{signature}",
        f"{head}.{body}.{signature}",
        f"{head}.{payload}.",
        f"{head}.{payload}",
        "",
        "a.b.c",
    ]
    for one in bad:
        with pytest.raises(OidcError):
            Told([KEY]).claims(one, NONCE)


def test_new_keys_are_asked_for_once_a_minute_at_most() -> None:
    fresh = RSAKey.generate_key(2048, {"kid": "two", "use": "sig", "alg": "RS256"})
    told = Told([KEY])
    told.claims(token(), NONCE)
    told.keys = [KEY, fresh]
    signed = token(fresh, header={"kid": "two"})
    for _ in range(3):
        with pytest.raises(OidcError):
            told.claims(signed, NONCE)
    assert told.asked.count(f"{ISSUER}/keys") == 1
    told._keys = (told._keys[0] - 120, told._keys[1])  # type: ignore[index]
    assert told.claims(signed, NONCE)
    assert told.asked.count(f"{ISSUER}/keys") == 2


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://evil.example.com", "jwks_uri": f"{ISSUER}/keys"},
        {"issuer": ISSUER, "jwks_uri": "http://idp.example.com/keys"},
        {"issuer": ISSUER, "jwks_uri": "file:///etc/passwd"},
        {"issuer": ISSUER},
    ],
    ids=str,
)
def test_a_document_of_another_issuer_or_without_https_is_not_followed(document: dict[str, Any]) -> None:
    told = Told([KEY], document)
    with pytest.raises(OidcError):
        told.claims(token(), NONCE)
    assert not [url for url in told.asked if not url.startswith("https://")]
