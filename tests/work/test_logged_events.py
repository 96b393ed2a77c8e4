"""Events by way of a catalog's log: over restarts, between processes, and while the database refuses."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from sqlalchemy import URL

from media_service.errors import CatalogUnavailable, StorageFull
from media_service.store import event_log
from media_service.store.catalog import Catalog, open_catalog
from media_service.store.engine import sqlite_url
from media_service.store.event_log import Event, News
from media_service.work import logged_events
from media_service.work.events import Events
from media_service.work.logged_events import LoggedEvents


@pytest.fixture
def url(tmp_path: Path) -> URL:
    return sqlite_url(tmp_path / "catalog.sqlite3")


@pytest.fixture
async def catalog(url: URL) -> AsyncIterator[Catalog]:
    async with open_catalog(url) as opened:
        yield opened


async def read(news: AsyncIterator[Event], count: int) -> list[Event]:
    async with asyncio.timeout(10):
        return [await anext(news) for _ in range(count)]


def data(events: list[Event]) -> list[bytes]:
    return [event.data for event in events]


async def test_what_is_published_is_heard_with_its_number_in_the_log(catalog: Catalog) -> None:
    async with LoggedEvents(catalog) as events, events.subscribe() as news:
        for number in range(3):
            events.publish("note", "a", b"%d" % number)
        heard = await read(news, 3)
        assert data(heard) == [b"0", b"1", b"2"]
        assert heard == [event for event in await catalog.events_after(0) if event.event == "note"]
        assert events.last == heard[-1].number


async def test_numbers_go_on_after_a_restart_and_who_comes_back_hears_what_he_missed(
    catalog: Catalog,
) -> None:
    async with LoggedEvents(catalog) as events, events.subscribe() as news:
        events.publish("note", "a", b"heard")
        [last] = await read(news, 1)
        events.publish("note", "a", b"missed")
        events.publish("asset", "a", b"the last word before the end")
    async with LoggedEvents(catalog) as events, events.subscribe(after=last.number) as news:
        events.publish("note", "a", b"after the restart")
        heard = await read(news, 3)
    assert data(heard) == [b"missed", b"the last word before the end", b"after the restart"]
    numbers = [event.number for event in heard]
    assert numbers == sorted(set(numbers))
    assert numbers[0] == last.number + 1


async def test_after_an_end_in_disorder_all_are_told_to_read_everything_anew(catalog: Catalog) -> None:
    await catalog.append_events([News("note", "a", b"then the power went")])
    async with LoggedEvents(catalog) as events, events.subscribe("a", after=0) as news:
        assert [event.event for event in await read(news, 2)] == ["note", "reset"]


async def test_also_when_what_was_to_be_told_after_an_end_in_good_order_was_never_logged(
    catalog: Catalog,
) -> None:
    async with LoggedEvents(catalog):
        pass
    events = LoggedEvents(catalog)
    await events.__aenter__()
    last = events.last
    events.publish("deleted", "a")
    assert events._task is not None
    events._task.cancel()  # the power goes
    await asyncio.wait([events._task])
    async with LoggedEvents(catalog) as events, events.subscribe("a", after=last) as news:
        assert [event.event for event in await read(news, 1)] == ["reset"]


async def test_a_service_on_a_full_disk_starts_and_logs_that_when_there_is_room(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object, **__: object) -> None:
        raise StorageFull("no room")

    await catalog.append_events([News("note", "a", b"then the power went")])
    with monkeypatch.context() as patch:
        patch.setattr(catalog, "append_events", full)
        events = await LoggedEvents(catalog).__aenter__()
    async with events.subscribe() as news:
        assert [event.event for event in await read(news, 1)] == ["reset"]
    await events.__aexit__(None, None, None)
    kept = await catalog.events_after(0)
    assert [event.event for event in kept] == ["note", "reset", "started", "stopped"]


async def test_states_of_one_asset_are_told_a_few_times_a_second_and_the_last_is_among_them(
    catalog: Catalog,
) -> None:
    async with LoggedEvents(catalog) as events, events.subscribe() as news:
        for number in range(60):
            events.publish("asset", "busy", b"%d" % number)
            if number == 30:
                events.publish("asset", "other", b"at once")
            await asyncio.sleep(0.01)
        heard: list[Event] = []
        while not heard or heard[-1].data != b"59":
            heard += await read(news, 1)
        assert data(heard).count(b"at once") == 1
        assert len(heard) <= 6
        events.publish("asset", "busy", b"before")
        events.publish("deleted", "busy")
        assert [event.event for event in await read(news, 2)] == ["asset", "deleted"]


async def test_all_who_share_a_catalog_hear_the_same_and_each_knows_what_is_not_its_own(url: URL) -> None:
    async with AsyncExitStack() as stack:
        services: list[LoggedEvents] = []
        foreign: list[list[bytes]] = [[], []]
        heard: list[AsyncIterator[Event]] = []
        for mine in foreign:
            events = await stack.enter_async_context(
                LoggedEvents(await stack.enter_async_context(open_catalog(url)))
            )
            events.on_foreign = lambda event, mine=mine: mine.append(event.data)  # type: ignore[misc]
            services.append(events)
            heard.append(await stack.enter_async_context(events.subscribe()))
        for number in range(20):
            services[number % 2].publish("note", "a", b"%d" % number)
            await asyncio.sleep(0.02 * (number % 3))
        # The first is told that another begins, and has not ended in good order what it is in the midst of.
        assert [event.event for event in await read(heard[0], 1)] == ["reset"]
        one, other = [await read(news, 20) for news in heard]
        assert one == other
        assert {*data(one)} == {b"%d" % number for number in range(20)}
        assert [{*mine} - {b""} for mine in foreign] == [
            {b"%d" % number for number in range(20) if number % 2 != at} for at in range(2)
        ]


WRITER = """
import asyncio, sys
from pathlib import Path
from media_service.store.catalog import open_catalog
from media_service.store.engine import sqlite_url
from media_service.store.event_log import News
async def main():
    async with open_catalog(sqlite_url(Path(sys.argv[1]))) as catalog:
        for number in range(5):
            await catalog.append_events([News("asset", f"film {number}")])
