"""Refusals as RFC 9457 problems: application/problem+json with `type`, `title`, `status`, `detail`, and the `field` at fault."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from freehold.control.refusal import Conflict, Forbidden, Invalid, Missing, Refused, Reused, SignInNeeded, Stale, TooMany
from freehold.observe import log
from freehold.store.address import StoreError
from freehold.store.sealing import SealError

MEDIA_TYPE = "application/problem+json"

_STATUS: dict[type[Refused], tuple[int, str]] = {
    Invalid: (422, "Invalid value"),
    SignInNeeded: (401, "Sign in first"),
    Forbidden: (403, "Not allowed"),
    Missing: (404, "Not found"),
    Conflict: (409, "Conflict"),
    Stale: (412, "Changed meanwhile"),
    Reused: (422, "Idempotency-Key used before"),
    TooMany: (429, "Too many tries"),
}
_TITLES = {400: "Bad request", 404: "Not found", 405: "Method not allowed", 413: "Too large", 415: "Unknown media type"}


class FieldProblem(BaseModel):
    field: str = Field(description="Where: `models[2]`.", examples=["models[2]"])
    detail: str


class Problem(BaseModel):
    """RFC 9457."""

    type: str = Field(description="about:blank, or what kind of problem it is", examples=["about:blank"])
    title: str
    status: int
    detail: str
    field: str | None = Field(default=None, description="The first field at fault.")
    errors: list[FieldProblem] | None = Field(default=None, description="Every field at fault.")


def problem(status: int, title: str, detail: str, errors: Sequence[FieldProblem] = (), headers: Any = None) -> JSONResponse:
    body = Problem(
        type="about:blank",
        title=title,
        status=status,
        detail=detail.encode("utf-8", "backslashreplace").decode(),
        field=errors[0].field if errors else None,
        errors=list(errors) or None,
    )
    return JSONResponse(body.model_dump(exclude_none=True), status, headers=headers, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(StoreError, _store)
    app.add_exception_handler(SealError, _sealed)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def status_of(error: Refused) -> int:
    return _status(error)[0]


def _status(error: Refused) -> tuple[int, str]:
    return next(_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)


async def _refused(_: Request, error: Exception) -> JSONResponse:
    status, title = _status(cast(Refused, error))
    found = [(error.field, str(error)), *error.more] if isinstance(error, Invalid) else []
    errors = [FieldProblem(field=_ascii(field, 200), detail=_ascii(detail, 500)) for field, detail in found]
    headers = {}
    if isinstance(error, TooMany):
        headers["retry-after"] = str(max(1, round(error.retry_after_s)))
    if isinstance(error, SignInNeeded):
        headers["www-authenticate"] = 'Bearer realm="freehold"'
    return problem(status, title, str(error), errors, headers)


async def _store(_: Request, error: Exception) -> JSONResponse:
    log.event("error", "database_unavailable", problem=str(error))
    return problem(503, "The database is not available", "Try again shortly.", headers={"retry-after": "5"})


async def _sealed(_: Request, error: Exception) -> JSONResponse:
    """Nothing is done without the master key: no secret could be kept, and no act be recorded."""
    log.event("error", "master_key_unavailable", problem=str(error))
    return problem(503, "The master key is not available", str(error), headers={"retry-after": "5"})


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    """What was sent is never repeated: it may hold a secret, or bytes that are no text."""
    found = [
        FieldProblem(field=_where(one["loc"]), detail=_plain(one)) for one in cast(RequestValidationError, error).errors()[:100]
    ]
    first = f"{found[0].field}: {found[0].detail}" if found else "It is not what this operation takes."
    return problem(422, "Invalid value", first, found)


async def _http(_: Request, error: Exception) -> JSONResponse:
    error = cast(HTTPException, error)
    return problem(error.status_code, _TITLES.get(error.status_code, "Refused"), str(error.detail), headers=error.headers)


async def _unexpected(_: Request, error: Exception) -> JSONResponse:
    log.failure("admin_request_failed", error)
    return problem(500, "Internal error", "The error log of the control plane says more.")


def _where(location: Sequence[str | int]) -> str:
    """("body", "models", 2) -> "models[2]"."""
    out = ""
    for step in location[1:] if location and location[0] in ("body", "query", "path", "header") else location:
        out += f"[{step}]" if isinstance(step, int) else f".{step}" if out else str(step)
    return _ascii(out, 200) or "body"


def _plain(error: Any) -> str:
    message = str(error.get("msg", "is not valid")).removeprefix("Value error, ")
    return _ascii(message, 300)


def _ascii(text: str, limit: int) -> str:
    """Whatever was sent, lone surrogates too, can be answered."""
    return text.encode("ascii", "backslashreplace").decode()[:limit]
