"""What a syslog server receives."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from freehold.control import syslog
from freehold.control.actor import command
from freehold.control.plane import Plane
from freehold.control.syslog import push
from freehold.control.teams import NewTeam, Teams
from tests.admin.conftest import workspace

HEAD = re.compile(rb"<109>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \S+ freehold - team\.create - (\{.*\})\Z", re.DOTALL)


def act(plane: Plane, *names: str, space: str = "default") -> None:
    for name in names:
        Teams().create(plane, command(space), NewTeam(name=name))


def names(messages: list[bytes]) -> list[str]:
    found = [HEAD.match(message) for message in messages]
    assert all(found), messages
    return [json.loads(one[1])["object"] for one in found if one]


def arrived(seen: list[bytes], count: int) -> None:
    until = time.monotonic() + 30
    while len(seen) < count and time.monotonic() < until:
        time.sleep(0.01)
    assert len(seen) == count


@contextmanager
def tcp() -> Iterator[tuple[str, list[bytes]]]:
    """A server that counts frames as RFC 6587 says."""
    seen: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                link, _ = listener.accept()
            except OSError:
                return
            with link, link.makefile("rb") as file:
                while digits := b"".join(iter(lambda: file.read(1).strip(), b"")):
                    seen.append(file.read(int(digits)))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}", seen
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(30)


def test_every_record_of_every_workspace_arrives_once_and_in_order(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syslog, "_AT_ONCE", 2)
    workspace(plane, "other")
    act(plane, "a", "b", "c")
    act(plane, "x", space="other")
    with tcp() as (target, seen):
        assert push(plane.engine, target) == 4 and push(plane.engine, target) == 0
        act(plane, "zoé")
        assert push(plane.engine, target) == 1
        arrived(seen, 5)
    assert names(seen) == ["a", "b", "c", "x", "zoé"]


def test_it_is_done_again_and_again_until_it_is_told_to_end(
    plane: Plane, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(syslog, "EVERY_S", 0.01)
    monkeypatch.setattr(syslog, "MAX_DELAY_S", 0.05)
    where: list[str | None] = [None]
    stopping = threading.Event()
    thread = threading.Thread(target=syslog.run, args=(stopping, plane.address, lambda: where[0]), daemon=True)
    thread.start()
    act(plane, "a")
    with tcp() as (target, _):
        pass
    where[0] = target
    said = ""
    until = time.monotonic() + 30
    while "syslog_failed" not in said and time.monotonic() < until:
        time.sleep(0.01)
        said += capsys.readouterr().err
    assert "syslog_failed" in said
    with tcp() as (target, seen):
        where[0] = target
        arrived(seen, 1)
        act(plane, "b")
        arrived(seen, 2)
    stopping.set()
    thread.join(30)
    assert not thread.is_alive() and names(seen) == ["a", "b"]


def test_what_could_not_be_sent_is_sent_later(plane: Plane) -> None:
    act(plane, "a")
    with tcp() as (target, _):
        pass
    with pytest.raises(OSError):
        push(plane.engine, target)
    with tcp() as (other, seen):
        assert push(plane.engine, other) == 1
        arrived(seen, 1)
    assert names(seen) == ["a"]


def test_by_udp_each_record_is_a_datagram(plane: Plane) -> None:
    act(plane, "a", "b")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(30)
        assert push(plane.engine, f"udp://127.0.0.1:{server.getsockname()[1]}") == 2
        assert names([server.recv(65_536) for _ in range(2)]) == ["a", "b"]
