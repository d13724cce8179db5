from __future__ import annotations

from io import BytesIO

import pytest
from msgspec import msgpack

from freehold.control.archive import ArchiveWriter, Head, Piece, Rows, Sum, Tail, messages
from freehold.store.container import ContainerError, Passphrase, Reader, Writer

LOCK = Passphrase("correct horse", 10)
HEAD = Head(freehold="1", revision="0001", kind="sqlite", made_ms=1, tables={"t": ["a", "b"]})
ROWS = Rows("t", [["x", 1], [None, b"\0"]])
PIECE = Piece("keys.json", b"{}")


def opened(raw: bytes) -> Reader:
    return Reader(BytesIO(raw), LOCK)


def raw(*parts: object, tail: object = None) -> bytes:
    """A container with these messages as they are."""
    file = BytesIO()
    writer = Writer(file, LOCK)
    for part in parts:
        encoded = part if isinstance(part, bytes) else msgpack.encode(part)
        writer.write(len(encoded).to_bytes(4, "big") + encoded)
    writer.close()
    return file.getvalue()


def test_messages_come_out_as_they_went_in_and_are_counted() -> None:
    file = BytesIO()
    archive = ArchiveWriter(Writer(file, LOCK))
    for message in (HEAD, ROWS, ROWS, PIECE):
        archive.put(message)
    tail = archive.close()
    assert list(messages(opened(file.getvalue()))) == [HEAD, ROWS, ROWS, PIECE, tail]
    assert (tail.tables["t"].size, tail.files["keys.json"].size) == (4, 2)


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ((), "has no end"),
        ((HEAD,), "has no end"),
        ((HEAD, ROWS), "has no end"),
        ((ROWS, Tail()), "out of order"),
        ((Tail(),), "out of order"),
        ((HEAD, HEAD, Tail()), "out of order"),
        ((HEAD, ROWS, Tail()), "does not hold what it says"),
        ((HEAD, Tail({"t": Sum(4, "")})), "does not hold what it says"),
        ((HEAD, Tail(), PIECE), "does not hold what it says"),
        ((HEAD, b"", Tail()), "has no end"),
        ((HEAD, b"\xc1", Tail()), "does not know"),
        ((HEAD, {"is": "new"}, Tail()), "does not know"),
        ((HEAD, {"is": "rows", "table": 1, "rows": []}, Tail()), "does not know"),
    ],
)
def test_what_does_not_add_up_is_refused(parts: tuple[object, ...], says: str) -> None:
    with pytest.raises(ContainerError, match=says):
        list(messages(opened(raw(*parts))))


def test_it_ends_where_it_says() -> None:
    assert list(messages(opened(raw(HEAD, Tail())))) == [HEAD, Tail()]
