"""Requests that are answered once, however often they are sent: those with an Idempotency-Key.

The answer is kept in the transaction of what the request changed: a crash leaves both or neither, and of two that come at once
the second waits for the first one's answer. Only what succeeded is kept: a refusal changed nothing, and may be tried again.
Answers are sealed with the workspace's key, for they may hold a secret that was shown once, and go after a day.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable

import msgspec
from msgspec import Struct
from sqlalchemy import delete, insert, select

from freehold.control.actor import Actor
from freehold.control.plane import Change, Plane
from freehold.control.refusal import Conflict, Reused
from freehold.store.sealing import Place, SealError
from freehold.store.tenants import replies

KEPT_MS = 24 * 3600 * 1000


class Reply(Struct, frozen=True):
    """`headers` beside the content's type and length."""

    status: int
    headers: dict[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"Reply({self.status})"


class _Kept(Struct, frozen=True):
    request: bytes
    reply: Reply


def once(plane: Plane, actor: Actor, key: str, request: bytes, make: Callable[[], Reply]) -> tuple[Reply, bool]:
    """The answer, and whether it is one kept from before. `request`: a digest of all that it asks for.

    Raises Reused if another request came with this key, and whatever `make` raises.
    """
    who = f"{actor.workspace}/{actor.kind}/{actor.id}"
    with plane.writing(actor) as change:
        kept = _find(change, who, key)
        if kept is not None:
            if not hmac.compare_digest(kept.request, request):
                raise Reused(
                    "Another request came with this Idempotency-Key within the last day: use a new key for a new request."
                )
            return kept.reply, True
        with plane.joined(change):
            reply = make()
        _keep(change, who, key, _Kept(request, reply))
        return reply, False


def _find(change: Change, who: str, key: str) -> _Kept | None:
    """Raises Conflict if there is an answer that can't be opened."""
    change.connection.execute(delete(replies).where(replies.c.at_ms < change.now_ms - KEPT_MS))
    query = select(replies.c.answer).where(replies.c.actor == who, replies.c.idempotency_key == key)
    sealed = change.connection.scalar(query)
    if sealed is None:
        return None
    try:
        return msgspec.msgpack.decode(change.data_key().open(sealed, _place(who, key)), type=_Kept)
    except SealError:
        raise Conflict(
            "This was answered before, and the answer can no longer be opened: look at what is there, and use another key."
        ) from None


def _keep(change: Change, who: str, key: str, kept: _Kept) -> None:
    sealed = change.data_key().seal(msgspec.msgpack.encode(kept), _place(who, key))
    row = {"actor": who, "idempotency_key": key, "answer": sealed, "at_ms": change.now_ms}
    change.connection.execute(insert(replies), row)


def _place(who: str, key: str) -> Place:
    return Place("replies", "answer", f"{len(who)}:{who}{key}")
