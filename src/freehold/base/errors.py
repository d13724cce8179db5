"""Every way a call can fail, as types: whose fault it is, the status, and what to do.

    GatewayError
    ├── ClientError                 the caller must change something
    │   ├── InvalidRequest          400  malformed, wrong type, empty
    │   ├── Unsupported             400  the chosen target cannot carry this content
    │   ├── Unauthenticated         401  no key, or not one of ours
    │   ├── NotAllowed              403  the key may not do this
    │   ├── NotFound                404  unknown path
    │   │   └── ModelNotFound       404  neither a route nor provider/model
    │   ├── MethodNotAllowed        405  the path answers another method
    │   ├── RequestTimeout          408  the request did not arrive in time
    │   ├── TooLarge                413  body or headers over the bound
    │   └── LimitExceeded           429  one of our own limits
    ├── UpstreamError               the target failed; `status` is what the client is shown
    │   ├── UpstreamRefused              it answered 4xx/5xx: status and retry-after are kept
    │   ├── UpstreamUnreachable     502  connect, TLS or name failure
    │   ├── UpstreamBroken          502  garbage, or the reply ended early
    │   ├── UpstreamTimeout         504  silent for too long
    │   └── CredentialUnavailable   503  no valid credential for it could be had from its cloud
    └── Unavailable                 503  this gateway cannot take the call now

A message says what happened, names the value and says what to do. It never holds a secret or an upstream body.
"""

from __future__ import annotations

from typing import ClassVar


class GatewayError(Exception):
    """A call's failure in canonical form; a dialect renders it (`Dialect.encode_error`).

    `kind` is our stable error code (snake_case, documented); `param` names the offending field, if one;
    `retry_after_s` is sent as the `retry-after` header.
    """

    status: int = 500
    kind: str = "internal_error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, param: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s


class ClientError(GatewayError):
    status = 400
    kind = "invalid_request"


class InvalidRequest(ClientError):
    pass


class Unsupported(ClientError):
    kind = "unsupported_content"


class Unauthenticated(ClientError):
    status = 401
    kind = "invalid_api_key"


class NotAllowed(ClientError):
    status = 403
    kind = "not_allowed"


class NotFound(ClientError):
    status = 404
    kind = "not_found"


class ModelNotFound(NotFound):
    kind = "model_not_found"


class MethodNotAllowed(ClientError):
    status = 405
    kind = "method_not_allowed"


class RequestTimeout(ClientError):
    status = 408
    kind = "request_timeout"


class TooLarge(ClientError):
    status = 413
    kind = "request_too_large"


class LimitExceeded(ClientError):
    status = 429
    kind = "rate_limit_exceeded"


class UpstreamError(GatewayError):
    """The target failed. Retry and fallback look only at `retryable`."""

    status = 502
    kind = "upstream_error"
    retryable = True


class UpstreamRefused(UpstreamError):
    """The target answered with an error status.

    `code` and `error_type` are its own short identifiers (safe characters only), kept because SDK users branch on them.
    """

    kind = "upstream_refused"

    def __init__(
        self,
        message: str,
        *,
        status: int,
        param: str | None = None,
        code: str | None = None,
        error_type: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, param=param, retry_after_s=retry_after_s)
        self.status = status
        self.code = code
        self.error_type = error_type
        self.cause = ""  # what another target may not mind: "context_window", "content_policy"

    @property
    def may_retry(self) -> bool:
        """A refusal that another target, or the same one later, may not repeat."""
        return self.status in (408, 409, 425, 429) or self.status >= 500 or self.status in (401, 403)


class UpstreamUnreachable(UpstreamError):
    kind = "upstream_unreachable"


class UpstreamBroken(UpstreamError):
    kind = "upstream_broken"


class UpstreamTimeout(UpstreamError):
    status = 504
    kind = "upstream_timeout"


class CredentialUnavailable(UpstreamError):
    status = 503
    kind = "credential_unavailable"


class Unavailable(GatewayError):
    status = 503
    kind = "unavailable"
