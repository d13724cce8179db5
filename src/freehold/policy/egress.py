"""Where a tenant may have the gateway send calls to: the public internet, never this machine, its network or a cloud's metadata.

A provider's address is looked at twice: here as it is written, when it is entered, and as it was resolved, when a connection is
opened (`is_public`), for a name may lead elsewhere by then. Whoever looks after the installation is not bound by this.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from urllib.parse import urlsplit

_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?\Z")
# What never is a public name: RFC 6761, 6762, 8375, 9476, and what clouds and clusters use inside.
_INSIDE = frozenset(
    ("localhost", "local", "localdomain", "internal", "intranet", "private", "corp", "home", "lan", "svc", "test", "invalid")
) | frozenset(("example", "onion", "alt", "arpa", "cluster"))
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_LOCAL_NAT64 = ipaddress.ip_network("64:ff9b:1::/48")
_CGNAT = ipaddress.ip_network("100.64.0.0/10")  # also where a cloud has its metadata (100.100.100.200)
_6TO4_RELAY = ipaddress.ip_network("192.88.99.0/24")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_public(address: str) -> bool:
    """Whether an address, as a resolver or a socket writes it, is one of the public internet. False for what is no address."""
    try:
        return _public(ipaddress.ip_address(address))
    except ValueError:
        return False


def objection(url: str) -> str:
    """Why an http(s) URL leads, by what is written in it, to where no tenant's calls may go; "" if nothing speaks against it."""
    try:
        host = (urlsplit(url).hostname or "").lower()
    except ValueError:
        return "it is no URL"
    if not host:
        return "it names no host"
    address = _literal(host)
    if address is not None:
        return "" if _public(address) else f"{host} is no address of the public internet"
    if not _HOST.match(host):
        return "its host is no name of the public internet"
    labels = host.rstrip(".").split(".")
    if len(labels) < 2 or labels[-1] in _INSIDE:
        return f"{host} is a name of this machine or its own network"
    if labels[-1].isdigit() or labels[-1].startswith("0x"):
        return f"{host} is no name of the public internet"  # a resolver may take it for an address
    return ""


def _literal(host: str) -> Address | None:
    """The address that a host is, in any way in which a resolver would take it: 127.1, 0x7f000001, 2130706433 too."""
    text = host.rstrip(".")
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(text))
    except (OSError, ValueError, UnicodeError):
        return None


def _public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        inner = _inside(address)
        if inner is not None:
            return _public(inner)
        if address in _LOCAL_NAT64:
            return False
    elif address in _CGNAT or address in _6TO4_RELAY:
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _inside(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 one leads to, in the ways that a network or a kernel translates."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    low = int(address) & 0xFFFF_FFFF
    if address in _NAT64 or int(address) >> 32 == 0:  # ::a.b.c.d, out of use
        return ipaddress.IPv4Address(low)
    return None
