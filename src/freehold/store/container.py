"""An encrypted file, written and read as a stream in constant memory; that it is cut short or altered anywhere is noticed.

    "FREEHOLD-BACKUP\\n" | version 1 | lock: 1 passphrase, 2 master key | log2 of scrypt's N, or 0 | master's id, 8 | salt, 32
    then chunks: length, 4 bytes | AES-256-GCM(up to 256 KiB of a zlib stream)

The key is of this file alone: scrypt (N, r 8, p 1) of the passphrase and salt, or derived from the master key and salt. A chunk's
nonce is its number, and whether it is the last, so that none can be left out, moved or added. The head is authenticated too.
"""

from __future__ import annotations

import hashlib
import secrets
import struct
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO, Protocol

from msgspec import Struct

CHUNK_BYTES = 256 * 1024
SCRYPT_LOG2_N = 17  # 128 MiB and a third of a second for each guess

_MAGIC = b"FREEHOLD-BACKUP\n"
_VERSION = 1
_PASSPHRASE, _MASTER = 1, 2
_HEAD = struct.Struct(">16sBBB8s32s")
_LENGTH = struct.Struct(">I")
_TAG = 16
_MIN_LOG2_N, _MAX_LOG2_N = 10, 20  # a head that asks for a terabyte is no head of ours


class ContainerError(Exception):
    """The file cannot be opened or read; the message says why and what to do."""


class Lock(Protocol):
    """What opens and closes a container."""

    def closing(self) -> tuple[int, int, bytes, Callable[[bytes], bytes]]:
        """For the head: which lock, scrypt's log2 N, the master's id; and salt -> key."""
        ...

    def opening(self, kind: int, log2_n: int, master_id: bytes, salt: bytes) -> bytes:
        """The key. Raises ContainerError if this is not what the container was closed with."""
        ...


class Passphrase(Struct):
    phrase: str
    log2_n: int = SCRYPT_LOG2_N

    def __repr__(self) -> str:
        return "Passphrase(...)"

    def closing(self) -> tuple[int, int, bytes, Callable[[bytes], bytes]]:
        return _PASSPHRASE, self.log2_n, bytes(8), lambda salt: self._key(self.log2_n, salt)

    def opening(self, kind: int, log2_n: int, master_id: bytes, salt: bytes) -> bytes:
        if kind != _PASSPHRASE:
            raise ContainerError(
                f"it is locked with master key {master_id.hex()}, not with a passphrase; leave the passphrase out"
            )
        return self._key(log2_n, salt)

    def _key(self, log2_n: int, salt: bytes) -> bytes:
        memory = 128 * 8 << log2_n
        return hashlib.scrypt(self.phrase.encode(), salt=salt, n=1 << log2_n, r=8, p=1, maxmem=2 * memory, dklen=32)


class Master(Protocol):
    """sealing.MasterKey."""

    id: bytes

    def derive(self, purpose: str, salt: bytes, master_id: bytes = b"") -> bytes: ...


class Mastered(Struct):
    """Locked with the master key, which is looked for only when it is needed; `find` raises SealError where there is none."""

    find: Callable[[], Master]

    def closing(self) -> tuple[int, int, bytes, Callable[[bytes], bytes]]:
        master = self.find()
        return _MASTER, 0, master.id, lambda salt: master.derive("backup", salt)

    def opening(self, kind: int, log2_n: int, master_id: bytes, salt: bytes) -> bytes:
        if kind != _MASTER:
            raise ContainerError("it is locked with a passphrase; give it with --passphrase-file or FREEHOLD_BACKUP_PASSPHRASE")
        return self.find().derive("backup", salt, master_id)


