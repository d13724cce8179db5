"""What a request's head may look like, and what it means."""

from __future__ import annotations

import pytest

from freehold.base.errors import GatewayError
from freehold.gateway.head import MAX_HEADERS, MAX_TARGET_BYTES, HeadReader
from freehold.gateway.request import CHUNKED, Request


def read(*lines: str | bytes) -> Request:
    raw = b"\r\n".join(line.encode() if isinstance(line, str) else line for line in (*lines, "", ""))
    return HeadReader().read(raw, "192.0.2.1")


def test_reads_a_request() -> None:
    request = read("POST /v1/messages?a=1&b HTTP/1.1", "Host: x", "Content-Type:  application/json\t ", "CONTENT-LENGTH: 12")
    assert (request.method, request.path, request.query) == ("POST", "/v1/messages", b"a=1&b")
    assert request.headers == {b"host": b"x", b"content-type": b"application/json", b"content-length": b"12"}
    assert (request.content_length, request.http11, request.keep_alive, request.client_ip) == (12, True, True, "192.0.2.1")


def test_path_is_kept_as_sent() -> None:
    assert read("GET /a%2Fb/../c//d?x=%20 HTTP/1.1", "Host: x").path == "/a%2Fb/../c//d"


def test_repeated_headers_are_joined_in_order() -> None:
    assert read("GET / HTTP/1.1", "Host: x", "A: 1 ", "B: 2", "a: 3\t").headers[b"a"] == b"1, 3"


def test_empty_header_values_stay_apart() -> None:
    headers = read("GET / HTTP/1.1", "Host: x", "A:", "B: c", "C:   ").headers
    assert (headers[b"a"], headers[b"b"], headers[b"c"]) == (b"", b"c", b"")


@pytest.mark.parametrize("name", ["Host", "Authorization", "X-Api-Key", "Content-Length", "Transfer-Encoding", "x-goog-api-key"])
def test_headers_that_decide_something_may_come_only_once(name: str) -> None:
    value = "chunked" if name == "Transfer-Encoding" else "1"
    lines = ["POST / HTTP/1.1", f"{name}: {value}", f"{name.upper()}: {value}"]
    with pytest.raises(GatewayError) as caught:
        read(*lines, *([] if name == "Host" else ["Host: x"]))
    assert caught.value.status == 400


def test_refusal_of_a_repeated_key_does_not_say_the_key() -> None:
    with pytest.raises(GatewayError) as caught:
        read("POST / HTTP/1.1", "Host: x", "X-Api-Key: sk-one", "X-Api-Key: sk-two")
    assert "x-api-key" in str(caught.value)
    assert "sk-" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "connection", "keep_alive"),
    [
        ("GET / HTTP/1.1", "keep-alive", True),
        ("GET / HTTP/1.1", "foo, Close", False),
        ("GET / HTTP/1.1", "closed", True),
        ("GET / HTTP/1.0", "Keep-Alive", True),
        ("GET / HTTP/1.0", "foo", False),
    ],
)
def test_connection_header_decides_about_keep_alive(line: str, connection: str, keep_alive: bool) -> None:
    assert read(line, "Host: x", f"Connection: {connection}").keep_alive is keep_alive


def test_http10_needs_neither_host_nor_keeps_alive() -> None:
    request = read("GET / HTTP/1.0")
    assert (request.http11, request.keep_alive) == (False, False)


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("http://other:80/a?b", "/a", b"b"),
        ("HTTPS://other", "/", b""),
        ("http://other?b", "/", b"b"),
        ("http://o/a?u=/b", "/a", b"u=/b"),
    ],
)
def test_absolute_form_is_accepted(target: str, path: str, query: bytes) -> None:
    request = read(f"GET {target} HTTP/1.1", "Host: x")
    assert (request.path, request.query) == (path, query)


def test_asterisk_is_for_options_only() -> None:
    assert read("OPTIONS * HTTP/1.1", "Host: x").path == "*"
    with pytest.raises(GatewayError):
        read("GET * HTTP/1.1", "Host: x")


def test_an_offer_to_upgrade_is_declined_silently() -> None:
    request = read("POST /a HTTP/1.1", "Host: x", "Connection: Upgrade", "Upgrade: h2c", "Content-Length: 3")
    assert (request.path, request.content_length) == ("/a", 3)


def test_chunked_is_known_whatever_its_case() -> None:
    assert read("POST / HTTP/1.1", "Host: x", "Transfer-Encoding: Chunked").content_length == CHUNKED


def test_as_many_headers_as_allowed_are_read() -> None:
    many = [f"A{i}: 1" for i in range(MAX_HEADERS - 1)]
    assert len(read("GET / HTTP/1.1", "Host: x", *many).headers) == MAX_HEADERS


