"""Microsoft Entra credentials for Azure: an application's secret, a workload identity (AKS), or a managed identity.

Looked at in that order: `client_secret`; a federated token file; App Service's endpoint; the machine's metadata service.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address
from time import time
from urllib.parse import quote, urlencode, urlsplit

from msgspec import MsgspecError, Struct, json

from freehold.base.errors import UpstreamError
from freehold.config.schema import CredentialConfig
from freehold.upstream.credentials.ask import FORM, NEAR, Ask, NoCredential, form, read_secret_file
from freehold.upstream.credentials.rotating import Bearer, Fetched

SCOPE = "https://cognitiveservices.azure.com/.default"
_AUTHORITY = "https://login.microsoftonline.com"
_AUTHORITIES = (_AUTHORITY, "https://login.microsoftonline.us", "https://login.partner.microsoftonline.cn")
_METADATA = "http://169.254.169.254/metadata/identity/oauth2/token"
_ERROR = re.compile(r"[a-z_]{1,40}\Z")
_AADSTS = re.compile(r"AADSTS\d{1,9}")


class _Token(Struct):
    access_token: str
    expires_in: float | str = ""  # managed identities write numbers as text, and not all of them write this one
    expires_on: float | str = ""


class _Refused(Struct):
    error: str = ""
    error_description: str = ""


def azure_credential(owner: str, given: CredentialConfig, ask: Ask, env: Mapping[str, str]) -> Bearer:
    return Bearer(owner, AzureSources(given, ask, env).fetch)


class AzureSources:
    def __init__(self, given: CredentialConfig, ask: Ask, env: Mapping[str, str]) -> None:
        self._tenant = given.tenant_id or env.get("AZURE_TENANT_ID", "")
        self._client = given.client_id or env.get("AZURE_CLIENT_ID", "")
        self._secret = given.client_secret or env.get("AZURE_CLIENT_SECRET", "")
        self._scope = given.scope or SCOPE
        self._ask = ask
        self._env = env

    async def fetch(self) -> Fetched[str]:
        """Raises NoCredential or UpstreamError."""
        file = self._env.get("AZURE_FEDERATED_TOKEN_FILE", "")
        if self._client and self._tenant and self._secret:
            return await self._application(client_secret=self._secret)
        if self._client and self._tenant and file:
            return await self._application(
                client_assertion_type="urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                client_assertion=read_secret_file(file, "the federated token file"),  # the platform renews it
            )
        if self._env.get("IDENTITY_ENDPOINT") and self._env.get("IDENTITY_HEADER"):
            return await self._app_service()
        return await self._machine()

    async def _application(self, **proof: str) -> Fetched[str]:
        authority = self._env.get("AZURE_AUTHORITY_HOST", "").rstrip("/") or _AUTHORITY
        if authority not in _AUTHORITIES:
            raise NoCredential(f"AZURE_AUTHORITY_HOST is none of {', '.join(_AUTHORITIES)}")
        url = f"{authority}/{quote(self._tenant, safe='')}/oauth2/v2.0/token"
        body = form(grant_type="client_credentials", client_id=self._client, scope=self._scope, **proof)
        return self._read(*await self._ask("POST", url, FORM, body), "Microsoft Entra")

    async def _app_service(self) -> Fetched[str]:
        endpoint = self._env["IDENTITY_ENDPOINT"]
        if not _is_safe(endpoint):
            raise NoCredential("IDENTITY_ENDPOINT names neither https nor this machine")
        headers = {"x-identity-header": self._env["IDENTITY_HEADER"]}
        try:
            answer = await self._ask("GET", f"{endpoint}?{self._query('2019-08-01')}", headers, b"", NEAR)
        except ValueError:
            raise NoCredential("IDENTITY_ENDPOINT or IDENTITY_HEADER can't be sent as it is") from None
        return self._read(*answer, "the managed identity endpoint")

    async def _machine(self) -> Fetched[str]:
        try:
            answer = await self._ask("GET", f"{_METADATA}?{self._query('2018-02-01')}", {"metadata": "true"}, b"", NEAR)
        except UpstreamError:
            raise NoCredential(
                "there is no client_secret and no federated token, and this machine has no managed identity: write "
                "tenant_id, client_id and client_secret, or set the AZURE_ variables"
            ) from None
        return self._read(*answer, "Azure's metadata service")

    def _query(self, version: str) -> str:
        fields = {"api-version": version, "resource": self._scope.removesuffix("/.default")}
        return urlencode(fields | ({"client_id": self._client} if self._client else {}))

    def _read(self, status: int, reply: bytes, who: str) -> Fetched[str]:
        if status != 200:
            raise NoCredential(f"{who} refused: {status} {_error(reply)}".rstrip())
        try:
            token = json.decode(reply, type=_Token)
            expires_s = time() + float(token.expires_in) if token.expires_in else float(token.expires_on)
        except (MsgspecError, ValueError):
            raise NoCredential(f"the reply of {who} holds no token") from None
        return Fetched(token.access_token, expires_s)


def _is_safe(endpoint: str) -> bool:
    """https, or plain http to this machine or to a link-local address, which no router forwards."""
    try:
        parts = urlsplit(endpoint)
        host = parts.hostname or ""
        if parts.scheme == "https" or host == "localhost":
            return bool(host)
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_link_local


def _error(reply: bytes) -> str:
    """Its codes (invalid_client AADSTS7000215...), without the words: they may name what nobody else should read."""
    try:
        refused = json.decode(reply, type=_Refused)
    except MsgspecError:
        return ""
    number = _AADSTS.search(refused.error_description)
    return " ".join(filter(None, (refused.error if _ERROR.match(refused.error) else "", number[0] if number else "")))
