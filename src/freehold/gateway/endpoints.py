"""Paths -> what answers them. Model calls go to the request function; everything else is answered by pages.py."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote

from freehold.base.errors import GatewayError, InvalidRequest, MethodNotAllowed, NotFound
from freehold.base.ids import new_call_id
from freehold.gateway import pages
from freehold.gateway.request import Request
from freehold.pipeline import admit
from freehold.pipeline.exchange import Exchange
from freehold.pipeline.output import Output
from freehold.pipeline.runtime import Runtime
from freehold.pipeline.serve import serve
from freehold.wire.dialect import Asked, ClientPath, Dialect, Kind
from freehold.wire.registry import DIALECTS

_JSON = b"content-type: application/json\r\n"


class Endpoint(NamedTuple):
    dialect: Dialect
    kind: Kind
    home: str  # provider that a bare model name means here, if it is no route
    asked: Asked


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


class _Paths:
    """Every path that is a model call. Most are fixed and found by a dict; some hold the model's name."""

    def __init__(self) -> None:
        self.fixed: dict[str, Endpoint] = {}
        self._patterns: list[tuple[re.Pattern[str], Endpoint]] = []
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
        endpoint = Endpoint(dialect, client.kind, home, Asked(stream=client.stream, path=client.path))
        before, hole, after = path.partition("{model}")
        if not hole:
            self.fixed[path] = endpoint
        else:
            self._patterns.append((re.compile(f"{re.escape(before)}(.+){re.escape(after)}"), endpoint))

    def find(self, path: str, query: bytes) -> Endpoint | None:
        found = self.fixed.get(path)
        if found is not None:
            return found
        for pattern, endpoint in self._patterns:
            match = pattern.fullmatch(path)
            if match is not None:
                asked = endpoint.asked
                pairs = dict(parse_qsl(query.decode("ascii", "replace"), keep_blank_values=True))
                return endpoint._replace(asked=Asked(unquote(match[1]), asked.stream, pairs, asked.path))
        return None

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
        endpoint = PATHS.fixed.get(request.path) or PATHS.find(request.path, request.query)
        if endpoint is None:
            self._page(request, out)
        elif request.method != "POST":
            self._send_error(request, MethodNotAllowed(f"{request.method} is not possible here; use POST."), out)
        elif request.headers.get(b"content-encoding", b"identity") != b"identity":
            self._send_error(request, InvalidRequest("Compressed request bodies are not accepted; send the JSON plain."), out)
        else:
            dialect, kind, home, asked = endpoint
            x = Exchange(dialect, kind, request.headers, request.body, request.arrived_ns, home, asked)
            request.body = b""  # the exchange lets go of it as soon as it can
            await serve(x, self.runtime, out)

    def admit_head(self, request: Request) -> GatewayError | None:
        """Before a large body is read: is there an endpoint, and a key of ours?"""
        endpoint = PATHS.find(request.path, request.query)
        if endpoint is None:
            return NotFound(_no_path(request))
        try:
            admit.principal_of(request.headers, self.runtime.snapshot, endpoint.asked.query)
        except GatewayError as error:
            return error
        return None

    def refusal(self, request: Request | None, error: GatewayError) -> tuple[int, bytes, bytes]:
        """An error found outside the request function as (status, header lines, body)."""
        dialect = _dialect_of(request)
        call_id = new_call_id()
        lines = _JSON + b"x-freehold-call-id: %b\r\n" % call_id.encode()
        if error.retry_after_s is not None:
            lines += b"retry-after: %d\r\n" % -(-error.retry_after_s // 1)
        return error.status, lines, dialect.encode_error(error, call_id)

    def _page(self, request: Request, out: Output) -> None:
        try:
            page = pages.find(request, self.runtime, self.draining)
            if page is None:
                raise NotFound(_no_path(request))
        except GatewayError as error:
            self._send_error(request, error, out)
            return
        out.whole(page.status, b"content-type: %b\r\n" % page.content_type, page.body)

    def _send_error(self, request: Request, error: GatewayError, out: Output) -> None:
        out.whole(*self.refusal(request, error))


def _dialect_of(request: Request | None) -> Dialect:
    """Whose error format a client understands that asked for no endpoint of ours."""
    if request is not None:
        endpoint = PATHS.find(request.path, b"")
        if endpoint is not None:
            return endpoint.dialect
        if request.path.startswith("/anthropic") or b"anthropic-version" in request.headers:
            return DIALECTS["anthropic"]
    return DIALECTS["openai_chat"]


def _no_path(request: Request) -> str:
    return f"There is no {request.method} {request.path[:200]} here. Model calls go to: {', '.join(PATHS.known())}."
