"""The checks over the other dialects' exchanges: what reaches the client, what reached the provider, what the ledger holds."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

from tests.conformance import expected, native_usage
from tests.conformance.checks import Finding
from tests.conformance.native import Got, model_of, native_of, provider_of, streams
from tests.conformance.native_sdks import Fetch
from tests.conformance.replay import Received
from tests.conformance.stage import Stage
from tests.traffic import Recorded

BILLED = (*expected.TOKENS, "rerank_searches")
COUNTS = ("countTokens", "responses/input_tokens")


async def compare_native(stage: Stage, x: Recorded) -> list[Finding]:
    """Findings of the checks pass, sent and tokens."""
    stage.replay.received.pop(x.id, None)
    direct = await stage.direct_http.call(x, "")
    asked = stage.replay.received.pop(x.id)[0]
    through = await stage.through_http.call(x, f"{provider_of(x)}/")
    received = stage.replay.received.get(x.id, [])
    found = [Finding("pass", x.id, reply_differences(direct, through), "" if direct.status == 200 else "error")]
    if received:
        found.append(Finding("sent", x.id, "; ".join(_sent_differences(x, asked, received[0]))))
    problem, note = _tokens(stage, x, through)
    return [*found, Finding("tokens", x.id, problem, note)]


def reply_differences(direct: Got, through: Got) -> str:
    """A good reply is equal to the byte. An error has the same status and is JSON: its words are the gateway's own."""
    if direct.status != through.status:
        return f"status {direct.status}, through {through.status} {through.body[:300]!r}"
    if direct.status != 200:
        return "" if isinstance(json.loads(through.body), dict) else f"an error that is no object: {through.body[:200]!r}"
    if direct.content_type.startswith("application/json") and direct.body[:1] == b"[":  # Gemini's array, written anew
        same = _said(direct.body) == _said(through.body) and through.content_type.startswith("application/json")
        return "" if same else f"another array: {through.body[:300]!r}"
    if direct.content_type != through.content_type:
        return f"content type {direct.content_type!r}, through {through.content_type!r}"
    if direct.body != through.body:
        at = next((i for i, (a, b) in enumerate(zip(direct.body, through.body, strict=False)) if a != b), -1)
        return (
            f"{len(direct.body)} bytes, through {len(through.body)}, other from {at}: {through.body[max(at - 40, 0) : at + 80]!r}"
        )
    return ""


def _said(array: bytes) -> tuple[str, dict[str, int] | None]:
    """The text of a Gemini array and its usage: how it is cut into chunks is not told by what it says."""
    parts = [
        p for item in json.loads(array) for c in item.get("candidates") or () for p in (c.get("content") or {}).get("parts") or ()
    ]
    return "".join(p.get("text") or "" for p in parts), native_usage.usage("gemini", "streamGenerateContent", array)


def _sent_differences(x: Recorded, direct: Received, through: Received) -> list[str]:
    """The provider got the same path and body, with its own name of the model and its own key, and none of the client's."""
    problems = [] if _bare(direct.path) == _bare(through.path) else [f"path {direct.path}, through {through.path}"]
    want, got = _unprefixed(direct.json, x), through.json
    if x.endpoint == "completions" and streams(x):
        want["stream_options"] = {**(want.get("stream_options") or {}), "include_usage": True}
    problems += [
        f"{name}: {want.get(name)!r:.200} became {got.get(name)!r:.200}"
        for name in {**want, **got}
        if want.get(name, ...) != got.get(name, ...)
    ]
    return problems + (
        [] if "freehold" not in json.dumps(got) and "fh-" not in str(through.headers) else ["the gateway's key leaked"]
    )


def _bare(path: str) -> str:
    """A path without the query, which only says how a stream is framed (the gateway asks for events), and our /voyage."""
    return unquote(path.partition("?")[0].removeprefix("/voyage"))


def _unprefixed(body: dict[str, Any], x: Recorded) -> dict[str, Any]:
    """Gemini repeats the model's name inside the body: there it is the target's too."""
    if x.endpoint == "batchEmbed":
        return {**body, "requests": [{**one, "model": f"models/{model_of(x)}"} for one in body["requests"]]}
    if "generateContentRequest" in body:
        return {"generateContentRequest": {**body["generateContentRequest"], "model": f"models/{model_of(x)}"}}
    return dict(body)


def _tokens(stage: Stage, x: Recorded, through: Got) -> tuple[str, str]:
    line = stage.gateway.ledger(through.call_id)
    if line is None:
        return f"no ledger line for call {through.call_id!r} ({through.status} {through.body[:200]!r})", ""
    if line.get("status", 0) != through.status:
        return f"ledger status {line.get('status')}, client saw {through.status}", ""
    native = native_of(x)
    assert native is not None
    held = {name: line.get(name, 0) for name in BILLED}
    counted = native.endpoint in COUNTS
    if x.status != 200 or through.status != 200 or counted:
        return ("tokens without work: " + str(held) if any(held.values()) else ""), "none"
    reported = native_usage.usage(native.dialect, native.endpoint, x.response)
    if reported is None:
        return ("" if line.get("estimated") and held["input"] else f"nothing was recorded nor estimated: {held}"), "estimated"
    wrong = [f"{n} {held[n]}, recorded {reported.get(n, 0)}" for n in BILLED if held[n] != reported.get(n, 0)]
    if line.get("estimated"):
        wrong.append("marked as estimated, though the reply reports usage")
    return "; ".join(wrong), "reported"


def compare_sdk(direct: Fetch, through: Fetch, x: Recorded) -> Finding:
    """Blocks. What the SDK parsed is equal; an error has the same class and status."""
    native, stream = native_of(x), streams(x)
    assert native is not None
    one = direct(native.endpoint, model_of(x), stream)
    other = through(native.endpoint, f"{provider_of(x)}/{model_of(x)}", stream)
    if one == other:
        return Finding("sdk", x.id)
    if one.error != other.error:
        return Finding("sdk", x.id, f"error {one.error!r}, through {other.error!r} {other.items[-1:]!r:.200}")
    different = [f"{a[:300]} became {b[:300]}" for a, b in zip(one.items, other.items, strict=False) if a != b]
    return Finding("sdk", x.id, f"{len(one.items)} items, through {len(other.items)}: {different[:1]}")
