"""Ask the route's targets, in order, until one gives a good first event. Everything here can still be undone."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from time import monotonic, monotonic_ns
from typing import Any, Protocol, TypeVar

from freehold.base.errors import GatewayError, Unsupported, UpstreamBroken, UpstreamError, UpstreamRefused, UpstreamTimeout
from freehold.pipeline import betas, bound, choose
from freehold.pipeline.exchange import Exchange
from freehold.pipeline.runtime import Runtime, Side, Target
from freehold.policy.causes import cause_of
from freehold.store.spool import AttemptLine
from freehold.upstream.head import complete_head
from freehold.upstream.reply import Reply
from freehold.upstream.transport import Body
from freehold.wire.chat import Failure
from freehold.wire.dialect import Relay, WriterOptions
from freehold.wire.translate import Translation
from freehold.wire.whole import WholeTranslation

HOLD_BYTES = 128 * 1024  # a whole reply up to this size is held until complete: it gets a cost header and can still fail over
# Read before anything could be sent on: a whole reply that is translated, or the comments of a stream.
MAX_BEGIN_BYTES = 64 * 1024 * 1024
_ERROR_BYTES = 64 * 1024  # how much of an upstream's error body is read
_BACKOFF_S = 0.1


class Answer:
    """A target's reply that began well. `ready` are the first bytes for the client; `complete`: there are no more."""

    __slots__ = ("complete", "content_type", "ready", "reply", "sse", "status")

    def __init__(self, reply: Reply, ready: bytes, content_type: bytes, sse: bool, complete: bool) -> None:
        self.reply = reply
        self.status = reply.status
        self.ready = ready
        self.content_type = content_type
        self.sse = sse  # to the client
        self.complete = complete


class Began(Protocol):
    status: int


B = TypeVar("B", bound=Began)


