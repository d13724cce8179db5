"""The translation cases: one conversation recorded in several dialects, as exchanges that the other checks understand.

Their streams are kept as parsed events; they are written out here as each provider sends them.
"""

from __future__ import annotations

import json
from typing import Any

from tests.conformance.asks import Ask, ask
from tests.traffic import Case, Recorded, cases

ENDPOINT = {"chat-completions": "chat/completions", "anthropic": "messages"}
PROVIDER = {"chat-completions": "openai", "anthropic": "anthropic"}
TURNS = ("", "followup-")


def case_exchanges() -> list[Recorded]:
    """Every reply of the cases in our two dialects, whole or streamed, with the request that it answers."""
    found = []
    for case in cases():
        for dialect in ENDPOINT:
            for turn in TURNS:
                files = case.of(dialect, turn)
                if "request" not in files:
                    continue
                found += [
                    _exchange(case, dialect, turn, files, kind) for kind in ("response", "response-streaming") if kind in files
                ]
    return found


def pairs() -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """(case, chat-completions request, anthropic request) for the cases that word the same first turn in both."""
    found = []
    for case in cases():
        openai, anthropic = case.of("chat-completions"), case.of("anthropic")
        if "request" in openai and "request" in anthropic:
            found.append((case.name, openai["request"], anthropic["request"]))
    return found


def _exchange(case: Case, dialect: str, turn: str, files: dict[str, Any], kind: str) -> Recorded:
    stream = kind == "response-streaming"
    request = {name: value for name, value in files["request"].items() if name not in ("stream", "stream_options")}
    if stream:
        request["stream"] = True
        if dialect == "chat-completions":
            request["stream_options"] = {"include_usage": True}
    body = _sse(dialect, files[kind]) if stream else json.dumps(files[kind])
    return Recorded(
        id=f"{case.name}.{turn or 'first-'}{dialect}.{'stream' if stream else 'whole'}",
        source="cases",
        provider=PROVIDER[dialect],
        endpoint=ENDPOINT[dialect],
        url="",
        request=request,
        status=200,
        content_type="text/event-stream" if stream else "application/json",
        tags=(),
        response=body.encode(),
    )


def _sse(dialect: str, events: list[dict[str, Any]]) -> str:
    if dialect == "anthropic":
        return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
    return "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"


def asked_differences(endpoint: str, received: dict[str, Any], recorded: dict[str, Any]) -> list[str]:
    """Where a translated request asks something else than the recorded one of the same dialect.

    Not compared: max_tokens (Anthropic needs one, OpenAI does not) and whether reasoning is asked for, which the cases set
    differently in each dialect; and the model's name.
    """
    got, want = ask(endpoint, received), ask(endpoint, recorded)
    return [name for name in ("system", "parts", "tools") if getattr(got, name) != getattr(want, name)] + _knobs(got, want)


def _knobs(got: Ask, want: Ask) -> list[str]:
    names = sorted((got.knobs.keys() | want.knobs.keys()) - {"max_tokens", "reasoning", "stream"})
    return [f"{n}: {got.knobs.get(n)!r} for {want.knobs.get(n)!r}" for n in names if got.knobs.get(n) != want.knobs.get(n)]
