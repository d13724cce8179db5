"""A batch's usage enters the ledger as its output file passes through: one line of kind "batch" for each of its requests.

The same file may be fetched again, by another worker or after a restart: a line's id is made of the provider, the file
and the request's own id, so that whoever gathers the lines can tell that they are one. Within this worker it is written
once. Not covered: batches whose output nobody fetches through this gateway, and forms of output other than OpenAI's.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

from freehold.pipeline import settle
from freehold.pipeline.exchange import Exchange
from freehold.pipeline.runtime import Runtime
from freehold.store.spool import LedgerLine
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
        rt.spool.append(_line(x, line_id, item))

    return tell


def _line_id(*parts: str) -> str:
    return "call_b" + hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:40]


def _line(x: Exchange, line_id: str, item: BatchItem) -> LedgerLine:
    assert x.principal is not None and x.target is not None
    provider = x.target.provider
    line = LedgerLine(
        call_id=line_id,
        ended_ms=time.time_ns() // 1_000_000,
        kind="batch",
        dialect=x.dialect.name,
        workspace=x.principal.workspace,
        key_id=x.principal.key_id,
        key=x.principal.name,
        route=f"{provider.name}/*",
        provider=provider.name,
        model=item.model[:256],
        answered_by=item.model[:256],
        zone=provider.zone,
        status=item.status,
        outcome="ok" if item.status < 400 else "upstream_error",
        client_id=item.custom_id[:128],
    )
    if item.usage is not None:
        settle.note_usage(item.usage, line)
    # Batches have prices of their own, which the table does not know: the cost stays unknown rather than wrong.
    return line
