"""Idempotency-Key, as draft-ietf-httpapi-idempotency-key-header describes it: a request that is sent again is answered again,
not done again. Every operation that makes something takes one."""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import sha256
from typing import Annotated, Any

from fastapi import Depends, Header, Request, Response
from msgspec import Struct
from pydantic_core import to_json

from freehold.control import replies
from freehold.control.actor import Actor
from freehold.control.plane import Plane
from freehold.control.refusal import Invalid
from freehold.control.replies import Reply

_KEY = re.compile(r'"?([!#-\[\]-~]{1,255})"?\Z')  # a structured field's string, or the same without quotes
_OURS = ("etag", "location")


class Asked(Struct, frozen=True):
    key: str
    request: bytes  # digest


async def _asked(
    request: Request,
    idempotency_key: Annotated[
        str | None,
        Header(
            alias="idempotency-key",
            max_length=300,
            description="Of your choosing, new for each request: sent again within a day, it gets the same answer, and nothing "
            "is done twice. With another request it is refused.",
            examples=["8e03978e-40d5-43dd-bc93-6894a57f9324"],
        ),
    ] = None,
) -> Asked | None:
    if idempotency_key is None:
        return None
    found = _KEY.match(idempotency_key.strip())
    if found is None:
        raise Invalid("idempotency-key", "An Idempotency-Key is 1 to 255 visible ASCII characters, without spaces and quotes.")
    digest = sha256()
    for part in (request.method, request.url.path, request.url.query):
        digest.update(b"%d:%b" % (len(part), part.encode()))
    digest.update(await request.body())
    return Asked(found[1], digest.digest())


AskedHere = Annotated[Asked | None, Depends(_asked)]


def once(asked: Asked | None, plane: Plane, actor: Actor, response: Response, status: int, make: Callable[[], Any]) -> Any:
    """What an endpoint returns for what `make` did, or for what it did when it was asked the first time."""
    if asked is None:
        return make()

    def reply() -> Reply:
        made = make()
        headers = {name: response.headers[name] for name in _OURS if name in response.headers}
        return Reply(status, headers, to_json(made))

    answer, again = replies.once(plane, actor, asked.key, asked.request, reply)
    headers = {**answer.headers, **({"idempotent-replayed": "true"} if again else {})}
    return Response(answer.body, answer.status, headers, media_type="application/json")
