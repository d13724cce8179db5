"""A realtime session: two WebSockets, joined. Frames go both ways as they come, each side at the pace of the other.

The client is accepted only once a target has accepted us: until then a failure is a plain HTTP error, and other targets
are asked. The ledger gets a line for each response as its `response.done` passes, one for each input that another model
wrote down, and one for the session at its end. A response that is cut tells no usage, and none is recorded for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic_ns
from typing import Any
from urllib.parse import quote

from msgspec import Struct, json
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, TextMessage
from wsproto.utilities import LocalProtocolError

from freehold.base.errors import Unsupported, UpstreamBroken, UpstreamTimeout
from freehold.base.ids import new_call_id
from freehold.pipeline import attempt, settle
from freehold.pipeline.exchange import Exchange
from freehold.pipeline.output import Output
from freehold.pipeline.runtime import Runtime, Target
from freehold.upstream.head import bodyless_head
from freehold.upstream.socket import Answered, Socket
from freehold.upstream.transport import Origin
from freehold.wire.counts import object_of
from freehold.wire.dialects.openai_chat.media_tap import usage_of

MAX_MESSAGE_BYTES = 16 * 1024 * 1024  # providers take 15 MiB of audio in one message
_LISTEN_CHARS = 1024 * 1024  # a longer message is passed on, not read
_CLOSE_S = 5.0  # for the other side to agree to the end
_DONE = '"response.done"'
_WRITTEN = '"conversation.item.input_audio_transcription.completed"'
_TOO_BIG, _FAILED, _GOING = 1009, 1011, 1001


class Opened(Struct):
    """A target's side of the session."""

    socket: Socket
    status: int = 101


async def relay(x: Exchange, rt: Runtime, out: Output) -> None:
    """The whole session. Raises UpstreamError, Unsupported before the client is accepted."""
    opened = await attempt.first_event(x, rt, _open)
    session = _Session(x, rt, out, opened.socket)
    try:
        x.status = 101
        x.commit_ns = monotonic_ns()
        lines = b"x-freehold-call-id: %b\r\n" % x.call_id.encode()
        if x.target is not None:
            lines += b"x-freehold-target: %b\r\n" % x.target.label_bytes
        out.switch(x.upgrade + lines, session.from_client)
        session.start()
        await session.ended
        settle.record(x, rt)
        out.end()
    finally:
        session.stop()


async def _open(x: Exchange, rt: Runtime, target: Target) -> Opened:
    """One try at one target."""
    x.target = target
    x.side = side = target.provider.side(x.dialect, x.kind)
    assert x.peek is not None
    if x.kind not in side.kinds or side.dialect.name != x.dialect.name:
        raise Unsupported(f"Target {target.label!r} has no {x.kind} endpoint.", param="model")
    if side.origin.scheme == "sandbox":
        raise Unsupported("The sandbox has no realtime sessions.", param="model")
    if side.credential is not None:
        await side.credential.ready()
    path = f"{x.peek.path}{'&' if '?' in x.peek.path else '?'}model={quote(target.model, safe='')}"
    in_line = target.request_target(side, path)
    forwarded = b"".join(
        b"%b: %b\r\n" % (name, value) for name, default in side.forwarded if (value := x.headers.get(name) or default)
    )
    if side.credential is not None:
        forwarded += side.credential.lines("GET", side.origin.authority, in_line, b"")
    began = monotonic_ns()
    x.sent = True
    # A task of its own: the deadline needs one, and a call has none (base/aio.py).
    task = asyncio.get_running_loop().create_task(_dial(rt, side.origin, side.head(in_line, "GET", ""), forwarded, target))
    try:
        socket, answered = await task
    except BaseException:
        if not task.cancel() and not task.cancelled() and task.exception() is None:
            task.result()[0].close()  # it opened in the moment in which the client left
        raise
    finally:
        x.wait_ns += monotonic_ns() - began
    x.upstream_id = answered.headers.get(b"x-request-id", b"")[:200].decode("ascii", "replace")
    if answered.status != 101:
        socket.close()
        if answered.status < 400:
            raise UpstreamBroken(f"Target {target.label!r} did not open a WebSocket: it answered {answered.status}.")
        raise side.dialect.decode_error(answered.status, answered.body, target.provider.name)
    return Opened(socket)


async def _dial(rt: Runtime, origin: Origin, head: bytes, forwarded: bytes, target: Target) -> tuple[Socket, Answered]:
    timeouts = target.provider.timeouts
    socket: Socket | None = None
    try:
        async with asyncio.timeout(timeouts.connect_s + min(timeouts.first_byte_s, 30.0)):
            socket = await rt.pool.socket(origin)
            return socket, await socket.open(bodyless_head(head, forwarded + socket.lines))
    except TimeoutError:
        if socket is not None:
            socket.close()
        raise UpstreamTimeout(f"Target {target.label!r} did not open a WebSocket in time.") from None
    except BaseException:
        if socket is not None:
            socket.close()
        raise


class _End:
    """One side: its frames, how to write to it, and the size of the message that it is sending."""

    def __init__(self, kind: ConnectionType, write: Callable[[bytes], None]) -> None:
        self.frames = Connection(kind)
        self.write = write
        self.size = 0
        self.broken = False  # it departed from the protocol: nothing more is read from it

    def send(self, event: Event) -> None:
        try:
            self.write(bytes(self.frames.send(event)))
        except LocalProtocolError:
            pass  # this side is closing: it takes nothing more

    @property
    def closed(self) -> bool:
        return self.broken or self.frames.state is ConnectionState.CLOSED


