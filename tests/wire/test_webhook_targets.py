from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.errors import InvalidRequest
from media_service.wire.webhook_targets import MAX_URL_CHARACTERS, Target, read_target, why_private


@pytest.mark.parametrize(
    ("url", "target", "authority"),
    [
        ("https://example.com", Target("https", "example.com", 443, "/"), "example.com"),
        ("HTTP://Example.COM:8080/A/b?c=d", Target("http", "example.com", 8080, "/A/b?c=d"), "example.com:8080"),
        ("https://example.com:443/", Target("https", "example.com", 443, "/"), "example.com"),
        ("http://example.com?x", Target("http", "example.com", 80, "/?x"), "example.com"),
        ("https://example.com./h", Target("https", "example.com.", 443, "/h"), "example.com."),
        ("http://127.0.0.1./", Target("http", "127.0.0.1", 80, "/"), "127.0.0.1"),
        ("http://0X7F000001.:81/", Target("http", "0x7f000001", 81, "/"), "0x7f000001:81"),
        ("http://0x./", Target("http", "0x", 80, "/"), "0x"),
        ("http://8.example./", Target("http", "8.example.", 80, "/"), "8.example."),
        ("http://[2001:DB8::1]:81/x", Target("http", "2001:db8::1", 81, "/x"), "[2001:db8::1]:81"),
        ("http://hooks_1.svc/%2e%2E/", Target("http", "hooks_1.svc", 80, "/%2e%2E/"), "hooks_1.svc"),
    ],
)  # fmt: skip
def test_a_plain_address_is_read(url: str, target: Target, authority: str) -> None:
    assert read_target(url) == target
    assert read_target(url).authority == authority


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "//example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "javascript:alert(1)",
        "http:/example.com",
        "http:example.com",
        "http:///path",
        "http://",
        "http://user@example.com/",
        "http://user:secret@example.com/",
        "http://example.com@127.0.0.1/",
        "http://example.com#@127.0.0.1/",
        "http://example.com\\@127.0.0.1/",
        "http://example.com/a b",
        "http://example.com/a\r\nHost: b",
        "http://example.com/\x00",
        "http://exam\tple.com/",
        "http://ex%61mple.com/",
        "http://①②⑦.⓪.⓪.①/",
        "http://127。0。0。1/",
        "http://bücher.example/",
        "http://a..b/",
        "http://localhost../",
        "http://127.0.0.1../",
        "http://./",
        "http://.a/",
        f"http://{'a' * 64}.example/",
        f"http://{'a.' * 150}example/",
        "http://example.com:/",
        "http://example.com:0/",
        "http://example.com:65536/",
        "http://example.com:+80/",
        "http://example.com:٨٠/",
        "http://[::1/",
        "http://::1/",
        "http://[::1]x/",
        "http://[12345::]/",
        "http://[fe80::1%25eth0]/",
        "http://[v1.x]/",
        " http://example.com/",
        "http://example.com/\n",
        "http://example.com/" + "a" * MAX_URL_CHARACTERS,
    ],
)
def test_whatever_two_readers_could_read_differently_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest):
        read_target(url)


@given(st.text(max_size=60) | st.from_regex(r"https?://[^/]{0,20}.{0,20}"))
def test_any_text_is_a_target_or_refused(url: str) -> None:
    try:
        target = read_target(url)
    except InvalidRequest:
        return
    assert target.path.startswith("/")
    assert 0 < target.port < 65536
    assert all("!" <= character <= "~" for character in target.authority + target.path)
    assert read_target(f"{target.scheme}://{target.authority}{target.path}") == target


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.0.9",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::8.8.8.8",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b::808:808",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:2::1",
        "2001:20::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:808:808::1",
        "3fff::1",
        "4000::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ],
)
def test_an_address_that_is_no_machines_in_public_is_told(address: str) -> None:
    assert why_private(ip_address(address))


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "8.8.8.8", "93.184.216.34", "100.63.255.255", "100.128.0.1", "172.32.0.1", "2606:4700::1", "2a00:1450::1"],
)  # fmt: skip
def test_an_address_in_public_may_be_called(address: str) -> None:
    assert why_private(ip_address(address)) is None
