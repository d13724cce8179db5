"""Keys: as every noun, and a new secret for one."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Response

from freehold.admin.objects import TAGGED
from freehold.admin.objects import router as objects
from freehold.admin.once import AskedHere, once
from freehold.admin.request import ActorHere, PlaneHere, VersionHere, needs, tag
from freehold.control.keys import KeyMade, Keys, Rotation

_keys = Keys()


def router() -> APIRouter:
    out = APIRouter()
    out.include_router(objects(_keys, KeyMade))
    out.add_api_route(
        "/keys/{id}/rotate",
        _rotate,
        methods=["POST"],
        tags=["keys"],
        summary="Give a key a new secret",
        operation_id="rotate_key",
        response_model=KeyMade,
        responses=TAGGED,
        **needs("key:own"),
    )
    return out


def _rotate(
    response: Response,
    plane: PlaneHere,
    actor: ActorHere,
    asked: AskedHere,
    id: str,
    version: VersionHere,
    given: Annotated[Rotation | None, Body()] = None,
) -> Any:
    """The old secret is taken for `grace_s` more, by default for no second."""

    def make() -> KeyMade:
        result = _keys.rotate(plane, actor, id, given or Rotation(), version)
        tag(response, result.version)
        return result

    return once(asked, plane, actor, response, 200, make)
