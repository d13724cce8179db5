"""An upstream that is silent, broken, busy or slow: what the client sees, what is recorded, and that nothing leaks."""

from __future__ import annotations

import asyncio

from tests.endtoend.conftest import CHAT, KEY, MESSAGES, PATHS, UPSTREAM_KEY, Freehold, ask, error_of, eventually
from tests.pipeline.upstream import Act, chunk, reply, stream

WORDS = [chunk(delta={"content": f"word{n} "}, finish_reason=None) for n in range(5)]
PRIVATE = "Traceback secret_function 10.0.0.7 sk-upstream-secret"  # what an upstream's reply may hold


def nothing_leaked(freehold: Freehold, *seen: bytes) -> None:
    for text in (*seen, freehold.log.encode(), b"".join(p.read_bytes().rstrip(b"\0") for p in freehold.data.rglob("*.jsonl"))):
        for secret in (UPSTREAM_KEY, KEY, "Traceback", "secret_function", "10.0.0.7"):
            assert secret.encode() not in text


# act, status, (type, code) for an OpenAI client, type for an Anthropic client
BROKEN, REFUSED = ("server_error", "upstream_broken"), ("server_error", "upstream_refused")
FAILURES: dict[str, tuple[Act, int, tuple[str, str], str]] = {
    "silent": (Act(before="hang"), 504, ("server_error", "upstream_timeout"), "timeout_error"),
    "garbage": (Act(before="garbage"), 502, BROKEN, "api_error"),
    "reset": (Act(before="reset"), 502, BROKEN, "api_error"),
    "html": (Act(pieces=[b"<html>" + PRIVATE.encode()], content_type="text/html"), 502, BROKEN, "api_error"),
    "cut": (Act(pieces=[b'{"id":"x","choi'], then="cut"), 502, BROKEN, "api_error"),
    "500": (Act(status=500, pieces=[PRIVATE.encode()]), 500, REFUSED, "api_error"),
    "503": (Act(status=503, pieces=[b'{"error":{"message":"%b"}}' % UPSTREAM_KEY.encode()]), 503, REFUSED, "overloaded_error"),
    "529": (Act(status=529, pieces=[b"<html>10.0.0.7</html>"]), 529, REFUSED, "overloaded_error"),
    "401": (
        Act(status=401, pieces=[b'{"error":{"message":"bad key sk-upstream-secret"}}']),
        401,
        ("invalid_request_error", "upstream_refused"),
        "authentication_error",
    ),
    "redirect": (Act(status=301, headers={"location": "http://10.0.0.7/"}), 502, REFUSED, "api_error"),
}


@PATHS
async def test_the_status_says_what_happened_and_the_body_is_the_dialects_own(freehold: Freehold, path: str) -> None:
    lab = await freehold.upstream(timeouts={"first_byte": 0.3})
    freehold.route("r", "lab/m")
    freehold.start()
    for name, (act, status, openai, anthropic) in FAILURES.items():
        for streamed in (False, True):
            lab.acts(act)
            got = await freehold.call(path, ask("r", stream=streamed))
            assert (got.status, got.whole) == (status, True), name
            error = error_of(path, got)
            assert (error["type"] == anthropic) if path == MESSAGES else ((error["type"], error["code"]) == openai), (name, error)
            line = await freehold.line(got.headers["x-freehold-call-id"])
            assert (line.outcome, line.status, line.key, line.stream) == ("upstream_error", status, "dev", streamed), name
            assert [a.target for a in line.attempts] == ["lab/m"], name
            nothing_leaked(freehold, got.body, str(got.headers).encode())


@PATHS
async def test_a_busy_upstream_keeps_its_status_and_its_retry_after(freehold: Freehold, path: str) -> None:
    lab = await freehold.upstream()
    lab.acts(
        Act(status=429, headers={"retry-after": "7"}, pieces=[b'{"error":{"message":"slow down","code":"rate_limit_exceeded"}}'])
    )
    freehold.start()
    got = await freehold.call(path, ask())
    assert (got.status, got.headers["retry-after"]) == (429, "7")
    error = error_of(path, got)
    if path == CHAT:
        assert error["code"] == "rate_limit_exceeded"
    else:
        assert error["type"] == "rate_limit_error"
    assert len(lab.seen) == 1, "seven seconds are not waited for"


