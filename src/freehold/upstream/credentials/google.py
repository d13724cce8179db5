"""Google credentials: an access token from a service account's key, from `gcloud auth application-default login`, or from the
machine's metadata server. Workload identity federation ("external_account") and impersonation are not read.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from pathlib import Path
from time import time
from typing import Any

from msgspec import MsgspecError, Struct, json

from freehold.base.errors import UpstreamError
from freehold.config.schema import CredentialConfig
from freehold.upstream.credentials.ask import FORM, NEAR, Ask, NoCredential, form, read_secret_file
from freehold.upstream.credentials.rotating import Bearer, Fetched

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_TOKEN_URL = "https://oauth2.googleapis.com/token"  # whatever a key file says: a secret goes nowhere else
_METADATA_URL = "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token"
_ERROR = re.compile(r"[a-z_]{1,40}\Z")


class _File(Struct):
    """A service account's key, or application default credentials."""

    type: str
    client_email: str = ""
    private_key: str = ""
    private_key_id: str = ""
    client_id: str = ""
    client_secret: str = ""
    refresh_token: str = ""


class _Token(Struct):
    access_token: str
    expires_in: float


class _Refused(Struct):
    error: str = ""


def google_credential(owner: str, given: CredentialConfig, ask: Ask, env: Mapping[str, str]) -> Bearer:
    return Bearer(owner, GoogleSources(given.file or "", ask, env).fetch)


class GoogleSources:
    """The file named in the configuration, GOOGLE_APPLICATION_CREDENTIALS, gcloud's own file, then the metadata server."""

    def __init__(self, file: str, ask: Ask, env: Mapping[str, str]) -> None:
        self._file = file
        self._ask = ask
        self._env = env
        self._signed_with: tuple[str, Any] = ("", None)  # parsing an RSA key takes tens of milliseconds

    async def fetch(self) -> Fetched[str]:
        """Raises NoCredential or UpstreamError."""
        file = self._file or self._env.get("GOOGLE_APPLICATION_CREDENTIALS", "") or self._gcloud()
        if not file:
            return await self._machine()
        try:
            found = json.decode(read_secret_file(file, "the Google credentials file"), type=_File)
        except MsgspecError:
            raise NoCredential(f"{file!r} is not a Google credentials file") from None
        if found.type == "service_account" and found.client_email and found.private_key:
            return await self._token(
                grant_type="urn:ietf:params:oauth:grant-type:jwt-bearer", assertion=self._assertion(found, time())
            )
        if found.type == "authorized_user" and found.refresh_token:
            return await self._token(
                grant_type="refresh_token",
                client_id=found.client_id,
                client_secret=found.client_secret,
                refresh_token=found.refresh_token,
            )
        raise NoCredential(f"{file!r} holds no whole credential of type service_account or authorized_user")

    def _gcloud(self) -> str:
        folder = self._env.get("CLOUDSDK_CONFIG") or Path(self._env.get("HOME") or "~").expanduser() / ".config" / "gcloud"
        file = Path(folder) / "application_default_credentials.json"
        return str(file) if file.is_file() else ""

    def _assertion(self, account: _File, now_s: float) -> str:
        """A JWT by which the service account asks for a token (RFC 7523)."""
        header = {"alg": "RS256", "typ": "JWT", "kid": account.private_key_id}
        issued = int(now_s)
        claims = {"iss": account.client_email, "scope": SCOPE, "aud": _TOKEN_URL, "iat": issued, "exp": issued + 3600}
        text = f"{_base64url(json.encode(header))}.{_base64url(json.encode(claims))}"
        if self._signed_with[0] != account.private_key:
            self._signed_with = (account.private_key, _rsa(account.private_key))
        return f"{text}.{_base64url(self._signed_with[1](text.encode()))}"

    async def _token(self, **fields: str) -> Fetched[str]:
        status, reply = await self._ask("POST", _TOKEN_URL, FORM, form(**fields))
        if status != 200:
            raise NoCredential(f"Google refused the credential: {status} {_error(reply)}".rstrip())
        return _read(reply)

    async def _machine(self) -> Fetched[str]:
        try:
            status, reply = await self._ask("GET", f"{_METADATA_URL}?scopes={SCOPE}", {"metadata-flavor": "Google"}, b"", NEAR)
        except UpstreamError:
            raise NoCredential(
                "there is no Google credentials file, and this machine is not Google's: write credential.file, "
                'or run "gcloud auth application-default login"'
            ) from None
        if status != 200:
            raise NoCredential(f"Google's metadata server gave no token: {status}; has this machine a service account?")
        return _read(reply)


def _read(reply: bytes) -> Fetched[str]:
    try:
        token = json.decode(reply, type=_Token)
    except MsgspecError:
        raise NoCredential("Google's reply holds no token") from None
    return Fetched(token.access_token, time() + token.expires_in)


def _error(reply: bytes) -> str:
    """Its error code (invalid_grant...), "" where it is none."""
    try:
        code = json.decode(reply, type=_Refused).error
    except MsgspecError:
        return ""
    return code if _ERROR.match(code) else ""


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _rsa(pem: str) -> Any:
    """bytes -> their RS256 signature. Raises NoCredential."""
    # Loaded at the first use: most starts need none of it.
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise NoCredential("the private_key of the Google credentials file is not an RSA key")
    return lambda data: key.sign(data, PKCS1v15(), SHA256())
