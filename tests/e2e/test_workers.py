"""A service in several processes: whichever one a client meets, it is one service; and any of them may be killed."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.assets import assert_problem, await_extras, await_state, upload
from tests.support.event_stream import EventStream
from tests.support.films import Film, Films
from tests.support.processes import descendants, ffmpegs, still_running, wait_until
from tests.support.raw_http import Head, RawConnection
from tests.support.resumable import begin_tus, tus_offset
from tests.support.server import CHECKOUT, TOKEN, Server, running_server
from tests.support.uploads import filling, padded
from tests.support.workers import Workers

FILM = Film(seconds=6)
# Nothing of it can be packaged: each of its segments is made when it is asked for.
UNMADE = Film(seconds=40, codec="mpeg4", size=(640, 480), keyframe_seconds=2.0, container="mkv")
KEY = {"Authorization": f"Bearer {TOKEN}"}
AGAIN_SECONDS = 30.0
LARGE_BYTES = 24 << 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service that makes only what is asked for, in two processes."""
    with running_server(tmp_path_factory.mktemp("two"), workers=2, transcode_ahead=False) as running:
        yield running


@pytest.fixture
def workers(server: Server) -> Workers:
    return Workers(server)


@pytest.fixture
def sender(workers: Workers) -> int:
    (pid,) = workers.senders
    return pid


@pytest.fixture(scope="module")
def film(server: Server, films: Films) -> dict[str, Any]:
    """An asset of which everything is there."""
    with server.client() as client:
        asset = await_state(client, upload(client, films.film(FILM))["id"], "playable", "ready")
        return await_extras(client, asset["id"])


@pytest.fixture(scope="module")
def large(server: Server, films: Films) -> tuple[str, str]:
    """The address of an original too large for any socket's buffer, and its SHA-256."""
    content = padded(films.film(FILM).read_bytes(), LARGE_BYTES)
    with server.client() as client:
        asset = await_state(client, upload(client, content)["id"], "playable", "ready")
        original = client.get(f"/media/{asset['id']}/original.mp4")
        return f"/media/{asset['id']}/original.mp4", hashlib.sha256(original.content).hexdigest()


def answer(connection: RawConnection, *, body: bool = True) -> tuple[Head, bytes]:
    """The next answer, with its body of known length."""
    head = connection.head()
    return head, connection.body(int(head.headers["content-length"])) if body else b""


def get(connection: RawConnection, path: str, headers: dict[str, str] | None = None) -> tuple[Head, bytes]:
    connection.request("GET", path, headers)
    return answer(connection)


def comparable(head: Head) -> tuple[int, dict[str, str]]:
    """Without what is of the moment, or of the connection."""
    return head.status, {
        name: value for name, value in head.headers.items() if name not in {"date", "connection"}
    }


def test_there_are_a_supervisor_a_main_process_and_a_sender(server: Server, workers: Workers) -> None:
    assert len(workers.senders) == 1
    assert {server.pid, workers.main, *workers.senders} == {
        server.pid,
        *(child.pid for child in descendants(server.pid) if child.name != "ffmpeg"),
    }


def test_a_sender_does_not_have_what_one_signs_in_with(workers: Workers, sender: int) -> None:
    def names(pid: int) -> set[str]:
        variables = Path(f"/proc/{pid}/environ").read_text().split("\0")
        return {each.partition("=")[0] for each in variables}

    assert names(workers.main) - names(sender) == {"MEDIA_SERVICE_ADMIN_TOKEN"}


