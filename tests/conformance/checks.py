"""The checks over recorded exchanges. Each returns Findings: what was compared, and what was wrong ("" if nothing).

direct  the official SDK can parse the recorded reply at all
pass    through the gateway it parses to the same objects, chunk by chunk; errors have the same class and status
sent    the provider was sent the same request, but for what its quirks and the usage event call for
unasked a usage event that the gateway asked for and the client did not reaches the ledger, and not the client
tokens  the ledger holds the recorded usage to the token (or an estimate, marked as one, where none was recorded)
reply   a client of the other dialect gets the same text, tool calls, ending and usage
mode    so does a client that asked for a stream of a provider that sent none, or the other way round
request what a client of one dialect asks reaches a provider of the other unchanged, or is named as dropped, or refused
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from freehold.upstream.catalogue import PROVIDERS
from tests.conformance import expected
from tests.conformance.content import content
from tests.conformance.gateway import PLAIN, provider_name
from tests.conformance.sdk import Outcome
from tests.conformance.stage import Stage, through_body, upstream_model
from tests.traffic import Recorded

OTHER = {"chat/completions": "messages", "messages": "chat/completions"}
DIALECT = {"chat/completions": "openai_chat", "messages": "anthropic"}


@dataclass(frozen=True)
class Finding:
    """One thing compared. `problem` is empty when it holds; `note` tells how, where there is more than one good way."""

    check: str
    id: str
    problem: str = ""
    note: str = ""


async def compare_pass(stage: Stage, x: Recorded) -> list[Finding]:
    direct, asked = await stage.directly(x)
    found = [Finding("direct", x.id, f"{direct.error}: {direct.message}" if direct.kind == "unparsed" else "")]
    received = stage.replay.received.setdefault(x.id, [])
    received.clear()
    through = await stage.through.fetch(x.endpoint, through_body(x))
    note = "error" if direct.kind == "error" else ""
    found.append(Finding("pass", x.id, _differences(direct, through), note))
    if received:  # a request that the gateway refuses by itself is not sent
        found.append(Finding("sent", x.id, _sent_differences(x, asked.json, received[0].json, through)))
    problem, note = _tokens(stage, x, through)
    found.append(Finding("tokens", x.id, problem, note))
    return found


def _differences(direct: Outcome, through: Outcome) -> str:
    if (direct.kind, direct.status, direct.error) != (through.kind, through.status, through.error):
        return f"direct {direct}, through {through}"
    if direct.body != through.body:
        return f"direct {len(direct.body)} bytes, through {len(through.body)} other bytes"
    if len(direct.items) != len(through.items):
        return f"direct {len(direct.items)} items, through {len(through.items)}"
    for number, (one, other) in enumerate(zip(direct.items, through.items, strict=True)):
        if repr(one) != repr(other):  # as text, because a NaN (seen in embeddings) is not equal to itself
            return f"item {number}: direct {_short(one)}, through {_short(other)}"
    return ""


def _sent_differences(x: Recorded, direct: dict[str, Any], through: dict[str, Any], outcome: Outcome) -> str:
    """Between the bodies that the provider received. A renamed field counts as the same, a dropped one must be named."""
    row = PROVIDERS.get(provider_name(x.provider))
    want = {(row.quirks.rename.get(name, name) if row else name): value for name, value in direct.items()}
    for name in outcome.dropped:
        want.pop(name, None)
    if x.stream and x.endpoint == "chat/completions" and "stream_options" in through:
        want["stream_options"] = {**(want.get("stream_options") or {}), "include_usage": True}
    wrong = [name for name in {**want, **through} if want.get(name, ...) != through.get(name, ...)]
    return "; ".join(f"{name}: {_short(want.get(name))} became {_short(through.get(name))}" for name in wrong)


def tells_no_usage(x: Recorded) -> bool:
    """A stream whose client did not ask for usage, and got none."""
    return x.is_sse and x.endpoint == "chat/completions" and expected.usage(x.endpoint, x.response) is None


async def compare_unasked(stage: Stage, x: Recorded) -> Finding:
    """The recorded stream as the provider would have sent it to the gateway, which asks for usage: one event more."""
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    event = json.dumps({"id": "u", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [], "usage": usage})
    body = x.response.replace(b"data: [DONE]", f"data: {event}\n\ndata: [DONE]".encode())
    more = replace(x, id=f"{x.id}-usage", response=body)
    stage.serve([more])
    direct, _ = await stage.directly(x)
    through = await stage.through.fetch(x.endpoint, through_body(more))
    problem = _differences(direct, through)
    line = stage.gateway.ledger(through.call_id) or {}
    if not problem and (line.get("input"), line.get("output"), line.get("estimated", False)) != (11, 7, False):
        problem = f"ledger holds {line.get('input')} + {line.get('output')} tokens, estimated {line.get('estimated')}"
    return Finding("unasked", x.id, problem)


def _tokens(stage: Stage, x: Recorded, through: Outcome) -> tuple[str, str]:
    """What is wrong with the call's ledger line, and which kind of usage it should hold."""
    line = stage.gateway.ledger(through.call_id)
    if line is None:
        return f"no ledger line for call {through.call_id!r} ({through.kind} {through.status} {through.message})", ""
    if line.get("status", 0) != through.status:
        return f"ledger status {line.get('status')}, client saw {through.status}", ""
    held = {name: line.get(name, 0) for name in expected.TOKENS}
    reported = expected.usage(x.endpoint, x.response) if x.status == 200 and x.endpoint != "messages/count_tokens" else None
    if reported is not None:
        if line.get("estimated"):
            return "marked as estimated, though the reply reports usage", "reported"
        wrong = [f"{name} {held[name]}, recorded {reported[name]}" for name in expected.TOKENS if held[name] != reported[name]]
        return "; ".join(wrong), "reported"
    if through.kind == "error" or x.endpoint == "messages/count_tokens":
        return ("tokens without work: " + str(held) if any(held.values()) else ""), "none"
    if not line.get("estimated") or not held["input"]:
        return f"no usage was recorded, and none was estimated: {held}", "estimated"
    return "", "estimated"


