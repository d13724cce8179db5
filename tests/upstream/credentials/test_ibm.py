from __future__ import annotations

from time import time
from typing import Any
from urllib.parse import parse_qs

import pytest

from freehold.base.errors import CredentialUnavailable
from freehold.config.schema import CredentialConfig
from freehold.upstream.credentials.ibm import ibm_credential
from freehold.upstream.credentials.rotating import Bearer
from tests.upstream.credentials.asking import Places

IAM = "https://iam.cloud.ibm.com/identity/token"


def credential(places: Places, env: dict[str, str], **given: Any) -> Bearer:
    return ibm_credential("watsonx", CredentialConfig(type="ibm", **given), places, env)


@pytest.mark.parametrize("reply", [{"expires_in": 3600}, {"expiration": time() + 3600}])
async def test_a_key_is_exchanged_for_a_token(reply: dict[str, float]) -> None:
    places = Places()
    places.answers[IAM] = (200, {"access_token": "ey.tok", "token_type": "Bearer", **reply})
    ibm = credential(places, {"WATSONX_APIKEY": "other"}, api_key="k+1")
    for _ in range(3):
        await ibm.ready()
        assert ibm.lines("POST", "h", "/", b"") == b"authorization: Bearer ey.tok\r\n"
    (asked,) = places.seen
    assert parse_qs(asked.body) == {"grant_type": ["urn:ibm:params:oauth:grant-type:apikey"], "apikey": ["k+1"]}
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"


async def test_the_key_may_be_in_the_environment() -> None:
    places = Places()
    places.answers[IAM] = (200, {"access_token": "t", "expires_in": 60})
    await credential(places, {"IBM_CLOUD_API_KEY": " k2\n"}).ready()
    assert parse_qs(places.seen[0].body)["apikey"] == ["k2"]


@pytest.mark.parametrize(
    ("env", "answer", "says"),
    [
        ({}, None, "set WATSONX_APIKEY"),
        ({"WATSONX_APIKEY": "k"}, (400, {"errorCode": "BXNIM0415E", "errorMessage": "key k"}), "400 BXNIM0415E"),
        ({"WATSONX_APIKEY": "k"}, (400, b"<html>"), "refused the API key: 400"),
        ({"WATSONX_APIKEY": "k"}, (200, b"{}"), "no token"),
    ],
)
async def test_what_goes_wrong_is_said_without_the_key(env: dict[str, str], answer: Any, says: str) -> None:
    places = Places()
    if answer is not None:
        places.answers[IAM] = answer
    with pytest.raises(CredentialUnavailable) as raised:
        await credential(places, env).ready()
    assert says in str(raised.value) and "key k" not in str(raised.value)
