"""Realtime sessions by real sockets. The provider is made up (no session has been recorded): only its frames and the
`response.done` event, in OpenAI's form."""

from __future__ import annotations

import asyncio

import pytest
from msgspec import json
from wsproto.events import CloseConnection, Ping, TextMessage

from freehold.config.schema import PriceConfig
from freehold.pipeline import realtime
from tests.pipeline.conftest import KEY, RunningGateway
from tests.pipeline.sockets import End, Provider, connect, response_done

USAGE = {
    "total_tokens": 30,
    "input_tokens": 20,
    "output_tokens": 10,
    "input_token_details": {"cached_tokens": 5, "text_tokens": 8, "audio_tokens": 12},
    "output_token_details": {"text_tokens": 3, "audio_tokens": 7},
}


async def echo(end: End) -> None:
    while True:
        got = await end.read()
        if not isinstance(got, str | bytes):
            return
        await end.send(got)


async def test_frames_go_both_ways_and_the_end_is_passed_on(gateway: RunningGateway) -> None:
    lab = Provider(echo)
    await lab.start(gateway)
    head, client = await connect(gateway, headers={"openai-beta": "realtime=v1", "sec-websocket-protocol": "realtime, other"})
    assert head.startswith(b"HTTP/1.1 101 ")
    assert b"sec-websocket-accept: " in head and b"sec-websocket-protocol: realtime\r\n" in head
    for message in ('{"type":"h\u00e9llo"}', b"\x00\xff", "x" * 200_000, ""):
        await client.send(message)
        assert await client.read() == message
    await client.send(Ping(payload=b"p"))
    assert (await client.read()).payload == b"p"
    await client.send(CloseConnection(code=1000, reason="bye"))
    assert (await client.read())[0] == 1000
    assert await client.read() is None
    seen = lab.seen[0].lower()
    assert seen.startswith("get /v1/realtime?model=rt http/1.1\r\n")
    assert "authorization: bearer sk-upstream-secret\r\n" in seen and "openai-beta: realtime=v1\r\n" in seen
    line = await gateway.line()
    assert (line.kind, line.outcome, line.status, line.route, line.input) == ("realtime", "ok", 101, "lab/rt", 0)


async def test_each_response_is_recorded(gateway: RunningGateway) -> None:
    async def talk(end: End) -> None:
        text = response_done(**USAGE)
        await end.send(TextMessage(data=text[:50], message_finished=False))
        await end.send(TextMessage(data=text[50:]))
        await end.send('{"type":"response.text.delta","delta":"no \\"response.done\\" at all"}')
        await end.send(response_done())
        await end.read()

    lab = Provider(talk)
    await lab.start(gateway, price=PriceConfig(input=4, output=16))
    _, client = await connect(gateway)
    assert await client.read() == response_done(**USAGE)
    assert "delta" in await client.read()
    await client.read()
    lines = gateway.ledger
    assert [(line.kind, line.input, line.output, line.cache_read, line.audio_in, line.audio_out) for line in lines] == [
        ("realtime", 20, 10, 5, 12, 7),
        ("realtime", 0, 0, 0, 0, 0),
    ]
    assert (lines[0].finish, lines[0].cost_nusd, lines[0].model) == ("completed", 20 * 4_000 + 10 * 16_000, "rt")
    await client.send(CloseConnection(code=1000))
    assert await client.read() == (1000, "")
    assert await client.read() is None
    assert len({line.call_id for line in gateway.ledger}) == 3
    assert gateway.ledger[-1].cost_nusd == 0


@pytest.mark.parametrize(("code", "reason"), [(1000, "done"), (4001, "your turn"), (1011, "")])
async def test_the_providers_end_is_passed_on(gateway: RunningGateway, code: int, reason: str) -> None:
    async def bye(end: End) -> None:
        await end.send(CloseConnection(code=code, reason=reason))
        await end.read()

    await Provider(bye).start(gateway)
    _, client = await connect(gateway)
    assert await client.read() == (code, reason)
    assert await client.read() is None
    assert (await gateway.line()).outcome == "ok"


async def test_a_lost_provider_is_told(gateway: RunningGateway) -> None:
    async def drop(end: End) -> None:
        await end.send("hi")
        end.writer.transport.abort()

    await Provider(drop).start(gateway)
    _, client = await connect(gateway)
    assert await client.read() == "hi"
    assert (await client.read())[0] == 1011
    assert (await gateway.line()).outcome == "cut"


