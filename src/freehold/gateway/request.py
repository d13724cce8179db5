"""One HTTP request as the application sees it, and what the server expects of the application.

The server knows nothing of dialects, keys or routes: it asks the `Handler` how an error of its own should look.
"""

from __future__ import annotations

from typing import Final, Protocol

from freehold.base.errors import GatewayError, InvalidRequest, RequestTimeout, TooLarge
from freehold.pipeline.input import Input
from freehold.pipeline.output import Output

CHUNKED: Final = -1  # Request.content_length of a body that comes in chunks


class Request:
    """A whole request. `path` is as the client sent it (not percent-decoded), without the query.

    `headers` have lower-case names; repeated ones are joined with b", ". `content_length` is what was announced, in
    bytes, or CHUNKED; `body` is empty until the handler is called. `arrived_ns` is `time.monotonic_ns()` at the last byte.

    `streams`: the handler takes the body as it comes, and says so in `admit_head`; it is then called with `incoming`, and
    `body` stays empty.
    """

    __slots__ = (
        "arrived_ns",
        "body",
        "client_ip",
        "content_length",
        "headers",
        "http11",
        "incoming",
        "keep_alive",
        "method",
        "path",
        "query",
        "streams",
    )

    def __init__(
        self,
        method: str,
        path: str,
        query: bytes,
        headers: dict[bytes, bytes],
        http11: bool,
        keep_alive: bool,
        content_length: int,
        client_ip: str,
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.http11 = http11
        self.keep_alive = keep_alive
        self.content_length = content_length
        self.client_ip = client_ip
        self.body = b""
        self.arrived_ns = 0
        self.streams = False
        self.incoming: Input | None = None

    @property
    def expects_continue(self) -> bool:
        """The client waits for our word before it sends the body (HTTP/1.1 only, as the standard has it)."""
        return self.http11 and b"expect" in self.headers


class Handler(Protocol):
    """The application. `refusal` must not raise: it renders (status, header lines, body) for the server's own errors."""

    async def __call__(self, request: Request, out: Output) -> None:
        """Answer one request, in a task of its own that is cancelled when the client goes away."""
        ...

    def admit_head(self, request: Request) -> GatewayError | None:
        """A reason to refuse before the body is read: asked only for one that is large, chunked or waits for 100.

        Sets `request.streams` where the body need not be whole before the call begins.
        """
        ...

    def refusal(self, request: Request | None, error: GatewayError) -> tuple[int, bytes, bytes]: ...


_TYPES: dict[int, type[GatewayError]] = {408: RequestTimeout, 413: TooLarge, 414: TooLarge, 431: TooLarge}


def refused(status: int, message: str) -> GatewayError:
    """An error of the protocol itself, with the HTTP status that names it best."""
    error = _TYPES.get(status, InvalidRequest)(message)
    error.status = status
    return error
