"""One workspace's providers and routes: what the gateway's own configuration says, and what its administrators have made.

The configuration (file, environment, servers found) is that of workspace "default", and comes first there. Another workspace
has what it defines and nothing else: not the environment's keys, not this machine's cloud credentials, files or local servers.
What can't be used is left out and said; everything else serves.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import TypeVar

import msgspec
from msgspec import Struct, structs

from freehold.config.discover import effective
from freehold.config.problem import Path, dotted
from freehold.config.rules import Names, broken_rules
from freehold.config.schema import Config, ProviderConfig, RouteConfig, TargetConfig
from freehold.pipeline.compile import compile_provider, compile_providers, compile_routes
from freehold.pipeline.runtime import Provider, Route
from freehold.store.feed import ProviderLine, RouteLine
from freehold.upstream.catalogue import ProviderRow
from freehold.upstream.credentials import Credentials

DEFAULT = "default"
UNOPENED = "its credential can't be opened"
_OF_THIS_MACHINE = ("credential", "ca_file")

_NO_TARGET = TargetConfig(provider="", model="")

C = TypeVar("C", ProviderConfig, RouteConfig)


class Made(Struct):
    """What a workspace's administrators have made. `secrets`: opened, by provider's name; None: one that does not open."""

    providers: list[ProviderLine]
    routes: list[RouteLine]
    secrets: dict[str, str | None]


class Refusal(Struct, frozen=True):
    """Why something in the database is not served."""

    kind: str
    name: str
    problem: str


class Parts(Struct):
    routes: dict[str, Route]
    providers: dict[str, Provider]
    refused: list[Refusal]


class _Bounds(Struct, frozen=True):
    """What a workspace may draw on: `own` is the gateway's configuration, `shared` whether this machine's secrets are its too,
    `private` whether its providers may be at addresses that are not the public internet's."""

    own: Config
    rows: Mapping[str, ProviderRow]
    env: Mapping[str, str]
    credentials: Credentials | None
    shared: bool
    private: bool


def own_parts(config: Config, made: Made, rows: Mapping[str, ProviderRow], credentials: Credentials | None) -> Parts:
    """Of workspace "default". `config`: as it is served, checked. Raises ValueError where that can't be used."""
    hidden = [
        Refusal(kind, line.name, "the gateway's configuration or environment has one of that name, which comes first")
        for kind, lines, own in (("provider", made.providers, config.providers), ("route", made.routes, config.routes))
        for line in lines
        if line.name in own
    ]
    shown = {name: _with_secret(given, made.secrets.get(name)) for name, given in config.providers.items()}
    own = structs.replace(config, providers=shown)
    providers = compile_providers(own, rows, credentials)
    routes = compile_routes(config.routes, providers)
    parts = _made_parts(_Bounds(own, rows, os.environ, credentials, True, config.admin.private_networks), providers, made)
    return Parts({**routes, **parts.routes}, {**providers, **parts.providers}, hidden + parts.refused)


def other_parts(made: Made, rows: Mapping[str, ProviderRow], *, private: bool = False) -> Parts:
    """Of every other workspace. `private`: its providers may be at addresses that are not the public internet's."""
    return _made_parts(_Bounds(Config(discover=False), rows, {}, None, False, private), {}, made)


def _made_parts(bounds: _Bounds, there: Mapping[str, Provider], made: Made) -> Parts:
    """What administrators add to `there`, the providers of the gateway's own configuration."""
    own, refused = bounds.own, list[Refusal]()
    providers = _parsed("provider", made.providers, ProviderConfig, own.providers, refused)
    routes = _parsed("route", made.routes, RouteConfig, own.routes, refused)
    _add_secrets(providers, made.secrets, bounds, refused)
    if not bounds.shared:
        for name in [n for n, given in providers.items() if any(getattr(given, field) is not None for field in _OF_THIS_MACHINE)]:
            del providers[name]
            refused.append(Refusal("provider", name, f"only workspace {DEFAULT} may use this machine's files and credentials"))
    merged = structs.replace(own, providers={**providers, **own.providers}, routes={**routes, **own.routes}, keys=[])
    given = structs.replace(merged, providers=providers, routes=routes)
    for path, message, hint in list(broken_rules(given, Names(merged, bounds.rows), bounds.env)):
        _leave_out(path, message, hint, providers, routes, refused)
    # What only a route names is taken from the catalogue, where the environment's keys may be used at all.
    asked = Config(discover=False, providers=providers, routes=routes if bounds.shared else {})
    named = {target.provider for route in asked.routes.values() for target in route.targets if target.provider}
    full = effective(asked, bounds.env, bounds.rows).config.providers
    wanted = {n: one for n, one in full.items() if n not in there and (n in providers or n in named)}
    compiled = dict(_compiled(wanted, providers, bounds, refused))
    return Parts(_routes(routes, {**there, **compiled}, refused), compiled, refused)


