"""Uploads through the whole gateway: streamed where they can be, at the pace of the slower side, and never held whole."""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
import tracemalloc
from pathlib import Path

import pytest

from freehold.config.schema import ProviderConfig
from freehold.pipeline import intake
from tests.pipeline.conftest import RunningGateway
from tests.pipeline.taking import END, FILE, OK, PIECE, Sender, eventually, field, sound, taking
from tests.pipeline.upstream import reply

TRANSCRIPTIONS = "/v1/audio/transcriptions"
MIB = 1024 * 1024


def model_first(size: int = 4 * MIB, model: str = "lab/whisper-1") -> list[bytes]:
    return [field("model", model) + FILE, *sound(size), b"\r\n" + END]


def model_last(size: int = 4 * MIB, model: str = "lab/whisper-1") -> list[bytes]:
    return [FILE, *sound(size), b"\r\n" + field("model", model) + field("stream", "false") + END]


def digest(pieces: list[bytes]) -> str:
    return hashlib.sha256(b"".join(pieces)).hexdigest()


def size_of(pieces: list[bytes]) -> int:
    return sum(map(len, pieces))


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("form", [model_first, model_last])
async def test_a_form_arrives_with_the_targets_model(gateway: RunningGateway, form: object, chunked: bool) -> None:
    lab = await taking(gateway)
    body: list[bytes] = form()  # type: ignore[operator]
    sender = await Sender(gateway.port, TRANSCRIPTIONS, None if chunked else size_of(body)).open()
    await sender.send(body)
    sender.end()
    answer = await sender.answer()
    assert (answer.status, answer.json, answer.headers.get("connection")) == (200, {"text": "heard"}, None)
    assert lab.digest.hexdigest() == digest(form(model="whisper-1"))  # type: ignore[operator]
    # A form on disk has a known length, however it came.
    assert ("transfer-encoding" in lab.heads[0]) == (chunked and form is model_first)
    line = await gateway.line()
    assert (line.kind, line.route, line.model, line.outcome) == ("transcriptions", "lab/whisper-1", "whisper-1", "ok")


async def test_a_connection_serves_on_after_an_upload(gateway: RunningGateway) -> None:
    await taking(gateway)
    body = model_first()
    sender = await Sender(gateway.port, TRANSCRIPTIONS, size_of(body)).open()
    for _ in range(2):
        await sender.send(body)
        assert (await sender.answer()).status == 200
        sender.writer.write(sender._head.encode())
    sender.writer.close()


async def test_a_slow_upstream_holds_its_client_back_and_memory_is_bounded(gateway: RunningGateway) -> None:
    lab = await taking(gateway)
    lab.go.clear()
    body = model_first(64 * MIB)
    sender = await Sender(gateway.port, TRANSCRIPTIONS, size_of(body)).open()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        sending = asyncio.create_task(sender.send(body))
        last = -1
        while last != sender.sent:  # until it is held back
            last = sender.sent
            await asyncio.sleep(0.3)
        assert not sending.done()  # there is far more to send than all buffers on the way can hold
        lab.go.set()
        await sending
        assert (await sender.answer()).status == 200
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert lab.taken == size_of(model_first(64 * MIB, "whisper-1"))
    assert peak - before < 8 * MIB


async def test_a_client_that_leaves_ends_the_upload(gateway: RunningGateway) -> None:
    lab = await taking(gateway)
    sender = await Sender(gateway.port, TRANSCRIPTIONS, 64 * MIB).open()
    await sender.send(model_first()[:-1])
    await eventually(lambda: lab.taken > MIB)
    sender.writer.transport.abort()
    await asyncio.wait_for(lab.gone.wait(), 10)
    assert (await gateway.line()).outcome == "client_gone"


async def test_a_client_that_leaves_is_seen_while_it_is_held_back(gateway: RunningGateway) -> None:
    lab = await taking(gateway)
    lab.go.clear()
    sender = await Sender(gateway.port, TRANSCRIPTIONS, 64 * MIB).open()
    sending = asyncio.create_task(sender.send(model_first(63 * MIB)))
    await eventually(lambda: len(lab.heads) == 1)
    last = -1
    while last != sender.sent:
        last = sender.sent
        await asyncio.sleep(0.3)
    sender.writer.transport.abort()  # with bytes unsent: they are thrown away, and the kernel tells the other side at once
    await asyncio.gather(sending, return_exceptions=True)
    lab.go.set()  # whether it was seen before or as there is room again: the upstream must not get the rest
    await asyncio.wait_for(lab.gone.wait(), 10)
    assert (await gateway.line()).outcome == "client_gone"


