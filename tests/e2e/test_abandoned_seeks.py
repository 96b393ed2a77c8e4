"""Viewers who seek and seek again: each leaves an answer behind, in every way there is, and nothing else."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest

from tests.support.assets import await_extras, await_state, upload
from tests.support.films import Film, Films
from tests.support.processes import wait_until
from tests.support.ranges_client import Known, unmistakable
from tests.support.raw_http import RawConnection
from tests.support.watched_service import LOOPS, WatchedServer, running_watched

MIB = 1 << 20
SIZE = 24 * MIB
SMALL_WINDOW = 16 << 10
SEEKS = 1500
TORTURE_SEEKS = 100_000
VIEWERS = 12
# After as many seeks again as there were to warm up. A connection that stayed would cost ten times as much.
GROWTH_BYTES = 4 * MIB
# Of 90,000 seeks: 120 bytes each, less than any object that could stay of one.
TORTURE_GROWTH_BYTES = 10 * MIB
PAUSED = 60


class Stage(NamedTuple):
    watched: WatchedServer
    known: Known

    @property
    def port(self) -> int:
        return self.watched.server.port


@pytest.fixture(scope="module", params=LOOPS)
def stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, films: Films
) -> Iterator[Stage]:
    content = unmistakable(films.film(Film(seconds=1, moov_at_end=False)).read_bytes(), SIZE, 7)
    with running_watched(tmp_path_factory.mktemp("seeks"), request.param, transcode_workers=0) as watched:
        with watched.server.client() as client:
            asset = await_state(client, upload(client, content)["id"], "playable", "ready")
            await_extras(client, asset["id"])
            answer = client.head(asset["playback"]["original"]["url"])
        known = Known(
            str(answer.request.url.path), content, answer.headers["etag"], answer.headers["content-type"]
        )
        yield Stage(watched, known)


def seek(stage: Stage, seed: int) -> None:
    """Ask for all that follows; take what a player takes until its user moves the pointer on; leave."""
    dice = random.Random(seed)
    known, start = stage.known, dice.randrange(SIZE - MIB)
    window = SMALL_WINDOW if dice.random() < 0.2 else None
    with RawConnection(stage.port, receive_buffer=window) as line:
        line.request("GET", known.address, {"Range": f"bytes={start}-"})
        if dice.random() < 0.2:  # he asks for more than he ever looks at
            line.request("GET", known.address, {"Range": "bytes=0-"})
        if dice.random() < 0.8:
            head = line.head()
            assert head.headers["content-range"] == f"bytes {start}-{SIZE - 1}/{SIZE}"
            body = line.body(dice.choice([0, 1, 1000, 65536, 300_000]))
            assert body == known.content[start : start + len(body)], f"wrong behind {start}"
        match dice.choice(["close", "close", "reset", "half"]):
            case "reset":
                line.reset()
            case "half":
                line.half_close()
                line.body(1)


def seeks(stage: Stage, numbers: range) -> None:
    with ThreadPoolExecutor(VIEWERS) as pool:
        for _ in pool.map(lambda seed: seek(stage, seed), numbers):
            pass


def leave_nothing_behind(stage: Stage, warming: int, number: int, growth: int) -> None:
    seeks(stage, range(warming))
    watched = stage.watched
    before, memory = watched.idle(), watched.server.rss_bytes()
    seeks(stage, range(warming, number))
    after = watched.settled(before)
    grown = watched.server.rss_bytes() - memory
    print(f"{after.loop}: {number - warming} seeks, {grown} bytes more, {before} -> {after}")
    assert after.is_within(before), f"{before} -> {after}"
    assert grown < growth
    assert "Traceback" not in watched.server.log_text()


def test_thousands_of_abandoned_seeks_leave_nothing_behind(stage: Stage) -> None:
    leave_nothing_behind(stage, SEEKS // 2, SEEKS, GROWTH_BYTES)


@pytest.mark.torture
def test_a_hundred_thousand_abandoned_seeks_leave_nothing_behind(stage: Stage) -> None:
    leave_nothing_behind(stage, TORTURE_SEEKS // 10, TORTURE_SEEKS, TORTURE_GROWTH_BYTES)


@pytest.mark.parametrize("way", ["close", "reset"])
def test_a_paused_viewer_who_goes_is_forgotten_at_once(stage: Stage, way: str) -> None:
    """His window is full, so that the service writes nothing that could fail: it must hear of it."""
    watched = stage.watched
    before, sockets = watched.idle(), watched.server.open_sockets()
    lines = [RawConnection(stage.port, receive_buffer=SMALL_WINDOW) for _ in range(PAUSED)]
    for line in lines:
        line.request("GET", stage.known.address, {"Range": "bytes=5-"})
        line.head()
    wait_until(lambda: watched.inside().connections == PAUSED, 5, "all of them wait")
    for line in lines:
        if way == "reset":
            line.reset()
        else:
            with line:
                pass
    wait_until(lambda: watched.server.open_sockets() <= sockets, 3, "their descriptors are closed")
    assert (after := watched.settled(before)).is_within(before), f"{before} -> {after}"


def test_a_pipeline_without_end_waits_in_the_kernel(stage: Stage) -> None:
    """Who asks on and on and takes nothing is not read any further: his requests are not the service's to keep."""
    request = f"GET {stage.known.address} HTTP/1.1\r\nHost: h\r\nX: {'x' * 900}\r\n\r\n".encode()
    memory = stage.watched.server.rss_bytes()
    with RawConnection(stage.port, receive_buffer=SMALL_WINDOW, timeout=1) as line:
        with pytest.raises(TimeoutError):
            line.send(request * 40_000)
        assert stage.watched.server.rss_bytes() - memory < 16 * MIB
