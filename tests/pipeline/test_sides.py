from __future__ import annotations

import pytest
from msgspec import json

from freehold.config.schema import Config, ProviderConfig
from freehold.pipeline.objects import Objects, compile_snapshot
from freehold.pipeline.runtime import make_target
from freehold.pipeline.sides import sides
from freehold.upstream.catalogue import PROVIDERS, ProviderRow, load
from freehold.upstream.transport import Origin
from tests.pipeline.conftest import KEY, RunningGateway
from tests.pipeline.upstream import Act, reply, stream

ROW = """
[two]
title = "Two dialects"
base_url = "https://api.two.example/v1"
env = ["TWO_API_KEY"]
kinds = ["chat", "embeddings"]
[two.quirks]
drop = ["user"]
[two.also]
anthropic = { base = "/claude", auth = "x-api-key", kinds = ["chat"] }
smoke_signals = ""
"""


def row(text: str = ROW) -> ProviderRow:
    return next(iter(load(text).values()))


def test_each_side_has_its_own_address_auth_kinds_and_quirks() -> None:
    main, by_dialect = sides("two", ProviderConfig(api_key="sk-1"), row(), None)
    other = by_dialect["anthropic"]
    assert set(by_dialect) == {"openai_chat", "anthropic"} and by_dialect["openai_chat"] is main
    assert (main.prefix, main.quirks.drop) == ("/v1", ("user",))
    assert (other.prefix, other.quirks.drop, other.kinds) == ("/claude", (), {"chat"})
    assert b"authorization: Bearer sk-1\r\n" in main.head("/v1/chat/completions")
    assert b"x-api-key: sk-1\r\n" in other.head("/claude/v1/messages")


def test_a_main_dialect_that_is_not_spoken_here_leaves_the_row_to_the_next() -> None:
    text = '[n]\ntitle="N"\ndialect="smoke_signals"\nbase_url="https://n.example/x"\nenv=["N_KEY"]\n'
    main, _ = sides("n", ProviderConfig(), row(text + 'also={openai_chat="/v1"}'), None)
    assert (main.dialect.name, main.prefix) == ("openai_chat", "/v1")
    with pytest.raises(ValueError, match=r"providers\.n\.dialect: 'smoke_signals' is not spoken here"):
        sides("n", ProviderConfig(), row(text), None)


@pytest.mark.parametrize(
    ("base_url", "has"), [("http://gpu1:9000/v1", True), ("http://gpu1:9000/v1/", True), ("http://proxy/openai", False)]
)
def test_a_server_of_the_users_own_has_the_other_sides_where_its_paths_look_the_same(base_url: str, has: bool) -> None:
    _, by_dialect = sides("two", ProviderConfig(base_url=base_url), row(), None)
    assert ("anthropic" in by_dialect) is has
    assert all(side.origin.host in ("gpu1", "proxy") for side in by_dialect.values())


def test_a_vendors_other_address_is_never_called_where_the_user_gave_one() -> None:
    text = ROW.replace('base = "/claude"', 'base = "https://claude.two.example"')
    _, by_dialect = sides("two", ProviderConfig(base_url="http://proxy/v1", api_key="sk-1"), row(text), None)
    assert set(by_dialect) == {"openai_chat"}
    _, by_dialect = sides("two", ProviderConfig(), row(text), None)
    assert by_dialect["anthropic"].origin.host == "claude.two.example"


def test_naming_another_dialect_of_the_row_makes_it_the_only_one() -> None:
    main, by_dialect = sides("two", ProviderConfig(dialect="anthropic"), row(), None)
    assert main.prefix == "/claude" and set(by_dialect) == {"anthropic"}


def test_also_in_the_file_replaces_the_rows() -> None:
    _, by_dialect = sides("two", ProviderConfig(also={"anthropic": "https://b.example/y"}), row(), None)
    assert by_dialect["anthropic"].origin == Origin("https", "b.example", 443)
    assert set(sides("two", ProviderConfig(also={}), row(), None)[1]) == {"openai_chat"}


def test_a_gap_that_nothing_fills_is_named_by_its_path() -> None:
    with pytest.raises(ValueError, match=r"providers\.vertex-anthropic\.project: missing"):
        sides("vertex-anthropic", ProviderConfig(region="global"), PROVIDERS["vertex-anthropic"], None)