@pytest.mark.parametrize("then", ["linger", "close"])
async def test_an_early_answer_is_passed_on(gateway: RunningGateway, then: str) -> None:
    lab = await taking(gateway)
    lab.early = b"HTTP/1.1 413 Too Large\r\ncontent-type: application/json\r\ncontent-length: 39\r\n\r\n"
    lab.early += b'{"error":{"message":"the file is big"}}'
    lab.then = then
    lab.go.clear()
    sender = await Sender(gateway.port, TRANSCRIPTIONS, 64 * MIB).open()
    await sender.send([field("model", "lab/whisper-1") + FILE, *sound(2 * MIB)])
    answer = await sender.answer()
    assert (answer.status, answer.headers["connection"]) == (413, "close")
    assert b"the file is big" in answer.body
    line = await gateway.line()
    assert (line.status, line.outcome, len(line.attempts)) == (413, "upstream_error", 1)


async def test_a_client_that_stops_sending_is_told(gateway: RunningGateway) -> None:
    lab = await taking(gateway)
    gateway.server.body_timeout_s = 0.3
    sender = await Sender(gateway.port, TRANSCRIPTIONS, 64 * MIB).open()
    await sender.send(model_first()[:-1])
    answer = await sender.answer()
    assert answer.status == 408
    await asyncio.wait_for(lab.gone.wait(), 10)
    assert not lab.whole.is_set()


async def test_a_second_model_behind_the_file_never_completes(gateway: RunningGateway) -> None:
    lab = await taking(gateway)
    body = [field("model", "lab/whisper-1") + FILE, *sound(4 * MIB), b"\r\n" + field("model", "dear") + END]
    sender = await Sender(gateway.port, TRANSCRIPTIONS, size_of(body)).open()
    await sender.send(body)
    answer = await sender.answer()
    assert (answer.status, b"more than one 'model'" in answer.body) == (400, True)
    await asyncio.wait_for(lab.gone.wait(), 10)
    assert not lab.whole.is_set()


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
async def test_an_upload_above_its_limit_is_refused(gateway: RunningGateway, chunked: bool) -> None:
    lab = await taking(gateway)
    gateway.server.max_upload_bytes = 3 * MIB
    body = model_first(4 * MIB)
    sender = await Sender(gateway.port, TRANSCRIPTIONS, None if chunked else size_of(body)).open()
    try:
        await sender.send(body)
    except ConnectionError:
        pass
    assert (await sender.answer()).status == 413
    assert not lab.whole.is_set()


async def test_an_upload_may_be_larger_than_a_body_that_is_held(gateway: RunningGateway) -> None:
    await taking(gateway)
    gateway.server.max_body_bytes = MIB
    for body in (model_first(), model_last()):
        sender = await Sender(gateway.port, TRANSCRIPTIONS, size_of(body)).open()
        await sender.send(body)
        assert (await sender.answer()).status == 200


async def test_another_target_is_asked_where_nothing_was_lost(gateway: RunningGateway) -> None:
    """The first refuses connections; what was read of the form so far is still there."""
    b = await taking(gateway, "b")
    gateway.config.providers["a"] = ProviderConfig(dialect="openai_chat", base_url="http://127.0.0.1:9/v1", api_key="k")
    gateway.route("ears", "a/one", "b/two")
    body = model_first(model="ears")
    sender = await Sender(gateway.port, TRANSCRIPTIONS, size_of(body)).open()
    await sender.send(body)
    assert (await sender.answer()).status == 200
    assert b.digest.hexdigest() == digest(model_first(model="two"))


async def test_no_other_target_gets_a_part_of_an_upload(gateway: RunningGateway) -> None:
    a, b = await taking(gateway, "a"), await taking(gateway, "b")
    a.reply = b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n"
    gateway.route("ears", "a/one", "b/two")
    body = model_first(model="ears")
    sender = await Sender(gateway.port, TRANSCRIPTIONS, size_of(body)).open()
    await sender.send(body)
    assert (await sender.answer()).status == 503
    assert (len(a.heads), len(b.heads)) == (1, 0)


async def test_a_form_on_disk_is_sent_again(gateway: RunningGateway) -> None:
    a, b = await taking(gateway, "a"), await taking(gateway, "b")
    a.reply = b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n"
    gateway.route("ears", "a/one", "b/a-longer-name")
    body = model_last(model="ears")
    sender = await Sender(gateway.port, TRANSCRIPTIONS, size_of(body)).open()
    await sender.send(body)
    assert (await sender.answer()).status == 200
    assert a.digest.hexdigest() == digest(model_last(model="one"))
    assert b.digest.hexdigest() == digest(model_last(model="a-longer-name"))


