"""Lines of the feed, applied: which keys are let in, to what, and what a whole new file takes away."""

from __future__ import annotations

import time
from typing import Any

import pytest

from freehold.base.errors import NotAllowed, Unauthenticated
from freehold.base.secret import key_digest
from freehold.config.schema import Config, KeyConfig, ProviderConfig, ServerConfig
from freehold.pipeline.admit import principal_of
from freehold.pipeline.objects import Objects
from freehold.pipeline.runtime import Principal, Snapshot
from freehold.store.credential import Secret, seal
from freehold.store.feed import CredentialLine, Gone, KeyLine, Line, Mark, ProviderLine, RouteLine, WorkspaceLine
from freehold.store.sealing import MasterKey
from freehold.upstream.catalogue import PROVIDERS

NOW_MS = int(time.time() * 1000)
HOUR_MS = 3_600_000
MASTER = MasterKey(b"m" * 32)


class Gate:
    def __init__(self, config: Config | None = None) -> None:
        self.objects = Objects(PROVIDERS)
        self.snapshot: Snapshot = self.objects.use(config or Config())

    def take(self, *lines: Line) -> None:
        self.objects.apply(lines)
        while self.objects.compile_next():
            pass

    def whole(self, *lines: Line) -> None:
        self.objects.begin()
        self.take(*lines, Mark(1))

    def admit(self, secret: str, address: str = "127.0.0.1", forwarded: str = "") -> Principal:
        headers = {b"authorization": f"Bearer {secret}".encode()}
        if forwarded:
            headers[b"x-forwarded-for"] = forwarded.encode()
        return principal_of(headers, self.snapshot, address)


def key(name: str, workspace: str = "default", **more: Any) -> KeyLine:
    return KeyLine(workspace=workspace, id=f"key_{name}", name=name, digest=key_digest(name.encode()), **more)


def lab(workspace: str = "default", name: str = "lab", **config: Any) -> ProviderLine:
    given = {"dialect": "openai_chat", "base_url": "http://127.0.0.1:9/v1", **config}
    return ProviderLine(workspace=workspace, id=f"provider_{workspace}_{name}", name=name, config=given)


def route(name: str, *targets: str, workspace: str = "default") -> RouteLine:
    listed = [dict(zip(("provider", "model"), target.split("/", 1), strict=True)) for target in targets]
    return RouteLine(workspace=workspace, id=f"route_{workspace}_{name}", name=name, config={"targets": listed})


def sealed(
    workspace: str, provider: str, secret: str, number: int = 1, data_key: bytes = b"", *, reference: bool = False
) -> tuple[Line, Line]:
    wrapped = data_key or MASTER.new_workspace_key(workspace)
    id = f"credential_{workspace}_{number}"
    value = seal(MASTER.unwrap(wrapped, workspace), id, Secret(secret, reference))
    return WorkspaceLine(id=workspace, data_key=wrapped), CredentialLine(
        workspace=workspace, id=id, provider=provider, secret=value
    )


def heads(gate: Gate, workspace: str, provider: str) -> bytes:
    """The request head that calls to this provider begin with."""
    space = gate.objects.space(workspace)
    assert space is not None
    target = space.route(f"{provider}/m").targets[0]
    return target.head(target.provider.main, "/chat/completions")


# --- keys ---


def test_a_key_is_let_in_with_what_it_may_use_and_whose_it_is() -> None:
    gate = Gate()
    gate.whole(WorkspaceLine(id="default"), key("k", models=("fast", "openai/*"), app="app_1", team="team_1", member="m_1"))
    found = gate.admit("k")
    assert (found.key_id, found.name, found.workspace) == ("key_k", "k", "default")
    assert (found.app, found.team, found.member) == ("app_1", "team_1", "m_1") and found.terms is None
    assert found.access.allows("openai/x") and not found.access.allows("slow")
    with pytest.raises(Unauthenticated, match="not one of this gateway's"):
        gate.admit("other")


