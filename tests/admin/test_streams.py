from __future__ import annotations

import threading
from typing import BinaryIO

import pytest

from freehold.admin.streams import PIECE_BYTES, piped


def test_what_is_written_arrives_in_pieces() -> None:
    pieces = list(piped(lambda out: [out.write(b"x" * 100_000) for _ in range(10)]))
    assert b"".join(pieces) == b"x" * 1_000_000 and max(map(len, pieces)) <= PIECE_BYTES


def test_a_reader_that_goes_away_ends_the_writing() -> None:
    ended = threading.Event()

    def endless(out: BinaryIO) -> None:
        try:
            while True:
                out.write(b"x" * 10_000)
        finally:
            ended.set()

    stream = piped(endless)
    assert next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert ended.wait(30)


def test_a_failure_cuts_the_stream_short() -> None:
    def fails(out: BinaryIO) -> None:
        out.write(b"half")
        raise RuntimeError("the database is gone")

    stream = piped(fails)
    assert next(stream) == b"half"
    with pytest.raises(RuntimeError, match="gone"):
        next(stream)
