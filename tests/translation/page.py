"""Writes docs/translation.md: `python -m tests.translation.page`. With --check only says whether it is stale (exit 1)."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from tests.traffic import ROOT, traffic_dir
from tests.translation import features
from tests.translation.crossing import Crossed, reply_to, request_to
from tests.translation.samples import CHAT, replies, requests

FILE = ROOT / "docs" / "translation.md"
NAMES = {
    "openai_chat": "Chat",
    "openai_responses": "Responses",
    "openai_completions": "Completions",
    "anthropic": "Messages",
    "gemini": "Gemini",
    "bedrock": "Converse",
    "bedrock_invoke": "Invoke (Claude)",
    "cohere": "Cohere",
    "ollama": "Ollama",
}
Pairs = dict[tuple[str, str], list[Crossed]]

INTRODUCTION = """# Translation

A client of any chat dialect can ask a model behind any other. This page is generated from the tests
(`make docs-translation`): {requests:,} requests and {replies:,} replies, those of {cases} conversations that exist in several
dialects and a spread of the recorded exchanges, cross between every ordered pair of the {dialects} dialects, and are read back
by the other dialect's own decoder. A test fails when anything changes its meaning without the client being told.

Meaning is compared, not wording: the conversation part by part, tools and their schemas' properties, and every setting;
`tests/translation/meaning.py` says what doesn't count. Each dialect's own replies pass through unchanged, to the byte:
[conformance.md](conformance.md).
"""

FEATURE_TEXT = """## What crosses

**yes**: the other dialect is asked the same. **named**: it has no word for it; the request is sent without, and the response
header `x-freehold-dropped` names it. **refused**: the request can't mean the same without it, and is refused with a reason
before anything is sent. **own**: only a client of the same dialect can ask for it. Columns are what the upstream speaks, asked
for a model that can do the most; what a model of yours can't do is refused or named for that model.
"""

REQUEST_TEXT = """## Requests, by pair

Rows are what the client speaks, columns what the upstream speaks: **equal** / named / refused of the samples.
"""

REPLY_TEXT = """## Replies, by pair

Rows are what the upstream speaks, columns what the client speaks. Every sample is written whole and as a stream, whichever
way it came: **equal**, and how many but for what is listed below.
"""


def page() -> str:
    asked: Pairs = {(s, t): [request_to(r, t) for r in requests()[s]] for s in CHAT for t in CHAT if s != t}
    told: Pairs = {
        (s, t): [reply_to(r, t, stream) for r in replies()[s] for stream in (False, True)] for s in CHAT for t in CHAT if s != t
    }
    cases = len({r.id.partition(".")[0] for members in requests().values() for r in members if "." in r.id})
    sections = [
        INTRODUCTION.format(
            requests=sum(map(len, requests().values())),
            replies=sum(map(len, replies().values())),
            cases=cases,
            dialects=len(CHAT),
        ),
        FEATURE_TEXT,
        _grid("feature", features.table()),
        REQUEST_TEXT,
        _pairs("from", asked, _request_cell),
        _counted("### Named, by upstream", asked, lambda crossed: {_bare(name) for name in crossed.dropped}),
        _counted("### Refused, by upstream", asked, lambda crossed: {_reason(crossed.refused)} if crossed.refused else set()),
        _counted("### Said another way, by upstream", asked, lambda crossed: set(crossed.explained)),
        REPLY_TEXT,
        _pairs("from", told, _reply_cell),
        _counted("### What a reply's client doesn't see, by client", told, lambda crossed: set(crossed.explained)),
    ]
    return "\n".join(sections)


def faults() -> list[str]:
    return [
        f"{s} to {t}: {fault}" for s in CHAT for t in CHAT if s != t for r in requests()[s] for fault in request_to(r, t).faults
    ]


def _request_cell(found: list[Crossed]) -> str:
    refused = sum(bool(one.refused) for one in found)
    named = sum(bool(one.dropped) for one in found)
    return f"**{len(found) - refused - named}** / {named} / {refused}"


def _reply_cell(found: list[Crossed]) -> str:
    but = sum(bool(one.explained) for one in found)
    return f"**{len(found) - but}**" + (f" / {but}" if but else "")


def _pairs(corner: str, pairs: Pairs, cell: Callable[[list[Crossed]], str]) -> str:
    return _grid(corner, {NAMES[s]: [cell(pairs[s, t]) if s != t else "" for t in CHAT] for s in CHAT})


def _grid(corner: str, rows: Mapping[str, list[str]]) -> str:
    heads = " | ".join(NAMES[target] for target in CHAT)
    lines = [f"| {corner} | {heads} |", "|---" * (len(CHAT) + 1) + "|"]
    return "\n".join([*lines, *(f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items()), ""])


def _counted(title: str, pairs: Pairs, names: Callable[[Crossed], Iterable[str]]) -> str:
    lines = [title, ""]
    for target in CHAT:
        counts: Counter[str] = Counter(n for (_, t), found in pairs.items() if t == target for one in found for n in names(one))
        if counts:
            listed = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
            lines.append(f"- {NAMES[target]}: " + "; ".join(f"{name} ({count})" for name, count in listed))
    return "\n".join([*lines, ""])


def _bare(name: str) -> str:
    """`messages[].name` as it is; `top_p (sent as 0.99)` without the number."""
    return re.sub(r"[\d.]+\)$", "...)", name)


_PLACES = (
    (r"^(messages|tools)\[\d+\][^ :]*: ", ""),
    (r"messages\[\d+\]\S*", "a part"),
    (r"tools\[\d+\] \([^)]*\)", "a tool"),
    (r"takes no \w+ content in a message of role \w+", "takes no content of this kind"),
    (r"^(n: )?.*gives? one choice.*", "only one choice is given"),
    (r"(not|is) '[^']*'", r"\1 of this kind"),
    (r" '[a-zA-Z_]+' (?=does not)", " "),
)


def _reason(refused: str) -> str:
    """What is refused, without the place in this one request and the values it quotes."""
    text = refused.partition(": ")[2]
    for pattern, put in _PLACES:
        text = re.sub(pattern, put, text)
    return re.split(r"[;:.]\s|\.$", text)[0].strip()


def main(arguments: list[str]) -> int:
    if traffic_dir() is None:
        print("recorded traffic is not here: set FREEHOLD_TRAFFIC to the folder that holds recorded/ and cases/", file=sys.stderr)
        return 2
    text = page()
    if "--check" in arguments:
        return int(FILE.read_text(encoding="utf-8") != text)
    FILE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