async def test_a_client_that_leaves_ends_the_providers_side(gateway: RunningGateway) -> None:
    ends = []

    async def wait(end: End) -> None:
        ends.append(await end.read())

    lab = Provider(wait)
    await lab.start(gateway)
    _, client = await connect(gateway)
    client.writer.transport.abort()
    await asyncio.wait_for(lab.over.wait(), 2)
    assert ends == [(1001, "")]
    assert (await gateway.line()).outcome == "client_gone"


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/v1/realtime?model=lab/rt", {"authorization": "Bearer nobody"}, b"401"),
        ("/v1/realtime?model=lab/other", {}, b"403"),
        ("/v1/realtime", {}, b"400"),
        ("/v1/realtime?model=lab/rt&model=lab/other", {}, b"400"),
        ("/v1/realtime?model=lab/rt", {"upgrade": ""}, b"426"),
        ("/v1/realtime?model=lab/rt", {"connection": "close"}, b"426"),
        ("/v1/realtime?model=lab/rt", {"sec-websocket-version": "8"}, b"400"),
        ("/v1/realtime?model=lab/rt", {"sec-websocket-key": "short"}, b"400"),
    ],
)
async def test_nobody_is_let_in_before_all_is_known(
    gateway: RunningGateway, path: str, headers: dict[str, str], status: bytes
) -> None:
    gateway.config.keys[0].models = ["lab/rt"]
    lab = Provider(echo)
    await lab.start(gateway)
    head, _ = await connect(gateway, path, headers)
    assert head.split()[1] == status
    assert not lab.seen


REFUSAL = (
    b'HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncontent-length: 40\r\n\r\n{"error":{"message":"no such model xyz"}}'
)