def _add_secrets(
    providers: dict[str, ProviderConfig], secrets: Mapping[str, str | None], bounds: _Bounds, refused: list[Refusal]
) -> None:
    """A known provider needs nothing but a credential to be there."""
    for name, secret in secrets.items():
        if name in bounds.own.providers:
            continue
        if secret is None:
            providers.pop(name, None)
            refused.append(Refusal("provider", name, UNOPENED))
        elif name in providers:
            providers[name] = _with_secret(providers[name], secret)
        elif name in bounds.rows:
            providers[name] = ProviderConfig(api_key=secret)


def _parsed(
    kind: str, lines: Iterable[ProviderLine | RouteLine], type: type[C], own: Container[str], refused: list[Refusal]
) -> dict[str, C]:
    found: dict[str, C] = {}
    for line in lines:
        if line.name in own:
            continue
        try:
            found[line.name] = msgspec.convert(line.config, type)
        except msgspec.ValidationError as error:
            refused.append(Refusal(kind, line.name, str(error)))
    return found


def _leave_out(
    path: Path,
    message: str,
    hint: str,
    providers: dict[str, ProviderConfig],
    routes: dict[str, RouteConfig],
    refused: list[Refusal],
) -> None:
    """A provider or route with a mistake. A target whose provider can't be called is left out alone: its route has others."""
    kind, name = str(path[0])[:-1], str(path[1]) if len(path) > 1 else ""
    there: dict[str, ProviderConfig] | dict[str, RouteConfig] = providers if kind == "provider" else routes
    if path[0] not in ("providers", "routes") or name not in there:
        return
    refused.append(Refusal(kind, name, f"{dotted(path)}: {message}" + (f" ({hint})" if hint else "")))
    if kind == "route" and len(path) == 5 and path[4] == "provider":
        at, route = int(path[3]), routes[name]
        routes[name] = structs.replace(route, targets=[*route.targets[:at], _NO_TARGET, *route.targets[at + 1 :]])
    else:
        del there[name]


def _compiled(
    given: Mapping[str, ProviderConfig], theirs: Container[str], bounds: _Bounds, refused: list[Refusal]
) -> Iterator[tuple[str, Provider]]:
    """`theirs`: those that administrators made; the others are the environment's."""
    for name, config in given.items():
        if not bounds.shared and config.credential is not None:
            refused.append(Refusal("provider", name, "it needs an API key: cloud credentials are those of this machine"))
            continue
        try:
            yield (
                name,
                compile_provider(
                    name, config, bounds.rows.get(name), bounds.credentials, public_only=name in theirs and not bounds.private
                ),
            )
        except (ValueError, OSError) as error:
            refused.append(Refusal("provider", name, str(error)))


def _routes(given: Mapping[str, RouteConfig], providers: Mapping[str, Provider], refused: list[Refusal]) -> dict[str, Route]:
    """With the targets whose provider can be used; without a route that has none."""
    found: dict[str, RouteConfig] = {}
    for name, route in given.items():
        targets = [target for target in route.targets if target.provider in providers]
        lost = ", ".join(f"{t.provider}/{t.model}" for t in route.targets if t.provider and t.provider not in providers)
        if lost:
            refused.append(Refusal("route", name, f"targets without a usable provider are left out: {lost}"))
        if targets:
            found[name] = structs.replace(route, targets=targets)
    return compile_routes(found, providers)


def _with_secret(given: ProviderConfig, secret: str | None) -> ProviderConfig:
    if secret is None or given.api_key is not None or given.credential is not None:
        return given
    return structs.replace(given, api_key=secret)