@pytest.mark.parametrize(
    ("region", "host", "location"),
    [("global", "aiplatform.googleapis.com", "global"), ("us-east5", "us-east5-aiplatform.googleapis.com", "us-east5")],
)
def test_the_global_region_has_an_address_of_its_own(region: str, host: str, location: str) -> None:
    main, _ = sides("v", ProviderConfig(region=region, project="p1"), PROVIDERS["vertex-anthropic"], None)
    assert main.origin.host == host
    assert main.prefix == f"/v1/projects/p1/locations/{location}/publishers/anthropic"


def test_azure_deployments_have_the_model_in_the_path_and_the_version_in_the_query() -> None:
    given = ProviderConfig(resource="res", api_key="k1")
    snapshot = compile_snapshot(Config(providers={"azure-deployments": given}), PROVIDERS)
    target = make_target(snapshot.space.providers["azure-deployments"], "my gpt/4")
    side = target.provider.main
    head = target.head(side, "/chat/completions")
    line = b"POST /openai/deployments/my%20gpt%2F4/chat/completions?api-version=2024-10-21 HTTP/1.1\r\n"
    assert head.startswith(line + b"host: res.openai.azure.com\r\n")
    assert b"api-key: k1\r\n" in head
    assert target.head(side, "/chat/completions") is head
    assert target.request_target(side, "/x?alt=sse").endswith("/x?alt=sse&api-version=2024-10-21")


async def test_a_client_of_each_dialect_passes_on_its_own_side(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab", also={"anthropic": "/claude"})
    body = {"model": "lab/m", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "hi"}]}
    usage = {"input_tokens": 3, "output_tokens": 1}
    lab.acts(reply(), Act(pieces=[json.encode({**message, "stop_reason": "end_turn", "stop_sequence": None, "usage": usage})]))
    assert (await gateway.call("/v1/chat/completions", body)).json["choices"][0]["message"]["content"] == "hi"
    got = await gateway.call("/v1/messages", body)
    assert got.json["content"] == [{"type": "text", "text": "hi"}]
    assert [seen.path for seen in lab.seen] == ["/v1/chat/completions", "/claude/v1/messages"]
    assert [line.translated for line in gateway.ledger] == [False, False]


async def test_a_kind_that_a_side_has_not_is_counted_here(gateway: RunningGateway) -> None:
    lab = await gateway.upstream("lab", dialect="openai_chat")
    body = {"model": "lab/m", "messages": [{"role": "user", "content": "one two three"}]}
    assert (await gateway.call("/v1/messages/count_tokens", body)).json["input_tokens"] > 0
    assert lab.seen == []


async def test_adding_an_openai_compatible_vendor_is_one_row(gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row of TOML, a key in the environment's place, and nothing else: whole and streamed calls work, quirks obeyed."""
    lab = await gateway.upstream("unused")
    text = f"""
    [newcomer]
    title = "A vendor of tomorrow"
    base_url = "{lab.url}/api/openai/v9"
    env = ["NEWCOMER_API_KEY"]
    [newcomer.quirks]
    rename = {{ max_completion_tokens = "max_tokens" }}
    """
    monkeypatch.setattr(gateway, "objects", Objects(load(text)))
    gateway.config.providers = {"newcomer": ProviderConfig(api_key="sk-newcomer")}
    gateway.reload()
    lab.acts(reply("welcome"), stream("one", " two"))
    body = {"model": "newcomer/big-1", "max_completion_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
    assert (await gateway.call("/v1/chat/completions", body)).json["choices"][0]["message"]["content"] == "welcome"
    got = await gateway.call("/v1/chat/completions", body | {"stream": True})
    assert b'"one"' in got.body and got.body.rstrip().endswith(b"data: [DONE]")
    assert [seen.path for seen in lab.seen] == ["/api/openai/v9/chat/completions"] * 2
    assert lab.seen[0].headers["authorization"] == "Bearer sk-newcomer"
    assert lab.seen[0].json == {"model": "big-1", "max_tokens": 9, "messages": body["messages"]}
    assert KEY not in str([seen.headers for seen in lab.seen])
    assert [(line.provider, line.input, line.output) for line in gateway.ledger] == [("newcomer", 10, 2)] * 2


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:9/api", "http://127.0.0.1:9/api/v1", "http://127.0.0.1:9/api/v1/"])
def test_the_version_may_stand_in_an_anthropic_base_url(base_url: str) -> None:
    main, _ = sides("mine", ProviderConfig(dialect="anthropic", base_url=base_url), None, None)
    assert main.prefix == "/api"
