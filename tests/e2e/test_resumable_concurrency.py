"""Two requests for one upload, in both dialects: a half-open connection locks nobody out, and of two writers one wins.

draft-ietf-httpbis-resumable-upload-12 s4.5 (cancellation) and s4.6 (concurrency); tus Core and Termination.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx
import pytest

from tests.support.assets import assert_problem, await_state
from tests.support.films import Film, Films
from tests.support.processes import wait_until
from tests.support.raw_http import RawConnection
from tests.support.resumable import (
    IETF,
    IETF_BODY,
    TUS,
    TUS_BODY,
    append,
    append_tus,
    arrived_bytes,
    begin_ietf,
    begin_tus,
    finished,
    ietf_offset,
    retrieve,
    tus_offset,
    vary,
)
from tests.support.server import Server
from tests.support.uploads import answer_of, key

MIB = 1 << 20
SIZE = 2 * MIB
HALF = MIB
TAKEN_OVER_SECONDS = 2.0


@pytest.fixture
def client(service: Server) -> Iterator[httpx.Client]:
    with service.client() as opened:
        yield opened


@pytest.fixture(scope="module")
def film(films: Films) -> bytes:
    return films.film(Film(seconds=1, size=(160, 90))).read_bytes()


class HalfOpen:
    """An upload with a PATCH of which half has come, and then nothing: neither bytes nor an end."""

    def __init__(self, service: Server, client: httpx.Client, content: bytes, dialect: str) -> None:
        self.tus = dialect == "tus"
        self.path = begin_tus(client, len(content)) if self.tus else begin_ietf(client)
        self.connection = RawConnection(service.port)
        given = {**TUS, **TUS_BODY} if self.tus else {**IETF, **IETF_BODY, "Upload-Complete": "?1"}
        more = {"Upload-Offset": "0", "Content-Length": str(len(content))}
        self.connection.request("PATCH", self.path, {**key(service), **given, **more})
        self.connection.send(content[:HALF])
        wait_until(lambda: arrived_bytes(service, self.path) == HALF, 10, "half of it has come")

    def offset(self, client: httpx.Client) -> int:
        return tus_offset(client, self.path) if self.tus else ietf_offset(client, self.path)

    def append(self, client: httpx.Client, offset: int, data: bytes) -> httpx.Response:
        if self.tus:
            return append_tus(client, self.path, offset, data)
        return append(client, self.path, offset, data, complete=True)

    def was_taken_over(self) -> None:
        """Its connection gets to know, and ends."""
        head, body = answer_of(self.connection)
        assert head.status == 409
        assert b'"code":"upload_taken_over"' in body
        assert self.connection.closed_by_peer


@pytest.fixture(params=["tus", "ietf"])
def half_open(
    request: pytest.FixtureRequest, service: Server, client: httpx.Client, film: bytes
) -> Iterator[HalfOpen]:
    opened = HalfOpen(service, client, vary(film, SIZE, 1), request.param)
    with opened.connection:
        yield opened


def test_who_asks_where_it_stands_can_go_on_there_at_once(
    half_open: HalfOpen, client: httpx.Client, film: bytes
) -> None:
    content = vary(film, SIZE, 1)
    began = time.monotonic()
    assert half_open.offset(client) == HALF
    assert time.monotonic() - began < TAKEN_OVER_SECONDS
    half_open.was_taken_over()
    assert half_open.append(client, HALF, content[HALF:]).is_success
    asset = finished(client, half_open.path)
    assert asset["sha256"] == hashlib.sha256(content).hexdigest()
    assert client.delete(f"/api/v1/assets/{asset['id']}").status_code == 204


def test_who_goes_on_where_the_bytes_end_takes_over(
    half_open: HalfOpen, client: httpx.Client, film: bytes
) -> None:
    content = vary(film, SIZE, 1)
    began = time.monotonic()
    answer = half_open.append(client, HALF, content[HALF:])
    assert answer.is_success, answer.text
    assert time.monotonic() - began < TAKEN_OVER_SECONDS
    half_open.was_taken_over()
    asset = finished(client, half_open.path)
    assert asset["sha256"] == hashlib.sha256(content).hexdigest()
    assert client.delete(f"/api/v1/assets/{asset['id']}").status_code == 204


def test_who_begins_elsewhere_disturbs_nobody(
    half_open: HalfOpen, service: Server, client: httpx.Client, film: bytes
) -> None:
    content = vary(film, SIZE, 1)
    for offset in (0, HALF - 1, HALF + 1):
        assert_problem_code(half_open.append(client, offset, content[offset:]), 409, "offset_mismatch")
    half_open.connection.send(content[HALF:])
    head = half_open.connection.head()
    assert head.status == (204 if half_open.tus else 201)
    finished(client, half_open.path)


def test_a_cancellation_ends_the_request_that_is_under_way(
    half_open: HalfOpen, service: Server, client: httpx.Client
) -> None:
    began = time.monotonic()
    headers = TUS if half_open.tus else IETF
    assert client.delete(half_open.path, headers=headers).status_code == 204
    assert time.monotonic() - began < TAKEN_OVER_SECONDS
    half_open.was_taken_over()
    assert client.head(half_open.path, headers=headers).status_code == 404
    assert half_open.append(client, HALF, b"x").status_code == 404
    assert client.delete(half_open.path, headers=headers).status_code == 404
    assert not (service.data_dir / "blobs" / half_open.path.rpartition("/")[2]).exists()


def assert_problem_code(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize("dialect", ["tus", "ietf"])
def test_of_two_writers_at_one_offset_exactly_one_wins(service: Server, film: bytes, dialect: str) -> None:
    for turn in range(4):
        contents = [vary(film, SIZE, 100 * turn + each) for each in range(2)]
        with service.client() as client:
            path = begin_tus(client, SIZE) if dialect == "tus" else begin_ietf(client)
        barrier = threading.Barrier(2)

        def write(content: bytes, path: str = path, barrier: threading.Barrier = barrier) -> int:
            with service.client() as client:
                client.get(path)  # the connection is there
                barrier.wait()
                if dialect == "tus":
                    return append_tus(client, path, 0, content).status_code
                return append(client, path, 0, content, complete=True).status_code

        with ThreadPoolExecutor(2) as pool:
            statuses = list(pool.map(write, contents))
        assert sorted(statuses) == [204 if dialect == "tus" else 201, 409]
        with service.client() as client:
            winner = contents[statuses.index(min(statuses))]
            assert finished(client, path)["sha256"] == hashlib.sha256(winner).hexdigest()


def test_an_offset_that_was_told_while_bytes_come_in_is_good_to_go_on_from(
    service: Server, client: httpx.Client, film: bytes
) -> None:
    """The server MUST NOT send outdated offsets (s4.6): asked again and again, each answer is where the next can begin."""
    content = vary(film, SIZE, 3)
    path = begin_ietf(client)
    told = 0
    for _ in range(5):
        with RawConnection(service.port) as connection:
            more = {"Upload-Offset": str(told), "Content-Length": str(SIZE - told), "Upload-Complete": "?1"}
            connection.request("PATCH", path, {**key(service), **IETF, **IETF_BODY, **more})
            connection.send(content[told : told + 200_000])
            wait_until(partial(has_more_than, service, path, told), 10, "something has come")
            now = ietf_offset(client, path)
            assert told <= now <= told + 200_000
            told = now
    assert append(client, path, told, content[told:], complete=True).status_code == 201
    assert finished(client, path)["sha256"] == hashlib.sha256(content).hexdigest()


def test_a_tus_client_that_lost_the_last_answer_hears_of_the_asset_at_once(
    service: Server, client: httpx.Client, film: bytes
) -> None:
    """tus has no word for "all is there, wait": whoever hears that offset takes the upload for finished."""
    whole = 0
    for number in range(8):
        content = vary(film, 300_000, 50 + number)
        path = begin_tus(client, len(content))
        with RawConnection(service.port) as connection:
            length = {"Upload-Offset": "0", "Content-Length": str(len(content))}
            connection.request("PATCH", path, {**key(service), **TUS, **TUS_BODY, **length})
            connection.send(content)
            time.sleep(number / 100)  # before, at, and behind its end
            answer = client.head(path, headers=TUS)
        if answer.headers["upload-offset"] == str(len(content)):
            whole += 1
            asset = client.get(answer.headers["upload-asset"]).raise_for_status().json()
            assert asset["sha256"] == hashlib.sha256(content).hexdigest()
    assert whole


def has_more_than(service: Server, path: str, size: int) -> bool:
    return arrived_bytes(service, path) > size


# --- cancellation -------------------------------------------------------------------------------------------------


def test_a_cancelled_upload_is_gone_with_its_bytes(service: Server, client: httpx.Client) -> None:
    path = begin_ietf(client, bytes(1000))
    tree = service.data_dir / "blobs" / path.rpartition("/")[2]
    assert tree.exists()
    assert client.delete(path, headers=IETF).status_code == 204
    assert not tree.exists()
    assert retrieve(client, path).status_code == 404
    assert_problem(append(client, path, 1000, b"x"), 404, "not_found")
    assert client.delete(path, headers=IETF).status_code == 404


def test_cancelling_a_finished_upload_leaves_its_film(client: httpx.Client, film: bytes) -> None:
    path = begin_ietf(client)
    answer = append(client, path, 0, film, complete=True)
    assert client.delete(path, headers=IETF).status_code == 204
    assert retrieve(client, path).status_code == 404
    asset = await_state(client, answer.json()["id"], "playable")
    assert client.get(asset["playback"]["original"]["url"]).status_code == 200