def test_what_players_fetch_is_the_same_from_each_process(
    workers: Workers, sender: int, film: dict[str, Any]
) -> None:
    names = (
        "poster.jpg", "hls/master.m3u8", "dash/manifest.mpd", "storyboard.vtt", "storyboard.json", "preview.mp4",
        "storyboard/0.jpg", "download", "waveform.json", "hls/images/index.m3u8", "nothing.mp4", "frame.jpg?t=1", "hls/none/0.m4s",
    )  # fmt: skip
    wishes: list[dict[str, str]] = [
        {}, {"Range": "bytes=10-19"}, {"Range": "bytes=1-2,5-9"}, {"Range": "bytes=99999999-"}, {"Origin": "https://a.example"},
    ]  # fmt: skip
    asked: list[tuple[str, dict[str, str]]] = [(f"/media/{film['id']}/{name}", {}) for name in names]
    asked += [(f"/media/{film['id']}/original.mp4", wish) for wish in wishes]
    asked += [
        (address, {}) for address in ("/media/nobody/original.mp4", "/t/none/media/nobody/original.mp4")
    ]
    for path, wish in asked:
        for method in ("GET", "HEAD"):
            answers = []
            for pid in (workers.main, sender):
                with workers.connected(pid) as connection:
                    connection.request(method, path, wish)
                    head, content = answer(connection, body=method == "GET")
                    answers.append((comparable(head), content))
            assert answers[0] == answers[1], (method, path, wish)


def test_a_sender_answers_films_itself_and_hands_the_rest_over(
    workers: Workers, sender: int, film: dict[str, Any]
) -> None:
    original = f"/media/{film['id']}/original.mp4"
    with workers.connected(sender) as connection:
        for _ in range(2):  # found by the framework; then by the short way
            assert get(connection, original, {"Range": "bytes=0-9"})[0].status == 206
            assert workers.holder(connection) == sender
        head, content = get(connection, "/api/v1/assets", KEY)
        assert (head.status, len(json.loads(content)["items"]) > 0) == (200, True)
        assert workers.holder(connection) == workers.main
        assert "connection" not in head.headers
        assert get(connection, "/livez")[0].status == 200
        # A film again: the main process answers, and the viewer comes back through whoever is free.
        head, _ = get(connection, original, {"Range": "bytes=0-9"})
        assert (head.status, head.headers["connection"]) == (206, "close")
        assert connection.closed_by_peer


def test_pipelined_requests_of_all_kinds_are_answered_in_order(
    workers: Workers, sender: int, film: dict[str, Any], large: tuple[str, str]
) -> None:
    address, digest = large
    requests = [
        ("GET", f"/media/{film['id']}/poster.jpg"), ("GET", address), ("GET", "/livez"), ("HEAD", address),
        ("GET", "/api/v1/assets/nobody"), ("GET", address), ("GET", f"/media/{film['id']}/nothing.mp4"), ("GET", address),
    ]  # fmt: skip
    text = "".join(
        f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
        for method, path in requests
    )
    with workers.connected(sender) as connection:
        connection.send(text.encode())
        for (method, path), status in zip(requests, (200, 200, 200, 200, 404, 200, 404, 200), strict=True):
            head, content = answer(connection, body=method == "GET")
            assert head.status == status, path
            if (method, path) == ("GET", address):
                assert hashlib.sha256(content).hexdigest() == digest
    with workers.connected(sender) as connection:  # the same again, each request alone behind a film
        connection.send(text.encode()[: text.index("HEAD")])
        assert [answer(connection)[0].status for _ in range(3)] == [200, 200, 200]
        assert workers.holder(connection) == workers.main


def test_a_request_behind_a_film_waits_until_its_reader_has_it(
    workers: Workers, sender: int, large: tuple[str, str]
) -> None:
    with workers.connected(sender) as connection:
        connection.request("GET", large[0])
        connection.request("GET", "/api/v1/assets", KEY)
        time.sleep(0.5)  # nothing tells that a socket is full
        assert workers.holder(connection) == sender
        assert hashlib.sha256(answer(connection)[1]).hexdigest() == large[1]
        assert answer(connection)[0].status == 200


