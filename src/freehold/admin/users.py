"""Users of the installation, for operators."""

from __future__ import annotations

from fastapi import APIRouter

from freehold.admin.auth import REFUSED
from freehold.admin.objects import Page
from freehold.admin.request import OPERATOR, CursorHere, LimitHere, PlaneHere, SelfHere, needs
from freehold.control import users
from freehold.control.users import EditUser, User


def router() -> APIRouter:
    out = APIRouter(prefix="/users", tags=["users"])
    out.add_api_route("", listed, methods=["GET"], summary="List users", operation_id="list_users", **needs(OPERATOR))
    out.add_api_route(
        *("/{id}", change), methods=["PATCH"], summary="Change a user", operation_id="update_user",
        responses={409: REFUSED[409]}, **needs(OPERATOR),
    )  # fmt: skip
    return out


def listed(plane: PlaneHere, actor: SelfHere, limit: LimitHere = 100, cursor: CursorHere = "") -> Page[User]:
    found, after = users.listed(plane, actor, cursor, limit)
    return Page(data=found, next=after or None)


def change(plane: PlaneHere, actor: SelfHere, id: str, given: EditUser) -> User:
    return users.change(plane, actor, id, given)
