"""What every call may use: the snapshot of the configuration, compiled for lookups, and this worker's shared parts.

A reload builds a new Snapshot and a new Runtime around the same pool, spool and metrics, and swaps one reference; calls under
way keep the one they began with.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass

from msgspec import Struct

from freehold.base.errors import ModelNotFound
from freehold.observe.metrics import Metrics
from freehold.policy import pricebook
from freehold.policy.access import ModelAccess
from freehold.policy.pricing import Price
from freehold.store.spool import Spool
from freehold.upstream.pool import Pool
from freehold.upstream.transport import Origin, Timeouts
from freehold.wire.dialect import Dialect, Kind, Quirks

_MAX_DIRECT = 10_000  # provider/model names that clients may make us remember
_MODEL_NAME = re.compile(r"[\x21-\x7e]{1,256}")


class Principal(Struct, frozen=True):
    """Who calls: a key and what it may do."""

    key_id: str
    name: str
    access: ModelAccess
    workspace: str = "default"


class Provider(Struct, frozen=True, kw_only=True):
    """A configured provider, ready to build targets from."""

    name: str
    dialect: Dialect
    origin: Origin
    prefix: str  # path of the base URL
    zone: str
    kinds: frozenset[Kind]
    quirks: Quirks
    timeouts: Timeouts
    head: Callable[[str], bytes]  # upstream path -> request head without its last headers and blank line
    forwarded: tuple[tuple[bytes, bytes], ...]  # client headers sent on within one dialect, with what stands in for them
    price_id: str
    price: Price | None  # for models that the table does not know
    models: tuple[str, ...] = ()  # shown in /v1/models


class Target:
    """One place to send to. `heads` keeps the request heads by path, made on first use."""

    __slots__ = ("heads", "label", "label_bytes", "model", "price", "provider")

    def __init__(self, provider: Provider, model: str, price: Price | None) -> None:
        self.provider = provider
        self.model = model
        self.price = price
        self.label = f"{provider.name}/{model}"
        self.label_bytes = self.label.encode("ascii", "replace")
        self.heads: dict[str, bytes] = {}

    def head(self, path: str) -> bytes:
        head = self.heads.get(path)
        if head is None:
            head = self.heads[path] = self.provider.head(path)
        return head


class Route(Struct, frozen=True):
    name: str
    targets: tuple[Target, ...]
    retries: int = 1


class Snapshot:
    """One revision of the configuration. Everything here is immutable but the memory of direct names."""

    def __init__(self, keys: dict[bytes, Principal], routes: dict[str, Route], providers: dict[str, Provider]) -> None:
        self.keys = keys  # by SHA-256 of the secret
        self.routes = routes
        self.providers = providers
        self._direct: dict[str, Route] = {}

    def route(self, name: str, home: str = "") -> Route:
        """The route that a client's model name means: a route's name, provider/model, or a model of provider `home`.

        Raises ModelNotFound naming the nearest ones.
        """
        found = self.routes.get(name) or self._direct.get(name)
        if found is not None:
            return found
        provider_name, slash, model = name.partition("/")
        provider = self.providers.get(provider_name) if slash and model else None
        if provider is not None and _MODEL_NAME.fullmatch(name):
            route = Route(name, (make_target(provider, model),))
            if len(self._direct) < _MAX_DIRECT:
                self._direct[name] = route
            return route
        if home in self.providers and not name.startswith(f"{home}/"):
            return self.route(f"{home}/{name}")
        raise ModelNotFound(self._unknown(name), param="model")

    def _unknown(self, name: str) -> str:
        shown = name if len(name) <= 100 else name[:100] + "..."
        near = difflib.get_close_matches(name[:100], self.model_names(), n=3, cutoff=0.6)
        if not near and "/" not in name:
            known = (p.name for p in self.providers.values() if p.price_id and pricebook.find(p.price_id, name[:100]))
            near = [f"{provider}/{name}" for provider in known][:3]
        hint = f"Did you mean {' or '.join(map(repr, near))}?" if near else "GET /v1/models lists the models you can ask for."
        return f"The model {shown!r} does not exist here. {hint}"

    def model_names(self) -> list[str]:
        """Routes first, then what the providers are known to offer, as provider/model."""
        names = list(self.routes)
        for provider in self.providers.values():
            names += [f"{provider.name}/{model}" for model in provider.models]
        return names


def make_target(provider: Provider, model: str, price: Price | None = None) -> Target:
    """The table's price, unless `price` or the provider's own for unknown models says otherwise."""
    if price is None and provider.price_id:
        known = pricebook.find(provider.price_id, model)
        price = known.price if known else None
    return Target(provider, model, price or provider.price)


@dataclass(frozen=True, slots=True)
class Runtime:
    snapshot: Snapshot
    pool: Pool
    spool: Spool
    metrics: Metrics
    count: Callable[[str], int]