@pytest.mark.parametrize("size", [5 << 10, 300 << 10, 3 << 20])
def test_an_upload_through_a_sender_arrives(
    server: Server, workers: Workers, sender: int, films: Films, size: int
) -> None:
    content = padded(films.film(FILM).read_bytes(), max(size, 1 << 20)) + filling(size)
    head = f"PUT /api/v1/assets?filename=a.mp4 HTTP/1.1\r\nHost: h\r\nContent-Length: {len(content)}\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    with workers.connected(sender) as connection:
        os.kill(sender, signal.SIGSTOP)  # so that much of it is there when it reads
        try:
            connection.send(head.encode() + content[:size])
        finally:
            os.kill(sender, signal.SIGCONT)
        connection.send(content[size:])
        made, body = answer(connection)
        assert made.status == 201, body
        assert workers.holder(connection) == workers.main
    with server.client() as client:
        asset = json.loads(body)
        assert client.get(f"/api/v1/assets/{asset['id']}").json()["size"] == len(content)


def test_a_head_in_pieces_and_a_long_one_are_read_to_their_ends(
    workers: Workers, sender: int, film: dict[str, Any]
) -> None:
    text = f"GET /media/{film['id']}/poster.jpg HTTP/1.1\r\nHost: h\r\n"
    for pieces in (
        [text[:2], text[2:], "\r\n"],
        [text, f"X-Long: {'a' * 20_000}\r\n\r\n"],
        [text + "\r", "\n"],
    ):
        with workers.connected(sender) as connection:
            for piece in pieces:
                connection.send(piece.encode())
                time.sleep(0.05)  # they shall not come as one
            assert answer(connection)[0].status == 200


def test_a_body_that_is_waited_for_is_asked_for(workers: Workers, sender: int) -> None:
    with workers.connected(sender) as connection:
        connection.request(
            "POST",
            "/api/v1/assets/nobody/playback-tokens",
            {**KEY, "Expect": "100-continue", "Content-Length": "2"},
        )
        assert connection.head().status == 100
        connection.send(b"{}")
        assert answer(connection)[0].status in {400, 404}


def test_events_come_through_a_sender(server: Server, workers: Workers, sender: int, films: Films) -> None:
    with server.client() as client, workers.connected(sender):
        pass
    others = [workers.main]
    for pid in others:
        os.kill(pid, signal.SIGSTOP)
    waiting = RawConnection(server.port)
    with waiting:
        wait_until(lambda: workers.holder(waiting) == sender, AGAIN_SECONDS, "the sender has it")
        for pid in others:
            os.kill(pid, signal.SIGCONT)
        waiting.request("GET", "/api/v1/events", KEY)
        assert waiting.head().status == 200
        assert workers.holder(waiting) == workers.main
        with server.client() as client:
            asset = upload(client, films.film(FILM))
        assert asset["id"].encode() in waiting.until(asset["id"].encode())


def test_a_segment_that_nobody_has_made_is_made_for_a_client_of_a_sender(
    server: Server, workers: Workers, sender: int, films: Films
) -> None:
    with server.client() as client:
        asset = await_state(client, upload(client, films.film(UNMADE), "film.mkv")["id"], "playable", "ready")
        base = f"/media/{asset['id']}/hls/480p"
        names = [line for line in client.get(f"{base}/index.m3u8").text.splitlines() if ".m4s" in line]
    with workers.connected(sender) as connection:
        head, made = get(connection, f"{base}/{names[3]}")
        assert (head.status, made[4:8]) == (200, b"moof")
        assert head.headers["connection"] == "close"
    with workers.connected(sender) as connection:  # made now, so it sends it itself
        head, again = get(connection, f"{base}/{names[3]}")
        assert (head.status, again, head.headers.get("connection")) == (200, made, None)
        assert workers.holder(connection) == sender
    # Who leaves while it is made is heard of.
    with workers.connected(sender) as connection:
        connection.request("GET", f"{base}/{names[-1]}")
        wait_until(lambda: bool(ffmpegs(server.pid)), AGAIN_SECONDS, "it is being made")
    wait_until(lambda: not ffmpegs(server.pid), AGAIN_SECONDS, "nobody makes it any more")


