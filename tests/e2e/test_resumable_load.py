"""Many resumable uploads at once, and slow ones: what they cost the service, and where it says that it is enough."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.support.assets import assert_problem
from tests.support.films import Film, Films
from tests.support.raw_http import RawConnection
from tests.support.resumable import (
    IETF,
    IETF_BODY,
    TUS,
    TUS_BODY,
    UPLOADS,
    append_tus,
    begin_ietf,
    begin_tus,
    create,
    finished,
    ietf_offset,
    tus_offset,
    vary,
)
from tests.support.server import Server, running_server
from tests.support.uploads import answer_of, key

MIB = 1 << 20
CONCURRENT = 50
PIECE_BYTES = 256 << 10
GROWTH_BYTES = CONCURRENT * 3 * MIB // 2  # two pieces of 512 KiB each, and what the connections hold
IDLE_SECONDS = 2


@pytest.fixture(scope="module")
def film(films: Films) -> bytes:
    return films.film(Film(seconds=1, size=(160, 90))).read_bytes()


@contextmanager
def watching(server: Server, peaks: list[int]) -> Iterator[None]:
    """Note the most that the service and its ffmpegs hold in RAM meanwhile, memfds with it."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.2):
            peaks.append(server.rss_bytes() + server.memfd_bytes())

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


# --- fifty at once ------------------------------------------------------------------------------------------------


class Sender:
    """One upload, sent in a single PATCH, piece by piece in turn with the others."""

    def __init__(
        self, server: Server, client: httpx.Client, content: bytes, connection: RawConnection
    ) -> None:
        self.content = content
        self.path = begin_tus(client, len(content))
        self.connection = connection
        given = {"Upload-Offset": "0", "Content-Length": str(len(content))}
        connection.request("PATCH", self.path, {**key(server), **TUS, **TUS_BODY, **given})

    def send(self, start: int) -> None:
        self.connection.send(self.content[start : start + PIECE_BYTES])


def run_concurrent(server: Server, film: bytes, size: int) -> int:
    """Fifty uploads, all begun before any is half sent; all arrive. How much the service grew meanwhile, in bytes."""
    with server.client() as client:
        warm_up(client, film)
        before = server.rss_bytes()
        peaks: list[int] = []
        with ExitStack() as stack, watching(server, peaks):
            senders = [
                Sender(server, client, one, stack.enter_context(RawConnection(server.port, timeout=60)))
                for one in alike_but_for_a_number(film, size)
            ]
            for start in range(0, size, PIECE_BYTES):
                for sender in senders:
                    sender.send(start)
            for sender in senders:
                head = sender.connection.head()
                assert (head.status, head.headers["upload-offset"]) == (204, str(size))
        for sender in senders:
            asset = finished(client, sender.path)
            assert asset["sha256"] == hashlib.sha256(sender.content).hexdigest()
            assert client.delete(f"/api/v1/assets/{asset['id']}").status_code == 204
    return max(peaks) - before


def warm_up(client: httpx.Client, film: bytes) -> None:
    """What is loaded at its first use is no upload's cost."""
    path = begin_tus(client, len(film))
    assert append_tus(client, path, 0, film).status_code == 204
    finished(client, path)


def alike_but_for_a_number(film: bytes, size: int) -> Iterator[bytes]:
    """Films of that size, made one by one: fifty of them need not be in our memory twice."""
    shared = vary(film, size - 16, 0)
    for number in range(CONCURRENT):
        yield shared + (16).to_bytes(4) + b"free" + number.to_bytes(8)


@pytest.mark.torture
def test_fifty_uploads_at_once_cost_little_memory(tmp_path: Path, film: bytes) -> None:
    with running_server(tmp_path, transcode_workers=0) as server:
        growth = run_concurrent(server, film, 4 * MIB)
    print(f"{CONCURRENT} uploads of 4 MiB at once: {growth / MIB:.1f} MiB more than idle")
    assert growth < GROWTH_BYTES


