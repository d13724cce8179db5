"""The load generator and the upstream, compiled and run: what they report is what happened."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.calls import Call
from bench.candidates import MODELS, Candidate, start_upstream
from bench.processes import free_port
from bench.run import compile_tools
from bench.scenarios import Bench, Scenario
from bench.shapes import Dialect

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the benchmark's tools are for Linux"),
    pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler here"),
]


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_tools(tmp_path_factory.mktemp("tools"))


@pytest.fixture
def upstream(tools: Path, tmp_path: Path) -> Iterator[Candidate]:
    candidate = start_upstream(tools / "upstream", min(os.sched_getaffinity(0)), tmp_path / "log")
    yield candidate
    candidate.process.stop()


def load(tools: Path, port: int, request: bytes, folder: Path, *options: str) -> dict[str, Any]:
    file = folder / "request"
    file.write_bytes(request)
    done = subprocess.run([str(tools / "loadgen"), *options, str(port), str(file)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


class Scripted:
    """A server that answers every request of `length` bytes with `reply`; then hangs up if `once`."""

    def __init__(self, reply: Callable[[socket.socket], None], length: int) -> None:
        self.port = free_port()
        self.requests = 0
        self._reply = reply
        self._length = length
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while len(connection.recv(self._length, socket.MSG_WAITALL)) == self._length:
                self.requests += 1
                self._reply(connection)
        except OSError:
            return

    def close(self) -> None:
        self._listener.close()


def in_bytes(data: bytes) -> Callable[[socket.socket], None]:
    def reply(connection: socket.socket) -> None:
        for i in range(len(data)):
            connection.send(data[i : i + 1])

    return reply


@pytest.mark.parametrize("client", MODELS)
def test_the_upstream_says_the_same_in_every_dialect(upstream: Candidate, client: Dialect) -> None:
    answer = upstream.ask(Call(client, client))
    assert (answer.status, answer.ended, answer.problem) == (200, "stop", "")
    assert answer == upstream.ask(Call())


@pytest.mark.parametrize("client", ["openai", "anthropic"])
def test_the_upstream_streams_in_two_dialects(upstream: Candidate, client: Dialect) -> None:
    answer = upstream.ask(Call(client, client, stream=True))
    assert (answer.status, answer.pieces, answer.ended, answer.problem) == (200, 50, "stop", "")


def test_the_upstream_tells_usage_in_a_stream_only_when_asked(upstream: Candidate) -> None:
    bodies = {}
    for asked in (False, True):
        body = json.dumps({"stream": True, "stream_options": {"include_usage": asked}, "model": "m", "messages": []}).encode()
        with socket.create_connection(("127.0.0.1", upstream.port), timeout=10) as connection:
            connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            with connection.makefile("rb") as reply:
                lines = iter(reply.readline, b"0\r\n")
                bodies[asked] = b"".join(lines)
    assert b'"usage"' in bodies[True]
    assert b'"usage"' not in bodies[False]


@pytest.mark.parametrize("pieces", [1, 7])
@pytest.mark.parametrize("delay_us", [0, 1000])
def test_every_piece_that_the_upstream_sends_is_counted(
    tools: Path, upstream: Candidate, tmp_path: Path, pieces: int, delay_us: int
) -> None:
    scenario = Scenario("any", "any", Call(stream=True), delay_us=delay_us, pieces=pieces)
    Bench(upstream, tools / "loadgen", tmp_path).pace(scenario)
    report = load(tools, upstream.port, upstream.wire(scenario.call), tmp_path, "-c", "5", "-t", "0.3")
    assert report["ok"] > 0
    assert report["piece"]["n"] == report["ok"] * pieces
    assert report["sent"] == report["ok"]
    assert report["unfinished"] == report["broken"] == report["refused"] == 0


def test_an_open_loop_sends_at_its_rate(tools: Path, upstream: Candidate, tmp_path: Path) -> None:
    report = load(tools, upstream.port, upstream.wire(Call()), tmp_path, "-c", "8", "-t", "1", "-r", "200")
    assert report["sent"] == report["ok"] == 200


@pytest.mark.parametrize("framing", ["sized", "chunked", "until close"])
def test_a_reply_is_read_to_its_end_however_it_is_cut(tools: Path, tmp_path: Path, framing: str) -> None:
    body = b"x @@0000000000000001 y @@12 @@ @@0000000000000002"
    if framing == "sized":
        wire = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    elif framing == "chunked":
        chunks = b"".join(b"1;a=b\r\n%c\r\n" % byte for byte in body)
        wire = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\ntrailer: x\r\n\r\n"
    else:
        wire = b"HTTP/1.1 200 OK\r\n\r\n" + body
    request = b"POST / HTTP/1.1\r\n\r\n"
    send = in_bytes(wire)

    def reply(connection: socket.socket) -> None:
        send(connection)
        if framing == "until close":
            connection.shutdown(socket.SHUT_RDWR)

    server = Scripted(reply, len(request))
    report = load(tools, server.port, request, tmp_path, "-c", "1", "-t", "0.2")
    server.close()
    assert report["ok"] == report["sent"] > 0
    assert report["piece"]["n"] == 2 * report["ok"]
    assert server.requests == report["sent"]


def test_other_statuses_are_refusals_and_the_first_is_named(tools: Path, tmp_path: Path) -> None:
    request = b"POST / HTTP/1.1\r\n\r\n"
    server = Scripted(in_bytes(b"HTTP/1.1 503 Busy\r\ncontent-length: 2\r\n\r\nno"), len(request))
    report = load(tools, server.port, request, tmp_path, "-c", "1", "-t", "0.1")
    server.close()
    assert (report["ok"], report["first_refusal"]) == (0, 503)
    assert report["refused"] == report["sent"] > 0


def test_a_reply_cut_short_counts_as_broken(tools: Path, tmp_path: Path) -> None:
    request = b"POST / HTTP/1.1\r\n\r\n"

    def reply(connection: socket.socket) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort")
        connection.shutdown(socket.SHUT_RDWR)

    server = Scripted(reply, len(request))
    report = load(tools, server.port, request, tmp_path, "-c", "1", "-t", "0.1")
    server.close()
    assert report["ok"] == 0
    assert report["broken"] == report["sent"] > 0
