"""The providers that Freehold knows: vendors, routers and local servers, one row of data each (providers.toml).

A row saves the user from writing down a base URL, an auth scheme and the ways in which a vendor departs from the dialect
it claims to speak. Everything in it can be overridden in freehold.yaml. Prices are not here: `price_id` points at them.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct, field

from freehold.upstream.head import Auth
from freehold.wire.dialect import Kind, Quirks


class Also(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another dialect that a provider speaks for all of its models. What is not written is as in the provider's row.

    `base`: "" the same base URL, "/..." another path at the same origin, or a URL. Quirks are a dialect's: none are taken over.
    """

    base: str = ""
    auth: Auth | None = None
    quirks: Quirks = Quirks()
    kinds: tuple[Kind, ...] | None = None


class ProviderRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`base_url` "" means that the user must give one; `notes` then says how it looks. Its gaps, such as `{region}`, are filled
    from the provider's fields in freehold.yaml, else from the variables in `fill`, else from `defaults`; `{model}` by the target.

    `kinds` of "passthrough" alone: the vendor's API is one of its own, reached below /passthrough/NAME/ only; `dialect` then says
    how its errors are read, not what it speaks.
    `auth` "none" means that no key is needed; one that is configured all the same is sent as a bearer token.
    A `dialect` that this version does not have leaves the row to those in `also` that it has.
    """

    name: str
    title: str
    dialect: str = "openai_chat"
    base_url: str = ""
    global_base_url: str = ""  # in its place where the region is "global"
    also: dict[str, str | Also] = field(default_factory=dict)  # other dialects; a text is Also.base
    fill: dict[str, tuple[str, ...]] = field(default_factory=dict)
    defaults: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)  # parameters of every call
    paths: dict[Kind, str] = field(default_factory=dict)  # where it differs from the dialect's own
    credential: Literal["", "aws", "google", "azure", "ibm"] = ""  # used where no key is given
    auth: Auth = "bearer"
    env: tuple[str, ...] = ()  # environment variables that hold the key, the first one set wins
    zone: Literal["internal", "external"] = "external"
    quirks: Quirks = Quirks()
    kinds: tuple[Kind, ...] = ("chat",)
    price_id: str = ""  # its provider id in genai-prices
    headers: dict[str, str] = field(default_factory=dict)  # sent with every call
    probe: str = ""  # URL that answers where a local server runs at its default address
    models_path: str = "/models"  # below base_url; "" where it has no list
    models: tuple[str, ...] = ()  # names to show beside those of the price table
    notes: str = ""


def load(text: str) -> dict[str, ProviderRow]:
    """Rows by name. Raises tomllib.TOMLDecodeError or msgspec.ValidationError on a row that is not one."""
    tables = tomllib.loads(text)
    return {name: msgspec.convert({**table, "name": name}, ProviderRow) for name, table in tables.items()}


PROVIDERS: dict[str, ProviderRow] = load(Path(__file__).with_name("providers.toml").read_text(encoding="utf-8"))


def find(name: str) -> ProviderRow | None:
    """The row of this name, or None."""
    return PROVIDERS.get(name)