def test_what_is_deleted_or_hidden_is_so_at_once_in_each_process(
    server: Server, workers: Workers, sender: int, films: Films
) -> None:
    with server.client() as client:
        for change in ("deleted", "hidden"):
            asset = await_state(client, upload(client, films.film(FILM))["id"], "playable", "ready")
            original = f"/media/{asset['id']}/original.mp4"
            with workers.connected(sender) as one, workers.connected(workers.main) as other:
                for connection in (one, other, one, other):
                    assert get(connection, original)[0].status == 200
                if change == "deleted":
                    assert client.delete(f"/api/v1/assets/{asset['id']}").status_code == 204
                else:
                    changed = client.patch(f"/api/v1/assets/{asset['id']}", json={"visibility": "signed"})
                    assert changed.status_code == 200
                for connection in (one, other):
                    assert get(connection, original)[0].status in (
                        {404} if change == "deleted" else {401, 403}
                    )


def test_a_deleted_film_frees_its_disk_though_a_sender_had_it_open(
    server: Server, workers: Workers, sender: int, films: Films
) -> None:
    with server.client() as client:
        asset = await_state(client, upload(client, films.film(FILM))["id"], "playable", "ready")
        with workers.connected(sender) as connection:
            assert get(connection, f"/media/{asset['id']}/original.mp4")[0].status == 200
        assert client.delete(f"/api/v1/assets/{asset['id']}").status_code == 204
    for pid in (sender, workers.main):
        wait_until(lambda pid=pid: not deleted_files(pid), AGAIN_SECONDS, "nobody has it open")  # type: ignore[misc] # mypy reads no default of a lambda


def deleted_files(pid: int) -> list[str]:
    """Blobs that it has open and that have no name any more."""
    found = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(str(link.readlink()))
        except FileNotFoundError:
            continue
    return [name for name in found if "/blobs/" in name and name.endswith("(deleted)")]


def test_a_client_that_has_gone_leaves_nothing_behind(
    server: Server, workers: Workers, sender: int, large: tuple[str, str]
) -> None:
    def held() -> tuple[int, ...]:
        return tuple(
            len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in (server.pid, workers.main, sender)
        )

    with workers.connected(sender) as connection:
        answer_of_whole = get(connection, large[0])
        assert hashlib.sha256(answer_of_whole[1]).hexdigest() == large[1]
    time.sleep(0.5)
    before = held()
    for number in range(200):
        connection = RawConnection(server.port)
        if number % 4 == 0:
            connection.request("GET", large[0])
        elif number % 4 == 1:
            connection.request("GET", "/api/v1/events", KEY)
        elif number % 4 == 2:
            connection.send(b"GET /med")
        else:
            connection.request("GET", large[0])
            connection.request("GET", "/api/v1/assets", KEY)
        if number % 3:
            connection.reset()
        else:
            connection.__exit__(None, None, None)
    wait_until(
        lambda: all(now <= then for now, then in zip(held(), before, strict=True)),
        AGAIN_SECONDS,
        "the processes hold no more descriptors than before",
    )


# Killed


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Server]:
    """A service in three processes that may be killed."""
    with running_server(tmp_path, workers=3, transcode_workers=0) as running:
        yield running


def test_a_killed_sender_is_replaced_and_nobody_else_notices(mortal: Server, films: Films) -> None:
    workers = Workers(mortal)
    with mortal.client() as client:
        asset = await_state(client, upload(client, films.film(FILM))["id"], "playable", "ready")
        original = f"/media/{asset['id']}/original.mp4"
        first, second = workers.senders
        with workers.connected(second) as kept, workers.connected(first) as lost:
            assert get(kept, original)[0].status == get(lost, original)[0].status == 200
            workers.kill(first)
            assert lost.closed_by_peer
            assert get(kept, original)[0].status == 200
        wait_until(lambda: len(workers.senders) == 2, AGAIN_SECONDS, "there are two again")
        (new,) = set(workers.senders) - {second}
        # To open the catalog takes its lock, which a main process may have that is stopped now.
        catalog = f"/proc/{new}/maps"
        wait_until(lambda: "/generations" in Path(catalog).read_text(), AGAIN_SECONDS, "it has the catalog")
        with workers.connected(new) as connection:
            assert get(connection, original)[0].status == 200
            assert workers.holder(connection) == new
            assert get(connection, "/api/v1/assets", KEY)[0].status == 200
            assert workers.holder(connection) == workers.main
        assert "a new one starts" in mortal.log_text()


