"""IBM Cloud: an API key is exchanged for a token that holds for an hour (IAM). For watsonx.ai.

The key is `api_key` of the credential, else a variable that IBM's own tools read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from time import time

from msgspec import MsgspecError, Struct, json

from freehold.config.schema import CredentialConfig
from freehold.upstream.credentials.ask import FORM, Ask, NoCredential, form
from freehold.upstream.credentials.rotating import Bearer, Fetched

VARIABLES = ("WATSONX_APIKEY", "WATSONX_API_KEY", "IBM_CLOUD_API_KEY")
_IAM = "https://iam.cloud.ibm.com/identity/token"
_CODE = re.compile(r"[A-Z0-9_]{1,40}\Z")


class _Token(Struct):
    access_token: str
    expires_in: float = 0.0
    expiration: float = 0.0  # unix seconds


class _Refused(Struct):
    errorCode: str = ""


def ibm_credential(owner: str, given: CredentialConfig, ask: Ask, env: Mapping[str, str]) -> Bearer:
    async def fetch() -> Fetched[str]:
        """Raises NoCredential or UpstreamError."""
        key = given.api_key or next((env[name].strip() for name in VARIABLES if env.get(name, "").strip()), "")
        if not key:
            raise NoCredential(f"there is no IBM Cloud API key: write credential.api_key, or set {' or '.join(VARIABLES)}")
        body = form(grant_type="urn:ibm:params:oauth:grant-type:apikey", apikey=key)
        status, reply = await ask("POST", _IAM, {**FORM, "accept": "application/json"}, body)
        if status != 200:
            raise NoCredential(f"IBM Cloud IAM refused the API key: {status} {_code(reply)}".rstrip())
        try:
            token = json.decode(reply, type=_Token)
        except MsgspecError:
            raise NoCredential("the reply of IBM Cloud IAM holds no token") from None
        expires_s = time() + token.expires_in if token.expires_in else token.expiration
        return Fetched(token.access_token, expires_s)

    return Bearer(owner, fetch)


def _code(reply: bytes) -> str:
    """Its code (BXNIM0415E), without the words: they may name what nobody else should read."""
    try:
        code = json.decode(reply, type=_Refused).errorCode
    except MsgspecError:
        return ""
    return code if _CODE.match(code) else ""
