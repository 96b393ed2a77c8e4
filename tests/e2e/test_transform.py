"""POST /api/v1/transform on a real service, bare and behind nginx: what comes out, what is refused, and what is left: nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.assets import assert_problem
from tests.support.films import Film, Films
from tests.support.media import ffmpeg, probe
from tests.support.nginx import running_nginx
from tests.support.processes import ffmpegs, wait_until
from tests.support.raw_http import Head, RawConnection
from tests.support.server import Server, running_server
from tests.support.uploads import blob_trees, key

TRANSFORM = "/api/v1/transform"
MIB = 1 << 20
LIMIT = 8 * MIB
IDLE_SECONDS = 3
AT_ONCE, PER_KEY = 3, 2
# 50 KB in each frame: more than pipe and sockets hold comes out within a few seconds of film.
MUCH = {"format": "gif", "fps": "25"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service with room for few transforms of small files, and no transcoder in the way."""
    with running_server(
        tmp_path_factory.mktemp("service"),
        transform_workers=AT_ONCE,
        transform_per_key=PER_KEY,
        transform_max_bytes=LIMIT,
        upload_memory_bytes=2 * LIMIT,
        upload_idle_seconds=IDLE_SECONDS,
        transcode_workers=0,
    ) as running:
        yield running


@pytest.fixture(scope="module", params=["bare", "nginx"])
def port(
    request: pytest.FixtureRequest, service: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[int]:
    """Where clients connect: to the service itself, and to nginx in front of it."""
    if request.param == "bare":
        yield service.port
        return
    with running_nginx(tmp_path_factory.mktemp("nginx"), service.port) as proxy:
        yield proxy.port


@pytest.fixture
def client(service: Server, port: int) -> Iterator[httpx.Client]:
    with service.client(url=f"http://127.0.0.1:{port}", timeout=60) as opened:
        yield opened


@pytest.fixture(autouse=True)
def leaves_nothing(service: Server) -> Iterator[None]:
    """After each test: no ffmpeg, no memory, no file; whatever has gone wrong in it."""
    before = blob_trees(service)
    yield
    wait_until(lambda: not ffmpegs(service.pid), 10, "no ffmpeg is left")
    wait_until(lambda: service.memfd_bytes() == 0, 10, "the memory is given back")
    assert blob_trees(service) == before


@pytest.fixture(scope="module")
def film(films: Films) -> bytes:
    return films.film(Film(seconds=4)).read_bytes()


@pytest.fixture(scope="module")
def long_film(films: Films) -> bytes:
    return films.film(Film(seconds=40, size=(640, 360), audio=False, quality=35)).read_bytes()


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("photo") / "photo.jpg"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=320x240", "-frames:v", "1", "-q:v", "2", path)
    return path.read_bytes()


def looked_at(content: bytes, directory: Path, *options: str) -> dict[str, Any]:
    path = directory / "result"
    path.write_bytes(content)
    return probe(path, "-show_streams", "-show_format", *options)


def refusal(connection: RawConnection) -> tuple[Head, bytes]:
    """The answer to a request whose body is not sent; nginx says by itself that it may be."""
    while (head := connection.head()).status == 100:
        pass
    return head, connection.body(int(head.headers["content-length"]))


def begun(service: Server, connection: RawConnection, content: bytes, query: str = "") -> None:
    """A transform whose body has been sent."""
    headers = key(service, Content_Length=str(len(content)))
    connection.request("POST", f"{TRANSFORM}{query}", headers)
    connection.send(content)


def worked(pid: int) -> int | None:
    """Ticks of processor time of its threads; None while one of them works, or would if it got a processor."""
    stats = [path.read_text().rpartition(")")[2].split() for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    if any(stat[0] == "R" for stat in stats):
        return None
    return sum(int(stat[11]) + int(stat[12]) for stat in stats)


def much(service: Server, connection: RawConnection, content: bytes) -> Head:
    """A transform with a large result, of which only the head is read."""
    begun(service, connection, content, "?" + "&".join(f"{name}={text}" for name, text in MUCH.items()))
    head = connection.head()
    assert head.status == 200
    return head


# --- what comes out ------------------------------------------------------------------------------------------------


def test_an_uploaded_picture_comes_back_blurred(client: httpx.Client, photo: bytes, tmp_path: Path) -> None:
    answer = client.post(TRANSFORM, files={"file": ("me.jpg", photo, "image/jpeg")}, data={"blur": "8"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["content-disposition"] == 'inline; filename="me.jpg"'
    assert answer.headers["cache-control"] == "no-store"
    assert int(answer.headers["content-length"]) == len(answer.content)
    [picture] = looked_at(answer.content, tmp_path)["streams"]
    assert (picture["width"], picture["height"]) == (320, 240)
    # What is blurred has no detail left that would take bytes.
    assert len(answer.content) < len(photo) / 2


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_a_bare_film_comes_back_smaller_and_shorter(
    client: httpx.Client, film: bytes, tmp_path: Path, chunked: bool
) -> None:
    asked = {"width": "160", "start": "1", "duration": "2"}
    content = iter([film[:1000], film[1000:]]) if chunked else film
    answer = client.post(TRANSFORM, params=asked, content=content)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "video/mp4"
    shown = looked_at(answer.content, tmp_path)
    assert [(one["codec_name"], one.get("width")) for one in shown["streams"]] == [
        ("h264", 160),
        ("aac", None),
    ]
    assert float(shown["format"]["duration"]) == pytest.approx(2, abs=0.1)


def test_operations_may_stand_in_the_query_of_a_form(client: httpx.Client, photo: bytes) -> None:
    files = {"file": ("a.jpg", photo)}
    answer = client.post(TRANSFORM, params={"format": "png"}, files=files, data={"width": "10"})
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-disposition"] == 'inline; filename="a.png"'
    twice = client.post(TRANSFORM, params={"width": "10"}, files=files, data={"width": "10"})
    assert_problem(twice, 400, "invalid_request")
    in_form = client.post(TRANSFORM, files=[("file", ("a.jpg", photo)), *[("width", (None, "10"))] * 2])
    assert_problem(in_form, 400, "invalid_request")


# --- what is refused -----------------------------------------------------------------------------------------------


def test_mistakes_are_told_in_words_before_the_first_byte(
    client: httpx.Client, film: bytes, photo: bytes
) -> None:
    def refused(content: bytes, **asked: str) -> tuple[int, str]:
        answer = client.post(TRANSFORM, params=asked, content=content)
        assert answer.headers["content-type"] == "application/problem+json"
        return answer.status_code, answer.json()["code"]

    assert refused(film, widht="3") == (400, "invalid_request")
    assert refused(film, width="three") == (400, "invalid_request")
    assert refused(photo, format="mp4") == (400, "invalid_request")
    assert refused(film, format="jpeg", width="16000") == (400, "invalid_request")
    assert refused(film, format="jpeg", start="99") == (422, "transform_failed")
    assert refused(film, start="99") == (422, "transform_failed")
    assert refused(photo[: len(photo) // 50]) == (422, "broken_media")
    assert refused(b"#EXTM3U\nfile:///etc/passwd\n") == (422, "not_media")
    assert refused(b"") == (422, "empty_upload")


def test_a_mistake_in_the_query_costs_no_upload(service: Server, port: int) -> None:
    with RawConnection(port) as connection:
        headers = key(service, Content_Length=str(LIMIT), Expect="100-continue")
        connection.request("POST", f"{TRANSFORM}?rotate=45", headers)
        head, body = refusal(connection)
        assert (head.status, b"rotate" in body) == (400, True)


def test_a_form_without_a_file_and_other_forms_are_refused(client: httpx.Client, photo: bytes) -> None:
    nothing = client.post(TRANSFORM, files={"blur": (None, "3")})
    assert_problem(nothing, 400, "malformed_form")
    mixed = client.post(TRANSFORM, content=photo, headers={"Content-Type": "multipart/mixed; boundary=x"})
    assert_problem(mixed, 415, "unsupported_body")


def test_a_file_that_is_too_large_is_refused(service: Server, client: httpx.Client, port: int) -> None:
    with RawConnection(port) as connection:
        connection.request(
            "POST", TRANSFORM, key(service, Content_Length=str(LIMIT + 1), Expect="100-continue")
        )
        head, body = refusal(connection)
        assert (head.status, b"upload_too_large" in body) == (413, True)
    answer = client.post(TRANSFORM, content=iter([bytes(MIB)] * 9))
    assert_problem(answer, 413, "upload_too_large")


def test_an_upload_that_stalls_is_ended(service: Server, port: int) -> None:
    with RawConnection(port) as connection:
        connection.request("POST", TRANSFORM, key(service, Content_Length="1000"))
        connection.send(bytes(10))
        head, _ = refusal(connection)
        assert head.status == 408


def test_a_key_needs_the_scope(service: Server, client: httpx.Client, photo: bytes) -> None:
    made = client.post(
        "/api/v1/keys", json={"name": f"reader {time.time()}", "scopes": ["read", "upload"]}
    ).json()
    answer = client.post(TRANSFORM, content=photo, headers={"Authorization": f"Bearer {made['key']}"})
    assert_problem(answer, 403, "forbidden")


def test_a_full_queue_answers_at_once(service: Server, port: int, long_film: bytes, photo: bytes) -> None:
    with service.client() as admin:
        made = [
            admin.post("/api/v1/keys", json={"name": f"{n} {time.time()}", "scopes": ["transform"]}).json()
            for n in range(2)
        ]
    others = [{"Authorization": f"Bearer {one['key']}"} for one in made]
    with (
        RawConnection(port) as first,
        RawConnection(port) as second,
        RawConnection(port) as third,
        RawConnection(port) as late,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
    ):
        much(service, first, long_film)
        much(service, second, long_film)
        # Of this key there are as many as there may be; the body is not even asked for.
        late.request("POST", TRANSFORM, key(service, Content_Length=str(LIMIT), Expect="100-continue"))
        head, body = refusal(late)
        assert (head.status, head.headers["retry-after"]) == (429, "2")
        assert b'"code":"too_many_transforms"' in body
        # Of another one there is room yet, for one.
        assert client.post(TRANSFORM, content=photo, headers=others[0]).status_code == 200
        third.request(
            "POST", f"{TRANSFORM}?format=gif&fps=25", {**others[0], "Content-Length": str(len(long_film))}
        )
        third.send(long_film)
        assert third.head().status == 200
        assert_problem(client.post(TRANSFORM, content=photo, headers=others[1]), 429, "too_many_transforms")
    # All have left: there is room again.
    wait_until(lambda: not ffmpegs(service.pid), 10, "they are gone")
    with service.client(url=f"http://127.0.0.1:{port}") as client:
        assert client.post(TRANSFORM, content=photo).status_code == 200


# --- while it is on its way ----------------------------------------------------------------------------------------


def test_a_client_who_leaves_takes_ffmpeg_along(service: Server, port: int, long_film: bytes) -> None:
    with RawConnection(port, receive_buffer=64 << 10) as connection:
        much(service, connection, long_film)
        assert len(ffmpegs(service.pid)) == 1
    wait_until(lambda: not ffmpegs(service.pid), 10, "ffmpeg is gone")
    wait_until(lambda: service.memfd_bytes() == 0, 10, "its file too")


def test_a_client_who_leaves_during_the_upload_leaves_nothing(service: Server, port: int) -> None:
    with RawConnection(port) as connection:
        connection.request("POST", TRANSFORM, key(service, Content_Length=str(LIMIT)))
        connection.send(bytes(LIMIT // 2))
        wait_until(lambda: service.memfd_bytes() > LIMIT // 4, 10, "it has arrived")


def test_an_error_after_the_first_byte_cuts_the_connection(
    service: Server, port: int, long_film: bytes
) -> None:
    with RawConnection(port, receive_buffer=64 << 10) as connection:
        assert much(service, connection, long_film).headers["transfer-encoding"] == "chunked"
        [running] = ffmpegs(service.pid)
        os.kill(running.pid, signal.SIGKILL)
        assert not connection.rest().endswith(b"0\r\n\r\n")
    wait_until(lambda: "a transform broke off" in service.log_text(), 10, "the log says it")
    assert "Traceback" not in service.log_text()


def test_a_slow_reader_slows_ffmpeg_and_nothing_gathers(service: Server, port: int, long_film: bytes) -> None:
    def stands_still() -> bool:
        before = worked(running.pid)
        time.sleep(0.3)
        return before is not None and worked(running.pid) == before

    with RawConnection(port, receive_buffer=64 << 10, timeout=120) as connection:
        much(service, connection, long_film)
        [running] = ffmpegs(service.pid)
        wait_until(stands_still, 120, "ffmpeg waits for the reader")
        held = service.rss_bytes(with_children=True)
        received = 0
        for _ in range(3):  # read on a little, and stop again
            received += len(connection.body(MIB))
            wait_until(stands_still, 120, "ffmpeg waits for the reader")
            grown = service.rss_bytes(with_children=True) - held
            assert grown < 4 * MIB, f"{grown} bytes more after {received}"
        print(
            f"{received / MIB:.0f} MiB read in stops: {held / MIB:.1f} MiB held, {grown / MIB:+.1f} MiB at the end"
        )
        assert received == 3 * MIB
        assert [one.pid for one in ffmpegs(service.pid)] == [running.pid]  # and it is far from its end


def test_many_at_once_all_come_out_whole(
    service: Server, client: httpx.Client, film: bytes, tmp_path: Path
) -> None:
    results: list[bytes] = []

    # Each by a connection of its own: where the file has not been read to its end, as with 429, nginx closes it, and who asks
    # again by the same one at that moment has no answer.
    own = {"Connection": "close"}

    def ask() -> None:
        answer = client.post(TRANSFORM, params={"width": "100"}, content=film, headers=own)
        while answer.status_code == 429:
            time.sleep(0.1)
            answer = client.post(TRANSFORM, params={"width": "100"}, content=film, headers=own)
        results.append(answer.raise_for_status().content)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 6
    for number, content in enumerate(results):
        path = tmp_path / f"{number}.mp4"
        path.write_bytes(content)
        argv = ["ffmpeg", "-v", "error", "-xerror", "-i", str(path), "-f", "null", "-"]
        assert subprocess.run(argv, check=True, capture_output=True).stderr == b""


def test_what_takes_too_long_is_ended(tmp_path: Path, long_film: bytes, film: bytes) -> None:
    with (
        running_server(tmp_path, transform_max_seconds=2, transcode_workers=0) as impatient,
        RawConnection(impatient.port, receive_buffer=64 << 10) as connection,
    ):
        # By the clock: its client does not read.
        much(impatient, connection, long_film)
        wait_until(lambda: not ffmpegs(impatient.pid), 10, "it is ended")
        assert not connection.rest().endswith(b"0\r\n\r\n")
        assert impatient.memfd_bytes() == 0


def test_a_file_that_comes_too_slowly_is_ended_and_its_place_is_free(tmp_path: Path, photo: bytes) -> None:
    """It is no stall yet: who sends a byte now and then would otherwise hold a place for as long as they like."""
    with (
        running_server(
            tmp_path, transform_max_seconds=2, transform_workers=1, transcode_workers=0
        ) as impatient,
        RawConnection(impatient.port) as slow,
        impatient.client(timeout=60) as client,
    ):
        slow.request("POST", TRANSFORM, key(impatient, Content_Length="1000"))
        slow.send(bytes(10))
        head, body = refusal(slow)
        assert (head.status, b"transform_too_long" in body) == (422, True)
        assert client.post(TRANSFORM, content=photo).status_code == 200
        assert impatient.memfd_bytes() == 0


def test_the_stopping_service_ends_transforms(tmp_path: Path, long_film: bytes) -> None:
    with (
        running_server(tmp_path, shutdown_seconds=1, transcode_workers=0) as server,
        RawConnection(server.port, receive_buffer=64 << 10) as connection,
    ):
        much(server, connection, long_film)
        server.stop()  # fails if it leaves ffmpeg behind
        assert not connection.rest().endswith(b"0\r\n\r\n")
        assert "Traceback" not in server.log_text()
