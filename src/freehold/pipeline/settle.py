"""Last phase: usage -> cost -> ledger line -> metrics. Synchronous, once a call, whatever happened to it."""

from __future__ import annotations

import time

from freehold.pipeline.exchange import Exchange
from freehold.pipeline.labels import note_labels
from freehold.pipeline.runtime import Principal, Runtime, Target
from freehold.policy import pricebook
from freehold.policy.metered import charge_nusd
from freehold.policy.pricing import Rates, cost_nusd
from freehold.store.spool import LedgerLine
from freehold.wire.chat import Usage
from freehold.wire.dialect import BOUND

_NOTHING = Usage()
_UNMETERED = BOUND | {"count_tokens", "realtime"}  # no usage of their own, or none that could be estimated


def close(x: Exchange, rt: Runtime) -> None:
    """The exit of every call. Does nothing when `record` has run."""
    if not x.recorded:
        x.outcome = x.outcome or "error"
        record(x, rt)
    if x.busy is not None:
        x.busy.end()
        x.busy = None


def record(x: Exchange, rt: Runtime) -> None:
    """Write the ledger line. Called before the client sees the reply's end."""
    if x.recorded:
        return
    x.recorded = True
    x.usage = usage = _usage(x, rt)
    now = time.monotonic_ns()
    committed = x.commit_ns or now
    line = LedgerLine(
        call_id=x.call_id,
        ended_ms=time.time_ns() // 1_000_000,
        kind=x.kind,
        dialect=x.dialect.name,
        status=x.status,
        outcome=x.outcome,
        translated=x.translated,
        attempts=x.attempts,
        upstream_id=x.upstream_id,
        total_us=(now - x.arrived_ns) // 1000,
        overhead_us=(committed - x.arrived_ns - x.wait_ns) // 1000,
    )
    if x.commit_ns:
        line.first_us = (committed - x.arrived_ns) // 1000
    if usage is not _NOTHING:
        note_usage(usage, line)
    _who_and_where(x, line)
    _price(x, usage, line)
    if _is_kept(x, rt):
        rt.spool.append(line)
    _measure(x, rt, line)


def _is_kept(x: Exchange, rt: Runtime) -> bool:
    """Not a stranger's call, who could fill the disk; nor one refused while nothing can be written, which could fill memory."""
    return x.principal is not None and (x.sent or bool(x.attempts) or not rt.spool.full)


def record_part(
    x: Exchange,
    rt: Runtime,
    line_id: str,
    *,
    kind: str,
    usage: Usage | None,
    model: str = "",
    status: int = 200,
    finish: str = "",
    client_id: str = "",
) -> None:
    """A ledger line of its own for a part of a call: a response in a session, a request in a batch.

    `model`: the one that answered, where it is not the target's. A batch's requests have prices of their own.
    """
    assert x.principal is not None and x.target is not None
    target = x.target
    line = LedgerLine(
        call_id=line_id,
        ended_ms=time.time_ns() // 1_000_000,
        kind=kind,
        dialect=x.dialect.name,
        route=x.route.name if x.route is not None else "",
        provider=target.provider.name,
        model=(model or target.model)[:256],
        answered_by=model[:256],
        zone=target.provider.zone,
        region=target.provider.region,
        status=status,
        outcome="ok" if status < 400 else "upstream_error",
        finish=finish[:64],
        client_id=client_id[:128],
    )
    _note_principal(x.principal, line)
    # What a batch was uploaded with, or a session opened with; not what one request in it may say.
    note_labels(x.headers, None, x.dialect.name, line)
    if usage is not None:
        note_usage(usage, line)
        _price_part(target, line, usage, model)
    rt.spool.append(line)
    series = rt.metrics.calls(line.route, target.label, line.outcome)
    series.add_tokens(line.input, line.output, line.cost_nusd or 0)


