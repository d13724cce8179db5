"""What a well-formed configuration must also mean: names that exist, keys that are keys, URLs that can be called.

Pure, but for a look whether the certificate files are there. The provider catalogue comes in as an argument.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path as FilePath
from typing import Literal, Protocol
from urllib.parse import urlsplit

from freehold.config.address import GAPS, gaps, is_plain, plain
from freehold.config.problem import Path, nearest, shown
from freehold.config.schema import Config, CredentialConfig, PriceConfig, ProviderConfig, RouteConfig
from freehold.config.signin import broken_sign_in
from freehold.policy.address import networks
from freehold.wire.registry import SPOKEN

MIN_KEY_CHARS = 16
SANDBOX = "sandbox"

PROVIDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_VISIBLE = re.compile(r"[!-~]*\Z")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
# What frames a request is the transport's to say.
_OURS = frozenset(
    ("host", "content-length", "transfer-encoding", "connection", "accept-encoding", "expect", "upgrade", "te", "trailer")
)

Found = tuple[Path, str, str]  # path, message, hint


class Row(Protocol):
    """What this layer reads of a provider's row in the catalogue."""

    @property
    def name(self) -> str: ...
    @property
    def dialect(self) -> str: ...
    @property
    def base_url(self) -> str: ...
    @property
    def auth(self) -> str: ...
    @property
    def env(self) -> tuple[str, ...]: ...
    @property
    def also(self) -> Mapping[str, object]: ...
    @property
    def credential(self) -> Literal["", "aws", "google", "azure", "ibm"]: ...
    @property
    def fill(self) -> Mapping[str, tuple[str, ...]]: ...
    @property
    def defaults(self) -> Mapping[str, str]: ...


Catalogue = Mapping[str, Row]


class Names:
    """What the file's names can refer to. `catalogue` None: nothing is said about providers outside the file."""

    def __init__(self, config: Config, catalogue: Catalogue | None) -> None:
        self.providers = config.providers
        self.routes = config.routes
        self.catalogue = catalogue
        self.callable = {*config.providers, *(catalogue or ()), SANDBOX}


def broken_rules(config: Config, names: Names, env: Mapping[str, str]) -> Iterator[Found]:
    for name, provider in config.providers.items():
        if provider.enabled:
            yield from _provider(name, provider, names, env)
    for name, route in config.routes.items():
        yield from _route(name, route, names, env)
    yield from _keys(config, names)
    yield from broken_sign_in(config.sign_in)
    if config.audit.syslog is not None:
        yield from _syslog(("audit", "syslog"), config.audit.syslog)
    server = config.server
    for i, text in enumerate(server.trusted_proxies):
        try:
            networks([text])
        except ValueError:
            yield ("server", "trusted_proxies", i), f'"{shown(text)}" is no network', "such as 10.0.0.0/8 or 192.168.1.7"
    for field in ("tls_cert", "tls_key"):
        file = getattr(server, field)
        if file is not None:
            yield from _file(("server", field), file)
    if (server.tls_cert is None) != (server.tls_key is None):
        missing = "tls_key" if server.tls_key is None else "tls_cert"
        yield ("server", missing), f'the field "{missing}" is missing', "TLS needs both tls_cert and tls_key"