async def test_a_full_disk_is_told(gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> object:
        return open("/dev/full", "wb")

    await taking(gateway)
    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    body = model_last()
    sender = await Sender(gateway.port, TRANSCRIPTIONS, size_of(body)).open()
    await sender.send(body)
    answer = await sender.answer()
    assert answer.status == 503
    assert os.strerror(28) in answer.json["error"]["message"]


async def test_no_file_is_left_and_none_has_a_name(
    gateway: RunningGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "spooled"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    lab = await taking(gateway)
    lab.go.clear()
    body = model_last()
    sender = await Sender(gateway.port, TRANSCRIPTIONS, size_of(body)).open()
    await sender.send(body)
    await eventually(lambda: len(lab.heads) == 1)
    assert list(folder.iterdir()) == []
    lab.go.set()
    assert (await sender.answer()).status == 200


async def test_a_file_goes_to_its_provider_as_it_comes(gateway: RunningGateway) -> None:
    lab = await taking(gateway)
    lab.go.clear()
    body = [field("purpose", "batch") + FILE, *sound(2 * MIB), b"\r\n" + END]
    sender = await Sender(gateway.port, "/lab/v1/files", size_of(body)).open()
    await sender.send(body[:2])  # far from whole, and its head is there already
    await eventually(lambda: len(lab.heads) == 1)
    lab.go.set()
    await sender.send(body[2:])
    assert (await sender.answer()).status == 200
    assert (lab.digest.hexdigest(), lab.heads[0]["content-length"]) == (digest(body), str(size_of(body)))


async def test_any_body_is_passed_through_as_it_comes(gateway: RunningGateway) -> None:
    lab = await taking(gateway)
    sender = await Sender(gateway.port, "/passthrough/lab/v1/audio:long", None, "audio/wav").open()
    await sender.send(sound(3 * MIB))
    sender.end()
    assert (await sender.answer()).status == 200
    assert lab.heads[0]["content-type"] == "audio/wav"
    assert lab.digest.hexdigest() == digest(sound(3 * MIB))


async def test_a_large_chat_that_is_passed_through_still_tells_its_usage(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab")
    lab.acts(reply("hi"))
    body = {"model": "m", "messages": [{"role": "user", "content": "x" * 300_000}]}
    assert (await gateway.call("/passthrough/lab/v1/chat/completions", body)).status == 200
    line = await gateway.line()
    assert (line.kind, line.input, line.output) == ("passthrough", 10, 2)


async def test_a_chat_that_is_passed_through_is_held_to_the_bound_of_bodies(gateway: RunningGateway) -> None:
    await gateway.upstream("lab")
    gateway.server.max_body_bytes = MIB
    answer = await gateway.call("/passthrough/lab/v1/chat/completions", b"{" + b" " * (2 * MIB) + b"}")
    assert (answer.status, b"max_body_mib" in answer.body) == (413, True)


@pytest.mark.parametrize("size", [PIECE * 2, intake.HELD_BYTES + PIECE])
async def test_a_form_without_a_model_is_refused(gateway: RunningGateway, size: int) -> None:
    lab = await taking(gateway)
    body = [FILE, *sound(size), b"\r\n" + END]
    sender = await Sender(gateway.port, TRANSCRIPTIONS, size_of(body)).open()
    await sender.send(body)
    answer = await sender.answer()
    assert (answer.status, "'model' is missing" in answer.json["error"]["message"]) == (400, True)
    assert lab.heads == []


async def test_a_stream_that_is_asked_for_behind_the_file_is_one(gateway: RunningGateway) -> None:
    lab = await taking(gateway)
    events = b'data: {"type":"transcript.text.done","usage":{"input_tokens":3,"output_tokens":2,"total_tokens":5}}\n\n'
    lab.reply = OK.replace(b"application/json", b"text/event-stream").partition(b"content-length")[0]
    lab.reply += b"content-length: %d\r\n\r\n" % len(events) + events
    body = [field("model", "lab/gpt-4o-transcribe") + FILE, *sound(2 * MIB), b"\r\n" + field("stream", "true") + END]
    sender = await Sender(gateway.port, TRANSCRIPTIONS, size_of(body)).open()
    await sender.send(body)
    answer = await sender.answer()
    assert (answer.body, answer.headers["content-type"]) == (events, "text/event-stream")
    line = await gateway.line()
    assert (line.stream, line.input, line.output) == (True, 3, 2)
