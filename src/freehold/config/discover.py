"""What a gateway uses beyond its file: providers whose keys are in the environment, servers on this machine, the sandbox.

Pure: who looks for local servers is upstream/probe.py, and its findings come in as an argument.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, structs

from freehold.config.address import GAPS
from freehold.config.rules import SANDBOX, Catalogue, Row, gap_value, missing_gaps, speaks
from freehold.config.schema import Config, CredentialConfig, ProviderConfig


class Effective(Struct, frozen=True):
    """`config`: what is served, every provider complete and switched on. `why`: for each of them, where it comes from."""

    config: Config
    why: dict[str, str]


def discover(env: Mapping[str, str], catalogue: Catalogue) -> dict[str, str]:
    """Provider name -> the environment variable that holds its key, for every provider that needs nothing else."""
    found = {}
    for name, row in catalogue.items():
        variable = _variable(env, row)
        if variable and row.base_url and speaks(row) and not missing_gaps(row, ProviderConfig(), env):
            found[name] = variable
    return found


def effective(config: Config, env: Mapping[str, str], catalogue: Catalogue, local: Mapping[str, str] | None = None) -> Effective:
    """The file's providers, those found and not named in it, and the sandbox. `local`: provider name -> base URL that answered.

    A provider the file names without a key takes it from its variable. One that only a route names is taken from the catalogue.
    """
    providers: dict[str, ProviderConfig] = {}
    why: dict[str, str] = {}

    def add(name: str, given: ProviderConfig, reason: str) -> None:
        if name not in config.providers and name not in providers:
            providers[name] = _completed(given, catalogue.get(name), env)
            why[name] = reason

    for name, given in config.providers.items():
        if given.enabled:
            row = catalogue.get(name)
            variable = _variable(env, row) if row is not None and given.api_key is None and given.credential is None else ""
            given = structs.replace(given, api_key=env[variable].strip()) if variable else given
            providers[name] = _completed(given, row, env)
            cloud = providers[name].credential
            source = f"; key from {variable}" if variable else f"; {cloud.type} credentials" if cloud is not None else ""
            why[name] = f"configured{source}"
    if config.discover:
        for name, variable in discover(env, catalogue).items():
            add(name, ProviderConfig(api_key=env[variable].strip()), f"{variable} is in the environment")
        for name, url in (local or {}).items():
            add(name, ProviderConfig(base_url=url), f"answers at {url}")
    for route in config.routes.values():
        for target in route.targets:
            row = catalogue.get(target.provider)
            variable = _variable(env, row) if row is not None else ""
            key = env[variable].strip() if variable else None
            add(target.provider, ProviderConfig(api_key=key), "named by a route" + (f"; key from {variable}" if key else ""))
    if SANDBOX in catalogue:
        add(SANDBOX, ProviderConfig(), "built in: echoes what you say, no real model")
    return Effective(structs.replace(config, providers=providers), why)


def _completed(given: ProviderConfig, row: Row | None, env: Mapping[str, str]) -> ProviderConfig:
    """With the region and the like from the environment, and the cloud's credential where there is no key."""
    filled, credential = {}, given.credential
    if row is not None:
        filled = {gap: gap_value(gap, row, given, env) or None for gap in GAPS if gap in row.fill or gap in row.defaults}
    elif credential is not None and credential.type == "aws":
        filled = {"region": given.region or env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION")}
    if row is not None and credential is None and given.api_key is None and row.credential:
        credential = CredentialConfig(type=row.credential)
    return structs.replace(given, credential=credential, **filled)


def _variable(env: Mapping[str, str], row: Row) -> str:
    return next((name for name in row.env if env.get(name, "").strip()), "")