def _price_part(target: Target, line: LedgerLine, usage: Usage, model: str) -> None:
    unix_s = line.ended_ms // 1000
    found: tuple[Rates, str] | None = None
    if line.kind == "batch":
        found = pricebook.find_batch(target.provider.price_id, model, unix_s // 86_400)
    elif model:
        known = pricebook.find(target.provider.price_id, model)
        found = (known.price.rates_at(unix_s), known.price.name) if known is not None else None
    elif target.price is not None:
        found = target.price.rates_at(unix_s), target.price.name
    if found is not None:
        line.cost_nusd = charge_nusd(found[0], usage, line.kind)
        line.price_source = found[1] if line.cost_nusd is not None else ""


def note_usage(usage: Usage, line: LedgerLine) -> None:
    line.input = usage.input
    line.output = usage.output
    line.service_tier = usage.service_tier
    line.estimated = usage.estimated
    line.cache_read = usage.cache_read
    line.cache_write = usage.cache_write
    line.cache_write_1h = usage.cache_write_1h
    line.reasoning = usage.reasoning
    line.audio_in = usage.audio_in
    line.audio_out = usage.audio_out
    line.web_searches = usage.web_searches
    line.seconds = usage.seconds
    line.characters = usage.characters
    line.rerank_searches = usage.rerank_searches


def _note_principal(who: Principal, line: LedgerLine) -> None:
    line.workspace = who.workspace
    line.key_id = who.key_id
    line.key = who.name
    if who.app or who.member:
        line.app, line.member, line.team = who.app, who.member, who.team


def _who_and_where(x: Exchange, line: LedgerLine) -> None:
    if x.principal is not None:
        _note_principal(x.principal, line)
        note_labels(x.headers, x.peek, x.dialect.name, line)
    if x.peek is not None:
        line.stream = x.peek.stream
        line.route = x.route.name if x.route is not None else x.peek.model[:256]
    if x.target is not None:
        provider = x.target.provider
        line.provider, line.model, line.zone, line.region = provider.name, x.target.model, provider.zone, provider.region
    if x.relay is not None:
        line.answered_by, line.finish = x.relay.model[:256], x.relay.finish[:64]
    if x.error is not None:
        line.error = x.error.kind
    client_id = x.headers.get(b"x-request-id")
    if client_id is not None:
        line.client_id = client_id[:128].decode("ascii", "replace")


def _usage(x: Exchange, rt: Runtime) -> Usage:
    """As the provider reported it. A reply that was cut, or never said, is counted here: it is not free."""
    relay = x.relay
    reported = relay.usage if relay is not None else None
    if reported is not None and (relay is None or relay.done) and not reported.estimated:
        return reported
    if not x.sent or x.target is None or x.peek is None or x.kind in _UNMETERED:
        return _NOTHING
    produced = relay.produced() if relay is not None else 0
    if reported is None:
        return Usage(input=rt.count(x.dialect.input_text(x.peek)), output=produced, estimated=True)
    if reported.output >= produced and not reported.estimated:
        return reported
    reported.output = max(reported.output, produced)
    reported.estimated = True
    return reported


def _price(x: Exchange, usage: Usage, line: LedgerLine) -> None:
    if x.target is None or x.kind == "count_tokens":
        return
    price = x.target.price
    if price is None or (x.kind in BOUND and usage is _NOTHING):
        return
    if usage is _NOTHING:  # refused before any work was done
        line.price_source = price.name
        line.cost_nusd = x.cost_nusd = 0
        return
    rates = price.rates_at(line.ended_ms / 1000, usage.service_tier)
    # What a chat costs is known in tokens, and found without asking further.
    chat = x.kind == "chat" and rates.input is not None
    line.cost_nusd = x.cost_nusd = cost_nusd(rates, usage) if chat else charge_nusd(rates, usage, x.kind)
    if x.cost_nusd is not None:
        line.price_source = price.name


def _measure(x: Exchange, rt: Runtime, line: LedgerLine) -> None:
    known = x.route is not None  # names that clients invent must not become labels
    series = rt.metrics.calls(line.route if known else "", x.target.label if x.target else "", line.outcome)
    first_us = line.first_us if x.commit_ns else None
    series.add(line.input, line.output, line.cost_nusd or 0, line.total_us, line.overhead_us, first_us)
