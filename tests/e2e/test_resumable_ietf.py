"""What draft-ietf-httpbis-resumable-upload-12 asks of a server, over HTTP: limits, creation, length.

The rest of it: test_resumable_append.py, test_resumable_concurrency.py, test_resumable_digests.py. Interim
responses (104) are missing: uvicorn cannot send any, and the draft makes them a SHOULD of those who can.
"""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.support.assets import assert_problem, await_state
from tests.support.films import Film, Films
from tests.support.processes import wait_until
from tests.support.raw_http import RawConnection
from tests.support.resumable import (
    IETF,
    IETF_BODY,
    UPLOADS,
    append,
    assert_problem_type,
    begin_ietf,
    create,
    ietf_offset,
    is_asset_of,
    limits,
    path_of,
    retrieve,
)
from tests.support.server import Server, running_server
from tests.support.uploads import blob_trees, key

MIB = 1 << 20
MAX_BYTES = 8 * MIB
INCONSISTENT = "https://iana.org/assignments/http-problem-types#inconsistent-upload-length"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(
        tmp_path_factory.mktemp("service"), transcode_workers=0, max_upload_bytes=MAX_BYTES
    ) as running:
        yield running


@pytest.fixture
def client(service: Server) -> Iterator[httpx.Client]:
    with service.client() as opened:
        yield opened


@pytest.fixture(scope="module")
def film(films: Films) -> bytes:
    return films.film(Film(seconds=1, size=(160, 90))).read_bytes()


# --- limits (s4.1.4) ----------------------------------------------------------------------------------------------


def test_options_tells_the_limits(client: httpx.Client) -> None:
    for headers in (IETF, {}):
        answer = client.options(UPLOADS, headers=headers)
        assert answer.status_code in {200, 204}
        assert limits(answer)["max-size"] == MAX_BYTES
        assert limits(answer)["min-size"] == 0
        assert limits(answer)["max-age"] > 0
        assert "accept-patch" not in answer.headers  # no more since draft 12


def test_the_limits_stay_as_they_were_announced(client: httpx.Client, film: bytes) -> None:
    announced = limits(client.options(UPLOADS))
    created = create(client, film[:100])
    path = path_of(created.headers["location"])
    for answer in (created, retrieve(client, path), append(client, path, 100, film[100:200])):
        assert {**limits(answer), "max-age": 0} == {**announced, "max-age": 0}
        assert 0 < limits(answer)["max-age"] <= announced["max-age"]


def test_too_large_a_length_is_refused_with_the_limits(client: httpx.Client) -> None:
    for length in (MAX_BYTES + 1, 10**15 - 1):
        answer = create(client, headers={"Upload-Length": str(length)})
        assert_problem(answer, 413, "upload_too_large")
        assert limits(answer)["max-size"] == MAX_BYTES
    path = begin_ietf(client)
    answer = append(client, path, 0, b"x", headers={"Upload-Length": str(MAX_BYTES + 1)})
    assert_problem(answer, 413, "upload_too_large")
    assert limits(answer)["max-size"] == MAX_BYTES


def test_a_body_that_grows_too_large_is_refused(client: httpx.Client) -> None:
    path = begin_ietf(client)
    answer = client.patch(
        path,
        content=iter([bytes(MIB)] * 9),
        headers={**IETF, **IETF_BODY, "Upload-Complete": "?1", "Upload-Offset": "0"},
    )
    assert_problem(answer, 413, "upload_too_large")
    assert limits(answer)["max-size"] == MAX_BYTES


# --- creation (s4.2) ----------------------------------------------------------------------------------------------


def test_a_whole_film_in_the_first_request_is_an_asset_at_once(client: httpx.Client, film: bytes) -> None:
    name = "inline; filename=\"a film.mp4\"; filename*=UTF-8''ein%20F%C3%BClm.mp4"
    answer = create(client, film, complete=True, headers={"Content-Disposition": name})
    path = is_asset_of(answer, film)
    asset = await_state(client, path.rpartition("/")[2], "playable")
    assert asset["filename"] == "ein Fülm.mp4"


def test_a_file_name_is_only_ever_data(client: httpx.Client, film: bytes) -> None:
    name = {"Content-Disposition": 'inline; filename="../../etc/cron.d/film.mp4"'}
    answer = create(client, film, complete=True, headers=name)
    assert answer.json()["filename"] == "film.mp4"


def test_a_creation_that_was_cut_is_no_upload_or_is_found_by_its_key(
    service: Server, client: httpx.Client, film: bytes
) -> None:
    """Without 104 a client cannot know the address of what it began in one request: it repeats the request instead."""
    begun = {**key(service), **IETF, "Upload-Complete": "?1", "Content-Length": str(len(film))}
    before = blob_trees(service)
    for headers in (begun, {**begun, "Idempotency-Key": '"a-creation-that-is-cut"'}):
        with RawConnection(service.port) as connection:
            connection.request("POST", UPLOADS, {**headers, "Expect": "100-continue"})
            assert connection.head().status == 100
            connection.send(film[:1000])
    answer = create(client, headers={"Idempotency-Key": '"a-creation-that-is-cut"'})
    assert (answer.status_code, answer.headers["upload-complete"]) == (201, "?0")
    path = path_of(answer.headers["location"])
    kept = ietf_offset(client, path)
    assert 0 <= kept <= 1000
    is_asset_of(append(client, path, kept, film[kept:], complete=True), film)
    mine = {path.rpartition("/")[2]}
    wait_until(lambda: blob_trees(service) - before == mine, 10, "of the first one nothing is left")


