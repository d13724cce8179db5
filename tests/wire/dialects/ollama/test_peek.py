"""The PASS side of a request: what is refused at once, what is learnt, what changes."""

from __future__ import annotations

import json

import pytest

from freehold.base.errors import InvalidRequest
from freehold.wire.dialect import Quirks
from tests.wire.dialects.ollama.samples import CHAT, DIALECT, EMBED, EMBEDDINGS, GENERATE, QUIRKS, dump, opened, prompted


@pytest.mark.parametrize(
    ("fields", "streams"), [({}, True), ({"stream": None}, True), ({"stream": True}, True), ({"stream": False}, False)]
)
def test_a_stream_is_the_default(fields: dict[str, object], streams: bool) -> None:
    assert opened(**fields).stream is prompted(**fields).stream is streams


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", None),
        (b"[]", None),
        (b'{"messages": []}', "model"),
        (b'{"model": "", "messages": []}', "model"),
        (b'{"model": 5}', "model"),
        (b'{"model": "m", "messages": {}}', "messages"),
        (b'{"model": "m", "messages": "hi"}', "messages"),
        (b'{"model": "m", "stream": "yes"}', "stream"),
        (b'{"model": "m", "options": []}', "options"),
        (b'{"model": "m", "options": {"num_predict": "5"}}', "options.num_predict"),
        (b'{"model": "m", "options": {"num_predict": 1.5}}', "options.num_predict"),
        (b'{"model": "m", "options": {"num_predict": 1e999}}', "options.num_predict"),
        (b'{"model": "\xff"}', None),
    ],
)
def test_what_no_server_would_take_is_refused(body: bytes, param: str | None) -> None:
    with pytest.raises(InvalidRequest) as caught:
        DIALECT.peek(body, "chat", CHAT)
    assert caught.value.param == param


@pytest.mark.parametrize(("limit", "bound"), [(5, 5), (5.0, 5), (0, None), (-1, None), (-2, None), (None, None)])
def test_the_output_bound_is_num_predict(limit: object, bound: int | None) -> None:
    assert opened(options={"num_predict": limit}).max_output == bound


def test_a_call_that_only_loads_the_model_passes() -> None:
    for body, asked in (
        (b'{"model":"m"}', CHAT),
        (b'{"model":"m","messages":[]}', CHAT),
        (b'{"model":"m","prompt":""}', GENERATE),
    ):
        peek = DIALECT.peek(body, "chat", asked)
        assert DIALECT.patch(peek, "m", QUIRKS) == (body, ())


def test_only_the_model_changes() -> None:
    body = b'{"model":"alias" ,"keep_alive":"5m","messages":[ {"role":"user","content":"\\u0041"} ],"options":{"seed":1.0}}'
    peek = DIALECT.peek(body, "chat", CHAT)
    expected = b'{"model":"real","keep_alive":"5m","messages":[ {"role":"user","content":"\\u0041"} ],"options":{"seed":1.0}}'
    assert DIALECT.patch(peek, "real", QUIRKS) == (expected, ())
    assert peek.model == "alias"


def test_quirks_are_obeyed() -> None:
    body, dropped = DIALECT.patch(
        opened(keep_alive="5m", think=True), "m", Quirks(drop=("keep_alive",), rename={"think": "thinking"})
    )
    assert (json.loads(body)["thinking"], dropped) == (True, ("keep_alive",))
    assert "keep_alive" not in json.loads(body)


def test_each_form_has_its_path() -> None:
    old = DIALECT.peek(b'{"model":"m","prompt":"t"}', "embeddings", EMBEDDINGS)
    new = DIALECT.peek(b'{"model":"m","input":["t"]}', "embeddings", EMBED)
    assert DIALECT.path("chat", opened(), "m") == "/api/chat"
    assert DIALECT.path("chat", prompted(), "m") == "/api/generate"
    assert DIALECT.path("embeddings", old, "m") == "/api/embeddings"
    assert DIALECT.path("embeddings", new, "m") == "/api/embed"
    assert DIALECT.path("count_tokens", opened(), "m") is None
    foreign = opened()
    foreign.form = "json-array"  # another dialect's word
    assert DIALECT.path("chat", foreign, "m") == "/api/chat"


@pytest.mark.parametrize(
    ("asked", "body"),
    [(EMBED, b'{"model":"m"}'), (EMBEDDINGS, b'{"model":"m","input":"t"}'), (EMBED, b'{"model":"m","input":5}')],
)
def test_embeddings_need_their_text(asked: object, body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        DIALECT.peek(body, "embeddings", asked)  # type: ignore[arg-type]


def test_all_text_that_a_model_reads_is_counted() -> None:
    peek = opened(
        messages=[
            {"role": "user", "content": "question", "images": ["SECRETBYTES"]},
            {
                "role": "assistant",
                "thinking": "pondering",
                "tool_calls": [{"function": {"name": "add", "arguments": {"x": "argument"}}}],
            },
            {"role": "tool", "content": "result"},
        ],
        tools=[{"type": "function", "function": {"name": "add", "description": "describes"}}],
        format={"type": "object", "title": "shape"},
    )
    text = DIALECT.input_text(peek)
    assert all(word in text for word in ("question", "pondering", "add", "argument", "result", "describes", "shape"))
    assert "SECRETBYTES" not in text
    assert DIALECT.input_text(prompted(system="be", suffix="end", context=[1, 2, 3])).split() == [
        "be",
        "hi",
        "end",
        "a",
        "a",
        "a",
    ]
    for odd in ({"messages": [1, None, {"content": 5, "tool_calls": 7}]}, {"messages": [{"tool_calls": [1, {"function": 2}]}]}):
        assert DIALECT.input_text(DIALECT.peek(dump({"model": "m", **odd}), "chat", CHAT)).strip() == ""
