"""AWS Signature Version 4, as far as a JSON call to one service needs it. Pure: keys and time come in as arguments.

Follows AWS's "Create a signed AWS API request". Every path but S3's is encoded once more before it is signed.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from hashlib import sha256
from time import gmtime, strftime
from urllib.parse import quote

from msgspec import Struct

_ALGORITHM = "AWS4-HMAC-SHA256"


class AwsKeys(Struct, frozen=True):
    access_key_id: str
    secret_access_key: str
    session_token: str = ""  # of temporary keys

    def __repr__(self) -> str:
        return "AwsKeys(...)"


class Signer:
    """Signs for one region and service. Keeps the derived key, which changes once a day and with the secret."""

    def __init__(self, region: str, service: str) -> None:
        self._region = region
        self._service = service
        self._derived: tuple[str, str, bytes] = ("", "", b"")

    def lines(self, keys: AwsKeys, method: str, authority: str, target: str, body: bytes, unix_s: float) -> bytes:
        """The header lines of a signed request: date, payload hash, session token where there is one, authorization.

        Signed are those and the host; nothing else that is sent may change what the call means.
        """
        stamp = strftime("%Y%m%dT%H%M%SZ", gmtime(unix_s))
        payload = sha256(body).hexdigest()
        headers = [("host", authority), ("x-amz-content-sha256", payload), ("x-amz-date", stamp)]
        if keys.session_token:
            headers.append(("x-amz-security-token", keys.session_token))
        signed, signature = self.sign(keys, method, target, headers, payload, stamp)
        scope = f"{stamp[:8]}/{self._region}/{self._service}/aws4_request"
        credential = f"{_ALGORITHM} Credential={keys.access_key_id}/{scope}, SignedHeaders={signed}, Signature={signature}"
        sent = (*headers[1:], ("authorization", credential))
        return "".join([f"{name}: {value}\r\n" for name, value in sent]).encode("ascii")

    def sign(
        self, keys: AwsKeys, method: str, target: str, headers: Sequence[tuple[str, str]], payload: str, stamp: str
    ) -> tuple[str, str]:
        """The signed headers' names and the signature, in hex. `headers` have lower-case names and are sorted by them."""
        path, _, query = target.partition("?")
        names = ";".join([name for name, _ in headers])
        written = "".join([f"{name}:{value}\n" for name, value in headers])
        canonical = f"{method}\n{quote(path, safe='/~')}\n{_sorted(query)}\n{written}\n{names}\n{payload}"
        day = stamp[:8]
        scope = f"{day}/{self._region}/{self._service}/aws4_request"
        text = f"{_ALGORITHM}\n{stamp}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
        return names, hmac.digest(self._key(keys, day), text.encode(), "sha256").hex()

    def _key(self, keys: AwsKeys, day: str) -> bytes:
        known_day, secret, key = self._derived
        if known_day != day or secret != keys.secret_access_key:
            key = b"AWS4" + keys.secret_access_key.encode()
            for part in (day, self._region, self._service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._derived = (day, keys.secret_access_key, key)
        return key


def _sorted(query: str) -> str:
    """The parameters in the order of their names. They are encoded already."""
    pairs = sorted(pair.partition("=")[::2] for pair in query.split("&") if pair)
    return "&".join(f"{name}={value}" for name, value in pairs)
