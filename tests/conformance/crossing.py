"""Requests across dialects: what a client asks in one must be what a provider of the other is asked.

The request goes through the gateway as a client would send it; the replay server keeps what it received. Compared are the
neutral forms of both (asks.py), and the translated body against the provider's published schema. What the other dialect
cannot carry must be named in `x-freehold-dropped` or refused with a 400 before anything is sent.
"""

from __future__ import annotations

import json
import re
from typing import Any

from tests.conformance.asks import Ask, ask
from tests.conformance.checks import DIALECT, OTHER, Finding
from tests.conformance.conversations import asked_differences
from tests.conformance.gateway import PLAIN
from tests.conformance.replay import Received, Reply
from tests.conformance.sdk import Outcome
from tests.conformance.specs import violations
from tests.conformance.stage import Stage
from tests.traffic import Recorded

# A model of the provider that is asked: encoders look at its name.
MODELS = {"chat/completions": "gpt-5.1", "messages": "claude-sonnet-4-5"}

_ANTHROPIC_STREAM: tuple[tuple[str, dict[str, Any]], ...] = (
    ("message_start", {"message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [],
      "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 3, "output_tokens": 1}}}),
    ("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}),
    ("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": "Hi"}}),
    ("content_block_stop", {"index": 0}),
    ("message_delta", {"delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 2}}),
    ("message_stop", {}),
)  # fmt: skip
_ANTHROPIC = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "Hi"}],
              "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 3, "output_tokens": 2}}  # fmt: skip
_OPENAI = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
           "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
           "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}  # fmt: skip
_OPENAI_CHUNK = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m",
                 "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}]}  # fmt: skip


def short_reply(endpoint: str, stream: bool) -> Reply:
    """The smallest good answer in the endpoint's dialect."""
    if not stream:
        return Reply(200, "application/json", json.dumps(_ANTHROPIC if endpoint == "messages" else _OPENAI).encode(), sse=False)
    if endpoint == "messages":
        text = "".join(f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n" for name, data in _ANTHROPIC_STREAM)
    else:
        text = f"data: {json.dumps(_OPENAI_CHUNK)}\n\ndata: [DONE]\n\n"
    return Reply(200, "text/event-stream", text.encode(), sse=True)


async def send_across(
    stage: Stage, endpoint: str, body: dict[str, Any], key: str, model: str = ""
) -> tuple[Outcome, Received | None]:
    """Ask `model` of the other dialect. Returns what the client got and what the provider received, if anything."""
    other = OTHER[endpoint]
    model = f"{PLAIN[DIALECT[other]]}/{model or MODELS[other]}~{key}"
    stage.replay.replies[key] = short_reply(other, bool(body.get("stream")))
    stage.replay.received.pop(key, None)
    outcome = await stage.through.fetch(endpoint, {**body, "model": model})
    received = stage.replay.received.get(key)
    return outcome, received[-1] if received else None


async def compare_recorded_request(stage: Stage, x: Recorded) -> Finding:
    endpoint, body, name = x.endpoint, x.request, x.id
    outcome, received = await send_across(stage, endpoint, body, f"rq-{name}")
    if received is None:
        refusal = refusal_reason(endpoint, body)
        if outcome.kind == "error" and outcome.status == 400 and refusal:
            return Finding("request", name, note=f"refused: {refusal}")
        return Finding("request", name, f"not sent: {outcome.kind} {outcome.status} {outcome.error} {outcome.message}")
    dropped = outcome.dropped
    problems = request_differences(endpoint, body, received.json, dropped)
    problems += [f"invalid: {v}" for v in violations(OTHER[endpoint], received.json)]
    if outcome.kind not in ("reply", "stream") or outcome.error:
        problems.append(f"client got {outcome.kind} {outcome.status} {outcome.error} {outcome.message}")
    note = f"dropped: {', '.join(dropped)}" if dropped else ""
    return Finding("request", name, "; ".join(problems), note)


async def compare_pair(stage: Stage, case: str, openai: dict[str, Any], anthropic: dict[str, Any]) -> Finding:
    """Each of two requests that mean the same, translated, against the other."""
    problems = []
    for endpoint, body, recorded in (("chat/completions", openai, anthropic), ("messages", anthropic, openai)):
        _, received = await send_across(stage, endpoint, body, f"pair-{case}", recorded["model"])
        found = ["not sent"] if received is None else asked_differences(OTHER[endpoint], received.json, recorded)
        problems += [f"to {OTHER[endpoint]}: {difference}" for difference in found]
    return Finding("case", case, "; ".join(problems))


def request_differences(endpoint: str, body: dict[str, Any], received: dict[str, Any], dropped: list[str]) -> list[str]:
    asked, got = ask(endpoint, body), ask(OTHER[endpoint], received)
    problems = []
    if "".join(asked.system) != "".join(got.system):
        problems.append(f"system {asked.system!r} became {got.system!r}")
    problems += _part_differences(asked, got)
    if asked.tools != got.tools:
        problems.append(f"tools {_short(asked.tools)} became {_short(got.tools)}")
    for name, value in asked.knobs.items():
        if got.knobs.get(name) != value and not _named(name, dropped):
            problems.append(f"{name} {_short(value)} became {_short(got.knobs.get(name))}")
    extra = sorted(got.knobs.keys() - asked.knobs.keys() - {"max_tokens", "stream"})
    if extra:
        problems.append(f"made up: {', '.join(extra)}")
    return problems


def _part_differences(asked: Ask, got: Ask) -> list[str]:
    if asked.parts == got.parts:
        return []
    for number, (one, other) in enumerate(zip(asked.parts, got.parts, strict=False)):
        if one != other:
            return [f"part {number} {_short(one)} became {_short(other)}"]
    return [f"{len(asked.parts)} parts became {len(got.parts)}"]


# A knob by its canonical name may be dropped under any of the dialects' own.
_WORDS = {
    "stop": ("stop", "stop_sequences"),
    "max_tokens": ("max_tokens", "max_completion_tokens"),
    "one_tool_at_a_time": ("parallel_tool_calls", "disable_parallel_tool_use", "tool_choice"),
    "schema": ("response_format", "output_config", "output_format"),
    "json": ("response_format",),
    "reasoning": ("reasoning_effort", "reasoning", "thinking", "output_config"),
}


def _named(knob: str, dropped: list[str]) -> bool:
    return any(re.split(r"[ .]", d)[0] == word for word in _WORDS.get(knob, (knob,)) for d in dropped)


def refusal_reason(endpoint: str, body: dict[str, Any]) -> str:
    """Why the other dialect truly cannot carry this request, or "" if it can. Our own judgement, not the product's."""
    kinds = {kind for _, kind, *_ in ask(endpoint, body).parts}
    if not body.get("messages"):
        return "no messages"
    if endpoint == "chat/completions":
        if "audio" in kinds or "audio" in (body.get("modalities") or ()):
            return "audio"
        if (body.get("n") or 1) > 1:
            return "more than one choice"
        files = [str(where) for _, kind, where, *_ in ask(endpoint, body).parts if kind == "file"]
        if any(not where.startswith(("data:application/pdf", "data:text/")) for where in files):
            return "a file that is neither PDF nor text"
        if not kinds:
            return "no message but the system's"
        own = kinds - {"text", "image", "file", "call", "result"}
        return f"the provider's own {', '.join(sorted(own))}" if own else _builtin_tool(body, ("function",))
    if any(kind == "file" and not str(where).startswith("data:") for _, kind, where, *_ in ask(endpoint, body).parts):
        return "a file by URL or id, which only Anthropic can read"
    own = kinds - {"text", "image", "file", "call", "result"}
    return f"Anthropic's own {', '.join(sorted(own))}" if own else _builtin_tool(body, ("custom",))


def _builtin_tool(body: dict[str, Any], portable: tuple[str, ...]) -> str:
    own = sorted({str(t["type"]) for t in body.get("tools") or [] if t.get("type") and t["type"] not in portable})
    return f"built-in tool {', '.join(own)}" if own else ""


def _short(value: Any) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 300 else text[:300] + "…"
