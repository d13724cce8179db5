"""Requests: opened, from this dialect and back, and from others."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw

from freehold.base.errors import InvalidRequest, Unsupported
from freehold.wire.chat import (
    ChatRequest,
    Image,
    Media,
    Message,
    Opaque,
    OutputFormat,
    Reasoning,
    Text,
    Tool,
)
from freehold.wire.dialect import Quirks
from tests.wire.dialects.openai_completions.samples import ALWAYS, DIALECT, decoded, dump, encoded, opened


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"prompt": "p"}, "model"),
        ({"model": "m"}, "prompt"),
        ({"model": "m", "prompt": []}, "prompt"),
        ({"model": "m", "prompt": {}}, "prompt"),
        ({"model": "m", "prompt": 5}, "prompt"),
        ({"model": "m", "prompt": "p", "max_tokens": -1}, "max_tokens"),
        ({"model": "m", "prompt": "p", "max_tokens": "9"}, "max_tokens"),
        ({"model": "m", "prompt": "p", "stream": 1}, "stream"),
        ({"model": "m", "prompt": "p", "messages": []}, "messages"),
    ],
)
def test_what_no_server_would_take_is_refused(body: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        DIALECT.peek(dump(body), "chat")
    assert caught.value.param == param


def test_what_is_learnt_at_once() -> None:
    peek = opened(max_tokens=0, stream=True, stream_options={"include_usage": True})
    assert (peek.max_output, peek.stream, peek.wants_usage) == (0, True, True)
    assert DIALECT.path("chat", peek, "m") == "/completions"
    assert DIALECT.path("embeddings", peek, "m") is None


def test_usage_is_asked_for_and_cut_as_in_chat() -> None:
    peek = opened(stream=True)
    assert json.loads(DIALECT.patch(peek, "real", Quirks())[0]) == {
        "model": "real",
        "prompt": "Once",
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    relay = DIALECT.tap(peek, Quirks(), True, len)
    good = b'data: {"choices":[{"text":"a","index":0,"finish_reason":"stop"}]}\n\n'
    usage = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}\n\n'
    assert relay.feed(good + usage + b"data: [DONE]\n\n") + relay.close() == good + b"data: [DONE]\n\n"
    assert relay.usage is not None and relay.usage.input == 3 and relay.produced() == 1


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"prompt": ""},
        {"prompt": None},
        {"prompt": ["one"]},
        {"prompt": ["one", "two"]},
        {"prompt": [1, 2, 3]},
        {"prompt": [[1, 2], [3]]},
        {"prompt": [""]},
        {"suffix": "end", "best_of": 3, "n": 2, "echo": True, "logprobs": 0},
        {"suffix": "", "best_of": 1, "n": 1, "echo": False, "logprobs": None},
        {"suffix": None, "best_of": None, "echo": None, "stop": None, "temperature": None, "logit_bias": {}},
        {"max_tokens": 0, "stop": "a", "seed": 1, "user": "u", "min_p": 0.1, "repetition_penalty": 1.1},
        {"max_tokens": 5, "stop": ["a", "b"], "stream": True, "stream_options": {"include_usage": True}},
        {"response_format": {"type": "json_object"}, "guided_regex": "a+", "tools": []},
    ],
)
def test_each_request_goes_back_as_it_came(fields: dict[str, Any]) -> None:
    body, dropped = DIALECT.encode_request(decoded(**fields), "m", ALWAYS)
    assert (json.loads(body), dropped) == ({"model": "m", "prompt": "Once", **fields}, ())


def test_a_prompt_is_one_user_message() -> None:
    (message,) = decoded().messages
    assert (message.role, message.parts, message.plain) == ("user", [Text(text="Once")], True)
    assert decoded(max_tokens=5).max_tokens == 5


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"prompt": ["a", "b"]}, "a list of prompts"),
        ({"prompt": [1, 2]}, "a prompt of token ids"),
        ({"suffix": "x"}, "suffix"),
        ({"echo": True}, "echo"),
        ({"best_of": 2}, "best_of"),
        ({"logprobs": 0}, "logprobs"),
    ],
)
def test_what_only_this_api_has_is_a_part_that_others_refuse(fields: dict[str, Any], kind: str) -> None:
    parts = decoded(**fields).messages[0].parts
    assert [part.kind for part in parts if isinstance(part, Opaque)] == [kind]


# --- from another dialect ------------------------------------------------------


def foreign(*messages: Message, **fields: Any) -> ChatRequest:
    held = list(messages) or [Message(role="user", parts=[Text(text="hi")])]
    return ChatRequest(dialect="other", model="m", messages=held, **fields)


def test_a_single_user_text_is_a_prompt() -> None:
    request = foreign(max_tokens=9, stop=["X"], n=2, temperature=0.5, logprobs=True, top_logprobs=3, stream=True)
    assert encoded(request) == {
        "model": "m",
        "prompt": "hi",
        "max_tokens": 9,
        "stop": ["X"],
        "n": 2,
        "temperature": 0.5,
        "logprobs": 3,
        "stream": True,
    }
    assert encoded(foreign(stream=True), Quirks())["stream_options"] == {"include_usage": True}
    assert encoded(foreign(logprobs=True))["logprobs"] == 0
    assert "logprobs" not in encoded(foreign(logprobs=False))


def test_knobs_without_a_word_are_named() -> None:
    raw = Raw(b"{}")
    request = foreign(reasoning=Reasoning(effort="high"), service_tier="auto", metadata=raw, extras={"store": raw})
    body, dropped = DIALECT.encode_request(request, "m", ALWAYS)
    assert json.loads(body) == {"model": "m", "prompt": "hi"}
    assert set(dropped) == {"reasoning", "service_tier", "metadata", "store"}
    assert DIALECT.encode_request(foreign(reasoning=Reasoning(enabled=False)), "m", ALWAYS)[1] == ()


def test_quirks_reach_the_prompt_too() -> None:
    body, dropped = DIALECT.encode_request(foreign(seed=1), "m", Quirks(rename={"prompt": "inputs"}, drop=("seed",)))
    assert (json.loads(body), dropped) == ({"model": "m", "inputs": "hi"}, ("seed",))


TEXT = Text(text="hi")
IMAGE = Image(media=Media(kind="base64", value="QQ==", media_type="image/png"))


@pytest.mark.parametrize(
    "request_",
    [
        foreign(Message(role="system", parts=[TEXT]), Message(role="user", parts=[TEXT])),
        foreign(Message(role="user", parts=[TEXT]), Message(role="assistant", parts=[TEXT]), Message(role="user", parts=[TEXT])),
        foreign(Message(role="assistant", parts=[TEXT])),
        foreign(Message(role="user", parts=[TEXT, TEXT])),
        foreign(Message(role="user", parts=[TEXT, IMAGE])),
        foreign(Message(role="user", parts=[IMAGE])),
        foreign(Message(role="user", parts=[])),
        foreign(Message(role="user", parts=[TEXT, Opaque(dialect="other", kind="k", raw=Raw(b"1"))])),
        foreign(tools=[Tool(name="f")]),
        foreign(output=OutputFormat(kind="json")),
        foreign(output=OutputFormat(kind="schema", schema=Raw(b"{}"))),
    ],
)
def test_anything_else_is_refused(request_: ChatRequest) -> None:
    with pytest.raises(Unsupported):
        DIALECT.encode_request(request_, "m", ALWAYS)


def test_text_output_asks_for_nothing() -> None:
    assert encoded(foreign(output=OutputFormat(kind="text"))) == {"model": "m", "prompt": "hi"}


def test_the_prompts_text_is_counted() -> None:
    assert DIALECT.input_text(opened(suffix="end")) == "Once\nend"
    assert DIALECT.input_text(opened(prompt=[[1, 2], [3]])).split() == ["a", "a", "a"]
    assert DIALECT.input_text(opened(prompt=["a b", "c"])).split() == ["a", "b", "c"]
