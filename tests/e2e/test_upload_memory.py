"""What uploads cost while they arrive, and what is left of those that do not: nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.assets import assert_problem, await_state, upload
from tests.support.films import Film, Films
from tests.support.forms import CONTENT_TYPE, file, form
from tests.support.processes import wait_until
from tests.support.raw_http import RawConnection
from tests.support.server import Server, running_server
from tests.support.small_disk import fill, tiny_disk
from tests.support.uploads import (
    UPLOADS,
    RawUpload,
    answer_of,
    blob_files,
    blob_trees,
    held_bytes,
    key,
    padded,
)

__all__ = ["tiny_disk"]

MIB = 1 << 20
BUDGET = 16 * MIB
LIMIT = 24 * MIB
IDLE_SECONDS = 3


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service with little memory, a low limit, little patience, and no transcoder in the way."""
    with running_server(
        tmp_path_factory.mktemp("small"),
        upload_memory_bytes=BUDGET,
        max_upload_bytes=LIMIT,
        upload_idle_seconds=IDLE_SECONDS,
        transcode_workers=0,
    ) as running:
        yield running


@pytest.fixture
def client(small: Server) -> Iterator[httpx.Client]:
    with small.client() as opened:
        yield opened


@pytest.fixture(scope="module")
def film(films: Films) -> bytes:
    return films.film(Film(seconds=1, moov_at_end=False)).read_bytes()


