"""From a change in the database to a line in the node's file, on both databases."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from freehold.control import follow
from freehold.control.actor import command
from freehold.control.apps import Apps, EditApp, NewApp
from freehold.control.follow import Follower, write_once
from freehold.control.keys import EditKey, Keys, NewKey
from freehold.control.plane import Plane
from freehold.store import changes, feed
from freehold.store.address import parse
from freehold.store.engine import writing
from freehold.store.feed import FeedReader, KeyLine, Mark
from freehold.store.tenants import keys

ROOT = command()


class Node:
    """Reads what a worker would."""

    def __init__(self, data: Path) -> None:
        self._reader = FeedReader(data)
        self.keys: dict[str, KeyLine] = {}
        self.fresh = 0
        self.revision = -1

    def look(self) -> Node:
        while (part := self._reader.read()) is not None:
            if part.fresh:
                self.fresh += 1
                self.keys.clear()
            for line in part.lines:
                if isinstance(line, KeyLine):
                    self.keys[line.id] = line
                elif isinstance(line, feed.Gone):
                    self.keys.pop(line.id, None)
                elif isinstance(line, Mark):
                    self.revision = line.revision
        return self


def eventually(holds: Callable[[], Any]) -> bool:
    for _ in range(1200):
        if holds():
            return True
        time.sleep(0.025)
    return False


@contextmanager
def following(plane: Plane, **options: Any) -> Iterator[Follower]:
    follower, stopping = Follower(plane.data, plane.address, **options), threading.Event()
    thread = threading.Thread(target=follower.run, args=(stopping,))
    thread.start()
    try:
        yield follower
    finally:
        stopping.set()
        thread.join(30)
    assert not thread.is_alive()


def test_all_is_written_at_the_start_and_changes_are_added(plane: Plane) -> None:
    first = Keys().create(plane, ROOT, NewKey(name="first"))
    node = Node(plane.data)
    with following(plane) as follower:
        assert eventually(lambda: node.look().fresh) and first.id in node.keys
        assert eventually(follower.ready.is_set)
        second = Keys().create(plane, ROOT, NewKey(name="second"))
        assert eventually(lambda: second.id in node.look().keys)
        Keys().change(plane, ROOT, first.id, EditKey(disabled=True))
        assert eventually(lambda: node.look().keys[first.id].off == "key")
        Keys().remove(plane, ROOT, second.id)
        assert eventually(lambda: second.id not in node.look().keys)
    assert node.fresh == 1 and node.revision == 4


def test_every_start_writes_all_anew(plane: Plane) -> None:
    node = Node(plane.data)
    with following(plane):
        assert eventually(lambda: node.look().fresh == 1)
    made = Keys().create(plane, ROOT, NewKey(name="while nobody followed"))
    with following(plane):
        assert eventually(lambda: node.look().fresh == 2)
    assert made.id in node.keys


def test_an_app_switched_off_switches_its_keys_off(plane: Plane) -> None:
    app = Apps().create(plane, ROOT, NewApp(name="bot"))
    made = Keys().create(plane, ROOT, NewKey(name="k", app_id=app.id))
    node = Node(plane.data)
    with following(plane):
        assert eventually(lambda: made.id in node.look().keys)
        Apps().change(plane, ROOT, app.id, EditApp(disabled=True))
        assert eventually(lambda: node.look().keys[made.id].off == "app")
        Apps().change(plane, ROOT, app.id, EditApp(disabled=False))
        assert eventually(lambda: node.look().keys[made.id].off == "")


def test_a_database_restored_beneath_it_is_written_anew(plane: Plane, capsys: pytest.CaptureFixture[str]) -> None:
    old = Keys().create(plane, ROOT, NewKey(name="old"))
    node = Node(plane.data)
    with following(plane):
        assert eventually(lambda: old.id in node.look().keys)
        with writing(plane.engine, "objects") as connection:  # as if from a backup of the day before
            connection.execute(delete(keys))
            connection.execute(delete(changes.changes))
        assert eventually(lambda: old.id not in node.look().keys)
        new = Keys().create(plane, ROOT, NewKey(name="new"))
        assert eventually(lambda: new.id in node.look().keys)
    assert node.fresh == 2 and '"event":"objects_written"' in capsys.readouterr().err


def test_additions_that_have_grown_are_replaced_by_a_whole_file(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "MAX_ADDED_BYTES", 400)
    node = Node(plane.data)
    with following(plane):
        assert eventually(lambda: node.look().fresh == 1)
        made = [Keys().create(plane, ROOT, NewKey(name=f"k{n}")).id for n in range(8)]
        assert eventually(lambda: set(made) == set(node.look().keys))
        assert eventually(lambda: node.look().fresh > 1)
        last = Keys().create(plane, ROOT, NewKey(name="last")).id
        assert eventually(lambda: last in node.look().keys)


def test_a_disk_that_fills_up_costs_no_change(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(plane.data)
    with following(plane):
        assert eventually(lambda: node.look().fresh == 1)
        real = feed.FeedWriter._add

        def half(self: feed.FeedWriter, data: bytes) -> None:
            os.write(self._fd, bytes(data)[:30])
            self.close()
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(feed.FeedWriter, "_add", half)
            made = Keys().create(plane, ROOT, NewKey(name="k"))
            # The whole file that is written in its place is written by other means.
            assert eventually(lambda: made.id in node.look().keys)
        assert feed.FeedWriter._add is real
        later = Keys().create(plane, ROOT, NewKey(name="later"))
        assert eventually(lambda: later.id in node.look().keys)


def test_an_outage_leaves_the_file_and_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    follower = Follower(tmp_path, parse("postgresql://app:secret@127.0.0.1:1/none"))
    with feed.locked(tmp_path) as writer:
        writer.replace([], 5, 1)
        for _ in range(3):
            follower.once(writer)
    said = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [one["event"] for one in said] == ["follow_failed"] and "secret" not in str(said)
    assert feed.revision(tmp_path) == 5 and not follower.ready.is_set()


def test_after_an_outage_it_goes_on_where_it_was(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(plane.data)
    follower = Follower(plane.data, plane.address)
    with feed.locked(plane.data) as writer:
        follower.once(writer)
        with monkeypatch.context() as patch:
            patch.setattr(changes, "since", lambda *_: 1 / 0)
            follower.once(writer)
        assert not follower.ready.is_set()
        made = Keys().create(plane, ROOT, NewKey(name="k"))
        follower.once(writer)
        assert follower.ready.is_set() and made.id in node.look().keys and node.fresh == 1


def test_one_follower_waits_for_the_other_to_end(plane: Plane) -> None:
    node = Node(plane.data)
    with feed.locked(plane.data) as writer:
        writer.replace([], 0, 1)
        with following(plane) as follower:
            time.sleep(0.5)
            assert not follower.ready.is_set() and node.look().fresh == 1
            # Let go of the lock as a killed process does.
            writer.close()
    with following(plane):
        assert eventually(lambda: node.look().fresh == 2)


def test_a_sqlite_file_that_was_replaced_is_noticed(plane: Plane) -> None:
    file = plane.address.file
    if file is None:
        pytest.skip("only a file can be replaced")
    replaced = threading.Event()
    with following(plane, replaced=replaced.set) as follower:
        assert eventually(follower.ready.is_set)
        shutil.copy(file, file.with_suffix(".copy"))
        os.rename(file.with_suffix(".copy"), file)
        assert replaced.wait(30)


def test_a_command_brings_the_file_up_to_date_unless_a_control_plane_does(plane: Plane) -> None:
    assert write_once(plane.data, plane.engine)
    before = feed.path(plane.data).stat()
    assert write_once(plane.data, plane.engine) and feed.path(plane.data).stat().st_ino == before.st_ino
    made = Keys().create(plane, ROOT, NewKey(name="k"))
    with feed.locked(plane.data):
        assert not write_once(plane.data, plane.engine)
    assert write_once(plane.data, plane.engine)
    assert made.id in Node(plane.data).look().keys


def test_a_file_that_was_taken_away_is_written_again(plane: Plane) -> None:
    """As a restored backup does."""
    node = Node(plane.data)
    with following(plane):
        assert eventually(lambda: node.look().fresh == 1)
        feed.path(plane.data).unlink()
        assert eventually(lambda: node.look().fresh == 2)
