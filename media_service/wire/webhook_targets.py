"""Where a webhook may go: the one form of address that is taken, and which IP addresses are nobody's in public.

Whoever may set up a webhook makes the service send requests, from a place where more answers than outside: routers, databases,
a cloud's own metadata. So the address that the connection goes to is judged, never the text that it was found by: the same
machine is `127.0.0.1`, `127.1`, `0x7f000001`, `localhost`, and whatever a name server says.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from media_service.errors import InvalidRequest

IPAddress = IPv4Address | IPv6Address

MAX_URL_CHARACTERS = 2000
_PORTS = {"http": 80, "https": 443}

# RFC 3986, and no more of it than is needed: two readers that split an address differently are a hole. No user name, no
# fragment, no zone of an IPv6 address, no backslash; names in other alphabets as IDNA writes them (xn--).
_URL = re.compile(
    r"(?P<scheme>[Hh][Tt][Tt][Pp][Ss]?)://"
    r"(?P<host>(?=[A-Za-z0-9_.-]{1,253}(?:[:/?]|$))(?:[A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?|\[[0-9A-Fa-f:.]{2,45}\])"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>(?:/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?(?:\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?)"
)
# `127.0.0.1.` is 127.0.0.1 to browsers (WHATWG URL, "ends in a number"), and to a name server whatever that says.
_NUMBER_WITH_DOT = re.compile(r"(?:.+\.)?(?:[0-9]+|0x[0-9a-f]*)\.")

# What is_global of Python 3.11 lacks or knows otherwise. Those of IPv6 that carry an IPv4 address lead to it through some
# translator: nobody needs them, and each is another spelling of 127.0.0.1.
_SPECIAL = [
    (ip_network(network), name)
    for network, name in (
        ("100.64.0.0/10", "shared by a provider's customers (RFC 6598)"),
        ("192.0.0.0/24", "reserved for protocols (RFC 6890)"),
        ("192.88.99.0/24", "of 6to4 relays (RFC 7526)"),
        ("198.18.0.0/15", "for benchmarks (RFC 2544)"),
        ("240.0.0.0/4", "reserved (RFC 1112)"),
        ("::/96", "an IPv4 address in another form (RFC 4291)"),
        ("::ffff:0:0/96", "an IPv4 address in another form (RFC 4291)"),
        ("::ffff:0:0:0/96", "an IPv4 address in another form (RFC 2765)"),
        ("64:ff9b::/96", "an IPv4 address in another form (NAT64, RFC 6052)"),
        ("64:ff9b:1::/48", "an IPv4 address in another form (NAT64, RFC 8215)"),
        ("2001::/32", "an IPv4 address in another form (Teredo, RFC 4380)"),
        ("2001::/23", "reserved for protocols (RFC 2928)"),
        ("2002::/16", "an IPv4 address in another form (6to4, RFC 3056)"),
        ("3fff::/20", "for documents (RFC 9637)"),
    )
]
_UNICAST = {4: ip_network("0.0.0.0/0"), 6: ip_network("2000::/3")}  # RFC 4291 s2.4: the rest is not given out


@dataclass(frozen=True)
class Target:
    """A webhook's address. `host` is a name, or an IP address without brackets; `path` is what the request line says."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """What the Host header says (RFC 9110 s7.2)."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == _PORTS[self.scheme] else f"{name}:{self.port}"


def read_target(url: str) -> Target:
    """The target that `url` names. Raises InvalidRequest for what is not a plain http(s) URL."""
    found = _URL.fullmatch(url) if len(url) <= MAX_URL_CHARACTERS else None
    if found is None:
        raise InvalidRequest(
            f"A webhook's address is http://host/path or https://host/path, in ASCII, without a user name or '#', and of at"
            f" most {MAX_URL_CHARACTERS} characters."
        )
    scheme, host = found["scheme"].lower(), found["host"].strip("[]").lower()
    if _NUMBER_WITH_DOT.fullmatch(host):
        host = host.removesuffix(".")  # of a name it stays: it says that the name is whole (RFC 1034 s3.1)
    port = int(found["port"] or _PORTS[scheme])
    if not 0 < port < 65536:
        raise InvalidRequest(f"A webhook's address has no port {port}.")
    if ":" in host:
        try:
            ip_address(host)
        except ValueError:
            raise InvalidRequest(f"[{host}] is no IPv6 address.") from None
    path = found["path"]
    return Target(scheme, host, port, path if path.startswith("/") else f"/{path}")


def why_private(address: IPAddress) -> str | None:
    """What kind of address it is, when it is not one machine's in the public internet: "loopback"; else None."""
    kinds = {
        "unspecified": address.is_unspecified,
        "loopback": address.is_loopback,
        "link-local": address.is_link_local,
        "multicast": address.is_multicast,
    }
    for kind, holds in kinds.items():
        if holds:
            return kind
    for network, kind in _SPECIAL:
        if address in network:
            return kind
    return None if address.is_global and address in _UNICAST[address.version] else "private or reserved"
