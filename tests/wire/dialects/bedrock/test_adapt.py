"""What a foreign request becomes, model family by model family; what can't be said is refused or named."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw

from freehold.base.errors import Unsupported
from freehold.wire.chat import (
    AnyPart,
    Audio,
    CacheMark,
    ChatRequest,
    File,
    Image,
    Media,
    Message,
    OutputFormat,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    ToolResult,
    ToolUse,
)
from freehold.wire.dialect import Quirks
from tests.wire.dialects.bedrock.samples import DIALECT, MODEL

NOVA, NOVA_2, LLAMA, GPT_OSS = (
    "us.amazon.nova-lite-v1:0",
    "us.amazon.nova-2-lite-v1:0",
    "meta.llama3-1-70b-instruct-v1:0",
    "openai.gpt-oss-120b-1:0",
)
CLAUDE_46 = "us.anthropic.claude-opus-4-6-v1"
PROFILE = "arn:aws:bedrock:us-east-1:012345678901:application-inference-profile/abc"
TOOL = Tool(name="f", parameters=Raw(b'{"type":"object"}'))


def user(*parts: AnyPart) -> Message:
    return Message(role="user", parts=list(parts) or [Text(text="u")])


def sent(model: str = MODEL, **fields: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    request = ChatRequest(dialect="openai_chat", model="m", messages=fields.pop("messages", [user()]), **fields)
    body, dropped = DIALECT.encode_request(request, model, Quirks())
    found: dict[str, Any] = json.loads(body)
    return found, dropped


def inline(media_type: str) -> Media:
    return Media(kind="base64", value="QQ==", media_type=media_type)


# --- content ------------------------------------------------------------------------


def test_media_go_as_bytes_with_their_format() -> None:
    body, dropped = sent(
        messages=[
            user(
                Image(media=inline("image/jpg"), detail="high"),
                File(media=inline("application/pdf"), name="my_report: final!!.pdf"),
                File(media=inline("application/pdf"), name="my report final.pdf"),
                File(media=Media(kind="text", value="é"), name=""),
                File(media=inline("application/json"), name="x.json"),
                File(media=inline(""), name="table.XLSX"),
                Audio(media=inline("audio/mpeg")),
            )
        ]
    )
    assert dropped == ("messages[].content[].image_url.detail",)
    data = {"bytes": "QQ=="}
    assert body["messages"][0]["content"] == [
        {"image": {"format": "jpeg", "source": data}},
        {"document": {"format": "pdf", "name": "my report final", "source": data}},
        {"document": {"format": "pdf", "name": "my report final 2", "source": data}},
        {"document": {"format": "txt", "name": "document", "source": {"bytes": "w6k="}}},
        {"document": {"format": "txt", "name": "x", "source": data}},
        {"document": {"format": "xlsx", "name": "table", "source": data}},
        {"audio": {"format": "mp3", "source": data}},
    ]


@pytest.mark.parametrize(
    "part",
    [
        Image(media=Media(kind="url", value="https://x/y.png")),
        Image(media=Media(kind="file_id", value="f")),
        Image(media=inline("image/bmp")),
        File(media=Media(kind="url", value="https://x/y.pdf")),
        File(media=inline("application/zip"), name="x.zip"),
        Audio(media=inline("audio/midi")),
    ],
)
def test_media_that_can_not_be_carried_are_refused(part: AnyPart) -> None:
    with pytest.raises(Unsupported) as caught:
        sent(messages=[user(Text(text="u"), part)])
    assert caught.value.param == "messages[0].content"


def test_signed_thinking_goes_back_to_claude_only() -> None:
    turns = [user(), Message(role="assistant", parts=[Thinking(text="h", signature="s"), Text(text="a")]), user()]
    body, dropped = sent(messages=turns)
    assert body["messages"][1]["content"][0] == {"reasoningContent": {"reasoningText": {"text": "h", "signature": "s"}}}
    assert dropped == ()
    body, dropped = sent(NOVA, messages=turns)
    assert body["messages"][1]["content"] == [{"text": "a"}] and dropped == ("thinking",)


def test_tool_calls_and_results_are_paired_and_their_ids_fit() -> None:
    calls = [ToolUse(id="call.1/" + "x" * 80, name="f", arguments='{"a": 1}'), ToolUse(id="c2", name="f")]
    results = [
        Message(role="tool", parts=[ToolResult(call_id="c2", parts=[Text(text="two")], is_error=True)]),
        Message(role="tool", parts=[ToolResult(call_id=calls[0].id, parts=[Image(media=inline("image/png"))])]),
    ]
    body, _ = sent(messages=[user(), Message(role="assistant", parts=[*calls]), *results, user(Text(text="so?"))], tools=[TOOL])
    roles = [message["role"] for message in body["messages"]]
    assert roles == ["user", "assistant", "user"]
    ids = [block["toolUse"]["toolUseId"] for block in body["messages"][1]["content"]]
    assert all(0 < len(i) <= 64 for i in ids) and ids[1] == "c2"
    two, one, text = body["messages"][2]["content"]
    assert two == {"toolResult": {"toolUseId": "c2", "content": [{"text": "two"}], "status": "error"}}
    assert one["toolResult"]["toolUseId"] == ids[0] and text == {"text": "so?"}


def test_an_error_is_told_in_words_to_models_without_a_status() -> None:
    turns = [
        user(),
        Message(role="assistant", parts=[ToolUse(id="c", name="f")]),
        Message(role="tool", parts=[ToolResult(call_id="c", parts=[Text(text="r")], is_error=True)]),
    ]
    for model in (LLAMA, GPT_OSS):
        result = sent(model, messages=turns, tools=[TOOL])[0]["messages"][2]["content"][0]["toolResult"]
        assert result == {"toolUseId": "c", "content": [{"text": "Error:"}, {"text": "r"}]}


def test_a_call_without_its_result_is_refused() -> None:
    with pytest.raises(Unsupported, match="no result"):
        sent(messages=[user(), Message(role="assistant", parts=[ToolUse(id="c", name="f")])], tools=[TOOL])


def test_system_texts_are_gathered_in_order() -> None:
    body, _ = sent(
        messages=[Message(role="system", parts=[Text(text="a")]), user(), Message(role="developer", parts=[Text(text="b")])]
    )
    assert body["system"] == [{"text": "a"}, {"text": "b"}] and len(body["messages"]) == 1


@pytest.mark.parametrize(
    ("model", "point", "dropped"),
    [
        (MODEL, {"type": "default", "ttl": "1h"}, ("cache_control",)),
        (NOVA, {"type": "default"}, ("cache_control", "cache_control.ttl")),
        (PROFILE, {"type": "default", "ttl": "1h"}, ("cache_control",)),
        (LLAMA, None, ("cache_control",)),
    ],
)
def test_cache_marks_become_points_where_the_model_knows_them(model: str, point: Any, dropped: tuple[str, ...]) -> None:
    mark = CacheMark(ttl="1h")
    turns = [
        Message(role="system", parts=[Text(text="s", cache=mark)]),
        user(Text(text="u", cache=mark)),
        Message(role="assistant", parts=[ToolUse(id="c", name="f")]),
        Message(role="tool", parts=[ToolResult(call_id="c", parts=[Text(text="r", cache=mark)])]),
    ]
    body, named = sent(model, messages=turns, tools=[Tool(name="f", cache=mark)])
    wanted = [{"cachePoint": point}] if point else []
    assert body["system"][1:] == wanted and body["messages"][0]["content"][1:] == wanted
    assert body["toolConfig"]["tools"][1:] == wanted and named == dropped
    assert "cachePoint" not in json.dumps(body["messages"][2])


# --- tools ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        (ToolChoice(mode="auto"), {"auto": {}}),
        (ToolChoice(mode="required"), {"any": {}}),
        (ToolChoice(mode="tool", name="f"), {"tool": {"name": "f"}}),
    ],
)
def test_tool_choices(choice: ToolChoice, wanted: dict[str, Any]) -> None:
    body, _ = sent(tools=[TOOL], tool_choice=choice)
    assert body["toolConfig"] == {
        "tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}],
        "toolChoice": wanted,
    }


def test_no_tool_call_wanted_means_no_tools_or_is_named() -> None:
    body, dropped = sent(tools=[TOOL], tool_choice=ToolChoice(mode="none"))
    assert "toolConfig" not in body and dropped == ()
    turns = [
        user(),
        Message(role="assistant", parts=[ToolUse(id="c", name="f")]),
        Message(role="tool", parts=[ToolResult(call_id="c", parts=[Text(text="r")])]),
    ]
    body, dropped = sent(messages=turns, tools=[TOOL], tool_choice=ToolChoice(mode="none"))
    assert len(body["toolConfig"]["tools"]) == 1 and dropped == ("tool_choice",)


def test_schemas_get_the_type_that_models_insist_on() -> None:
    tools = [Tool(name="a"), Tool(name="b", description="", parameters=Raw(b'{"properties":{}}'), strict=True)]
    body, dropped = sent(NOVA, tools=tools, parallel_tools=False)
    assert [tool["toolSpec"] for tool in body["toolConfig"]["tools"]] == [
        {"name": "a", "inputSchema": {"json": {"type": "object", "properties": {}}}},
        {"name": "b", "inputSchema": {"json": {"type": "object", "properties": {}}}},
    ]
    assert dropped == ("tools[].strict", "parallel_tool_calls")
    assert sent(tools=tools)[0]["toolConfig"]["tools"][1]["toolSpec"]["strict"] is True


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"tools": [Tool(name="web", raw=Raw(b"{}"))]}, Unsupported),
        ({"tools": [Tool(name="a.b")]}, Unsupported),
        ({"tools": [Tool(name="x" * 65)]}, Unsupported),
        ({"tools": [Tool(name="f", parameters=Raw(b"[]"))]}, Unsupported),
        ({"tool_choice": ToolChoice(mode="required")}, Unsupported),
        ({"n": 2}, Unsupported),
        ({"extras": {"audio": Raw(b'{"voice":"x"}')}}, Unsupported),
    ],
)
def test_what_can_not_be_asked_is_refused(fields: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        sent(**fields)


# --- knobs ----------------------------------------------------------------------------


def test_a_plain_request_says_nothing_that_was_not_asked() -> None:
    assert sent() == ({"messages": [{"role": "user", "content": [{"text": "u"}]}]}, ())


def test_sampling_stops_and_a_schema() -> None:
    output = OutputFormat(kind="schema", schema=Raw(b'{ "type":"object"}'), name="N", strict=True, description="D")
    body, dropped = sent(max_tokens=9, temperature=1.5, top_k=4, stop=["A", " "], seed=1, output=output)
    assert body["inferenceConfig"] == {"maxTokens": 9, "temperature": 1.0, "stopSequences": ["A"]}
    assert body["additionalModelRequestFields"] == {"top_k": 4}
    assert body["additionalModelResponseFieldPaths"] == ["/stop_sequence"]
    definition = {"schema": '{ "type":"object"}', "name": "N", "description": "D"}
    assert body["outputConfig"] == {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": definition}}}
    assert dropped == ("seed", "temperature (clamped to 1)", "stop (blank)")
    assert sent(NOVA, top_k=4)[0]["additionalModelRequestFields"] == {"inferenceConfig": {"topK": 4}}
    assert sent(LLAMA, top_k=4)[1] == ("top_k",)
    assert sent(output=OutputFormat(kind="json"))[1] == ("response_format (json_object)",)


LOW, HIGH, OFF = Reasoning(effort="low"), Reasoning(effort="high"), Reasoning(enabled=False)


@pytest.mark.parametrize(
    ("model", "fields", "more", "config", "dropped"),
    [
        (MODEL, {"reasoning": LOW}, {"thinking": {"type": "enabled", "budget_tokens": 2048}}, {"maxTokens": 32_000}, ()),
        (MODEL, {"reasoning": OFF}, {"thinking": {"type": "disabled"}}, None, ()),
        (NOVA, {"reasoning": LOW}, None, None, ("reasoning_effort",)),
        (NOVA_2, {"reasoning": LOW}, {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}, None, ()),
        (NOVA_2, {"reasoning": OFF}, {"reasoningConfig": {"type": "disabled"}}, None, ()),
        (
            NOVA_2,
            {"reasoning": HIGH, "temperature": 0.5},
            {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}},
            None,
            ("temperature",),
        ),
        (
            NOVA_2,
            {"reasoning": HIGH, "max_tokens": 50},
            {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"}},
            {"maxTokens": 50},
            ("reasoning_effort (sent as medium)",),
        ),
        (GPT_OSS, {"reasoning": Reasoning(enabled=True, budget_tokens=20_000)}, {"reasoning_effort": "high"}, None, ()),
        (GPT_OSS, {"reasoning": OFF}, None, None, ()),
        (LLAMA, {"reasoning": LOW}, None, None, ("reasoning_effort",)),
        (LLAMA, {"reasoning": OFF}, None, None, ()),
    ],
)
def test_the_wish_to_think_in_each_familys_words(
    model: str, fields: dict[str, Any], more: Any, config: Any, dropped: tuple[str, ...]
) -> None:
    body, named = sent(model, **fields)
    assert (body.get("additionalModelRequestFields"), body.get("inferenceConfig"), named) == (more, config, dropped)


def test_adaptive_models_take_an_effort() -> None:
    body, dropped = sent(CLAUDE_46, reasoning=HIGH)
    assert body["additionalModelRequestFields"] == {"thinking": {"type": "adaptive"}}
    assert body["outputConfig"] == {"effort": "high"} and dropped == ()


def test_labels_tier_and_user() -> None:
    body, dropped = sent(metadata=Raw(b'{"team":"a b"}'), service_tier="flex", user="u1", extras={"store": Raw(b"true")})
    assert (body["requestMetadata"], body["serviceTier"]) == ({"team": "a b"}, {"type": "flex"})
    assert dropped == ("store", "user")
    for metadata in (b'{"a":"<b>"}', b'{"a":1}', b"[]", b'{"":"x"}'):
        assert sent(metadata=Raw(metadata))[1] == ("metadata",), metadata
    assert sent(service_tier="auto")[1] == () and sent(service_tier="scale")[1] == ("service_tier",)


def test_one_decoded_request_can_be_sent_to_one_target_after_another() -> None:
    request = ChatRequest(
        dialect="openai_chat", model="m", messages=[user(Text(text="u", cache=CacheMark()))], reasoning=LOW, top_k=3
    )
    first = DIALECT.encode_request(request, MODEL, Quirks())
    DIALECT.encode_request(request, NOVA_2, Quirks())
    DIALECT.encode_request(request, LLAMA, Quirks())
    assert DIALECT.encode_request(request, MODEL, Quirks()) == first


def test_claudes_betas_reach_claude() -> None:
    request = ChatRequest(dialect="anthropic", model="m", messages=[user()], extras={"anthropic_beta": Raw(b'["b"]')})
    body, dropped = DIALECT.encode_request(request, MODEL, Quirks())
    assert json.loads(body)["additionalModelRequestFields"] == {"anthropic_beta": ["b"]} and dropped == ()
    assert DIALECT.encode_request(request, NOVA, Quirks())[1] == ("anthropic_beta",)
