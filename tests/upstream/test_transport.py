from __future__ import annotations

import pytest

from freehold.upstream.transport import SANDBOX, SANDBOX_URL, Origin, parse_base_url


@pytest.mark.parametrize(
    ("url", "origin", "prefix"),
    [
        ("https://api.example.com/v1", Origin("https", "api.example.com", 443), "/v1"),
        ("https://api.example.com/v1/", Origin("https", "api.example.com", 443), "/v1"),
        ("http://127.0.0.1:9000", Origin("http", "127.0.0.1", 9000), ""),
        ("HTTP://Example.COM/a/b%20c/", Origin("http", "example.com", 80), "/a/b%20c"),
        ("http://[::1]:8000/v1", Origin("http", "::1", 8000), "/v1"),
    ],
)
def test_a_base_url_is_an_origin_and_a_prefix(url: str, origin: Origin, prefix: str) -> None:
    assert parse_base_url(url) == (origin, prefix)


def test_the_sandbox_has_the_one_base_url_that_is_not_http() -> None:
    assert parse_base_url(SANDBOX_URL) == (SANDBOX, "")
    with pytest.raises(ValueError, match="http:// or https://"):
        parse_base_url("sandbox://elsewhere")


def test_the_ca_file_is_part_of_the_origin_so_that_connections_are_not_shared_across_trust() -> None:
    one, _ = parse_base_url("https://a.example", ca_file="/etc/ca.pem")
    other, _ = parse_base_url("https://a.example")
    assert one.ca_file == "/etc/ca.pem"
    assert one != other


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "http:// or https://"),
        ("api.example.com/v1", "http:// or https://"),
        ("ftp://example.com", "http:// or https://"),
        ("file:///etc/passwd", "http:// or https://"),
        ("https://", "no host"),
        ("https://user:hunter2@example.com", "user name or password"),
        ("https://example.com/v1?key=1", "query or fragment"),
        ("https://example.com/v1?", "query or fragment"),
        ("https://example.com/v1#top", "query or fragment"),
        ("https://example.com:99999/", "not a valid base URL"),
        ("https://example.com:0/", "port 0"),
        ("https://[::1/", "not a valid base URL"),
        ("https://example.com/a b", "printable ASCII"),
        ("https://example.com/\r\nx: y", "printable ASCII"),
        ("https://exämple.com/", "printable ASCII"),
        ("https://example.com\\@evil.example/", "backslashes"),
    ],
)
def test_what_is_not_a_plain_base_url_is_refused(url: str, says: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\r\n]+$") as caught:
        parse_base_url(url)
    assert says in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("origin", "authority"),
    [
        (Origin("https", "a.example", 443), "a.example"),
        (Origin("http", "a.example", 443), "a.example:443"),
        (Origin("http", "::1", 80), "[::1]"),
        (Origin("http", "::1", 8000), "[::1]:8000"),
    ],
)
def test_the_port_is_named_only_where_it_is_not_the_schemes_own(origin: Origin, authority: str) -> None:
    assert origin.authority == authority
