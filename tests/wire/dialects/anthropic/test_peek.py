"""peek and patch: what PASS reads and changes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.base.errors import InvalidRequest
from freehold.wire.dialect import Quirks
from tests.wire.dialects.anthropic.samples import DIALECT, QUIRKS, body


def test_peek_reads_what_routing_needs() -> None:
    peek = DIALECT.peek(body(stream=True), "chat")
    assert (peek.model, peek.stream, peek.max_output, peek.wants_usage) == ("claude-sonnet-4-5", True, 100, True)


@pytest.mark.parametrize(
    ("data", "param", "word"),
    [
        (b"", None, "empty"),
        (b'{"model": "m"', None, "byte 13"),
        (b'{"model": nope}', None, "byte 11"),
        (b"[1]", None, "object"),
        (b"{" + b'"a":[' * 5000, None, "can't be read"),
        (body(model=...), "model", "missing"),
        (body(model=""), "model", "empty"),
        (body(model=7), "model", "a string"),
        (body(messages=...), "messages", "missing"),
        (body(messages=[]), "messages", "empty"),
        (body(messages={"a": 1}), "messages", "list"),
        (body(max_tokens=...), "max_tokens", "missing"),
        (body(max_tokens=-1), "max_tokens", "-1"),
        (body(max_tokens="9"), "max_tokens", "whole number"),
        (body(max_tokens=1.5), "max_tokens", "whole number"),
        (body(max_tokens=True), "max_tokens", "whole number"),
        (body(stream="yes"), "stream", "true or false"),
    ],
)
def test_a_wrong_body_is_refused_with_the_field_and_the_reason(data: bytes, param: str | None, word: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        DIALECT.peek(data, "chat")
    assert caught.value.param == param
    assert word in caught.value.message


def test_count_tokens_needs_no_max_tokens() -> None:
    assert DIALECT.peek(body(max_tokens=...), "count_tokens").max_output is None


def test_max_tokens_zero_is_allowed_for_it_warms_the_cache() -> None:
    assert DIALECT.peek(body(max_tokens=0), "chat").max_output == 0


def test_patch_changes_the_model_and_nothing_else() -> None:
    data = b'{"zeta":1.0e0, "model":"a","messages":[ {"role":"user",  "content":"\\u00e9"} ],"max_tokens":5}'
    patched, dropped = DIALECT.patch(DIALECT.peek(data, "chat"), "b", QUIRKS)
    assert patched == b'{"zeta":1.0e0,"model":"b","messages":[ {"role":"user",  "content":"\\u00e9"} ],"max_tokens":5}'
    assert dropped == ()


def test_patch_obeys_quirks_and_names_what_it_drops() -> None:
    quirks = Quirks(rename={"max_tokens": "limit"}, drop=("top_k", "absent"))
    patched, dropped = DIALECT.patch(DIALECT.peek(body(top_k=3), "chat"), "m", quirks)
    assert list(json.loads(patched)) == ["model", "limit", "messages"]
    assert dropped == ("top_k",)


def test_patch_leaves_the_peek_as_it_was_for_the_next_target() -> None:
    peek = DIALECT.peek(body(), "chat")
    DIALECT.patch(peek, "other", QUIRKS)
    assert json.loads(DIALECT.patch(peek, "claude-sonnet-4-5", QUIRKS)[0]) == json.loads(body())


def test_input_text_holds_what_the_model_reads_in_order_without_media() -> None:
    peek = DIALECT.peek(
        body(
            system=[{"type": "text", "text": "S"}],
            messages=[
                {
                    "role": "user",
                    "content": [{"type": "text", "text": "A"}, {"type": "image", "source": {"type": "base64", "data": "IMG"}}],
                },
                {"role": "assistant", "content": [{"type": "tool_use", "id": "ID", "name": "N", "input": {"q": "I"}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "ID", "content": "R"}]},
                {"role": "user", "content": [{"type": "document", "source": {"type": "text", "data": "D"}, "title": "T"}]},
            ],
            tools=[{"name": "N", "description": "E", "input_schema": {"type": "object"}}],
        ),
        "chat",
    )
    text = DIALECT.input_text(peek)
    assert "IMG" not in text and "ID" not in text
    assert text == 'S\nA\nN\n{"q":"I"}\nR\nD\nT\nN\nE\n{"type":"object"}'


@given(st.binary(max_size=60) | st.builds(lambda a, b: body()[:a] + b + body()[a:], st.integers(0, 120), st.binary(max_size=4)))
def test_no_bytes_make_peek_fail_otherwise_than_by_refusing(data: bytes) -> None:
    try:
        peek = DIALECT.peek(data, "chat")
    except InvalidRequest:
        return
    DIALECT.patch(peek, "m", QUIRKS)
    DIALECT.input_text(peek)


def test_paths_are_below_a_base_url_without_v1() -> None:
    peek = DIALECT.peek(body(), "chat")
    assert DIALECT.path("chat", peek, "m") == "/v1/messages"
    assert DIALECT.path("count_tokens", peek, "m") == "/v1/messages/count_tokens"
    assert DIALECT.path("embeddings", peek, "m") is None


def test_a_type_that_is_no_string_does_not_stop_the_count() -> None:
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": [{"type": ["text"], "text": "u"}]}]}
    assert DIALECT.input_text(DIALECT.peek(json.dumps(body).encode(), "chat")) == "u"
