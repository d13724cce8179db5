"""What the database's administrators decided, as a worker holds it: keys by their digests, and a Space for each workspace.

Lines of the feed (store/feed.py) are applied in place, one by one: a change among a hundred thousand keys costs what that key
costs. Secrets are opened when a workspace's providers are compiled, and are nowhere but in those.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping

from freehold.base.secret import key_digest
from freehold.config.schema import Config
from freehold.observe import log
from freehold.pipeline.runtime import Principal, Snapshot, Space, Terms
from freehold.pipeline.spaces import DEFAULT, UNOPENED, Made, Parts, Refusal, other_parts, own_parts
from freehold.policy.access import ModelAccess
from freehold.policy.address import networks
from freehold.store.credential import unseal
from freehold.store.feed import CredentialLine, Gone, Head, KeyLine, Line, Mark, ProviderLine, RouteLine, WorkspaceLine
from freehold.store.sealing import MasterKey, SealError
from freehold.upstream.catalogue import ProviderRow
from freehold.upstream.credentials import Credentials

_Digests = bytes | tuple[bytes, bytes]  # of a key: the secret's, and that of the one before it


class _Held:
    """A workspace: its Space, the lines that it is made from, and where its keys are."""

    def __init__(self, workspace: str) -> None:
        self.space = Space(workspace)
        self.data_key: bytes | None = None
        self.keys: dict[str, _Digests] = {}  # by id
        self.objects: dict[tuple[str, str], ProviderLine | RouteLine | CredentialLine] = {}  # by kind and id
        self.told: list[Refusal] = []
        self.begin()

    def begin(self) -> None:
        """Of what a whole file does not name until its Mark, nothing is kept."""
        self.named = False
        self.new_keys: dict[str, _Digests] = {}
        self.new_objects: set[tuple[str, str]] = set()


class Objects:
    def __init__(self, rows: Mapping[str, ProviderRow], credentials: Credentials | None = None) -> None:
        self.keys: dict[bytes, Principal] = {}  # the very dict that a Snapshot's `made` is
        self.revision = 0
        self.master: MasterKey | None = None
        self.changed: dict[str, None] = {}  # workspaces to be compiled
        self.asked: set[str] = set()  # references to secrets that credentials hold
        self.referred: dict[str, str] = {}  # what they led to
        self._rows = rows
        self._credentials = credentials
        self._config = Config()
        self._held: dict[str, _Held] = {DEFAULT: _Held(DEFAULT)}
        self._access: dict[tuple[str, ...], ModelAccess] = {}
        self._whole = False  # a whole file is being read

    @property
    def default(self) -> Space:
        return self._held[DEFAULT].space

    def space(self, workspace: str) -> Space | None:
        held = self._held.get(workspace)
        return held.space if held else None

    # --- the gateway's own configuration ---

    def use(self, config: Config) -> Snapshot:
        """Serve this configuration, checked and complete. Raises ValueError for what can't be used; the old one is served on."""
        held = self._held[DEFAULT]
        proxies = networks(config.server.trusted_proxies)
        parts = own_parts(config, self._made(held), self._rows, self._credentials)
        if config.admin.private_networks != self._config.admin.private_networks:
            self.changed.update(dict.fromkeys(self._held))
        self._config = config
        self._take(held, parts)
        keys = {
            key_digest(given.key.encode()): Principal(
                f"file:{given.name}", given.name, self._models(tuple(given.models)), held.space
            )
            for given in config.keys
        }
        return Snapshot(held.space, keys, self.keys, proxies)

    # --- the feed ---

    def begin(self) -> None:
        """A whole file follows, up to the first Mark."""
        self._whole = True
        self._access.clear()
        for held in self._held.values():
            held.begin()

    def apply(self, lines: Iterable[Line]) -> None:
        for line in lines:
            if isinstance(line, KeyLine):
                self._key(line)
            elif isinstance(line, Mark):
                self.revision = line.revision
                if self._whole:
                    self._whole = False
                    self._sweep()
            elif isinstance(line, WorkspaceLine):
                self._workspace(line)
            elif isinstance(line, Gone):
                self._gone(line)
            elif not isinstance(line, Head):
                self._object(line)

    def _key(self, line: KeyLine) -> None:
        held = self._of(line.workspace)
        before = held.keys.get(line.id)
        # The dict keeps the first of equal keys: ours must be the same ones, or there are two of each.
        digest = _same(line.digest, before)
        digests: _Digests = digest if line.old_digest is None else (digest, _same(line.old_digest, before))
        self._drop(line.id, before, digests)
        principal = self._principal(line, held.space, _terms(line, line.expires_ms))
        self.keys[digest] = principal
        if isinstance(digests, tuple):
            ends = [ms for ms in (line.expires_ms, line.old_until_ms or 0) if ms is not None]
            self.keys[digests[1]] = self._principal(line, held.space, _terms(line, min(ends)))
        held.keys[line.id] = digests
        if self._whole:
            held.new_keys[line.id] = digests

    def _principal(self, line: KeyLine, space: Space, terms: Terms | None) -> Principal:
        access = self._models(line.models)
        intern = sys.intern
        ids = (intern(line.app), intern(line.team), intern(line.member))
        return Principal(line.id, line.name, access, space, space.workspace, *ids, terms)

    def _models(self, patterns: tuple[str, ...]) -> ModelAccess:
        found = self._access.get(patterns)
        if found is None:
            found = self._access[patterns] = ModelAccess(patterns)
        return found

    def _drop(self, key_id: str, digests: _Digests | None, but: _Digests | None = None) -> None:
        kept = _each(but)
        for digest in _each(digests):
            principal = self.keys.get(digest)
            if digest not in kept and principal is not None and principal.key_id == key_id:
                del self.keys[digest]

    def _workspace(self, line: WorkspaceLine) -> None:
        held = self._of(line.id)
        held.named = True
        held.space.disabled = line.disabled
        if held.data_key != line.data_key:
            held.data_key = line.data_key
            self._touch(line.id)

    def _object(self, line: ProviderLine | RouteLine | CredentialLine) -> None:
        held, key = self._of(line.workspace), (_kind(line), line.id)
        held.new_objects.add(key)
        if held.objects.get(key) != line:
            held.objects[key] = line
            self._touch(line.workspace)

    def _gone(self, line: Gone) -> None:
        held = self._held.get(line.workspace)
        if held is None:
            return
        if line.kind == "workspace":
            self._remove(held)
        elif line.kind == "key":
            self._drop(line.id, held.keys.pop(line.id, None))
        elif held.objects.pop((line.kind, line.id), None) is not None:
            self._touch(line.workspace)

    def _sweep(self) -> None:
        """What the whole file did not name is gone."""
        for workspace, held in list(self._held.items()):
            if not held.named:
                self._remove(held)
                continue
            for key_id in held.keys.keys() - held.new_keys.keys():
                self._drop(key_id, held.keys[key_id])
            held.keys = held.new_keys
            for key in held.objects.keys() - held.new_objects:
                del held.objects[key]
                self._touch(workspace)
            held.begin()

    def _remove(self, held: _Held) -> None:
        for key_id, digests in held.keys.items():
            self._drop(key_id, digests)
        workspace = held.space.workspace
        held.keys, held.objects, held.data_key = {}, {}, None
        held.begin()
        if workspace == DEFAULT:  # the file's keys are in it
            self._touch(workspace)
        else:
            self._held.pop(workspace, None)
            self.changed.pop(workspace, None)

    def _of(self, workspace: str) -> _Held:
        found = self._held.get(workspace)
        if found is None:
            found = self._held[workspace] = _Held(sys.intern(workspace))
        return found

    def _touch(self, workspace: str) -> None:
        self.changed[workspace] = None

    # --- providers and routes ---

    @property
    def needs_master(self) -> bool:
        """Whether there is something to open for what waits to be compiled, and nothing to do it with."""
        return self.master is None and any(self._sealed(self._held[name]) for name in self.changed if name in self._held)

    def compile_next(self) -> bool:
        """Compile one of the workspaces that have changed. Whether there was one."""
        if not self.changed:
            return False
        workspace = next(iter(self.changed))
        del self.changed[workspace]
        held = self._held.get(workspace)
        if held is None:
            return True
        made = self._made(held)
        try:
            if workspace == DEFAULT:
                parts = own_parts(self._config, made, self._rows, self._credentials)
            else:
                parts = other_parts(made, self._rows, private=self._config.admin.private_networks)
        except Exception as error:  # a fault in one workspace's objects must not keep the others' changes away
            log.failure("workspace_not_compiled", error, workspace=workspace)
        else:
            self._take(held, parts)
        return True

    @property
    def unopened(self) -> bool:
        """Whether some credential could not be opened: another master key may help."""
        return any(one.problem == UNOPENED for held in self._held.values() for one in held.told)

    def refer(self, found: dict[str, str]) -> None:
        """What the references in `asked` lead to now; those that are not in it lead nowhere."""
        if found != self.referred:
            self.referred = found
            self.again()

    def again(self) -> None:
        """Compile anew what has credentials: the master key is another one."""
        for workspace, held in self._held.items():
            if self._sealed(held):
                self._touch(workspace)

    def _made(self, held: _Held) -> Made:
        lines = sorted(held.objects.values(), key=lambda line: line.id)  # oldest first
        secrets = self._secrets(held, [line for line in lines if isinstance(line, CredentialLine) and not line.disabled])
        providers = [line for line in lines if isinstance(line, ProviderLine)]
        return Made(providers, [line for line in lines if isinstance(line, RouteLine)], secrets)

    def _secrets(self, held: _Held, lines: list[CredentialLine]) -> dict[str, str | None]:
        """By provider: the newest of its credentials that opens; None where there are some and none does."""
        found: dict[str, str | None] = {}
        if not lines:
            return found
        workspace = held.space.workspace
        try:
            if self.master is None or held.data_key is None:
                raise SealError("there is no master key" if held.data_key else f"workspace {workspace!r} has no data key")
            key = self.master.unwrap(held.data_key, workspace)
        except SealError as error:
            log.event("error", "workspace_key_unusable", workspace=workspace, problem=str(error))
            return {line.provider: None for line in lines}
        for line in lines:
            try:
                secret = unseal(key, line.id, line.secret)
            except (SealError, UnicodeDecodeError) as error:
                found.setdefault(line.provider, None)
                problem = str(error) if isinstance(error, SealError) else "it holds no text"
                log.event("error", "credential_unusable", workspace=workspace, credential=line.id, problem=problem)
                continue
            if secret.reference:
                self.asked.add(secret.text)
            text = self.referred.get(secret.text) if secret.reference else secret.text
            if text is not None or line.provider not in found:
                found[line.provider] = text
        return found

    def _take(self, held: _Held, parts: Parts) -> None:
        held.space.take(parts.routes, parts.providers)
        for one in parts.refused:
            if one not in held.told:
                words = {"workspace": held.space.workspace, "kind": one.kind, "object": one.name}
                log.event("error", "object_not_served", problem=one.problem, **words)
        held.told = parts.refused
        if self._credentials is not None:
            self._credentials.warm()

    def _sealed(self, held: _Held) -> bool:
        return any(isinstance(line, CredentialLine) for line in held.objects.values())


def _terms(line: KeyLine, expires_ms: int | None) -> Terms | None:
    if expires_ms is None and not (line.off or line.addresses or line.limits or line.budgets or line.capture):
        return None
    return Terms(line.off, expires_ms, networks(line.addresses), line.limits, line.budgets, line.capture)


def _kind(line: ProviderLine | RouteLine | CredentialLine) -> str:
    if isinstance(line, ProviderLine):
        return "provider"
    return "route" if isinstance(line, RouteLine) else "credential"


def _each(digests: _Digests | None) -> tuple[bytes, ...]:
    if digests is None:
        return ()
    return digests if isinstance(digests, tuple) else (digests,)


def _same(digest: bytes, before: _Digests | None) -> bytes:
    return next((one for one in _each(before) if one == digest), digest)


def compile_snapshot(config: Config, rows: Mapping[str, ProviderRow], credentials: Credentials | None = None) -> Snapshot:
    """Of a configuration alone, without a database. Raises ValueError naming what can't be used."""
    return Objects(rows, credentials).use(config)
