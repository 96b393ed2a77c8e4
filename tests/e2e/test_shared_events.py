"""Events that another process logs, here this one: heard by all, none lost and none twice, however often lines break."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from media_service.store.catalog import open_catalog
from media_service.store.engine import sqlite_url
from media_service.store.event_log import News
from media_service.work.events import BACKLOG
from tests.support.event_stream import EventStream, SentEvent
from tests.support.server import Server, running_server

ALL = "/api/v1/events"


def log(server: Server, news: Iterable[News]) -> None:
    """Log them, as the command line does beside a running service."""

    async def append() -> None:
        async with open_catalog(sqlite_url(server.data_dir / "catalog.sqlite3")) as catalog:
            await catalog.append_events(list(news))

    asyncio.run(append())


def notes(first: int, stop: int, filler: str = "") -> list[News]:
    return [News("note", "film", b'{"note":%d%b}' % (n, filler.encode())) for n in range(first, stop)]


def numbers(heard: list[SentEvent]) -> list[int]:
    return [event.data["note"] for event in heard if event.name == "note"]


def test_who_breaks_off_at_random_and_comes_back_hears_each_event_once_over_restarts_and_a_power_cut(
    tmp_path: Path,
) -> None:
    chance = random.Random(11)
    heard: list[SentEvent] = []
    place, logged = "0", 0
    for life in range(2):
        with running_server(tmp_path, transcode_workers=0) as server:
            for _ in range(3):
                log(server, notes(logged, logged + 10))
                logged += 10
                with EventStream(server, ALL, headers={"Last-Event-ID": place}) as stream:
                    for _ in range(min(chance.randrange(12), logged - len(heard))):
                        event = stream.next()
                        assert event is not None
                        heard.append(event)
                    place = stream.place
            if life == 1:
                server.kill()
    with (
        running_server(tmp_path, transcode_workers=0) as server,
        EventStream(server, ALL, headers={"Last-Event-ID": place}) as stream,
    ):
        log(server, [News("end", "film")])
        heard += stream.until(lambda event: event.name == "end")
    assert numbers(heard) == list(range(logged))
    ids = [int(event.id or 0) for event in heard]
    assert ids == sorted(set(ids))
    # What the one that was killed did not come to tell, nobody knows.
    assert [event.name for event in heard if event.name != "note"] == ["reset", "end"]


@pytest.fixture
def quiet_server(tmp_path: Path) -> Iterator[Server]:
    with running_server(tmp_path, transcode_workers=0, shutdown_seconds=2) as server:
        yield server


def test_one_who_does_not_read_is_told_to_come_back_and_delays_nobody(quiet_server: Server) -> None:
    server, filler = quiet_server, ',"filler":"' + "x" * 4000 + '"'
    count = 3 * BACKLOG  # more than backlog and socket buffers hold together
    with (
        EventStream(server, ALL, receive_buffer=4096) as slow,
        EventStream(server, ALL, receive_buffer=4096) as stuck,
        EventStream(server, ALL) as quick,
    ):
        heard: list[SentEvent] = []
        for first in range(0, count, 500):
            log(server, notes(first, first + 500, filler))
            heard += quick.until(lambda event, last=first + 499: event.data["note"] == last)  # type: ignore[misc]
        assert numbers(heard) == list(range(count))
        late = list(iter(slow.next, None))
        assert late[-1].name == "reconnect"
        assert 0 < len(late) < count
        assert len(stuck.begun or {}) == 2
        with EventStream(server, ALL, headers={"Last-Event-ID": slow.place}) as again:
            late += again.until(lambda event: event.data["note"] == count - 1)
        assert numbers(late) == list(range(count))
        assert server.rss_bytes() < 400 << 20
        server.stop()  # also while somebody reads nothing
