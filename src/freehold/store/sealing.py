"""Envelope encryption: a master key wraps one data key for each workspace, and that seals the workspace's secrets.

What is sealed opens only where it was put: the workspace, table, column and row are authenticated with it, so one copied into
another row or tenant does not open. Who destroys a workspace's wrapped key has destroyed all that was sealed with it. Where the
master key comes from is masterkey.py's matter.

Two formats, each with its version in the first byte:

    wrapped key   1 | master's id, 8 bytes | salt, 24 | AES-256-GCM(data key), 32 + 16
    sealed value  1 | data key's id, 4     | salt, 24 | AES-256-GCM(value), as long as it is + 16

Every message has a key of its own, HMAC-SHA256(key, label + salt), so that a random salt never repeats one however many values
a workspace seals; with a plain random nonce of 12 bytes, 2^32 would be the limit.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

KEY_BYTES = 32
OVERHEAD_BYTES = 1 + 4 + 24 + 16  # a sealed value is so much longer than what is in it

_VERSION = b"\x01"
_MASTER_ID = 8
_KEY_ID = 4
_SALT = 24
_TAG = 16
_NONCE = bytes(12)  # may be constant: no key is used twice


class SealError(Exception):
    """Something sealed cannot be opened, or there is no key to do it with. The message says what to do and holds no secret."""


class Place(NamedTuple):
    """Where a sealed value lives. `row` is the row's id as text; several parts of a key are joined by the caller."""

    table: str
    column: str
    row: str

    def __str__(self) -> str:
        return f"{self.table}.{self.column} of {self.row!r}"


class WorkspaceKey:
    """Seals and opens what belongs to one workspace. Never shown, never written."""

    __slots__ = ("_key", "id", "workspace")

    def __init__(self, key: bytes, workspace: str) -> None:
        self._key = key
        self.workspace = workspace
        self.id = _key_id(key, _KEY_ID)

    def __repr__(self) -> str:
        return f"WorkspaceKey({self.workspace!r})"

    def seal(self, value: bytes, about: Place) -> bytes:
        """`value` for this place alone. OVERHEAD_BYTES longer."""
        salt = secrets.token_bytes(_SALT)
        return _VERSION + self.id + salt + _encrypt(self._key, salt, value, self._authenticated(about))

    def open(self, sealed: bytes, about: Place) -> bytes:
        """Raises SealError: cut short, of another version, sealed with another key, or put somewhere else."""
        if sealed[:1] not in (b"", _VERSION):
            raise SealError(f"{about} has seal version {sealed[0]}; this Freehold reads version 1: install the newer one")
        if len(sealed) < OVERHEAD_BYTES:
            raise SealError(f"{about} is cut short: {len(sealed)} bytes; restore it from a backup, or enter it again")
        if sealed[1 : 1 + _KEY_ID] != self.id:
            raise SealError(
                f"{about} was sealed with another key than that of workspace {self.workspace!r}: it comes from another "
                "workspace, or from before its key was replaced; enter it again"
            )
        salt = sealed[1 + _KEY_ID : 1 + _KEY_ID + _SALT]
        value = _decrypt(self._key, salt, sealed[1 + _KEY_ID + _SALT :], self._authenticated(about))
        if value is None:
            raise SealError(f"{about} does not open: it was altered, or moved here from another row; enter it again")
        return value

    def _authenticated(self, about: Place) -> bytes:
        return _joined("freehold value", self.workspace, *about)