def test_while_there_is_no_main_process_films_play_and_the_rest_is_told_to_come_back(
    mortal: Server, films: Films
) -> None:
    workers = Workers(mortal)
    with mortal.client() as client:
        content = padded(films.film(FILM).read_bytes(), 1 << 20)
        asset = await_state(client, upload(client, content)["id"], "playable", "ready")
        unfinished = begin_tus(client, len(content))
        client.patch(
            unfinished,
            content=content[:400_000],
            headers={
                "Tus-Resumable": "1.0.0",
                "Upload-Offset": "0",
                "Content-Type": "application/offset+octet-stream",
            },
        ).raise_for_status()
    original = f"/media/{asset['id']}/original.mp4"
    first, second = workers.senders
    with (
        workers.connected(first) as viewer,
        workers.connected(second) as caller,
        workers.connected(second) as other,
    ):
        assert get(viewer, original)[0].status == 200
        assert get(other, original)[0].status == 200
        workers.kill(workers.main)
        wait_until(lambda: "the main process ended" in mortal.log_text(), AGAIN_SECONDS, "it is noticed")
        assert get(viewer, original)[0].status == 200
        caller.request("GET", "/api/v1/assets", KEY)
        head, body = answer(caller)
        assert (head.status, json.loads(body)["code"]) == (503, "unavailable")
        assert (head.headers["retry-after"], head.headers["connection"]) == ("5", "close")
        assert head.headers["content-type"] == "application/problem+json"
        assert caller.closed_by_peer
        assert get(viewer, original, {"Range": "bytes=5-8"})[0].status == 206

        wait_until(lambda: answers(mortal), AGAIN_SECONDS, "there is a main process again")
        assert get(other, "/api/v1/assets", KEY)[0].status == 200  # the sender knows the new one
    with mortal.client() as client:
        assert client.get(original).content[-1000:] == content[-1000:]
        assert tus_offset(client, unfinished) == 400_000
        assert_problem(client.get("/api/v1/assets/nobody"), 404, "not_found")


def test_what_a_main_process_has_not_taken_when_it_is_killed_the_next_one_answers(mortal: Server) -> None:
    workers = Workers(mortal)
    first, main = workers.senders[0], workers.main
    with workers.connected(first) as connection:
        os.kill(main, signal.SIGSTOP)
        connection.request("GET", "/api/v1/assets", KEY)
        wait_until(lambda: workers.holder(connection) is None, AGAIN_SECONDS, "it is on its way")
        workers.kill(main)
        assert answer(connection)[0].status == 200
        assert workers.holder(connection) == workers.main != main


