"""The file of objects: whoever writes it may be killed at any byte, and whoever reads it may come at any moment."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from freehold.store import feed
from freehold.store.feed import (
    CredentialLine,
    FeedError,
    FeedReader,
    Gone,
    Head,
    KeyLine,
    Line,
    Mark,
    ProviderLine,
    RouteLine,
    WorkspaceLine,
    locked,
    usable_keys,
)


def key(n: int, **more: object) -> KeyLine:
    return KeyLine(workspace="default", id=f"key_{n}", name=f"k{n}", digest=bytes([n]) * 32, **more)  # type: ignore[arg-type]


OBJECTS: list[feed.Object] = [
    WorkspaceLine(id="default", data_key=b"\x00\xffwrapped"),
    ProviderLine(workspace="default", id="provider_1", name="lab", config={"base_url": "http://h/v1", "models": ["ä"]}),
    RouteLine(workspace="default", id="route_1", name="fast", config={"targets": [{"provider": "lab", "model": "m"}]}),
    CredentialLine(workspace="default", id="credential_1", provider="lab", secret=b"\n\x00sealed"),
    key(1, off="app", old_digest=b"\n" * 32, old_until_ms=5, expires_ms=6, addresses=("10.0.0.0/8",), limits=({"requests": 1},)),
    key(2),
]


def everything(reader: FeedReader, size: int = feed.SLICE_BYTES) -> list[Line]:
    found: list[Line] = []
    while (part := reader.read(size)) is not None:
        found += part.lines
    return found


def test_what_is_written_is_read_and_additions_follow(tmp_path: Path) -> None:
    reader = FeedReader(tmp_path)
    assert reader.read() is None, "nothing there yet"
    with locked(tmp_path) as writer:
        assert writer.replace(OBJECTS, 7, 1) == len(OBJECTS)
        part = reader.read()
        assert part is not None and part.fresh and not part.more
        assert part.lines == [Head(1, 1), *OBJECTS, Mark(7)]
        assert reader.read() is None
        gone = Gone(kind="key", workspace="default", id="key_2")
        writer.append([gone], 8)
        part = reader.read()
        assert part is not None and not part.fresh and part.lines == [gone, Mark(8)]
    assert feed.revision(tmp_path) == 8
    reader.close()


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    with locked(tmp_path) as writer:
        writer.replace(OBJECTS, 1, 1)
    assert stat.S_IMODE(feed.path(tmp_path).stat().st_mode) == 0o600
    assert stat.S_IMODE(feed.path(tmp_path).parent.stat().st_mode) == 0o700


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A whole file and an addition."""
    folder = tmp_path_factory.mktemp("content")
    with locked(folder) as writer:
        writer.replace(OBJECTS, 7, 1)
        writer.append([key(3), Gone(kind="key", workspace="default", id="key_2")], 8)
    return feed.path(folder).read_bytes()


def test_what_is_read_does_not_depend_on_where_the_writer_was_cut(tmp_path: Path, content: bytes) -> None:
    """At every byte: first what was there by then, later the rest, and no line twice or in halves."""
    whole = [Head(1, 1), *OBJECTS, Mark(7), key(3), Gone(kind="key", workspace="default", id="key_2"), Mark(8)]
    file = feed.path(tmp_path)
    file.parent.mkdir()
    for cut in range(content.index(b"\n") + 1, len(content) + 1):
        file.unlink(missing_ok=True)
        file.write_bytes(content[:cut])
        reader = FeedReader(tmp_path)
        before = everything(reader)
        assert before == whole[: content.count(b"\n", 0, cut)]
        with file.open("ab") as more:
            more.write(content[cut:])
        assert before + everything(reader) == whole
        reader.close()


@pytest.mark.parametrize("size", [1, 7, 64, 300, 100_000])
def test_what_is_read_does_not_depend_on_the_size_of_slices(tmp_path: Path, content: bytes, size: int) -> None:
    file = feed.path(tmp_path)
    file.parent.mkdir()
    file.write_bytes(content)
    reader = FeedReader(tmp_path)
    assert len(everything(reader, size)) == content.count(b"\n")
    reader.close()


def test_a_slice_is_bounded_and_says_that_more_follows(tmp_path: Path) -> None:
    with locked(tmp_path) as writer:
        writer.replace((key(n % 250) for n in range(5000)), 1, 1)
    reader = FeedReader(tmp_path)
    part = reader.read()
    assert part is not None and part.fresh and part.more and 0 < len(part.lines) < 1000
    part = reader.read()
    assert part is not None and not part.fresh
    assert len(everything(reader)) + len(part.lines) > 4000
    reader.close()


