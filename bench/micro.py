"""What the hot pieces of a PASS call cost, one by one, in microseconds: the best of several timeit runs.

    python bench/micro.py [NAME]     only pieces with NAME in their name

Pieces are called as the pipeline calls them. For the cost of a whole call on real sockets see run.py.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import timeit
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.calls import Call
from bench.shapes import Dialect
from freehold.base.secret import key_digest
from freehold.policy.pricing import format_usd
from freehold.store.spool import AttemptLine, LedgerLine, Spool
from freehold.wire import fields
from freehold.wire.dialect import Quirks, WriterOptions
from freehold.wire.registry import DIALECTS
from freehold.wire.sse import SSEDecoder
from freehold.wire.translate import Translation

RUNS, RUN_S = 7, 0.05
REPLY = (
    b'{"id":"chatcmpl-AbCdEfGhIjKlMnOpQrSt","object":"chat.completion","created":1763900000,"model":"gpt-4o-mini-2024-07-18",'
    b'"choices":[{"index":0,"message":{"role":"assistant","content":"'
    + b"lorem ip "
    * 60
    + b'","refusal":null,"annotations":[]},'
    b'"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":180,"completion_tokens":120,"total_tokens":300,'
    b'"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}},'
    b'"service_tier":"default","system_fingerprint":"fp_0123456789"}'
)
PIECE = (
    b'data: {"id":"chatcmpl-AbCdEfGhIjKlMnOpQrSt","object":"chat.completion.chunk","created":1763900000,"model":'
    b'"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_0123456789","choices":[{"index":0,"delta":'
    b'{"content":" hello there"},"logprobs":null,"finish_reason":null}]}\n\n'
)
PIECE_ANTHROPIC = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":" hello there, how are you? The parcel is on its way."}}\n\n'
)
OPENING_ANTHROPIC = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_01","type":"message","role":"assistant","model":'
    b'"claude-sonnet-4-5","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":180,"output_tokens":1}}}\n\n'
    b'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n'
)
NAMES: dict[Dialect, str] = {"openai": "openai_chat", "anthropic": "anthropic"}


def count(text: str) -> int:
    return len(text) // 4


def pieces(spool: Spool) -> dict[str, Callable[[], object]]:
    found: dict[str, Callable[[], object]] = {
        "key digest": lambda: key_digest(b"fh_bench_0123456789abcdefghijklmnopqrstuvwxyz"),
        "format_usd": lambda: format_usd(123_456_789),
        "ledger line: make, encode, write": lambda: spool.append(_line()),
        "SSE decode, one event": lambda: SSEDecoder().feed(PIECE),
    }
    for size in (1000, 20_000):
        body = Call(body_bytes=size).body("fast-model")
        found[f"split + join, {size // 1000} KB"] = lambda body=body: fields.join(fields.split(body))  # type: ignore[misc]
    for name in NAMES:
        for size in (1000, 20_000):
            found |= _request_pieces(name, size)
        found |= _reply_pieces(name)
    return found


def _request_pieces(name: Dialect, size: int) -> dict[str, Callable[[], object]]:
    """Requests of one dialect: opened, patched for the same dialect, translated for the other."""
    other: Dialect = "anthropic" if name == "openai" else "openai"
    own, target, quirks = DIALECTS[NAMES[name]], DIALECTS[NAMES[other]], Quirks()
    body = Call(client=name, body_bytes=size).body("fast-model")
    peek = own.peek(body, "chat")
    chat = own.decode_request(peek)
    at = f"{name}, {size // 1000} KB"
    return {
        f"peek, {at}": lambda: own.peek(body, "chat"),
        f"patch, {at}": lambda: own.patch(peek, "gpt-4o-mini", quirks),
        f"decode request, {at}": lambda: own.decode_request(peek),
        f"encode it for {other}, {at}": lambda: target.encode_request(chat, "a-model", quirks),
    }


def _reply_pieces(name: Dialect) -> dict[str, Callable[[], object]]:
    """Replies that come from an upstream of one dialect: tapped for the same, translated for the other."""
    other: Dialect = "anthropic" if name == "openai" else "openai"
    own, client, quirks = DIALECTS[NAMES[name]], DIALECTS[NAMES[other]], Quirks()
    options = WriterOptions(stream=True, model="fast-model", call_id="call_0", created_s=1_763_900_000)
    opening, piece = (PIECE, PIECE) if name == "openai" else (OPENING_ANTHROPIC, PIECE_ANTHROPIC)
    peek = own.peek(Call(client=name, stream=True).body("fast-model"), "chat")
    tap, translation = own.tap(peek, quirks, True, count), Translation(own.reader(True), client.writer(options), count)
    for relay in (tap, translation):
        relay.feed(opening)
    found: dict[str, Callable[[], object]] = {
        f"tap a piece, {name}": lambda: tap.feed(piece),
        f"translate a piece, {name} to {other}": lambda: translation.feed(piece),
    }
    if name == "openai":
        whole_peek = own.peek(Call().body("fast-model"), "chat")

        def tap_whole() -> object:
            whole = own.tap(whole_peek, quirks, False, count)
            return whole.feed(REPLY), whole.close(), whole.usage

        found["tap a whole reply, openai, 1 KB"] = tap_whole
    return found


def _line() -> LedgerLine:
    return LedgerLine(
        call_id="call_0123456789",
        ended_ms=1_763_900_000_000,
        kind="chat",
        dialect="openai_chat",
        key="bench",
        route="fast-model",
        provider="lab",
        model="gpt-4o-mini",
        status=200,
        outcome="ok",
        finish="stop",
        input=180,
        output=120,
        cost_nusd=99_000,
        total_us=3200,
        first_us=3100,
        overhead_us=100,
        attempts=[AttemptLine("lab/gpt-4o-mini", 3000, 200)],
    )


def best_us(piece: Callable[[], object]) -> float:
    timer = timeit.Timer(piece)
    once = max(timer.timeit(20) / 20, 1e-8)
    number = max(1, int(RUN_S / once))
    return min(timer.repeat(RUNS, number)) / number * 1e6


def main() -> int:
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    folder = Path(tempfile.mkdtemp(prefix="freehold-micro-"))
    try:
        for name, piece in pieces(Spool(folder)).items():
            if wanted in name:
                print(f"{best_us(piece):9.2f} us  {name}", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
