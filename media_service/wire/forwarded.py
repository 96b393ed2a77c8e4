"""Who a request comes from, through proxies: X-Forwarded-For and X-Forwarded-Proto, believed only of those who are trusted.

Both are what any client may write into them; each proxy appends to, or replaces, what it was given.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

# The peer on a Unix socket, as nginx calls it. Only who is let in by the socket's mode comes from there: it is believed.
UNIX = "unix:"

Networks = tuple[IPv4Network | IPv6Network, ...]

# Bare IPv6 addresses have no port: its digits would be some of the address'.
_WITH_PORT = re.compile(r"(?P<v4>[0-9.]+):[0-9]{1,5}|\[(?P<v6>[0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?")


def read_networks(text: str) -> Networks:
    """Addresses and networks (`10.0.0.0/8`), separated by commas. Raises ValueError that names the one that is none."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def client_address(peer: str, forwarded_for: str, trusted: Networks) -> str:
    """The address nearest to the client that a trusted proxy vouches for; `peer` is who the connection is with, an address or UNIX.

    `forwarded_for` is read from its end, where the nearest proxy has written; behind the first address that is not trusted
    anything may stand.
    """
    nearest = peer
    for hop in reversed([_without_port(part.strip()) for part in forwarded_for.split(",")]):
        if not is_trusted(nearest, trusted) or _address(hop) is None:
            break
        nearest = hop
    return nearest


def is_https(peer: str, scheme: str, forwarded_proto: str, trusted: Networks) -> bool:
    """Whether the client speaks https: to us (`scheme`), or to the trusted proxy that `peer` is."""
    if forwarded_proto and is_trusted(peer, trusted):
        return forwarded_proto.strip().lower() == "https"
    return scheme == "https"


def is_trusted(peer: str, trusted: Networks) -> bool:
    """Whether what the peer of a connection, an address or UNIX, says of others is believed."""
    if peer == UNIX:
        return True
    address = _address(peer)
    return address is not None and any(address in network for network in trusted)


def household(address: str) -> str:
    """What is counted as one client: an IPv4 address, or the /64 that an IPv6 address is any one of (RFC 4291 s2.5.1)."""
    read = _address(address)
    if isinstance(read, IPv6Address):
        return str(ip_network((read, 64), strict=False))
    return address if read is None else str(read)


def _without_port(hop: str) -> str:
    """Some balancers write `192.0.2.1:4711` and `[2001:db8::1]:4711`, as RFC 7239 s6 does; else the text as it is.

    Counted with its port, each connection would be a client of its own.
    """
    found = _WITH_PORT.fullmatch(hop)
    return hop if found is None else found["v4"] or found["v6"]


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    # A socket for both families shows IPv4 clients as ::ffff:a.b.c.d (RFC 4291 s2.5.5.2).
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
