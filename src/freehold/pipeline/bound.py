"""Calls that name a provider instead of a model: files, batches, and anything else its API has (passthrough).

They reach the provider's configured base URL and nothing beside it, with its credential and never with the client's.
A key needs access to all of the provider's models, written `provider/*`: what such a call does can't be told from outside.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import parse_qsl, unquote

from msgspec import structs

from freehold.base.errors import ClientError, InvalidRequest, NotFound, Unsupported
from freehold.pipeline import batch
from freehold.pipeline.exchange import Exchange
from freehold.pipeline.runtime import Provider, Route, Runtime, Side, Space, Target, make_target
from freehold.upstream.head import bodyless_head, chunked_head, complete_head
from freehold.upstream.reply import Reply
from freehold.upstream.transport import Body, Pieces
from freehold.wire.dialect import BOUND, Asked, ClientPath, Dialect, Peek, Relay
from freehold.wire.dialects.openai_chat.media import fields_of
from freehold.wire.dialects.openai_chat.media_tap import BatchTap, BesideTap, PassTap
from freehold.wire.multipart import Upload

PROVIDER_HEADER = b"x-freehold-provider"

_BODYLESS = frozenset(("GET", "HEAD", "DELETE", "OPTIONS"))
_PATH = re.compile(r"(?:/[!$&'()*+,;=:@%\w.~\-]+)+/?", re.ASCII)
_HEADER_VALUE = re.compile(rb"[\x20-\x7e\t]*")
_KEYS = frozenset(
    (b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key", b"xi-api-key", b"cookie", b"proxy-authorization")
)
_HOPS = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"proxy-authenticate",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"content-length",
        b"content-type",  # each side sets its own
        b"via",
    )
)
_NOT_SENT = (
    _KEYS
    | _HOPS
    | {b"host", b"expect", b"accept-encoding", b"user-agent", b"forwarded", b"x-real-ip", b"x-request-id", b"origin"}
)
_NOT_TOLD = _HOPS | {b"date", b"server", b"set-cookie", b"alt-svc", b"strict-transport-security", b"x-request-id", b"location"}
_NOT_TOLD_STARTS = (b"x-freehold-", b"access-control-", b"cf-", b"openai-organization", b"openai-project")


def opened(x: Exchange, rt: Runtime) -> tuple[Peek, Route]:
    """The call's peek and route. Raises NotFound, InvalidRequest."""
    assert x.principal is not None
    space = x.principal.space
    provider = _provider(x, space)
    name = f"{provider.name}/*"
    side = provider.main if x.kind == "passthrough" else provider.side(x.dialect, x.kind)
    query = _query(x.asked.raw_query, side.query)
    asked = x.asked = structs.replace(x.asked, model=name, raw_query=query)
    if x.kind != "passthrough":
        return x.dialect.peek(x.body, x.kind, asked), space.route(name)
    x.dialect = side.dialect
    path = _below(asked.path)
    x.heard = _listen(provider, side.prefix + path, x.body, asked)
    peek = Peek(
        x.kind,
        {},
        name,
        True,
        None,
        True,
        path=f"{path}?{query}" if query else path,
        upload=Upload(asked.content_type, x.body),
        opaque=True,
    )
    if x.heard is None:
        return peek, space.route(name)
    return peek, Route(name, (make_target(provider, x.heard[1].model),), 0)


def _provider(x: Exchange, space: Space) -> Provider:
    """By the path's prefix, by the header, or the only one that it can be."""
    assert x.principal is not None
    allows = x.principal.access.allows
    name = x.home or x.headers.get(PROVIDER_HEADER, b"").decode("ascii", "replace")
    if x.kind != "passthrough" and b"anthropic-version" in x.headers:
        # Its path is the same, and its files must not end up at another provider.
        raise InvalidRequest(f"{x.kind.capitalize()} of Anthropic's API are reached below /passthrough/anthropic/v1/.")
    found = space.providers.get(name)
    if found is not None:
        return found
    able = [p for p in space.providers.values() if _has(p, x) and allows(f"{p.name}/*")]
    if not name and len(able) == 1:
        return able[0]
    names = ", ".join(sorted(p.name for p in able)[:20]) or "none"
    if name:
        raise NotFound(f"There is no provider {name[:100]!r} here. This key may use for {x.kind}: {names}.")
    raise InvalidRequest(
        f"A call for {x.kind} names no model, so name the provider: in the path, /PROVIDER/v1/{x.kind}, or in the header "
        f"{PROVIDER_HEADER.decode()}. This key may use: {names}."
    )


def _has(provider: Provider, x: Exchange) -> bool:
    side = provider.sides.get(x.dialect.name)
    return x.kind == "passthrough" or (side is not None and x.kind in side.kinds)


def _below(path: str) -> str:
    """A path that can't leave what it is put below, however often it is decoded. Raises InvalidRequest."""
    decoded = path
    for _ in range(4):
        if "\\" in decoded or any(segment in (".", "..") for segment in decoded.split("/")):
            raise InvalidRequest("the path may not hold '.' or '..' segments or backslashes")
        before, decoded = decoded, unquote(decoded)
        if before == decoded:
            break
    else:
        raise InvalidRequest("the path is percent-encoded too often")
    if not _PATH.fullmatch(path):
        raise InvalidRequest("the path must be segments of URL characters, each after one '/'")
    return path


def _query(given: str, fixed: str) -> str:
    """The client's query. Its own values for the provider's fixed parameters are left out: `request_target` adds those."""
    names = {name for name, _ in parse_qsl(fixed, keep_blank_values=True)} | {"key"}
    return "&".join(pair for pair in given.split("&") if pair and unquote(pair.partition("=")[0]) not in names)


