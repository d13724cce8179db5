from __future__ import annotations

import os
import random
import tracemalloc
from io import BytesIO
from typing import BinaryIO

import pytest

from freehold.store.container import CHUNK_BYTES, ContainerError, Lock, Mastered, Passphrase, Reader, Writer
from freehold.store.sealing import MasterKey, SealError

LOCK = Passphrase("correct horse", 10)
HEAD_BYTES = 16 + 3 + 8 + 32
LARGE = 3 * CHUNK_BYTES + 4


def packed(data: bytes, lock: Lock = LOCK, step: int = 100_000) -> bytes:
    file = BytesIO()
    writer = Writer(file, lock)
    for at in range(0, len(data), step):
        writer.write(data[at : at + step])
    writer.close()
    return file.getvalue()


def unpacked(raw: bytes, size: int, lock: Lock = LOCK, step: int = 70_001) -> bytes:
    """`size` bytes, after which there must be no more."""
    reader = Reader(BytesIO(raw), lock)
    parts = [reader.read(min(step, size - at)) for at in range(0, size, step)]
    assert reader.read(1) == b""
    return b"".join(parts)


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


@pytest.mark.parametrize("size", [0, 1, 3 * 4 * 7, CHUNK_BYTES - 6, CHUNK_BYTES, 3 * CHUNK_BYTES + 4])
def test_what_goes_in_comes_out(size: int) -> None:
    data = noise(size)
    for step in (7, 1000, CHUNK_BYTES, size + 1):
        assert unpacked(packed(data, step=max(step, 1000)), size, step=max(step, size // 1000)) == data


def test_reading_stops_at_the_end_and_not_in_the_middle_of_something() -> None:
    raw = packed(b"abcde")
    with pytest.raises(ContainerError, match="middle of something"):
        Reader(BytesIO(raw), LOCK).read(6)
    reader = Reader(BytesIO(raw), LOCK)
    assert (reader.read(2), reader.read(3), reader.read(6), reader.read(1)) == (b"ab", b"cde", b"", b"")


def test_what_packs_well_comes_out_in_constant_memory() -> None:
    size = 100_000_000
    file = BytesIO()
    writer = Writer(file, LOCK)
    tracemalloc.start()
    for _ in range(size // 1_000_000):
        writer.write(bytes(1_000_000))
    writer.close()
    raw = file.getvalue()
    reader, got = Reader(BytesIO(raw), LOCK), 0
    while part := reader.read(1_000_000):
        got += len(part)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert got == size and len(raw) < size / 100
    assert peak < 10_000_000, peak


def test_two_of_the_same_differ_and_show_nothing() -> None:
    data = b"a secret that is long enough " * 3
    one, other = packed(data), packed(data)
    assert one != other and b"secret" not in one


@pytest.fixture(scope="module")
def small() -> bytes:
    return packed(noise(100))


@pytest.fixture(scope="module")
def large() -> bytes:
    return packed(noise(LARGE))


@pytest.mark.parametrize("length", range(HEAD_BYTES + 4 + 100))
def test_every_cut_of_a_small_one_is_noticed(small: bytes, length: int) -> None:
    with pytest.raises(ContainerError):
        unpacked(small[:length], 100)


def test_a_cut_at_any_chunks_border_is_noticed(large: bytes) -> None:
    at = HEAD_BYTES
    borders = []
    while at < len(large):
        borders.append(at)
        at += 4 + int.from_bytes(large[at : at + 4], "big")
    assert at == len(large) and len(borders) == 4
    for border in borders:
        for length in (border, border + 1, border + 4, border + 100):
            with pytest.raises(ContainerError, match=r"cut short|damaged"):
                unpacked(large[:length], LARGE)


@pytest.mark.parametrize("at", range(0, HEAD_BYTES + 4 + 116, 3))
def test_a_flipped_bit_is_noticed_wherever_it_is(small: bytes, at: int) -> None:
    damaged = bytearray(small)
    damaged[at] ^= 1
    if at == 18:  # scrypt's cost
        damaged[at] ^= 1 ^ 64
    with pytest.raises(ContainerError):
        unpacked(bytes(damaged), 100)


def test_chunks_that_are_swapped_repeated_or_left_out_are_noticed(large: bytes) -> None:
    head, size = large[:HEAD_BYTES], 4 + CHUNK_BYTES + 16
    chunks = [large[HEAD_BYTES + n * size :][:size] for n in range(4)]
    assert b"".join((head, *chunks)) == large
    a, b, c, last = chunks
    for order in ((b, a, c, last), (a, b, b, last), (a, b, last), (a, last), (last,), (a, b, c, last, last), (a, b, c)):
        with pytest.raises(ContainerError):
            unpacked(b"".join((head, *order)), LARGE)
    other = packed(noise(LARGE))
    with pytest.raises(ContainerError, match="wrong, or the file is damaged"):
        unpacked(other[:HEAD_BYTES] + large[HEAD_BYTES:], LARGE)


def test_something_added_at_the_end_is_noticed(small: bytes) -> None:
    with pytest.raises(ContainerError, match="added at its end"):
        unpacked(small + b"\0", 100)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "no backup of Freehold"),
        (b"PK\x03\x04" + bytes(200), "no backup of Freehold"),
        (b"FREEHOLD-BACKUP\n" + b"\x02" + bytes(100), "version 2; this Freehold reads version 1"),
        (b"FREEHOLD-BACKUP\n" + b"\x01", "cut short"),
        (b"FREEHOLD-BACKUP\n" + b"\x01\x09" + bytes(100), "head is damaged"),
        (b"FREEHOLD-BACKUP\n" + b"\x01\x01\x3f" + bytes(100), "head is damaged"),
    ],
)
def test_what_is_no_container_is_told_apart(raw: bytes, says: str) -> None:
    with pytest.raises(ContainerError, match=says):
        Reader(BytesIO(raw), LOCK)


def test_a_wrong_passphrase_is_said_so(small: bytes) -> None:
    with pytest.raises(ContainerError, match="passphrase is wrong") as raised:
        unpacked(small, 100, Passphrase("another"))
    assert "another" not in str(raised.value) and "another" not in repr(Passphrase("another"))


def test_a_master_key_opens_its_own_and_after_a_rotation_too() -> None:
    old, new = MasterKey(bytes(32)), MasterKey(bytes(range(32)), [bytes(32)])
    raw = packed(b"x" * 10, Mastered(lambda: old))
    assert unpacked(raw, 10, Mastered(lambda: new)) == b"x" * 10
    with pytest.raises(SealError, match="FREEHOLD_MASTER_KEY_PREVIOUS"):
        unpacked(raw, 10, Mastered(lambda: MasterKey(bytes(range(32)))))


def test_the_other_lock_is_named(small: bytes) -> None:
    def none() -> MasterKey:
        raise AssertionError("no master key is needed to say so")

    with pytest.raises(ContainerError, match="locked with a passphrase; give it"):
        unpacked(small, 100, Mastered(none))
    master = MasterKey(bytes(32))
    with pytest.raises(ContainerError, match=f"locked with master key {master.id.hex()}"):
        unpacked(packed(b"", Mastered(lambda: master)), 0)


def test_a_full_disk_is_told() -> None:
    class Full(BytesIO):
        def write(self, data: object) -> int:
            if self.tell() > HEAD_BYTES:
                raise OSError(28, "No space left on device")
            return super().write(data)  # type: ignore[arg-type]

    file: BinaryIO = Full()
    writer = Writer(file, LOCK)
    with pytest.raises(OSError, match="No space"):
        for _ in range(20):
            writer.write(os.urandom(CHUNK_BYTES))
