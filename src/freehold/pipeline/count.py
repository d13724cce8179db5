"""count_tokens where no target can count: the gateway's own count, free of charge."""

from __future__ import annotations

from freehold.pipeline import deliver, settle
from freehold.pipeline.exchange import Exchange
from freehold.pipeline.output import Output
from freehold.pipeline.runtime import Runtime


def answer(x: Exchange, rt: Runtime, out: Output) -> bool:
    """True if the call was a count_tokens that was answered here."""
    if x.kind != "count_tokens":
        return False
    assert x.route is not None and x.peek is not None
    first = x.route.targets[0]
    side = first.provider.side(x.dialect, x.kind)
    if side.dialect.name == x.dialect.name and x.kind in side.kinds:
        return False
    x.target = first
    body = x.dialect.count_reply % rt.count(x.dialect.input_text(x.peek))
    x.outcome = "ok"
    x.status = 200
    settle.record(x, rt)
    out.whole(200, deliver.headers(x, b"application/json"), body)
    return True
