from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.errors import InvalidRequest, MediaServiceError
from media_service.wire.digests import (
    read_digests,
    read_file_digests,
    read_idempotency_key,
    repr_digest,
)

SHA256 = hashlib.sha256(b"film").digest()
SHA512 = hashlib.sha512(b"film").digest()


def sequence(data: bytes) -> str:
    return f":{base64.b64encode(data).decode()}:"


@pytest.mark.parametrize(
    ("value", "digests"),
    [
        ("", ()),
        (f"sha-256={sequence(SHA256)}", (("sha256", SHA256),)),
        (f"sha-512={sequence(SHA512)}", (("sha512", SHA512),)),
        (f"sha-512={sequence(SHA512)}, sha-256={sequence(SHA256)}", (("sha512", SHA512), ("sha256", SHA256))),
        (f"md5=:AAAA:,sha-256={sequence(SHA256)};q=1, unixsum=5", (("sha256", SHA256),)),
        (f"sha-256={sequence(SHA256).replace('=', '')}", (("sha256", SHA256),)),
        (f"sha-256=:AAAA:,sha-256={sequence(SHA256)}", (("sha256", SHA256),)),
        ("sha=:AAAA:", ()),
    ],
)
def test_digests_that_can_be_checked_are_read_and_unknown_ones_ignored(
    value: str, digests: tuple[tuple[str, bytes], ...]
) -> None:
    assert read_digests(value, "Repr-Digest") == digests


@pytest.mark.parametrize(
    "value",
    [
        "sha-256",
        "sha-256=5",
        "sha-256=(:AAAA:)",
        "sha-256=:AAAA:",
        "sha-256=abcd",
        f"SHA-256={sequence(SHA256)}",
        f"sha-256={sequence(SHA256)},",
        f"sha-256={sequence(SHA512)}",
        "sha-256=:!:",
        f"sha-256 {base64.b64encode(SHA256).decode()}",
        "sha-256=:" + "A" * 9000 + ":",
    ],
)
def test_a_digest_that_cannot_be_one_is_refused_with_the_name_of_its_header(value: str) -> None:
    with pytest.raises(InvalidRequest, match="Content-Digest"):
        read_digests(value, "Content-Digest")


@given(st.text(st.characters(codec=None)))
def test_any_text_is_digests_or_refused(value: str) -> None:
    try:
        digests = read_digests(value, "Repr-Digest")
    except MediaServiceError:
        return
    assert all(name in {"sha256", "sha512"} for name, _ in digests)


@given(st.binary())
def test_what_is_answered_reads_the_same(data: bytes) -> None:
    digest = hashlib.sha256(data)

    assert read_digests(repr_digest(digest.hexdigest()), "Repr-Digest") == (("sha256", digest.digest()),)


def test_the_body_of_one_request_is_the_whole_file() -> None:
    headers = {
        "content-digest": f"sha-256={sequence(SHA256)}",
        "repr-digest": f"sha-512={sequence(SHA512)}",
    }

    assert read_file_digests(headers) == (("sha256", SHA256), ("sha512", SHA512))
    assert read_file_digests({}) == ()
    with pytest.raises(InvalidRequest, match="Repr-Digest"):
        read_file_digests({"repr-digest": "sha-256=5"})


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ('"8e03978e-40d5-43dd-bc93-6894a57f9324"', "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ('"a";v=1', "a"),
        ('"a\\"b"', 'a"b'),
        ('a"b', 'a"b'),
        ("!", "!"),
        ("~" * 255, "~" * 255),
    ],
)
def test_a_key_is_the_same_bare_and_quoted(value: str, key: str) -> None:
    assert read_idempotency_key({"idempotency-key": value}) == key


@pytest.mark.parametrize(
    "value",
    ["", '""', '"', '"a', '"a" b', "a b", "a, b", '"a b"', "ä", "\x7f", "~" * 256, '"' + "~" * 256 + '"'],
)
def test_a_key_of_another_form_is_refused(value: str) -> None:
    with pytest.raises(InvalidRequest, match="Idempotency-Key"):
        read_idempotency_key({"idempotency-key": value})


def test_most_requests_have_no_key() -> None:
    assert read_idempotency_key({}) is None


@given(st.text(st.characters(codec=None)))
def test_any_text_is_a_key_or_refused(value: str) -> None:
    try:
        key = read_idempotency_key({"idempotency-key": value})
    except InvalidRequest:
        return
    assert key is not None
    assert 1 <= len(key) <= 255
    assert key.isascii()
    assert key.isprintable()
