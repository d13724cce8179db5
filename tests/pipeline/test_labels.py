from __future__ import annotations

from typing import Any

import pytest

from freehold.pipeline.labels import MAX_LENGTH, MAX_NAME, MAX_TAGS, MAX_VALUE, tags_of
from tests.pipeline.conftest import RunningGateway
from tests.pipeline.test_serve import CHAT, MESSAGES, ask, ask_anthropic


@pytest.mark.parametrize(
    ("header", "tags"),
    [
        (b"team=search, urgent ,a=", {"team": "search", "urgent": "", "a": ""}),
        (b"", {}),
        (b" , ,=x,==", {}),
        (b"a=1,a=2", {"a": "2"}),
        (b"a=b=c", {"a": "b=c"}),
        ("é=ü".encode(), {"é": "ü"}),
        (b"\xff=\xfe", {"\ufffd": "\ufffd"}),
        (b"a\tb=1", {"a\ufffdb": "1"}),
        (b"n" * 500 + b"=" + b"v" * 500, {"n" * MAX_NAME: "v" * MAX_VALUE}),
        (b",".join(b"t%d" % n for n in range(50)) + b",t0=last", {f"t{n}": "last" * (n == 0) for n in range(MAX_TAGS)}),
    ],
)
def test_tags_are_names_with_values_or_without(header: bytes, tags: dict[str, str]) -> None:
    assert tags_of(header) == tags


def test_a_header_of_any_size_becomes_few_and_short_tags() -> None:
    found = tags_of(b"a,b=c," * 100_000)
    assert found == {"a": "", "b": "c"}


@pytest.mark.parametrize(
    ("path", "body", "user"),
    [
        (CHAT, ask(user="u-1"), "u-1"),
        (CHAT, ask(user="old", safety_identifier="new"), "new"),
        (CHAT, ask(user=""), ""),
        (CHAT, ask(user=17), ""),
        (CHAT, ask(user="a\nb\u0000" + "x" * 1000), "a\ufffdb\ufffd" + "x" * (MAX_LENGTH - 4)),
        (CHAT, ask(metadata={"user_id": "not said to be one there"}), ""),
        (MESSAGES, ask_anthropic(metadata={"user_id": "u-2"}), "u-2"),
        (MESSAGES, ask_anthropic(metadata={}), ""),
        (MESSAGES, ask_anthropic(metadata=[]), ""),
        (MESSAGES, ask_anthropic(metadata={"user_id": 5}), ""),
    ],
)
async def test_the_end_user_is_whom_the_request_names(gateway: RunningGateway, path: str, body: Any, user: str) -> None:
    await gateway.upstream("lab", "anthropic" if path == MESSAGES else "openai_chat")
    await gateway.call(path, body)
    assert (await gateway.line()).end_user == user


async def test_headers_name_user_session_and_tags_and_go_no_further(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab")
    labels = {"x-freehold-user": " header ", "x-freehold-session": "s-1", "x-freehold-tags": "team=search,urgent"}
    await gateway.call(CHAT, ask(user="body"), headers=labels)
    line = await gateway.line()
    assert (line.end_user, line.session, line.tags) == ("header", "s-1", {"team": "search", "urgent": ""})
    assert not [name for name in lab.seen[0].headers if name.startswith("x-freehold-")]


async def test_a_refused_call_has_its_labels_too(gateway: RunningGateway) -> None:
    await gateway.call(CHAT, ask("no/such-model"), headers={"x-freehold-user": "u", "x-freehold-tags": "t"})
    line = await gateway.line()
    assert (line.outcome, line.end_user, line.tags) == ("refused", "u", {"t": ""})


async def test_the_region_is_the_providers(gateway: RunningGateway) -> None:
    await gateway.upstream("lab", region="eu-west-1")
    await gateway.call(CHAT, ask())
    line = await gateway.line()
    assert (line.region, line.workspace, line.app, line.team, line.member) == ("eu-west-1", "default", "", "", "")
