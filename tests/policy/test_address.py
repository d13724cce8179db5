from __future__ import annotations

import pytest

from freehold.policy.address import client_of, networks, within

PROXIES = networks(["10.0.0.0/8", "fd00::/8"])


@pytest.mark.parametrize(
    ("address", "allowed", "holds"),
    [
        ("192.168.1.7", ["192.168.0.0/16"], True),
        ("192.169.1.7", ["192.168.0.0/16"], False),
        ("192.168.1.7", ["10.0.0.0/8", "192.168.1.7"], True),
        ("::ffff:192.168.1.7", ["192.168.0.0/16"], True),
        ("2001:db8::1", ["2001:db8::/32"], True),
        ("2001:db8::1", ["0.0.0.0/0"], False),
        ("fe80::1%eth0", ["fe80::/10"], True),
        ("", ["0.0.0.0/0", "::/0"], False),
        ("unix", ["0.0.0.0/0"], False),
        ("10.0.0.1", [], False),
    ],
)
def test_an_address_is_in_a_network_or_not(address: str, allowed: list[str], holds: bool) -> None:
    assert within(address, networks(allowed)) is holds


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", "", "203.0.113.9"),
        ("203.0.113.9", "10.1.1.1", "203.0.113.9"),  # nobody whom we trust says so
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.4", "198.51.100.4"),
        ("10.0.0.1", "10.9.9.9, 198.51.100.4", "198.51.100.4"),  # the first one the client has written itself
        ("10.0.0.1", "198.51.100.4, 10.2.2.2", "198.51.100.4"),  # by way of two proxies
        ("10.0.0.1", "10.3.3.3, 10.2.2.2", "10.3.3.3"),
        ("10.0.0.1", "198.51.100.4:4711", "198.51.100.4"),
        ("10.0.0.1", "[2001:db8::1]:443", "2001:db8::1"),
        ("10.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("fd00::1", "198.51.100.4", "198.51.100.4"),
        ("10.0.0.1", "198.51.100.4, nonsense", "nonsense"),
        ("10.0.0.1", " ,, ", ""),
    ],
)
def test_the_client_is_whom_the_last_trusted_proxy_was_called_from(peer: str, forwarded: str, client: str) -> None:
    assert client_of(peer, forwarded, PROXIES) == client


def test_without_trusted_proxies_nobodys_word_counts() -> None:
    assert client_of("10.0.0.1", "198.51.100.4", ()) == "10.0.0.1"


def test_a_very_long_list_costs_little() -> None:
    assert client_of("10.0.0.1", ",".join(["10.0.0.2"] * 100_000), PROXIES) == "10.0.0.2"


def test_a_text_that_is_no_network_is_an_error() -> None:
    with pytest.raises(ValueError, match="nowhere"):
        networks(["nowhere"])
