"""Writes docs/conformance.md: runs every check over the recorded traffic and counts. `python -m tests.conformance.report`.

With --check it writes nothing and exits with 1 if the file is not what it would write. Exits with 1 also when something
fails that is not in exceptions.toml.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from tests.conformance.checks import OTHER, Finding, compare_pass, compare_reply, compare_unasked, tells_no_usage
from tests.conformance.conversations import case_exchanges, pairs
from tests.conformance.crossing import compare_pair, compare_recorded_request
from tests.conformance.exceptions import all_exceptions, unexplained
from tests.conformance.groups import Group, grouped
from tests.conformance.native import native_scope
from tests.conformance.native_report import native_section
from tests.conformance.stage import Stage, in_scope
from tests.traffic import ROOT, Recorded, exchanges, traffic_dir

FILE = ROOT / "docs" / "conformance.md"
Findings = list[Finding]

INTRODUCTION = """# Conformance

What an application gets through Freehold, compared with what it gets from the provider itself. This page is generated
(`make docs-conformance`) by replaying {total:,} exchanges that open-source projects recorded with real providers, and by
fetching each of them twice: directly, and through a running gateway, changing only the base URL and the key. Providers are
the names used in the recordings. The first two tables are seen with the official OpenAI and Anthropic Python SDKs.

Nothing here talks to a provider: the replies are the recorded bytes, sent in pieces of odd sizes.
"""

SAME = """## OpenAI Chat, embeddings and Anthropic: the reply passes through

- **same reply**: the SDK's parsed objects are equal, for streams chunk by chunk, with exactly the fields that arrived; an
  error has the same class and status.
- **same request**: the provider receives the body that the client sent, but for the model's name, fields that this
  provider spells differently, and the request for a usage event in streams.
- **usage**: the ledger holds the recorded tokens to the token (input, output, cached, written to cache, reasoning, audio,
  searches). **estimated**: the recorded reply reports no usage, so the gateway counted and says so.
"""

UNASKED = """In {all} recorded streams the client did not ask for usage, and the provider sent none. The gateway asks for its own
ledger: with the usage event added as the provider would then send it, {good} of {all} reach the client as recorded, and the
ledger holds the usage.
"""

TRANSLATED = """## OpenAI Chat to Anthropic and back: the reply and the request are translated

All pairs of dialects are in [translation.md](translation.md).

- **same content**: an Anthropic client that asks an OpenAI-dialect provider, and the other way round, gets the same text,
  thinking, tool calls, ending and token counts; errors have the same class and status.
- **whole request**: the recorded request, sent to a provider of the other dialect, asks the same there and is valid by
  that provider's published API description. **parts named**: so, but for settings that have no counterpart, which the
  response header `x-freehold-dropped` names. **refused**: it holds content that the other dialect cannot carry, and is
  refused with a clear error before anything is sent.
"""

OUTSIDE = """## Recorded, and not replayed

