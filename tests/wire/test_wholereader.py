"""WholeReader: nothing before the end, the whole body then, and a Failure where it can't be read."""

from __future__ import annotations

import pytest

from freehold.wire.chat import End, Event, Failure, Start
from freehold.wire.wholereader import WholeReader

UNREADABLE = Failure(kind="upstream_broken", message="no")


def _read(body: bytes) -> list[Event]:
    return [Start(id=body.decode()), End()]


@pytest.mark.parametrize("cut", range(len("körper".encode()) + 1))
def test_the_body_is_read_once_it_is_complete_however_it_is_cut(cut: int) -> None:
    body = "körper".encode()
    reader = WholeReader(_read, UNREADABLE)
    assert reader.feed(body[:cut]) == reader.feed(body[cut:]) == []
    assert reader.close() == [Start(id="körper"), End()]


def test_no_bytes_at_all_are_a_body_too() -> None:
    assert WholeReader(_read, UNREADABLE).close() == [Start(id=""), End()]


@pytest.mark.parametrize("error", [ValueError("secret"), RecursionError()])
def test_a_body_that_can_not_be_read_is_a_failure(error: Exception) -> None:
    def read(body: bytes) -> list[Event]:
        raise error

    reader = WholeReader(read, UNREADABLE)
    reader.feed(b"x")
    assert reader.close() == [UNREADABLE]
