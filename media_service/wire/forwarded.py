"""Who a request comes from, through proxies: X-Forwarded-For and X-Forwarded-Proto, believed only of those who are trusted.

Both are what any client may write into them; each proxy appends to, or replaces, what it was given.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Networks = tuple[IPv4Network | IPv6Network, ...]


def read_networks(text: str) -> Networks:
    """Addresses and networks (`10.0.0.0/8`), separated by commas. Raises ValueError that names the one that is none."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def client_address(peer: str, forwarded_for: str, trusted: Networks) -> str:
    """The address nearest to the client that a trusted proxy vouches for; `peer` is who the connection is with.

    `forwarded_for` is read from its end, where the nearest proxy has written; behind the first address that is not trusted
    anything may stand.
    """
    nearest = peer
    for hop in reversed([part.strip() for part in forwarded_for.split(",")]):
        address = _address(nearest)
        if address is None or not _is_trusted(address, trusted) or _address(hop) is None:
            break
        nearest = hop
    return nearest


def is_https(peer: str, scheme: str, forwarded_proto: str, trusted: Networks) -> bool:
    """Whether the client speaks https: to us (`scheme`), or to the trusted proxy that `peer` is."""
    address = _address(peer)
    if forwarded_proto and address is not None and _is_trusted(address, trusted):
        return forwarded_proto.strip().lower() == "https"
    return scheme == "https"


def household(address: str) -> str:
    """What is counted as one client: an IPv4 address, or the /64 that an IPv6 address is any one of (RFC 4291 s2.5.1)."""
    read = _address(address)
    if isinstance(read, IPv6Address):
        return str(ip_network((read, 64), strict=False))
    return address if read is None else str(read)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    # A socket for both families shows IPv4 clients as ::ffff:a.b.c.d (RFC 4291 s2.5.5.2).
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _is_trusted(address: IPv4Address | IPv6Address, trusted: Networks) -> bool:
    return any(address in network for network in trusted)
