"""What the part `sign_in` of the configuration must mean: providers that can be asked, names that can stand in a URL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from freehold.config.problem import Path
from freehold.config.schema import OidcConfig, SignInConfig

Found = tuple[Path, str, str]  # path, message, hint

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}\Z")
_DOMAIN = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+\Z")
_LOCAL = ("localhost", "127.0.0.1", "::1")


def broken_sign_in(config: SignInConfig) -> Iterator[Found]:
    path: Path = ("sign_in",)
    if config.url is not None:
        yield from _url((*path, "url"), config.url, origin=True)
    names = [provider.name for provider in config.oidc]
    for i, provider in enumerate(config.oidc):
        where: Path = (*path, "oidc", i)
        if provider.name in names[:i]:
            yield (*where, "name"), "two providers have this name", "choose another one"
        yield from _provider(where, provider)
        if len(config.oidc) > 1 and not provider.domains:
            # Else one provider could vouch for the people of another one.
            yield (*where, "domains"), "of several providers, each must say whose addresses it may vouch for", "write domains"
    for group in config.scim.roles:
        if not group:
            yield (*path, "scim", "roles"), "a group's name is empty", ""


def _provider(path: Path, provider: OidcConfig) -> Iterator[Found]:
    if not _NAME.match(provider.name):
        yield (*path, "name"), "cannot stand in a URL", "small letters, digits and dashes"
    yield from _url((*path, "issuer"), provider.issuer, origin=False)
    if not provider.client_id:
        yield (*path, "client_id"), "it is empty", "the provider shows it where this client is registered"
    if "openid" not in provider.scopes:
        yield (*path, "scopes"), "openid is not among them", "without it the provider does not say who somebody is"
    for i, scope in enumerate(provider.scopes):
        if not scope or not scope.isascii() or not scope.isprintable() or " " in scope:
            yield (*path, "scopes", i), "not a scope", "one word each"
    for i, domain in enumerate(provider.domains):
        if not _DOMAIN.match(domain):
            yield (*path, "domains", i), "not a domain", "write example.com, in small letters"
    if not provider.roles and provider.default_role is None and provider.allow_sign_up:
        yield (*path, "roles"), "people may sign up, and get no role anywhere", "write roles or default_role"


def _url(path: Path, text: str, *, origin: bool) -> Iterator[Found]:
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if not host or parts.scheme not in ("https", "http") or parts.query or parts.fragment or "@" in parts.netloc:
        yield path, "not a URL that can be used here", "write https://HOST"
    elif parts.scheme == "http" and host not in _LOCAL and not origin:
        yield path, "an identity provider is asked over https", "http is for this machine alone"
    elif origin and parts.path not in ("", "/"):
        yield path, "it holds a path", "write scheme and host alone: https://freehold.example.com"
