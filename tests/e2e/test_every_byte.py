"""Each byte of each answer, whatever the connections are used like: on both event loops, and through nginx."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.films import Films
from tests.support.nginx import running_nginx
from tests.support.ranges_client import Known, Question, Seen, Viewer, crowd, range_of, timed, unmistakable
from tests.support.raw_http import Head, RawConnection
from tests.support.repeats_told import ANSWERED, HELD, told
from tests.support.server import TOKEN, Server, running_server
from tests.support.shelf import BIG, Shelf, filled, kept_cold, plain, put, whole
from tests.support.uploads import answer_of
from tests.support.watched_service import LOOPS, WatchedServer, running_watched

MIB = 1 << 20
RANGES = 1200
RANGES_THROUGH_NGINX = 500
RANGES_FROM_DISK = 400
RANGES_IN_AN_ARRANGEMENT = 300
TORTURE_RANGES = 100_000
SLOW_READERS = 200
SMALL_WINDOW = 16 << 10
WAYS = {
    "keeps_alive",
    "pipelines",
    "plays",
    "trickles",
    "lingers",
    "leaves",
    "leaves_a_pipeline",
    "turns_away",
}
TWO_PROCESSES: dict[str, Any] = {"workers": 2, "module": ["tests.support.repeats_told", "serve"]}
REPEATS = 20  # at most that many ranges for each that the application does not hear of; it is about seven


class Stage(NamedTuple):
    """A running service with these films."""

    watched: WatchedServer
    bodies: list[Known]
    assets: list[str]

    @property
    def port(self) -> int:
        return self.watched.server.port

    @property
    def big(self) -> Known:
        return self.bodies[0]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory, films: Films) -> Shelf:
    return filled(tmp_path_factory.mktemp("shelf"), films)


@pytest.fixture(scope="module", params=LOOPS)
def stage(request: pytest.FixtureRequest, shelf: Shelf) -> Iterator[Stage]:
    with running_watched(shelf.directory, request.param, transcode_workers=0) as watched:
        yield Stage(watched, shelf.bodies, shelf.assets)


def nothing_is_wrong(stage: Stage, ranges: int) -> Seen:
    """A crowd sees that many ranges; it leaves nothing behind in the service."""
    crowd(stage.port, stage.bodies, 10 * len(stage.bodies), seed=1)  # what it keeps for later, it has now
    before = stage.watched.idle()
    seen, seconds = timed(lambda: crowd(stage.port, stage.bodies, ranges, seed=ranges))
    after = stage.watched.settled(before)
    print(
        f"{after.loop}: {seen.ranges} ranges, {seen.bytes / 1e9:.2f} GB in {seconds:.1f} s: {dict(seen.ways)}; "
        f"{after.repeats - before.repeats} without the application, {after.held - before.held} of them in several steps"
    )
    assert after.repeats - before.repeats >= ranges // REPEATS
    assert after.held > before.held
    assert after.is_within(before), f"{before} -> {after}"
    assert "Traceback" not in stage.watched.server.log_text()
    return seen


def test_every_byte_of_random_ranges_is_right(stage: Stage) -> None:
    assert nothing_is_wrong(stage, RANGES).ways.keys() == WAYS


def test_every_byte_is_right_that_comes_from_the_disk(stage: Stage, shelf: Shelf) -> None:
    with kept_cold(shelf):
        nothing_is_wrong(stage, RANGES_FROM_DISK)


@pytest.mark.torture
def test_every_byte_of_a_hundred_thousand_ranges_is_right(stage: Stage) -> None:
    nothing_is_wrong(stage, TORTURE_RANGES)


def test_every_byte_is_right_through_nginx(stage: Stage, tmp_path: Path) -> None:
    with running_nginx(tmp_path, stage.port) as nginx:
        seen = crowd(nginx.port, stage.bodies, RANGES_THROUGH_NGINX, seed=5, viewers=8)
    assert seen.ranges >= RANGES_THROUGH_NGINX


@pytest.mark.parametrize("arrangement", ["two processes", "a Unix socket", "nginx reads the files"])
def test_every_byte_is_right_in_any_arrangement(shelf: Shelf, tmp_path: Path, arrangement: str) -> None:
    data_dir = tmp_path / "media"
    shutil.copytree(shelf.directory / "media", data_dir)  # two services never share a directory
    settings: dict[str, dict[str, Any]] = {
        "two processes": TWO_PROCESSES,
        "a Unix socket": {"unix_socket": tmp_path / "socket"},
        "nginx reads the files": {"accel_prefix": "/_blobs/"},
    }
    with ExitStack() as stack:
        server = stack.enter_context(running_server(tmp_path, transcode_workers=0, **settings[arrangement]))
        moves = arrangement == "two processes"  # with what the main process answers, a connection ends
        if moves:
            port = server.port
        else:
            blobs = data_dir / "blobs" if arrangement == "nginx reads the files" else None
            upstream = tmp_path / "socket" if blobs is None else server.port
            port = stack.enter_context(running_nginx(tmp_path / "nginx", upstream, blobs=blobs)).port
        seen = crowd(port, shelf.bodies, RANGES_IN_AN_ARRANGEMENT, seed=6, viewers=8, may_end=moves)
        assert "Traceback" not in server.log_text()
    print(f"{arrangement}: {seen}")
    assert seen.ranges >= RANGES_IN_AN_ARRANGEMENT
    if moves:
        assert told(server.log.read_text())[ANSWERED] >= 1


@pytest.mark.torture
def test_every_byte_of_a_hundred_thousand_ranges_from_two_processes_is_right(
    shelf: Shelf, tmp_path: Path
) -> None:
    shutil.copytree(shelf.directory / "media", tmp_path / "media")
    with running_server(tmp_path, transcode_workers=0, **TWO_PROCESSES) as server:
        seen = crowd(server.port, shelf.bodies, TORTURE_RANGES, seed=7, may_end=True)
        assert "Traceback" not in server.log.read_text()
    counted = told(server.log.read_text())
    print(f"{seen}: {dict(counted)}")
    assert seen.ranges >= TORTURE_RANGES
    assert counted[ANSWERED] >= TORTURE_RANGES // 100  # told at powers of ten
    assert counted[HELD] >= 1


def authorized(target: str, status: int = 200, method: str = "GET", **headers: str) -> Question:
    return Question(method, target, status, {"Authorization": f"Bearer {TOKEN}", **headers})


def test_answers_come_in_the_order_of_the_questions_whatever_they_are(stage: Stage) -> None:
    dice = random.Random(3)
    questions = []
    for _ in range(12):
        known, asset_id = dice.choice(stage.bodies), dice.choice(stage.assets)
        kinds = [
            range_of(known, dice),
            range_of(stage.big, dice),
            authorized(f"/api/v1/assets/{asset_id}"),
            Question("HEAD", known.address, 200, {}, known),
            Question("GET", known.address, 304, {"If-None-Match": known.etag}),
            Question("GET", known.address, 416, {"Range": "bytes=99999999999-"}),
            Question("GET", f"/media/{asset_id}/hls/none/index.m3u8", 404),
            authorized("/api/v1/assets?limit=2"),
            Question("HEAD", "/livez", 200),
            Question("OPTIONS", known.address, 204, {"Origin": "https://player.example"}),
            Question("GET", "/admin", 200),
        ]
        dice.shuffle(kinds)
        questions += kinds
    with RawConnection(stage.port) as line:
        line.send(b"".join(question.request for question in questions))
        for question in questions:
            head = line.head()
            body = line.body(question.size(head))
            question.check(head, body)
            if question.target.startswith("/api/v1/assets/"):
                assert json.loads(body)["id"] in question.target
        assert line.pending == b""


def test_hundreds_of_questions_at_once_are_all_answered(stage: Stage) -> None:
    dice = random.Random(4)
    questions = [range_of(dice.choice(stage.bodies), dice, 1 << 14) for _ in range(400)]
    with RawConnection(stage.port, receive_buffer=SMALL_WINDOW) as line:
        line.send(b"".join(question.request for question in questions))
        for question in questions:
            head = line.head()
            question.check(head, line.body(question.size(head)))


def asked(line: RawConnection, question: Question, version: str = "1.1", body: bytes = b"") -> None:
    line.send(question.request.replace(b" HTTP/1.1\r\n", f" HTTP/{version}\r\n".encode(), 1) + body)


def part(known: Known, start: int, stop: int, **headers: str) -> Question:
    """A question for these bytes; a header's name has `_` where it has `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    ranged = {"Range": f"bytes={start}-{stop - 1}", **named}
    return Question("GET", known.address, 206, ranged, known, ((start, stop),))


