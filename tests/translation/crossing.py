"""Send a request or a reply from one dialect to another through the codecs, and judge what became of it.

Each is read back by the other dialect's own decoder, and its meaning compared (meaning.py). A difference must be named in
`dropped`, or be one of EXPLAINED; anything else is a fault.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from freehold.base.errors import InvalidRequest, Unsupported
from freehold.wire.dialect import Asked, Quirks, WriterOptions
from freehold.wire.fold import fold
from freehold.wire.registry import DIALECTS
from freehold.wire.translate import Translation
from tests.translation.meaning import asked, said
from tests.translation.samples import MODELS, Reply, Request

QUIRKS = Quirks()
_PIECE = 1500
_ANY = "*"


@dataclass
class Crossed:
    """`refused`: why nothing was sent. `dropped`: what the client is told was left out. `faults`: what nobody told it."""

    refused: str = ""
    dropped: tuple[str, ...] = ()
    explained: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


class Explained(NamedTuple):
    """A difference that is right. `holds(before, after)` says when; `target` is a dialect or any of several."""

    aspect: str
    targets: tuple[str, ...]
    reason: str
    holds: Callable[[Any, Any], bool] = lambda before, after: True


_CLAUDE = ("anthropic", "bedrock", "bedrock_invoke")
REQUESTS = (
    Explained(
        "max_tokens", _CLAUDE, "Claude's API must be given a limit: the model's own largest is sent", lambda b, a: b is None
    ),
    Explained(
        "tool_choice",
        ("bedrock", "ollama"),
        "there is no word for `none`: the tools are not offered, which says the same",
        lambda b, a: b == ("none", "") and a is None,
    ),
    Explained("tools", ("bedrock", "ollama"), "tools that may not be called are not offered", lambda b, a: bool(b) and a == []),
    Explained(
        "tool_choice",
        ("cohere",),
        "no tool can be named: only that one is offered, and a call is required",
        lambda b, a: b[0] == "tool" and a == ("required", ""),
    ),
    Explained("tools", ("cohere",), "only the tool that must be called is offered", lambda b, a: bool(a) and a[0] in b),
    Explained(
        "turns",
        ("openai_chat", "openai_responses", "ollama"),
        "a document in a tool's result is written there as its name and its text",
        lambda b, a: _documents_are_texts(b, a),
    ),
)
REPLIES = (
    Explained("cached", ("cohere", "ollama"), "its usage has no field for tokens of the prompt cache"),
    Explained("cached", ("gemini",), "its usage has no field for tokens written to the cache", lambda b, a: b[0] == a[0]),
    Explained("reasoning tokens", ("bedrock", "ollama"), "its usage doesn't tell reasoning tokens apart"),
    Explained(
        "ending", ("cohere",), "it has no word for a filtered reply: it ends as an error", lambda b, a: b == "content_filter"
    ),
    Explained("ending", _CLAUDE, "it has no word for a reply that failed at its end", lambda b, a: b == "error"),
    Explained("calls", ("openai_completions",), "it has no tools: a client can't have offered any"),
    Explained("thinking", ("openai_completions",), "it has text only"),
    Explained("media", (_ANY,), "a sound or a picture made by the model, which only its own dialect can be asked for"),
    Explained("own", (_ANY,), "what a tool of the provider's own did, which only its own dialect can ask for"),
    *(
        Explained(
            aspect, ("openai_responses",), "a failed response has no usage and no content", lambda b, a: a is None or a == ""
        )
        for aspect in ("ending", "tokens", "cached", "reasoning tokens")
    ),
)


def _documents_are_texts(before: list[Any], after: list[Any]) -> bool:
    """Calls are as they were; the documents' texts and all others are there, the documents' as text."""
    documents = ["".join(part[2].decode().split()) for part in before if part[1] == "file" and isinstance(part[2], bytes)]
    said = [part[2] for part in before if part[1] == "text"]
    texts = "".join(
        part[-1] if isinstance(part[-1], str) else json.dumps(part[-1], ensure_ascii=False, default=str) for part in after
    )
    calls = [[part for part in side if part[1] == "call"] for side in (before, after)]
    return bool(documents) and calls[0] == calls[1] and all(text in texts for text in (*documents, *said))


# An aspect may be named under any of the dialects' own words.
_WORDS = {
    "thinking": ("thinking", "reasoning", "reasoning_content"),
    "reasoning": ("reasoning", "reasoning_effort", "thinking"),
    "cache": ("cache_control", "prompt_cache_breakpoint", "cachePoint"),
    "one_at_a_time": ("parallel_tool_calls",),
    "logprobs": ("logprobs", "top_logprobs"),
    "output": ("output", "response_format", "format", "output_config"),
}


def request_to(request: Request, target: str) -> Crossed:
    source, other = DIALECTS[request.dialect], DIALECTS[target]
    before = source.decode_request(source.peek(json.dumps(request.body).encode(), "chat", request.asked))
    try:
        body, dropped = other.encode_request(before, MODELS[target], QUIRKS)
    except (Unsupported, InvalidRequest) as error:
        return Crossed(refused=f"{error.param}: {error.message}")
    url = Asked(model="m", stream=bool(before.stream), query={"alt": "sse"})
    after = other.decode_request(other.peek(body, "chat", url))
    crossed = Crossed(dropped=dropped)
    _judge(crossed, target, asked(before), asked(after), REQUESTS)
    return crossed


def reply_to(reply: Reply, target: str, stream: bool) -> Crossed:
    source, client = DIALECTS[reply.dialect], DIALECTS[target]
    reader = source.reader(reply.stream)
    before = said(fold(reader.feed(reply.data) + reader.close(), reply.dialect))
    options = WriterOptions(stream=stream, model="asked", call_id="c1", created_s=7, include_usage=True)
    relay = Translation(source.reader(reply.stream), client.writer(options), len)
    data = b"".join([relay.feed(reply.data[at : at + _PIECE]) for at in range(0, len(reply.data), _PIECE)]) + relay.close()
    if not relay.done:
        return Crossed(faults=[f"not whole: {relay.failure}"])
    back = client.reader(stream)
    after = said(fold(back.feed(data) + back.close(), target))
    crossed = Crossed()
    names = [name for name in after if name in before]  # usage that nobody told may be written as zeros
    _judge(crossed, target, before, {name: after[name] for name in names}, REPLIES)
    return crossed


def _judge(crossed: Crossed, target: str, before: dict[str, Any], after: dict[str, Any], rules: tuple[Explained, ...]) -> None:
    for aspect in {**before, **after}:
        one, other = before.get(aspect), after.get(aspect)
        if one == other or _named(aspect, crossed.dropped):
            continue
        rule = next(
            (r for r in rules if r.aspect == aspect and (target in r.targets or _ANY in r.targets) and r.holds(one, other)), None
        )
        if rule is not None:
            crossed.explained.append(rule.reason)
        else:
            crossed.faults.append(f"{aspect}: {one!r:.300} became {other!r:.300}")


def _named(aspect: str, dropped: tuple[str, ...]) -> bool:
    """A dropped name is "top_k", "messages[].thinking" or "top_p (sent as 0.99)"."""
    words = _WORDS.get(aspect, (aspect,))
    return any(part in words for name in dropped for part in re.split(r"[^\w]+", name.partition(" (")[0]))
