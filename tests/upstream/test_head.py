from __future__ import annotations

import pytest

from freehold.upstream.head import auth_headers, complete_head, header_line, request_head
from freehold.upstream.transport import Origin

ORIGIN = Origin("https", "api.example.com", 443)
SECRET = "sk-very-secret"


def test_a_head_holds_what_every_call_to_a_target_shares() -> None:
    head = request_head(ORIGIN, "/v1", "/chat/completions", auth_headers("bearer", SECRET), {"X-Title": "a b"})
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /v1/chat/completions HTTP/1.1"
    assert lines[-1] == ""
    assert sorted(lines[1:-1]) == sorted(
        [
            "host: api.example.com",
            next(line for line in lines if line.startswith("user-agent: freehold/")),
            "accept-encoding: identity",
            "content-type: application/json",
            "x-title: a b",
            f"authorization: Bearer {SECRET}",
        ]
    )


def test_a_complete_head_ends_with_one_blank_line_and_the_right_length() -> None:
    head = complete_head(b"POST / HTTP/1.1\r\nhost: a\r\n", 1024, b"anthropic-beta: x\r\n")
    assert head == b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1024\r\nanthropic-beta: x\r\n\r\n"


@pytest.mark.parametrize(
    ("auth", "line"),
    [
        ("bearer", b"authorization: Bearer sk-very-secret\r\n"),
        ("x-api-key", b"x-api-key: sk-very-secret\r\n"),
        ("api-key", b"api-key: sk-very-secret\r\n"),
        ("xi-api-key", b"xi-api-key: sk-very-secret\r\n"),
        ("token", b"authorization: Token sk-very-secret\r\n"),
        ("plain", b"authorization: sk-very-secret\r\n"),
        ("none", b"authorization: Bearer sk-very-secret\r\n"),
    ],
)
def test_each_auth_scheme_has_its_header(auth: str, line: bytes) -> None:
    assert auth_headers(auth, SECRET) == line  # type: ignore[arg-type]


@pytest.mark.parametrize("key", [None, ""])
def test_without_a_key_no_auth_header_is_sent(key: str | None) -> None:
    assert auth_headers("bearer", key) == auth_headers("none", key) == b""


@pytest.mark.parametrize("key", [f"{SECRET}\n", f"{SECRET}\r\nx: y", f" {SECRET}", f"{SECRET} x", "sk-é", f"{SECRET}\0"])
def test_a_key_that_could_break_the_head_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ValueError) as caught:
        auth_headers("bearer", key)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\nb", "a\rb", "a\0", "é", " a", "a ", "a\n"])
def test_a_header_value_cannot_carry_a_line_break_or_other_bytes(value: str) -> None:
    with pytest.raises(ValueError, match="x-test"):
        header_line("x-test", value)


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\n", "é", "a\n"])
def test_a_header_name_must_be_a_token(name: str) -> None:
    with pytest.raises(ValueError, match="not a header name"):
        header_line(name, "v")


def test_an_empty_header_value_is_allowed() -> None:
    assert header_line("X-Empty", "") == b"x-empty: \r\n"


@pytest.mark.parametrize("name", ["Host", "content-length", "Transfer-Encoding", "connection", "Accept-Encoding", "Expect"])
def test_framing_headers_cannot_be_configured(name: str) -> None:
    with pytest.raises(ValueError, match="set by the transport"):
        request_head(ORIGIN, "", "/", b"", {name: "1"})


@pytest.mark.parametrize("path", ["", "v1", "/a b", "/a\r\nx: y", "/é", "/a#b", "/a\n"])
def test_a_path_that_is_not_safe_in_a_request_line_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="request path"):
        request_head(ORIGIN, "", path)