@pytest.mark.parametrize(
    ("more", "error", "says"),
    [
        ({"off": "key"}, Unauthenticated, "switched off"),
        ({"expires_ms": NOW_MS - 1}, Unauthenticated, "expired"),
        ({"off": "app"}, NotAllowed, "app that key 'k' belongs to is switched off"),
        ({"off": "member"}, NotAllowed, "member that key 'k' belongs to is switched off"),
        ({"addresses": ("10.0.0.0/8",)}, NotAllowed, "not be used from this address"),
        ({"off": "key", "addresses": ("127.0.0.0/8",), "expires_ms": NOW_MS + HOUR_MS}, Unauthenticated, "switched off"),
    ],
)
def test_a_key_that_may_not_be_used_is_told_why(more: dict[str, Any], error: type[Exception], says: str) -> None:
    gate = Gate()
    gate.whole(WorkspaceLine(id="default"), key("k", **more))
    with pytest.raises(error, match=says):
        gate.admit("k")


def test_a_key_within_its_terms_is_let_in() -> None:
    gate = Gate()
    terms = {"expires_ms": NOW_MS + HOUR_MS, "addresses": ("127.0.0.0/8",), "capture": "full"}
    gate.whole(WorkspaceLine(id="default"), key("k", limits=({"requests": 1, "per": "minute"},), **terms))
    found = gate.admit("k").terms
    assert found is not None and found.limits[0]["requests"] == 1 and found.capture == "full"


def test_a_proxys_word_on_the_address_counts_where_the_file_trusts_it() -> None:
    line = key("k", addresses=("198.51.100.0/24",))
    trusting = Gate(Config(server=ServerConfig(trusted_proxies=["127.0.0.0/8"])))
    trusting.whole(WorkspaceLine(id="default"), line)
    assert trusting.admit("k", forwarded="198.51.100.4")
    for gate, forwarded in ((trusting, ""), (trusting, "198.51.100.4, 203.0.113.1"), (Gate(), "198.51.100.4")):
        gate.whole(WorkspaceLine(id="default"), line)
        with pytest.raises(NotAllowed):
            gate.admit("k", forwarded=forwarded)


def test_after_a_rotation_the_old_secret_is_good_until_its_time() -> None:
    gate = Gate()
    old = key_digest(b"old")
    line = KeyLine(workspace="default", id="key_1", name="k", digest=key_digest(b"new"), old_digest=old)
    gate.whole(WorkspaceLine(id="default"), KeyLine(workspace="default", id="key_1", name="k", digest=old))
    line.old_until_ms = NOW_MS + HOUR_MS
    gate.take(line)
    assert gate.admit("new").key_id == gate.admit("old").key_id == "key_1"
    line.old_until_ms = NOW_MS - 1
    gate.take(line)
    assert gate.admit("new").terms is None
    with pytest.raises(Unauthenticated, match="expired"):
        gate.admit("old")
    line.old_digest = line.old_until_ms = None
    gate.take(line)
    with pytest.raises(Unauthenticated, match="not one of"):
        gate.admit("old")
    gate.take(Gone(kind="key", workspace="default", id="key_1"))
    assert gate.objects.keys == {}


def test_a_change_is_taken_at_once_and_in_place() -> None:
    gate = Gate()
    gate.whole(WorkspaceLine(id="default"), key("k"))
    snapshot = gate.snapshot
    gate.take(key("k", off="key"))
    with pytest.raises(Unauthenticated, match="switched off"):
        gate.admit("k")
    gate.take(key("k"))
    assert gate.admit("k")
    gate.take(Gone(kind="key", workspace="default", id="key_k"))
    with pytest.raises(Unauthenticated, match="not one of"):
        gate.admit("k")
    assert gate.snapshot is snapshot


def test_a_key_of_the_file_stands_beside_them_and_a_refused_one_is_not_let_in_by_it() -> None:
    gate = Gate(Config(keys=[KeyConfig(name="mine", key="of-the-file-01234"), KeyConfig(name="both", key="both")]))
    gate.whole(WorkspaceLine(id="default"), key("both", off="key"))
    assert gate.admit("of-the-file-01234").key_id == "file:mine"
    with pytest.raises(Unauthenticated, match="switched off"):
        gate.admit("both")


