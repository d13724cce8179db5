"""What every call may use: the snapshot of the configuration, compiled for lookups, and this worker's shared parts.

A reload builds a new Snapshot and a new Runtime around the same pool, spool and metrics, and swaps one reference. What the
database's administrators change arrives in place, in the keys and spaces that are there (objects.py).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from msgspec import Raw, Struct

from freehold.base.errors import ModelNotFound
from freehold.observe.metrics import Metrics
from freehold.policy import pricebook
from freehold.policy.access import ModelAccess
from freehold.policy.address import Network
from freehold.policy.health import Health, RetryBudget
from freehold.policy.pricing import Price
from freehold.policy.routing import Strategy
from freehold.store.spool import Spool
from freehold.upstream.credentials import Credential
from freehold.upstream.pool import Pool
from freehold.upstream.transport import Origin, Timeouts
from freehold.wire.dialect import Dialect, Kind, Quirks

_MAX_DIRECT = 10_000  # provider/model names that clients may make us remember
_MODEL_NAME = re.compile(r"[\x21-\x7e]{1,256}")


class Terms(Struct, frozen=True, gc=False):
    """What a key is held to beyond its models. `off`: what is switched off: key, app or member."""

    off: str = ""
    expires_ms: int | None = None  # unix
    addresses: tuple[Network, ...] = ()  # that it may be used from; (): all
    limits: tuple[Mapping[str, int | float | str], ...] = ()
    budgets: tuple[Mapping[str, int | float | str], ...] = ()
    capture: str = ""


class Principal(Struct, frozen=True, gc=False):
    """Who calls: a key and what it may do. There may be a hundred thousand of them: what most keys lack is in `terms`."""

    key_id: str
    name: str
    access: ModelAccess
    space: Space
    workspace: str = "default"
    app: str = ""  # id, as the two that follow
    team: str = ""
    member: str = ""
    terms: Terms | None = None


class Side(Struct, frozen=True, kw_only=True):
    """One dialect of a provider: where and how it is called."""

    dialect: Dialect
    origin: Origin
    prefix: str  # path of the base URL; may hold {model}
    query: str  # parameters of every call, without "?"
    kinds: frozenset[Kind]
    paths: dict[Kind, str]  # below the prefix, where it differs from the dialect's own
    quirks: Quirks
    head: Callable[..., bytes]  # request target[, method, content type] -> request head without its last headers and blank line
    forwarded: tuple[tuple[bytes, bytes], ...]  # client headers sent on within one dialect, with what stands in for them
    credential: Credential | None = None  # makes header lines for each request; None: the key is in the head, or none is needed


class Provider(Struct, frozen=True, kw_only=True):
    """A configured provider, ready to build targets from."""

    name: str
    zone: str
    timeouts: Timeouts
    main: Side  # what other dialects are translated to
    sides: dict[str, Side]  # by dialect, `main` among them: a client of such a dialect passes
    price_id: str
    price: Price | None  # for models that the table does not know
    models: tuple[str, ...] = ()  # shown in /v1/models
    region: str = ""

    def side(self, dialect: Dialect, kind: Kind) -> Side:
        """The side for a client's call: of its own dialect where there is one for this kind."""
        side = self.sides.get(dialect.name, self.main)
        return side if kind in side.kinds else self.main


class Target:
    """One place to send to. `heads` keeps the request heads by side and path, made on first use."""

    __slots__ = ("context_tokens", "heads", "health", "label", "label_bytes", "model", "price", "provider", "weight")

    def __init__(self, provider: Provider, model: str, price: Price | None, weight: float = 1.0) -> None:
        self.provider = provider
        self.model = model
        self.price = price
        self.label = f"{provider.name}/{model}"
        self.label_bytes = self.label.encode("ascii", "replace")
        self.weight = weight
        self.context_tokens: int | None = None  # None: not known
        self.health: Health | None = None  # found when it is first asked for: see Runtime.health_of
        self.heads: dict[tuple[str, str], bytes] = {}

    def head(self, side: Side, path: str) -> bytes:
        key = (side.dialect.name, path)
        head = self.heads.get(key)
        if head is None:
            head = self.heads[key] = side.head(self.request_target(side, path))
        return head

    def request_target(self, side: Side, path: str) -> str:
        """What stands in the request line: path and query."""
        prefix = side.prefix.replace("{model}", quote(self.model, safe="")) if "{" in side.prefix else side.prefix
        if side.query:
            return f"{prefix}{path}{'&' if '?' in path else '?'}{side.query}"
        return prefix + path


class Route(Struct, frozen=True):
    """`fallbacks`: names of routes of the same workspace."""

    name: str
    targets: tuple[Target, ...]
    retries: int = 1
    strategy: Strategy = "priority"
    sticky: str = ""
    fallbacks: tuple[str, ...] = ()


class Space:
    """What the keys of one workspace see. Lives as long as the worker: `take` changes what is in it, and calls under way keep
    the route that they have found. Beside that it remembers direct names and model lists.
    """

    __slots__ = ("_direct", "cards", "disabled", "providers", "routes", "workspace")

    def __init__(self, workspace: str = "default") -> None:
        self.workspace = workspace
        self.disabled = False
        self.take({}, {})

    def take(self, routes: dict[str, Route], providers: dict[str, Provider]) -> None:
        self.routes = routes
        self.providers = providers
        self._direct: dict[str, Route] = {}
        self.cards: tuple[float, dict[str, Raw]] = (0.0, {})  # cards.py's, and when they were made

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
            # "provider/*" is what a call without a model is for: may it be repeated? Nobody here knows.
            route = Route(name, (make_target(provider, model),), 0 if model == "*" else 1)
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


class Snapshot:
    """Who may call. `keys`: of the file; `made`: of the database, kept up to date in place. Both by SHA-256 of the secret.

    `space`: of the file and of all who look without a key. `proxies`: networks whose word on a client's address is taken.
    """

    __slots__ = ("keys", "made", "proxies", "space")

    def __init__(
        self, space: Space, keys: dict[bytes, Principal], made: dict[bytes, Principal], proxies: tuple[Network, ...] = ()
    ) -> None:
        self.space = space
        self.keys = keys
        self.made = made
        self.proxies = proxies


def make_target(provider: Provider, model: str, price: Price | None = None, weight: float = 1.0) -> Target:
    """The table's price, unless `price` or the provider's own for unknown models says otherwise."""
    known = pricebook.find(provider.price_id, model) if provider.price_id else None
    if price is None and known is not None:
        price = known.price
    target = Target(provider, model, price or provider.price, weight)
    target.context_tokens = known.context_tokens if known is not None else None
    return target


@dataclass(frozen=True, slots=True)
class Runtime:
    snapshot: Snapshot
    pool: Pool
    spool: Spool
    metrics: Metrics
    count: Callable[[str], int]
    retries: RetryBudget = field(default_factory=RetryBudget)
    healths: dict[tuple[str, str], Health] = field(default_factory=dict)  # by workspace and label: reloads make new targets

    def health_of(self, target: Target, space: Space) -> Health:
        if target.health is None:
            target.health = self.healths.setdefault((space.workspace, target.label), Health())
        return target.health
