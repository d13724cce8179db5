from __future__ import annotations

from pathlib import Path
from time import time
from typing import Any
from urllib.parse import parse_qs

import pytest

from freehold.base.errors import CredentialUnavailable
from freehold.config.schema import CredentialConfig
from freehold.upstream.credentials.aws import AwsCredential
from tests.upstream.credentials.asking import Places

STS = "https://sts.eu-west-1.amazonaws.com/"
METADATA = "http://169.254.169.254/latest"
ROLES = f"{METADATA}/meta-data/iam/security-credentials/"
TEMPORARY = {
    "Code": "Success",
    "AccessKeyId": "ASIATEMP",
    "SecretAccessKey": "temp/secret",
    "Token": "tok/en==",
    "Expiration": "2099-01-01T00:00:00Z",
}
XML = """<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>
<AccessKeyId>ASIAWEB</AccessKeyId><SecretAccessKey>web/secret</SecretAccessKey><SessionToken>web==</SessionToken>
<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""


def credential(env: dict[str, str], places: Places | None = None, **given: Any) -> AwsCredential:
    config = CredentialConfig(type="aws", **given)
    return AwsCredential("bedrock", config, "eu-west-1", places or Places(), {"HOME": "/nowhere"} | env)


async def lines(aws: AwsCredential, authority: str = "bedrock-runtime.eu-west-1.amazonaws.com") -> str:
    await aws.ready()
    return aws.lines("POST", authority, "/model/m/converse", b"{}").decode()


async def problem(aws: AwsCredential) -> str:
    with pytest.raises(CredentialUnavailable) as raised:
        await aws.ready()
    assert "'bedrock'" in str(raised.value)
    return str(raised.value)


async def test_keys_of_the_configuration_come_first() -> None:
    env = {"AWS_ACCESS_KEY_ID": "AKIAENV", "AWS_SECRET_ACCESS_KEY": "s", "AWS_BEARER_TOKEN_BEDROCK": "b"}
    aws = credential(env, access_key_id="AKIACONF", secret_access_key="s3cret", session_token="t0ken")
    sent = await lines(aws)
    assert "Credential=AKIACONF/" in sent and "x-amz-security-token: t0ken\r\n" in sent and "s3cret" not in sent


async def test_a_bedrock_api_key_is_sent_as_it_is() -> None:
    assert await lines(credential({"AWS_BEARER_TOKEN_BEDROCK": " bk-1 "})) == "authorization: Bearer bk-1\r\n"


async def test_keys_of_the_environment() -> None:
    env = {"AWS_ACCESS_KEY_ID": "AKIAENV", "AWS_SECRET_ACCESS_KEY": "s\n"}
    assert "Credential=AKIAENV/" in await lines(credential(env))
    assert "secret access key is missing" in await problem(credential({"AWS_ACCESS_KEY_ID": "AKIAENV"}))


async def test_the_service_signed_for_follows_the_host() -> None:
    aws = credential({}, access_key_id="A", secret_access_key="s")
    assert "/eu-west-1/bedrock/aws4_request" in await lines(aws)
    assert "/eu-west-1/bedrock-mantle/aws4_request" in await lines(aws, "bedrock-mantle.eu-west-1.api.aws")


async def test_a_role_is_taken_with_the_web_identity_token_as_it_is_now(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("jwt-1\n")
    places = Places()
    places.answers[STS] = (200, XML.encode())
    env = {"AWS_WEB_IDENTITY_TOKEN_FILE": str(token), "AWS_ROLE_ARN": "arn:aws:iam::1:role/r+x"}
    sent = await lines(credential(env, places))
    assert "Credential=ASIAWEB/" in sent and "x-amz-security-token: web==\r\n" in sent
    assert {k: v[0] for k, v in parse_qs(places.seen[0].body).items()} == {
        "Action": "AssumeRoleWithWebIdentity",
        "Version": "2011-06-15",
        "RoleArn": "arn:aws:iam::1:role/r+x",
        "RoleSessionName": "freehold",
        "WebIdentityToken": "jwt-1",
    }


async def test_a_refused_web_identity_token_is_told_by_its_code_alone(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("jwt-hush")
    places = Places()
    places.answers[STS] = (
        403,
        b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>jwt-hush is bad</Message></Error></ErrorResponse>",
    )
    text = await problem(credential({}, places, role_arn="arn:r", web_identity_token_file=str(token)))
    assert "403 AccessDenied" in text and "hush" not in text
    assert "AWS_ROLE_ARN" in await problem(credential({"AWS_WEB_IDENTITY_TOKEN_FILE": str(token)}))
    assert "can't be read" in await problem(credential({}, role_arn="arn:r", web_identity_token_file="/nowhere/at/all"))


async def test_profiles(tmp_path: Path) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").write_text(
        "[default]\naws_access_key_id = AKIADEF\naws_secret_access_key = a%b\n[half]\nx = 1\n"
    )
    (tmp_path / ".aws/config").write_text(
        "[profile work]\naws_access_key_id=AKIAWORK\naws_secret_access_key=s\naws_session_token=t\n"
    )
    home = {"HOME": str(tmp_path)}
    assert "Credential=AKIADEF/" in await lines(credential(home))
    assert "Credential=AKIAWORK/" in await lines(credential(home | {"AWS_PROFILE": "work"}))
    assert "Credential=AKIAWORK/" in await lines(credential(home | {"AWS_ACCESS_KEY_ID": "AKIAENV"}, profile="work"))
    assert "'half' holds no aws_access_key_id" in await problem(credential(home, profile="half"))
    (tmp_path / ".aws/credentials").write_text("no section\n")
    assert "can't be read" in await problem(credential(home))


async def test_a_profile_is_looked_at_again(tmp_path: Path) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").write_text("[default]\naws_access_key_id = A\naws_secret_access_key = s\n")
    aws = credential({"HOME": str(tmp_path)})
    await aws.ready()
    assert aws._secret._timer is not None


@pytest.mark.parametrize(
    ("env", "url"),
    [
        ({"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/creds?id=1"}, "http://169.254.170.2/v2/creds?id=1"),
        ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/credentials"}, "http://169.254.170.23/v1/credentials"),
        ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "https://inside.example/c"}, "https://inside.example/c"),
    ],
)
async def test_the_containers_endpoint(env: dict[str, str], url: str, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("pod-token\n")
    places = Places()
    places.answers[url] = (200, TEMPORARY)
    sent = await lines(credential(env | {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(token)}, places))
    assert "Credential=ASIATEMP/" in sent and "x-amz-security-token: tok/en==\r\n" in sent
    assert places.seen[0].headers == {"authorization": "pod-token"}


async def test_the_containers_endpoint_is_https_or_near() -> None:
    places = Places()
    text = await problem(credential({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://elsewhere.example/c"}, places))
    assert "neither https nor this machine" in text and places.seen == []


async def test_the_machines_role_by_a_session_of_the_metadata_service() -> None:
    places = Places()
    places.answers = {
        f"{METADATA}/api/token": (200, b"session-1"),
        ROLES: (200, b"my-role\n"),
        f"{ROLES}my-role": (200, TEMPORARY),
    }
    assert "Credential=ASIATEMP/" in await lines(credential({}, places))
    assert [(a.method, a.headers.get("x-aws-ec2-metadata-token")) for a in places.seen] == [
        ("PUT", None),
        ("GET", "session-1"),
        ("GET", "session-1"),
    ]


async def test_without_a_session_token_the_metadata_service_is_not_asked_further() -> None:
    places = Places()
    places.answers = {f"{METADATA}/api/token": (403, b""), ROLES: (200, b"my-role"), f"{ROLES}my-role": (200, TEMPORARY)}
    assert "gave no token: 403" in await problem(credential({}, places))
    places = Places()
    assert "neither in the configuration" in await problem(credential({"AWS_EC2_METADATA_DISABLED": "true"}, places))
    assert places.seen == []


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"[]",
        b"{}",
        b"<html>",
        TEMPORARY | {"Expiration": "soon"},
        TEMPORARY | {"Token": 5},
        TEMPORARY | {"AccessKeyId": "a\r\nb"},
    ],
)
async def test_a_reply_without_keys_is_told_without_its_content(reply: Any) -> None:
    places = Places()
    places.answers["http://169.254.170.2/c"] = (200, reply)
    text = await problem(credential({"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/c"}, places))
    assert "secret/" not in text and "ASIA" not in text


async def test_temporary_keys_are_renewed_before_they_end() -> None:
    places = Places()
    places.answers["http://169.254.170.2/c"] = (200, TEMPORARY)
    aws = credential({"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/c"}, places)
    await aws.ready()
    held = aws._secret._held
    assert held is not None and held.expires_s > time() + 86_400 and aws._secret._timer is not None
