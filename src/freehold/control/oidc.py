"""OpenID Connect, as a client: authorization code with PKCE. From a provider's configuration to what it says of somebody.

Whose addresses are asked is said by whoever configures the installation, and by the provider's own document, which is read from
the issuer alone, over https. No redirect is followed, and nothing is waited for long. What a token says counts only after its
signature, issuer, audience, times and nonce were checked.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from msgspec import MsgspecError, Struct, json

from freehold.config.references import References, SecretError, is_reference
from freehold.config.schema import OidcConfig

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
LEEWAY_S = 60
MAX_BYTES = 1024 * 1024
TIMEOUT_S = (5.0, 10.0)  # to connect, to answer
KEPT_S = 3600.0
AGAIN_S = 60.0  # keys are not asked for more often, whatever tokens name


class OidcError(Exception):
    """Nobody can be signed in this way just now. The message is for whoever looks after the installation, without secrets."""


class Flow(Struct, frozen=True):
    """What the browser keeps, sealed, until it comes back."""

    provider: str
    state: str
    nonce: str
    verifier: str
    next: str
    expires_s: float


class Identity(Struct, frozen=True):
    """What the provider says. `email` "": not said. `verified` None: not said."""

    issuer: str
    subject: str
    email: str
    verified: bool | None
    name: str
    groups: tuple[str, ...]


class Provider:
    """One identity provider. Its document and keys are kept for an hour."""

    def __init__(self, config: OidcConfig) -> None:
        self.config = config
        self._lock = threading.Lock()
        self._document: tuple[float, dict[str, Any]] | None = None
        self._keys: tuple[float, KeySet] | None = None

    def start(self, redirect_uri: str, after: str, lifetime_s: float) -> tuple[str, Flow]:
        """Where to send the browser, and what it must bring back. Raises OidcError."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        with self._session(redirect_uri) as session:
            url, _ = session.create_authorization_url(
                self._endpoint("authorization_endpoint"), state=state, nonce=nonce, code_verifier=verifier
            )
        return url, Flow(self.config.name, state, nonce, verifier, after, time.time() + lifetime_s)

    def finish(self, redirect_uri: str, flow: Flow, code: str) -> Identity:
        """Who came back with this code. Raises OidcError."""
        try:
            with self._session(redirect_uri) as session:
                endpoint = self._endpoint("token_endpoint")
                token = session.fetch_token(
                    endpoint, code=code, code_verifier=flow.verifier, timeout=TIMEOUT_S, allow_redirects=False
                )
        except (AuthlibBaseError, requests.RequestException, ValueError) as error:
            kind = getattr(error, "error", None) or type(error).__name__
            raise OidcError(f"{self.config.name}: the code was not taken ({str(kind)[:100]})") from None
        id_token = token.get("id_token")
        if not isinstance(id_token, str):
            raise OidcError(f"{self.config.name}: the answer holds no ID token; is openid among the scopes?")
        claims = self.claims(id_token, flow.nonce)
        if "email" not in claims or self.config.groups_claim not in claims:
            claims = {**self._userinfo(str(token.get("access_token") or ""), claims["sub"]), **claims}
        return self._identity(claims)

    def claims(self, id_token: str, nonce: str) -> dict[str, Any]:
        """What a token says, once everything about it was checked. Raises OidcError."""
        try:
            try:
                token = jwt.decode(id_token, self._key_set(), ALGORITHMS)
            except InvalidKeyIdError:
                token = jwt.decode(id_token, self._key_set(again=True), ALGORITHMS)  # it has new keys
            issuer, client = self._get_document()["issuer"], self.config.client_id
            jwt.JWTClaimsRegistry(
                leeway=LEEWAY_S,
                iss={"essential": True, "value": issuer},
                sub={"essential": True},
                aud={"essential": True, "value": client},
                exp={"essential": True},
                iat={"essential": True},
                nonce={"essential": True, "value": nonce},
            ).validate(token.claims)
        except (JoseError, ValueError, TypeError) as error:
            raise OidcError(f"{self.config.name}: the ID token is not good ({_named(error)})") from None
        claims = token.claims
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", client) != client or (several and "azp" not in claims):
            raise OidcError(f"{self.config.name}: the ID token is for another client (azp)")
        if not isinstance(claims["sub"], str) or not 0 < len(claims["sub"]) <= 255:
            raise OidcError(f"{self.config.name}: the ID token's subject is none (sub)")
        return claims

    def logout_url(self, back: str) -> str | None:
        """Where signing out there begins; None where that is not wanted or not offered."""
        if not self.config.logout:
            return None
        try:
            endpoint = self._endpoint("end_session_endpoint")
        except OidcError:
            return None
        asked = requests.Request("GET", endpoint, params={"client_id": self.config.client_id, "post_logout_redirect_uri": back})
        return asked.prepare().url

    # --- inside ---

    def _identity(self, claims: Mapping[str, Any]) -> Identity:
        groups, email = claims.get(self.config.groups_claim), claims.get("email")
        listed = [groups] if isinstance(groups, str) else groups if isinstance(groups, list) else []
        name, verified = claims.get("name") or claims.get("preferred_username") or "", claims.get("email_verified")
        return Identity(
            issuer=self.config.issuer,
            subject=claims["sub"],
            email=email.strip().lower() if isinstance(email, str) and email.isprintable() else "",
            verified=None if verified is None else verified in (True, "true"),
            name="".join(c for c in str(name) if c.isprintable())[:100],
            groups=tuple(one for one in listed if isinstance(one, str)),
        )

    def _session(self, redirect_uri: str) -> Any:
        secret = self.config.client_secret
        try:
            if secret is not None and is_reference(secret):
                secret = References(os.environ).resolve(secret)
        except SecretError as error:
            raise OidcError(f"{self.config.name}: {error}") from None
        supported = self._get_document().get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        method = "client_secret_basic" if "client_secret_basic" in supported else "client_secret_post"
        session = OAuth2Session(
            self.config.client_id,
            secret,
            token_endpoint_auth_method=method if secret else "none",
            scope=" ".join(self.config.scopes),
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
        )
        session.trust_env = True  # a forward proxy, where there is one
        return session

    def _endpoint(self, name: str) -> str:
        """Raises OidcError for one that is not offered, or not over https as its issuer is."""
        url = self._get_document().get(name)
        scheme = urlsplit(self.config.issuer).scheme
        if not isinstance(url, str) or urlsplit(url).scheme not in ("https", scheme):
            raise OidcError(f"{self.config.name}: its document has no {name} that can be asked")
        return url

    def _get_document(self) -> dict[str, Any]:
        with self._lock:
            if self._document is None or time.monotonic() - self._document[0] > KEPT_S:
                url = self.config.issuer.rstrip("/") + "/.well-known/openid-configuration"
                found = self._get(url)
                # Else another provider's tokens could pass for this one's.
                if found.get("issuer") != self.config.issuer:
                    raise OidcError(f"{self.config.name}: the document at {url} is of another issuer; write that one as `issuer`")
                self._document = (time.monotonic(), found)
            return self._document[1]

    def _key_set(self, *, again: bool = False) -> KeySet:
        url = self._endpoint("jwks_uri")
        with self._lock:
            age = time.monotonic() - self._keys[0] if self._keys is not None else KEPT_S
            if self._keys is None or age >= KEPT_S or (again and age > AGAIN_S):
                self._keys = (time.monotonic(), KeySet.import_key_set(self._get(url)))  # type: ignore[arg-type]
            return self._keys[1]

    def _userinfo(self, access_token: str, subject: str) -> dict[str, Any]:
        try:
            endpoint = self._endpoint("userinfo_endpoint")
        except OidcError:
            return {}
        found = self._get(endpoint, {"authorization": f"Bearer {access_token}"})
        if found.get("sub") != subject:
            raise OidcError(f"{self.config.name}: its userinfo is of somebody else (sub)")
        return found

    def _get(self, url: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """A JSON object. Raises OidcError."""
        where = f"{self.config.name}: {urlsplit(url).scheme}://{urlsplit(url).netloc}{urlsplit(url).path}"
        try:
            sent = {"accept": "application/json", **(headers or {})}
            with requests.get(url, headers=sent, timeout=TIMEOUT_S, allow_redirects=False, stream=True) as answer:
                if answer.status_code != 200:
                    raise OidcError(f"{where} answered {answer.status_code}")
                body = b""
                for piece in answer.iter_content(65_536):
                    body += piece
                    if len(body) > MAX_BYTES:
                        raise OidcError(f"{where} answered more than {MAX_BYTES:,} bytes")
                found = json.decode(body)
        except (requests.RequestException, MsgspecError, ValueError) as error:
            raise OidcError(f"{where} can't be asked ({type(error).__name__})") from None
        if not isinstance(found, dict):
            raise OidcError(f"{where} answered no JSON object")
        return found


def _named(error: Exception) -> str:
    claim = getattr(error, "claim", "")
    return f"{type(error).__name__}{f' of {claim}' if claim else ''}"


_providers: dict[str, Provider] = {}


def provider(config: OidcConfig) -> Provider:
    """The one with this configuration, with what it knows already."""
    found = _providers.get(config.name)
    if found is None or found.config != config:
        found = _providers[config.name] = Provider(config)
    return found
