"""AWS credentials: keys from where AWS's own tools look for them, and a signature on each request.

Looked at in turn: what freehold.yaml names; AWS_BEARER_TOKEN_BEDROCK (a Bedrock API key, sent as it is); fixed keys in the
environment; a web identity token (EKS and the like); the shared credentials file; the container's endpoint; the machine's
metadata service. Profiles that sign in through SSO, a role or a process are not read.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from configparser import ConfigParser
from configparser import Error as ConfigParserError
from datetime import datetime
from pathlib import Path
from time import time
from urllib.parse import urlsplit

from msgspec import MsgspecError, Struct, json

from freehold.base.errors import UpstreamError
from freehold.config.schema import CredentialConfig
from freehold.upstream.credentials.ask import FORM, NEAR, Ask, NoCredential, form, read_secret_file
from freehold.upstream.credentials.rotating import FOREVER, Fetched, Rotating, bearer_line
from freehold.upstream.credentials.sigv4 import AwsKeys, Signer

_SERVICES = ("bedrock", "bedrock-mantle")  # the second by hosts of its own name
_METADATA = "http://169.254.169.254"
_CONTAINER = "http://169.254.170.2"  # ECS
_CONTAINER_HOSTS = ("169.254.170.2", "169.254.170.23", "fd00:ec2::23", "127.0.0.1", "::1", "localhost")
_FILE_AGAIN_S = 300.0  # tools rewrite the shared file as they sign in anew
_KEYS = re.compile(r"[!-~]+\Z")
_CODE = re.compile(r"<Code>([A-Za-z.]{1,60})</Code>")

Secret = AwsKeys | bytes  # bytes: the header line of a bearer token
Source = Callable[[], Awaitable[Fetched[Secret] | None]]


class _Keys(Struct, rename="pascal"):
    """As the container's endpoint and the metadata service write them."""

    access_key_id: str
    secret_access_key: str
    token: str
    expiration: str


class AwsCredential:
    """A credentials.Credential."""

    signs_body = True

    def __init__(self, owner: str, given: CredentialConfig, region: str, ask: Ask, env: Mapping[str, str]) -> None:
        self._secret = Rotating(owner, AwsSources(given, region, ask, env).fetch)
        self._signers = tuple(Signer(region, service) for service in _SERVICES)
        self.warm = self._secret.warm
        self.ready = self._secret.ready

    def lines(self, method: str, authority: str, target: str, body: bytes) -> bytes:
        secret = self._secret.value
        if isinstance(secret, bytes):
            return secret
        signer = self._signers[authority.startswith("bedrock-mantle.")]
        return signer.lines(secret, method, authority, target, body, time())