async def first_event(x: Exchange, rt: Runtime, ask: Callable[[Exchange, Runtime, Target], Awaitable[B]]) -> B:
    """What `ask` (`one_try`, but for calls of a form of their own) got from the first target that began well.

    Raises the last target's UpstreamError, or Unsupported if no target could carry the request.
    """
    route = x.route
    assert route is not None
    waiting = choose.waiting(x, rt, route) if len(route.targets) > 1 or route.fallbacks else None
    last: GatewayError | None = None
    tried: Target | None = None
    for target in route.targets if waiting is None else waiting:
        if last is not None and _would_refuse_too(last, tried, target):
            continue
        tried = target
        for again in range(route.retries + 1):
            if again:
                await asyncio.sleep(_pause_s(again, last))
            began = monotonic_ns()
            try:
                answer = await (ask(x, rt, target) if waiting is None else _watched(x, rt, target, ask))
            except Unsupported as error:
                last = last if isinstance(last, UpstreamError) else error
                break
            except UpstreamError as error:
                last = error
                _note_failure(x, rt, target, began, error)
                if not may_fall_back(error) or (x.rest is not None and not x.rest.repeatable):
                    raise
                another = waiting is not None and waiting.more()
                if again == route.retries or not may_retry_here(error, another) or not rt.retries.spend():
                    break
            else:
                rt.retries.earn()
                x.attempts.append(AttemptLine(target.label, (monotonic_ns() - began) // 1000, answer.status))
                return answer
    assert last is not None
    raise last


async def _watched(x: Exchange, rt: Runtime, target: Target, ask: Callable[[Exchange, Runtime, Target], Awaitable[B]]) -> B:
    """`ask`, and what it tells of the target where there is a choice of them."""
    assert x.principal is not None
    health = rt.health_of(target, x.principal.space)
    began = monotonic()
    health.begin(began)
    try:
        answer = await ask(x, rt, target)
    except BaseException:
        health.end()
        raise
    choose.went_well(x, rt, target, health, monotonic() - began)
    return answer


def _would_refuse_too(last: GatewayError | None, tried: Target | None, target: Target) -> bool:
    """Too long for a target is too long for one with no longer a context."""
    if not isinstance(last, UpstreamRefused) or last.cause != "context_window" or tried is None:
        return False
    return (
        tried.context_tokens is not None and target.context_tokens is not None and target.context_tokens <= tried.context_tokens
    )


def _pause_s(again: int, last: GatewayError | None) -> float:
    wait_s: float = _BACKOFF_S * 2**again * random.uniform(0.5, 1.0)
    return max(wait_s, last.retry_after_s or 0.0) if last is not None else wait_s


def may_fall_back(error: UpstreamError) -> bool:
    """A refusal of the request itself (400, 404, 422...) would come again from anyone, but for what is too long or unwelcome."""
    return error.may_retry or bool(error.cause) if isinstance(error, UpstreamRefused) else True


def may_retry_here(error: UpstreamError, another: bool) -> bool:
    """The same target once more? Not after a timeout or a refused credential; after a 429 only if there is no other."""
    if isinstance(error, UpstreamTimeout):
        return False
    if isinstance(error, UpstreamRefused):
        if error.status in (401, 403) or error.cause:
            return False
        if error.status == 429 or error.retry_after_s:
            return not another and (error.retry_after_s or 0) <= 1
    return True


def _note_failure(x: Exchange, rt: Runtime, target: Target, began: int, error: UpstreamError) -> None:
    status = error.status if isinstance(error, UpstreamRefused) else 0
    x.attempts.append(AttemptLine(target.label, (monotonic_ns() - began) // 1000, status, error.kind))
    rt.metrics.failed_attempt(target.label, error.kind)
    choose.failed(x, rt, target, error)
    x.sent = x.sent and not isinstance(error, UpstreamRefused)


async def one_try(x: Exchange, rt: Runtime, target: Target) -> Answer:
    """One try at one target."""
    provider = target.provider
    x.target = target
    x.side = side = provider.side(x.dialect, x.kind)
    x.relay = None
    if side.credential is not None:
        await side.credential.ready()
    head, body = _request(x, target, side)
    began = monotonic_ns()
    x.sent = True
    reply = await rt.pool.send(side.origin, head, body, provider.timeouts)
    try:
        x.upstream_id = _text(reply.header(b"x-request-id") or reply.header(b"request-id"))
        if reply.status >= 300:
            raise await _refusal(reply, target, side)
        return await _begin(x, rt, target, side, reply)
    except BaseException:
        reply.close()
        raise
    finally:
        x.wait_ns += monotonic_ns() - began


def _request(x: Exchange, target: Target, side: Side) -> tuple[bytes, Body]:
    """The upstream request as (head, body). Raises Unsupported."""
    dialect = side.dialect
    peek = x.peek
    assert peek is not None
    if peek.upload is not None:
        return bound.request(x, target, side, peek.upload)
    path = (side.paths.get(x.kind) or dialect.path(x.kind, peek, target.model)) if x.kind in side.kinds else None
    if path is None:
        raise Unsupported(f"Target {target.label!r} has no {x.kind} endpoint.", param="model")
    if dialect.name == x.dialect.name:
        body, x.dropped = dialect.patch(peek, target.model, side.quirks)
        x.translated = False
    else:
        body, x.dropped = _translated(x, target, side)
        x.translated = True
    forwarded = b""
    for name, default in side.forwarded:
        value = (None if x.translated else x.headers.get(name)) or default
        if value:
            forwarded += b"%b: %b\r\n" % (name, value)
    if side.credential is not None:
        forwarded += side.credential.lines("POST", side.origin.authority, target.request_target(side, path), body)
    return complete_head(target.head(side, path), len(body), forwarded), body


def _translated(x: Exchange, target: Target, side: Side) -> tuple[bytes, tuple[str, ...]]:
    """The body in the target's dialect, and the names of what it can't express. Raises Unsupported, InvalidRequest."""
    assert x.peek is not None
    if x.kind == "chat":
        if x.chat is None:
            x.chat = x.dialect.decode_request(x.peek)
        beta = x.headers.get(betas.HEADER) if side.dialect.name in betas.BEDROCK and x.dialect.name == "anthropic" else None
        if beta is None:
            return side.dialect.encode_request(x.chat, target.model, side.quirks)
        chat, lost = betas.carried(x.chat, beta)
        body, dropped = side.dialect.encode_request(chat, target.model, side.quirks)
        return body, (*dropped, *lost)
    if x.kind == "embeddings" and x.dialect.embeddings is not None and side.dialect.embeddings is not None:
        if x.embed is None:
            x.embed = x.dialect.embeddings.decode_request(x.peek)
        return side.dialect.embeddings.encode_request(x.embed, target.model)
    if x.kind == "rerank" and x.dialect.rerank is not None and side.dialect.rerank is not None:
        if x.rerank is None:
            x.rerank = x.dialect.rerank.decode_request(x.peek)
        return side.dialect.rerank.encode_request(x.rerank, target.model)
    raise Unsupported(f"{x.kind} can't be translated to the API of target {target.label!r}.", param="model")


async def _begin(x: Exchange, rt: Runtime, target: Target, side: Side, reply: Reply) -> Answer:
    """Read up to the first bytes worth sending (a stream) or to the end (a whole reply, up to HOLD_BYTES)."""
    assert x.peek is not None
    content_type = reply.header(b"content-type")
    streams = content_type.startswith(side.dialect.stream_types) if content_type else x.peek.stream and not x.peek.opaque
    if x.rest is not None:
        bound.learn(x, x.peek, streams)
    relay = x.relay = _relay(x, rt, side, streams, content_type)
    peek, want_stream = x.peek, x.peek.stream
    stream_type = peek.stream_type or x.dialect.stream_content_type
    if peek.opaque:
        stream_type = content_type or b"application/octet-stream"
        if peek.upload is not None:
            x.reply_lines = bound.reply_lines(x, reply)
    ready = b""
    received = 0
    while True:
        chunk = reply.take() or (b"" if reply.complete else await reply.read())
        received += len(chunk)
        if received > MAX_BEGIN_BYTES:
            raise UpstreamBroken(
                f"Target {target.label!r} sent more than {MAX_BEGIN_BYTES >> 20} MiB of which nothing can be passed on."
            )
        piece = relay.feed(chunk) if chunk else relay.close()
        ready = ready + piece if ready else piece
        if relay.failure is not None:
            raise _failed(relay.failure, target)
        if not chunk:
            if not relay.done:
                raise UpstreamBroken(f"Target {target.label!r} ended its reply in the middle.")
            break
        if want_stream and has_event(ready, stream_type) and not (peek.opaque and reply.complete):
            break
        if not want_stream and len(ready) > HOLD_BYTES:
            break
    if peek.opaque:
        kind = stream_type
    elif want_stream:
        kind = content_type if streams and not x.translated and content_type else stream_type
    else:
        kind = content_type if not streams and not x.translated and content_type else b"application/json"
    return Answer(reply, ready, kind, streams if peek.opaque else want_stream, complete=not chunk)


def has_event(data: bytes, stream_type: bytes) -> bool:
    """Something other than the keep-alive comments of server-sent events has come."""
    if not stream_type.startswith(b"text/event-stream"):
        return data != b""
    return data.startswith((b"data:", b"event:")) or b"\ndata:" in data or b"\nevent:" in data


def _relay(x: Exchange, rt: Runtime, side: Side, streams: bool, content_type: bytes) -> Relay:
    """`streams`: the upstream's reply is a stream, whatever the client asked for."""
    dialect, peek = side.dialect, x.peek
    assert peek is not None
    if peek.upload is not None:
        relay = bound.relay(x, rt, side, content_type)
        if relay is not None:
            return relay
    if peek.opaque or (not x.translated and streams == peek.stream and not peek.stream_type):
        return dialect.tap(peek, side.quirks, streams, rt.count)
    if x.translated and x.kind == "embeddings":
        return _whole(dialect.embeddings, x.dialect.embeddings, x.embed)
    if x.translated and x.kind == "rerank":
        return _whole(dialect.rerank, x.dialect.rerank, x.rerank)
    x.translated = True  # also where an upstream streams though we did not ask, or the other way round
    options = WriterOptions(
        stream=peek.stream,
        model=peek.model,
        call_id=x.call_id,
        created_s=int(x.call_id[5:16], 16) // 1000,
        include_usage=peek.wants_usage,
        peek=peek,
    )
    return Translation(dialect.reader(streams), x.dialect.writer(options), rt.count)


def _whole(upstream: Any, client: Any, request: Any) -> Relay:
    """Both codecs are of one kind, and so is the request: `_translated` has used them."""
    return WholeTranslation(upstream.decode_reply, lambda reply: client.encode_reply(reply, request))


def _failed(failure: Failure, target: Target) -> UpstreamError:
    """An error that came inside a 200 reply, before anything was sent on."""
    if failure.kind == "upstream_broken":
        return UpstreamBroken(f"Target {target.label!r} sent a reply that can't be read: {failure.message}")
    error = UpstreamRefused(
        f"Target {target.label!r}: {failure.message}",
        status=failure.status,
        code=failure.code,
        error_type=failure.error_type,
    )
    error.cause = cause_of(failure.status, f"{failure.code} {failure.message}".encode())
    return error


async def _refusal(reply: Reply, target: Target, side: Side) -> UpstreamRefused:
    """An error reply, read to a bound and put in canonical form."""
    if reply.status < 400:
        message = f"Target {target.label!r} answered with a redirect ({reply.status}), which is not followed: check its base_url."
        return UpstreamRefused(message, status=502)
    body = bytearray()
    try:
        while len(body) < _ERROR_BYTES and (chunk := await reply.read()):
            body += chunk
    except UpstreamError:
        body.clear()  # the status tells enough
    error = side.dialect.decode_error(reply.status, bytes(body), target.provider.name)
    error.cause = cause_of(reply.status, bytes(body))
    error.retry_after_s = retry_after_s(reply.headers) or error.retry_after_s  # some tell it in the body only
    return error


def retry_after_s(headers: dict[bytes, bytes]) -> float | None:
    """`retry-after-ms` or `retry-after` in seconds; dates and nonsense are None."""
    for name, unit in ((b"retry-after-ms", 1000.0), (b"retry-after", 1.0)):
        try:
            seconds = float(headers[name]) / unit
        except (KeyError, ValueError):
            continue
        if 0 <= seconds <= 86_400:
            return seconds
    return None


def _text(value: bytes) -> str:
    return value[:200].decode("ascii", "replace")
