"""Configuration and key records -> a Snapshot: names resolved, prices found, request heads prepared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

from freehold.base.secret import key_digest
from freehold.config.schema import Config, PriceConfig, ProviderConfig
from freehold.pipeline.runtime import Principal, Provider, Route, Snapshot, make_target
from freehold.policy import pricebook
from freehold.policy.access import ModelAccess
from freehold.policy.pricing import Price
from freehold.store.keys import KeyRecord
from freehold.upstream.catalogue import ProviderRow
from freehold.upstream.head import Auth, auth_headers, request_head
from freehold.upstream.transport import Timeouts, parse_base_url
from freehold.wire.dialect import Kind, Quirks
from freehold.wire.registry import DIALECTS

# Headers of a client that mean something to the provider when both speak the same dialect, with the value sent when it has none.
_NO_QUIRKS = Quirks()
_FORWARDED: dict[str, tuple[tuple[bytes, bytes], ...]] = {
    "anthropic": ((b"anthropic-version", b"2023-06-01"), (b"anthropic-beta", b"")),
    "openai_chat": ((b"openai-beta", b""),),
}


def compile_snapshot(config: Config, rows: Mapping[str, ProviderRow], records: Iterable[KeyRecord]) -> Snapshot:
    """`config` must have passed its checks; `rows` is the provider catalogue; `records` are the keys made by command.

    Raises ValueError naming the provider whose base URL can't be used.
    """
    providers = {name: _provider(name, given, rows.get(name)) for name, given in config.providers.items()}
    routes = {
        name: Route(
            name,
            tuple(make_target(providers[t.provider], t.model, _price(t.price)) for t in route.targets),
            route.retries,
        )
        for name, route in config.routes.items()
    }
    return Snapshot(_keys(config, records), routes, providers)


def _keys(config: Config, records: Iterable[KeyRecord]) -> dict[bytes, Principal]:
    keys = {bytes.fromhex(r.digest): Principal(r.id, r.name, ModelAccess(tuple(r.models))) for r in records if not r.disabled}
    for given in config.keys:
        keys[key_digest(given.key.encode())] = Principal(f"file:{given.name}", given.name, ModelAccess(tuple(given.models)))
    return keys


def _provider(name: str, given: ProviderConfig, row: ProviderRow | None) -> Provider:
    base_url = given.base_url or (row.base_url if row else "")
    dialect = given.dialect or (row.dialect if row else "")
    try:
        origin, prefix = parse_base_url(base_url, given.ca_file, given.max_connections or 0)
    except ValueError as error:
        raise ValueError(f"providers.{name}.base_url: {error}") from None
    same = row is not None and row.dialect == dialect  # another dialect at the same vendor: the row's quirks don't apply
    auth: Auth = row.auth if row and same else ("x-api-key" if dialect == "anthropic" else "bearer")
    headers = {**(row.headers if row and same else {}), **given.headers}
    forwarded = _FORWARDED.get(dialect, ())
    fixed = {k: v for k, v in headers.items() if k.lower().encode() not in {f for f, _ in forwarded}}
    stand_in = {k.lower().encode(): v.encode() for k, v in headers.items()}
    known = row if same else None
    return Provider(
        name=name,
        dialect=DIALECTS[dialect],
        origin=origin,
        prefix=prefix,
        zone=given.zone or (row.zone if row else "external"),
        kinds=frozenset(known.kinds) if known else _default_kinds(dialect),
        quirks=known.quirks if known else _NO_QUIRKS,
        timeouts=Timeouts(given.timeouts.connect, given.timeouts.first_byte, given.timeouts.idle),
        head=partial(request_head, origin, prefix, auth=_auth(name, auth, given.api_key), headers=fixed),
        forwarded=tuple((f, stand_in.get(f, default)) for f, default in forwarded),
        price_id=row.price_id if row else "",
        price=_price(given.price),
        models=_models(given, row),
    )


def _auth(name: str, auth: Auth, api_key: str | None) -> bytes:
    try:
        return auth_headers(auth, api_key)
    except ValueError as error:
        raise ValueError(f"providers.{name}.api_key: {error}") from None


def _default_kinds(dialect: str) -> frozenset[Kind]:
    return frozenset(("chat", "count_tokens")) if dialect == "anthropic" else frozenset(("chat", "embeddings"))


def _models(given: ProviderConfig, row: ProviderRow | None) -> tuple[str, ...]:
    listed = dict.fromkeys(given.models)
    if row is not None:
        listed.update(dict.fromkeys(row.models))
        if row.price_id:
            listed.update(dict.fromkeys(m.id for m in pricebook.models(row.price_id) if not m.deprecated))
    return tuple(listed)


def _price(given: PriceConfig | None) -> Price | None:
    if given is None:
        return None
    return pricebook.fixed(
        "freehold.yaml", input=given.input, output=given.output, cache_read=given.cache_read, cache_write=given.cache_write
    )
