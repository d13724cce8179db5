"""Keys: what clients call with. The secret is shown once; its digest is kept.

Of an app, of a member (a person or a service account), or of neither: the workspace's own.
"""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints
from sqlalchemy import select

from freehold.base.secret import key_digest
from freehold.control.actor import Actor
from freehold.control.model import Count, EditObject, Id, Model, NewObject, Time, View, unix_ms
from freehold.control.noun import Noun, Row
from freehold.control.plane import Change, Plane
from freehold.control.refusal import Conflict, Invalid
from freehold.store.tenants import apps, keys, members

PREFIX = "fh_"
MAX_GRACE_S = 30 * 86_400


def _network(text: str) -> str:
    return str(ipaddress.ip_network(text, strict=False))


def _pattern(text: str) -> str:
    if not text.isprintable() or " " in text:
        raise ValueError("a model pattern is a route, provider/model, or a pattern such as openai/*, without spaces")
    return text


Pattern = Annotated[str, StringConstraints(min_length=1, max_length=300), AfterValidator(_pattern)]
Network = Annotated[str, StringConstraints(max_length=50), AfterValidator(_network)]
Capture = Literal["", "none", "redacted", "full"]

_MODELS = Field(
    max_length=500, description="Routes, provider/model, or patterns with `*`.", examples=[["fast-model", "openai/*"]]
)
_ADDRESSES = Field(
    max_length=200, description="Networks that it may be used from; none: from everywhere.", examples=[["10.0.0.0/8"]]
)
_APP = Field(description="Id of the app that it belongs to.")
_MEMBER = Field(description="Id of the member or service account that it belongs to.")
_LIMITS = Field(max_length=50, description="As under `limits` in freehold.yaml.", examples=[[{"requests": 60, "per": "minute"}]])
_BUDGETS = Field(
    max_length=50, description="As under `budgets` in freehold.yaml.", examples=[[{"usd": 50, "per": "month", "mode": "hard"}]]
)
_CAPTURE = Field(description='What is kept of what was said: none, redacted, full; "" leaves it to the route.')
_EXPIRES = Field(description="It is refused from then on.")
_DISABLED = Field(description="It is refused while it is.")


class Limit(Model):
    """So many requests, tokens or calls at the same time."""

    requests: Count | None = None
    tokens: Count | None = Field(default=None, description="In and out.")
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    parallel: Count | None = Field(default=None, description="Calls under way; takes no `per`.")
    per: Literal["second", "minute", "hour", "day", "week", "month"] | None = None


class Budget(Model):
    """So much money."""

    usd: float = Field(ge=0, le=1e9)
    per: Literal["hour", "day", "week", "month", "year"] | None = Field(default=None, description="Unset: for all time.")
    mode: Literal["hard", "soft"] = Field(default="hard", description="hard: refuses calls; soft: warns.")


class Key(View):
    prefix: str = Field(default="", description="The first characters of the secret.")
    last4: str = Field(description="The last ones.")
    models: list[str] = _MODELS
    addresses: list[str] = Field(default_factory=list)
    app_id: str | None = Field(default=None, description=_APP.description)
    member_id: str | None = Field(default=None, description=_MEMBER.description)
    limits: list[Limit] = Field(default_factory=list)
    budgets: list[Budget] = Field(default_factory=list)
    capture: Capture = ""
    expires_at: Time | None = None
    disabled: bool = False
    old_until_at: Time | None = Field(default=None, description="After a rotation: until when the secret before is taken too.")


class KeyMade(Key):
    key: str = Field(description="The secret: shown now, and never again.")


class NewKey(NewObject):
    models: Annotated[list[Pattern], _MODELS] = Field(default_factory=lambda: ["*"])
    addresses: Annotated[list[Network], _ADDRESSES] = Field(default_factory=list)
    app_id: Annotated[Id | None, _APP] = None
    member_id: Annotated[Id | None, _MEMBER] = None
    limits: Annotated[list[Limit], _LIMITS] = Field(default_factory=list)
    budgets: Annotated[list[Budget], _BUDGETS] = Field(default_factory=list)
    capture: Annotated[Capture, _CAPTURE] = ""
    expires_at: Annotated[Time | None, _EXPIRES] = None
    disabled: Annotated[bool, _DISABLED] = False


