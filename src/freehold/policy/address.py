"""Where a call comes from, and whether a key may be used from there. Addresses as texts, as sockets and headers give them."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network
_MAX_HOPS = 32


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Raises ValueError for a text that is none."""
    return tuple(ip_network(text, strict=False) for text in texts)


def client_of(peer: str, forwarded: str, proxies: Sequence[Network]) -> str:
    """The client's address: the peer's own, or what trusted proxies say in X-Forwarded-For (`forwarded`, "" for none).

    Each proxy adds the address that it was called from at the end: read from there, the first one that is no trusted proxy's is
    the client's. What stands before it the client may have written itself. One that is no address counts as the client's: it
    is in no network.
    """
    found = peer
    for hop in reversed(forwarded.split(",")[-_MAX_HOPS:] if forwarded else ()):
        if not within(found, proxies):
            break
        found = _bare(hop.strip())
    return found


def within(address: str, allowed: Sequence[Network]) -> bool:
    try:
        there = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(there, IPv6Address) and there.ipv4_mapped is not None:
        there = there.ipv4_mapped  # how a socket that takes both kinds shows an IPv4 client
    return any(_holds(network, there) for network in allowed)


def _holds(network: Network, address: IPv4Address | IPv6Address) -> bool:
    return network.version == address.version and address in network


def _bare(hop: str) -> str:
    """Without the port that some proxies add: 10.0.0.1:5000, [2001:db8::1]:5000."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop
