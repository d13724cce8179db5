"""Entries of freehold.yaml as an API takes them: the same form, the same rules, every mistake with its path below `config`.

What the file may do and a request may not: hold secrets (they are credentials, control/credentials.py), read the environment or
files of the server, name addresses that are not the public internet's (unless freehold.yaml allows it), and, unless an operator
asks, use the server's own identity at clouds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from msgspec import Struct, inspect, structs

from freehold.config.document import Node
from freehold.config.problem import Path, dotted
from freehold.config.references import References, is_reference
from freehold.config.rules import PROVIDER_NAME, Catalogue, Names, broken_rules
from freehold.config.schema import Config, ProviderConfig, RouteConfig
from freehold.config.shape import Shape
from freehold.control.refusal import Invalid
from freehold.pipeline.sides import sides
from freehold.policy.egress import objection
from freehold.upstream.catalogue import PROVIDERS
from freehold.upstream.transport import SANDBOX

S = TypeVar("S", bound=Struct)
Wrong = tuple[str, str]  # where, and what

_SECRET_FIELDS = frozenset(("api_key", "secret_access_key", "session_token", "client_secret"))
_SECRET_NAME = re.compile(
    r"(^|[-_.])(key|keys|auth|authorization|cookie|credential|credentials|signature|sig|sas|jwt|pass|pat)([-_.]|$)"
    r"|api-?key|token|secret|passw|apikey",
    re.IGNORECASE,
)
_SECRET_VALUE = re.compile(r"(bearer|basic|token) |sk-|ghp_|AKIA|AIza|eyJ", re.IGNORECASE)
_HINT = "a secret has no place here: make a credential for this provider, with POST /api/v1/credentials"
_OPERATORS = {
    "credential": "the server's own cloud identity is its operators' to use; make a credential for this provider instead",
    "ca_file": "a file of the server is its operators' to name",
}
_PLACEHOLDER = "x" * 16


class Rights(NamedTuple):
    """`server`: may use the server's own identity and files. `private`: may name addresses of private networks."""

    server: bool
    private: bool


class Around(NamedTuple):
    """What names in a route can refer to."""

    providers: Mapping[str, ProviderConfig]
    routes: Mapping[str, RouteConfig]
    catalogue: Catalogue
    env: Mapping[str, str]


def provider(name: str, given: Mapping[str, Any], rights: Rights) -> ProviderConfig:
    """Raises Invalid with every mistake."""
    if not PROVIDER_NAME.match(name):
        raise Invalid("name", "A provider's name is up to 64 letters, digits, dots and dashes; clients write provider/model.")
    wrong = [*_secrets(given), *_texts(given), *(() if rights.server else _reserved(given))]
    shaped = _shaped(given, ProviderConfig, wrong)
    # Its secret is a credential of its own, which may come later: the rules need not ask for it.
    if shaped.credential is None:
        shaped = structs.replace(shaped, api_key=_PLACEHOLDER)
    config = Config(providers={name: shaped})
    wrong += _found(("providers", name), config, Names(config, PROVIDERS), {})
    _raise(wrong)
    try:
        made = sides(name, shaped, PROVIDERS.get(name), None)[1]
    except ValueError as error:
        raise Invalid("config", str(error).replace(f"providers.{name}.", "config.")) from None
    if not rights.private:
        for dialect, side in made.items():
            if side.origin != SANDBOX and (reason := objection(str(side.origin))):
                raise Invalid(*_where(dialect, given, f"{reason}: only with admin.private_networks in freehold.yaml"))
    return structs.replace(shaped, api_key=None)


def route(name: str, given: Mapping[str, Any], around: Around) -> RouteConfig:
    """Raises Invalid with every mistake."""
    wrong = list(_texts(given))
    shaped = _shaped(given, RouteConfig, wrong)
    config = Config(providers=dict(around.providers), routes={**around.routes, name: shaped})
    wrong += _found(("routes", name), config, Names(config, around.catalogue), around.env)
    _raise(wrong)
    return shaped


def _shaped(given: Mapping[str, Any], kind: type[S], wrong: list[Wrong]) -> S:
    """Raises Invalid if what is there is not enough for the rules to look at."""
    shape = Shape({}, References({}))
    value: S = shape.value(_node(given), inspect.type_info(kind), ("config",))
    told = {where for where, _ in wrong}
    wrong += [(p.path, f"{p.message}" + (f" ({p.hint})" if p.hint else "")) for p in shape.problems if p.path not in told]
    if shape.problems:
        _raise(wrong)
    return value


def _node(value: Any) -> Node:
    if isinstance(value, Mapping):
        return Node({name: _node(one) for name, one in value.items()}, 0)
    # What would be filled in from the environment or a file has been refused, and must not be looked for all the same.
    return Node([_node(one) for one in value], 0) if isinstance(value, list) else Node(_inert(value), 0)


def _inert(value: Any) -> Any:
    return "" if isinstance(value, str) and ("${" in value or is_reference(value)) else value


def _found(at: Path, config: Config, names: Names, env: Mapping[str, str]) -> Iterator[Wrong]:
    for path, message, hint in broken_rules(config, names, env):
        if path[: len(at)] == at:
            rest = path[len(at) :]
            own = hint.replace(f"{'.'.join(map(str, at))}.", "config.").partition(", or set ")[0]
            where = dotted(("config", *rest)) if rest or at[0] == "providers" else "name"
            yield where, message + (f" ({own})" if own else "")


def _secrets(given: Mapping[str, Any]) -> Iterator[Wrong]:
    credential = given.get("credential")
    for path, part in ((("config",), given), (("config", "credential"), credential)):
        for name in _SECRET_FIELDS.intersection(part if isinstance(part, Mapping) else ()):
            yield dotted((*path, name)), _HINT
    for section in ("headers", "query"):
        part = given.get(section)
        for name, value in part.items() if isinstance(part, Mapping) else ():
            if _SECRET_NAME.search(name) or (isinstance(value, str) and _SECRET_VALUE.match(value)):
                yield dotted(("config", section, name)), _HINT


def _reserved(given: Mapping[str, Any]) -> Iterator[Wrong]:
    for name, why in _OPERATORS.items():
        if given.get(name) is not None:
            yield dotted(("config", name)), why


def _texts(given: Mapping[str, Any]) -> Iterator[Wrong]:
    """What the file would fill in: it would read the server's environment, or a file of it."""
    waiting: list[tuple[Path, Any]] = [(("config",), given)]
    while waiting:
        path, one = waiting.pop()
        if isinstance(one, Mapping):
            waiting += (((*path, name), part) for name, part in one.items())
        elif isinstance(one, list):
            waiting += (((*path, at), part) for at, part in enumerate(one))
        elif isinstance(one, str) and ("${" in one or is_reference(one)):
            yield dotted(path), "variables and references to secrets are filled in for freehold.yaml alone"


def _where(dialect: str, given: Mapping[str, Any], message: str) -> Wrong:
    also = given.get("also")
    inside = isinstance(also, Mapping) and str(also.get(dialect, "")).startswith("http")
    return dotted(("config", "also", dialect) if inside else ("config", "base_url")), message


def _raise(wrong: list[Wrong]) -> None:
    if wrong:
        (field, message), *more = wrong[:100]
        raise Invalid(field, message, more)
