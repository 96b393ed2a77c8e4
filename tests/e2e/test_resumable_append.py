"""What draft-ietf-httpbis-resumable-upload-12 asks of a server, over HTTP: offset retrieval, append, and what follows the end."""

from __future__ import annotations

import hashlib
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
    assert_problem_type,
    begin_ietf,
    create,
    finished,
    ietf_offset,
    is_asset_of,
    limits,
    retrieve,
)
from tests.support.server import Server
from tests.support.uploads import answer_of, key

MISMATCH = "https://iana.org/assignments/http-problem-types#mismatching-upload-offset"


@pytest.fixture
def client(service: Server) -> Iterator[httpx.Client]:
    with service.client() as opened:
        yield opened


@pytest.fixture(scope="module")
def film(films: Films) -> bytes:
    return films.film(Film(seconds=1, size=(160, 90))).read_bytes()


# --- offset retrieval (s4.3) --------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_an_upload_tells_where_it_stands(client: httpx.Client, film: bytes, method: str) -> None:
    path = begin_ietf(client, film[:700], headers={"Upload-Length": str(len(film))})
    answer = retrieve(client, path, method)
    assert answer.status_code in {200, 204}
    assert (answer.headers["upload-offset"], answer.headers["upload-complete"]) == ("700", "?0")
    assert answer.headers["upload-length"] == str(len(film))
    assert limits(answer)["max-size"] > len(film)
    assert answer.headers["cache-control"] == "no-store"


def test_a_finished_upload_tells_so(client: httpx.Client, film: bytes) -> None:
    path = begin_ietf(client)
    is_asset_of(append(client, path, 0, film, complete=True), film)
    answer = retrieve(client, path)
    assert answer.headers["upload-complete"] == "?1"
    assert answer.headers["upload-offset"] == answer.headers["upload-length"] == str(len(film))


# --- append (s4.4) ------------------------------------------------------------------------------------------------


def test_pieces_become_the_film(client: httpx.Client, film: bytes) -> None:
    path = begin_ietf(client)
    step = len(film) // 3
    for start in (0, step):
        answer = append(client, path, start, film[start : start + step])
        assert (answer.status_code, answer.headers["upload-complete"]) == (204, "?0")
        assert answer.headers["upload-offset"] == str(start + step)
    is_asset_of(append(client, path, 2 * step, film[2 * step :], complete=True), film)


@pytest.mark.parametrize("offset", [0, 99, 101, 10**14])
def test_another_offset_is_a_conflict(client: httpx.Client, film: bytes, offset: int) -> None:
    path = begin_ietf(client, film[:100])
    answer = append(client, path, offset, film[100:200])
    assert answer.status_code == 409
    body = assert_problem_type(answer, MISMATCH, "offset_mismatch")
    assert (body["expected-offset"], body["provided-offset"]) == (100, offset)
    assert (answer.headers["upload-offset"], answer.headers["upload-complete"]) == ("100", "?0")
    assert append(client, path, 100, film[100:200]).status_code == 204


@pytest.mark.parametrize(
    ("missing", "status"), [("Upload-Offset", 400), ("Upload-Complete", 400), ("Content-Type", 415)]
)
def test_an_append_must_be_whole(client: httpx.Client, missing: str, status: int) -> None:
    path = begin_ietf(client)
    given = {**IETF, **IETF_BODY, "Upload-Complete": "?0", "Upload-Offset": "0"}
    wrong = {"Upload-Offset": "+0", "Upload-Complete": "no", "Content-Type": "application/octet-stream"}
    del given[missing]
    for headers in (given, {**given, missing: wrong[missing]}):
        answer = client.patch(path, content=b"x", headers=headers)
        assert answer.status_code == status, answer.text
    assert ietf_offset(client, path) == 0


def test_a_chunked_body_counts_without_its_coding(client: httpx.Client, film: bytes) -> None:
    path = begin_ietf(client)
    headers = {**IETF, **IETF_BODY, "Upload-Complete": "?1", "Upload-Offset": "0"}
    pieces = (film[start : start + 777] for start in range(0, len(film), 777))
    is_asset_of(client.patch(path, content=pieces, headers=headers), film)


def test_a_client_that_expects_100_gets_it(service: Server, client: httpx.Client, film: bytes) -> None:
    path = begin_ietf(client)
    headers = {**key(service), **IETF, **IETF_BODY, "Upload-Complete": "?1", "Upload-Offset": "0"}
    with RawConnection(service.port) as connection:
        length = {"Content-Length": str(len(film)), "Expect": "100-continue"}
        connection.request("PATCH", path, {**headers, **length})
        assert connection.head().status == 100
        connection.send(film)
        assert answer_of(connection)[0].status == 201
    finished(client, path)


def test_what_an_interrupted_request_has_sent_is_kept_and_completes_nothing(
    service: Server, client: httpx.Client, film: bytes
) -> None:
    path = begin_ietf(client)
    headers = {**key(service), **IETF, **IETF_BODY, "Upload-Complete": "?1", "Upload-Offset": "0"}
    with RawConnection(service.port) as connection:
        connection.request("PATCH", path, {**headers, "Content-Length": str(len(film))})
        connection.send(film[:3000])
    with RawConnection(service.port) as connection:
        kept = ietf_offset(client, path)
        assert 0 <= kept <= 3000
        headers["Upload-Offset"] = str(kept)
        connection.request("PATCH", path, {**headers, "Transfer-Encoding": "chunked"})
        connection.send_chunk(film[kept:4000])  # a last chunk never comes
    assert client.get(path).json()["state"] == "open"
    kept = ietf_offset(client, path)
    is_asset_of(append(client, path, kept, film[kept:], complete=True), film)


# --- after the end (s4.4.2) ---------------------------------------------------------------------------------------


def test_the_last_request_again_gets_the_last_answer_again(client: httpx.Client, film: bytes) -> None:
    path = begin_ietf(client, film[:-10])
    first = append(client, path, len(film) - 10, film[-10:], complete=True)
    address = is_asset_of(first, film)
    again = append(client, path, len(film), b"", complete=True)
    assert is_asset_of(again, film) == address
    # Nothing can be added any more, at whatever offset.
    for offset, data in ((len(film) - 10, film[-10:]), (len(film), b"x"), (0, film)):
        refused = append(client, path, offset, data, complete=True)
        assert refused.status_code == 409
        assert refused.headers["upload-complete"] == "?0"  # of the upload, not of the film
    assert client.get(address).json()["sha256"] == hashlib.sha256(film).hexdigest()


@pytest.mark.parametrize("content", [b"this is no film, only text\n" * 100, b""], ids=["text", "nothing"])
@pytest.mark.parametrize("at_once", [True, False])
def test_a_file_that_cannot_be_used_is_an_outcome(
    client: httpx.Client, content: bytes, at_once: bool
) -> None:
    if at_once:
        answer = create(client, content, complete=True)
    else:
        path = begin_ietf(client)
        answer = append(client, path, 0, content, complete=True)
    code = "not_media" if content else "empty_upload"
    assert_problem(answer, 422, code)
    assert answer.headers["upload-complete"] == "?1"
    if not at_once:
        again = append(client, path, len(content), b"", complete=True)
        assert_problem(again, 422, code)
        assert again.headers["upload-complete"] == "?1"
        told = client.get(path).json()
        assert (told["state"], told["asset"], told["error"]["code"]) == ("rejected", None, code)
