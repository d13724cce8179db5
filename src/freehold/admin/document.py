"""The OpenAPI 3.1 document: what FastAPI derives from the routes, and what it can't know: who may, and how it is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from freehold.admin.problems import MEDIA_TYPE, Problem
from freehold.admin.request import ANYONE
from freehold.control.rights import ROLES, SCOPES, allows

COOKIE = "freehold_session"
_METHODS = ("get", "put", "post", "delete", "patch")
_REFUSALS = {
    400: ("BadRequest", "The request can't be read"),
    401: ("SignInNeeded", "Not signed in, or the token is unknown, expired or revoked"),
    403: ("Forbidden", "Not allowed; `detail` names the right and the roles that have it"),
    404: ("Missing", "No such object in this workspace, or no such workspace"),
    409: ("Conflict", "It does not fit what is there"),
    412: ("Stale", "The object was changed since it was read"),
    413: ("TooLarge", "The body is too large"),
    422: ("Invalid", "A value can't be taken; `errors` names every field at fault"),
    429: ("TooMany", "Tried too often"),
    500: ("Failed", "A fault of Freehold's own; its log says more"),
    503: ("Unavailable", "The database or the master key is not available"),
}
_ABOUT = """Administers a Freehold: who may call which models, where calls go, what was used, and who changed what.

Objects are listed in pages (`limit`, `cursor`), newest first. `ETag` and `If-Match` keep two editors from overwriting each
other's changes. A request that makes something may carry an `Idempotency-Key`: sent again, it is answered again, not done again.
Errors are problems (RFC 9457) that name the field at fault. Objects with `"source": "file"` are written in freehold.yaml and
changed there.
"""


def install(app: FastAPI) -> None:
    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = document(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def document(app: FastAPI) -> dict[str, Any]:
    made = get_openapi(
        title=app.title,
        version=app.version,
        openapi_version="3.1.0",
        summary="The control plane of Freehold, the AI gateway you own.",
        description=_ABOUT,
        routes=app.routes,
        license_info={"name": "Apache 2.0", "identifier": "Apache-2.0"},
    )
    parts = made.setdefault("components", {})
    schemas = parts.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= {**problem.pop("$defs", {}), "Problem": problem}
    parts["responses"] = {name: _response(status, about) for status, (name, about) in _REFUSALS.items()}
    parts["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "An API token, `fht_...`."},
        "session": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "A signed-in browser's cookie."},
    }
    made["security"] = [{"token": []}, {"session": []}]
    for path, operation in _operations(made):
        _complete(path, operation)
    made["components"]["schemas"] = dict(sorted(schemas.items()))
    return made


def _operations(made: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in made["paths"].items():
        for method in _METHODS:
            if method in item:
                yield path, item[method]


def _complete(path: str, operation: dict[str, Any]) -> None:
    scope = operation.get("x-scope", "")
    responses = operation["responses"]
    if MEDIA_TYPE not in responses.get("422", {}).get("content", {}):
        responses.pop("422", None)  # FastAPI's own form
    declared = [int(status) for status in responses if status.isdigit() and int(status) in _REFUSALS]
    for status in declared:
        del responses[str(status)]  # what is said of them is said once, below
    for status in (*declared, *_statuses(path, operation, scope)):
        responses.setdefault(str(status), {"$ref": f"#/components/responses/{_REFUSALS[status][0]}"})
    operation["responses"] = dict(sorted(responses.items()))
    if scope == ANYONE:
        operation["security"] = []
    about = SCOPES.get(scope)
    if about is not None:
        roles = ", ".join(role for role, scopes in ROLES.items() if allows(scopes, scope))
        said = operation.get("description", "")
        operation["description"] = f"{said}\n\nNeeds the right `{scope}` ({about}). Roles that have it: {roles}.".strip()


def _statuses(path: str, operation: dict[str, Any], scope: str) -> Iterator[int]:
    names = {parameter["name"] for parameter in operation.get("parameters", ())}
    yield from (422, 500, 503)
    if scope != ANYONE:
        yield from (401, 403, 404)
    elif "{" in path:
        yield 404
    if "requestBody" in operation:
        yield from (400, 409, 413)
    elif "if-match" in names:
        yield 409
    if "if-match" in names:
        yield 412


def _response(status: int, about: str) -> dict[str, Any]:
    out: dict[str, Any] = {
        "description": about,
        "content": {
            MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "example": {"type": "about:blank", "title": about.partition(";")[0], "status": status, "detail": "..."},
            }
        },
    }
    if status == 401:
        out["headers"] = {"www-authenticate": {"schema": {"type": "string"}}}
    if status in (429, 503):
        out["headers"] = {"retry-after": {"description": "Seconds.", "schema": {"type": "string"}}}
    return out
