"""Against a real OpenBao."""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from freehold.config import vault
from freehold.config.references import References, SecretError
from freehold.config.vault import Vault
from freehold.store.sealing import MasterKey, SealError
from tests import openbao

READER = 'path "{}" {{ capabilities = ["read"] }}'


@pytest.fixture(scope="module")
def filled(bao: openbao.Server) -> openbao.Server:
    bao.put("openai", key="sk-v2", other="o", number=3, empty="", nested={"a": 1})
    bao.put("deep/er/path", key="sk-deep")
    bao.put("gone", key="sk-gone")
    bao.client.secrets.kv.v2.delete_latest_version_of_secret("gone", mount_point="secret")
    bao.client.sys.enable_secrets_engine("kv", path="team/one", options={"version": "1"})
    bao.client.secrets.kv.v1.create_or_update_secret("openai", {"key": "sk-v1"}, mount_point="team/one")
    bao.client.sys.enable_secrets_engine("kv", path="old", options={"version": "1"})
    bao.client.secrets.kv.v1.create_or_update_secret("x", {"key": "sk-old"}, mount_point="old")
    bao.client.sys.enable_secrets_engine("transit", path="transit")
    return bao


@pytest.mark.parametrize(
    ("path", "secret"),
    [("secret/openai", "sk-v2"), ("secret/deep/er/path", "sk-deep"), ("team/one/openai", "sk-v1"), ("old/x", "sk-old")],
)
def test_both_versions_of_the_engine_are_read_wherever_they_are_mounted(filled: openbao.Server, path: str, secret: str) -> None:
    references = References(filled.env)
    assert references.resolve(f"vault:{path}#key") == secret
    assert references.remote


@pytest.mark.parametrize("prefix", ["BAO_", "VAULT_"])
def test_the_variables_of_either_tool_set_it_up(filled: openbao.Server, prefix: str) -> None:
    assert Vault({f"{prefix}ADDR": filled.address, f"{prefix}TOKEN": openbao.ROOT}).read("secret/openai", "key") == "sk-v2"


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("secret/openai#kye", 'no field "kye"'),
        ("secret/openai#number", "is not text"),
        ("secret/openai#nested", "is not text"),
        ("secret/openai#empty", "is empty"),
        ("secret/nothing#key", "there is nothing"),
        ("secret/gone#key", "there is nothing"),
        ("secret/data/openai#key", "leave data/ out"),
        ("secret#key", "vault:secret"),
        ("transit/keys/x#key", "no key-value engine"),
        ("nowhere/x#key", "there is nothing|permission denied"),
        ("secret/../../sys/raw#key", "vault:secret"),
    ],
)
def test_what_is_not_there_is_told_by_its_reference(filled: openbao.Server, reference: str, says: str) -> None:
    with pytest.raises(SecretError, match=says) as raised:
        References(filled.env).resolve(f"vault:{reference}")
    assert "sk-v2" not in str(raised.value) and openbao.ROOT not in str(raised.value)


def test_a_token_that_may_read_one_secret_reads_that_one(filled: openbao.Server) -> None:
    for path, secret in (("secret/data/openai", "sk-v2"), ("old/x", "sk-old")):
        filled.policy("narrow", READER.format(path))
        token = filled.client.auth.token.create(policies=["narrow"])["auth"]["client_token"]
        reader = Vault({**filled.env, "BAO_TOKEN": token})
        mount, name = path.split("/")[0], path.split("/")[-1]
        assert reader.read(f"{mount}/{name}", "key") == secret
        with pytest.raises(SecretError, match="permission denied"):
            reader.read("team/one/openai", "key")


def test_a_token_that_is_not_valid_is_said_so(filled: openbao.Server) -> None:
    with pytest.raises(SecretError, match="permission denied") as raised:
        Vault({**filled.env, "BAO_TOKEN": "s.wrong-token"}).read("secret/openai", "key")
    assert "wrong-token" not in str(raised.value)