@pytest.mark.parametrize("announced", [True, False], ids=["length", "chunked"])
@pytest.mark.parametrize("size", [BUDGET // 2, BUDGET])
def test_what_fits_the_budget_stays_in_memory_until_it_is_whole(
    small: Server, client: httpx.Client, film: bytes, size: int, announced: bool
) -> None:
    content = padded(film, size)
    before = blob_trees(small)
    with RawConnection(small.port) as connection:
        put = RawUpload(small, connection, size if announced else None)
        put.send(content[:-100])
        wait_until(lambda: small.memfd_bytes() >= size - MIB, 10, "it is in memory")
        assert blob_trees(small) == before
        put.send(content[-100:])
        check_arrived(client, put.finish(), content)
    assert small.memfd_bytes() == 0


@pytest.mark.parametrize("announced", [True, False], ids=["length", "chunked"])
@pytest.mark.parametrize("size", [BUDGET + 2 * MIB, LIMIT])
def test_what_does_not_fit_goes_to_disk_and_arrives_just_the_same(
    small: Server, client: httpx.Client, film: bytes, size: int, announced: bool
) -> None:
    content = padded(film, size)
    before = blob_trees(small)
    with RawConnection(small.port) as connection:
        put = RawUpload(small, connection, size if announced else None)
        put.send(content[:-100])
        wait_until(
            lambda: sum(path.stat().st_size for path in blob_files(small, before)) >= size - MIB,
            10,
            "it is on the disk",
        )
        assert small.memfd_bytes() == 0
        put.send(content[-100:])
        check_arrived(client, put.finish(), content)


def check_arrived(client: httpx.Client, asset: dict[str, object], content: bytes) -> None:
    assert asset["sha256"] == hashlib.sha256(content).hexdigest()
    playable = await_state(client, str(asset["id"]), "playable")
    assert client.get(playable["playback"]["original"]["url"]).content == content


@pytest.mark.parametrize("size", [BUDGET, LIMIT, None], ids=["memory", "disk", "chunked"])
def test_a_client_that_leaves_gives_everything_back(
    small: Server, client: httpx.Client, film: bytes, size: int | None
) -> None:
    before = blob_trees(small)
    with httpx.Client(base_url=small.url) as prober:  # its connection is the one that stays
        prober.get("/livez")
        wait_until(lambda: small.memfd_bytes() == 0, 10, "nothing is held")
        idle = small.open_descriptors()
        for _ in range(3):
            with RawConnection(small.port) as connection:
                put = RawUpload(small, connection, size)
                put.send(bytes(BUDGET - MIB))
                wait_until(lambda: held_bytes(small, before) >= BUDGET - 2 * MIB, 10, "it has arrived")
            wait_until(lambda: small.memfd_bytes() == 0, 10, "the memory is given back")
            wait_until(lambda: small.open_descriptors() <= idle, 10, "the descriptors are closed")
            wait_until(lambda: blob_trees(small) == before, 10, "the file and its place are gone")
    # The next one needs the whole budget, and gets it.
    content = padded(film, BUDGET)
    with RawConnection(small.port) as connection:
        put = RawUpload(small, connection, BUDGET)
        put.send(content[:-1])
        wait_until(lambda: small.memfd_bytes() >= BUDGET - MIB, 10, "it is in memory")
        assert blob_trees(small) == before
        put.send(content[-1:])
        put.finish()


def test_uploads_that_stall_are_ended(small: Server) -> None:
    before = blob_trees(small)
    headers = key(small, Content_Length="100000")
    with RawConnection(small.port) as raw, RawConnection(small.port) as posted:
        raw.request("PUT", UPLOADS, headers)
        posted.request("POST", UPLOADS, headers | {"Content-Type": CONTENT_TYPE})
        for connection in (raw, posted):
            connection.send(form(file(bytes(5000)))[:4000])
        for connection in (raw, posted):
            head, body = answer_of(connection)
            assert head.status == 408
            assert b'"code":"upload_stalled"' in body
        assert small.memfd_bytes() == 0
        assert blob_trees(small) == before
        assert raw.closed_by_peer
        assert posted.closed_by_peer


def test_an_upload_that_only_trickles_is_not_stalled(small: Server, film: bytes) -> None:
    with RawConnection(small.port) as connection:
        put = RawUpload(small, connection, len(film))
        for start in range(0, 500, 100):
            put.send(film[start : start + 100])
        put.send(film[500:])
        put.finish()


# --- a full disk ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("memory", [0, BUDGET], ids=["to disk", "in memory"])
def test_a_full_disk_refuses_uploads_and_nothing_else(tiny_disk: Path, film: bytes, memory: int) -> None:
    filler = tiny_disk / "media" / "filler"
    content = padded(film, 8 * MIB)
    with (
        running_server(tiny_disk, upload_memory_bytes=memory, transcode_workers=0) as service,
        service.client() as client,
    ):
        kept = upload(client, film)
        kept = await_state(client, kept["id"], "playable")
        # Announced, it is refused before its body.
        with RawConnection(service.port) as connection:
            headers = key(service, Content_Length=str(64 * MIB), Expect="100-continue")
            connection.request("PUT", UPLOADS, headers)
            head, _ = answer_of(connection)
            assert (head.status, head.headers["retry-after"]) == (507, "60")
        # The disk fills up while the upload is on its way.
        before = blob_trees(service)
        with RawConnection(service.port) as connection:
            put = RawUpload(service, connection, 8 * MIB)
            put.send(content[: 4 * MIB])
            wait_until(lambda: held_bytes(service, before) >= 3 * MIB, 10, "half of it is there")
            fill(filler)
            put.send(content[4 * MIB :])
            head, body = put.answer()
        assert head.status == 507, body
        answer = client.put(UPLOADS, content=content)
        assert_problem(answer, 507, "storage_full")
        assert answer.headers["retry-after"] == "60"
        assert blob_trees(service) == before
        # What is there can be watched all the same.
        assert client.get("/readyz").json()["storage"] == "full"
        assert client.get(UPLOADS).json()["items"][0]["id"] == kept["id"]
        assert client.get(kept["playback"]["original"]["url"]).content == film
        # And with room again it goes on by itself.
        filler.unlink()
        assert client.put(UPLOADS, content=content).status_code == 201


def test_a_disk_that_fills_up_under_an_upload_of_unknown_length_ends_it(tiny_disk: Path, film: bytes) -> None:
    with running_server(tiny_disk, upload_memory_bytes=0, transcode_workers=0) as service:
        before = blob_trees(service)
        with service.client() as client:
            answer = client.put(UPLOADS, content=iter([bytes(MIB)] * 100))
            assert_problem(answer, 507, "storage_full")
            assert blob_trees(service) == before
            assert client.put(UPLOADS, content=film).status_code == 201


def test_an_upload_that_the_stopping_service_ends_is_told_so(tmp_path: Path, film: bytes) -> None:
    with running_server(tmp_path, shutdown_seconds=1) as server, RawConnection(server.port) as connection:
        put = RawUpload(server, connection, 3 * MIB)
        put.send(padded(film, 3 * MIB)[: 2 * MIB])
        wait_until(lambda: held_bytes(server, set()) > 0, 10, "the upload has begun")
        server.stop()
        head, body = answer_of(connection)
        assert (head.status, head.headers["retry-after"]) == (503, "10")
        assert json.loads(body)["code"] == "shutting_down"
        assert "Traceback" not in server.log_text()