asyncio.run(main())
"""


async def test_another_process_is_heard(url: URL, catalog: Catalog) -> None:
    async with LoggedEvents(catalog) as events, events.subscribe() as news:
        told: list[str] = []
        events.on_foreign = lambda event: told.append(event.asset_id)
        await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", WRITER, str(url.database)], check=True, timeout=60
        )
        heard = await read(news, 5)
        assert [event.asset_id for event in heard] == told == [f"film {number}" for number in range(5)]


async def test_a_look_that_failed_is_made_again(
    url: URL, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logged_events, "RETRY_SECONDS", 0.05)
    look = catalog.events_after
    refused = asyncio.Event()

    async def refusing_once(number: int) -> list[Event]:
        if not refused.is_set():
            refused.set()
            raise CatalogUnavailable("busy")
        return await look(number)

    async with (
        open_catalog(url) as other,
        LoggedEvents(catalog) as events,
        events.subscribe() as news,
    ):
        monkeypatch.setattr(catalog, "events_after", refusing_once)
        await other.append_events([News("note", "a", b"x")])
        assert data(await read(news, 1)) == [b"x"]
    assert refused.is_set()


async def test_whoever_breaks_off_at_random_and_comes_back_hears_each_number_once(url: URL) -> None:
    chance = random.Random(7)
    published = heard_last = 0
    heard: list[Event] = []
    for _ in range(4):  # lives of the service
        async with open_catalog(url) as catalog, LoggedEvents(catalog) as events:
            for _ in range(6):  # connections
                async with events.subscribe(after=heard_last) as news:
                    assert not news.reset
                    for _ in range(chance.randrange(8)):
                        published += 1
                        events.publish("note", "a", b"%d" % published)
                    while len(heard) < published and chance.random() < 0.8:
                        heard += await read(news, 1)
                        heard_last = heard[-1].number
    async with (
        open_catalog(url) as catalog,
        LoggedEvents(catalog) as events,
        events.subscribe(after=heard_last) as news,
    ):
        heard += await read(news, published - len(heard))
    assert data(heard) == [b"%d" % number for number in range(1, published + 1)]
    assert len({event.number for event in heard}) == published


async def test_what_the_database_refuses_is_logged_when_it_takes_it(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logged_events, "RETRY_SECONDS", 0.05)
    append = catalog.append_events
    refusals = 3

    async def refusing(*args: object, **kwargs: object) -> object:
        nonlocal refusals
        refusals -= 1
        if refusals >= 0:
            raise StorageFull("no room")
        return await append(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(catalog, "append_events", refusing)
    async with LoggedEvents(catalog) as events, events.subscribe() as news:
        events.publish("asset", "a", b"old")
        events.publish("note", "a", b"between")
        await asyncio.sleep(0.1)
        events.publish("asset", "a", b"new")
        heard = await read(news, 2)
        assert {*data(heard)} == {b"new", b"between"}
    assert "events have to wait: no room" in caplog.text


async def test_an_event_that_no_database_takes_keeps_no_other_from_being_told(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logged_events, "RETRY_SECONDS", 0.05)
    async with LoggedEvents(catalog) as events, events.subscribe() as news:
        events.publish("note", "a\ud800")
        assert [event.event for event in await read(news, 1)] == ["reset"]
        events.publish("note", "a", b"x")
        assert data(await read(news, 1)) == [b"x"]
        assert not events._waiting
        events.close()
        events.publish("note", "a\ud800")
    assert "events are lost" in caplog.text


async def test_who_was_not_there_while_others_logged_more_than_is_kept_says_so(
    url: URL, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_log, "KEPT_EVENTS", 5)
    async with (
        open_catalog(url) as other,
        LoggedEvents(catalog) as events,
        events.subscribe() as news,
    ):
        before = events.last
        await other.append_events([News("note", "a", b"%d" % number) for number in range(8)])
        heard = await read(news, 6)
        assert [event.event for event in heard] == ["reset"] + ["note"] * 5
        assert [event.number for event in heard] == list(range(before + 3, before + 9))
        async with events.subscribe("b", after=before) as late:
            assert [event.event for event in await read(late, 1)] == ["reset"]


async def test_closing_ends_listeners_at_once_and_yet_all_that_is_published_is_logged(
    catalog: Catalog,
) -> None:
    async with LoggedEvents(catalog) as events, events.subscribe() as news:
        events.close()
        async with asyncio.timeout(1):
            assert [event async for event in news] == []
        events.publish("asset", "a", b"what work there was came to its end")
    kept = await catalog.events_after(0)
    assert [event.event for event in kept] == ["started", "asset", "stopped"]


async def test_it_is_a_kind_of_events(catalog: Catalog) -> None:
    assert isinstance(LoggedEvents(catalog), Events)
