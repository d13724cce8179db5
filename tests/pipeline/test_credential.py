"""Calls to providers whose credential is a signature or a token, over real sockets."""

from __future__ import annotations

import re
import time
from calendar import timegm
from typing import Any

import pytest
from msgspec import json

from freehold.config.schema import CredentialConfig, ProviderConfig
from freehold.pipeline.objects import Objects, compile_snapshot
from freehold.upstream.catalogue import PROVIDERS
from freehold.upstream.credentials import Credentials, azure, ibm
from freehold.upstream.credentials.sigv4 import AwsKeys, Signer
from tests.pipeline.conftest import RunningGateway
from tests.pipeline.taking import Sender
from tests.pipeline.upstream import Act, ScriptedUpstream, reply

BODY = {"model": "lab/m", "messages": [{"role": "user", "content": "x"}]}
CHAT = "/v1/chat/completions"


async def with_credential(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch, env: dict[str, str], **given: Any
) -> ScriptedUpstream:
    monkeypatch.setattr(gateway, "objects", Objects(PROVIDERS, Credentials(gateway.pool, env)))
    lab = await gateway.upstream("lab")
    gateway.config.providers["lab"] = ProviderConfig(
        dialect="openai_chat", base_url=f"{lab.url}/v1", region="eu-west-1", credential=CredentialConfig(**given)
    )
    gateway.reload()
    return lab


async def test_each_call_is_signed_over_what_is_sent(gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = await with_credential(gateway, monkeypatch, {}, type="aws", access_key_id="AKIA1", secret_access_key="hush")
    for text in ("one", "two"):
        assert (await gateway.call(CHAT, BODY | {"messages": [{"role": "user", "content": text}]})).status == 200
    assert len(lab.seen) == 2
    for seen in lab.seen:
        unix_s = timegm(time.strptime(seen.headers["x-amz-date"], "%Y%m%dT%H%M%SZ"))
        lines = Signer("eu-west-1", "bedrock").lines(
            AwsKeys("AKIA1", "hush"), "POST", seen.headers["host"], seen.path, seen.body, unix_s
        )
        assert f"authorization: {seen.headers['authorization']}\r\n".encode() in lines
        assert abs(unix_s - time.time()) < 60


async def test_an_upload_that_must_be_signed_is_held_until_it_is_whole(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = await with_credential(gateway, monkeypatch, {}, type="aws", access_key_id="AKIA1", secret_access_key="hush")
    sender = await Sender(gateway.port, "/passthrough/lab/anything", None).open()
    await sender.send([b"x" * 300_000])
    sender.end()
    assert (await sender.answer()).status == 200
    assert lab.seen[0].body == b"x" * 300_000
    assert "transfer-encoding" not in lab.seen[0].headers, "a body that is not known yet can't have been signed"


async def test_without_a_credential_the_call_fails_naming_the_provider_and_is_free(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = await with_credential(gateway, monkeypatch, {"HOME": "/nowhere"}, type="google", file="/nowhere/key.json")
    got = await gateway.call(CHAT, BODY)
    assert got.status == 503
    assert "provider 'lab'" in got.json["error"]["message"] and got.json["error"]["code"] == "credential_unavailable"
    line = await gateway.line()
    assert (line.outcome, line.error, line.input, line.output) == ("upstream_error", "credential_unavailable", 0, 0)
    assert lab.seen == []


async def test_another_target_takes_over(gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    await with_credential(gateway, monkeypatch, {"HOME": "/nowhere"}, type="google", file="/nowhere/key.json")
    spare = await gateway.upstream("spare")
    gateway.route("fast", "lab/m", "spare/m")
    assert (await gateway.call(CHAT, BODY | {"model": "fast"})).status == 200
    assert len(spare.seen) == 1


async def test_a_token_comes_through_the_pool_and_survives_a_reload(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    entra = await gateway.upstream("entra")
    entra.acts(Act(pieces=[json.encode({"access_token": "ey.1", "expires_in": 3600})]))
    monkeypatch.setattr(azure, "_AUTHORITIES", (entra.url,))
    env = {"AZURE_AUTHORITY_HOST": entra.url}
    ids = {"tenant_id": "t", "client_id": "c", "client_secret": "hush"}
    lab = await with_credential(gateway, monkeypatch, env, type="azure", **ids)
    lab.acts(reply())
    for _ in range(3):
        assert (await gateway.call(CHAT, BODY)).status == 200
        gateway.reload()
    assert [seen.headers["authorization"] for seen in lab.seen] == ["Bearer ey.1"] * 3
    assert [seen.path for seen in entra.seen] == ["/t/oauth2/v2.0/token"]
    assert not re.search(b"hush", b"".join(seen.body for seen in lab.seen))


async def test_watsonx_gets_a_token_for_its_key(gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    iam = await gateway.upstream("iam")
    iam.acts(Act(pieces=[json.encode({"access_token": "ey.ibm", "expires_in": 3600, "expiration": 0})]))
    monkeypatch.setattr(ibm, "_IAM", f"{iam.url}/identity/token")
    lab = await with_credential(gateway, monkeypatch, {}, type="ibm", api_key="hush")
    lab.acts(reply())
    for _ in range(2):
        assert (await gateway.call(CHAT, BODY)).status == 200
    assert [seen.headers["authorization"] for seen in lab.seen] == ["Bearer ey.ibm"] * 2
    assert [seen.path for seen in iam.seen] == ["/identity/token"]
    assert iam.seen[0].headers["content-type"] == "application/x-www-form-urlencoded" and b"hush" in iam.seen[0].body
    assert not any(b"hush" in seen.body for seen in lab.seen)


def test_a_fixed_key_has_no_credential_in_its_way() -> None:
    from freehold.config.schema import Config

    given = {"azure": ProviderConfig(resource="r", api_key="k"), "openai": ProviderConfig(api_key="k")}
    snapshot = compile_snapshot(Config(providers=given), PROVIDERS)
    assert all(side.credential is None for p in snapshot.space.providers.values() for side in p.sides.values())