class Writer:
    """`close` writes the last chunk: a container without it is cut short."""

    def __init__(self, file: BinaryIO, lock: Lock) -> None:
        kind, log2_n, master_id, key = lock.closing()
        salt = secrets.token_bytes(32)
        self._head = _HEAD.pack(_MAGIC, _VERSION, kind, log2_n, master_id, salt)
        self._aead = _aead(key(salt))
        self._file = file
        # The fastest level: the next one gains a tenth and costs twice the time.
        self._zip = zlib.compressobj(1)
        self._held = bytearray()
        self._number = 0
        file.write(self._head)

    def write(self, data: bytes) -> None:
        """Raises OSError."""
        self._held += self._zip.compress(data)
        while len(self._held) > CHUNK_BYTES:
            self._put(bytes(self._held[:CHUNK_BYTES]), last=False)
            del self._held[:CHUNK_BYTES]

    def close(self) -> None:
        self._held += self._zip.flush()
        while len(self._held) > CHUNK_BYTES:
            self._put(bytes(self._held[:CHUNK_BYTES]), last=False)
            del self._held[:CHUNK_BYTES]
        self._put(bytes(self._held), last=True)

    def _put(self, data: bytes, *, last: bool) -> None:
        sealed: bytes = self._aead.encrypt(_nonce(self._number, last), data, self._head)
        self._file.write(_LENGTH.pack(len(sealed)) + sealed)
        self._number += 1


class Reader:
    """From the file's start. Raises ContainerError: no container, the wrong lock, cut short or altered; SealError; OSError."""

    def __init__(self, file: BinaryIO, lock: Lock) -> None:
        self._file = file
        self._head = file.read(_HEAD.size)
        if not self._head.startswith(_MAGIC):
            raise ContainerError("it is no backup of Freehold")
        if len(self._head) < _HEAD.size:
            raise ContainerError("it is cut short: use another backup")
        _, version, kind, log2_n, master_id, salt = _HEAD.unpack(self._head)
        if version != _VERSION:
            raise ContainerError(f"it has version {version}; this Freehold reads version {_VERSION}: install the newer one")
        if kind not in (_PASSPHRASE, _MASTER) or (kind == _PASSPHRASE and not _MIN_LOG2_N <= log2_n <= _MAX_LOG2_N):
            raise ContainerError("its head is damaged: use another backup")
        self._aead = _aead(lock.opening(kind, log2_n, master_id, salt))
        self._zip = zlib.decompressobj()
        self._held = b""
        self._number = 0
        self._ended = False

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes, none after the end. Raises ContainerError when only some are left."""
        parts, missing = [], size
        while missing:
            if not self._held and not self._more():
                break
            parts.append(self._held[:missing])
            self._held = self._held[missing:]
            missing -= len(parts[-1])
        if missing and missing < size:
            raise ContainerError("it ends in the middle of something: use another backup")
        return b"".join(parts)

    def _more(self) -> bool:
        """Unpack a piece, which may be empty; False at the end."""
        if self._zip.eof:
            if not self._ended or self._zip.unused_data:
                raise ContainerError("something was added at its end: use another backup")
            return False
        packed = self._zip.unconsumed_tail or (b"" if self._ended else self._chunk())
        self._held = self._unpacked(packed)
        if not packed and not self._held and not self._zip.eof:
            raise ContainerError("its last part is missing: use another backup")
        return True

    def _unpacked(self, data: bytes) -> bytes:
        try:
            # In pieces: a little of zlib can become a thousand times as much.
            return self._zip.decompress(data, CHUNK_BYTES)
        except zlib.error:
            raise ContainerError("what is in it cannot be unpacked: use another backup") from None

    def _chunk(self) -> bytes:
        from cryptography.exceptions import InvalidTag

        head = self._file.read(_LENGTH.size)
        size = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else 0
        data = self._file.read(size) if _TAG <= size <= CHUNK_BYTES + _TAG else b""
        if len(data) == size:
            for last in (False, True):
                try:
                    plain: bytes = self._aead.decrypt(_nonce(self._number, last), data, self._head)
                except (InvalidTag, ValueError):
                    continue
                if last and self._file.read(1):
                    raise ContainerError("something was added at its end: use another backup")
                self._ended = last
                self._number += 1
                return plain
        if self._number == 0 and len(data) == size and size:
            raise ContainerError("the passphrase is wrong, or the file is damaged")
        raise ContainerError(f"it is cut short or damaged after {self._file.tell():,} bytes: use another backup")


def _aead(key: bytes) -> Any:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])