def test_nothing_wrong_or_lost_while_processes_are_killed_at_random(mortal: Server, films: Films) -> None:
    workers, chance = Workers(mortal), random.Random(8)
    content = padded(films.film(FILM).read_bytes(), 3 << 20)
    with mortal.client() as client:
        asset = await_state(client, upload(client, content)["id"], "playable", "ready")
        whole = client.get(f"/media/{asset['id']}/original.mp4").content
    over = threading.Event()

    def watch(seed: int) -> int:
        """Ranges and lists, again where a connection breaks; how many answers there were, each of which is right."""
        place, count = random.Random(seed), 0
        while not over.is_set():
            with suppress(httpx.TransportError), mortal.client() as viewer:
                for _ in range(place.randrange(1, 30)):
                    first = place.randrange(len(whole))
                    part = {"Range": f"bytes={first}-{first + place.randrange(1 << place.randrange(8, 21))}"}
                    got = viewer.get(f"/media/{asset['id']}/original.mp4", headers=part)
                    assert got.status_code == 206
                    assert got.content == whole[first : first + len(got.content)]
                    assert int(got.headers["content-length"]) == len(got.content)
                    if place.random() < 0.2:
                        assert viewer.get("/api/v1/assets").status_code in {200, 503}
                    count += 1
        return count

    def put() -> list[str]:
        """Uploads, one after the other: those that were acknowledged."""
        made: list[str] = []
        while not over.is_set() and len(made) < 8:
            with suppress(httpx.TransportError), mortal.client() as client:
                answer = client.put(
                    "/api/v1/assets", params={"filename": f"{len(made)}.mp4"}, content=content
                )
                assert answer.status_code in {201, 503}, answer.text
                if answer.status_code == 201:
                    made.append(answer.json()["id"])
        return made

    with ThreadPoolExecutor(4) as pool:
        viewers = [pool.submit(watch, seed) for seed in range(3)]
        uploads = pool.submit(put)
        try:
            for _ in range(6):
                time.sleep(chance.uniform(0.2, 1.5))
                with suppress(ValueError):  # the one that was killed last is not there again
                    os.kill(chance.choice([workers.main, *workers.senders]), signal.SIGKILL)
            wait_until(lambda: len(workers.senders) == 2, AGAIN_SECONDS, "all are there again")
            wait_until(lambda: answers(mortal), AGAIN_SECONDS, "the main process as well")
            time.sleep(1.0)
        finally:
            over.set()
        assert all(viewer.result() > 0 for viewer in viewers)
        made = uploads.result()
    with mortal.client() as client:
        for asset_id in made:
            await_state(client, asset_id, "playable", "ready")
            assert client.get(f"/media/{asset_id}/original.mp4").content == whole


def answers(server: Server) -> bool:
    """Whether the API does."""
    with server.client() as client:
        try:
            return client.get("/api/v1/assets").status_code == 200
        except httpx.TransportError:
            return False


def test_a_killed_supervisor_takes_all_with_it_and_the_next_one_starts_at_once(
    tmp_path: Path, films: Films
) -> None:
    with running_server(tmp_path, workers=3) as server:
        with server.client() as client:
            asset = upload(client, films.film(UNMADE), "film.mkv")
            wait_until(lambda: bool(ffmpegs(server.pid)), AGAIN_SECONDS, "something is being made")
        family = descendants(server.pid)
        assert len(family) >= 4
        server.kill()
        wait_until(lambda: not any(map(still_running, family)), AGAIN_SECONDS, "none of them is left")
    with running_server(tmp_path, workers=2) as server, server.client() as client:
        assert client.get(f"/api/v1/assets/{asset['id']}").status_code == 200


def test_sigterm_lets_answers_end_and_ends_all(tmp_path: Path, films: Films) -> None:
    with running_server(tmp_path, workers=3, transcode_workers=0) as server:
        workers = Workers(server)
        content = padded(films.film(FILM).read_bytes(), LARGE_BYTES)
        with server.client() as client:
            asset = await_state(client, upload(client, content)["id"], "playable", "ready")
        first, second = workers.senders
        address = f"/media/{asset['id']}/original.mp4"
        with (
            workers.connected(first) as one,
            workers.connected(workers.main) as other,
            workers.connected(second) as idle,
            EventStream(server, "/api/v1/events") as events,
        ):
            for connection in (one, other):
                connection.request("GET", address)
            heads = [connection.head() for connection in (one, other)]
            os.kill(server.pid, signal.SIGTERM)
            assert idle.closed_by_peer
            assert events.until(lambda event: event.name == "bye")
            for connection, head in zip((one, other), heads, strict=True):
                assert len(connection.body(int(head.headers["content-length"]))) == len(content)
        server.stop()  # in good order, and nobody is left


def test_a_start_that_fails_ends_all(tmp_path: Path) -> None:
    data = tmp_path / "media"
    data.mkdir()
    (data / "catalog.sqlite3").write_text("no database" * 1000)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("MEDIA_SERVICE_")},
        "MEDIA_SERVICE_DATA_DIR": str(data),
        "MEDIA_SERVICE_PORT": "0",
        "MEDIA_SERVICE_ADMIN_TOKEN": TOKEN,
    }
    ended = subprocess.run(
        [sys.executable, "-m", "media_service", "serve", "--workers", "3"],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode != 0
    assert "listens on" not in ended.stdout