def test_a_token_may_come_from_a_file(filled: openbao.Server, tmp_path: Path) -> None:
    (tmp_path / ".vault-token").write_text(openbao.ROOT + "\n")
    assert Vault({"VAULT_ADDR": filled.address, "HOME": str(tmp_path)}).read("secret/openai", "key") == "sk-v2"
    token = {"VAULT_ADDR": filled.address, "VAULT_TOKEN_FILE": str(tmp_path / ".vault-token")}
    assert Vault(token).read("secret/openai", "key") == "sk-v2"
    with pytest.raises(SecretError, match=r"VAULT_TOKEN_FILE .*none' can't be read: No such file"):
        Vault({**token, "VAULT_TOKEN_FILE": str(tmp_path / "none")}).read("secret/openai", "key")


def test_without_address_or_token_it_says_which_variables_give_them(filled: openbao.Server, tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="set VAULT_ADDR or BAO_ADDR"):
        Vault({}).read("secret/x", "key")
    with pytest.raises(SecretError, match=r"no token for Vault .set VAULT_TOKEN"):
        Vault({"VAULT_ADDR": filled.address, "HOME": str(tmp_path)}).read("secret/x", "key")


def test_an_approle_signs_in(filled: openbao.Server, tmp_path: Path) -> None:
    client = filled.client
    filled.policy("freehold", READER.format("secret/data/*"))
    client.sys.enable_auth_method("approle")
    client.auth.approle.create_or_update_approle("freehold", token_policies=["freehold"])
    role = client.auth.approle.read_role_id("freehold")["data"]["role_id"]
    secret = client.auth.approle.generate_secret_id("freehold")["data"]["secret_id"]
    (tmp_path / "id").write_text(secret + "\n")
    env = {"VAULT_ADDR": filled.address, "VAULT_ROLE_ID": role}
    assert Vault({**env, "VAULT_SECRET_ID": secret}).read("secret/openai", "key") == "sk-v2"
    assert Vault({**env, "VAULT_SECRET_ID_FILE": str(tmp_path / "id")}).read("secret/openai", "key") == "sk-v2"
    with pytest.raises(SecretError, match=r"AppRole login to Vault: .*VAULT_SECRET_ID") as raised:
        Vault({**env, "VAULT_SECRET_ID": "wrong-secret"}).read("secret/openai", "key")
    assert "wrong-secret" not in str(raised.value)


class Unhelpful:
    """Listens on a port and answers every request with these bytes; None: never."""

    def __init__(self, answer: bytes | None, tls: ssl.SSLContext | None = None) -> None:
        self.answer = answer
        self._tls = tls
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.requests: list[bytes] = []
        self._kept: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            try:
                if self._tls is not None:
                    connection = self._tls.wrap_socket(connection, server_side=True)
                self.requests.append(_request(connection))
            except OSError:  # a client that does not trust us
                continue
            if self.answer is None:
                self._kept.append(connection)
            else:
                connection.sendall(self.answer)
                connection.close()

    def close(self) -> None:
        self._socket.close()


def _request(connection: socket.socket) -> bytes:
    """All of it: who closes with bytes unread resets the connection."""
    got, size = b"", 1
    while len(got) < size and (piece := connection.recv(65536)):
        got += piece
        head, end, _ = got.partition(b"\r\n\r\n")
        found = re.search(rb"content-length: (\d+)", head.lower())
        size = len(head + end) + (int(found[1]) if found else 0) if end else len(got) + 1
    return got


@pytest.fixture
def unhelpful(request: pytest.FixtureRequest) -> Iterator[Unhelpful]:
    made = Unhelpful(request.param)
    yield made
    made.close()


def reply(status: str, body: bytes, kind: str = "application/json") -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    return head.encode() + body