@PATHS
async def test_a_stream_cut_in_the_middle_ends_with_an_error_event_and_properly(freehold: Freehold, path: str) -> None:
    lab = await freehold.upstream()
    lab.acts(Act(pieces=WORDS, content_type="text/event-stream", then="cut"))
    freehold.start()
    got = await freehold.call(path, ask(stream=True))
    assert got.status == 200 and got.whole, "the HTTP message itself must end well"
    last = got.body.rstrip(b"\n").rpartition(b"\n\n")[2]
    if path == MESSAGES:
        assert last.startswith(b'event: error\ndata: {"type":"error","error":{"type":"api_error",')
        assert b"message_stop" not in got.body
    else:
        assert last.startswith(b'data: {"error":{"message":') and b'"code":"upstream_broken"' in last
        assert b"[DONE]" not in got.body
    line = await freehold.line()
    assert (line.outcome, line.status, line.error, line.estimated) == ("cut", 200, "upstream_broken", True)
    assert line.output >= 5 and (line.cost_nusd or 0) > 0
    nothing_leaked(freehold, got.body)


@PATHS
async def test_an_upstream_that_falls_silent_in_a_stream_is_given_up(freehold: Freehold, path: str) -> None:
    lab = await freehold.upstream(timeouts={"idle": 0.3})
    lab.acts(Act(pieces=WORDS, content_type="text/event-stream", then="hang"))
    freehold.start()
    got = await freehold.call(path, ask(stream=True))
    assert got.whole and (b"timeout_error" if path == MESSAGES else b"upstream_timeout") in got.body
    line = await freehold.line()
    assert (line.outcome, line.error, line.estimated) == ("cut", "upstream_timeout", True)
    await asyncio.wait_for(lab.gone.wait(), 1)


@PATHS
async def test_an_upstream_that_answers_byte_by_byte_is_read_to_its_end(freehold: Freehold, path: str) -> None:
    lab = await freehold.upstream()
    freehold.start()
    for streamed in (False, True):
        act = stream("né", "\U0001f600") if streamed else reply("né \U0001f600")
        body = b"".join(act.pieces)
        lab.acts(Act(pieces=[body[i : i + 1] for i in range(len(body))], content_type=act.content_type, gap_s=0.0005))
        got = await freehold.call(path, ask(stream=streamed))
        assert got.status == 200 and got.whole
        assert "né".encode() in got.body and "\U0001f600".encode() in got.body
        line = await freehold.line(got.headers["x-freehold-call-id"])
        assert (line.outcome, line.input, line.output, line.estimated) == ("ok", 10, 2, False)


async def test_the_head_of_a_reply_may_not_trickle_for_longer_than_first_byte(freehold: Freehold) -> None:
    """Bytes do come, so idle would never end it."""

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nx: ")
            while True:
                writer.write(b"y")
                await asyncio.sleep(0.05)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            writer.close()

    await freehold.upstream(timeouts={"first_byte": 0.5})
    server = await asyncio.start_server(trickle, "127.0.0.1", 0)
    freehold.config["providers"]["lab"]["base_url"] = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    freehold.route("r", "lab/m")
    freehold.start()
    got = await asyncio.wait_for(freehold.call(CHAT, ask("r")), 5)
    assert got.status == 504
    server.close()


# --- the client leaves ---


@PATHS
async def test_a_client_that_leaves_in_mid_stream_stops_the_upstream_and_pays(freehold: Freehold, path: str) -> None:
    lab = await freehold.upstream()
    lab.acts(Act(pieces=WORDS, content_type="text/event-stream", then="hang"))
    freehold.start()
    reader, writer = await freehold.send(path, ask(stream=True))
    await reader.readuntil(b"word4")
    writer.close()
    assert await eventually(lab.gone.is_set, "the upstream connection is closed") < 1
    line = await freehold.line()
    assert (line.outcome, line.estimated) == ("client_gone", True)
    assert line.input > 0 and line.output >= 5
    assert line.cost_nusd == line.input * 1000 + line.output * 2000
    assert (await freehold.call("/healthz", method="GET")).status == 200


@PATHS
async def test_a_client_that_leaves_before_the_first_byte_stops_the_upstream_and_pays(freehold: Freehold, path: str) -> None:
    lab = await freehold.upstream()
    lab.acts(Act(before="hang"))
    freehold.start()
    _, writer = await freehold.send(path, ask())
    await eventually(lambda: lab.seen, "the call has reached the upstream")
    writer.transport.abort()
    assert await eventually(lab.gone.is_set, "the upstream connection is closed") < 1
    line = await freehold.line()
    assert (line.outcome, line.status, line.output, line.estimated) == ("client_gone", 0, 0, True)
    assert line.input > 0 and line.cost_nusd == line.input * 1000