class AwsSources:
    """Where keys can come from. A source returns None where it has nothing to say, and raises NoCredential where it should."""

    def __init__(self, given: CredentialConfig, region: str, ask: Ask, env: Mapping[str, str]) -> None:
        self._given = given
        self._region = region
        self._ask = ask
        self._env = env

    async def fetch(self) -> Fetched[Secret]:
        """Raises NoCredential or UpstreamError."""
        for source in self._sources():
            found = await source()
            if found is not None:
                return found
        raise NoCredential("AWS keys were found neither in the configuration nor where AWS's tools look; write credential fields")

    def _sources(self) -> tuple[Source, ...]:
        given = self._given
        if given.access_key_id:
            return (self._configured,)
        if given.web_identity_token_file or given.role_arn:
            return (self._web_identity,)
        if given.profile:
            return (self._profile,)
        return (self._environment, self._web_identity, self._profile, self._container, self._machine)

    async def _configured(self) -> Fetched[Secret] | None:
        given = self._given
        return _fixed(given.access_key_id or "", given.secret_access_key or "", given.session_token or "")

    async def _environment(self) -> Fetched[Secret] | None:
        env = self._env
        if bearer := env.get("AWS_BEARER_TOKEN_BEDROCK", "").strip():
            return Fetched(bearer_line(bearer))
        if not env.get("AWS_ACCESS_KEY_ID", "").strip():
            return None
        token = env.get("AWS_SESSION_TOKEN", "")
        return _fixed(env["AWS_ACCESS_KEY_ID"].strip(), env.get("AWS_SECRET_ACCESS_KEY", "").strip(), token.strip())

    async def _web_identity(self) -> Fetched[Secret] | None:
        file = self._given.web_identity_token_file or self._env.get("AWS_WEB_IDENTITY_TOKEN_FILE", "")
        role = self._given.role_arn or self._env.get("AWS_ROLE_ARN", "")
        if not file and not self._given.role_arn:
            return None
        if not file or not role:
            what = "web_identity_token_file (AWS_WEB_IDENTITY_TOKEN_FILE)" if role else "role_arn (AWS_ROLE_ARN)"
            raise NoCredential(f"a role is taken with a web identity token: {what} is missing")
        body = form(
            Action="AssumeRoleWithWebIdentity",
            Version="2011-06-15",
            RoleArn=role,
            RoleSessionName=self._env.get("AWS_ROLE_SESSION_NAME", "") or "freehold",
            WebIdentityToken=read_secret_file(file, "the web identity token file"),  # the platform renews it
        )
        domain = "amazonaws.com.cn" if self._region.startswith("cn-") else "amazonaws.com"
        status, reply = await self._ask("POST", f"https://sts.{self._region}.{domain}/", FORM, body)
        text = reply.decode("utf-8", "replace")
        if status != 200:
            code = _CODE.search(text)
            raise NoCredential(f"AWS STS refused the web identity token: {status} {code[1] if code else ''}".rstrip())
        element = {name: _element(text, name) for name in ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")}
        return _temporary(*element.values())

    async def _profile(self) -> Fetched[Secret] | None:
        env = self._env
        name = self._given.profile or env.get("AWS_PROFILE") or env.get("AWS_DEFAULT_PROFILE") or "default"
        must = bool(self._given.profile or env.get("AWS_PROFILE") or env.get("AWS_DEFAULT_PROFILE"))
        home = Path(env.get("HOME") or "~").expanduser() / ".aws"
        files = {
            env.get("AWS_SHARED_CREDENTIALS_FILE") or str(home / "credentials"): name,
            env.get("AWS_CONFIG_FILE") or str(home / "config"): name if name == "default" else f"profile {name}",
        }
        for file, section in files.items():
            values = _section(file, section)
            if values.get("aws_access_key_id"):
                fixed = _fixed(
                    values["aws_access_key_id"], values.get("aws_secret_access_key", ""), values.get("aws_session_token", "")
                )
                return Fetched(fixed.value, FOREVER, _FILE_AGAIN_S)
        if must:
            hint = "SSO, role_arn and credential_process are not read"
            raise NoCredential(f"the AWS profile {name!r} holds no aws_access_key_id; {hint}")
        return None

    async def _container(self) -> Fetched[Secret] | None:
        env = self._env
        relative, full = env.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"), env.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
        if relative:
            url = _CONTAINER + "/" + relative.lstrip("/")
        elif full:
            url = full
            if urlsplit(full).scheme != "https" and urlsplit(full).hostname not in _CONTAINER_HOSTS:
                raise NoCredential("AWS_CONTAINER_CREDENTIALS_FULL_URI names neither https nor this machine")
        else:
            return None
        token = env.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
        if file := env.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
            token = read_secret_file(file, "the container's authorization token file")
        status, reply = await self._get(url, {"authorization": token} if token else {})
        if status != 200:
            raise NoCredential(f"the container's credential endpoint answered {status}")
        return _listed(reply, "the container's credential endpoint")

    async def _machine(self) -> Fetched[Secret] | None:
        """The EC2 metadata service, version 2 only: version 1 can be asked by way of any open proxy."""
        if self._env.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
            return None
        life = {"x-aws-ec2-metadata-token-ttl-seconds": "21600"}
        try:
            status, token = await self._ask("PUT", f"{_METADATA}/latest/api/token", life, b"", NEAR)
        except UpstreamError:
            return None  # no such service: not on EC2
        if status != 200:
            raise NoCredential(f"the EC2 metadata service gave no token: {status}")
        session = {"x-aws-ec2-metadata-token": token.decode("ascii", "replace").strip()}
        roles = f"{_METADATA}/latest/meta-data/iam/security-credentials/"
        status, reply = await self._get(roles, session)
        role = reply.decode("ascii", "replace").split("\n")[0].strip()
        if status != 200 or not role:
            raise NoCredential("this EC2 machine has no role; give its instance profile one")
        status, reply = await self._get(roles + role, session)
        if status != 200:
            raise NoCredential(f"the EC2 metadata service gave no keys for this machine's role: {status}")
        return _listed(reply, "the EC2 metadata service")

    async def _get(self, url: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        try:
            return await self._ask("GET", url, headers, b"", NEAR)
        except ValueError:
            raise NoCredential("the place that gives out AWS keys has an address or a token that can't be sent") from None


def _fixed(key_id: str, secret: str, token: str) -> Fetched[Secret]:
    for what, value in (("access key id", key_id), ("secret access key", secret), ("session token", token or "-")):
        if not _KEYS.match(value):
            raise NoCredential(f"the AWS {what} is missing, or holds characters that no key has")
    return Fetched(AwsKeys(key_id, secret, token))


def _temporary(key_id: str, secret: str, token: str, expiration: str) -> Fetched[Secret]:
    try:
        expires_s = datetime.fromisoformat(expiration).timestamp()
    except ValueError:
        raise NoCredential("AWS did not say until when its keys are valid") from None
    return Fetched(_fixed(key_id, secret, token).value, expires_s)


def _listed(reply: bytes, who: str) -> Fetched[Secret]:
    try:
        keys = json.decode(reply, type=_Keys)
    except MsgspecError:
        raise NoCredential(f"{who} gave no keys") from None
    return _temporary(keys.access_key_id, keys.secret_access_key, keys.token, keys.expiration)


def _element(xml: str, name: str) -> str:
    """The text of the only element of that name. Keys and tokens need no entities."""
    return xml.partition(f"<{name}>")[2].partition(f"</{name}>")[0].strip()


def _section(file: str, name: str) -> Mapping[str, str]:
    parser = ConfigParser(interpolation=None, default_section="", strict=False)
    try:
        parser.read(file, encoding="utf-8")
    except (OSError, UnicodeDecodeError, ConfigParserError):
        raise NoCredential(f"the AWS file {file!r} can't be read") from None
    return dict(parser[name]) if parser.has_section(name) else {}