@pytest.mark.parametrize(
    ("version", "connection"),
    [("1.0", None), ("1.0", "close"), ("1.1", "close"), ("1.1", "Keep-Alive, close")],
)
def test_the_last_answer_of_a_connection_is_whole_and_nothing_follows_it(
    stage: Stage, version: str, connection: str | None
) -> None:
    question = part(stage.big, 1000, 3_000_000, **({"Connection": connection} if connection else {}))
    with RawConnection(stage.port, receive_buffer=SMALL_WINDOW) as line:
        asked(line, question, version)
        asked(line, part(stage.big, 5, 9))  # behind a "close" there is nothing (RFC 9112 s9.6)
        head = line.head()
        question.check(head, line.body(question.size(head)))
        assert line.rest() == b""
        assert head.headers["connection"] == "close"


def test_requests_with_bodies_that_nobody_wants_hold_up_nothing(stage: Stage) -> None:
    chunks = b"5\r\nhello\r\n6;why=not\r\n world\r\n0\r\nTrailer: x\r\n\r\n"
    with RawConnection(stage.port) as line:
        for _ in range(3):
            asked(line, part(stage.big, 10, 500_000, Transfer_Encoding="chunked"), body=chunks)
            asked(line, part(stage.big, 20, 600_000, Content_Length="100000"), body=b"G" * 100_000)
            asked(line, part(stage.big, 30, 700_000))
        for _ in range(3):
            for start, stop in ((10, 500_000), (20, 600_000), (30, 700_000)):
                question = part(stage.big, start, stop)
                head = line.head()
                question.check(head, line.body(question.size(head)))