class EditKey(EditObject):
    models: Annotated[list[Pattern], _MODELS] = Field(default_factory=list)
    addresses: Annotated[list[Network], _ADDRESSES] = Field(default_factory=list)
    limits: Annotated[list[Limit], _LIMITS] = Field(default_factory=list)
    budgets: Annotated[list[Budget], _BUDGETS] = Field(default_factory=list)
    capture: Annotated[Capture, _CAPTURE] = ""
    expires_at: Annotated[Time | None, _EXPIRES] = None
    disabled: Annotated[bool, _DISABLED] = False


class Rotation(Model):
    grace_s: int = Field(default=0, ge=0, le=MAX_GRACE_S, description="For so many seconds the old secret is taken too.")


class Keys(Noun[Key]):
    kind = "key"
    plural = "keys"
    table = keys
    view = Key
    new = NewKey
    edit = EditKey
    followed = True
    filters = ("name", "app_id", "member_id", "disabled")
    may_own = True

    def create(self, plane: Plane, actor: Actor, given: Model) -> KeyMade:
        """The one time that the secret is there."""
        with plane.changing(actor, "key:own") as change:
            return self.insert(change, given.model_dump())

    def insert(self, change: Change, values: dict[str, Any]) -> KeyMade:
        secret = new_secret()
        made = super().insert(change, {**values, **_of(secret)})
        return KeyMade(**made.model_dump(), version=made.version, key=secret)

    def rotate(self, plane: Plane, actor: Actor, wanted: str, given: Rotation, version: int | None = None) -> KeyMade:
        """A new secret for the same key; the old one is taken for `grace_s` more."""
        with plane.changing(actor, "key:own") as change:
            before = self._to_change(change, wanted, version)
            if before["disabled"]:
                raise Conflict(f"Key {before['name']!r} is switched off: switch it on before it gets a new secret.")
            secret = new_secret()
            until = change.now_ms + given.grace_s * 1000 if given.grace_s else None
            old = {"old_digest": before["digest"] if until else None, "old_until_ms": until}
            changed = self.write(change, "rotate", before, {**_of(secret), **old})
            return KeyMade(**changed.model_dump(), version=changed.version, key=secret)

    def prepared(self, change: Change, values: dict[str, Any], before: Row | None) -> dict[str, Any]:
        if "expires_at" in values:
            values["expires_ms"] = unix_ms(values.pop("expires_at"))
        for field in ("limits", "budgets"):
            if field in values:
                values[field] = [{k: v for k, v in one.items() if v is not None} for one in values[field]]
        for at, one in enumerate(values.get("limits", ())):
            _limit(at, one)
        if before is None:
            if not change.actor.may("key:write") and not values["app_id"] and not values["member_id"]:
                values["member_id"] = change.actor.member_id
            self._belongs(change, values)
        return values

    def owns(self, change: Change, row: Row) -> bool:
        mine = change.actor.member_id
        if mine and row["app_id"]:
            query = select(apps.c.owner_id).where(apps.c.workspace == change.workspace, apps.c.id == row["app_id"])
            return change.connection.scalar(query) == mine
        return bool(mine) and row["member_id"] == mine

    def _belongs(self, change: Change, values: dict[str, Any]) -> None:
        """Raises Invalid, Forbidden."""
        if values["app_id"] and values["member_id"]:
            raise Invalid("member_id", "A key belongs to an app or to a member, not to both.")
        for field, table in (("app_id", apps), ("member_id", members)):
            wanted = values[field]
            query = select(table).where(table.c.workspace == change.workspace, table.c.id == wanted)
            if wanted and change.connection.execute(query).first() is None:
                raise Invalid(field, f"There is no {field[:-3]} {wanted!r} in this workspace.")


def new_secret() -> str:
    """ "fh_" and 43 characters: 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def _of(secret: str) -> dict[str, Any]:
    return {"digest": key_digest(secret.encode()), "prefix": secret[:6], "last4": secret[-4:]}


def _limit(at: int, limit: Mapping[str, Any]) -> None:
    measures = [name for name in limit if name != "per"]
    if len(measures) != 1:
        raise Invalid(f"limits[{at}]", "A limit names one of requests, tokens, input_tokens, output_tokens, parallel.")
    if (measures[0] == "parallel") == ("per" in limit):
        hint = "takes no `per`" if measures[0] == "parallel" else "needs a `per`: second, minute, hour, day, week or month"
        raise Invalid(f"limits[{at}].per", f"A limit of {measures[0]} {hint}.")
