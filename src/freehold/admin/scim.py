"""SCIM 2.0 (RFC 7643, 7644) at /scim/v2: a provisioning system keeps the people and groups of the workspace that its token is of.

An application of its own below the admin API's: its errors have their own form, and only API tokens count, never a browser's
cookie. What is done is said in control/provisioning.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import Body, Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from scim2_models import (
    AuthenticationScheme,
    Bulk,
    ChangePassword,
    Context,
    Error,
    ETag,
    Filter,
    ListResponse,
    Meta,
    Patch,
    PatchOp,
    ResourceType,
    ResponseParameters,
    Schema,
    SCIMException,
    ScimPolicy,
    SearchRequest,
    ServiceProviderConfig,
    Sort,
)
from scim2_models.path import CompareOperator, Comparison
from starlette.exceptions import HTTPException

from freehold.admin.problems import status_of
from freehold.admin.request import PlaneHere, VersionHere
from freehold.admin.scim_models import Group, User, etag, group_of, person_of, team_of, user_of
from freehold.admin.who import Noted
from freehold.control import provisioning
from freehold.control.actor import Actor
from freehold.control.plane import Plane
from freehold.control.provisioning import Taken
from freehold.control.refusal import Invalid, Missing, Refused, SignInNeeded, TooMany
from freehold.observe import log
from freehold.store.address import StoreError
from freehold.store.sealing import SealError

MEDIA_TYPE = "application/scim+json"
PREFIX = "/scim/v2"
MAX_RESULTS = 500
# Systems send much that is not kept here: it is left out, as the specification allows.
_POLICY = ScimPolicy(
    unknown=ScimPolicy.Unknown.ignore,
    remove_value_as_filter=ScimPolicy.RemoveValue.apply,
    unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
)

_UNKEPT = {"cache-control": "no-store"}

Row = dict[str, Any]


def make_scim(plane: Plane, who: Callable[[Request, str | None], Actor], noted: Noted) -> FastAPI:
    """To be mounted at PREFIX."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.state.plane, app.state.who, app.state.noted = plane, who, noted
    _errors(app)
    _discovery(app)
    _users(app)
    _groups(app)
    _everything(app)
    return app


def _actor(request: Request) -> Actor:
    """Raises SignInNeeded."""
    if request.headers.get("authorization", "")[:7].lower() != "bearer ":
        raise SignInNeeded("Send an API token as 'Authorization: Bearer fht_...'.")
    actor: Actor = request.app.state.who(request, None)
    return actor


ActorHere = Annotated[Actor, Depends(_actor)]
BodyHere = Annotated[dict[str, Any], Body(media_type=MEDIA_TYPE)]


# --- what this service is ---


def _discovery(app: FastAPI) -> None:
    @app.get("/ServiceProviderConfig")
    def config(request: Request, _: ActorHere) -> Response:
        return _reply(_service(), Context.RESOURCE_QUERY_RESPONSE)

    def described(path: str, make: Callable[[str], list[Any]]) -> None:
        def listed(request: Request, _: ActorHere) -> Response:
            if "filter" in request.query_params:
                return _error(Error(status=403, detail="What describes this service can't be filtered."))
            return _page(make(_base(request)), 1, None)

        def one(request: Request, _: ActorHere, id: str) -> Response:
            for resource in make(_base(request)):
                if resource.id == id:
                    return _reply(resource, Context.RESOURCE_QUERY_RESPONSE)
            raise Missing(path.strip("/"), id)

        app.add_api_route(path, listed, methods=["GET"])
        app.add_api_route(f"{path}/{{id}}", one, methods=["GET"])

    described("/ResourceTypes", _resource_types)
    described("/Schemas", _schemas)


def _service() -> ServiceProviderConfig:
    scheme = AuthenticationScheme(
        type=AuthenticationScheme.Type.oauthbearertoken, name="API token", description="An API token of Freehold", primary=True
    )
    return ServiceProviderConfig(
        patch=Patch(supported=True),
        bulk=Bulk(supported=False, max_operations=0, max_payload_size=0),
        filter=Filter(supported=True, max_results=MAX_RESULTS),
        change_password=ChangePassword(supported=False),
        sort=Sort(supported=False),
        etag=ETag(supported=True),
        authentication_schemes=[scheme],
    )


def _resource_types(base: str) -> list[Any]:
    made = [ResourceType.from_resource(User), ResourceType.from_resource(Group)]
    return [_located(one, "ResourceType", f"{base}/ResourceTypes/{one.id}") for one in made]


def _schemas(base: str) -> list[Any]:
    return [_located(one, "Schema", f"{base}/Schemas/{one.id}") for one in (User.to_schema(), Group.to_schema())]


def _located(resource: ResourceType | Schema, kind: str, location: str) -> Any:
    resource.meta = Meta(resource_type=kind, location=location)
    return resource


# --- people and groups ---


