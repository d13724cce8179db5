"""The sides of a provider: for each dialect that it speaks, where and how to call it.

One side is the main one, which requests in other dialects are translated to; a client of another side's dialect passes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import get_args
from urllib.parse import urlencode

from msgspec import Struct, structs

from freehold.config.address import GLOBAL, fill
from freehold.config.schema import ProviderConfig
from freehold.pipeline.runtime import Side
from freehold.upstream.catalogue import Also, ProviderRow
from freehold.upstream.credentials import Credential
from freehold.upstream.head import Auth, Method, auth_headers, request_head
from freehold.upstream.transport import Origin, parse_base_url
from freehold.wire.dialect import Kind, Quirks
from freehold.wire.registry import SPOKEN

_ALL_KINDS: tuple[Kind, ...] = get_args(Kind)
_AUTH: dict[str, Auth] = {"anthropic": "x-api-key", "gemini": "x-goog-api-key"}
# Headers of a client that mean something to the provider when both speak the same dialect, with the value sent when it has none.
_FORWARDED: dict[str, tuple[tuple[bytes, bytes], ...]] = {
    "anthropic": ((b"anthropic-version", b"2023-06-01"), (b"anthropic-beta", b"")),
    "openai_chat": ((b"openai-beta", b""),),
    # Of InvokeModel, whose body is the model's own. Converse has all of them in its body.
    "bedrock_invoke": tuple(
        (b"x-amzn-bedrock-" + name, b"")
        for name in (
            b"guardrailidentifier",
            b"guardrailversion",
            b"trace",
            b"performanceconfig-latency",
            b"service-tier",
            b"request-metadata",
        )
    ),
}
_GUARDRAIL = b"x-amzn-bedrock-guardrail"


class Plan(Struct, frozen=True, kw_only=True):
    """A side as it is written down, before its dialect is known to exist."""

    dialect: str
    base_url: str
    auth: Auth
    headers: Mapping[str, str]
    query: Mapping[str, str]
    quirks: Quirks = Quirks()
    kinds: tuple[Kind, ...] = _ALL_KINDS
    paths: Mapping[Kind, str]


def sides(
    name: str, given: ProviderConfig, row: ProviderRow | None, credential: Credential | None, *, public_only: bool = False
) -> tuple[Side, dict[str, Side]]:
    """The main side, and all by the name of the dialect. Raises ValueError naming the field that is wrong.

    `public_only`: of a tenant; see Origin.
    """
    plans = [plan for plan in _plans(name, given, row) if plan.dialect in SPOKEN]
    if not plans:
        wanted = given.dialect or (row.dialect if row else "")
        raise ValueError(f"providers.{name}.dialect: {wanted!r} is not spoken here; it is one of {', '.join(sorted(SPOKEN))}")
    made = [(SPOKEN[plan.dialect].name, _side(name, given, plan, credential, public_only)) for plan in plans]
    return made[0][1], dict(reversed(made))


def _plans(name: str, given: ProviderConfig, row: ProviderRow | None) -> list[Plan]:
    """The main side first."""
    main = _main(given, row)
    also: Mapping[str, str | Also] = {}
    if given.also is not None:
        also = given.also
    elif row is not None and main.dialect == row.dialect and _laid_out_as(given.base_url, row.base_url):
        also = {dialect: entry for dialect, entry in row.also.items() if given.base_url is None or "://" not in _base(entry)}
    others = [_other(main, dialect, entry) for dialect, entry in also.items()]
    return [structs.replace(plan, base_url=_filled(name, plan.base_url, given)) for plan in (main, *others)]


def _main(given: ProviderConfig, row: ProviderRow | None) -> Plan:
    dialect = given.dialect or (row.dialect if row else "")
    query = {**(row.query if row else {}), **given.query}
    if row is None or (dialect != row.dialect and (given.base_url or dialect not in row.also)):
        # Another dialect at the same vendor, at an address of the user's: what the row says of it doesn't apply.
        base = given.base_url or (row.base_url if row else "")
        return Plan(
            dialect=dialect, base_url=base, auth=_AUTH.get(dialect, "bearer"), headers=given.headers, query=query, paths={}
        )
    base = row.global_base_url if row.global_base_url and given.region == GLOBAL else row.base_url
    main = Plan(
        dialect=row.dialect,
        base_url=given.base_url or base,
        auth=row.auth,
        headers={**row.headers, **given.headers},
        query=query,
        quirks=row.quirks,
        kinds=row.kinds,
        paths=row.paths,
    )
    return main if dialect == row.dialect else _other(main, dialect, row.also[dialect])


def _other(main: Plan, dialect: str, entry: str | Also) -> Plan:
    also = Also(base=entry) if isinstance(entry, str) else entry
    return structs.replace(
        main,
        dialect=dialect,
        base_url=_joined(main.base_url, also.base),
        auth=also.auth or main.auth,
        quirks=also.quirks,
        kinds=also.kinds if also.kinds is not None else main.kinds,
        paths={},
    )


def _base(entry: str | Also) -> str:
    return entry if isinstance(entry, str) else entry.base


def _joined(base_url: str, base: str) -> str:
    if not base.startswith("/"):
        return base or base_url
    scheme, _, rest = base_url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}{base}"


def _laid_out_as(given: str | None, known: str) -> bool:
    """A server of the user's own has the other sides only if its paths look the same."""
    return given is None or given.partition("://")[2].rstrip("/").partition("/")[2] == known.partition("://")[2].partition("/")[2]