class _Session:
    def __init__(self, x: Exchange, rt: Runtime, out: Output, socket: Socket) -> None:
        self._x, self._rt, self._out, self._socket = x, rt, out, socket
        self._client = _End(ConnectionType.SERVER, out.write)
        self._upstream = _End(ConnectionType.CLIENT, socket.write)
        self._text: list[str] | None = []  # of the upstream's message so far; None: it is too long to be read
        self._chars = 0
        self._writer = "?"  # the model of input transcriptions
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self.ended: asyncio.Future[None] = self._loop.create_future()

    def start(self) -> None:
        """The client has been accepted: join the two."""
        out, socket = self._out, self._socket
        out.when_writable(socket.pause, socket.resume)
        socket.hold, socket.go_on = (lambda: out.hold(True)), (lambda: out.hold(False))
        socket.lost = self._upstream_lost
        socket.start(self._from_upstream)
        if out.paused:
            socket.pause()

    def stop(self) -> None:
        """However it came to its end. An upstream still open is told that its client has gone."""
        self._out.when_writable(None, None)
        if self._timer is not None:
            self._timer.cancel()
        self._upstream.send(CloseConnection(code=_GOING))
        self._socket.close()

    def from_client(self, data: bytes) -> None:
        self._take(self._client, self._upstream, data)

    def _from_upstream(self, data: bytes) -> None:
        self._take(self._upstream, self._client, data)

    def _take(self, source: _End, sink: _End, data: bytes) -> None:
        """Never raises: it is called by the event loop."""
        if source.closed or self.ended.done():
            return
        try:
            source.frames.receive_data(data)
            for event in source.frames.events():
                if source.broken:
                    break
                self._pass(source, sink, event)
        except LocalProtocolError:
            self._finish("cut")

    def _pass(self, source: _End, sink: _End, event: Event) -> None:
        if isinstance(event, Ping):
            source.send(event.response())
        elif isinstance(event, TextMessage | BytesMessage):
            source.size += len(event.data)
            if source.size > MAX_MESSAGE_BYTES:
                source.broken = True
                self._close(source, sink, _TOO_BIG, f"a message has more than {MAX_MESSAGE_BYTES} bytes")
                return
            if source is self._upstream and isinstance(event, TextMessage):
                self._listen(event)
            if event.message_finished:
                source.size = 0
            if event.data or event.message_finished:
                whole = event.message_finished
                if isinstance(event, TextMessage):
                    sink.send(TextMessage(data=event.data, message_finished=whole))
                else:
                    sink.send(BytesMessage(data=event.data, message_finished=whole))
        elif isinstance(event, CloseConnection):
            if source.frames.state is ConnectionState.REMOTE_CLOSING:
                source.send(event.response())
            elif source.frames.state is ConnectionState.OPEN:
                source.broken = True
            self._close(source, sink, event.code, event.reason or "")

    def _close(self, source: _End, sink: _End, code: int, reason: str) -> None:
        """Pass an end on, and make one where a side broke the protocol. Ends the session once both have agreed."""
        for side in (source, sink):
            if side.frames.state is ConnectionState.OPEN:
                side.send(CloseConnection(code=code, reason=reason[:100]))
        self._x.outcome = self._x.outcome or "ok"
        if self._client.closed and self._upstream.closed:
            self._finish("ok")
        elif self._timer is None:
            self._timer = self._loop.call_later(_CLOSE_S, self._finish, "ok")

    def _upstream_lost(self) -> None:
        if self.ended.done():
            return
        if self._client.frames.state is not ConnectionState.OPEN:  # an end was under way: the client has yet to agree
            self._upstream.broken = True
            self._close(self._client, self._upstream, _FAILED, "")
            return
        self._client.send(CloseConnection(code=_FAILED, reason="the provider closed the connection"))
        self._x.error = UpstreamBroken("The provider closed the connection in the middle of the session.")
        self._finish("cut")

    def _finish(self, outcome: str) -> None:
        if not self.ended.done():
            self._x.outcome = self._x.outcome or outcome
            self.ended.set_result(None)

    def _listen(self, event: TextMessage) -> None:
        """Gather a message of the provider's and read from it the usage of a response."""
        if self._text is not None:
            self._text.append(event.data)
            self._chars += len(event.data)
            if self._chars > _LISTEN_CHARS:
                self._text = None
        if event.message_finished:
            text = "".join(self._text) if self._text is not None else ""
            self._text, self._chars = [], 0
            if _DONE in text or _WRITTEN in text or '"session.' in text or '"transcription_session.' in text:
                self._note(text)

    def _note(self, text: str) -> None:
        try:
            done = _decode_event(text)
        except (ValueError, RecursionError):
            return
        if done.type == "response.done":
            response = object_of(done.response)
            self._record(response.get("usage"), finish=response.get("status"))
        elif done.type == "conversation.item.input_audio_transcription.completed":
            self._record(done.usage, model=self._writer)
        elif done.session is not None:
            self._writer = _writer_of(object_of(done.session)) or self._writer

    def _record(self, usage: Any, model: str = "", finish: Any = "") -> None:
        finish = finish if isinstance(finish, str) else ""
        told = usage_of(usage)
        settle.record_part(self._x, self._rt, new_call_id(), kind="realtime", usage=told, model=model, finish=finish)


class _Event(Struct):
    type: str
    response: Any = None
    session: Any = None
    usage: Any = None


def _writer_of(session: dict[str, Any]) -> str:
    """The model that writes down what is said to the session's own, in the API's newer form or the older one."""
    heard = object_of(object_of(session.get("audio")).get("input"))
    model = object_of(heard.get("transcription") or session.get("input_audio_transcription")).get("model")
    return model if isinstance(model, str) else ""


_decode_event = json.Decoder(_Event).decode