@pytest.mark.parametrize(
    ("refuse", "status"),
    [
        (REFUSAL % 404, b"404"),
        (REFUSAL % 401, b"401"),
        (b"HTTP/1.1 302 X\r\nlocation: http://elsewhere/\r\n\r\n", b"502"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", b"502"),
        (b"garbage\r\n\r\n", b"502"),
        (b"HTTP/1.1 101 X\r\nsec-websocket-accept: wrong\r\n\r\n", b"502"),
        (b"HTTP/1.1 101", b"502"),
    ],
)
async def test_a_provider_that_refuses_is_a_plain_error(gateway: RunningGateway, refuse: bytes, status: bytes) -> None:
    await Provider(refuse=refuse).start(gateway)
    head, _ = await connect(gateway)
    assert head.split()[1] == status
    assert (await gateway.line()).outcome == "upstream_error"


async def test_another_target_is_asked(gateway: RunningGateway) -> None:
    await Provider(refuse=REFUSAL % 503).start(gateway, "a")
    await Provider(echo).start(gateway, "b")
    gateway.route("voice", "a/one", "b/two")
    head, client = await connect(gateway, "/v1/realtime?model=voice")
    assert b"101" in head and b"x-freehold-target: b/two" in head
    await client.send("hi")
    assert await client.read() == "hi"


async def test_a_message_without_end_is_refused(gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(realtime, "MAX_MESSAGE_BYTES", 1000)
    await Provider(echo).start(gateway)
    _, client = await connect(gateway)
    for _ in range(3):
        await client.send(TextMessage(data="x" * 400, message_finished=False))
    assert (await client.read())[0] == 1009


async def test_a_broken_frame_ends_the_session(gateway: RunningGateway) -> None:
    await Provider(echo).start(gateway)
    _, client = await connect(gateway)
    client.writer.write(b"\xff\xff\xff\xff" * 20)
    assert (await client.read())[0] == 1002


async def test_a_client_that_does_not_read_holds_the_provider_back(gateway: RunningGateway) -> None:
    sent = 0

    async def pour(end: End) -> None:
        nonlocal sent
        for _ in range(400):
            await end.send(b"x" * 65536)
            sent += 1

    await Provider(pour).start(gateway)
    _, client = await connect(gateway)
    await asyncio.sleep(0.7)
    before = sent
    assert before < 300, "26 MB went somewhere though nobody read them"
    for _ in range(400):
        assert len(await client.read()) == 65536


async def test_a_provider_that_does_not_read_holds_the_client_back(gateway: RunningGateway) -> None:
    async def sleep(end: End) -> None:
        await asyncio.sleep(1.2)
        for _ in range(300):
            assert len(await end.read()) == 65536
        await end.send("all")

    await Provider(sleep).start(gateway)
    _, client = await connect(gateway)
    sent = 0

    async def pour() -> None:
        nonlocal sent
        for _ in range(300):
            await client.send(b"x" * 65536)
            sent += 1

    task = asyncio.create_task(pour())
    await asyncio.sleep(0.8)
    assert sent < 290
    await task
    assert await client.read() == "all"


async def test_browsers_send_the_key_as_a_subprotocol(gateway: RunningGateway) -> None:
    lab = Provider(echo)
    await lab.start(gateway)
    offered = f"realtime, openai-insecure-api-key.{KEY}, openai-beta.realtime-v1"
    head, client = await connect(gateway, headers={"authorization": "", "sec-websocket-protocol": offered})
    assert head.startswith(b"HTTP/1.1 101 ") and b"sec-websocket-protocol: realtime\r\n" in head
    assert KEY.encode() not in head
    await client.send(CloseConnection(code=1000))
    await client.read()
    assert KEY not in lab.seen[0] and "insecure" not in lab.seen[0]
    assert "openai-beta: realtime=v1\r\n" in lab.seen[0].lower()
    assert (await gateway.line()).key == "dev"


async def test_a_wrong_key_in_a_subprotocol_is_refused_and_not_repeated(gateway: RunningGateway) -> None:
    await Provider(echo).start(gateway)
    offered = "realtime, openai-insecure-api-key.sk-wrong-one"
    reader_head, client = await connect(gateway, headers={"authorization": "", "sec-websocket-protocol": offered})
    assert reader_head.startswith(b"HTTP/1.1 401 ")
    assert b"sk-wrong-one" not in reader_head + await client.reader.read()


@pytest.mark.parametrize(
    ("session", "usage", "model", "told", "nusd"),
    [
        (
            {"audio": {"input": {"transcription": {"model": "gpt-4o-transcribe"}}}},
            {"type": "tokens", "input_tokens": 20, "output_tokens": 5, "input_token_details": {"audio_tokens": 20}},
            "gpt-4o-transcribe",
            (20, 5, 20, 0.0),
            20 * 6_000 + 5 * 10_000,
        ),
        (
            {"input_audio_transcription": {"model": "whisper-1"}},
            {"type": "duration", "seconds": 6},
            "whisper-1",
            (0, 0, 0, 6.0),
            600_000,
        ),
        ({}, {"type": "duration", "seconds": 6}, "?", (0, 0, 0, 6.0), None),
    ],
)
async def test_input_transcriptions_are_recorded(
    gateway: RunningGateway, session: object, usage: object, model: str, told: object, nusd: int | None
) -> None:
    async def talk(end: End) -> None:
        await end.send(json.encode({"type": "session.created", "session": {"audio": None}}).decode())
        await end.send(json.encode({"type": "session.updated", "session": session}).decode())
        kind = "conversation.item.input_audio_transcription.completed"
        await end.send(json.encode({"event_id": "e", "type": kind, "transcript": "hi", "usage": usage}).decode())
        await end.read()

    await Provider(talk).start(gateway, "openai")
    _, client = await connect(gateway, "/v1/realtime?model=openai/gpt-realtime")
    for _ in range(3):
        await client.read()
    (line,) = gateway.ledger
    assert (line.kind, line.model, (line.input, line.output, line.audio_in, line.seconds)) == ("realtime", model, told)
    assert line.cost_nusd == nusd
    await client.send(CloseConnection(code=1000))
    await client.read()


async def test_cached_sound_is_paid_as_such(gateway: RunningGateway) -> None:
    details = {"cached_tokens": 100, "text_tokens": 50, "audio_tokens": 150, "cached_tokens_details": {"audio_tokens": 90}}
    usage = {
        "input_tokens": 200,
        "output_tokens": 10,
        "input_token_details": details,
        "output_token_details": {"audio_tokens": 10},
    }

    async def talk(end: End) -> None:
        await end.send(response_done(**usage))
        await end.read()

    await Provider(talk).start(gateway, "openai")
    _, client = await connect(gateway, "/v1/realtime?model=openai/gpt-realtime")
    await client.read()
    (line,) = gateway.ledger
    assert line.cost_nusd == 40 * 4_000 + 10 * 400 + 90 * 400 + 60 * 32_000 + 10 * 64_000
    await client.send(CloseConnection(code=1000))
    await client.read()
