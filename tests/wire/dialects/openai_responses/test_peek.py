"""peek.py: a body opened at the top level, and written again with as little changed as possible."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freehold.base.errors import InvalidRequest
from freehold.wire.dialect import Quirks
from freehold.wire.seal import seal

from .bodies import DIALECT, QUIRKS, opened


def test_what_the_gateway_needs_is_read_at_the_top_level() -> None:
    peek = opened(stream=True, max_output_tokens=9)
    assert (peek.kind, peek.model, peek.stream, peek.max_output) == ("chat", "m", True, 9)
    assert list(peek.fields) == ["model", "input", "stream", "max_output_tokens"]
    assert (opened(stream=None, max_output_tokens=None).stream, opened().max_output) == (False, None)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": ...}, "model"),
        ({"model": ""}, "model"),
        ({"model": 3}, "model"),
        ({"input": ...}, "input"),
        ({"input": None}, "input"),
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": {}}, "input"),
        ({"stream": "yes"}, "stream"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"max_output_tokens": 1.5}, "max_output_tokens"),
        ({"max_output_tokens": "9"}, "max_output_tokens"),
    ],
)
def test_what_every_provider_refuses_is_refused_with_its_field(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        opened(**fields)
    assert caught.value.param == param


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'"x"', b"\xff", b'{"model":"m","input":[' + b"[" * 5000])
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        DIALECT.peek(body, "chat")


@pytest.mark.parametrize("elsewhere", ["previous_response_id", "conversation", "prompt", "instructions"])
def test_input_may_be_missing_where_the_prompt_is_elsewhere(elsewhere: str) -> None:
    assert opened(input=..., **{elsewhere: "x"}).model == "m"


def test_every_untouched_value_passes_byte_for_byte() -> None:
    body = b'{"input" : [ {"role":"user", "content":"\\u00e9"} ], "temperature":1.0e0, "model":"m", "unknown":[1 ,2]}'
    patched, dropped = DIALECT.patch(DIALECT.peek(body, "chat"), "other", QUIRKS)
    assert dropped == ()
    expected = b'{"input":[ {"role":"user", "content":"\\u00e9"} ],"temperature":1.0e0,"model":"other","unknown":[1 ,2]}'
    assert patched == expected


def test_state_at_the_provider_is_the_providers_business() -> None:
    fields = {"store": True, "previous_response_id": "resp_1", "conversation": "conv_1", "background": True}
    patched, dropped = DIALECT.patch(opened(**fields), "m", QUIRKS)
    assert json.loads(patched).items() >= fields.items() and dropped == ()


def test_quirks_rename_and_drop_top_level_fields() -> None:
    quirks = Quirks(rename={"max_output_tokens": "max_tokens"}, drop=("user",))
    patched, dropped = DIALECT.patch(opened(max_output_tokens=5, user="u"), "m", quirks)
    assert json.loads(patched) == {"model": "m", "input": "hi", "max_tokens": 5}
    assert dropped == ("user",)


def test_reasoning_that_another_maker_issued_does_not_reach_this_target() -> None:
    own = {"type": "reasoning", "summary": [], "encrypted_content": "gAAA"}
    foreign = {"type": "reasoning", "summary": [], "encrypted_content": seal("anthropic", "signature", "sig")}
    said = {"role": "user", "content": '"~freehold.anthropic.signature.x" in a text stays'}
    peek = opened(input=[said, own, foreign, said])
    patched, dropped = DIALECT.patch(peek, "m", QUIRKS)
    assert json.loads(patched)["input"] == [said, own, said]
    assert dropped == ("reasoning of another provider",)
    assert len(json.loads(bytes(peek.fields["input"]))) == 4  # the next target may be the maker


def test_prompt_text_is_all_that_a_model_reads() -> None:
    peek = opened(
        instructions="I",
        input=[
            {"role": "user", "content": [{"type": "input_text", "text": "A"}, {"type": "input_image", "image_url": "data:x"}]},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "B"}], "encrypted_content": "SECRET"},
            {"type": "function_call", "call_id": "c", "name": "C", "arguments": "D"},
            {"type": "function_call_output", "call_id": "c", "output": "E"},
            {"type": "custom_tool_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "F"}]},
        ],
        tools=[{"type": "function", "name": "G"}],
    )
    text = DIALECT.input_text(peek)
    assert text.split("\n")[:7] == ["I", "A", "B", "C", "D", "E", "F"]
    assert '"G"' in text and "SECRET" not in text and "data:x" not in text
    assert DIALECT.input_text(opened(input="plain")) == "plain"


def test_text_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="UTF-8"):
        DIALECT.peek(b'{"model":"m","input":[{"content":"\xff"}]}', "chat")


def test_paths_below_the_base_url() -> None:
    peek = opened()
    assert DIALECT.path("chat", peek, "m") == "/responses"
    assert DIALECT.path("count_tokens", peek, "m") == "/responses/input_tokens"
    assert DIALECT.path("embeddings", peek, "m") is None
    assert [(path.path, path.kind) for path in DIALECT.client_paths] == [
        ("/v1/responses", "chat"),
        ("/v1/responses/input_tokens", "count_tokens"),
    ]
