"""Configuration and key records -> a Snapshot: names resolved, prices found, request heads prepared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from freehold.base.secret import key_digest
from freehold.config.schema import Config, PriceConfig, ProviderConfig
from freehold.pipeline.runtime import Principal, Provider, Route, Snapshot, make_target
from freehold.pipeline.sides import sides
from freehold.policy import pricebook
from freehold.policy.access import ModelAccess
from freehold.policy.pricing import Price
from freehold.store.keys import KeyRecord
from freehold.upstream.catalogue import ProviderRow
from freehold.upstream.credentials import Credentials
from freehold.upstream.transport import Timeouts


def compile_snapshot(
    config: Config, rows: Mapping[str, ProviderRow], records: Iterable[KeyRecord], credentials: Credentials | None = None
) -> Snapshot:
    """`config` must have passed its checks; `rows` is the provider catalogue; `records` are the keys made by command.

    Without `credentials` the snapshot is good for looking at, not for calls that need a cloud's credential.
    Raises ValueError naming the provider whose base URL can't be used.
    """
    providers = {name: _provider(name, given, rows.get(name), credentials) for name, given in config.providers.items()}
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


def _provider(name: str, given: ProviderConfig, row: ProviderRow | None, credentials: Credentials | None) -> Provider:
    credential = None
    if credentials is not None and given.credential is not None and given.api_key is None:
        credential = credentials.get(name, given.credential, given.region or "")
    main, by_dialect = sides(name, given, row, credential)
    return Provider(
        name=name,
        zone=given.zone or (row.zone if row else "external"),
        timeouts=Timeouts(given.timeouts.connect, given.timeouts.first_byte, given.timeouts.idle),
        main=main,
        sides=by_dialect,
        price_id=row.price_id if row else "",
        price=_price(given.price),
        models=_models(given, row),
        region=given.region or "",
    )


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
