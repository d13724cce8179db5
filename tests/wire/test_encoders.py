"""What every dialect's encoder may raise, whatever the request: Unsupported alone.

A request that its own dialect has accepted is no client's mistake any more. Another target of the route may take it, and
only Unsupported lets the next one be asked.
"""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Raw

from freehold.base.errors import Unsupported
from freehold.wire.chat import ChatRequest, File, Media, Message, Text, Tool, ToolChoice, ToolResult, ToolUse
from freehold.wire.dialect import Quirks
from freehold.wire.registry import DIALECTS

HI = Message(role="user", parts=[Text(text="hi")])
CALL = Message(role="assistant", parts=[ToolUse(id="a", name="f", arguments="{}")])
RESULT = Message(role="tool", parts=[ToolResult(call_id="a", parts=[Text(text="ok")])])
LATIN_1 = Media(kind="base64", value="6Q==", media_type="text/plain")

ODD: dict[str, dict[str, Any]] = {
    "no user message": {"messages": [Message(role="system", parts=[Text(text="S")])]},
    "blank user message": {"messages": [Message(role="user", parts=[Text(text=" ")])]},
    "call without result": {"messages": [HI, CALL, HI]},
    "call at the end": {"messages": [HI, CALL]},
    "result without call": {"messages": [HI, RESULT]},
    "result twice": {"messages": [HI, CALL, RESULT, RESULT]},
    "arguments that are no JSON": {
        "messages": [HI, Message(role="assistant", parts=[ToolUse(id="a", name="f", arguments="{")]), RESULT]
    },
    "choice among no tools": {"messages": [HI], "tool_choice": ToolChoice(mode="required")},
    "parameters that are no object": {"messages": [HI], "tools": [Tool(name="f", parameters=Raw(b"[]"))]},
    "file that is no UTF-8": {"messages": [Message(role="user", parts=[File(media=LATIN_1, name="a.txt")])]},
    "file that is no base64": {
        "messages": [Message(role="user", parts=[File(media=Media(kind="base64", value="!", media_type="text/plain"))])]
    },
    "several choices": {"messages": [HI], "n": 3},
}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("case", ODD)
def test_an_encoder_refuses_with_unsupported_alone(dialect: str, case: str) -> None:
    for source in DIALECTS:
        request = ChatRequest(dialect=source, model="m", **ODD[case])
        try:
            body, _ = DIALECTS[dialect].encode_request(request, "m", Quirks())
        except Unsupported as error:
            assert error.message and error.param
        else:
            assert body.startswith(b"{")
