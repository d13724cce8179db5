"""The same recordings against the dialects alone, without a gateway: quick to run, and says which layer is at fault.

encode  a recorded request, decoded and encoded again for its own dialect, is equal as JSON
tap     a recorded reply leaves the tap byte for byte, whatever the chunking, with the recorded usage
rewrite a recorded reply, read into events and written again, says the same to the SDK's eyes
"""

from __future__ import annotations

import json
from typing import Any

from freehold.base.errors import ClientError
from freehold.wire.dialect import Dialect, Kind, Quirks, WriterOptions
from freehold.wire.registry import DIALECTS
from tests.conformance import expected
from tests.conformance.checks import Finding
from tests.conformance.content import content
from tests.conformance.replay import odd_pieces
from tests.traffic import Recorded

KINDS: dict[str, Kind] = {
    "chat/completions": "chat",
    "messages": "chat",
    "embeddings": "embeddings",
    "messages/count_tokens": "count_tokens",
}
QUIRKS = Quirks(stream_usage="always")  # nothing to ask for: requests stay as they are


def dialect_of(x: Recorded) -> Dialect:
    return DIALECTS["anthropic" if x.endpoint.startswith("messages") else "openai_chat"]


def check_encode(x: Recorded) -> Finding:
    dialect = dialect_of(x)
    body = json.dumps(x.request).encode()
    try:
        peek = dialect.peek(body, "chat")
        encoded, dropped = dialect.encode_request(dialect.decode_request(peek), x.request["model"], QUIRKS)
    except ClientError as error:
        return Finding("encode", x.id, f"{type(error).__name__}: {error.message}")
    got = json.loads(encoded)
    if dropped:
        return Finding("encode", x.id, f"dropped for its own dialect: {dropped}")
    return Finding("encode", x.id, "; ".join(_json_differences(x.request, got)))


def check_tap(x: Recorded) -> Finding:
    dialect = dialect_of(x)
    request = dict(x.request)
    if x.is_sse and x.endpoint == "chat/completions":
        request["stream_options"] = {"include_usage": True}  # else the tap may rightly keep the usage event to itself
    try:
        peek = dialect.peek(json.dumps(request).encode(), KINDS[x.endpoint])
    except ClientError as error:
        return Finding("tap", x.id, f"{type(error).__name__}: {error.message}")
    tap = dialect.tap(peek, QUIRKS, x.is_sse, len)
    pieces = list(odd_pieces(x.response)) if x.is_sse else [x.response]
    forwarded = b"".join([tap.feed(piece) for piece in pieces]) + tap.close()
    problems = []
    if forwarded != x.response:
        problems.append("other bytes forwarded")
    if not tap.done:
        problems.append("not seen as whole")
    if tap.failure is not None:
        problems.append(f"failure {tap.failure}")
    recorded = expected.usage(x.endpoint, x.response)
    if recorded is not None and x.endpoint != "messages/count_tokens":
        held = {name: getattr(tap.usage, name, None) for name in expected.TOKENS}
        problems += [f"{n} {held[n]}, recorded {recorded[n]}" for n in expected.TOKENS if held[n] != recorded[n]]
    return Finding("tap", x.id, "; ".join(problems))


def check_rewrite(x: Recorded) -> Finding:
    dialect = dialect_of(x)
    reader = dialect.reader(x.is_sse)
    options = WriterOptions(stream=x.is_sse, model="asked", call_id="call_1", created_s=1, include_usage=True)
    writer = dialect.writer(options)
    written = b"".join([writer.write(reader.feed(piece)) for piece in odd_pieces(x.response)])
    written += writer.write(reader.close()) + writer.close()
    before, after = expected.items(x.response), expected.items(written)
    endpoint = x.endpoint
    problems = content(endpoint, x.is_sse, before).differences(content(endpoint, x.is_sse, after))
    if (recorded := expected.usage(endpoint, x.response)) is not None:
        told = expected.usage_of(endpoint, after)
        problems += [] if told == recorded else [f"usage {told}, recorded {recorded}"]
    return Finding("rewrite", x.id, "; ".join(problems))


def _json_differences(one: Any, other: Any, path: str = "") -> list[str]:
    """Where two JSON values differ, by path; at most a few."""
    if isinstance(one, dict) and isinstance(other, dict):
        found = []
        for name in {**one, **other}:
            if name not in other:
                found.append(f"{path}.{name} lost ({_short(one[name])})")
            elif name not in one:
                found.append(f"{path}.{name} added ({_short(other[name])})")
            else:
                found += _json_differences(one[name], other[name], f"{path}.{name}")
        return found[:6]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [d for i, (a, b) in enumerate(zip(one, other, strict=True)) for d in _json_differences(a, b, f"{path}[{i}]")][:6]
    return [] if one == other else [f"{path}: {_short(one)} became {_short(other)}"]


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 120 else text[:120] + "…"
