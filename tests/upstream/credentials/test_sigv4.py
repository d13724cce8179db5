"""Against AWS's published examples, signatures made with botocore, and botocore itself where it is installed."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.upstream.credentials.sigv4 import AwsKeys, Signer

KEYS = AwsKeys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
EMPTY = sha256(b"").hexdigest()
STAMP = "20150830T123600Z"
UNIX_S = 1440938160
BODY = b'{"messages":[]}'
HOST = "bedrock-runtime.eu-west-1.amazonaws.com"
PATH = "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse"


@pytest.mark.parametrize(
    ("target", "signature"),
    [
        ("/", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),  # get-vanilla
        (
            "/?Param2=value2&Param1=value1",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),  # ...-order-key-case
    ],
)
def test_published_examples(target: str, signature: str) -> None:
    headers = [("host", "example.amazonaws.com"), ("x-amz-date", STAMP)]
    assert Signer("us-east-1", "service").sign(KEYS, "GET", target, headers, EMPTY, STAMP) == ("host;x-amz-date", signature)


@pytest.mark.parametrize(
    ("token", "names", "signature"),
    [
        ("", "", "19bc068baa3991ab9eeafbe4751bf10864481eea288e9fe22f4fbb54464eea32"),
        ("SESSION/TOKEN==", ";x-amz-security-token", "0767ec18897134e13d21fc07dacb1e3fb986f851b4e6e38746b51e328c91da76"),
    ],
)
def test_the_lines_of_a_call(token: str, names: str, signature: str) -> None:
    keys = AwsKeys(KEYS.access_key_id, KEYS.secret_access_key, token)
    lines = Signer("eu-west-1", "bedrock").lines(keys, "POST", HOST, PATH, BODY, UNIX_S).decode()
    scope = "20150830/eu-west-1/bedrock/aws4_request"
    assert lines == (
        f"x-amz-content-sha256: {sha256(BODY).hexdigest()}\r\nx-amz-date: {STAMP}\r\n"
        + (f"x-amz-security-token: {token}\r\n" if token else "")
        + f"authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{scope}, "
        + f"SignedHeaders=host;x-amz-content-sha256;x-amz-date{names}, Signature={signature}\r\n"
    )


def test_everything_signed_changes_the_signature() -> None:
    def signature(**change: Any) -> str:
        given = {"method": "POST", "authority": HOST, "target": PATH, "body": b"{}", "unix_s": UNIX_S} | change
        return Signer("eu-west-1", "bedrock").lines(KEYS, **given).decode().rpartition("Signature=")[2]

    changes: list[dict[str, Any]] = [
        {},
        {"method": "GET"},
        {"authority": "x"},
        {"target": PATH + "?a=1"},
        {"body": b"{ }"},
        {"unix_s": UNIX_S + 1},
    ]
    assert len({signature(**change) for change in changes}) == len(changes)


def test_the_derived_key_follows_the_day_and_the_secret() -> None:
    signer = Signer("eu-west-1", "bedrock")
    other = AwsKeys("AKIDEXAMPLE", "another")
    for keys, unix_s in ((KEYS, UNIX_S), (KEYS, UNIX_S + 86_400), (other, UNIX_S + 86_400), (KEYS, UNIX_S)):
        fresh = Signer("eu-west-1", "bedrock").lines(keys, "POST", HOST, PATH, b"", unix_s)
        assert signer.lines(keys, "POST", HOST, PATH, b"", unix_s) == fresh


def test_keys_do_not_show_in_a_repr() -> None:
    assert "wJalr" not in repr(KEYS) and "AKID" not in repr(KEYS)


TEXT = st.text("abcXYZ019-._~%:=@ é&!$'()*,;/", min_size=1, max_size=40)


@given(TEXT, st.sampled_from(["", ":", ":@"]), st.binary(max_size=200), st.sampled_from(["", "?b=2&a=1", "?a=x%20y&a=b"]))
def test_it_signs_as_botocore_does(model: str, safe: str, body: bytes, query: str) -> None:
    auth = pytest.importorskip("botocore.auth")
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    target = f"/model/{quote(model, safe=safe)}/converse{query}"
    if model in (".", ".."):
        return
    stamp = datetime.fromtimestamp(UNIX_S, UTC).replace(tzinfo=None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(auth, "get_current_datetime", lambda *_, **__: stamp)
        request = AWSRequest(
            "POST", f"https://{HOST}{target}", data=body, headers={"x-amz-content-sha256": sha256(body).hexdigest()}
        )
        auth.SigV4Auth(Credentials(KEYS.access_key_id, KEYS.secret_access_key), "bedrock", "eu-west-1").add_auth(request)
    ours = Signer("eu-west-1", "bedrock").lines(KEYS, "POST", HOST, target, body, UNIX_S).decode()
    assert f"authorization: {request.headers['Authorization']}\r\n" in ours
