from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from msgspec import Struct

from freehold.upstream.probe import probe_local

MODELS = b'{"object":"list","data":[{"id":"llama"}]}'


class Row(Struct, frozen=True):
    name: str
    base_url: str
    probe: str


@contextmanager
def server(*pieces: bytes) -> Iterator[int]:
    """Answers one connection with `pieces`, then keeps it open until the block ends."""
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer:
                peer.recv(4096)
                for piece in pieces:
                    peer.sendall(piece)
                done.wait(10)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            done.set()
            listener.close()


def row(name: str, port: int) -> Row:
    return Row(name, f"http://127.0.0.1:{port}/v1", f"http://127.0.0.1:{port}/v1/models")


def reply(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body)


def test_a_server_that_lists_models_is_found_by_its_row() -> None:
    with server(reply(MODELS)) as port:
        assert probe_local([row("ollama", port)], timeout_s=5) == {"ollama": f"http://127.0.0.1:{port}/v1"}


@pytest.mark.parametrize("body", [b'{"object":"list","data":null}', b'{"data":[]}'])
def test_a_server_without_a_model_yet_is_found_too(body: bytes) -> None:
    with server(reply(body)) as port:
        assert list(probe_local([row("ollama", port)], timeout_s=5)) == ["ollama"]


def test_a_chunked_reply_in_pieces_is_read() -> None:
    with server(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n" % len(MODELS), MODELS[:9], MODELS[9:], b"\r\n0\r\n\r\n"
    ) as port:
        assert list(probe_local([row("vllm", port)], timeout_s=5)) == ["vllm"]


@pytest.mark.parametrize(
    "pieces",
    [
        (reply(b"<html>"),),
        (reply(MODELS, b"401 Unauthorized"),),
        (reply(b'{"error":"no"}'),),
        (reply(b"[]"),),
        (b"SSH-2.0-OpenSSH\r\n",),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{",),
        (),
    ],
)
def test_another_program_on_the_port_is_not_taken_for_a_model_server(pieces: tuple[bytes, ...]) -> None:
    with server(*pieces) as port:
        assert probe_local([row("ollama", port)], timeout_s=0.2) == {}


def test_nobody_there_is_no_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert probe_local([row("ollama", port)]) == {}


def test_one_address_goes_to_the_first_row_and_our_own_port_is_left_alone() -> None:
    with server(reply(MODELS)) as port:
        assert list(probe_local([row("a", port), row("b", port)], timeout_s=5)) == ["a"]
    with server(reply(MODELS)) as port:
        assert probe_local([row("a", port)], timeout_s=5, skip_ports=(port,)) == {}


@pytest.mark.parametrize("probe", ["", "https://127.0.0.1:1/v1/models", "http://example.com/v1/models"])
def test_only_addresses_on_this_machine_are_tried(probe: str) -> None:
    assert probe_local([Row("x", "u", probe)]) == {}
