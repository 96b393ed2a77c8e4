"""SIGKILL and SIGTERM in the middle of resumable uploads: what was acknowledged is never lost, and nobody is locked out."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.support.api import listed
from tests.support.films import Film, Films
from tests.support.patient_client import Interrupted, PatientClient
from tests.support.processes import wait_until
from tests.support.raw_http import RawConnection
from tests.support.resumable import (
    TUS,
    TUS_BODY,
    append_tus,
    arrived_bytes,
    begin_tus,
    finished,
    tus_offset,
    vary,
)
from tests.support.server import TOKEN, Server, running_server
from tests.support.uploads import answer_of, key

KIB = 1 << 10
MIB = 1 << 20
RESUMED_SECONDS = 5.0  # after the service listens again
PAUSE_SECONDS = 0.02  # between pieces of 32 KiB: 1.6 MB/s
DURABLE_SECONDS = 2.5
CLIENTS = 4


@pytest.fixture(scope="module")
def film(films: Films) -> bytes:
    return films.film(Film(seconds=1, size=(160, 90))).read_bytes()


# --- in the middle of a PATCH ---------------------------------------------------------------------------------


def run_rounds(directory: Path, film: bytes, rounds: int) -> None:
    """Kill the service in the middle of uploads, `rounds` times, and see each go on within 5 s from where it was."""
    longest = 0.0
    clients: list[PatientClient] = []
    durable = 0
    for number in range(rounds):
        with (
            running_server(directory, transcode_workers=0) as server,
            ThreadPoolExecutor(CLIENTS) as pool,
        ):
            longest = max(longest, all_go_on(server, clients, durable))
            clients = [
                PatientClient(
                    vary(film, 8 * MIB, CLIENTS * number + each), token=TOKEN, key=f"upload-{number}-{each}"
                )
                for each in range(CLIENTS)
            ]
            # Some get an acknowledgement every few pieces; the last one sends all in a single request.
            for most, client in zip((64 * KIB, 200 * KIB, MIB, None), clients, strict=True):
                pool.submit(until_it_breaks, client, server.port, most)
            threading.Event().wait(random.Random(number).uniform(0.1, 2.0))
            durable = clients[-1].reached
            if number % 4 == 3:
                # About each second the service makes durable what has come, though there is nobody to be told.
                threading.Event().wait(DURABLE_SECONDS)
            else:
                durable = 0
            server.kill()
    with running_server(directory, transcode_workers=0) as server:
        longest = max(longest, all_go_on(server, clients, durable))
    print(f"{rounds} kills; all uploads went on within {longest:.2f} s after the service listened again")


def until_it_breaks(client: PatientClient, port: int, most: int | None) -> None:
    """Send, `most` bytes in a request, until the service is gone."""
    with suppress(Interrupted):
        while not client.complete:
            client.go_on(port, most=most, pause=PAUSE_SECONDS)


def all_go_on(server: Server, clients: list[PatientClient], durable: int) -> float:
    """Each resumes (that no acknowledged byte is gone, the client itself asserts) and becomes its film; how long it took.

    Of the last one `durable` bytes must be there.
    """
    listens = time.monotonic()
    took = 0.0
    for client in clients:
        # It does not raise Interrupted: there is nobody left who holds the upload.
        if not client.complete:
            client.go_on(server.port, most=64 * KIB)
        took = max(took, time.monotonic() - listens)
    assert took < RESUMED_SECONDS
    assert not clients or clients[-1].told >= durable
    with server.client() as http:
        for client in clients:
            if not client.complete:
                client.go_on(server.port)
            assert client.complete
            assert finished(http, client.path)["sha256"] == hashlib.sha256(client.content).hexdigest()
            assert http.delete(f"/api/v1/assets/{client.path.rpartition('/')[2]}").status_code == 204
    return took


def test_a_service_killed_in_the_middle_of_uploads_loses_no_acknowledged_byte(
    tmp_path: Path, film: bytes
) -> None:
    run_rounds(tmp_path, film, rounds=2)


@pytest.mark.torture
def test_a_service_killed_twenty_times_in_the_middle_of_uploads_loses_no_acknowledged_byte(
    tmp_path: Path, film: bytes
) -> None:
    run_rounds(tmp_path, film, rounds=20)


# --- between the last byte and the asset -----------------------------------------------------------------------


def run_endings(directory: Path, film: bytes, rounds: int) -> None:
    """Kill the service just after last bytes: an upload of which all is stored becomes its asset, whoever asks or not."""
    whole = 0
    films: dict[str, bytes] = {}  # by the paths of their uploads
    for number in range(rounds):
        chance = random.Random(number)
        gone = threading.Event()
        with (
            running_server(directory, transcode_workers=0) as server,
            ThreadPoolExecutor(CLIENTS) as pool,
        ):
            with server.client() as client:
                whole += count_assets(client, films)
                contents = [vary(film, 512 * KIB, CLIENTS * number + each) for each in range(CLIENTS)]
                films = {begin_tus(client, len(content)): content for content in contents}
            for path, content in films.items():
                pool.submit(send_whole, server, path, content, gone, chance.uniform(0, 0.15))
            wait_until(partial(is_one_written, server, films), 10, "one of them is there as a whole")
            gone.wait(chance.uniform(0, 0.3))
            server.kill()
            gone.set()
    with running_server(directory, transcode_workers=0) as server, server.client() as client:
        whole += count_assets(client, films)
    print(f"{whole} of {rounds * CLIENTS} uploads were whole when the service was killed, and are assets")
    assert whole, "no last byte was stored in time: nothing was tried"


def count_assets(client: httpx.Client, films: dict[str, bytes]) -> int:
    """How many of the uploads are whole; these become assets without being asked for. The others are given up."""
    # Nobody is disturbed by a GET of no dialect, and nothing is set off by it.
    whole = [path for path, content in films.items() if client.get(path).json()["offset"] == len(content)]
    for path in whole:
        digest = hashlib.sha256(films[path]).hexdigest()
        wait_until(partial(is_asset, client, digest), 10, "the upload is an asset by itself")
    for path in films.keys() - set(whole):
        assert client.delete(path, headers=TUS).status_code == 204
    return len(whole)


def is_one_written(server: Server, films: dict[str, bytes]) -> bool:
    """All bytes of one of them are written; nothing is said of their being durable, or known to the catalog."""
    return any(arrived_bytes(server, path) == len(content) for path, content in films.items())


def is_asset(client: httpx.Client, digest: str) -> bool:
    return digest in {asset["sha256"] for asset in listed(client)}


def send_whole(server: Server, path: str, content: bytes, gone: threading.Event, delay: float) -> None:
    """The film in one request, after `delay` seconds; nobody waits for the answer."""
    gone.wait(delay)
    with suppress(httpx.TransportError), server.client() as client:
        append_tus(client, path, 0, content)


def test_an_upload_that_was_whole_when_the_service_was_killed_becomes_an_asset(
    tmp_path: Path, film: bytes
) -> None:
    run_endings(tmp_path, film, rounds=2)


@pytest.mark.torture
def test_uploads_that_were_whole_at_twenty_kills_become_assets(tmp_path: Path, film: bytes) -> None:
    run_endings(tmp_path, film, rounds=20)


# --- told to stop -------------------------------------------------------------------------------------------------


def test_a_service_told_to_stop_keeps_what_was_sent(tmp_path: Path, film: bytes) -> None:
    content = vary(film, 4 * MIB, 0)
    with running_server(tmp_path, transcode_workers=0, shutdown_seconds=1) as server:
        with server.client() as client:
            path = begin_tus(client, len(content))
        with RawConnection(server.port) as connection:
            length = {"Upload-Offset": "0", "Content-Length": str(len(content))}
            connection.request("PATCH", path, {**key(server), **TUS, **TUS_BODY, **length})
            connection.send(content[:MIB])
            wait_until(lambda: arrived_bytes(server, path) == MIB, 10, "it has arrived")
            server.stop()
            head, body = answer_of(connection)
        assert (head.status, head.headers["retry-after"]) == (503, "10"), body
        assert "Traceback" not in server.log_text()
    with running_server(tmp_path, transcode_workers=0) as server, server.client() as client:
        assert tus_offset(client, path) == MIB
        assert append_tus(client, path, MIB, content[MIB:]).status_code == 204
        assert finished(client, path)["sha256"] == hashlib.sha256(content).hexdigest()
