"""A workspace's configuration -> its providers and routes: names resolved, prices found, request heads prepared."""

from __future__ import annotations

from collections.abc import Mapping

from freehold.config.schema import Config, PriceConfig, ProviderConfig, RouteConfig
from freehold.pipeline.runtime import Provider, Route, make_target
from freehold.pipeline.sides import sides
from freehold.policy import pricebook
from freehold.policy.pricing import Price
from freehold.upstream.catalogue import ProviderRow
from freehold.upstream.credentials import Credentials
from freehold.upstream.transport import Timeouts


def compile_providers(
    config: Config, rows: Mapping[str, ProviderRow], credentials: Credentials | None = None
) -> dict[str, Provider]:
    """`config` must have passed its checks; `rows` is the provider catalogue.

    Without `credentials` they are good for looking at, not for calls that need a cloud's credential.
    Raises ValueError naming the provider whose base URL can't be used.
    """
    return {name: compile_provider(name, given, rows.get(name), credentials) for name, given in config.providers.items()}


def compile_routes(given: Mapping[str, RouteConfig], providers: Mapping[str, Provider]) -> dict[str, Route]:
    """Raises KeyError for a target's provider that is not there."""
    return {
        name: Route(
            name,
            tuple(make_target(providers[t.provider], t.model, _price(t.price), t.weight) for t in route.targets),
            route.retries,
            route.strategy,
            route.sticky or "",
            tuple(route.fallbacks),
        )
        for name, route in given.items()
    }


def compile_provider(
    name: str,
    given: ProviderConfig,
    row: ProviderRow | None,
    credentials: Credentials | None = None,
    *,
    public_only: bool = False,
) -> Provider:
    """`public_only`: see Origin. Raises ValueError naming the field that can't be used."""
    credential = None
    if credentials is not None and given.credential is not None and given.api_key is None:
        credential = credentials.get(name, given.credential, given.region or "")
    main, by_dialect = sides(name, given, row, credential, public_only=public_only)
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
        "freehold.yaml",
        input=given.input,
        output=given.output,
        cache_read=given.cache_read,
        cache_write=given.cache_write,
        audio_in=given.audio_input,
        audio_out=given.audio_output,
        image_in=given.image_input,
        image_out=given.image_output,
        characters=given.per_million_characters,
        rerank_searches=given.per_thousand_searches,
        requests=given.per_thousand_requests,
        per_minute=given.per_minute,
        per_image=given.per_image,
    )
