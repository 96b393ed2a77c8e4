"""Digests of resumable uploads: of one body (Content-Digest, Upload-Checksum), of the whole (Repr-Digest).

draft-ietf-httpbis-resumable-upload-12 s9, RFC 9530; tus Checksum.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Iterator

import httpx
import pytest

from tests.support.assets import assert_problem
from tests.support.films import Film, Films
from tests.support.raw_http import RawConnection
from tests.support.resumable import (
    IETF,
    IETF_BODY,
    append,
    append_tus,
    begin_ietf,
    begin_tus,
    create,
    digest_field,
    finished,
    ietf_offset,
    retrieve,
    tus_offset,
)
from tests.support.server import Server
from tests.support.uploads import answer_of, key


@pytest.fixture
def client(service: Server) -> Iterator[httpx.Client]:
    with service.client() as opened:
        yield opened


@pytest.fixture(scope="module")
def film(films: Films) -> bytes:
    return films.film(Film(seconds=1, size=(160, 90))).read_bytes()


# --- of one body --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sha-256", "sha-512"])
def test_a_body_with_its_digest_is_taken(client: httpx.Client, film: bytes, name: str) -> None:
    first, rest = film[:1000], film[1000:]
    path = begin_ietf(client, first, headers={"Content-Digest": digest_field(first, name)})
    # Algorithms that we do not know are for others (RFC 9530 s2).
    both = f"unixsum=:AAA=:, {digest_field(rest, name)}"
    answer = append(client, path, 1000, rest, complete=True, headers={"Content-Digest": both})
    assert answer.status_code == 201, answer.text
    assert finished(client, path)["size"] == len(film)


@pytest.mark.parametrize("name", ["sha-256", "sha-512"])
def test_a_body_with_another_digest_is_not_taken(client: httpx.Client, film: bytes, name: str) -> None:
    path = begin_ietf(client, film[:1000])
    wrong = {"Content-Digest": digest_field(b"something else", name)}
    answer = append(client, path, 1000, film[1000:], complete=True, headers=wrong)
    assert_problem(answer, 400, "digest_mismatch")
    assert answer.headers["upload-complete"] == "?0"
    assert ietf_offset(client, path) == 1000
    assert append(client, path, 1000, film[1000:], complete=True).status_code == 201


def test_a_creation_with_another_digest_makes_nothing(client: httpx.Client, film: bytes) -> None:
    wrong = {"Content-Digest": digest_field(b"something else")}
    for complete in (True, False):
        answer = create(client, film, complete=complete, headers=wrong)
        assert_problem(answer, 400, "digest_mismatch")
        assert answer.headers["upload-complete"] == "?0"
        assert "location" not in answer.headers


@pytest.mark.parametrize("field", ["Content-Digest", "Repr-Digest"])
def test_a_digest_that_cannot_be_read_is_refused(client: httpx.Client, film: bytes, field: str) -> None:
    for value in ("sha-256=nonsense", "sha-256", "sha-256=:AAAA:", "=:AAAA:"):
        answer = create(client, film, complete=True, headers={field: value})
        assert_problem(answer, 400, "invalid_request")


def test_of_a_body_with_a_digest_that_is_cut_nothing_is_kept(
    service: Server, client: httpx.Client, film: bytes
) -> None:
    path = begin_ietf(client, film[:1000])
    given = {**IETF, **IETF_BODY, "Upload-Complete": "?0", "Upload-Offset": "1000"}
    more = {"Content-Length": str(len(film) - 1000), "Content-Digest": digest_field(film[1000:])}
    more["Expect"] = "100-continue"
    with RawConnection(service.port) as connection:
        connection.request("PATCH", path, {**key(service), **given, **more})
        assert connection.head().status == 100  # the service waits for the body
        connection.send(film[1000:2000])
        assert ietf_offset(client, path) == 1000
        assert answer_of(connection)[0].status == 409
    assert append(client, path, 1000, film[1000:], complete=True).status_code == 201


@pytest.mark.parametrize("name", ["sha1", "sha256", "crc32"])
def test_tus_checksums_are_checked(client: httpx.Client, film: bytes, name: str) -> None:
    path = begin_tus(client, len(film))
    wrong = {"Upload-Checksum": checksum(name, b"something else")}
    answer = append_tus(client, path, 0, film, headers=wrong)
    assert_problem(answer, 460, "checksum_mismatch")
    assert tus_offset(client, path) == 0
    right = {"Upload-Checksum": checksum(name, film)}
    assert append_tus(client, path, 0, film, headers=right).status_code == 204
    assert finished(client, path)["sha256"] == hashlib.sha256(film).hexdigest()


def checksum(name: str, data: bytes) -> str:
    """The value of Upload-Checksum (tus, Checksum); CRC-32 in network order."""
    digest = zlib.crc32(data).to_bytes(4) if name == "crc32" else hashlib.new(name, data).digest()
    return f"{name} {base64.b64encode(digest).decode()}"


# --- of the whole -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["creation", "append"])
@pytest.mark.parametrize("name", ["sha-256", "sha-512"])
def test_a_film_with_its_digest_becomes_an_asset(
    client: httpx.Client, film: bytes, when: str, name: str
) -> None:
    told = {"Repr-Digest": digest_field(film, name)}
    path = begin_ietf(client, film[:1000], headers=told if when == "creation" else {})
    more = told if when == "append" else {}
    answer = append(client, path, 1000, film[1000:], complete=True, headers=more)
    assert answer.status_code == 201, answer.text
    # Asked for or not, the answer says what has arrived (s9.1).
    assert answer.headers["repr-digest"] == digest_field(film)


@pytest.mark.parametrize("when", ["creation", "append"])
@pytest.mark.parametrize("name", ["sha-256", "sha-512"])
def test_a_film_with_another_digest_is_a_failed_upload(
    client: httpx.Client, film: bytes, when: str, name: str
) -> None:
    told = {"Repr-Digest": digest_field(b"something else", name)}
    path = begin_ietf(client, film[:1000], headers=told if when == "creation" else {})
    more = told if when == "append" else {}
    answer = append(client, path, 1000, film[1000:], complete=True, headers=more)
    assert_problem(answer, 400, "digest_mismatch")
    assert answer.headers["upload-complete"] == "?1"  # it would fail again: there is no point in resuming
    told_later = client.get(path).json()
    assert (told_later["state"], told_later["error"]["code"]) == ("rejected", "digest_mismatch")
    assert retrieve(client, path).headers["upload-complete"] == "?1"


def test_a_digest_that_is_wanted_is_given(client: httpx.Client, film: bytes) -> None:
    answer = create(client, film, complete=True, headers={"Want-Repr-Digest": "sha-256=9, sha-512=1"})
    assert answer.status_code == 201
    assert digest_field(film) in answer.headers["repr-digest"]


def test_a_tus_client_gets_the_digest_of_the_whole_too(client: httpx.Client, film: bytes) -> None:
    path = begin_tus(client, len(film))
    assert "repr-digest" not in append_tus(client, path, 0, film[:1000]).headers
    answer = append_tus(client, path, 1000, film[1000:])
    assert answer.status_code == 204
    assert answer.headers["repr-digest"] == digest_field(film)
