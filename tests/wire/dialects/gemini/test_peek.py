"""PASS: what is read at the top level, what is changed, and where the call goes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freehold.base.errors import InvalidRequest
from freehold.wire.dialect import Asked, Kind, Quirks

from .bodies import ASKED, DIALECT, PLAIN, STREAMED, dump, opened


def test_the_paths_of_both_versions_say_kind_and_stream() -> None:
    found = {(path.path, path.kind, path.stream) for path in DIALECT.client_paths}
    for version in ("/v1beta", "/v1"):
        assert found >= {
            (version + "/models/{model}:generateContent", "chat", False),
            (version + "/models/{model}:streamGenerateContent", "chat", True),
            (version + "/models/{model}:countTokens", "count_tokens", None),
            (version + "/models/{model}:embedContent", "embeddings", None),
            (version + "/models/{model}:batchEmbedContents", "embeddings", None),
        }
    assert len(DIALECT.client_paths) == 10


@pytest.mark.parametrize(
    ("kind", "asked", "fields", "path"),
    [
        ("chat", ASKED, {}, "/models/m%2Fx:generateContent"),
        ("chat", STREAMED, {}, "/models/m%2Fx:streamGenerateContent?alt=sse"),
        ("chat", Asked(model="m", stream=True), {}, "/models/m%2Fx:streamGenerateContent?alt=sse"),
        ("count_tokens", ASKED, {}, "/models/m%2Fx:countTokens"),
        ("embeddings", ASKED, {"requests": [{}]}, "/models/m%2Fx:batchEmbedContents"),
        ("embeddings", ASKED, {"content": {}}, "/models/m%2Fx:embedContent"),
    ],
)
def test_the_upstream_path_names_the_model_percent_encoded(kind: Kind, asked: Asked, fields: Any, path: str) -> None:
    peek = opened(asked, kind, **fields)
    assert DIALECT.path(kind, peek, "m/x") == DIALECT.path(kind, peek, "models/m/x") == path


def test_there_is_no_rerank_endpoint() -> None:
    assert DIALECT.path("rerank", opened(), "m") is None


def test_another_dialects_embeddings_go_to_the_batch_endpoint() -> None:
    from freehold.wire.registry import DIALECTS

    peek = DIALECTS["openai_chat"].peek(b'{"model":"m","input":"x"}', "embeddings")
    assert DIALECT.path("embeddings", peek, "m") == "/models/m:batchEmbedContents"


@pytest.mark.parametrize("name", ["gemini-x", "models/gemini-x"])
def test_the_model_comes_from_the_path_and_loses_its_prefix(name: str) -> None:
    assert opened(Asked(model=name, stream=False), model="models/other").model == "gemini-x"


def test_without_a_path_the_model_comes_from_the_body() -> None:
    assert opened(Asked(), model="models/m").model == "m"
    with pytest.raises(InvalidRequest, match="model: is missing"):
        opened(Asked())
    with pytest.raises(InvalidRequest, match="must be a string"):
        opened(Asked(), model=5)


@pytest.mark.parametrize(
    ("query", "form"),
    [
        ({}, "array"),
        ({"alt": "json"}, "array"),
        ({"alt": "sse"}, ""),
        ({"$alt": "sse"}, ""),
        ({"$alt": "json;enum-encoding=int"}, "array"),
    ],
)
def test_a_stream_is_an_array_unless_events_are_asked_for(query: dict[str, str], form: str) -> None:
    peek = opened(Asked(model="m", stream=True, query=query))
    assert (peek.stream, peek.form, peek.stream_type) == (True, form, b"application/json" if form else b"")


def test_a_call_that_is_no_stream_has_no_form() -> None:
    assert (opened().stream, opened().form) == (False, "")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"generationConfig": {"maxOutputTokens": 9}}, 9),
        ({"generation_config": {"max_output_tokens": 9}}, 9),
        ({"generationConfig": {"maxOutputTokens": 9.0}}, 9),
        ({"generationConfig": {"maxOutputTokens": "9"}}, 9),
        ({"generationConfig": {"maxOutputTokens": None}}, None),
        ({"generationConfig": {"maxOutputTokens": 0}}, None),
        ({"generationConfig": None}, None),
        ({}, None),
    ],
)
def test_the_output_bound_is_found(fields: Any, expected: int | None) -> None:
    assert opened(**fields).max_output == expected


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"contents": ...}, "contents"),
        ({"contents": []}, "contents"),
        ({"contents": "x"}, "contents"),
        ({"contents": None}, "contents"),
        ({"generationConfig": []}, "generationConfig"),
        ({"generationConfig": {"maxOutputTokens": "many"}}, "generationConfig.maxOutputTokens"),
        ({"generationConfig": {"maxOutputTokens": -1}}, "generationConfig.maxOutputTokens"),
    ],
)
def test_what_every_provider_refuses_is_refused_here(fields: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        opened(**fields)
    assert caught.value.param == param and param in caught.value.message


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"nul", b'"x"', b"[" * 3000])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        DIALECT.peek(body, "chat", ASKED)


def test_counting_takes_contents_or_a_whole_request() -> None:
    assert opened(kind="count_tokens", contents=..., generateContentRequest={"contents": []}).kind == "count_tokens"
    with pytest.raises(InvalidRequest):
        opened(kind="count_tokens", contents=...)


def test_values_are_forwarded_byte_identical_when_only_the_model_changes() -> None:
    body = b'{ "contents":[ {"parts" : [{"text":"\\u00e9"}]}],"x":1.50 }'
    peek = DIALECT.peek(body, "chat", ASKED)
    assert DIALECT.patch(peek, "other", PLAIN)[0] == b'{"contents":[ {"parts" : [{"text":"\\u00e9"}]}],"x":1.50}'


def test_the_models_name_is_changed_wherever_the_body_repeats_it() -> None:
    peek = opened(model="models/gemini-2.5-flash")
    assert json.loads(DIALECT.patch(peek, "new", PLAIN)[0])["model"] == "models/new"
    peek = opened(kind="embeddings", requests=[{"model": "models/gemini-2.5-flash", "content": {}}, {"content": {}}])
    assert json.loads(DIALECT.patch(peek, "new", PLAIN)[0])["requests"] == [
        {"model": "models/new", "content": {}},
        {"content": {}},
    ]
    peek = opened(kind="count_tokens", contents=..., generateContentRequest={"model": "models/a", "contents": []})
    assert json.loads(DIALECT.patch(peek, "new", PLAIN)[0])["generateContentRequest"]["model"] == "models/new"


def test_quirks_rename_and_drop_top_level_fields() -> None:
    body, dropped = DIALECT.patch(opened(labels={"a": "b"}, store=True), "m", Quirks(drop=("labels",), rename={"store": "keep"}))
    assert (json.loads(body)["keep"], dropped) == (True, ("labels",)) and "labels" not in json.loads(body)


def test_input_text_is_what_a_model_reads() -> None:
    text = DIALECT.input_text(
        opened(
            system_instruction={"parts": [{"text": "SYS"}]},
            contents=[
                {"parts": [{"text": "USER"}, {"inlineData": {"mimeType": "image/png", "data": "BASE64"}}]},
                {"role": "model", "parts": [{"functionCall": {"name": "FN", "args": {"k": "ARG"}}, "thoughtSignature": "SIG"}]},
                {"parts": [{"functionResponse": {"name": "FN", "response": {"r": "RESULT"}}}]},
            ],
            tools=[{"function_declarations": [{"name": "T", "description": "DESC", "parameters": {"properties": {"PROP": {}}}}]}],
            generationConfig={"responseSchema": {"title": "SCHEMA"}},
        )
    )
    for word in ("SYS", "USER", "FN", "ARG", "RESULT", "DESC", "PROP", "SCHEMA"):
        assert word in text
    for word in ("BASE64", "SIG", "image/png"):
        assert word not in text
    batch = [{"content": {"parts": [{"text": "EMB"}]}}]
    assert DIALECT.input_text(opened(kind="embeddings", contents=..., requests=batch)) == "EMB"


def test_unreadable_text_counts_as_nothing() -> None:
    assert DIALECT.input_text(DIALECT.peek(dump({"contents": [5, None, {"parts": 3}]}), "chat", ASKED)) == ""