@pytest.mark.parametrize("first", [0, 1, 5000])
def test_a_beginning_makes_an_upload(client: httpx.Client, film: bytes, first: int) -> None:
    answer = create(client, film[:first], headers={"Upload-Length": str(len(film))})
    assert (answer.status_code, answer.headers["upload-complete"]) == (201, "?0")
    assert answer.headers["upload-offset"] == str(first)
    assert limits(answer)["max-size"] == MAX_BYTES
    path = path_of(answer.headers["location"])
    assert path.startswith(f"{UPLOADS}/")
    assert ietf_offset(client, path) == first
    is_asset_of(append(client, path, first, film[first:], complete=True), film)


def test_uploads_have_addresses_that_nobody_guesses(client: httpx.Client) -> None:
    first, second = (begin_ietf(client).rpartition("/")[2] for _ in range(2))
    assert first != second
    assert len(first) >= 22  # 128 bits, six to a character
    unknown = f"{UPLOADS}/{'A' * len(first)}"
    for answer in (retrieve(client, unknown, "GET"), append(client, unknown, 0, b"x")):
        assert_problem(answer, 404, "not_found")
    assert retrieve(client, unknown).status_code == 404


def test_nobody_without_a_key_learns_anything(service: Server, client: httpx.Client) -> None:
    path = begin_ietf(client)
    with service.client(authorized=False) as stranger:
        answers = [create(stranger), append(stranger, path, 0, b"x"), stranger.delete(path, headers=IETF)]
        for answer in [*answers, retrieve(stranger, path, "GET")]:
            assert_problem(answer, 401, "unauthorized")
            assert "upload-offset" not in answer.headers
        assert retrieve(stranger, path).status_code == 401
    assert ietf_offset(client, path) == 0


def test_the_creation_must_say_whether_it_is_complete(client: httpx.Client) -> None:
    # What is no Boolean counts as missing (s4.1.2).
    for value in ("1", "true", "?2", '"?1"', "?1, ?0", "(?1)"):
        answer = client.post(UPLOADS, headers={**IETF, "Upload-Complete": value})
        assert_problem(answer, 400, "invalid_request")
    assert_problem(client.post(UPLOADS), 400, "invalid_request")
    assert create(client, headers={"Upload-Complete": "?0;why=not"}).status_code == 201


# --- length (s4.1.3) ----------------------------------------------------------------------------------------------


def test_a_length_that_is_no_number_is_ignored(client: httpx.Client) -> None:
    for value in ("abc", "-1", "1.5", '"7"', "?1", "1e3", "(7)"):
        path = begin_ietf(client, headers={"Upload-Length": value})
        assert "upload-length" not in retrieve(client, path).headers


def test_lengths_must_agree(client: httpx.Client, film: bytes) -> None:
    answer = create(client, film, complete=True, headers={"Upload-Length": str(len(film) + 1)})
    assert assert_problem_type(answer, INCONSISTENT, "inconsistent_length")["status"] == 400
    path = begin_ietf(client, film[:100], headers={"Upload-Length": str(len(film))})
    for answer in (
        append(client, path, 100, b"x", headers={"Upload-Length": str(len(film) - 1)}),
        append(client, path, 100, film[100:-1], complete=True),
    ):
        assert_problem_type(answer, INCONSISTENT, "inconsistent_length")
        assert answer.headers["upload-complete"] == "?0"
    assert ietf_offset(client, path) == 100
    is_asset_of(append(client, path, 100, film[100:], complete=True), film)


@pytest.mark.parametrize("when", ["creation", "append"])
def test_a_length_is_remembered_once_it_is_told(client: httpx.Client, film: bytes, when: str) -> None:
    told = {"Upload-Length": str(len(film))}
    path = begin_ietf(client, headers=told if when == "creation" else {})
    if when == "append":
        assert "upload-length" not in retrieve(client, path).headers
        assert append(client, path, 0, b"", headers=told).status_code == 204
    assert retrieve(client, path).headers["upload-length"] == str(len(film))


@pytest.mark.parametrize("announced", [True, False], ids=["length", "chunked"])
def test_an_upload_that_goes_beyond_its_length_is_gone(client: httpx.Client, announced: bool) -> None:
    path = begin_ietf(client, headers={"Upload-Length": "1000"})
    content = bytes(1001) if announced else iter([bytes(600), bytes(600)])
    headers = {**IETF, **IETF_BODY, "Upload-Complete": "?0", "Upload-Offset": "0"}
    assert_problem(client.patch(path, content=content, headers=headers), 400, "beyond_length")
    assert retrieve(client, path).status_code == 404
    assert append(client, path, 0, b"x").status_code == 404


def test_reaching_the_length_does_not_complete_an_upload(client: httpx.Client, film: bytes) -> None:
    path = begin_ietf(client, headers={"Upload-Length": str(len(film))})
    answer = append(client, path, 0, film)
    assert (answer.status_code, answer.headers["upload-complete"]) == (204, "?0")
    assert retrieve(client, path).headers["upload-complete"] == "?0"
    assert client.get(path).json()["state"] == "open"
    is_asset_of(append(client, path, len(film), b"", complete=True), film)