def _users(app: FastAPI) -> None:
    def listed(plane: Plane, actor: Actor, asked: SearchRequest[Any], base: str) -> tuple[list[Any], int]:
        offset, count = _window(asked)
        if asked.filter is None or (name := _by_name(asked)) is not None:
            rows, total = provisioning.listed(plane, actor, None if asked.filter is None else name, offset, count)
            return [user_of(row, base) for row in rows], total
        rows, _ = provisioning.listed(plane, actor, None, 0, None)
        found = [user for row in rows if asked.filter.match(user := user_of(row, base))]
        return found[offset : offset + count], len(found)

    def add(plane: Plane, actor: Actor, given: User) -> Row:
        given.active = given.active is not False
        return provisioning.add_person(plane, actor, person_of(given))

    def write(plane: Plane, actor: Actor, id: str, given: User, version: int | None) -> Row:
        return provisioning.change_person(plane, actor, id, person_of(given), version)

    _Kind(User, "Users", user_of, provisioning.person, listed, add, write, provisioning.remove_person).install(app)


def _groups(app: FastAPI) -> None:
    def listed(plane: Plane, actor: Actor, asked: SearchRequest[Any], base: str) -> tuple[list[Any], int]:
        offset, count = _window(asked)
        found = [group_of(row, base) for row in provisioning.groups(plane, actor)]
        if asked.filter is not None:
            found = [group for group in found if asked.filter.match(group)]
        return found[offset : offset + count], len(found)

    def add(plane: Plane, actor: Actor, given: Group) -> Row:
        return provisioning.add_group(plane, actor, team_of(given))

    def write(plane: Plane, actor: Actor, id: str, given: Group, version: int | None) -> Row:
        return provisioning.change_group(plane, actor, id, team_of(given), version)

    _Kind(Group, "Groups", group_of, provisioning.group, listed, add, write, provisioning.remove_group).install(app)


def _everything(app: FastAPI) -> None:
    """A search over people and groups at once."""

    def search(request: Request, plane: PlaneHere, actor: ActorHere, body: BodyHere) -> Response:
        with _POLICY:
            asked = SearchRequest[User | Group].model_validate(body, scim_ctx=Context.SEARCH_REQUEST)
            rows, _ = provisioning.listed(plane, actor, None, 0, None)
            found: list[Any] = [user_of(row, _base(request)) for row in rows]
            found += [group_of(row, _base(request)) for row in provisioning.groups(plane, actor)]
            if asked.filter is not None:
                found = [one for one in found if asked.filter.match(one)]
            offset, count = _window(asked)
            return _page(found[offset : offset + count], offset + 1, len(found), asked)

    app.add_api_route("/.search", search, methods=["POST"])


class _Kind:
    """The six operations of a kind of resource."""

    def __init__(self, model: Any, plural: str, shown: Any, read: Any, listed: Any, add: Any, write: Any, remove: Any) -> None:
        self.model, self.plural = model, plural
        self.shown, self.read, self.listed, self.add, self.write, self.remove = shown, read, listed, add, write, remove

    def install(self, app: FastAPI) -> None:
        many, one = f"/{self.plural}", f"/{self.plural}/{{id}}"

        def listed(request: Request, plane: PlaneHere, actor: ActorHere) -> Response:
            return self._found(request, plane, actor, dict(request.query_params))

        def search(request: Request, plane: PlaneHere, actor: ActorHere, body: BodyHere) -> Response:
            return self._found(request, plane, actor, body)

        def create(request: Request, plane: PlaneHere, actor: ActorHere, body: BodyHere) -> Response:
            with _POLICY:
                given = self.model.model_validate(body, scim_ctx=Context.RESOURCE_CREATION_REQUEST)
                return self._one(request, self.add(plane, actor, given), Context.RESOURCE_CREATION_RESPONSE, 201)

        def get(request: Request, plane: PlaneHere, actor: ActorHere, id: str) -> Response:
            return self._one(request, self.read(plane, actor, id), Context.RESOURCE_QUERY_RESPONSE)

        def replace(
            request: Request, plane: PlaneHere, actor: ActorHere, id: str, body: BodyHere, version: VersionHere
        ) -> Response:
            with _POLICY:
                before = self.shown(self.read(plane, actor, id), _base(request))
                given = self.model.model_validate(body, scim_ctx=Context.RESOURCE_REPLACEMENT_REQUEST)
                given.replace(before)
                if isinstance(given, User) and given.active is None:
                    given.active = before.active  # nobody is switched on by not being spoken of
                row = self.write(plane, actor, id, given, version)
                return self._one(request, row, Context.RESOURCE_REPLACEMENT_RESPONSE)

        def patch(
            request: Request, plane: PlaneHere, actor: ActorHere, id: str, body: BodyHere, version: VersionHere
        ) -> Response:
            with _POLICY:
                asked = PatchOp[self.model].model_validate(body, scim_ctx=Context.RESOURCE_PATCH_REQUEST)  # type: ignore[name-defined]
                row = self.read(plane, actor, id)
                resource = self.shown(row, _base(request))
                if asked.patch(resource):
                    # Written only if nobody else has written meanwhile: what is written is the whole.
                    row = self.write(plane, actor, id, resource, row["version"] if version is None else version)
                return self._one(request, row, Context.RESOURCE_PATCH_RESPONSE)

        def remove(plane: PlaneHere, actor: ActorHere, id: str, version: VersionHere) -> Response:
            self.remove(plane, actor, id, version)
            return Response(status_code=204)

        for path, method, does in (
            *((many, "GET", listed), (f"{many}/.search", "POST", search), (many, "POST", create), (one, "GET", get)),
            *((one, "PUT", replace), (one, "PATCH", patch), (one, "DELETE", remove)),
        ):
            app.add_api_route(path, does, methods=[method])

    def _found(self, request: Request, plane: Plane, actor: Actor, given: dict[str, Any]) -> Response:
        with _POLICY:
            kind = SearchRequest[self.model]  # type: ignore[name-defined]
            asked = kind.model_validate(given, scim_ctx=Context.SEARCH_REQUEST)
            found, total = self.listed(plane, actor, asked, _base(request))
            return _page(found, asked.start_index or 1, total, asked)

    def _one(self, request: Request, row: Row, context: Context, status: int = 200) -> Response:
        resource = self.shown(row, _base(request))
        headers = {"etag": etag(row["version"]), "location": resource.meta.location}
        wanted = {n: v for n, v in request.query_params.items() if n in ("attributes", "excludedAttributes")}
        chosen = ResponseParameters[self.model].model_validate(wanted) if wanted else None  # type: ignore[name-defined]
        return _reply(resource, context, status, headers, chosen)


