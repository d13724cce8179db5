"""What the workspace's keys can ask for."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from freehold.admin.objects import Page
from freehold.admin.request import ActorHere, CursorHere, LimitHere, PlaneHere, needs
from freehold.control import models
from freehold.control.models import ModelView


def router() -> APIRouter:
    out = APIRouter(tags=["models"])
    out.add_api_route(
        "/models",
        _listed,
        methods=["GET"],
        summary="List what the workspace's keys can ask for",
        operation_id="list_models",
        response_model=Page[ModelView],
        **needs("route:read"),
    )
    return out


def _listed(
    plane: PlaneHere,
    actor: ActorHere,
    text: Annotated[str, Query(max_length=200, description="Only those whose name holds this.")] = "",
    limit: LimitHere = 100,
    cursor: CursorHere = "",
) -> Any:
    """Routes first, then the models of each provider. A provider may have more than it is known to have."""
    found = models.listed(plane, actor, text)
    start = next((at for at, one in enumerate(found, 1) if one.id == cursor), 0) if cursor else 0
    data = found[start : start + limit]
    return {"data": data, "next": data[-1].id if start + limit < len(found) else None}