{total:,} exchanges of APIs that no dialect speaks here (files, batches, sound, pictures, assistants and the like; Cohere's
first chat API and Writer's own; Vertex AI's predict calls, which clients reach by the makers' dialects), by the recordings'
names: {listed}.
"""


def main(arguments: list[str]) -> int:
    if traffic_dir() is None:
        print("recorded traffic is not here: set FREEHOLD_TRAFFIC to the folder that holds recorded/ and cases/", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder, Stage(Path(folder)) as stage:
        text, problems = report(stage)
    for line in problems:
        print(line, file=sys.stderr)
    if "--check" in arguments:
        if FILE.read_text(encoding="utf-8") != text:
            print(f"{FILE.relative_to(ROOT)} is out of date: make docs-conformance", file=sys.stderr)
            return 1
    else:
        FILE.write_text(text, encoding="utf-8")
    return 1 if problems else 0


def report(stage: Stage) -> tuple[str, list[str]]:
    """The page, and what fails without an exception."""
    groups = grouped()
    passed = {g: [f for found in stage.each(xs, partial(compare_pass, stage)) for f in found] for g, xs in groups.items()}
    chats = {g: xs for g, xs in groups.items() if g.endpoint in OTHER}
    replies = {g: stage.each(xs, partial(compare_reply, stage)) for g, xs in chats.items()}
    answered = {g: [x for x in xs if x.status == 200] for g, xs in chats.items()}
    requests = {g: stage.each(xs, partial(compare_recorded_request, stage)) for g, xs in answered.items()}
    quiet = [x for xs in groups.values() for x in xs if tells_no_usage(x)]
    unasked = stage.each(quiet, partial(compare_unasked, stage))
    cases = _cases(stage)
    native, native_findings = native_section(stage)

    flat = [f for part in (passed, replies, requests) for found in part.values() for f in found]
    everything = [*flat, *unasked, *native_findings, *(f for found in cases.values() for f in found)]
    sections = [
        INTRODUCTION.format(total=len({x.id for x in (*in_scope(), *native_scope())})),
        SAME,
        _passed_table(groups, passed),
        UNASKED.format(all=len(unasked), good=_good(unasked)),
        native,
        TRANSLATED,
        _translated_table(replies, requests),
        _counted("### Why requests were refused", "refused: ", (f for found in requests.values() for f in found)),
        _counted("### Settings without a counterpart", "dropped: ", (f for found in requests.values() for f in found)),
        _cases_section(cases),
        _exceptions_section(),
        _outside_section(),
    ]
    return "\n".join(sections), unexplained(everything)


def _cases(stage: Stage) -> dict[str, Findings]:
    exchanges = case_exchanges()
    stage.serve(exchanges)
    return {
        "parse to the same objects for a client of their own dialect": [
            f for found in stage.each(exchanges, partial(compare_pass, stage)) for f in found if f.check == "pass"
        ],
        "say the same to a client of the other dialect": stage.each(exchanges, partial(compare_reply, stage)),
        "ask the same of a provider of the other dialect": stage.each(exchanges, partial(compare_recorded_request, stage)),
        "translate to the request recorded in the other dialect": [stage.run(compare_pair(stage, *pair)) for pair in pairs()],
    }


def _passed_table(groups: dict[Group, list[Recorded]], passed: dict[Group, Findings]) -> str:
    lines = [
        "| provider | endpoint | replies | exchanges | same reply | of them errors | same request | usage | estimated |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    sums: Counter[int] = Counter()
    for group, members in groups.items():
        found = passed[group]
        tokens = [f for f in found if f.check == "tokens"]
        row = [
            str(len(members)),
            _good(f for f in found if f.check == "pass"),
            _good(f for f in found if f.check == "pass" and f.note == "error"),
            _ratio([f for f in found if f.check == "sent"]),
            _ratio([f for f in tokens if f.note == "reported"]),
            _good(f for f in tokens if f.note == "estimated"),
        ]
        for column, cell in enumerate(row):
            sums[column] += int(str(cell).split(" ")[0])
        lines.append(_row(group, [str(cell) for cell in row]))
    lines.append("| **all** | | | " + " | ".join(f"**{sums[column]}**" for column in range(6)) + " |")
    return "\n".join(lines) + "\n"


def _translated_table(replies: dict[Group, Findings], requests: dict[Group, Findings]) -> str:
    lines = [
        "| provider | endpoint | replies | exchanges | same content | whole request | parts named | refused |",
        "|---|---|---|---:|---:|---:|---:|---:|",
    ]
    sums: Counter[int] = Counter()
    for group, found in replies.items():
        asked = [f for f in requests[group] if not f.problem]
        row = [
            len(found),
            _good(found),
            sum(not f.note for f in asked),
            sum(f.note.startswith("dropped") for f in asked),
            sum(f.note.startswith("refused") for f in asked),
        ]
        sums.update(dict(enumerate(row)))
        lines.append(_row(group, [str(cell) for cell in row]))
    lines.append("| **all** | | | " + " | ".join(f"**{sums[column]}**" for column in range(5)) + " |")
    return "\n".join(lines) + "\n"


def _row(group: Group, cells: list[str]) -> str:
    return f"| {group.provider} | {group.endpoint} | {'streamed' if group.stream else 'whole'} | {' | '.join(cells)} |"


def _counted(title: str, prefix: str, findings: Iterable[Finding]) -> str:
    counts: Counter[str] = Counter()
    for finding in findings:
        if finding.note.startswith(prefix):
            names = (
                [finding.note.removeprefix(prefix)] if prefix == "refused: " else finding.note.removeprefix(prefix).split(", ")
            )
            counts.update(names)
    by_count: Callable[[tuple[str, int]], tuple[int, str]] = lambda item: (-item[1], item[0])  # noqa: E731
    return "\n".join([title, "", *(f"- {name}: {count}" for name, count in sorted(counts.items(), key=by_count)), ""])


def _cases_section(cases: dict[str, Findings]) -> str:
    lines = ["## Conversations recorded in several dialects", ""]
    lines += [f"- {_ratio(found)} {claim}." for claim, found in cases.items()]
    return "\n".join([*lines, ""])


def _exceptions_section() -> str:
    lines = ["## Exceptions", "", "Everything that the tables above do not count as equal, with its reason.", ""]
    reasons: dict[str, tuple[list[str], tuple[str, ...]]] = {}
    for one in all_exceptions():
        reasons.setdefault(one.reason, ([], one.ids))[0].append(one.check)
    lines += [
        f"- {', '.join(f'`{name}`' for name in ids)} ({', '.join(checks)}): {reason}" for reason, (checks, ids) in reasons.items()
    ]
    return "\n".join([*lines, ""])


def _outside_section() -> str:
    """What is recorded and not replayed, so that the counts add up."""
    inside = {x.id for x in (*in_scope(), *native_scope())}
    counts = Counter(x.endpoint.strip("/") for x in exchanges() if x.id not in inside)
    listed = ", ".join(f"{name} ({count})" for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])))
    return OUTSIDE.format(total=sum(counts.values()), listed=listed)


def _good(findings: Iterable[Finding]) -> int:
    return sum(not f.problem for f in findings)


def _ratio(findings: Findings) -> str:
    good = _good(findings)
    return str(good) if good == len(findings) else f"{good} of {len(findings)}"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