def test_a_workspace_switched_off_refuses_all_its_keys_and_lets_them_in_again() -> None:
    gate = Gate(Config(keys=[KeyConfig(name="mine", key="of-the-file-01234")]))
    gate.whole(WorkspaceLine(id="default"), WorkspaceLine(id="w"), key("a", "w"), key("b"))
    gate.take(WorkspaceLine(id="w", disabled=True))
    with pytest.raises(NotAllowed, match="workspace of key 'a' is switched off"):
        gate.admit("a")
    assert gate.admit("b")
    gate.take(WorkspaceLine(id="w"), WorkspaceLine(id="default", disabled=True))
    assert gate.admit("a")
    for secret in ("b", "of-the-file-01234"):
        with pytest.raises(NotAllowed, match="workspace"):
            gate.admit(secret)


def test_a_whole_file_takes_away_what_it_does_not_name() -> None:
    gate = Gate()
    gate.whole(WorkspaceLine(id="default"), WorkspaceLine(id="w"), lab("w"), lab(), key("a"), key("b"), key("c", "w"))
    gate.whole(WorkspaceLine(id="default"), key("b"), key("d"))
    assert {p.name for p in gate.objects.keys.values()} == {"b", "d"}
    assert gate.objects.space("w") is None and "lab" not in gate.objects.default.providers


def test_until_a_whole_file_has_ended_nothing_is_taken_away() -> None:
    """The file is replaced while a worker reads it: nobody is refused meanwhile."""
    gate = Gate()
    gate.whole(WorkspaceLine(id="default"), WorkspaceLine(id="w"), lab("w"), key("a"), key("b", "w"))
    gate.objects.begin()
    gate.take(WorkspaceLine(id="default"))
    assert gate.admit("a") and gate.admit("b").space.route("lab/m")
    gate.objects.begin()  # and once more, before it was read
    gate.take(WorkspaceLine(id="default"), key("a"))
    assert gate.admit("b")
    gate.take(Mark(2))
    assert gate.admit("a") and gate.objects.revision == 2
    with pytest.raises(Unauthenticated):
        gate.admit("b")


def test_a_whole_file_read_again_and_again_leaves_one_of_each() -> None:
    gate = Gate()
    lines = [WorkspaceLine(id="default"), *(key(f"k{n}") for n in range(50))]
    for _ in range(3):
        gate.whole(*lines)
    held = gate.objects._held["default"]
    assert len(gate.objects.keys) == len(held.keys) == 50
    ours = {id(digest) for digest in gate.objects.keys}
    assert {id(digest) for digest in held.keys.values()} == ours, "digests are held once"


def test_an_id_of_one_workspace_moves_no_key_of_another() -> None:
    gate = Gate()
    one, other = key("a"), KeyLine(workspace="w", id="key_a", name="other", digest=key_digest(b"other"))
    gate.whole(WorkspaceLine(id="default"), WorkspaceLine(id="w"), one, other)
    gate.take(Gone(kind="key", workspace="w", id="key_a"))
    assert gate.admit("a").workspace == "default"
    gate.take(other, Gone(kind="workspace", workspace="w", id="w"))
    assert gate.admit("a")
    with pytest.raises(Unauthenticated):
        gate.admit("other")


# --- secrets ---


def test_a_credential_is_opened_into_its_providers_requests_and_nowhere_else() -> None:
    gate = Gate()
    gate.objects.master = MASTER
    workspace, credential = sealed("w", "lab", "sk-secret-of-w")
    gate.whole(WorkspaceLine(id="default"), workspace, lab("w"), credential, lab())
    assert b"Bearer sk-secret-of-w" in heads(gate, "w", "lab")
    assert b"sk-secret" not in heads(gate, "default", "lab")
    assert "sk-secret" not in repr([vars(held) for held in gate.objects._held.values()])