def test_a_body_that_never_comes_costs_its_own_connection_only(stage: Stage) -> None:
    with RawConnection(stage.port) as line:
        question = part(stage.big, 10, 2_000_000, Content_Length="5", Expect="100-continue")
        asked(line, question)
        head = line.head()  # nobody asks for the body, so nobody says 100 (RFC 9110 s10.1.1)
        question.check(head, line.body(question.size(head)))
        line.send(b"hello")
        following = part(stage.big, 3, 2_000_003)
        asked(line, following)
        head = line.head()
        following.check(head, line.body(following.size(head)))


def test_a_reader_of_single_bytes_gets_them_all(stage: Stage) -> None:
    question = part(stage.big, 7, 7 + 40_000)
    with RawConnection(stage.port, receive_buffer=SMALL_WINDOW, piece=1) as line:
        asked(line, question)
        asked(line, part(stage.big, 0, 2))
        head = line.head()
        question.check(head, line.body(question.size(head)))
        assert line.head().status == 206
        assert line.body(2) == stage.big.content[:2]


def test_many_who_read_slowly_hold_nobody_up(stage: Stage) -> None:
    question = part(stage.big, 0, MIB)
    with ExitStack() as opened:
        lines = [
            opened.enter_context(RawConnection(stage.port, receive_buffer=SMALL_WINDOW))
            for _ in range(SLOW_READERS)
        ]
        for line in lines:
            asked(line, question)
        heads = [line.head() for line in lines]
        quick, seconds = timed(lambda: Viewer(stage.port, stage.bodies, 6).watch(100))
        assert quick.ranges >= 100
        assert seconds < 10

        def finish(line: RawConnection, head: Head) -> None:
            question.check(head, line.body(question.size(head)))

        # All at once: a small window that was shut is opened by the kernel's next probe, seconds later.
        with ThreadPoolExecutor(SLOW_READERS) as pool:
            list(pool.map(finish, lines, heads))