def _provider(name: str, provider: ProviderConfig, names: Names, env: Mapping[str, str]) -> Iterator[Found]:
    path: Path = ("providers", name)
    if not PROVIDER_NAME.match(name):
        hint = "letters, digits, dots, dashes; clients write provider/model"
        yield path, f'"{shown(name)}" cannot be a provider\'s name', hint
    if provider.base_url is not None:
        yield from _base_url((*path, "base_url"), provider.base_url)
    for gap in GAPS:
        value = getattr(provider, gap)
        if value is not None and not is_plain(value):
            yield (*path, gap), "not a name that can stand in a URL", "letters, digits, dots and dashes"
    if provider.api_key is not None:
        yield from _api_key((*path, "api_key"), provider.api_key)
    if provider.credential is not None:
        if provider.api_key is not None:
            yield (*path, "credential"), "api_key and credential stand side by side", "remove one of them"
        yield from _credential((*path, "credential"), provider.credential, env)
        if provider.credential.type == "aws" and not (provider.region or env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION")):
            yield (*path, "region"), "AWS requests are signed for a region", "write region, or set AWS_REGION"
    for name_in_query, value in provider.query.items():
        if not name_in_query or not _VISIBLE.match(name_in_query + value):
            yield (*path, "query", name_in_query), "a parameter holds a space, a line break or a letter outside ASCII", ""
    for dialect, base in (provider.also or {}).items():
        yield from _also((*path, "also", dialect), dialect, base)
    for header, value in provider.headers.items():
        yield from _header((*path, "headers", header), header, value)
    if provider.ca_file is not None:
        yield from _file((*path, "ca_file"), provider.ca_file)
    if provider.price is not None:
        yield from _price((*path, "price"), provider.price)
    if names.catalogue is not None:
        yield from _against_catalogue(path, provider, names.catalogue, env)


def _price(path: Path, price: PriceConfig) -> Iterator[Found]:
    if all(getattr(price, field) is None for field in price.__struct_fields__):
        yield path, "the price names nothing that is paid for", "such as input and output, in US dollars per million tokens"
    elif (price.input is None) != (price.output is None):
        missing = "output" if price.output is None else "input"
        yield (
            (*path, missing),
            f'the field "{missing}" is missing',
            "input and output go together; write 0 for what costs nothing",
        )


def _against_catalogue(path: Path, provider: ProviderConfig, catalogue: Catalogue, env: Mapping[str, str]) -> Iterator[Found]:
    name = str(path[1])
    row = catalogue.get(name)
    dialects = sorted(SPOKEN)
    if provider.dialect is not None and provider.dialect not in SPOKEN:
        hint = nearest(provider.dialect, dialects) or f"it is one of {', '.join(dialects)}"
        yield (*path, "dialect"), f'the dialect "{shown(provider.dialect)}" is not known', hint
    elif provider.dialect is None and row is not None and not speaks(row):
        yield path, f'{name} speaks "{row.dialect}", which this version does not', f"it speaks {', '.join(dialects)}"
    if row is None:
        if name == SANDBOX:
            return
        missing = [f for f in ("dialect", "base_url") if getattr(provider, f) is None]
        if missing:
            hint = nearest(name, catalogue) or f"dialect: {' or '.join(dialects)}"
            where = path if len(missing) == 2 else (*path, missing[0])
            yield where, f'"{shown(name)}" is no provider that Freehold knows, so it needs {" and ".join(missing)}', hint
        for gap in gaps(provider.base_url or ""):
            if gap in GAPS and getattr(provider, gap) is None:
                yield (*path, gap), f"the base_url has a place for the {gap}, and there is none", f"write {gap}"
        return
    if not row.base_url and provider.base_url is None:
        yield (*path, "base_url"), f"{name} has an address of your own", "write base_url"
    for gap in missing_gaps(row, provider, env):
        if gap not in GAPS or getattr(provider, gap) is None:  # else it is told that the value can't be used
            yield (*path, gap), f"{name} has no {gap}", _gap_hint(name, gap, row)
    if provider.api_key is None and provider.credential is None and _needs_key(row, env):
        yield (*path, "api_key"), f"{name} has no key", _key_hint(name, row)


def _route(name: str, route: RouteConfig, names: Names, env: Mapping[str, str]) -> Iterator[Found]:
    path: Path = ("routes", name)
    prefix, slash, _ = name.partition("/")
    if not name or len(name) > 200 or "*" in name or not name.isprintable() or name != name.strip():
        yield path, f'"{shown(name)}" cannot be a route\'s name', "1 to 200 visible characters without *"
    elif slash and prefix in names.callable:
        hint = f"clients reach {prefix}'s models by {prefix}/...; choose another name"
        yield path, f'the route "{shown(name)}" hides a model of the provider {prefix}', hint
    for i, target in enumerate(route.targets):
        where: Path = (*path, "targets", i)
        if not target.model:
            yield (*where, "model"), "the model's name is empty", "write the name that the provider uses"
        elif not target.model.isprintable():
            yield (
                (*where, "model"),
                "the model's name holds a line break or another character that can't be seen",
                "write it in one line",
            )
        if target.price is not None:
            yield from _price((*where, "price"), target.price)
        yield from _target_provider((*where, "provider"), target.provider, names, env)
    if route.strategy == "weighted" and not any(target.weight for target in route.targets):
        yield (*path, "targets"), "every weight is 0", "give one of them more"
    for i, other in enumerate(route.fallbacks):
        if other == name:
            yield (*path, "fallbacks", i), "the route falls back to itself", "name another route"
        elif other not in names.routes:
            yield (
                (*path, "fallbacks", i),
                f'there is no route "{shown(other)}"',
                nearest(other, names.routes) or "add it under routes",
            )


def _target_provider(path: Path, name: str, names: Names, env: Mapping[str, str]) -> Iterator[Found]:
    configured = names.providers.get(name)
    if configured is not None and not configured.enabled:
        yield path, f'the provider "{shown(name)}" is switched off', f"remove enabled: false from providers.{name}"
    if name in names.providers or name == SANDBOX or names.catalogue is None:
        return
    row = names.catalogue.get(name)
    if row is None:
        hint = nearest(name, names.callable) or "add it under providers"
        yield path, f'the provider "{shown(name)}" is neither configured nor known', hint
    elif not row.base_url:
        yield path, f"{name} has an address of your own", f"write providers.{name}.base_url"
    elif not speaks(row):
        yield path, f'{name} speaks "{row.dialect}", which this version does not', f"it speaks {', '.join(sorted(SPOKEN))}"
    elif missing := missing_gaps(row, ProviderConfig(), env):
        yield path, f"{name} has no {missing[0]}", _gap_hint(name, missing[0], row)
    elif _needs_key(row, env):
        yield path, f"{name} has no key", _key_hint(name, row)


def _keys(config: Config, names: Names) -> Iterator[Found]:
    by_name: dict[str, int] = {}
    by_key: dict[str, int] = {}
    for i, entry in enumerate(config.keys):
        path: Path = ("keys", i)
        if by_name.setdefault(entry.name, i) != i:
            yield (*path, "name"), f'the name "{shown(entry.name)}" is taken', f"by keys[{by_name[entry.name]}]; names are unique"
        if not entry.key:
            yield (*path, "key"), "the key is empty", "is the environment variable it comes from set?"
        elif not _VISIBLE.match(entry.key):
            yield (*path, "key"), "the key holds a space, a line break or a letter outside ASCII", "visible ASCII only"
        elif len(entry.key) < MIN_KEY_CHARS:
            hint = f'at least {MIN_KEY_CHARS}; make one with "freehold key create"'
            yield (*path, "key"), f"the key is {len(entry.key)} characters long", hint
        elif by_key.setdefault(entry.key, i) != i:
            yield (*path, "key"), f"the same key as keys[{by_key[entry.key]}]", "each client gets a key of its own"
        if not entry.models:
            yield (*path, "models"), "this key may use no model", 'write ["*"] for all of them'
        for j, pattern in enumerate(entry.models):
            yield from _pattern((*path, "models", j), pattern, names)


def _pattern(path: Path, pattern: str, names: Names) -> Iterator[Found]:
    """A pattern that can match nothing is a mistyped one. Without the catalogue only route names can be judged."""
    prefix, slash, _ = pattern.partition("/")
    if not pattern:
        yield path, "the pattern is empty", 'write "*" for all models'
    elif _matches_any(pattern, names.routes) or "*" in prefix or (slash and names.catalogue is None):
        return
    elif not slash:
        hint = nearest(pattern, names.routes) or "write a route's name, provider/model, or a pattern such as openai/*"
        yield path, f'"{shown(pattern)}" is the name of no route', hint
    elif prefix not in names.callable:
        yield path, f'"{shown(pattern)}" names no route and no known provider', nearest(prefix, names.callable)


def _matches_any(pattern: str, names: Collection[str]) -> bool:
    if "*" not in pattern:
        return pattern in names
    compiled = re.compile(".*".join(re.escape(piece) for piece in pattern.split("*")))
    return any(compiled.fullmatch(name) for name in names)


_OF_TYPE = {
    "aws": ("access_key_id", "secret_access_key", "session_token", "profile", "role_arn", "web_identity_token_file"),
    "google": ("file",),
    "azure": ("tenant_id", "client_id", "client_secret", "scope"),
    "ibm": ("api_key",),
}


def _credential(path: Path, given: CredentialConfig, env: Mapping[str, str]) -> Iterator[Found]:
    ours = _OF_TYPE.get(given.type, ())
    for field in given.__struct_fields__[1:]:
        value = getattr(given, field)
        if value is None:
            continue
        if field not in ours:
            yield (*path, field), f"not a field of {given.type} credentials", f"{given.type} takes {', '.join(ours)}"
        elif not value:
            yield (*path, field), "the text is empty", "is the environment variable it comes from set?"
        elif not _VISIBLE.match(value) and field not in ("file", "web_identity_token_file", "profile"):
            yield (
                (*path, field),
                "it holds a space, a line break or a letter outside ASCII",
                "copy it again, without quotes around it",
            )
    for one, other in (("access_key_id", "secret_access_key"), ("secret_access_key", "access_key_id")):
        if getattr(given, one) and not getattr(given, other):
            yield (*path, other), f'the field "{other}" is missing', f"it goes with {one}"
    if given.client_secret is not None:
        for field in ("tenant_id", "client_id"):
            if not getattr(given, field) and not env.get(f"AZURE_{field.upper()}"):
                yield (*path, field), f'the field "{field}" is missing', f"write it, or set AZURE_{field.upper()}"
    if given.file:
        yield from _file((*path, "file"), given.file)


def _also(path: Path, dialect: str, base: str) -> Iterator[Found]:
    if dialect not in SPOKEN:
        hint = nearest(dialect, SPOKEN) or f"it speaks {', '.join(sorted(SPOKEN))}"
        yield path, f'the dialect "{shown(dialect)}" is not known', hint
    if base and not base.startswith("/"):
        yield from _base_url(path, base)


def speaks(row: Row) -> bool:
    """This version has the row's dialect, or another one that the provider speaks too."""
    return row.dialect in SPOKEN or any(name in SPOKEN for name in row.also)


def missing_gaps(row: Row, given: ProviderConfig, env: Mapping[str, str]) -> list[str]:
    """The gaps in the address of a known provider that nothing fills."""
    return [gap for gap in gaps(given.base_url or row.base_url) if not gap_value(gap, row, given, env)]


def gap_value(gap: str, row: Row, given: ProviderConfig, env: Mapping[str, str]) -> str:
    """What fills it: the file, the environment, the row's default; "" for nothing that could stand in a URL."""
    found = (plain(env[name]) for name in row.fill.get(gap, ()) if env.get(name, "").strip())
    value = (getattr(given, gap, None) if gap in GAPS else "") or next(found, "") or row.defaults.get(gap, "")
    return value if is_plain(value) else ""


def _gap_hint(name: str, gap: str, row: Row) -> str:
    variables = row.fill.get(gap, ())
    return f"write providers.{name}.{gap}" + (f", or set {' or '.join(variables)}" if variables else "")


def _needs_key(row: Row, env: Mapping[str, str]) -> bool:
    return row.auth != "none" and not row.credential and not _key_in(env, row)


def _base_url(path: Path, url: str) -> Iterator[Found]:
    example = "for example https://api.example.com/v1"
    unknown = [name for name in gaps(url) if name not in GAPS]
    if unknown:
        yield path, f"{{{shown(unknown[0])}}} is no name that can be filled in", f"one of {', '.join((*GAPS, 'model'))}"
        return
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        yield path, "not a URL", example
        return
    if parts.username is not None or parts.password is not None:
        yield path, "a URL with a user name or password in it", "put the secret in api_key or headers"
    elif not _VISIBLE.match(url) or "\\" in url or parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        yield path, "not an http or https URL", example  # the value is left out: it may be a key in the wrong place
    elif parts.query or parts.fragment:
        yield path, "a base URL ends before ? and #", example


def _api_key(path: Path, key: str) -> Iterator[Found]:
    if not key:
        yield path, "the key is empty", "is the environment variable it comes from set? Leave api_key out if there is none"
    elif not _VISIBLE.match(key):
        yield path, "the key holds a space, a line break or a letter outside ASCII", "copy it again, without quotes around it"


def _header(path: Path, name: str, value: str) -> Iterator[Found]:
    if not _HEADER_NAME.match(name):
        yield path, f'"{shown(name)}" cannot be a header\'s name', "letters, digits and dashes"
    elif name.lower() in _OURS:
        yield path, f"{name.lower()} is set by the gateway itself", "remove it"
    elif value != value.strip() or not all(" " <= c <= "~" or c == "\t" for c in value):
        yield path, "the value holds a line break, outer spaces or a letter outside ASCII", "visible ASCII and inner spaces only"


def _syslog(path: Path, url: str) -> Iterator[Found]:
    try:
        parts = urlsplit(url)
        right = (
            parts.scheme in ("udp", "tcp") and parts.hostname and parts.port and not (parts.path or parts.query or parts.username)
        )
    except ValueError:
        right = False
    if not right:
        yield path, "not the address of a syslog server", "for example udp://192.0.2.7:514 or tcp://logs.example.com:601"


def _file(path: Path, file: str) -> Iterator[Found]:
    if not FilePath(file).is_file():
        yield path, f'there is no file "{shown(file)}"', "paths are taken from the directory where freehold is started"


def _key_in(env: Mapping[str, str], row: Row) -> bool:
    return any(env.get(name, "").strip() for name in row.env)


def _key_hint(name: str, row: Row) -> str:
    variable = f"set {' or '.join(row.env)}, or " if row.env else ""
    return f"{variable}write providers.{name}.api_key"