def test_the_newest_credential_that_is_switched_on_counts() -> None:
    gate = Gate()
    gate.objects.master = MASTER
    workspace, first = sealed("w", "lab", "sk-first", 1)
    assert isinstance(workspace, WorkspaceLine)
    _, second = sealed("w", "lab", "sk-second", 2, workspace.data_key or b"")
    assert isinstance(second, CredentialLine)
    gate.whole(WorkspaceLine(id="default"), workspace, lab("w"), first, second)
    assert b"sk-second" in heads(gate, "w", "lab")
    gate.take(CredentialLine(workspace="w", id=second.id, provider="lab", secret=second.secret, disabled=True))
    assert b"sk-first" in heads(gate, "w", "lab")


@pytest.mark.parametrize("broken", ["no master key", "another master key", "cut", "of another row", "no data key"])
def test_a_credential_that_does_not_open_takes_its_provider_out_and_nothing_else(
    broken: str, capsys: pytest.CaptureFixture[str]
) -> None:
    gate = Gate()
    gate.objects.master = {"no master key": None, "another master key": MasterKey(b"x" * 32)}.get(broken, MASTER)
    workspace, credential = sealed("w", "lab", "sk-secret")
    assert isinstance(credential, CredentialLine) and isinstance(workspace, WorkspaceLine)
    if broken == "cut":
        credential.secret = credential.secret[:20]
    if broken == "of another row":
        credential.id = "credential_2"
    if broken == "no data key":
        workspace.data_key = None
    other = lab("w", "open")
    gate.whole(WorkspaceLine(id="default"), workspace, lab("w"), other, credential, route("r", "lab/m", "open/m", workspace="w"))
    space = gate.objects.space("w")
    assert space is not None and list(space.providers) == ["open"]
    assert [target.label for target in space.route("r").targets] == ["open/m"]
    said = capsys.readouterr().err
    assert "object_not_served" in said and "can't be opened" in said and "sk-secret" not in said
    assert gate.objects.unopened is True
    gate.take(key("k"))
    assert capsys.readouterr().err == "", "said once"
    gate.objects.master = MASTER
    gate.objects.again()
    gate.take()
    if "master" in broken:
        assert b"sk-secret" in heads(gate, "w", "lab") and gate.objects.unopened is False


def test_a_master_key_is_needed_only_where_something_is_sealed() -> None:
    gate = Gate()
    gate.objects.begin()
    gate.objects.apply([WorkspaceLine(id="default", data_key=b"x"), lab(), Mark(1)])
    assert not gate.objects.needs_master
    gate.objects.apply([sealed("default", "lab", "s")[1]])
    assert gate.objects.needs_master


# --- the file's configuration beside them ---


def test_a_new_configuration_keeps_what_administrators_made() -> None:
    gate = Gate(Config(providers={"own": ProviderConfig(dialect="openai_chat", base_url="http://h/v1")}))
    gate.whole(WorkspaceLine(id="default"), lab(), route("fast", "lab/m", "own/m"), key("k"))
    assert [t.label for t in gate.admit("k").space.route("fast").targets] == ["lab/m", "own/m"]
    gate.snapshot = gate.objects.use(Config())
    assert [t.label for t in gate.admit("k").space.route("fast").targets] == ["lab/m"]


def test_a_configuration_that_cannot_be_used_changes_nothing() -> None:
    gate = Gate(Config(providers={"own": ProviderConfig(dialect="openai_chat", base_url="http://h/v1")}))
    with pytest.raises(ValueError, match="dialect"):
        gate.objects.use(Config(providers={"bad": ProviderConfig(dialect="none", base_url="http://h/v1")}))
    assert list(gate.objects.default.providers) == ["own"]


def test_the_end_of_what_was_never_there_is_no_matter() -> None:
    gate = Gate()
    gate.take(Gone(kind="key", workspace="nowhere", id="x"), Gone(kind="route", workspace="default", id="x"))
    assert gate.objects.keys == {}
