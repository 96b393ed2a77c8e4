"""Who a request comes from, through proxies that lie and proxies that do not."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.wire.forwarded import UNIX, client_address, household, is_https, read_networks

TRUSTED = read_networks("127.0.0.1, ::1,10.0.0.0/8")


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),  # who is not trusted may write what he likes
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("::ffff:127.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("127.0.0.1", "203.0.113.9, 198.51.100.7", "198.51.100.7"),  # the first was there before any proxy
        ("127.0.0.1", "203.0.113.9, 198.51.100.7, 10.1.2.3", "198.51.100.7"),
        ("127.0.0.1", "10.1.2.3", "10.1.2.3"),
        ("127.0.0.1", "10.1.2.3 , 10.1.2.4", "10.1.2.3"),
        ("::1", "2001:db8::1", "2001:db8::1"),
        ("127.0.0.1", "198.51.100.7, unknown", "127.0.0.1"),
        ("127.0.0.1", "unknown, 10.1.2.3", "10.1.2.3"),
        ("127.0.0.1", ",,", "127.0.0.1"),
        ("127.0.0.1", "203.0.113.7:4711", "203.0.113.7"),
        ("127.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("127.0.0.1", "[2001:db8::1]", "2001:db8::1"),
        ("127.0.0.1", "2001:db8::1:4711", "2001:db8::1:4711"),  # all of it is the address
        ("127.0.0.1", "203.0.113.9:1, 198.51.100.7:65535, 10.1.2.3:80", "198.51.100.7"),
        ("127.0.0.1", "203.0.113.9, [::ffff:10.1.2.3]:80", "203.0.113.9"),
        ("127.0.0.1", "203.0.113.7:", "127.0.0.1"),
        ("127.0.0.1", "203.0.113.7:port", "127.0.0.1"),
        ("127.0.0.1", "203.0.113.7:٤٧", "127.0.0.1"),
        ("127.0.0.1", "[203.0.113.7]:4711x", "127.0.0.1"),
        ("127.0.0.1", "[2001:db8::1:4711", "127.0.0.1"),
        ("", "198.51.100.7", ""),
        ("a socket", "198.51.100.7", "a socket"),
        (UNIX, "", UNIX),
        (UNIX, "198.51.100.7", "198.51.100.7"),
        (UNIX, "203.0.113.9, 198.51.100.7, 10.1.2.3", "198.51.100.7"),
        (UNIX, "203.0.113.9, unix:", UNIX),  # what stands there is no peer of ours
    ],
)
def test_the_client_is_the_first_who_is_not_trusted(peer: str, forwarded_for: str, client: str) -> None:
    assert client_address(peer, forwarded_for, TRUSTED) == client


@given(st.text(), st.sampled_from(["127.0.0.1", "192.0.2.1"]))
def test_whatever_is_written_there_no_address_comes_out_that_nobody_wrote(text: str, peer: str) -> None:
    found = client_address(peer, text, TRUSTED)
    assert found == peer or (peer == "127.0.0.1" and any(found in part for part in text.split(",")))
    assert household(found)


@given(st.ip_addresses(v=4), st.ip_addresses(v=6), st.integers(0, 65535))
def test_a_client_is_the_same_whichever_port_it_comes_from(
    four: IPv4Address, six: IPv6Address, port: int
) -> None:
    only_nginx = read_networks("127.0.0.1")
    for written, address in ((f"{four}:{port}", four), (f"[{six}]:{port}", six), (f"[{six}]", six)):
        if str(address) != "127.0.0.1":
            assert client_address("127.0.0.1", f"198.51.100.7, {written}", only_nginx) == str(address)


@given(st.text())
def test_nobody_who_is_not_trusted_chooses_his_address(text: str) -> None:
    assert client_address("192.0.2.1", text, TRUSTED) == "192.0.2.1"
    assert client_address("127.0.0.1", f"{text}, 192.0.2.1", TRUSTED) == "192.0.2.1"


@pytest.mark.parametrize(
    ("peer", "scheme", "told", "https"),
    [
        ("127.0.0.1", "http", "https", True),
        ("127.0.0.1", "http", "HTTPS ", True),
        ("127.0.0.1", "http", "http", False),
        ("127.0.0.1", "http", "", False),
        ("127.0.0.1", "http", "httpsx", False),
        ("192.0.2.1", "http", "https", False),
        ("192.0.2.1", "https", "http", True),
        ("127.0.0.1", "https", "", True),
        ("", "http", "https", False),
    ],
)
def test_https_is_what_is_spoken_or_what_a_trusted_proxy_says(
    peer: str, scheme: str, told: str, https: bool
) -> None:
    assert is_https(peer, scheme, told, TRUSTED) is https


def test_without_trusted_proxies_nobody_is_believed() -> None:
    assert read_networks("") == read_networks(" , ") == ()
    assert client_address("127.0.0.1", "198.51.100.7", ()) == "127.0.0.1"


@pytest.mark.parametrize("text", ["localhost", "10.0.0.1/8", "10.0.0.0/33", "1", "::/129", "127.0.0.1;::1"])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_networks(text)


def test_all_addresses_of_one_line_are_one_household() -> None:
    assert household("2001:db8:1:2:3::4") == household("2001:db8:1:2:ffff::") == "2001:db8:1:2::/64"
    assert household("2001:db8:1:3::4") != household("2001:db8:1:2::4")
    assert household("192.0.2.1") == household("::ffff:192.0.2.1") == "192.0.2.1"
    assert household("") == ""
