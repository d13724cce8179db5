"""Send the reply on. The commit point: from here on nothing can be taken back, only ended well or cut visibly."""

from __future__ import annotations

import re
from asyncio import TimerHandle, get_running_loop
from time import monotonic_ns

from freehold.base.errors import ClientError, GatewayError, UpstreamBroken, UpstreamError
from freehold.pipeline import settle
from freehold.pipeline.attempt import Answer
from freehold.pipeline.exchange import Exchange
from freehold.pipeline.output import Output
from freehold.pipeline.runtime import Runtime
from freehold.policy.pricing import format_usd
from freehold.wire.chat import Failure

_CLIENT_ID = re.compile(rb"[\x21-\x7e]{1,128}")
_NOT_PRINTABLE = re.compile(rb"[^\x20-\x7e]+")
_LINGER_S = 1.0  # after the reply's own end, the upstream has this long to finish its HTTP message and keep the connection


class _FailedInside(Exception):
    """The upstream put an error into its stream."""


async def stream(x: Exchange, rt: Runtime, answer: Answer, out: Output) -> None:
    """Deliver a reply that began well. Raises only CancelledError: what fails from here on is told inside the reply."""
    try:
        if answer.complete:
            _whole(x, rt, answer, out)
        else:
            await _pieces(x, rt, answer, out)
    finally:
        answer.reply.close()


def _whole(x: Exchange, rt: Runtime, answer: Answer, out: Output) -> None:
    x.outcome = "ok"
    x.status = answer.reply.status
    settle.record(x, rt)
    out.whole(x.status, headers(x, answer.content_type), answer.ready)


async def _pieces(x: Exchange, rt: Runtime, answer: Answer, out: Output) -> None:
    reply, relay = answer.reply, x.relay
    assert relay is not None
    x.status = reply.status

    lingering: TimerHandle | None = None

    def end_seen() -> None:
        nonlocal lingering
        x.outcome = "ok"
        settle.record(x, rt)  # before the client sees the end
        lingering = get_running_loop().call_later(_LINGER_S, reply.close)

    def forward(chunk: bytes) -> None:
        data = relay.feed(chunk)
        if relay.done and not x.recorded:
            end_seen()
        if data:
            out.write(data)
        if relay.failure is not None:
            raise _FailedInside

    if relay.done:
        end_seen()
    out.start(x.status, headers(x, answer.content_type))
    out.write(answer.ready)
    answer.ready = b""  # up to a whole read from upstream: not to be held as long as a stream may last
    out.when_writable(reply.pause, reply.resume)
    if out.paused:
        reply.pause()
    try:
        await reply.pump(forward)
        last = relay.close()
        if relay.failure is not None:
            raise _FailedInside
        if not relay.done:
            raise UpstreamBroken("The target ended its reply in the middle.")
        if not x.recorded:
            x.outcome = "ok"
            settle.record(x, rt)
        out.end(last)
    except _FailedInside:
        assert relay.failure is not None
        _broken(x, rt, relay.failure, answer, out)
    except UpstreamError as error:
        if relay.done:  # all of the reply is there; only the HTTP message around it was not ended
            out.end(relay.close())
        else:
            _broken(x, rt, error, answer, out)
    finally:
        out.when_writable(None, None)
        if lingering is not None:
            lingering.cancel()


def _broken(x: Exchange, rt: Runtime, error: UpstreamError | Failure, answer: Answer, out: Output) -> None:
    """After the commit point: an error event in a stream; a cut connection where the format has no place for an error."""
    x.outcome = "cut"
    x.error = error if isinstance(error, GatewayError) else UpstreamError(error.message)
    settle.record(x, rt)
    if answer.sse and x.peek is not None and not x.peek.stream_type:  # another form of stream has no place for an error
        out.end(x.dialect.encode_stream_error(error, x.call_id))
    else:
        out.abort()


def refuse(x: Exchange, rt: Runtime, error: GatewayError, out: Output) -> None:
    """Answer with an error in the client's dialect, or cut the reply if it has begun."""
    x.error = error
    if out.started:
        x.outcome = "cut"
        out.abort()
        return
    x.status = error.status
    if isinstance(error, ClientError):
        x.outcome = "refused"
    else:
        x.outcome = "upstream_error" if isinstance(error, UpstreamError) else "error"
    settle.record(x, rt)
    head = headers(x, b"application/json")
    if error.retry_after_s is not None:
        head += b"retry-after: %d\r\n" % -(-error.retry_after_s // 1)
    out.whole(error.status, head, x.dialect.encode_error(error, x.call_id))


def headers(x: Exchange, content_type: bytes) -> bytes:
    """The reply's header lines. Called once, as the reply leaves."""
    x.commit_ns = now = monotonic_ns()
    call_id = x.call_id.encode()
    client_id = x.headers.get(b"x-request-id")
    lines = b"content-type: %b\r\nx-freehold-call-id: %b\r\nx-request-id: %b\r\nx-freehold-overhead-ms: %d.%03d\r\n" % (
        content_type,
        call_id,
        call_id if client_id is None or not _CLIENT_ID.fullmatch(client_id) else client_id,
        *divmod((now - x.arrived_ns - x.wait_ns) // 1000, 1000),
    )
    if x.reply_lines:
        lines += x.reply_lines
    if x.target is not None:
        lines += b"x-freehold-target: %b\r\nx-freehold-attempts: %d\r\n" % (x.target.label_bytes, len(x.attempts))
    if x.recorded and x.cost_nusd is not None:
        lines += b"x-freehold-cost-usd: %b\r\n" % format_usd(x.cost_nusd).encode()
    if x.dropped:
        names = ", ".join(x.dropped).encode("ascii", "replace")[:2000]
        lines += b"x-freehold-dropped: %b\r\n" % _NOT_PRINTABLE.sub(b"?", names)
    return lines
