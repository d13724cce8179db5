from __future__ import annotations

import pytest

from freehold.base.errors import InvalidRequest
from freehold.gateway.head import HeadReader
from freehold.gateway.request import Request
from freehold.gateway.websocket import accept_key, acceptance, unpack

HEADERS = {
    "Host": "h",
    "Connection": "keep-alive, Upgrade",
    "Upgrade": "WebSocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def asked(version: str = "1.1", **changed: str) -> Request:
    lines = {**HEADERS, **{name.replace("_", "-"): value for name, value in changed.items()}}
    head = f"GET /v1/realtime HTTP/{version}\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items() if v) + "\r\n"
    return HeadReader().read(head.encode(), "")


def test_the_standards_own_example_is_accepted() -> None:
    assert accept_key(b"dGhlIHNhbXBsZSBub25jZQ==") == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert b"sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in acceptance(asked())


def test_extensions_are_not_accepted() -> None:
    assert b"extensions" not in acceptance(asked(Sec_WebSocket_Extensions="permessage-deflate"))


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"Upgrade": ""}, 426),
        ({"Connection": "upgraded"}, 426),
        ({"version": "1.0"}, 426),
        ({"Sec_WebSocket_Version": ""}, 400),
        ({"Sec_WebSocket_Key": "dGhl"}, 400),
    ],
)
def test_what_is_no_websocket_is_refused(changed: dict[str, str], status: int) -> None:
    with pytest.raises(InvalidRequest) as refused:
        acceptance(asked(**changed))
    assert refused.value.status == status


@pytest.mark.parametrize(
    ("offered", "left", "key", "beta"),
    [
        (
            b"realtime, openai-insecure-api-key.fh_x, openai-beta.realtime-v1",
            b"realtime, openai-beta.realtime-v1",
            b"Bearer fh_x",
            b"realtime=v1",
        ),
        (b"realtime", b"realtime", None, None),
        (b"openai-insecure-api-key.a,openai-insecure-api-key.b", b"", b"Bearer a", None),
    ],
)
def test_a_key_among_the_subprotocols_becomes_a_header(
    offered: bytes, left: bytes, key: bytes | None, beta: bytes | None
) -> None:
    headers = {b"sec-websocket-protocol": offered}
    unpack(headers)
    assert headers[b"sec-websocket-protocol"] == left
    assert (headers.get(b"authorization"), headers.get(b"openai-beta")) == (key, beta)


def test_a_header_comes_before_a_subprotocol() -> None:
    headers = {b"sec-websocket-protocol": b"openai-insecure-api-key.b", b"authorization": b"Bearer a"}
    unpack(headers)
    assert headers == {b"sec-websocket-protocol": b"", b"authorization": b"Bearer a"}
