"""SIGKILL at random moments of a service that takes, makes and deletes films.

The rounds share one data directory. A round starts the service on what the last one left, holds it to its word, sets
clients on it and kills it; after the last one everything that was acknowledged must become a whole film. Segments are
given out while a film is being made, so those that were committed once are there after each kill, with the same ETags.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import random
import threading
from pathlib import Path
from typing import Self

import httpx
import pytest

from media_service.store.keys import original_key
from media_service.work.tasks import MAX_ATTEMPTS
from tests.support.api import listed
from tests.support.committed import Committed, become_whole_films, committed, is_served
from tests.support.films import Film, Films
from tests.support.leaks import new_children
from tests.support.processes import children, wait_until
from tests.support.server import TOKEN, Server, running_server

DEADLINE_SECONDS = 120.0
PIECE_BYTES = 64 << 10
BOUNDARY = "a-boundary-that-is-in-no-film"
FORM_HEAD = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="form.mp4"\r\n'
    "Content-Type: video/mp4\r\n\r\n"
).encode()
FORM_TAIL = f"\r\n--{BOUNDARY}--\r\n".encode()
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
SEGMENTS_FETCHED = 10  # at most, of those that were there before a kill
MEMORY_BYTES = (256 << 20, 0, 256 << 20, 1 << 20)  # all in memory; all to disk; into memory and then to disk


class Promises:
    """What the service has acknowledged, as its clients remember it."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}  # id -> SHA-256
        self.deleted: set[str] = set()
        self.unsure: set[str] = set()  # a deletion was asked for, and no answer came
        self.cut: set[str] = set()  # SHA-256 of uploads without an answer
        self.segments: Committed = {}
        self._lock = threading.Lock()

    def acknowledge(self, asset_id: str, digest: str) -> None:
        with self._lock:
            self.kept[asset_id] = digest

    def begin_deletion(self, chance: random.Random) -> str | None:
        with self._lock:
            if not self.kept:
                return None
            asset_id = chance.choice(sorted(self.kept))
            del self.kept[asset_id]
            self.unsure.add(asset_id)
            return asset_id

    def end_deletion(self, asset_id: str) -> None:
        with self._lock:
            self.unsure.remove(asset_id)
            self.deleted.add(asset_id)


class Clients:
    """Uploaders and a deleter, each in a thread, until the service is gone."""

    def __init__(self, port: int, promises: Promises, seed: int, films: list[bytes]) -> None:
        self._port = port
        self._promises = promises
        chance = random.Random(seed)
        jobs = [
            threading.Thread(target=self._upload, args=(kind, chance.choice(films), chance.random()))
            for kind in ("form", "raw", "chunked")
        ]
        self._threads = [*jobs, threading.Thread(target=self._delete, args=(random.Random(seed),))]
        self.gone = threading.Event()
        self.sent = threading.Event()  # all bytes of one of the uploads

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.gone.set()
        for thread in self._threads:
            thread.join()

    def _upload(self, kind: str, film: bytes, tag: float) -> None:
        # No two uploads alike: a `free` box with a number of its own at the end.
        film += (16).to_bytes(4) + b"free" + round(tag * 2**60).to_bytes(8)
        digest = hashlib.sha256(film).hexdigest()
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            self._send(connection, kind, film)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            self._promises.cut.add(digest)
            return
        finally:
            connection.close()
        assert answer.status == 201, body
        found = json.loads(body)
        assert found["sha256"] == digest
        self._promises.acknowledge(found["id"], digest)

    def _send(self, connection: http.client.HTTPConnection, kind: str, film: bytes) -> None:
        if kind == "form":
            connection.putrequest("POST", "/api/v1/assets")
            connection.putheader("Content-Type", f"multipart/form-data; boundary={BOUNDARY}")
            film = FORM_HEAD + film + FORM_TAIL
        else:
            connection.putrequest("PUT", "/api/v1/assets?filename=raw.mp4")
        length = ("Transfer-Encoding", "chunked") if kind == "chunked" else ("Content-Length", str(len(film)))
        for header in (length, *HEADERS.items()):
            connection.putheader(*header)
        connection.endheaders()
        for start in range(0, len(film), PIECE_BYTES):
            piece = film[start : start + PIECE_BYTES]
            connection.send(b"%x\r\n%b\r\n" % (len(piece), piece) if kind == "chunked" else piece)
            self.gone.wait(0.003)  # as slow as a fast line, so that kills meet uploads half-way
        if kind == "chunked":
            connection.send(b"0\r\n\r\n")
        self.sent.set()

    def _delete(self, chance: random.Random) -> None:
        asset_id = None if chance.random() < 0.3 else self._promises.begin_deletion(chance)
        if asset_id is None:
            return
        self.gone.wait(chance.random())
        try:
            with httpx.Client(
                base_url=f"http://127.0.0.1:{self._port}", headers=HEADERS, timeout=60
            ) as client:
                answer = client.delete(f"/api/v1/assets/{asset_id}")
        except httpx.TransportError:
            return
        assert answer.status_code == 204, answer.text
        self._promises.end_deletion(asset_id)


