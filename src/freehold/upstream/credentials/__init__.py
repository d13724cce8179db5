"""What a cloud wants instead of a fixed key: a signature on each request, or a token that is fetched and expires.

A fixed `api_key` has no part in this: it stands in the request head that is built once (head.py).
One file a kind: aws.py, google.py, azure.py, ibm.py. rotating.py keeps their secrets fresh in the background, ask.py is their
HTTP.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Protocol
from weakref import WeakValueDictionary

from msgspec import structs

from freehold.config.schema import CredentialConfig
from freehold.upstream.credentials.ask import Ask, asker
from freehold.upstream.credentials.aws import AwsCredential
from freehold.upstream.credentials.azure import azure_credential
from freehold.upstream.credentials.google import google_credential
from freehold.upstream.credentials.ibm import ibm_credential
from freehold.upstream.pool import Pool


class Credential(Protocol):
    signs_body: bool  # `lines` depends on the body, which must then be whole before it is sent

    def warm(self) -> None:
        """Begin to fetch the secret, if none is there, without waiting for it. Needs a running loop."""
        ...

    async def ready(self) -> None:
        """Returns at once while a valid secret is at hand, which but for the first call is always, unless fetching fails.

        Raises CredentialUnavailable naming the provider.
        """
        ...

    def lines(self, method: str, authority: str, target: str, body: bytes) -> bytes:
        """The header lines, each ended by CRLF, that authenticate one request. Call `ready` first.

        `authority` is the Host header's value, `target` the path and query of the request line.
        """
        ...


class Credentials:
    """A worker's credentials. One that is configured alike lives on through reloads; one that no snapshot uses is dropped."""

    def __init__(self, pool: Pool, env: Mapping[str, str] = os.environ) -> None:
        self._ask: Ask = asker(pool)
        self._env = env
        self._live: WeakValueDictionary[object, Credential] = WeakValueDictionary()

    def get(self, provider: str, given: CredentialConfig, region: str) -> Credential:
        """Raises ValueError naming the field that is missing."""
        key = (provider, region, structs.astuple(given))
        found = self._live.get(key)
        if found is None:
            found = self._live[key] = self._make(provider, given, region)
        return found

    def warm(self) -> None:
        for credential in list(self._live.values()):
            credential.warm()

    def _make(self, provider: str, given: CredentialConfig, region: str) -> Credential:
        if given.type == "aws":
            if not region:
                raise ValueError(f"providers.{provider}.region: missing; AWS requests are signed for a region")
            return AwsCredential(provider, given, region, self._ask, self._env)
        return _TOKENS[given.type](provider, given, self._ask, self._env)


_TOKENS = {"google": google_credential, "azure": azure_credential, "ibm": ibm_credential}
