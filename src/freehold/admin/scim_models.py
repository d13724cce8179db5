"""SCIM's resources as Freehold keeps them, and how they become what control/provisioning.py takes, and back."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from scim2_models import URN as Urn
from scim2_models import (
    CaseExact,
    ComplexAttribute,
    InvalidValueException,
    Meta,
    Mutability,
    Reference,
    Required,
    Resource,
    Uniqueness,
)

from freehold.control.model import moment
from freehold.control.provisioning import Group as TeamSaid
from freehold.control.provisioning import Person

MAX_TEXT = 300
MAX_EMAILS = 20
MAX_MEMBERS = 10_000


class Name(ComplexAttribute):
    formatted: str | None = None
    family_name: str | None = None
    given_name: str | None = None


class Email(ComplexAttribute):
    value: str | None = None
    type: str | None = None
    primary: bool | None = None


class GroupOf(ComplexAttribute):
    value: Annotated[str | None, Mutability.read_only, CaseExact.true] = None
    display: Annotated[str | None, Mutability.read_only] = None


class User(Resource[Any]):
    """A person of the workspace."""

    __schema__ = Urn("urn:ietf:params:scim:schemas:core:2.0:User")

    user_name: Annotated[str | None, Uniqueness.server, Required.true] = None
    name: Name | None = None
    display_name: str | None = None
    emails: list[Email] | None = None
    active: bool | None = None
    groups: Annotated[list[GroupOf] | None, Mutability.read_only] = None


class GroupMember(ComplexAttribute):
    value: Annotated[str | None, Mutability.immutable, CaseExact.true] = None
    ref: Annotated[Reference[User] | None, Mutability.immutable] = Field(
        None, serialization_alias="$ref", validation_alias="$ref"
    )


class Group(Resource[Any]):
    """A team of the workspace that provisioning keeps."""

    __schema__ = Urn("urn:ietf:params:scim:schemas:core:2.0:Group")

    display_name: Annotated[str | None, Required.true] = None
    members: list[GroupMember] | None = None


def person_of(user: User) -> Person:
    """Raises InvalidValueException for what can't be kept."""
    user_name = _text(user.user_name, "userName").strip()
    if not user_name:
        raise InvalidValueException(detail="userName is empty")
    emails = user.emails or []
    if len(emails) > MAX_EMAILS:
        raise InvalidValueException(detail=f"more than {MAX_EMAILS} emails")
    for email in emails:
        _text(email.value, "emails.value")
        _text(email.type, "emails.type")
    first = next((email for email in emails if email.primary), emails[0] if emails else None)
    address = (first.value if first is not None and first.value and "@" in first.value else user_name).strip().lower()
    document = user.model_dump(include={"user_name", "name", "display_name", "emails", "active"}, exclude_none=True)
    return Person(
        user_name=user_name.lower(),
        email=address,
        name=_shown_name(user)[:100],
        active=user.active is not False,
        external_id=_text(user.external_id, "externalId") or None,
        document=document,
    )


def _shown_name(user: User) -> str:
    name = user.name or Name()
    parts = [_text(getattr(name, field), f"name.{field}") for field in ("given_name", "family_name", "formatted")]
    whole = parts[2] or " ".join(part for part in parts[:2] if part)
    return _text(user.display_name, "displayName") or whole or _text(user.user_name, "userName")


def _text(value: Any, field: str) -> str:
    text = "" if value is None else str(value)
    if len(text) > MAX_TEXT or not text.isprintable():
        raise InvalidValueException(detail=f"{field} holds more than {MAX_TEXT} characters, or some that can't be seen")
    return text


def user_of(row: dict[str, Any], base: str) -> User:
    """`row`: of provisioning. `base`: where /Users is."""
    by_hand = {"userName": row["email"], "displayName": row["own_name"], "emails": [_email(row["email"])], "active": True}
    said = row["provisioned"] or by_hand
    user = User.model_validate({**said, "externalId": row["external_id"]})
    user.id = row["id"]
    if row["disabled"] or user.active is not None:
        user.active = not row["disabled"]
    user.groups = [GroupOf(value=team, display=name) for team, name in row["groups"]] or None
    user.meta = _meta("User", row, f"{base}/Users/{row['id']}")
    return user


def _email(address: str) -> dict[str, Any]:
    return {"value": address, "primary": True}


def team_of(group: Group) -> TeamSaid:
    """Raises InvalidValueException."""
    name = _text(group.display_name, "displayName").strip()
    if not 0 < len(name) <= 100:
        raise InvalidValueException(detail="displayName has 1 to 100 characters")
    ids = [_text(member.value, "members.value") for member in group.members or []]
    if len(ids) > MAX_MEMBERS or not all(ids):
        raise InvalidValueException(detail=f"members: up to {MAX_MEMBERS}, each with the id of a person as its value")
    return TeamSaid(name, tuple(dict.fromkeys(ids)), _text(group.external_id, "externalId") or None)


def group_of(row: dict[str, Any], base: str) -> Group:
    group = Group(display_name=row["name"], external_id=row["external_id"])
    group.id = row["id"]
    people = [{"value": one, "$ref": f"{base}/Users/{one}"} for one in row["members"]]
    group.members = [GroupMember.model_validate(one) for one in people] or None
    group.meta = _meta("Group", row, f"{base}/Groups/{row['id']}")
    return group


def _meta(kind: str, row: dict[str, Any], location: str) -> Meta:
    times = {"created": moment(row["created_ms"]), "last_modified": moment(row["updated_ms"])}
    return Meta(resource_type=kind, location=location, version=etag(row["version"]), **times)  # type: ignore[arg-type]


def etag(version: int) -> str:
    return f'W/"{version}"'
