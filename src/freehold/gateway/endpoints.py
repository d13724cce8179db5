"""Paths -> what answers them. Model calls go to the request function; everything else is answered by pages.py."""

from __future__ import annotations

import re
from time import monotonic_ns
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote

from msgspec import structs

from freehold.base.errors import ClientError, GatewayError, InvalidRequest, MethodNotAllowed, NotFound
from freehold.base.ids import new_call_id
from freehold.gateway import pages, websocket
from freehold.gateway.request import Request
from freehold.pipeline import admit, deliver, settle
from freehold.pipeline.exchange import Exchange
from freehold.pipeline.output import Output
from freehold.pipeline.runtime import Runtime
from freehold.pipeline.serve import serve
from freehold.wire import multipart
from freehold.wire.dialect import BOUND, Asked, ClientPath, Dialect, Kind
from freehold.wire.dialects.openai_chat import media
from freehold.wire.registry import DIALECTS

_JSON = b"content-type: application/json\r\n"


class Endpoint(NamedTuple):
    dialect: Dialect
    kind: Kind
    home: str  # provider that a bare model name means here, if it is no route
    asked: Asked
    opens: bool = True  # the dialect opens the body as JSON and needs nothing else of the request


# Under /NAME/... (and, for APIs that only one vendor has, everywhere) a bare model name is one of provider NAME.
_HOMES = {
    "openai_chat": "openai",
    "openai_responses": "openai",
    "openai_completions": "openai",
    "anthropic": "anthropic",
    "gemini": "gemini",
    "bedrock": "bedrock",
    "bedrock_invoke": "bedrock",
    "cohere": "cohere",
    "ollama": "ollama",
    "voyage": "voyage",
    "jina": "jina",
    "tei": "tei",
}
_SHARED = ("openai", "anthropic")  # their paths are spoken by clients of many vendors


_UNOPENED: frozenset[Kind] = media.KINDS | BOUND
_UPLOADS: frozenset[Kind] = frozenset(("images", "transcriptions"))  # as forms
_PASSTHROUGH = re.compile(r"/passthrough/([^/]+)(/.*)")
_ID = r"([A-Za-z0-9][A-Za-z0-9._~\-]{0,255})"


class _Paths:
    """Every path that is a model call. Most are fixed and found by a dict; some hold the model's name, or a file's id."""

    def __init__(self) -> None:
        self.fixed: dict[str, Endpoint] = {}  # those of POST
        self._fixed: dict[str, dict[str, Endpoint]] = {"POST": self.fixed}
        self._patterns: dict[str, list[tuple[re.Pattern[str], Endpoint]]] = {}
        for dialect in DIALECTS.values():
            home = _HOMES.get(dialect.name, "")
            for client in dialect.client_paths:
                self._add(client.path, dialect, client, "" if home in _SHARED else home)
                if home and not client.path.startswith(f"/{home}/"):
                    self._add(f"/{home}{client.path}", dialect, client, home)
                    # The OpenAI SDK's base URL ends in /v1, the Anthropic SDK adds it: serve both ways of writing the base URL.
                    if home in _SHARED and client.path.startswith("/v1/"):
                        self._add(f"/{home}{client.path[3:]}", dialect, client, home)

    def _add(self, path: str, dialect: Dialect, client: ClientPath, home: str) -> None:
        asked = Asked(stream=client.stream, path=client.path, method=client.method)
        endpoint = Endpoint(dialect, client.kind, home, asked, client.kind not in _UNOPENED)
        before, hole, after = path.partition("{model}")
        if hole or "{id}" in path:
            pattern = f"{re.escape(before)}(.+){re.escape(after)}" if hole else re.escape(path).replace(r"\{id\}", _ID)
            self._patterns.setdefault(client.method, []).append((re.compile(pattern), endpoint))
        else:
            self._fixed.setdefault(client.method, {})[path] = endpoint

    def find(self, method: str, path: str, query: bytes) -> Endpoint | None:
        """The endpoint with what the URL says filled in."""
        return self._listed(method, path, query) or self._elsewhere(method, path, query)

    def _listed(self, method: str, path: str, query: bytes) -> Endpoint | None:
        found = self._fixed.get(method, {}).get(path)
        if found is not None:
            return found if found.opens else found._replace(asked=structs.replace(found.asked, raw_query=query.decode("latin-1")))
        for pattern, endpoint in self._patterns.get(method, ()):
            match = pattern.fullmatch(path)
            if match is not None:
                asked = endpoint.asked
                if not endpoint.opens:
                    filled = structs.replace(asked, id=match[1], raw_query=query.decode("latin-1"))
                else:
                    pairs = dict(parse_qsl(query.decode("ascii", "replace"), keep_blank_values=True))
                    filled = Asked(unquote(match[1]), asked.stream, pairs, asked.path)
                return endpoint._replace(asked=filled)
        return None

    def _elsewhere(self, method: str, path: str, query: bytes) -> Endpoint | None:
        """Below a provider's name: what is bound to a provider, and everything that its API has."""
        match = _PASSTHROUGH.fullmatch(path)
        if match is not None:
            asked = Asked(path=match[2], method=method, raw_query=query.decode("latin-1"))
            return Endpoint(DIALECTS["openai_chat"], "passthrough", unquote(match[1]), asked, False)
        name, slash, rest = path[1:].partition("/")
        if name == "passthrough" or not rest.startswith("v1/"):
            return None
        found = self._listed(method, slash + rest, query)
        return found._replace(home=unquote(name)) if found is not None and found.kind in BOUND and not found.home else None

    def methods(self, path: str) -> list[str]:
        return sorted(m for m in {*self._fixed, *self._patterns} if self.find(m, path, b"") is not None)

    def known(self) -> list[str]:
        """The paths to name to someone who asked for another."""
        return [path for path in self.fixed if path.startswith("/v1")]


