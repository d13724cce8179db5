"""What a workspace's callers can reach: their own providers and routes, and nothing of another's or of this machine's."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from freehold.config.discover import effective
from freehold.config.schema import AdminConfig, Config, ProviderConfig, RouteConfig, TargetConfig
from freehold.pipeline.runtime import Provider
from freehold.pipeline.spaces import UNOPENED, Made, Parts, other_parts, own_parts
from freehold.store.feed import ProviderLine, RouteLine
from freehold.upstream.catalogue import PROVIDERS
from freehold.upstream.credentials import Credentials
from freehold.upstream.pool import Pool
from tests import client
from tests.pipeline.conftest import RunningGateway, gateway
from tests.pipeline.test_objects import key, lab, route
from tests.pipeline.upstream import ScriptedUpstream, reply

__all__ = ["gateway"]


def made(*lines: ProviderLine | RouteLine, **secrets: str | None) -> Made:
    providers = [line for line in lines if isinstance(line, ProviderLine)]
    return Made(providers, [line for line in lines if isinstance(line, RouteLine)], dict(secrets))


def other(*lines: ProviderLine | RouteLine, **secrets: str | None) -> Parts:
    return other_parts(made(*lines, **secrets), PROVIDERS)


def own(config: Config, *lines: ProviderLine | RouteLine, **secrets: str | None) -> Parts:
    return own_parts(config, made(*lines, **secrets), PROVIDERS, Credentials(Pool()))


def provider(name: str, **config: Any) -> ProviderLine:
    return ProviderLine(workspace="w", id=f"provider_{name}", name=name, config=config)


def authorization(found: Provider) -> bytes:
    head = found.main.head("/x")
    return b"".join(line for line in head.split(b"\r\n") if line.lower().startswith((b"authorization", b"x-api-key")))


def refused(parts: Parts) -> dict[str, str]:
    return {one.name: one.problem for one in parts.refused}


# --- another workspace ---


@pytest.fixture(autouse=True)
def keys_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")


def test_it_has_what_it_defines_and_nothing_else() -> None:
    parts = other(lab("w"), route("fast", "lab/m", workspace="w"))
    assert list(parts.providers) == ["lab"] and list(parts.routes) == ["fast"] and not parts.refused
    assert other().providers == {}, "neither the sandbox nor the environment's providers"


def test_the_environments_keys_are_not_its_own() -> None:
    parts = other(provider("openai"), route("fast", "openai/gpt-5", workspace="w"))
    assert parts.providers == {} and parts.routes == {}
    assert "has no key" in refused(parts)["openai"]
    assert "sk-of-the-environment" not in repr(parts)


def test_its_own_credential_makes_a_known_provider_there() -> None:
    parts = other(openai="sk-of-w")
    assert authorization(parts.providers["openai"]) == b"authorization: Bearer sk-of-w"


def test_a_local_server_of_this_machine_is_reached_by_no_route_of_it() -> None:
    parts = other(route("fast", "ollama/llama3", workspace="w"))
    assert parts.routes == {} and parts.providers == {}


@pytest.mark.parametrize(
    "config",
    [
        {"credential": {"type": "aws"}, "region": "eu-west-1"},
        {"credential": {"type": "google", "file": "/etc/hostname"}},
        {"credential": {"type": "aws", "profile": "root"}, "region": "eu-west-1"},
        {"ca_file": "/etc/hostname", "api_key": "sk-aaaaaaaaaaaaaaaa"},
        {},  # its kind of provider takes the machine's credentials by itself
    ],
)
def test_this_machines_cloud_credentials_and_files_are_not_its_own(config: dict[str, Any]) -> None:
    parts = other(provider("bedrock", **{"region": "us-east-1", **config}))
    assert parts.providers == {} and "bedrock" in refused(parts)


def test_the_region_of_the_environment_is_not_its_own() -> None:
    assert "no region" in refused(other(provider("bedrock"), bedrock="key-of-w"))["bedrock"]
    assert "bedrock" in other(provider("bedrock", region="us-east-1"), bedrock="key-of-w").providers


def test_a_reference_to_a_secret_is_a_text_like_any_other() -> None:
    """`${...}`, `file:` and `vault:` are the file's: who writes them here would read this machine's secrets."""
    for text in ("${OPENAI_API_KEY}", "file:/etc/hostname", "vault:secret/x#y"):
        parts = other(lab("w", api_key=text))
        assert authorization(parts.providers["lab"]) == b"authorization: Bearer " + text.encode()


def test_mistakes_are_left_out_one_by_one_and_told() -> None:
    parts = other(
        lab("w"),
        provider("nobody-knows"),
        provider("odd", dialect="openai_chat", base_url="ftp://h"),
        provider("wrong", dialect="openai_chat", base_url="http://h", no_such_field=1),
        provider("off", dialect="openai_chat", base_url="http://h", enabled=False),
        RouteLine(workspace="w", id="r1", name="bad", config={"targets": []}),
        route("a", "lab/m", "nobody-knows/m", workspace="w"),
        route("b", "off/m", workspace="w"),
    )
    assert list(parts.providers) == ["lab"] and list(parts.routes) == ["a"]
    assert [target.label for target in parts.routes["a"].targets] == ["lab/m"]
    assert set(refused(parts)) == {"nobody-knows", "odd", "wrong", "bad", "a", "b"}


def test_a_provider_without_an_openable_credential_is_off() -> None:
    parts = other(lab("w"), lab=None)
    assert parts.providers == {} and refused(parts)["lab"] == UNOPENED


# --- workspace default ---


FILE = Config(
    discover=False,
    providers={"lab": ProviderConfig(dialect="openai_chat", base_url="http://file/v1")},
    routes={"fast": RouteConfig(targets=[TargetConfig(provider="lab", model="m")])},
)


def test_the_file_comes_first_and_says_so() -> None:
    parts = own(FILE, lab(base_url="http://database/v1"), route("fast", "lab/other"), lab(name="more"))
    assert parts.providers["lab"].main.origin.host == "file" and set(parts.providers) == {"lab", "more"}
    assert parts.routes["fast"].targets[0].model == "m"
    assert all("comes first" in refused(parts)[name] for name in ("lab", "fast"))


def test_a_credential_of_the_database_serves_a_provider_of_the_file_that_has_none() -> None:
    assert authorization(own(FILE, lab="sk-made").providers["lab"]) == b"authorization: Bearer sk-made"
    given = Config(providers={"lab": ProviderConfig(dialect="openai_chat", base_url="http://h/v1", api_key="sk-file")})
    assert authorization(own(given, lab="sk-made").providers["lab"]) == b"authorization: Bearer sk-file"


def test_known_providers_with_keys_in_the_environment_are_its_own() -> None:
    parts = own(effective(Config(), {"OPENAI_API_KEY": "sk-env"}, PROVIDERS).config, route("r", "openai/gpt-5"))
    assert authorization(parts.routes["r"].targets[0].provider) == b"authorization: Bearer sk-env"
    parts = own(Config(discover=False), route("r", "openai/gpt-5"))
    assert authorization(parts.routes["r"].targets[0].provider) == b"authorization: Bearer sk-of-the-environment"
    assert set(parts.providers) == {"openai"}


# --- and by HTTP ---


async def serve(gateway: RunningGateway, workspace: str, text: str, *, private: bool = True) -> ScriptedUpstream:
    """A provider "lab" and a route "fast" of a workspace, whose key is its name."""
    upstream = ScriptedUpstream()
    await upstream.start()
    upstream.acts(*[reply(text)] * 9)
    gateway.upstreams[workspace] = upstream
    if private:
        gateway.config = structs.replace(gateway.config, admin=AdminConfig(private_networks=True))
        gateway.objects.use(gateway.config)
    lines = (lab(workspace, base_url=f"{upstream.url}/v1"), route("fast", "lab/m", workspace=workspace))
    gateway.objects.apply([*lines, key(f"key-of-{workspace}", workspace)])
    while gateway.objects.compile_next():
        pass
    return upstream


async def ask(gateway: RunningGateway, workspace: str, model: str) -> client.Answered:
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
    return await gateway.call("/v1/chat/completions", body, key=f"key-of-{workspace}")


async def test_two_workspaces_with_the_same_names_reach_their_own(gateway: RunningGateway) -> None:
    await serve(gateway, "one", "I am one")
    await serve(gateway, "two", "I am two")
    for workspace in ("one", "two", "one"):
        for model in ("fast", "lab/m"):
            got = await ask(gateway, workspace, model)
            assert got.json["choices"][0]["message"]["content"] == f"I am {workspace}"
    assert [line.workspace for line in gateway.ledger] == ["one", "one", "two", "two", "one", "one"]


async def test_a_providers_address_inside_is_called_only_where_that_is_allowed(gateway: RunningGateway) -> None:
    upstream = await serve(gateway, "one", "I am inside", private=False)
    got = await ask(gateway, "one", "fast")
    assert got.status == 502 and "public internet" in got.json["error"]["message"] and not upstream.seen
    gateway.config = structs.replace(gateway.config, admin=AdminConfig(private_networks=True))
    gateway.objects.use(gateway.config)
    while gateway.objects.compile_next():
        pass
    assert (await ask(gateway, "one", "fast")).status == 200


async def test_nothing_of_another_workspace_can_be_asked_for_or_seen(gateway: RunningGateway) -> None:
    await gateway.upstream("mine")
    gateway.route("secret-route", "mine/m")
    await serve(gateway, "one", "I am one")
    for model in ("secret-route", "mine/m", "sandbox/echo"):
        got = await ask(gateway, "one", model)
        assert got.status == 404 and "secret-route" not in got.json["error"]["message"].replace(model, "")
    listed = await gateway.call("/v1/models", method="GET", key="key-of-one")
    assert [card["id"] for card in listed.json["data"]] == ["fast"]
    for path in ("/passthrough/mine/v1/x", "/mine/v1/files", "/v1/models/secret-route", "/v1beta/models/secret-route"):
        got = await gateway.call(path, method="GET", key="key-of-one")
        assert got.status == 404 and b"mine" not in got.body.replace(b"'mine'", b"")
    tags = await gateway.call("/api/tags", method="GET", key="key-of-one")
    assert [model["name"] for model in tags.json["models"]] == ["fast"]
    assert not gateway.upstreams["mine"].seen