def _window(asked: SearchRequest[Any]) -> tuple[int, int]:
    count = MAX_RESULTS if asked.count is None else max(0, min(asked.count, MAX_RESULTS))
    return (asked.start_index or 1) - 1, count


def _by_name(asked: SearchRequest[Any]) -> str | None:
    """The name in userName eq "...", which systems ask for all the time: the database finds it."""
    node = asked.filter.ast if asked.filter is not None else None
    if isinstance(node, Comparison) and node.op == CompareOperator.eq and str(node.attr_path).lower() == "username":
        return node.value if isinstance(node.value, str) else None
    return None


# --- answers ---


def _base(request: Request) -> str:
    url = request.app.state.plane.owned.config().sign_in.url
    return f"{(url or str(request.base_url).partition(PREFIX)[0]).rstrip('/')}{PREFIX}"


def _reply(
    resource: Any, context: Context, status: int = 200, headers: Mapping[str, str] | None = None, chosen: Any = None
) -> Response:
    """`chosen`: which attributes are wanted."""
    body = resource.model_dump_json(scim_ctx=context, response_parameters=chosen)
    return Response(body, status, {**(headers or {}), **_UNKEPT}, media_type=MEDIA_TYPE)


def _page(found: list[Any], start: int, total: int | None, asked: SearchRequest[Any] | None = None) -> Response:
    page = ListResponse[User | Group | ResourceType | Schema](
        total_results=len(found) if total is None else total, start_index=start, items_per_page=len(found), resources=found
    )
    body = page.model_dump_json(scim_ctx=Context.RESOURCE_QUERY_RESPONSE, response_parameters=asked)
    return Response(body, 200, _UNKEPT, media_type=MEDIA_TYPE)


def _error(error: Error, headers: Mapping[str, str] | None = None) -> Response:
    body = error.model_dump_json(exclude_none=True)
    return Response(body, int(error.status or 500), {**(headers or {}), **_UNKEPT}, media_type=MEDIA_TYPE)


def _errors(app: FastAPI) -> None:
    async def refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, Refused)
        status, headers = status_of(error), {}
        kind = "uniqueness" if isinstance(error, Taken) else "invalidValue" if isinstance(error, Invalid) else None
        if isinstance(error, SignInNeeded):
            headers["www-authenticate"] = 'Bearer realm="freehold"'
        if isinstance(error, TooMany):
            headers["retry-after"] = str(max(1, round(error.retry_after_s)))
        status = 400 if isinstance(error, Invalid) else status
        return _error(Error(status=status, scim_type=kind, detail=str(error)), headers)

    async def scim(_: Request, error: Exception) -> Response:
        assert isinstance(error, SCIMException)
        return _error(error.to_error())

    async def invalid(_: Request, error: Exception) -> Response:
        if isinstance(error, ValidationError):
            return _error(Error.from_validation_error(error.errors(include_input=False, include_url=False)[0]))
        return _error(Error(status=400, scim_type="invalidSyntax", detail="The body is no JSON object."))

    async def http(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return _error(Error(status=error.status_code, detail=str(error.detail)), error.headers)

    async def unavailable(_: Request, error: Exception) -> Response:
        log.event("error", "scim_unavailable", problem=str(error))
        return _error(Error(status=503, detail="The database is not available: try again shortly."), {"retry-after": "5"})

    async def unexpected(_: Request, error: Exception) -> Response:
        log.failure("scim_request_failed", error)
        return _error(Error(status=500, detail="Internal error: the log of the control plane says more."))

    for kind, answer in (
        *((Refused, refused), (SCIMException, scim), (ValidationError, invalid), (RequestValidationError, invalid)),
        *((HTTPException, http), (StoreError, unavailable), (SealError, unavailable), (Exception, unexpected)),
    ):
        app.add_exception_handler(kind, answer)