@pytest.mark.parametrize("slices", range(5))
def test_a_new_file_in_the_middle_of_the_old_one_is_begun_anew(tmp_path: Path, slices: int) -> None:
    with locked(tmp_path) as writer:
        writer.replace((key(n) for n in range(20)), 1, 1)
        reader = FeedReader(tmp_path)
        for _ in range(slices):
            assert reader.read(400) is not None
        writer.append([key(30)], 2)
        writer.replace([key(50)], 3, 2)
        writer.append([key(51)], 4)
        part = reader.read()
        assert part is not None and part.fresh
        assert part.lines == [Head(1, 2), key(50), Mark(3), key(51), Mark(4)]
        assert reader.read() is None
    reader.close()


def test_a_file_cut_below_what_was_read_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    file = feed.path(tmp_path)
    file.parent.mkdir()
    file.write_bytes(content)
    reader = FeedReader(tmp_path)
    everything(reader)
    os.truncate(file, content.index(b"\n") + 1)
    part = reader.read()
    assert part is not None and part.fresh and part.lines == [Head(1, 1)]
    reader.close()


def test_a_file_that_vanishes_changes_nothing(tmp_path: Path, content: bytes) -> None:
    file = feed.path(tmp_path)
    file.parent.mkdir()
    file.write_bytes(content)
    reader = FeedReader(tmp_path)
    everything(reader)
    file.unlink()
    assert reader.read() is None
    file.write_bytes(content)
    part = reader.read()
    assert part is not None and part.fresh
    reader.close()


def test_a_line_of_another_version_is_counted_and_left_out(tmp_path: Path) -> None:
    file = feed.path(tmp_path)
    file.parent.mkdir()
    file.write_bytes(
        b'{"type":"head","version":1,"made_ms":1}\n{"type":"moon"}\nnonsense\n{"type":"mark","revision":1,"new":2}\n'
    )
    reader = FeedReader(tmp_path)
    part = reader.read()
    assert part is not None and part.lines == [Head(1, 1), Mark(1)] and part.unreadable == 2
    reader.close()


@pytest.mark.parametrize("first", [b'{"type":"head","version":2,"made_ms":1}\n', b'{"type":"mark","revision":1}\n', b"?\n"])
def test_a_file_of_another_version_is_an_error(tmp_path: Path, first: bytes) -> None:
    file = feed.path(tmp_path)
    file.parent.mkdir()
    file.write_bytes(first)
    with pytest.raises(FeedError, match="reads version 1"):
        FeedReader(tmp_path).read()


def test_a_very_long_line_is_read_and_an_endless_one_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = ProviderLine(workspace="default", id="p", name="p", config={"x": "y" * 300_000})
    with locked(tmp_path) as writer:
        writer.replace([long], 1, 1)
    reader = FeedReader(tmp_path)
    assert everything(reader) == [Head(1, 1), long, Mark(1)]
    monkeypatch.setattr(feed, "_LONGEST_LINE_BYTES", 100_000)
    with pytest.raises(FeedError, match="more than 100000 bytes"):
        everything(FeedReader(tmp_path))


def test_there_is_one_writer(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(BlockingIOError), locked(tmp_path, wait=False):
        pass
    with locked(tmp_path, wait=False):
        pass


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    def failing() -> Iterator[feed.Object]:
        yield key(1)
        raise OSError(28, "No space left on device")

    with locked(tmp_path) as writer:
        writer.replace(OBJECTS, 1, 1)
        with pytest.raises(OSError, match="No space"):
            writer.replace(failing(), 2, 2)
    assert feed.revision(tmp_path) == 1
    assert sorted(os.listdir(tmp_path / "objects")) == ["feed.jsonl", "lock"]


def test_an_addition_that_failed_half_way_is_ignored_until_a_new_file_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with locked(tmp_path) as writer:
        writer.replace(OBJECTS, 1, 1)
        reader = FeedReader(tmp_path)
        everything(reader)
        real = os.write
        with monkeypatch.context() as patch:
            written = iter([60])

            def full(fd: int, data: bytes) -> int:
                size = next(written, 0)
                if not size:
                    raise OSError(28, "No space left on device")
                return real(fd, bytes(data)[:size])

            patch.setattr(feed.os, "write", full)
            with pytest.raises(OSError, match="No space"):
                writer.append([key(3)], 2)
        assert reader.read() is None, "no line has ended"
        assert feed.revision(tmp_path) is None
        with pytest.raises(OSError, match="Bad file descriptor"):
            writer.append([key(4)], 3)  # it would go on in the middle of that line
        writer.replace([key(5)], 3, 2)
    assert everything(reader) == [Head(1, 2), key(5), Mark(3)]
    reader.close()


def test_usable_keys_are_counted_each_once_as_they_are_now(tmp_path: Path) -> None:
    assert usable_keys(tmp_path) is None
    with locked(tmp_path) as writer:
        writer.replace([key(1), key(2), key(3, off="key"), WorkspaceLine(id="default")], 1, 1)
        writer.append([key(2, off="member"), key(1), key(4)], 2)
    assert usable_keys(tmp_path) == 2
    with feed.path(tmp_path).open("ab") as file:
        file.write(b'{"type":"key","id":"key_9"')
    assert usable_keys(tmp_path) == 2