def run_rounds(directory: Path, films: list[bytes], frames: int, rounds: int) -> None:
    """Kill the service `rounds` times, then see every promise kept."""
    promises = Promises()
    whole: set[str] = set()
    family = {(child.pid, child.started) for child in children(os.getpid())}
    for number in range(rounds):
        chance = random.Random(number)
        with running_server(directory, upload_memory_bytes=MEMORY_BYTES[number % 4]) as server:
            holds_its_word(server, promises)
            if number % (MAX_ATTEMPTS - 1) == 0:
                # Of a film of which nothing is made before the service ends once more it would think that it kills it.
                become_whole_films(server, whole, frames, directory / "film.mp4", DEADLINE_SECONDS)
            with Clients(server.port, promises, number, films) as clients:
                clients.gone.wait(chance.uniform(0.05, 1.0))
                if number % 3 != 1:
                    # Where promises are made: between the last byte of an upload and its answer.
                    clients.sent.wait(DEADLINE_SECONDS)
                    clients.gone.wait(chance.uniform(0, 0.4))
                promises.segments = committed(server.data_dir)
                server.kill()
        wait_until(lambda: not new_children(family), 5, "ffmpeg follows the service")
    with running_server(directory, transcode_workers=2) as server:
        holds_its_word(server, promises)
        print(
            f"{len(promises.kept)} uploads kept, {len(promises.cut)} cut off and gone, {len(promises.deleted)} deleted, "
            f"{len(promises.segments)} segments made before the last kill"
        )
        become_whole_films(server, whole, frames, directory / "film.mp4", DEADLINE_SECONDS)
        assert promises.kept, "no upload was acknowledged in time: nothing was tried"


def holds_its_word(server: Server, promises: Promises) -> None:
    """What was acknowledged is there, byte for byte; what was deleted is not; nothing is there in parts."""
    with server.client() as client:
        found = {asset["id"]: asset["sha256"] for asset in listed(client)}
    blobs = server.data_dir / "blobs"
    assert promises.kept.items() <= found.items()
    assert not promises.deleted & found.keys()
    # An asset may have been complete a moment before its answer would have gone out: then it is there as a whole.
    for asset_id in found.keys() - promises.kept.keys() - promises.unsure:
        assert found[asset_id] in promises.cut
        promises.cut.remove(found[asset_id])
        promises.kept[asset_id] = found[asset_id]
    wait_until(  # leftovers are swept behind the back of the running service
        lambda: {path.name for path in blobs.iterdir()} == found.keys(), 10, "only what is known has a place"
    )
    for asset_id, digest in found.items():
        with (blobs / original_key(asset_id)).open("rb") as original:
            assert hashlib.file_digest(original, "sha256").hexdigest() == digest
    promises.unsure &= found.keys()
    still_there = {which: place for which, place in promises.segments.items() if which.asset_id in found}
    assert still_there.items() <= committed(server.data_dir).items()
    with server.client() as client:
        for which in sorted(still_there)[:: len(still_there) // SEGMENTS_FETCHED + 1]:
            is_served(client, which, still_there[which])


def padded(film: Path, size: int) -> bytes:
    """The film with a `free` box at its end: more to upload, nothing more to encode."""
    return film.read_bytes() + size.to_bytes(4) + b"free" + random.Random(size).randbytes(size - 8)


def test_a_service_killed_at_random_moments_loses_nothing(tmp_path: Path, films: Films) -> None:
    film = films.film(Film(seconds=2, size=(160, 90), codec="mpeg4"))
    run_rounds(tmp_path, [padded(film, 1 << 20), padded(film, 4 << 20)], frames=50, rounds=3)


@pytest.mark.torture
def test_a_service_killed_twenty_times_loses_nothing(tmp_path: Path, films: Films) -> None:
    film = films.film(Film(seconds=8, size=(480, 270), codec="mpeg4"))
    run_rounds(tmp_path, [padded(film, 1 << 20), padded(film, 16 << 20)], frames=200, rounds=20)
