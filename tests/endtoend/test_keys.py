"""Every dialect's SDK puts the gateway's key where it is looked for, and whoever sends another credential is told what to do.

The official SDKs are clients where they are installed. Bedrock's wants TLS for a key, so the gateway has a certificate there.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from freehold.gateway.server import Server
from tests.endtoend.conftest import add_upstream
from tests.endtoend.speaking import SPOKEN, TEXT
from tests.pipeline.conftest import KEY, RunningGateway
from tests.pipeline.upstream import Act

HEADERS = {
    "openai_chat": {"authorization": f"Bearer {KEY}"},
    "openai_responses": {"authorization": f"Bearer {KEY}"},
    "openai_completions": {"api-key": KEY},  # Azure's clients
    "anthropic": {"x-api-key": KEY},
    "gemini": {"x-goog-api-key": KEY},
    "gemini array": {"authorization": f"Bearer {KEY}"},  # Vertex AI's clients
    "bedrock": {"authorization": f"Bearer {KEY}"},
    "bedrock_invoke": {"authorization": f"bearer {KEY}"},
    "cohere": {"authorization": f"Bearer {KEY}"},
    "ollama": {"authorization": f"Bearer {KEY}"},
    "ollama generate": {"authorization": f"Bearer {KEY}"},
}
SIGNED = (
    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/bedrock/aws4_request, SignedHeaders=host;x-amz-date, Signature=00"
)


@pytest.mark.parametrize("client", HEADERS)
async def test_the_key_is_found_where_the_dialects_sdk_puts_it(gateway: RunningGateway, client: str) -> None:
    server = await add_upstream(gateway, "openai_chat")
    server.acts(Act(pieces=[SPOKEN["openai_chat"].whole()]))
    spoken = SPOKEN[client]
    got = await gateway.call(spoken.path[0], spoken.ask(False), key=None, headers=HEADERS[client])
    assert spoken.read_whole(got.json) == TEXT
    assert KEY not in str(server.seen[0])


async def refusal(gateway: RunningGateway, client: str, query: str = "", **headers: str) -> str:
    await add_upstream(gateway, "openai_chat")
    spoken = SPOKEN[client]
    got = await gateway.call(spoken.path[0] + query, spoken.ask(False), key=None, headers=headers)
    assert got.status == 401 and KEY not in got.body.decode()
    return spoken.error(got.json)


async def test_a_key_in_geminis_url_is_not_taken_and_the_error_names_the_header(gateway: RunningGateway) -> None:
    """URLs end up in logs."""
    message = await refusal(gateway, "gemini", f"?key={KEY}")
    assert "x-goog-api-key" in message and "URL" in message


@pytest.mark.parametrize("client", ["bedrock", "bedrock_invoke"])
async def test_a_signed_request_is_told_to_use_a_bearer_token(gateway: RunningGateway, client: str) -> None:
    message = await refusal(gateway, client, authorization=SIGNED)
    assert "AWS_BEARER_TOKEN_BEDROCK" in message and "sign" in message


async def test_an_ollama_client_without_a_key_is_told_how_to_send_one(gateway: RunningGateway) -> None:
    assert "Authorization: Bearer" in await refusal(gateway, "ollama")


async def test_a_key_in_x_api_key_counts_beside_a_signature(gateway: RunningGateway) -> None:
    """A client that can only sign may send the key beside it."""
    (await add_upstream(gateway, "openai_chat")).acts(Act(pieces=[SPOKEN["openai_chat"].whole()]))
    spoken = SPOKEN["bedrock"]
    headers = {"authorization": SIGNED, "x-api-key": KEY}
    assert (await gateway.call(spoken.path[0], spoken.ask(False), key=None, headers=headers)).status == 200


# --- the SDKs themselves -----------------------------------------------------------------


def _google(base: str) -> Any:
    from google import genai

    client = genai.Client(api_key=KEY, vertexai=False, http_options={"base_url": base})
    return client.models.generate_content(model="m", contents="Hello").text


def _cohere(base: str) -> Any:
    import cohere

    client: Any = cohere.ClientV2(api_key=KEY, base_url=base)
    return client.chat(model="m", messages=[{"role": "user", "content": "Hello"}]).message.content[0].text


def _ollama(base: str) -> Any:
    import ollama

    client = ollama.Client(host=base, headers={"Authorization": f"Bearer {KEY}"})
    return client.chat(model="m", messages=[{"role": "user", "content": "Hello"}]).message.content


def _openai(base: str) -> Any:
    import openai

    return openai.OpenAI(api_key=KEY, base_url=f"{base}/v1").responses.create(model="m", input="Hello").output_text


def _anthropic(base: str) -> Any:
    import anthropic

    client = anthropic.Anthropic(api_key=KEY, base_url=base)
    block: Any = client.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": "Hello"}]).content[0]
    return block.text


SDKS: dict[str, Callable[[str], Any]] = {
    "google.genai": _google,
    "cohere": _cohere,
    "ollama": _ollama,
    "openai": _openai,
    "anthropic": _anthropic,
}


@pytest.mark.parametrize("package", SDKS)
async def test_an_sdk_with_the_key_set_as_its_maker_says_is_let_in(gateway: RunningGateway, package: str) -> None:
    pytest.importorskip(package, reason=f"the official SDK is not here: {package}")
    (await add_upstream(gateway, "openai_chat")).acts(Act(pieces=[SPOKEN["openai_chat"].whole()]))
    assert await asyncio.to_thread(SDKS[package], f"http://127.0.0.1:{gateway.port}") == TEXT


async def test_boto3_with_a_bearer_token_is_let_in_over_tls(
    gateway: RunningGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boto3 = pytest.importorskip("boto3", reason="the official SDK is not here: boto3")
    (await add_upstream(gateway, "openai_chat")).acts(Act(pieces=[SPOKEN["openai_chat"].whole()]))
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = Server(gateway.gateway, gateway.config.server, ssl_context=context)
    listener = await _listening(server)
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", KEY)

    def ask() -> str:
        client = boto3.client(
            "bedrock-runtime",
            region_name="us-east-1",
            endpoint_url=f"https://127.0.0.1:{listener}",
            verify=str(tmp_path / "ca.pem"),
        )
        reply = client.converse(modelId="m", messages=[{"role": "user", "content": [{"text": "Hello"}]}])
        return str(reply["output"]["message"]["content"][0]["text"])

    try:
        assert await asyncio.to_thread(ask) == TEXT
    finally:
        await server.drain(1)


async def _listening(server: Server) -> int:
    import socket

    listener = socket.create_server(("127.0.0.1", 0))
    await server.start([listener])
    port: int = listener.getsockname()[1]
    return port