PATHS = _Paths()


class Gateway:
    """The server's handler. A reload replaces `runtime`; `draining` turns /readyz to 503."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.draining = False

    async def __call__(self, request: Request, out: Output) -> None:
        endpoint = PATHS.fixed.get(request.path) if request.method == "POST" else None
        if endpoint is None or not endpoint.opens:
            endpoint = PATHS.find(request.method, request.path, request.query)
            if endpoint is None:
                self._page(request, out)
                return
        if request.headers.get(b"content-encoding", b"identity") != b"identity" and endpoint.kind != "passthrough":
            self._send_error(request, InvalidRequest("Compressed request bodies are not accepted; send the JSON plain."), out)
            return
        dialect, kind, home, asked, opens = endpoint
        if kind == "realtime":
            websocket.unpack(request.headers)
        if not opens:
            asked = structs.replace(asked, content_type=request.headers.get(b"content-type", b""))
        x = Exchange(dialect, kind, request.headers, request.body, request.arrived_ns, home, asked)
        x.address = request.client_ip
        if kind == "realtime":
            try:
                x.upgrade = websocket.acceptance(request)
            except GatewayError as error:
                self._send_error(request, error, out)
                return
        x.incoming = request.incoming
        request.body = b""  # the exchange lets go of it as soon as it can
        await serve(x, self.runtime, out)

    def admit_head(self, request: Request) -> GatewayError | None:
        """Before a large body is read: is there an endpoint, and a key of ours? And must the call wait for all of it?"""
        endpoint = PATHS.find(request.method, request.path, request.query)
        if endpoint is None:
            return NotFound(_no_path(request))
        try:
            admit.principal_of(request.headers, self.runtime.snapshot, request.client_ip, endpoint.asked.query)
        except GatewayError as error:
            return error
        request.streams = endpoint.kind in ("files", "passthrough") or (
            endpoint.kind in _UPLOADS and multipart.is_form(request.headers.get(b"content-type", b""))
        )
        return None

    def refusal(self, request: Request | None, error: GatewayError) -> tuple[int, bytes, bytes]:
        """An error found outside the request function as (status, header lines, body). Recorded if it is a key's own mistake."""
        endpoint = _meant(request) if request is not None else None
        if request is None or endpoint is None:
            dialect, call_id = _dialect_of(request), new_call_id()
            lines = _JSON + b"x-freehold-call-id: %b\r\n" % call_id.encode()
        else:
            dialect = endpoint.dialect
            x = Exchange(dialect, endpoint.kind, request.headers, b"", monotonic_ns(), endpoint.home)
            x.address = request.client_ip
            x.error, x.status, call_id = error, error.status, x.call_id
            if isinstance(error, ClientError):
                self._record(x)
            lines = deliver.headers(x, b"application/json")
        if error.retry_after_s is not None:
            lines += b"retry-after: %d\r\n" % -(-error.retry_after_s // 1)
        return error.status, lines, dialect.encode_error(error, call_id)

    def _record(self, x: Exchange) -> None:
        try:
            x.principal = admit.principal_of(x.headers, self.runtime.snapshot, x.address)
        except GatewayError:
            return
        x.outcome = "refused"
        settle.record(x, self.runtime)

    def _page(self, request: Request, out: Output) -> None:
        try:
            possible = PATHS.methods(request.path)
            if possible:
                raise MethodNotAllowed(f"{request.method} is not possible here; use {' or '.join(possible)}.")
            page = pages.find(request, self.runtime, self.draining)
            if page is None:
                raise NotFound(_no_path(request))
        except GatewayError as error:
            self._send_error(request, error, out)
            return
        out.whole(page.status, b"content-type: %b\r\n" % page.content_type, page.body)

    def _send_error(self, request: Request, error: GatewayError, out: Output) -> None:
        out.whole(*self.refusal(request, error))


def _meant(request: Request) -> Endpoint | None:
    """The endpoint of a path, also where its method is another one."""
    return PATHS.find(request.method, request.path, b"") or PATHS.find("POST", request.path, b"")


def _dialect_of(request: Request | None) -> Dialect:
    """Whose error format a client understands that asked for no endpoint of ours."""
    if request is not None:
        endpoint = _meant(request)
        if endpoint is not None:
            return endpoint.dialect
        if request.path.startswith("/anthropic") or b"anthropic-version" in request.headers:
            return DIALECTS["anthropic"]
    return DIALECTS["openai_chat"]


def _no_path(request: Request) -> str:
    return f"There is no {request.method} {request.path[:200]} here. Model calls go to: {', '.join(PATHS.known())}."
