"""Images, audio and moderations through the whole gateway. The replies in this file are made up, in the providers' forms;
those of recorded exchanges are marked as such."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from freehold.config.schema import PriceConfig
from tests.pipeline.conftest import KEY, RunningGateway
from tests.pipeline.upstream import Act
from tests.traffic import exchanges, needs_traffic

IMAGES = "/v1/images/generations"
SPEECH = "/v1/audio/speech"
TRANSCRIPTIONS = "/v1/audio/transcriptions"
TYPE = {"content-type": "multipart/form-data; boundary=XX"}
IMAGE_USAGE = (
    b'{"total_tokens":110,"input_tokens":10,"output_tokens":100,"input_tokens_details":{"text_tokens":10,"image_tokens":0}}'
)
AUDIO = bytes(range(256)) * 1024


def form(model: str = "lab/whisper-1", file: bytes = AUDIO, **fields: str) -> bytes:
    parts = [f'--XX\r\ncontent-disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode() for k, v in fields.items()]
    parts.append(b'--XX\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' + file + b"\r\n")
    parts.append(f'--XX\r\ncontent-disposition: form-data; name="model"\r\n\r\n{model}\r\n--XX--\r\n'.encode())
    return b"".join(parts)


async def test_an_image_is_made_and_its_tokens_are_recorded(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab", price=PriceConfig(input=5, output=40))
    reply = b'{"created":1,"data":[{"b64_json":"' + b"A" * 300_000 + b'"}],"usage":' + IMAGE_USAGE + b"}"
    lab.acts(Act(pieces=[reply[:1000], reply[1000:]]))
    got = await gateway.call(IMAGES, b'{"model":"lab/gpt-image-1", "prompt":"a cat","n":1.0}')
    assert (got.status, got.body) == (200, reply)
    assert lab.seen[0].path == IMAGES
    assert lab.seen[0].body == b'{"model":"gpt-image-1","prompt":"a cat","n":1.0}'
    line = await gateway.line()
    assert (line.kind, line.outcome, line.input, line.output, line.estimated) == ("images", "ok", 10, 100, False)
    assert line.cost_nusd == 10 * 5_000 + 100 * 40_000


async def test_a_streamed_image_passes_event_by_event(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab")
    big = b'event: image_generation.completed\ndata: {"type":"image_generation.completed","b64_json":"' + b"A" * 200_000
    big += b'","usage":' + IMAGE_USAGE + b"}\n\n"
    partial = b'event: image_generation.partial_image\ndata: {"type":"image_generation.partial_image","b64_json":"QQ"}\n\n'
    lab.acts(Act(pieces=[partial, big[:7777], big[7777:]], content_type="text/event-stream", gap_s=0.02))
    got = await gateway.call(IMAGES, {"model": "lab/gpt-image-1", "prompt": "a cat", "stream": True})
    assert got.body == partial + big
    assert got.headers["content-type"] == "text/event-stream"
    assert b"stream_options" not in lab.seen[0].body
    line = await gateway.line()
    assert (line.stream, line.output) == (True, 100)


async def test_speech_is_given_on_as_it_comes(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab")
    lab.acts(Act(pieces=[b"{first", b"second"], content_type="audio/mpeg", gap_s=0.2))
    reader, writer = await gateway.open(SPEECH, {"model": "lab/tts-1", "input": "hello there", "voice": "alloy"})
    assert b"content-type: audio/mpeg" in await reader.readuntil(b"\r\n\r\n")
    assert b"{first" in await reader.readuntil(b"{first")
    assert not gateway.ledger, "the first bytes must not wait for the last ones"
    assert b"second" in await reader.read()
    writer.close()
    line = await gateway.line()
    assert (line.kind, line.characters, line.estimated, line.cost_nusd) == ("speech", 11, True, None)
    assert line.input == 2


async def test_speech_as_events_tells_its_tokens(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab")
    events = b'data: {"type":"speech.audio.delta","audio":"QQ"}\n\ndata: {"type":"speech.audio.done","usage":'
    events += b'{"input_tokens":14,"output_tokens":101,"total_tokens":115}}\n\n'
    lab.acts(Act(pieces=[events], content_type="text/event-stream"))
    got = await gateway.call(SPEECH, {"model": "lab/tts", "input": "hi", "voice": "alloy", "stream_format": "sse"})
    assert got.body == events
    line = await gateway.line()
    assert (line.input, line.output, line.estimated, line.characters) == (14, 101, False, 2)


@pytest.mark.parametrize("failure", [Act(status=500), Act(before="reset"), Act(pieces=[], then="cut")])
async def test_another_target_is_asked_before_the_first_byte(gateway: RunningGateway, failure: Act) -> None:
    a, b = await gateway.upstream("a"), await gateway.upstream("b")
    gateway.route("voice", "a/tts-1", "b/tts-2")
    a.acts(failure)
    b.acts(Act(pieces=[b"sound"], content_type="audio/mpeg"))
    got = await gateway.call(SPEECH, {"model": "voice", "input": "hi", "voice": "alloy"})
    assert (got.status, got.body) == (200, b"sound")
    assert b.seen[0].json["model"] == "tts-2"
    assert [attempt.target for attempt in (await gateway.line()).attempts] == ["a/tts-1", "b/tts-2"]


async def test_an_error_event_before_the_first_one_is_a_failure(gateway: RunningGateway) -> None:
    a, b = await gateway.upstream("a"), await gateway.upstream("b")
    gateway.route("picture", "a/x", "b/y")
    a.acts(Act(pieces=[b'data: {"type":"error","error":{"message":"no","code":"x"}}\n\n'], content_type="text/event-stream"))
    b.acts(Act(pieces=[b'data: {"type":"image_generation.completed"}\n\n'], content_type="text/event-stream"))
    got = await gateway.call(IMAGES, {"model": "picture", "prompt": "p", "stream": True})
    assert b"completed" in got.body and b"no" not in got.body


async def test_a_reply_that_is_cut_is_seen_to_be_cut(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab")
    lab.acts(Act(pieces=[b"some"], content_type="audio/mpeg", gap_s=0.05, then="cut"))
    got = await gateway.call(SPEECH, {"model": "lab/tts-1", "input": "hi", "voice": "alloy"})
    assert (got.body, got.whole) == (b"some", False)
    assert (await gateway.line()).outcome == "cut"


async def test_a_form_keeps_its_file_and_gets_the_targets_model(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab")
    gateway.route("ears", "lab/whisper-1")
    lab.acts(Act(pieces=[b'{"text":"hello","usage":{"type":"duration","seconds":7}}']))
    got = await gateway.call(TRANSCRIPTIONS, form("ears", language="en"), headers=TYPE)
    assert got.json["text"] == "hello"
    seen = lab.seen[0]
    assert seen.body == form("whisper-1", language="en")
    assert seen.headers["content-type"] == TYPE["content-type"]
    assert "application/json" not in seen.headers["content-type"]
    line = await gateway.line()
    assert (line.kind, line.seconds, line.input, line.cost_nusd, line.estimated) == ("transcriptions", 7.0, 0, None, False)


async def test_what_is_not_billed_by_text_has_no_cost(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab", price=PriceConfig(input=5, output=40))
    lab.acts(Act(pieces=[b'{"text":"hello"}']))
    await gateway.call("/v1/audio/translations", form(prompt="some words"), headers=TYPE)
    lab.acts(Act(pieces=[b'{"created":1,"data":[]}']))
    await gateway.call(IMAGES, {"model": "lab/dall-e-2", "prompt": "some words"})
    assert [(line.cost_nusd, line.estimated) for line in gateway.ledger] == [(None, True), (None, True)]


@pytest.mark.parametrize(
    ("path", "body", "headers", "reply", "price", "nusd"),
    [
        (TRANSCRIPTIONS, form(), TYPE, b'{"text":"hi","usage":{"type":"duration","seconds":7}}', {"per_minute": 0.006}, 700_000),
        (TRANSCRIPTIONS, form(), TYPE, b'{"text":"hi","duration":7.5}', {"per_minute": 0.006}, 750_000),
        (TRANSCRIPTIONS, form(), TYPE, b'{"text":"hi"}', {"per_minute": 0.006}, None),
        (SPEECH, {"model": "lab/m", "input": "h\u00e9llo"}, {}, b"sound", {"per_million_characters": 15}, 75_000),
        (IMAGES, {"model": "lab/m", "prompt": "x", "n": 3}, {}, b'{"data":[]}', {"per_image": 0.04}, 120_000_000),
        (IMAGES, {"model": "lab/m", "prompt": "x"}, {}, b'{"data":[]}', {"per_image": 0.04}, 40_000_000),
        ("/v1/images/edits", form(n="2", prompt="x"), TYPE, b'{"data":[]}', {"per_image": 0.04}, 80_000_000),
        (IMAGES, {"model": "lab/m", "prompt": "x"}, {}, b'{"data":[]}', {"per_minute": 1}, None),
    ],
)
async def test_what_is_billed_by_time_length_or_piece_is_priced(
    gateway: RunningGateway,
    path: str,
    body: Any,
    headers: dict[str, str],
    reply: bytes,
    price: dict[str, float],
    nusd: int | None,
) -> None:
    lab = await gateway.upstream("lab", price=PriceConfig(**price))
    kind = "audio/mpeg" if path == SPEECH else "application/json"
    lab.acts(Act(pieces=[reply], content_type=kind))
    assert (await gateway.call(path, body, headers=headers)).status == 200
    line = await gateway.line()
    assert (line.cost_nusd, line.price_source) == (nusd, "freehold.yaml" if nusd is not None else "")


async def test_the_tables_price_depends_on_a_pictures_size(gateway: RunningGateway) -> None:
    openai = await gateway.upstream("openai")
    openai.acts(Act(pieces=[b'{"created":1,"data":[]}']))
    body = {"model": "openai/dall-e-3", "prompt": "x", "quality": "hd", "size": "1792x1024"}
    await gateway.call(IMAGES, body)
    line = await gateway.line()
    assert (line.cost_nusd, line.price_source) == (120_000_000, "freehold 1")


async def test_image_tokens_are_paid_as_such(gateway: RunningGateway) -> None:
    openai = await gateway.upstream("openai")
    usage = b'{"total_tokens":1100,"input_tokens":100,"output_tokens":1000,'
    usage += b'"input_tokens_details":{"text_tokens":40,"image_tokens":60}}'
    openai.acts(Act(pieces=[b'{"created":1,"data":[],"usage":' + usage + b"}"]))
    await gateway.call(IMAGES, {"model": "openai/gpt-image-1.5", "prompt": "x"})
    assert (await gateway.line()).cost_nusd == 40 * 5_000 + 60 * 8_000 + 1000 * 32_000


async def test_a_form_can_go_to_another_target(gateway: RunningGateway) -> None:
    a, b = await gateway.upstream("a"), await gateway.upstream("b")
    gateway.route("ears", "a/one", "b/a-longer-name")
    a.acts(Act(status=503))
    b.acts(Act(pieces=[b"hello there"], content_type="text/plain"))
    got = await gateway.call(TRANSCRIPTIONS, form("ears", response_format="text"), headers=TYPE)
    assert (got.body, got.headers["content-type"]) == (b"hello there", "text/plain")
    assert (a.seen[0].body, b.seen[0].body) == (
        form("one", response_format="text"),
        form("a-longer-name", response_format="text"),
    )


async def test_a_transcript_in_events_tells_its_tokens(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab")
    done = b'data: {"type":"transcript.text.done","text":"Ruby","usage":{"type":"tokens","total_tokens":49,"input_tokens":37,'
    done += b'"input_token_details":{"text_tokens":0,"audio_tokens":37},"output_tokens":12}}\n\ndata: [DONE]\n\n'
    delta = b'data: {"type":"transcript.text.delta","delta":"Ruby"}\n\n'
    lab.acts(Act(pieces=[delta, done[:50], done[50:]], content_type="text/event-stream; charset=utf-8", gap_s=0.01))
    got = await gateway.call(TRANSCRIPTIONS, form(stream="true"), headers=TYPE)
    assert got.body == delta + done
    line = await gateway.line()
    assert (line.stream, line.input, line.audio_in, line.output) == (True, 37, 37, 12)


@pytest.mark.parametrize(
    ("path", "body", "headers", "param"),
    [
        (TRANSCRIPTIONS, {"model": "lab/m"}, {}, None),
        (TRANSCRIPTIONS, b"--XX--\r\n", TYPE, "model"),
        (TRANSCRIPTIONS, form(model=""), TYPE, "model"),
        (TRANSCRIPTIONS, form(stream="maybe"), TYPE, "stream"),
        (TRANSCRIPTIONS, form()[:-6], TYPE, None),
        (IMAGES, {"prompt": "x"}, {}, "model"),
        (IMAGES, b"{", {}, None),
        (SPEECH, {"model": 5}, {}, "model"),
    ],
)
async def test_a_clients_mistake_is_told_in_openais_form(
    gateway: RunningGateway, path: str, body: Any, headers: dict[str, str], param: str | None
) -> None:
    lab = await gateway.upstream("lab")
    got = await gateway.call(path, body, headers=headers)
    assert (got.status, got.json["error"]["param"]) == (400, param)
    assert not lab.seen


async def test_a_query_stays_here(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab")
    await gateway.call(f"{IMAGES}?api-version=1#a", {"model": "lab/dall-e-2", "prompt": "x"})
    assert lab.seen[0].path == IMAGES


async def test_a_key_is_held_to_its_models(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab")
    gateway.config.keys[0].models = ["lab/tts-1"]
    gateway.reload()
    assert (await gateway.call(TRANSCRIPTIONS, form("lab/whisper-1"), headers=TYPE)).status == 403
    assert (await gateway.call(IMAGES, {"model": "lab/dall-e-2", "prompt": "x"}, key="nobody")).status == 401
    assert not lab.seen


async def test_other_dialects_are_refused(gateway: RunningGateway) -> None:
    claude = await gateway.upstream("claude", "anthropic")
    assert (await gateway.call(IMAGES, {"model": "claude/c", "prompt": "x"})).status == 400
    got = await gateway.call(TRANSCRIPTIONS, form("claude/c"), headers=TYPE)
    assert (got.status, got.json["error"]["code"]) == (400, "unsupported_content")
    assert not claude.seen


async def test_moderations_may_leave_the_model_out(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("openai")
    lab.acts(Act(pieces=[b'{"id":"modr-1","model":"omni-moderation-2024","results":[{"flagged":false}]}']))
    got = await gateway.call("/openai/v1/moderations", {"input": [{"type": "text", "text": "hello there"}]})
    assert got.json["results"] == [{"flagged": False}]
    assert lab.seen[0].json["model"] == "omni-moderation-latest"
    line = await gateway.line()
    assert (line.kind, line.answered_by, line.input, line.estimated) == ("moderations", "omni-moderation-2024", 2, True)


async def test_a_slow_client_pauses_the_speech_of_its_upstream(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab")
    lab.acts(Act(pieces=[b"x" * 65536] * 400, content_type="audio/mpeg"))
    reader, writer = await gateway.open(SPEECH, {"model": "lab/tts-1", "input": "hi", "voice": "alloy"})
    await reader.readuntil(b"\r\n\r\n")
    await asyncio.sleep(0.5)
    assert not gateway.ledger, "26 MB went somewhere though nobody read them"
    assert (await reader.read()).count(b"x" * 1000) > 20_000
    writer.close()
    assert (await gateway.line()).outcome == "ok"


# --- recorded exchanges ---

PATHS = {"images/": "images", "moderations": "moderations", "audio/": ""}


@needs_traffic
async def test_recorded_replies_pass_byte_for_byte(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab")
    passed = 0
    for one in exchanges(["images/", "audio/", "moderations"], ["openai", "mistral", "openrouter", "xai"]):
        path = "/v1" + one.url.partition("/v1")[2]
        is_form = not one.request
        stream = {"stream": "true"} if one.is_sse and is_form else {}
        lab.acts(Act(status=one.status, pieces=[one.response], content_type=one.served_type))
        body: Any = form("lab/m", **stream) if is_form else {**one.request, "model": "lab/m"}
        got = await gateway.call(path, body, headers=TYPE if is_form else {})
        assert got.status == one.status, one.id
        if one.status == 200:
            assert got.body == one.response, one.id
            assert got.headers["content-type"] == one.served_type
        else:
            assert got.json["error"]["code"] == __import__("json").loads(one.response)["error"]["code"]
        if is_form:
            assert lab.seen[-1].body == form("m", **stream)
        else:
            assert lab.seen[-1].json == {**one.request, "model": "m"}
        told = gateway.ledger[-1]
        if b'"input_tokens"' in one.response:
            assert told.input == 37 and told.output and not told.estimated, one.id
        elif b'"duration","seconds"' in one.response.replace(b" ", b"") or b'"prompt_audio_seconds"' in one.response:
            assert told.seconds and not told.estimated, one.id
        passed += 1
    assert passed >= 25


# --- the official SDK ---


@pytest.fixture
def sdk(gateway: RunningGateway) -> Any:
    openai = pytest.importorskip("openai")
    return openai.AsyncOpenAI(api_key=KEY, base_url=f"http://127.0.0.1:{gateway.port}/v1", max_retries=0)


async def test_the_official_sdk(gateway: RunningGateway, sdk: Any) -> None:
    lab = await gateway.upstream("lab")
    lab.acts(Act(pieces=[b'{"created":1,"data":[{"b64_json":"QQ"}],"usage":' + IMAGE_USAGE + b"}"]))
    assert (await sdk.images.generate(model="lab/gpt-image-1", prompt="a cat")).usage.output_tokens == 100
    assert (await sdk.images.edit(model="lab/gpt-image-1", prompt="a cat", image=b"png")).data[0].b64_json == "QQ"
    assert b"gpt-image-1\r\n" in lab.seen[-1].body and b"lab/" not in lab.seen[-1].body
    lab.acts(Act(pieces=[b"\x00sound"], content_type="audio/mpeg"))
    assert (await sdk.audio.speech.create(model="lab/tts-1", input="hi", voice="alloy")).content == b"\x00sound"
    async with sdk.audio.speech.with_streaming_response.create(model="lab/tts-1", input="hi", voice="alloy") as speech:
        assert b"".join([piece async for piece in speech.iter_bytes()]) == b"\x00sound"
    lab.acts(Act(pieces=[b'{"text":"hello"}']))
    assert (await sdk.audio.transcriptions.create(model="lab/whisper-1", file=("a.wav", AUDIO))).text == "hello"
    assert AUDIO in lab.seen[-1].body
    assert (await sdk.audio.translations.create(model="lab/whisper-1", file=("a.wav", AUDIO))).text == "hello"
    lab.acts(Act(pieces=[b'{"id":"m","model":"omni","results":[]}']))
    assert (await sdk.moderations.create(model="lab/omni", input="hi")).model == "omni"
    await sdk.close()
    assert {line.outcome for line in gateway.ledger} == {"ok"}