@pytest.mark.torture
def test_the_size_of_fifty_uploads_does_not_matter(tmp_path: Path, film: bytes) -> None:
    with running_server(tmp_path, transcode_workers=0) as server:
        small, large = (run_concurrent(server, film, size * MIB) for size in (5, 40))
    print(f"{CONCURRENT} uploads at once: of 5 MiB +{small / MIB:.1f} MiB, of 40 MiB +{large / MIB:.1f} MiB")
    assert max(small, large) < GROWTH_BYTES


# --- and no more --------------------------------------------------------------------------------------------------


def test_one_more_than_is_allowed_is_refused_until_there_is_room(tmp_path: Path, film: bytes) -> None:
    limits = {"max_open_uploads": 3, "max_reserved_bytes": 10 * MIB}
    with running_server(tmp_path, transcode_workers=0, **limits) as server, server.client() as client:
        first, second = begin_tus(client, len(film)), begin_tus(client, MIB)
        third = begin_ietf(client, headers={"Upload-Length": str(MIB)})
        for answer in (
            client.post(UPLOADS, headers={**TUS, "Upload-Length": "1"}),
            create(client, headers={"Upload-Length": "1"}),
        ):
            assert_problem(answer, 429, "upload_quota")
            assert int(answer.headers["retry-after"]) > 0
        # Finished ones do not count any more, nor do cancelled ones.
        assert append_tus(client, first, 0, film).status_code == 204
        finished(client, first)
        assert client.delete(third, headers=IETF).status_code == 204
        begin_tus(client, 8 * MIB)
        # There is room for one more, but not for that many bytes.
        answer = client.post(UPLOADS, headers={**TUS, "Upload-Length": str(2 * MIB)})
        assert_problem(answer, 429, "upload_quota")
        assert int(answer.headers["retry-after"]) > 0
        begin_tus(client, MIB)
        assert tus_offset(client, second) == 0


# --- slow ones ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service that waits two seconds for the next byte."""
    directory = tmp_path_factory.mktemp("impatient")
    with running_server(directory, transcode_workers=0, upload_idle_seconds=IDLE_SECONDS) as running:
        yield running


@pytest.mark.parametrize("dialect", ["tus", "ietf"])
def test_a_body_that_stalls_is_ended_and_what_it_sent_is_kept(
    impatient: Server, film: bytes, dialect: str
) -> None:
    with impatient.client() as client, RawConnection(impatient.port) as connection:
        if dialect == "tus":
            path, given = begin_tus(client, len(film)), {**TUS, **TUS_BODY}
        else:
            path = begin_ietf(client)
            given = {**IETF, **IETF_BODY, "Upload-Complete": "?1"}
        length = {"Upload-Offset": "0", "Content-Length": str(len(film))}
        connection.request("PATCH", path, {**key(impatient), **given, **length})
        connection.send(film[:5000])
        head, body = answer_of(connection)
        assert head.status == 503
        assert b'"code":"upload_paused"' in body
        assert connection.closed_by_peer
        assert (tus_offset if dialect == "tus" else ietf_offset)(client, path) == 5000


def test_clients_at_a_byte_a_second_hold_no_memory(impatient: Server, film: bytes) -> None:
    slow = 20
    with impatient.client() as client, ExitStack() as stack:
        warm_up(client, film)
        before = impatient.rss_bytes() + impatient.memfd_bytes()
        connections: list[tuple[str, RawConnection]] = []
        for _ in range(slow):
            path = begin_tus(client, len(film))
            connection = stack.enter_context(RawConnection(impatient.port))
            length = {"Upload-Offset": "0", "Content-Length": str(len(film))}
            connection.request("PATCH", path, {**key(impatient), **TUS, **TUS_BODY, **length})
            connections.append((path, connection))
        for second in range(4):
            for _, connection in connections:
                connection.send(film[second : second + 1])
            threading.Event().wait(1)
        grown = impatient.rss_bytes() + impatient.memfd_bytes() - before
        print(f"{slow} uploads at a byte a second: {grown / MIB:.1f} MiB")
        assert grown < 10 * MIB
        for path, _ in connections:
            assert tus_offset(client, path) == 4
            assert client.delete(path, headers=TUS).status_code == 204
