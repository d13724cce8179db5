"""peek.py: a body is checked, changed only where it must be, and its text can be counted."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.base.errors import InvalidRequest
from freehold.wire.dialect import Quirks

from .bodies import DIALECT, dump, opened


@pytest.mark.parametrize(
    ("fields", "param", "says"),
    [
        ({"model": ...}, "model", "missing"),
        ({"model": 3}, "model", "must be a string, not a number"),
        ({"model": None}, "model", "not null"),
        ({"model": ""}, "model", "empty"),
        ({"messages": ...}, "messages", "missing"),
        ({"messages": []}, "messages", "empty"),
        ({"messages": "hi"}, "messages", "must be an array, not a string"),
        ({"messages": {}}, "messages", "not an object"),
        ({"messages": None}, "messages", "not null"),
        ({"stream": "yes"}, "stream", "must be true or false, not a string"),
        ({"stream": 1}, "stream", "not a number"),
        ({"max_tokens": "9"}, "max_tokens", "must be a number, not a string"),
        ({"max_tokens": 1.5}, "max_tokens", "whole number"),
        ({"max_tokens": 0}, "max_tokens", "at least 1, not 0"),
        ({"max_completion_tokens": -1}, "max_completion_tokens", "at least 1"),
        ({"max_completion_tokens": True}, "max_completion_tokens", "not a boolean"),
    ],
)
def test_what_every_provider_refuses_is_refused_here(fields: dict[str, Any], param: str, says: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        opened(**fields)
    assert error.value.param == param
    assert says in error.value.message


@pytest.mark.parametrize("body", [b"[ ]", b"[\n]", b"[\t ]"])
def test_an_empty_array_is_seen_through_white_space(body: bytes) -> None:
    with pytest.raises(InvalidRequest, match="empty"):
        DIALECT.peek(b'{"model":"m","messages":' + body + b"}", "chat")


def test_a_truncated_body_is_refused_with_its_position() -> None:
    with pytest.raises(InvalidRequest, match=r"ends early \(byte 20\)"):
        DIALECT.peek(b'{"model":"m","messag', "chat")


def test_peek_tells_what_the_gateway_must_know() -> None:
    peek = opened(stream=True, max_tokens=5, max_completion_tokens=9, stream_options={"include_usage": True})
    assert (peek.model, peek.stream, peek.max_output, peek.wants_usage) == ("m", True, 9, True)
    assert opened(stream=None, max_tokens=None).max_output is None
    assert not opened(stream_options={"include_usage": True}).wants_usage


@pytest.mark.parametrize("value", ["", [], None, 5, {}])
def test_embeddings_need_an_input(value: Any) -> None:
    with pytest.raises(InvalidRequest) as error:
        DIALECT.peek(dump({"model": "m", "input": value}), "embeddings")
    assert error.value.param == "input"


@pytest.mark.parametrize(
    ("value", "text"), [("a b", "a b"), (["a", "b"], "a\nb"), ([1, 2, 3], " a a a"), ([[1], [2, 3]], " a\n a a")]
)
def test_embeddings_input_is_counted_as_text_or_a_word_a_token(value: Any, text: str) -> None:
    assert DIALECT.input_text(DIALECT.peek(dump({"model": "m", "input": value}), "embeddings")) == text


def test_patch_changes_the_model_and_nothing_else() -> None:
    body = b'{"messages": [ {"role":"user","content":"\\u00e9 1.50"} ],"model":"route","temperature":1.0,"x": {"y" : 1e3}}'
    patched, dropped = DIALECT.patch(DIALECT.peek(body, "chat"), "target", Quirks())
    assert patched == (
        b'{"messages":[ {"role":"user","content":"\\u00e9 1.50"} ],"model":"target","temperature":1.0,"x":{"y" : 1e3}}'
    )
    assert dropped == ()


def test_patch_leaves_the_peek_as_it_was_for_the_next_target() -> None:
    peek = opened(stream=True)
    before = {name: bytes(value) for name, value in peek.fields.items()}
    DIALECT.patch(peek, "other", Quirks(rename={"messages": "m2"}, drop=("stream",)))
    assert {name: bytes(value) for name, value in peek.fields.items()} == before


def test_patch_renames_in_place_and_names_what_it_drops() -> None:
    peek = opened(seed=4, logit_bias={}, max_completion_tokens=7)
    quirks = Quirks(rename={"seed": "random_seed", "max_completion_tokens": "max_tokens"}, drop=("logit_bias",))
    patched, dropped = DIALECT.patch(peek, "m", quirks)
    assert list(json.loads(patched)) == ["model", "messages", "random_seed", "max_tokens"]
    assert dropped == ("logit_bias",)


def test_a_rename_onto_a_field_the_client_sent_is_dropped() -> None:
    peek = opened(max_tokens=5, max_completion_tokens=9)
    patched, dropped = DIALECT.patch(peek, "m", Quirks(rename={"max_completion_tokens": "max_tokens"}))
    assert json.loads(patched)["max_tokens"] == 5
    assert dropped == ("max_completion_tokens",)


@pytest.mark.parametrize(
    ("options", "after"),
    [
        (..., {"include_usage": True}),
        (None, {"include_usage": True}),
        ({"include_obfuscation": False}, {"include_obfuscation": False, "include_usage": True}),
        ({"include_usage": False}, {"include_usage": True}),
        ("odd", "odd"),
    ],
)
def test_usage_is_asked_for_where_the_client_did_not(options: Any, after: Any) -> None:
    patched, _ = DIALECT.patch(opened(stream=True, stream_options=options), "m", Quirks())
    assert json.loads(patched)["stream_options"] == after


@pytest.mark.parametrize("how", ["always", "never"])
def test_usage_is_not_asked_for_where_the_provider_needs_no_asking(how: Any) -> None:
    patched, _ = DIALECT.patch(opened(stream=True), "m", Quirks(stream_usage=how))
    assert "stream_options" not in json.loads(patched)


def test_a_call_without_stream_gets_no_stream_options() -> None:
    assert "stream_options" not in json.loads(DIALECT.patch(opened(), "m", Quirks())[0])


def test_input_text_holds_all_text_and_no_media() -> None:
    peek = opened(
        messages=[
            {"role": "system", "content": "rules"},
            {
                "role": "user",
                "name": "bo",
                "content": [
                    {"type": "text", "text": "look"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                    {"type": "input_audio", "input_audio": {"data": "BBBB", "format": "wav"}},
                ],
            },
            {
                "role": "assistant",
                "content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}],
                "reasoning_content": "because",
                "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}],
            },
        ],
        tools=[{"type": "function", "function": {"name": "tool-name"}}],
    )
    text = DIALECT.input_text(peek)
    for word in ("rules", "look", "bo", "hm", "because", "f", '{"a":1}', "tool-name"):
        assert word in text
    assert "AAAA" not in text
    assert "BBBB" not in text


@given(st.binary(max_size=300))
def test_any_bytes_are_opened_or_refused(body: bytes) -> None:
    for kind in ("chat", "embeddings"):
        try:
            peek = DIALECT.peek(body, kind)
        except InvalidRequest:
            continue
        DIALECT.input_text(peek)


@given(st.data())
def test_a_mutated_body_never_raises_anything_else(data: st.DataObject) -> None:
    body = bytearray(
        dump({"model": "m", "stream": True, "max_tokens": 5, "messages": [{"role": "user", "content": "hé"}], "tools": []})
    )
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        peek = DIALECT.peek(bytes(body), "chat")
        DIALECT.patch(peek, "m", Quirks())
        DIALECT.input_text(peek)
        DIALECT.encode_request(DIALECT.decode_request(peek), "m", Quirks())
    except InvalidRequest:
        pass
