from __future__ import annotations

import pytest

from freehold.policy.egress import is_public, objection

INSIDE = [
    *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.100.100.200", "192.0.2.1"),
    *("224.0.0.1", "240.0.0.1", "255.255.255.255", "192.88.99.1", "198.18.0.1"),
    *("::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1", "64:ff9b:1::1"),
    *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::", "::127.0.0.1"),
]
OUTSIDE = ["1.1.1.1", "8.8.8.8", "172.15.0.1", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_of_a_network_of_ones_own_is_refused(address: str) -> None:
    assert not is_public(address)
    host = f"[{address}]" if ":" in address else address
    assert objection(f"https://{host}/v1") and objection(f"https://{host}:8443/v1")


@pytest.mark.parametrize("address", OUTSIDE)
def test_an_address_of_the_internet_is_taken(address: str) -> None:
    assert is_public(address)
    host = f"[{address}]" if ":" in address else address
    assert objection(f"https://{host}/v1") == ""


@pytest.mark.parametrize(
    "host",
    [
        *("127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "127.0.0.1.", "0"),
        *("[::ffff:7f00:1]", "[fe80::1%25eth0]", "[::1]", "0xa9fea9fe", "169.254.43518"),
        *("localhost", "LOCALHOST", "localhost.", "a.localhost", "db", "redis.", "printer.local", "metadata.google.internal"),
        *("api.default.svc", "kubernetes.default.svc.cluster.local", "x.home.arpa", "nas.lan", "1.2.3.4.5", "a.0x7f"),
        *("127。0。0。1", "%6c%6f%63alhost.com", "exa mple.com", "-", ".", "..", ""),
    ],
)
def test_every_way_to_write_a_place_inside_is_refused(host: str) -> None:
    assert objection(f"http://{host}/v1")


@pytest.mark.parametrize(
    "host", ["api.example.com", "API.Example.COM", "a.b.c.example.org.", "my_host.example.net", "xn--p1ai.xn--p1ai"]
)
def test_a_public_name_is_taken_when_it_is_entered(host: str) -> None:
    assert objection(f"https://{host}/v1") == ""


def test_a_name_is_no_address() -> None:
    assert not is_public("example.com") and not is_public("") and not is_public("127.1")