# --- the other dialect's client ----------------------------------------------------------


async def compare_reply(stage: Stage, x: Recorded) -> Finding:
    direct, _ = await stage.directly(x)
    through = await _ask(stage, x, OTHER[x.endpoint], x.stream)
    if direct.kind == "error":
        same = (direct.error, direct.status) == (through.error, through.status)
        return Finding("reply", x.id, "" if same else f"direct {direct}, through {through}", "error")
    return Finding("reply", x.id, _content_differences(x, direct, through, OTHER[x.endpoint], x.stream))


async def compare_mode(stage: Stage, x: Recorded) -> Finding:
    """A provider that streams though the client did not ask for it, or the other way round: in both dialects."""
    direct, _ = await stage.directly(x)
    problems = []
    for endpoint in OTHER:
        through = await _ask(stage, x, endpoint, not x.stream)
        if problem := _content_differences(x, direct, through, endpoint, not x.stream):
            problems.append(f"to {endpoint}: {problem}")
    return Finding("mode", x.id, "; ".join(problems))


async def _ask(stage: Stage, x: Recorded, endpoint: str, stream: bool) -> Outcome:
    """Have the recorded reply sent to a client of `endpoint`, whatever it asks."""
    body: dict[str, Any] = {
        "model": f"{PLAIN[DIALECT[x.endpoint]]}/{upstream_model(x)}",
        "messages": [{"role": "user", "content": "Hello"}],
        "max_tokens": 4096,
    }
    if stream:
        body["stream"] = True
        if endpoint == "chat/completions":
            body["stream_options"] = {"include_usage": True}
    return await stage.through.fetch(endpoint, body)


def _content_differences(x: Recorded, direct: Outcome, through: Outcome, endpoint: str, stream: bool) -> str:
    if through.kind != ("stream" if stream else "reply") or through.error:
        return f"direct {direct}, through {through}"
    one, two = content(x.endpoint, x.stream, direct.items), content(endpoint, stream, through.items)
    problem = "; ".join(one.differences(two) + _usage_differences(x, endpoint, through))
    return f"{problem} | {_short(vars(one))} | {_short(vars(two))}" if problem else ""


def _usage_differences(x: Recorded, other: str, through: Outcome) -> list[str]:
    """Tokens as the other dialect's client reads them. Audio and searches have no place in both dialects."""
    recorded = expected.usage(x.endpoint, x.response)
    if recorded is None:
        return []
    told = expected.usage_of(other, through.items)
    if told is None:
        return ["usage lost"]
    names = ("input", "output", "cache_read", "cache_write")
    return [f"{name} {told[name]}, recorded {recorded[name]}" for name in names if told[name] != recorded[name]]


def _short(value: Any) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 600 else text[:600] + "…"
