"""The story of the log of events that every catalog must tell: whoever writes, all read the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import URL

from media_service.store import event_log
from media_service.store.catalog import Catalog, open_catalog
from media_service.store.engine import sqlite_url
from media_service.store.event_log import Event, News


@pytest.fixture(params=["sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    assert request.param == "sqlite"
    return sqlite_url(tmp_path / "catalog.sqlite3")


@pytest.fixture
async def catalog(url: URL) -> AsyncIterator[Catalog]:
    async with open_catalog(url) as opened:
        yield opened


def notes(*texts: str) -> list[News]:
    return [News("note", "film", text.encode()) for text in texts]


def texts(events: list[Event]) -> list[str]:
    return [event.data.decode() for event in events]


async def test_what_is_logged_has_numbers_that_grow_by_one_and_is_read_from_any_of_them(
    catalog: Catalog,
) -> None:
    assert await catalog.events_after(0) == []
    others, ours = await catalog.append_events(notes("a", "b"))
    assert (others, ours) == ([], [Event(1, "note", "film", b"a"), Event(2, "note", "film", b"b")])
    _, [third] = await catalog.append_events([News("deleted", "film")])
    assert third == Event(3, "deleted", "film", b"")
    assert await catalog.events_after(0) == [*ours, third]
    assert await catalog.events_after(2) == [third]
    assert await catalog.events_after(3) == await catalog.events_after(10**18) == []


async def test_who_logs_hears_what_others_have_logged_meanwhile(catalog: Catalog) -> None:
    _, [first] = await catalog.append_events(notes("mine"))
    await catalog.append_events(notes("theirs", "theirs too"))
    others, ours = await catalog.append_events(notes("mine again"), after=first.number)
    assert (texts(others), texts(ours)) == (["theirs", "theirs too"], ["mine again"])
    assert await catalog.append_events([], after=first.number) == ([*others, *ours], [])


async def test_numbers_are_never_given_twice_and_only_the_newest_events_are_kept(
    url: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_log, "KEPT_EVENTS", 5)
    async with open_catalog(url) as catalog:
        await catalog.append_events(notes(*"abcd"))
        await catalog.append_events(notes(*"efgh"))
        assert texts(await catalog.events_after(0)) == list("defgh")
    async with open_catalog(url) as catalog:
        _, [last] = await catalog.append_events(notes("i"))
        assert last.number == 9
        assert texts(await catalog.events_after(0)) == list("efghi")
        _, many = await catalog.append_events(notes(*(str(n) for n in range(2500))))
        assert [event.number for event in many] == list(range(10, 2510))
        assert await catalog.events_after(0) == many[-5:]


async def test_it_is_known_without_a_look_whether_anybody_has_written(url: URL) -> None:
    async with open_catalog(url) as ours, open_catalog(url) as theirs:
        assert await ours.may_have_news()
        assert not await ours.may_have_news()
        await theirs.append_events(notes("theirs"))
        assert await ours.may_have_news()
        await ours.append_events(notes("mine"))
        assert await ours.may_have_news()
        assert not await ours.may_have_news()


async def test_several_who_log_at_once_agree_on_one_order(url: URL) -> None:
    async def write(catalog: Catalog, name: str) -> list[Event]:
        """What it has heard when it has logged its own; each but the first knows where it stands."""
        heard: list[Event] = []
        for n in range(20):
            others, ours = await catalog.append_events(
                notes(f"{name}{n}"), after=heard[-1].number if heard else 0
            )
            heard += others + ours
        return heard

    async with AsyncExitStack() as stack:
        catalogs = [await stack.enter_async_context(open_catalog(url)) for _ in range(3)]
        heard = await asyncio.gather(
            *(write(catalog, name) for catalog, name in zip(catalogs, "abc", strict=True))
        )
        everything = await catalogs[0].events_after(0)
    assert sorted(texts(everything)) == sorted(f"{name}{n}" for name in "abc" for n in range(20))
    assert all(after.number - before.number == 1 for before, after in pairwise(everything))
    for one in heard:
        assert one == everything[: len(one)]