def test_who_comes_in_the_place_of_one_who_left_gets_his_own_bytes(stage: Stage) -> None:
    """The kernel gives a descriptor's number again at once: nothing may still write to it for the one before."""
    one, other = stage.bodies[:2]
    for number in range(8):
        waiting = [RawConnection(stage.port, receive_buffer=SMALL_WINDOW) for _ in range(25)]
        for line in waiting:
            asked(line, part(one, 0, BIG))
            asked(line, part(one, 5, BIG))
            line.head()
        for line in waiting:
            line.reset()
        with ThreadPoolExecutor(8) as pool:
            seeds = range(number * 25, number * 25 + 25)
            list(pool.map(lambda seed: one_answer(stage.port, other, seed), seeds))


def one_answer(port: int, known: Known, seed: int) -> None:
    question = range_of(known, random.Random(seed), 1 << 18)
    with RawConnection(port) as line:
        asked(line, question)
        head = line.head()
        question.check(head, line.body(question.size(head)))


def blob(server: Server, asset: dict[str, Any]) -> Path:
    return server.data_dir / "blobs" / str(asset["id"]) / "original"


@pytest.fixture
def passing(stage: Stage, films: Films) -> Iterator[tuple[dict[str, Any], Known]]:
    """A film for one test, that does not outlive it."""
    with stage.watched.server.client() as client:
        asset = put(client, unmistakable(plain(films), 8 * MIB, 9))
        yield asset, whole(client, str(asset["playback"]["original"]["url"]))
        client.delete(f"/api/v1/assets/{asset['id']}")


def test_behind_a_body_that_breaks_off_comes_nothing_more(
    stage: Stage, passing: tuple[dict[str, Any], Known]
) -> None:
    asset, known = passing
    with blob(stage.watched.server, asset).open("r+b") as stored:
        stored.truncate(5 * MIB + 11)
    whole_one, cut_one = part(known, MIB, 4 * MIB), part(known, 3 * MIB, 7 * MIB)
    with RawConnection(stage.port) as line:
        for question in (whole_one, whole_one, cut_one, whole_one):
            asked(line, question)
        for _ in range(2):
            head = line.head()
            whole_one.check(head, line.body(whole_one.size(head)))
        cut_one.check_head(line.head())
        rest = line.rest()
    assert len(rest) <= 2 * MIB + 11
    assert rest == known.content[3 * MIB : 3 * MIB + len(rest)]


def test_what_is_no_request_is_refused_behind_the_answers_before_it(stage: Stage) -> None:
    questions = [part(stage.big, 0, MIB), part(stage.big, 5, 3 * MIB), part(stage.big, 9, 19)]
    with RawConnection(stage.port, receive_buffer=SMALL_WINDOW) as line:
        line.send(b"".join(question.request for question in questions) + b"\x00\x01 nonsense\r\n\r\n")
        for question in questions:
            head = line.head()
            question.check(head, line.body(question.size(head)))
        assert line.head().status == 400
        assert b"HTTP/1.1" not in line.rest()


def test_what_is_deleted_while_it_is_sent_is_sent_whole_and_then_gone(
    stage: Stage, passing: tuple[dict[str, Any], Known]
) -> None:
    asset, known = passing
    question = part(known, 0, known.size)
    with RawConnection(stage.port, receive_buffer=SMALL_WINDOW) as line:
        asked(line, question)
        asked(line, question)
        head = line.head()
        with stage.watched.server.client() as client:
            assert client.delete(f"/api/v1/assets/{asset['id']}").status_code == 204
        question.check(head, line.body(question.size(head)))
        gone: tuple[Head, bytes] = answer_of(line)
    assert gone[0].status == 404
    assert json.loads(gone[1])["code"] == "not_found"