def test_longest_target_is_read() -> None:
    path = "/" + "a" * (MAX_TARGET_BYTES - 1)
    assert read(f"GET {path} HTTP/1.1", "Host: x").path == path


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (("GET / HTTP/1.1",), 400),  # no Host
        (("", "GET / HTTP/1.1", "Host: x"), 400),
        (("GET  / HTTP/1.1", "Host: x"), 400),
        (("GET /  HTTP/1.1", "Host: x"), 400),
        ((" GET / HTTP/1.1", "Host: x"), 400),
        (("GET /a b HTTP/1.1", "Host: x"), 400),
        (("GET / HTTP/1.1 ", "Host: x"), 400),
        (("GET\t/\tHTTP/1.1", "Host: x"), 400),
        (("GET", "/ HTTP/1.1", "Host: x"), 400),
        (("GET /", "X: HTTP/1.1", "Host: x"), 400),  # a line without a version, and another that looks like its end
        (("GET /", "Host: x"), 400),
        (("GET HTTP/1.1", "Host: x"), 400),
        (("GET a/b HTTP/1.1", "Host: x"), 400),
        (("GET ftp://h/ HTTP/1.1", "Host: x"), 400),
        ((b"GET /\xc3\xa4 HTTP/1.1", "Host: x"), 400),
        ((b"GET /\x7f HTTP/1.1", "Host: x"), 400),
        (("get / HTTP/1.1", "Host: x"), 501),
        (("FOO / HTTP/1.1", "Host: x"), 501),
        (("CONNECT h:80 HTTP/1.1", "Host: x"), 501),
        (("PRI * HTTP/2.0",), 505),
        (("GET / HTTP/2.0", "Host: x"), 505),
        (("GET / HTTP/0.9", "Host: x"), 505),
        (("GET / HTTP/1.2", "Host: x"), 505),
        (("GET / http/1.1", "Host: x"), 400),
        (("GET / ICE/1.0", "Host: x"), 400),
        (("DESCRIBE / RTSP/1.0", "Host: x"), 400),
        (("GET / HTTP/1.1", " Host: x"), 400),
        (("GET / HTTP/1.1", "Host : x"), 400),
        (("GET / HTTP/1.1", "Host: x", ": y"), 400),
        (("GET / HTTP/1.1", "Host: x", "Foo"), 400),
        (("GET / HTTP/1.1", "Host: x", "A: b", " folded"), 400),
        (("GET / HTTP/1.1", "Host: x", "A: b", "\tfolded"), 400),
        (("GET / HTTP/1.1", "Host: x", b"A: b\nC: d"), 400),
        (("GET / HTTP/1.1", "Host: x", b"A: b\rC: d"), 400),
        (("GET / HTTP/1.1", "Host: x", b"A: b\0"), 400),
        (("GET / HTTP/1.1", "Host: x", b"A\0: b"), 400),
        (("GET / HTTP/1.1", "Host: x", b"A: b\x0b"), 400),
        ((b"GET / HTTP/1.1\nHost: x",), 400),
        (("POST / HTTP/1.1", "Host: x", "Content-Length: 5", "Transfer-Encoding: chunked"), 400),
        (("POST / HTTP/1.1", "Host: x", "Transfer-Encoding: chunked", "Content-Length: 5"), 400),
        (("POST / HTTP/1.1", "Host: x", "Content-Length: 5, 5"), 400),
        (("POST / HTTP/1.1", "Host: x", "Content-Length: +5"), 400),
        (("POST / HTTP/1.1", "Host: x", "Content-Length: -5"), 400),
        (("POST / HTTP/1.1", "Host: x", "Content-Length: 0x5"), 400),
        (("POST / HTTP/1.1", "Host: x", "Content-Length: 5_0"), 400),
        (("POST / HTTP/1.1", "Host: x", "Content-Length: 5 0"), 400),
        (("POST / HTTP/1.1", "Host: x", "Content-Length: 5.0"), 400),
        (("POST / HTTP/1.1", "Host: x", "Content-Length:"), 400),
        (("POST / HTTP/1.1", "Host: x", "Content-Length: " + "9" * 30), 400),
        (("POST / HTTP/1.1", "Host: x", "Content-Length: " + "0" * 5000 + "5"), 400),
        (("POST / HTTP/1.0", "Transfer-Encoding: chunked"), 400),
        (("POST / HTTP/1.1", "Host: x", "Transfer-Encoding: gzip, chunked"), 501),
        (("POST / HTTP/1.1", "Host: x", "Transfer-Encoding: , chunked"), 501),
        (("POST / HTTP/1.1", "Host: x", "Transfer-Encoding: gzip"), 400),
        (("POST / HTTP/1.1", "Host: x", "Transfer-Encoding: identity"), 400),
        (("POST / HTTP/1.1", "Host: x", "Transfer-Encoding: xchunked"), 400),
        (("POST / HTTP/1.1", "Host: x", "Transfer-Encoding: chunked, identity"), 400),
        (("POST / HTTP/1.1", "Host: x", b"Transfer-Encoding: \x0bchunked"), 400),
        (("POST / HTTP/1.1", "Host: x", "Transfer-Encoding:"), 400),
        (("POST / HTTP/1.1", "Host: x", "Expect: 200-ok", "Content-Length: 1"), 417),
        (("GET /" + "a" * MAX_TARGET_BYTES + " HTTP/1.1", "Host: x"), 414),
        (("GET / HTTP/1.1", "Host: x", *(f"A{i}: 1" for i in range(MAX_HEADERS))), 431),
        (("GET / HTTP/1.1", "Host: x", *("A: 1" for _ in range(MAX_HEADERS))), 431),
    ],
)
def test_refuses_what_two_readers_could_take_differently(lines: tuple[str | bytes, ...], status: int) -> None:
    with pytest.raises(GatewayError) as caught:
        read(*lines)
    assert caught.value.status == status