def _filled(name: str, base_url: str, given: ProviderConfig) -> str:
    try:
        return fill(base_url, structs.asdict(given))
    except KeyError as gap:
        raise ValueError(f"providers.{name}.{gap.args[0]}: missing; it stands in the base URL {base_url}") from None


def _side(name: str, given: ProviderConfig, plan: Plan, credential: Credential | None, public_only: bool) -> Side:
    try:
        origin, prefix = parse_base_url(plan.base_url, given.ca_file, given.max_connections or 0, public_only=public_only)
    except ValueError as error:
        raise ValueError(f"providers.{name}.base_url: {error}") from None
    dialect = SPOKEN[plan.dialect]
    if dialect.name == "anthropic":
        prefix = prefix.removesuffix("/v1")  # its paths begin with it; people write it in the base all the same
    forwarded = _forwarded(dialect.name, plan.headers)
    fixed = {k: v for k, v in plan.headers.items() if k.lower().encode() not in {f for f, _ in forwarded}}
    stand_in = {k.lower().encode(): v.encode() for k, v in plan.headers.items()}
    return Side(
        dialect=dialect,
        origin=origin,
        prefix=prefix,
        query=urlencode(plan.query),
        kinds=frozenset(plan.kinds),
        paths=dict(plan.paths),
        quirks=plan.quirks,
        head=partial(_head, origin, _auth(name, plan.auth, given.api_key), fixed),
        forwarded=tuple((f, stand_in.get(f, default)) for f, default in forwarded),
        credential=credential,
    )


def _forwarded(dialect: str, headers: Mapping[str, str]) -> tuple[tuple[bytes, bytes], ...]:
    """Without a guardrail where the configuration has one: that is no client's to change."""
    pairs = _FORWARDED.get(dialect, ())
    if any(name.lower().encode().startswith(_GUARDRAIL) for name in headers):
        return tuple(pair for pair in pairs if not pair[0].startswith(_GUARDRAIL))
    return pairs


def _head(
    origin: Origin,
    auth: bytes,
    headers: Mapping[str, str],
    target: str,
    method: Method = "POST",
    content_type: str = "application/json",
) -> bytes:
    return request_head(origin, "", target, auth, headers, method, content_type)


def _auth(name: str, auth: Auth, api_key: str | None) -> bytes:
    try:
        return auth_headers(auth, api_key)
    except ValueError as error:
        raise ValueError(f"providers.{name}.api_key: {error}") from None
