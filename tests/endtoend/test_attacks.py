"""What somebody without good intentions may send, from either side, and what must not come of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests import client
from tests.endtoend.conftest import CHAT, KEY, MESSAGES, NARROW_KEY, Freehold, ask, error_of, eventually
from tests.pipeline.upstream import reply

HIDDEN = client.request(CHAT, ask("lab/hidden"), key=KEY)  # must never be taken for a request of its own
AUTH = f"authorization: Bearer {KEY}\r\n".encode()


def post(headers: bytes, body: bytes = HIDDEN, line: bytes = b"POST /v1/chat/completions HTTP/1.1") -> bytes:
    return line + b"\r\nhost: gateway\r\n" + AUTH + headers + b"\r\n" + body


SIZE = b"%d" % len(HIDDEN)
SMUGGLING = {
    "both lengths": post(b"content-length: 4\r\ntransfer-encoding: chunked\r\n", b"0\r\n\r\n" + HIDDEN),
    "both, the other way round": post(b"transfer-encoding: chunked\r\ncontent-length: " + SIZE + b"\r\n", b"0\r\n\r\n" + HIDDEN),
    "two lengths": post(b"content-length: 0\r\ncontent-length: " + SIZE + b"\r\n"),
    "two equal lengths": post(b"content-length: 0\r\ncontent-length: 0\r\n"),
    "a list of lengths": post(b"content-length: 0, " + SIZE + b"\r\n"),
    "a signed length": post(b"content-length: +0\r\n"),
    "a negative length": post(b"content-length: -1\r\n"),
    "a hexadecimal length": post(b"content-length: 0x0\r\n"),
    "an empty length": post(b"content-length: \r\n"),
    "a huge length": post(b"content-length: 99999999999999999999\r\n"),
    "a space before the colon": post(b"content-length : 0\r\ncontent-length: " + SIZE + b"\r\n"),
    "an unknown coding": post(b"transfer-encoding: xchunked\r\n"),
    "two codings": post(b"transfer-encoding: chunked, identity\r\n", b"0\r\n\r\n" + HIDDEN),
    "chunked twice": post(b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", b"0\r\n\r\n" + HIDDEN),
    "a folded coding": post(b"transfer-encoding:\r\n chunked\r\n", b"0\r\n\r\n" + HIDDEN),
    "a vertical tab in the coding": post(b"transfer-encoding: \x0bchunked\r\n", b"0\r\n\r\n" + HIDDEN),
    "bare line feeds": post(b"x: y\n").replace(b"\r\n", b"\n"),
    "a bare line feed in the head": post(b"x: y\ncontent-length: 0\r\n"),
    "a bare carriage return": post(b"x: y\rcontent-length: 0\r\n"),
    "a nul in a header": post(b"x: \x00\r\ncontent-length: 0\r\n"),
    "a header without a name": post(b": x\r\ncontent-length: 0\r\n"),
    "a header without a colon": post(b"content-length\r\n"),
    "HTTP/0.9": post(b"content-length: 0\r\n", line=b"POST /v1/chat/completions"),
    "HTTP/2": post(b"content-length: 0\r\n", line=b"POST /v1/chat/completions HTTP/2.0"),
    "chunked in HTTP/1.0": post(b"transfer-encoding: chunked\r\n", b"0\r\n\r\n" + HIDDEN, b"POST /v1/chat/completions HTTP/1.0"),
    "a bare line feed after a chunk size": post(b"transfer-encoding: chunked\r\n", b"2\n{}\r\n0\r\n\r\n" + HIDDEN),
    "a chunk longer than its size": post(b"transfer-encoding: chunked\r\n", b"1\r\n{}\r\n0\r\n\r\n" + HIDDEN),
    "a chunk size that overflows": post(b"transfer-encoding: chunked\r\n", b"10000000000000000\r\n" + HIDDEN),
    "a framing header as a trailer": post(b"transfer-encoding: chunked\r\n", b"0\r\ncontent-length: 5\r\n\r\n" + HIDDEN),
    "two keys": post(b"authorization: Bearer other\r\ncontent-length: 0\r\n"),
    "two hosts": post(b"host: other\r\ncontent-length: 0\r\n"),
}


async def test_no_request_hides_in_another(freehold: Freehold) -> None:
    lab = await freehold.upstream()
    freehold.start()
    for name, data in SMUGGLING.items():
        reader, writer = await asyncio.open_connection("127.0.0.1", freehold.up.port)
        writer.write(data)
        got = await asyncio.wait_for(client.read(reader), 5)
        assert got.status in (400, 501, 505), (name, got.status)
        assert got.headers["connection"] == "close", name
        assert await asyncio.wait_for(reader.read(), 5) == b"", f"{name}: a second reply"
        writer.close()
    assert not lab.seen
    assert "Traceback" not in freehold.log


async def test_requests_that_are_pipelined_honestly_are_answered_in_order(freehold: Freehold) -> None:
    lab = await freehold.upstream()
    lab.choose = lambda seen: reply(seen.json["model"])
    freehold.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", freehold.up.port)
    writer.write(b"".join(client.request(CHAT, ask(f"lab/m{n}"), key=KEY) for n in range(200)))
    for n in range(200):
        got = await asyncio.wait_for(client.read(reader), 10)
        assert got.json["choices"][0]["message"]["content"] == f"m{n}"
    writer.close()


async def test_a_second_model_in_the_body_is_no_way_past_the_keys_bounds(freehold: Freehold) -> None:
    lab = await freehold.upstream()
    claude = await freehold.upstream("claude", dialect="anthropic")
    freehold.route("fast", "lab/allowed")
    freehold.config["keys"].append({"name": "narrow", "key": NARROW_KEY, "models": ["fast"]})
    freehold.start()
    rest = b'"messages":[{"role":"user","content":"x"}],"max_tokens":9}'
    for twice in (
        b'{"model":"fast","model":"lab/other",',
        b'{"model":"lab/other","model":"fast",',
        b'{"model":"fast","mod\\u0065l":"lab/other",',
        b'{"mod\\u0065l":"lab/other","model":"fast",',
        b'{"model":"fast","Model":"lab/other",',
    ):
        for path in (CHAT, MESSAGES):
            await freehold.call(path, twice + rest, key=NARROW_KEY)
    assert lab.seen and not claude.seen
    for seen in lab.seen:
        assert seen.json["model"] == "allowed" and seen.body.count(b'"allowed"') == 1
        assert b'"model":"lab/other"' not in seen.body


async def test_no_header_of_a_client_breaks_out_of_its_line_upstream_or_back(freehold: Freehold) -> None:
    """anthropic-beta goes on to the provider, x-request-id comes back."""
    claude = await freehold.upstream("claude", dialect="anthropic")
    freehold.start()
    for byte in range(256):
        value = b"a" + bytes([byte]) + b"x-inner: 1"
        head = b"POST /v1/messages HTTP/1.1\r\nhost: g\r\n" + AUTH + b"anthropic-beta: " + value + b"\r\nx-request-id: " + value
        data = head + b"\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"
        reader, writer = await asyncio.open_connection("127.0.0.1", freehold.up.port)
        writer.write(data)
        got = await asyncio.wait_for(client.read(reader), 5)
        assert got.status == 400 and "x-inner" not in got.headers, byte
        writer.close()
        if byte in b"\r\n\x00":
            continue
        await freehold.raw(
            head.replace(b"x-request-id", b"x-other")
            + b"\r\nconnection: close\r\n"
            + client.request("", ask("claude/c")).partition(b"\r\n")[2]
        )
    for seen in claude.seen:
        assert "x-inner" not in seen.headers and "x-other" not in seen.headers
    assert "Traceback" not in freehold.log


HOSTILE_HEADS: dict[str, bytes] = {
    "a bare line feed": b"content-type: application/json\nset-cookie: a=b\r\n",
    "a bare carriage return": b"content-type: application/json\rset-cookie: a=b\r\n",
    "a folded line": b"content-type: application/json\r\n set-cookie: a=b\r\n",
    "a nul": b"content-type: application/json\x00\r\nset-cookie: a=b\r\n",
    "headers of its own": b"content-type: application/json\r\nset-cookie: a=b\r\nx-freehold-cost-usd: 0\r\nserver: lab\r\n",
    "hop-by-hop headers": b"content-type: application/json\r\nconnection: x-a\r\nx-a: 1\r\nupgrade: h2c\r\nset-cookie: a=b\r\n",
    "a request id": b"content-type: application/json\r\nx-request-id: \xff\x80<script>\r\nset-cookie: a=b\r\n",
}


async def test_no_header_of_an_upstream_reaches_the_client_but_its_content_type(freehold: Freehold) -> None:
    body = b"".join(reply().pieces)
    heads = iter(())

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n" + next(heads) + b"content-length: %d\r\n\r\n" % len(body) + body)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    await freehold.upstream(base_url=base)
    freehold.config["providers"]["lab"]["base_url"] = base
    freehold.route("r", "lab/m")
    freehold.start()
    ours = {"date", "content-type", "content-length", "connection", "x-request-id"}
    for name, head in HOSTILE_HEADS.items():
        heads = iter([head])
        got = await freehold.call(CHAT, ask("r"))
        assert got.status in (200, 502) and got.whole, name
        assert {h for h in got.headers if not h.startswith("x-freehold-")} <= ours, (name, got.headers)
        assert got.headers.get("x-freehold-cost-usd") != "0", name
        assert "\n" not in str(got.headers.values()) and "set-cookie" not in str(got.headers), name
    server.close()


@pytest.mark.parametrize("status_line", [b"HTTP/1.1 200 OK", b"HTTP/1.1 103 Early"], ids=["final", "interim"])
async def test_an_upstream_whose_head_never_ends_is_given_up(freehold: Freehold, status_line: bytes) -> None:
    sent = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        try:
            await reader.readuntil(b"\r\n\r\n")
            while True:
                end = b"\r\n\r\n" if b"103" in status_line else b""
                writer.write((status_line + b"\r\n" if end or not sent else b"") + b"x-filler: " + b"y" * 1000 + (end or b"\r\n"))
                sent += 1000
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    await freehold.upstream()
    freehold.config["providers"]["lab"]["base_url"] = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    freehold.route("r", "lab/m")
    up = freehold.start()
    assert (await freehold.call(CHAT, ask("r"))).status == 502  # loads the tokenizer: what was sent is estimated
    before = up.resident_bytes()
    got = await asyncio.wait_for(freehold.call(CHAT, ask("r")), 10)
    assert got.status == 502
    assert up.resident_bytes() - before < 4 * 1024 * 1024
    server.close()


async def test_a_stranger_cannot_fill_the_disk_or_hold_a_connection_by_a_slow_body(freehold: Freehold) -> None:
    freehold.config["server"]["body_timeout"] = 0.5
    await freehold.upstream()
    freehold.start()
    for _ in range(50):
        assert (await freehold.call(CHAT, ask(), key=None)).status == 401
        assert (await freehold.call(CHAT, ask(), key="fh_wrong_key_0123456789")).status == 401
    assert freehold.ledger == []

    reader, writer = await asyncio.open_connection("127.0.0.1", freehold.up.port)
    writer.write(client.request(CHAT, b"", headers={"content-length": "60000"}))
    answer = asyncio.ensure_future(client.read(reader))
    for _ in range(60):
        writer.write(b"x")  # always in time for the next byte
        await asyncio.sleep(0.1)
        if answer.done():
            break
    assert answer.done() and answer.result().status == 408
    writer.close()


async def test_what_is_logged_is_one_line_of_json_for_each_event(freehold: Freehold) -> None:
    lab = await freehold.upstream()
    freehold.start()
    bad: Any = {"providers": {'x\n{"event":"forged"}\x1b[31m': {"dialect": "openai_chat"}}, "keys": []}
    from msgspec import json

    freehold.write(json.encode(bad))
    await eventually(lambda: freehold.events, "the refusal is logged")
    assert [event["event"] for event in freehold.events] == ["reload_refused"]
    assert "\x1b" not in freehold.log
    got = await freehold.call(CHAT, ask('lab/m\n{"event":"forged"}'))
    assert got.status == 404 and error_of(CHAT, got)
    assert len(freehold.events) == 1 and not lab.seen