def _listen(provider: Provider, target: str, body: bytes, asked: Asked) -> tuple[Dialect, Peek] | None:
    """The dialect of which this is a chat, and its peek, if it is one."""
    if asked.method != "POST" or not body:
        return None
    query = dict(parse_qsl(asked.raw_query, keep_blank_values=True))
    for dialect, client, model in _chats(provider, target):
        try:
            peek = dialect.peek(body, "chat", Asked(model, client.stream, query, client.path))
        except ClientError:
            continue  # the provider's to judge
        peek.wants_usage = True  # nothing is left out of the reply
        return dialect, peek
    return None


def _chat_path(client: ClientPath) -> re.Pattern[str]:
    before, hole, after = client.path.partition("{model}")
    return re.compile(rf".*{re.escape(before)}(.+){re.escape(after)}" if hole else rf".*{re.escape(before)}")


def must_be_whole(x: Exchange) -> bool:
    """Before the body is read: is it a chat, whose usage is learned by reading it too, or has it to be signed?

    Raises NotFound, InvalidRequest.
    """
    assert x.principal is not None
    provider = _provider(x, x.principal.space)
    side = provider.main if x.kind == "passthrough" else provider.side(x.dialect, x.kind)
    if side.credential is not None and side.credential.signs_body:
        return True
    target = side.prefix + x.asked.path
    return x.kind == "passthrough" and x.asked.method == "POST" and any(True for _ in _chats(provider, target))


def _chats(provider: Provider, target: str) -> Iterator[tuple[Dialect, ClientPath, str]]:
    """The dialects of which a request to this path would be a chat, and the model that the path names."""
    for side in provider.sides.values():
        for client in side.dialect.client_paths:
            match = _chat_path(client).fullmatch(target) if client.kind == "chat" else None
            if match is not None:
                yield side.dialect, client, unquote(match[1]) if "{model}" in client.path else ""


def request(x: Exchange, target: Target, side: Side, upload: Upload) -> tuple[bytes, Body]:
    """The upstream request as (head, body) for a body that is passed on as it came. Raises Unsupported."""
    assert x.peek is not None
    if x.kind != "passthrough" and (x.kind not in side.kinds or side.dialect.name != x.dialect.name):
        hint = f" Its own API is below /passthrough/{target.provider.name}/." if x.kind in BOUND else ""
        raise Unsupported(f"Target {target.label!r} has no {x.kind} endpoint of OpenAI's API.{hint}", param="model")
    if x.kind == "passthrough" and "{" in side.prefix:
        raise Unsupported(f"The base URL of {target.provider.name!r} differs by model: nothing can be passed through below it.")
    path = x.peek.path
    body = x.rest.body(upload, target.model) if x.rest is not None else Pieces(upload.pieces(target.model))
    method = x.asked.method
    bodyless = body.size == 0 and method in _BODYLESS
    in_line = target.request_target(side, path)
    try:
        head = side.head(in_line, method, "" if bodyless else upload.content_type.decode() or "application/octet-stream")
    except ValueError:
        raise InvalidRequest("the query may not hold '#', and the header content-type only printable ASCII") from None
    forwarded = _forwarded(x, side, head)
    if side.credential is not None:
        forwarded += side.credential.lines(
            method, side.origin.authority, in_line, bytes(body) if isinstance(body, Pieces) else b""
        )
    if bodyless:
        return bodyless_head(head, forwarded), body
    return (chunked_head(head, forwarded) if body.size is None else complete_head(head, body.size, forwarded)), body


def _forwarded(x: Exchange, side: Side, head: bytes) -> bytes:
    """The client's headers for the provider: those its dialect knows, or in a passthrough all but ours and the connection's."""
    sent = {name: x.headers.get(name) or default for name, default in side.forwarded}
    if x.kind == "passthrough":
        named = {token.strip(b" \t").lower() for token in x.headers.get(b"connection", b"").split(b",")}
        left_out = _NOT_SENT | named | {line.partition(b":")[0] for line in head.split(b"\r\n")}
        for name, value in x.headers.items():
            if name not in left_out and not name.startswith((b"x-freehold-", b"x-forwarded-", b"proxy-", b"sec-")):
                sent.setdefault(name, value)
    return b"".join(b"%b: %b\r\n" % pair for pair in sent.items() if pair[1] and _HEADER_VALUE.fullmatch(pair[1]))


def learn(x: Exchange, peek: Peek, streams: bool) -> None:
    """An answer comes to an upload: what of its form stands behind the file has been read by now, or not yet."""
    peek.stream = peek.stream or streams
    if x.asked.form is not None:
        peek.fields = fields_of(x.asked.form)


def reply_lines(x: Exchange, reply: Reply) -> bytes:
    """The upstream's header lines that a client of its API may look for."""
    kept = [
        b"%b: %b\r\n" % pair
        for pair in reply.headers.items()
        if pair[0] not in _NOT_TOLD and not pair[0].startswith(_NOT_TOLD_STARTS) and _HEADER_VALUE.fullmatch(pair[1])
    ]
    return b"".join(kept)


def relay(x: Exchange, rt: Runtime, side: Side, content_type: bytes) -> Relay | None:
    """How the reply of such a call passes; None: as the dialect has it."""
    assert x.peek is not None
    if x.heard is not None:
        dialect, peek = x.heard
        return BesideTap(dialect.tap(peek, side.quirks, content_type.startswith(dialect.stream_types), rt.count))
    if x.kind == "passthrough":
        return PassTap()
    if x.kind == "files" and x.asked.path.endswith("/content"):
        return BatchTap(batch.teller(x, rt))
    return None
