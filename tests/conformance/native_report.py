"""The page's part about the other dialects: what native_checks.py finds, counted."""

from __future__ import annotations

from collections import Counter
from functools import partial
from importlib.util import find_spec

from tests.conformance.checks import Finding
from tests.conformance.gateway import KEY
from tests.conformance.groups import Group, native_grouped
from tests.conformance.native import native_of
from tests.conformance.native_cases import native_case_exchanges, replies_of
from tests.conformance.native_checks import compare_native, compare_sdk
from tests.conformance.native_sdks import SDKS
from tests.conformance.stage import Stage

NATIVE = """## Every other dialect: the reply passes through to the byte

{total:,} recorded exchanges of the other endpoints, by plain HTTP: the recorded request, directly and through the gateway.

- **same bytes**: status, content type and every byte of the reply are equal, for streams (server-sent events, lines of
  JSON, AWS event streams) too. An error has the same status, in the dialect's own form.
- **same request**: the provider receives the same path and body, but for the model's name and the request for usage.
- **usage**, **estimated**: as above.
- **same for the SDK**: the maker's Python SDK ({sdks}) parses the same objects, or raises
  the same error. Voyage's SDK is not asked: the bytes are equal. AWS's errors are compared by status, since the header that
  names their class was not recorded; Google's replies with words as numbers were asked for by other clients than its SDK.
"""

CASES = """Of {all} replies of conversations that exist in several dialects, in these dialects' forms, {good} pass so too.
"""

JAVASCRIPT = """The JavaScript SDKs of OpenAI, Anthropic and Google, and Vercel's `ai` with its providers for the three, see the
same for a handful of exchanges each: whole, streamed, with tool calls, refused (`tests/conformance/js`).
"""


def native_section(stage: Stage) -> tuple[str, list[Finding]]:
    """The section and its findings. Raises RuntimeError where an SDK is missing."""
    groups = native_grouped()
    missing = [package for package in SDKS if find_spec(package.partition(".")[0]) is None]
    if missing:
        raise RuntimeError(
            f"the page counts what these SDKs see, and they are not installed: {', '.join(missing)} (make install)"
        )
    passed = {g: [f for found in stage.each(xs, partial(compare_native, stage)) for f in found] for g, xs in groups.items()}
    seen = _seen_by_sdks(stage)
    cases = native_case_exchanges()
    stage.replay.replies.update(replies_of(cases))
    of_cases = [f for found in stage.each(cases, partial(compare_native, stage)) for f in found]
    lines = [
        "| provider | endpoint | replies | exchanges | same bytes | of them errors | same request | usage | estimated "
        "| same for the SDK |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    sums: Counter[int] = Counter()
    for group, xs in groups.items():
        row = [len(xs), *_counts(passed[group]), sum(x.id in seen and not seen[x.id].problem for x in xs)]
        sums.update(dict(enumerate(row)))
        lines.append(_row(group, row))
    lines.append("| **all** | | | " + " | ".join(f"**{sums[column]}**" for column in range(len(sums))) + " |")
    total = sum(map(len, groups.values()))
    text = NATIVE.format(total=total, sdks=", ".join(sorted(SDKS)).replace("google.", "google-"))
    findings = [f for found in passed.values() for f in found] + list(seen.values()) + of_cases
    good = sum(f.check == "pass" and not f.problem for f in of_cases)
    closing = CASES.format(good=good, all=len(cases))
    return "\n".join([text, *lines, "", closing, JAVASCRIPT]), findings


def _seen_by_sdks(stage: Stage) -> dict[str, Finding]:
    found: dict[str, Finding] = {}
    for make, dialects in SDKS.values():
        direct, through = make(stage.replay.url, "sk-replayed-upstream-key"), make(stage.gateway.url, KEY)
        mine = [x for xs in native_grouped().values() for x in xs if "enum-encoding" not in x.url]
        for x in mine:
            native = native_of(x)
            if native is not None and native.dialect in dialects:
                found[x.id] = compare_sdk(direct, through, x)
    return found


def _counts(found: list[Finding]) -> list[int]:
    good = [f for f in found if not f.problem]
    return [
        sum(f.check == "pass" for f in good),
        sum(f.check == "pass" and f.note == "error" for f in good),
        sum(f.check == "sent" for f in good),
        sum(f.check == "tokens" and f.note == "reported" for f in good),
        sum(f.check == "tokens" and f.note == "estimated" for f in good),
    ]


def _row(group: Group, row: list[int]) -> str:
    kind = "streamed" if group.stream else "whole"
    return f"| {group.provider} | {group.endpoint} | {kind} | {' | '.join(map(str, row))} |"
