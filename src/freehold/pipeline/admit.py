"""First phase: who calls, and may they."""

from __future__ import annotations

import time
from collections.abc import Mapping

from freehold.base.errors import NotAllowed, Unauthenticated, Unavailable
from freehold.base.secret import key_digest
from freehold.pipeline import bound
from freehold.pipeline.exchange import Exchange
from freehold.pipeline.runtime import Principal, Runtime, Snapshot
from freehold.policy.address import client_of, within
from freehold.wire.dialect import BOUND

_HOW = "Send it as 'Authorization: Bearer KEY' or in an x-api-key or x-goog-api-key header."
_NO_QUERY: Mapping[str, str] = {}


def presented_key(headers: dict[bytes, bytes]) -> bytes | None:
    """The key as the client's SDK sends it: Authorization: Bearer or Token, x-api-key, api-key, x-goog-api-key or xi-api-key."""
    value = headers.get(b"authorization")
    if value is not None and value[:7].lower() == b"bearer ":
        return value[7:].strip()
    if value is not None and value[:6].lower() == b"token ":  # Deepgram's and Replicate's clients
        return value[6:].strip()
    return headers.get(b"x-api-key") or headers.get(b"api-key") or headers.get(b"x-goog-api-key") or headers.get(b"xi-api-key")


def principal_of(
    headers: dict[bytes, bytes], snapshot: Snapshot, address: str, query: Mapping[str, str] = _NO_QUERY
) -> Principal:
    """Raises Unauthenticated, NotAllowed. `address`: the peer's. `query`: only to tell that no key is taken from there."""
    key = presented_key(headers)
    if not key:
        raise Unauthenticated(_no_key(headers, query))
    digest = key_digest(key)
    principal = snapshot.made.get(digest) or snapshot.keys.get(digest)
    if principal is None:
        raise Unauthenticated(f"The API key is not one of this gateway's. {_HOW}")
    if principal.terms is not None or principal.space.disabled:
        _hold(principal, headers, snapshot, address)
    return principal


def _hold(principal: Principal, headers: dict[bytes, bytes], snapshot: Snapshot, address: str) -> None:
    """Raises Unauthenticated for a key that is none any more, NotAllowed for one that may not be used here or now."""
    name, terms = principal.name, principal.terms
    if terms is not None:
        if terms.off == "key":
            raise Unauthenticated(f"Key {name!r} is switched off. Ask whoever gave it to you for another.")
        if terms.expires_ms is not None and time.time() * 1000 >= terms.expires_ms:
            raise Unauthenticated(f"Key {name!r} has expired. Ask whoever gave it to you for another.")
        if terms.off:
            raise NotAllowed(f"The {terms.off} that key {name!r} belongs to is switched off.")
    if principal.space.disabled:
        raise NotAllowed(f"The workspace of key {name!r} is switched off.")
    if terms is not None and terms.addresses:
        client = client_of(address, headers.get(b"x-forwarded-for", b"").decode("latin-1"), snapshot.proxies)
        if not within(client, terms.addresses):
            raise NotAllowed(f"Key {name!r} may not be used from this address ({client[:50]}).")


def _no_key(headers: dict[bytes, bytes], query: Mapping[str, str]) -> str:
    if headers.get(b"authorization", b"").startswith(b"AWS4-"):
        return (
            "The request is signed for AWS; a signature is no key of this gateway. Set AWS_BEARER_TOKEN_BEDROCK to a key of "
            "this gateway (AWS's SDKs send it over https only), or send 'Authorization: Bearer KEY'."
        )
    if "key" in query:
        return "A key in the URL is not accepted, since URLs end up in logs. Send it in an x-goog-api-key header."
    return f"No API key was given. {_HOW}"


def identify(x: Exchange, rt: Runtime) -> None:
    if rt.spool.full:
        raise Unavailable(
            "The record of calls can't be written: is the disk full? No call is taken until it can.", retry_after_s=5
        )
    x.principal = principal_of(x.headers, rt.snapshot, x.address, x.asked.query)


def permit(x: Exchange, rt: Runtime) -> None:
    """Open the body as far as needed to know the model, and find its route."""
    assert x.principal is not None
    if x.kind in BOUND:
        x.peek, route = bound.opened(x, rt)
    else:
        x.peek = peek = x.dialect.peek(x.body, x.kind, x.asked)
        route = x.principal.space.route(peek.model, x.home)
    x.route = route
    x.body = b""  # `peek` holds what is needed of it
    access = x.principal.access
    if not access.allows(route.name):
        raise NotAllowed(
            f"Key {x.principal.name!r} may not use model {route.name!r}; it may use: {access.describe()}.", param="model"
        )