class MasterKey:
    """The master key in use and those before it, which still unwrap. `MasterKey.load` finds them."""

    def __init__(
        self, current: bytes, previous: Sequence[bytes] = (), again: Callable[[], Sequence[bytes]] | None = None
    ) -> None:
        """Each of 32 random bytes. `again` reads all of them afresh when one is asked for that is not known."""
        if any(len(key) != KEY_BYTES for key in (current, *previous)):
            raise ValueError("a master key has 32 bytes")
        self._current = current
        self._again = again
        self.id = _key_id(current, _MASTER_ID)
        self._known: dict[bytes, bytes] = {}
        self._learn((current, *previous))

    def __repr__(self) -> str:
        return f"MasterKey({self.id.hex()})"

    @classmethod
    def load(cls, environ: Mapping[str, str], data: Path, *, make: bool = True) -> MasterKey:
        """The master key that the environment names, or that of DATA/master.key, made if it is not there unless `make` is false.

        A key that another process puts into use later is found when it is met, so a rotation needs no restart. May block: for
        files, and for Vault. Raises SealError, which names the variable or file and says what to do.
        """
        from freehold.store.masterkey import find

        current, *previous = find(environ, data, make=make)
        return cls(current, previous, lambda: find(environ, data, make=False))

    @property
    def known(self) -> list[str]:
        """The ids of all keys that unwrap, in hex, the one in use first."""
        return [self.id.hex(), *(id.hex() for id in self._known if id != self.id)]

    def new_workspace_key(self, workspace: str) -> bytes:
        """A fresh random data key for this workspace, wrapped, to be kept in its row."""
        return self._wrap(secrets.token_bytes(KEY_BYTES), workspace)

    def unwrap(self, wrapped: bytes, workspace: str) -> WorkspaceKey:
        """Raises SealError: no such master key, cut short, or the key of another workspace."""
        return WorkspaceKey(self._unwrap(wrapped, workspace), workspace)

    def is_current(self, wrapped: bytes) -> bool:
        """Whether it is wrapped by the master key in use, so that `rewrap` would have nothing to do."""
        return wrapped[:1] == _VERSION and wrapped[1 : 1 + _MASTER_ID] == self.id

    @staticmethod
    def wrapped_by(wrapped: bytes) -> str:
        """The id of its master key, in hex, as `known` has them. Not checked: for counting."""
        return wrapped[1 : 1 + _MASTER_ID].hex()

    def rewrap(self, wrapped: bytes, workspace: str) -> bytes:
        """The same data key, wrapped by the master key in use: what it has sealed stays as it is. Raises SealError."""
        return wrapped if self.is_current(wrapped) else self._wrap(self._unwrap(wrapped, workspace), workspace)

    def derive(self, purpose: str, salt: bytes, master_id: bytes = b"") -> bytes:
        """32 bytes for a use outside any workspace, such as a backup, from the key in use or the one with `master_id`.

        Raises SealError if there is no such key.
        """
        return hmac.digest(self._by_id(master_id or self.id, purpose), _joined("freehold derived", purpose) + salt, "sha256")

    def _learn(self, keys: Sequence[bytes]) -> None:
        self._known |= {_key_id(key, _MASTER_ID): key for key in keys}

    def _by_id(self, master_id: bytes, what: str) -> bytes:
        if master_id not in self._known and self._again is not None:
            self._learn(self._again())
        key = self._known.get(master_id)
        if key is None:
            raise SealError(
                f"{what}: made with master key {master_id.hex()}, and known are only {', '.join(self.known)}; give the old one "
                "in FREEHOLD_MASTER_KEY_PREVIOUS, or bring back the master key that was in use then"
            )
        return key

    def _wrap(self, key: bytes, workspace: str) -> bytes:
        salt = secrets.token_bytes(_SALT)
        return _VERSION + self.id + salt + _encrypt(self._current, salt, key, _joined("freehold workspace key", workspace))

    def _unwrap(self, wrapped: bytes, workspace: str) -> bytes:
        what = f"the key of workspace {workspace!r}"
        if wrapped[:1] not in (b"", _VERSION):
            raise SealError(f"{what} has version {wrapped[0]}; this Freehold reads version 1: install the newer one")
        if len(wrapped) != 1 + _MASTER_ID + _SALT + KEY_BYTES + _TAG:
            raise SealError(f"{what} is cut short or too long: {len(wrapped)} bytes; restore it from a backup")
        master = self._by_id(wrapped[1 : 1 + _MASTER_ID], what)
        salt = wrapped[1 + _MASTER_ID : 1 + _MASTER_ID + _SALT]
        rest = wrapped[1 + _MASTER_ID + _SALT :]
        key = _decrypt(master, salt, rest, _joined("freehold workspace key", workspace))
        if key is None:
            raise SealError(f"{what} does not open: it was altered, or belongs to another workspace; restore it from a backup")
        return key


def _encrypt(key: bytes, salt: bytes, plain: bytes, authenticated: bytes) -> bytes:
    # Loaded at the first use: a start without anything sealed does not pay for it.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(_message_key(key, salt)).encrypt(_NONCE, plain, authenticated)


def _decrypt(key: bytes, salt: bytes, data: bytes, authenticated: bytes) -> bytes | None:
    """None if it was not encrypted like that."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return AESGCM(_message_key(key, salt)).decrypt(_NONCE, data, authenticated)
    except InvalidTag:
        return None


def _message_key(key: bytes, salt: bytes) -> bytes:
    return hmac.digest(key, b"freehold message key" + salt, "sha256")


def _key_id(key: bytes, size: int) -> bytes:
    """Tells keys apart; of 256 random bits its digest betrays none."""
    return sha256(b"freehold key id" + key).digest()[:size]


def _joined(*parts: str) -> bytes:
    """Each with its length before it, so that no two lists of parts make the same bytes."""
    return b"".join(len(raw).to_bytes(4, "big") + raw for raw in (part.encode() for part in parts))
