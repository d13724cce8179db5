"""A batch's usage enters the ledger as its output file passes through: one line of kind "batch" for each of its requests.

The same file may be fetched again, by another worker or after a restart: a line's id is made of the provider, the file
and the request's own id, so that whoever gathers the lines can tell that they are one. Within this worker it is written
once. Not covered: batches whose output nobody fetches through this gateway, and forms of output other than OpenAI's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from freehold.pipeline import settle
from freehold.pipeline.exchange import Exchange
from freehold.pipeline.runtime import Runtime
from freehold.wire.dialects.openai_chat.media_tap import BatchItem

_MAX_SEEN = 200_000  # ids of lines written, some 20 MB; then the oldest half is forgotten

_seen: dict[str, None] = {}


def teller(x: Exchange, rt: Runtime) -> Callable[[BatchItem], None]:
    """What to call with each request of the batch whose output `x` fetches."""

    def tell(item: BatchItem) -> None:
        assert x.target is not None
        line_id = _line_id(x.target.provider.name, x.asked.id, item.custom_id)
        if line_id in _seen:
            return
        if len(_seen) >= _MAX_SEEN:
            for old in list(_seen)[: _MAX_SEEN // 2]:
                del _seen[old]
        _seen[line_id] = None
        settle.record_part(
            x, rt, line_id, kind="batch", usage=item.usage, model=item.model or "?", status=item.status, client_id=item.custom_id
        )

    return tell


def _line_id(*parts: str) -> str:
    return "call_b" + hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:40]