@pytest.mark.parametrize(
    ("unhelpful", "says"),
    [
        (reply("503 Sealed", b'{"errors":["SECRETBODY sealed"]}'), "is not able to serve"),
        (reply("500 Oops", b"SECRETBODY", "text/html"), "is not able to serve"),
        (reply("200 OK", b"<h1>SECRETBODY</h1>", "text/html"), "not one of Vault's|no key-value engine"),
        (reply("200 OK", b"[]"), "not one of Vault's"),
        (reply("200 OK", b'{"data":null}'), "not one of Vault's"),
        (b"SECRETBODY", "does not answer"),
        (b"", "does not answer"),
        (None, "does not answer"),
    ],
    indirect=["unhelpful"],
)
def test_a_server_that_is_no_vault_or_is_sealed_is_named_without_what_it_sent(
    unhelpful: Unhelpful, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if unhelpful.answer is None:
        monkeypatch.setattr(vault, "TIMEOUT_S", 0.2)
    address = unhelpful.address.replace("http://", "http://user:password@")
    with pytest.raises(SecretError, match=says) as raised:
        Vault({"VAULT_ADDR": address, "VAULT_TOKEN": "s.token"}).read("secret/x", "key")
    assert not any(word in str(raised.value) for word in ("SECRETBODY", "password", "s.token"))


@pytest.mark.parametrize("unhelpful", [None], indirect=True)
def test_one_that_does_not_answer_is_waited_for_once_in_a_reading(unhelpful: Unhelpful, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault, "TIMEOUT_S", 0.2)
    references = References({"VAULT_ADDR": unhelpful.address, "VAULT_TOKEN": "t"})
    for n in range(20):
        with pytest.raises(SecretError, match="does not answer"):
            references.resolve(f"vault:secret/x{n}#key")
    references.begin()
    with pytest.raises(SecretError, match="does not answer"):
        references.resolve("vault:secret/last#key")
    for _ in range(600):  # it takes them in their order, and may be behind
        if any(b"last" in request for request in unhelpful.requests):
            break
        time.sleep(0.05)
    assert [b"secret/x0" in request for request in unhelpful.requests] == [True, False]


@pytest.mark.parametrize("unhelpful", [reply("403 Forbidden", b"{}")], indirect=True)
def test_kubernetes_login_sends_the_service_accounts_token_and_the_namespace(unhelpful: Unhelpful, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("jwt-of-the-pod\n")
    env = {"VAULT_ADDR": unhelpful.address, "VAULT_KUBERNETES_ROLE": "freehold", "VAULT_NAMESPACE": "team-a"}
    with pytest.raises(SecretError, match="Kubernetes login to Vault: permission denied") as raised:
        Vault(env, tmp_path / "token").read("secret/x", "key")
    [request] = unhelpful.requests
    assert request.startswith(b"POST /v1/auth/kubernetes/login ") and b'"jwt": "jwt-of-the-pod"' in request
    assert b"x-vault-namespace: team-a" in request.lower() and b'"role": "freehold"' in request
    assert "jwt-of" not in str(raised.value)
    with pytest.raises(SecretError, match="service account's token"):
        Vault(env, tmp_path / "none").read("secret/x", "key")


def test_a_secret_is_fetched_once_for_all_its_fields(filled: openbao.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Vault(filled.env)
    asked: list[Any] = []
    look = reader._look
    monkeypatch.setattr(reader, "_look", lambda path: asked.append(path) or look(path))
    assert (reader.read("secret/openai", "key"), reader.read("secret/openai", "other")) == ("sk-v2", "o")
    assert asked == ["secret/openai"]


def test_the_master_key_may_be_in_vault(filled: openbao.Server, tmp_path: Path) -> None:
    filled.put("master", now=bytes(32).hex(), before=bytes(range(32)).hex())
    env = {**filled.env, "FREEHOLD_MASTER_KEY": "vault:secret/master#now"}
    loaded = MasterKey.load({**env, "FREEHOLD_MASTER_KEY_PREVIOUS": "vault:secret/master#before"}, tmp_path)
    assert loaded.known == [MasterKey(bytes(32)).id.hex(), MasterKey(bytes(range(32))).id.hex()]
    with pytest.raises(SealError, match=r"FREEHOLD_MASTER_KEY: vault:secret/master has no field"):
        MasterKey.load({**env, "FREEHOLD_MASTER_KEY": "vault:secret/master#none"}, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_its_certificate_is_checked(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    server = Unhelpful(reply("403 Forbidden", b"{}"), context)
    env = {"VAULT_ADDR": server.address.replace("http://127.0.0.1", "https://localhost"), "VAULT_TOKEN": "t"}
    try:
        with pytest.raises(SecretError, match="certificate that is not trusted; name its authority in VAULT_CACERT"):
            Vault(env).read("secret/x", "key")
        with pytest.raises(SecretError, match="permission denied"):
            Vault({**env, "VAULT_CACERT": str(tmp_path / "ca.pem")}).read("secret/x", "key")
    finally:
        server.close()
