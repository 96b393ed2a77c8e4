from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.store.event_log import Event
from media_service.work.events import Events


async def read(news: AsyncIterator[Event], count: int) -> list[Event]:
    async with asyncio.timeout(5):
        return [await anext(news) for _ in range(count)]


async def rest(news: AsyncIterator[Event]) -> list[bytes]:
    """What is still to be read of a subscription that has ended."""
    async with asyncio.timeout(5):
        return [event.data async for event in news]


def data(events: list[Event]) -> list[bytes]:
    return [event.data for event in events]


async def test_every_subscriber_hears_everything_in_order() -> None:
    events = Events()
    async with events.subscribe() as one, events.subscribe() as two:
        for number in range(3):
            events.publish("note", "a", b"%d" % number)
        for news in (one, two):
            heard = await read(news, 3)
            assert data(heard) == [b"0", b"1", b"2"]
            assert [event.number - heard[0].number for event in heard] == [0, 1, 2]
            assert heard[0][1:3] == ("note", "a")


async def test_one_who_waits_is_woken() -> None:
    events = Events()
    async with events.subscribe() as news:
        waiting = asyncio.ensure_future(read(news, 1))
        await asyncio.sleep(0)
        assert not waiting.done()
        events.publish("asset", "a", b"x")
        assert data(await waiting) == [b"x"]


async def test_a_subscription_to_one_asset_hears_only_of_it() -> None:
    events = Events()
    async with events.subscribe("b") as news:
        for asset_id in ("a", "b", "c", "b"):
            events.publish("note", asset_id, asset_id.encode())
        events.publish("deleted", "b", b"end")
        assert data(await read(news, 3)) == [b"b", b"b", b"end"]


async def test_what_was_published_before_is_not_heard_unless_asked_for() -> None:
    events = Events()
    events.publish("note", "a", b"before")
    async with events.subscribe() as news:
        events.publish("note", "a", b"after")
        assert data(await read(news, 1)) == [b"after"]


async def test_coming_back_with_a_number_hears_what_was_missed() -> None:
    events = Events()
    async with events.subscribe() as news:
        for number in range(5):
            events.publish("note", "ab"[number % 2], b"%d" % number)
        heard = await read(news, 5)
    async with events.subscribe(after=heard[1].number) as news:
        events.publish("note", "a", b"live")
        assert data(await read(news, 4)) == [b"2", b"3", b"4", b"live"]
    async with events.subscribe("a", after=heard[1].number) as news:
        assert data(await read(news, 3)) == [b"2", b"4", b"live"]
    async with events.subscribe(after=heard[4].number + 1) as news:
        events.publish("note", "a", b"only")
        assert data(await read(news, 1)) == [b"only"]


async def test_who_has_heard_everything_missed_nothing() -> None:
    events = Events()
    for after in (0, 1):
        async with events.subscribe(after=after) as news:
            assert (news.start, news.reset) == (after, False)
            events.publish("note", "a", b"x")
            assert data(await read(news, 1)) == [b"x"]


@pytest.mark.parametrize("after", [-1, 2, 10**18])
async def test_behind_a_number_that_was_never_given_nobody_knows_what_was_missed(after: int) -> None:
    events = Events()
    events.publish("note", "a", b"x")
    async with events.subscribe(after=after) as news:
        assert (news.start, news.reset) == (1, True)
        events.publish("note", "a", b"y")
        assert data(await read(news, 1)) == [b"y"]


async def test_only_so_much_is_remembered_and_whoever_missed_more_is_told_so() -> None:
    events = Events(history=10)
    for number in range(1, 26):
        events.publish("note", "a", b"%d" % number)
    async with events.subscribe(after=15) as news:
        assert not news.reset
        assert data(await read(news, 10)) == [b"%d" % number for number in range(16, 26)]
    async with events.subscribe(after=14) as news:
        assert news.reset


async def test_that_nothing_is_known_any_more_is_told_to_the_listeners_of_each_asset() -> None:
    events = Events()
    async with events.subscribe("a") as news:
        events.publish("reset", "")
        events.publish("note", "b", b"not for it")
        events.publish("stopped", "")
        events.publish("note", "a", b"x")
        assert [event.event for event in await read(news, 2)] == ["reset", "note"]


async def test_an_unread_state_is_replaced_by_the_later_one_in_order() -> None:
    events = Events()
    async with events.subscribe() as news:
        for asset_id, text in (("a", b"a1"), ("b", b"b1"), ("a", b"a2")):
            events.publish("asset", asset_id, text)
        events.publish("deleted", "b", b"gone")
        events.publish("asset", "a", b"a3")
        heard = await read(news, 3)
        assert data(heard) == [b"b1", b"gone", b"a3"]
        assert [event.number for event in heard] == sorted(event.number for event in heard)
        events.publish("asset", "a", b"a4")
        assert data(await read(news, 1)) == [b"a4"]


async def test_progress_of_few_assets_never_fills_a_backlog() -> None:
    events = Events(backlog=3)
    async with events.subscribe() as news:
        for number in range(1000):
            events.publish("asset", f"a{number % 3}", b"%d" % number)
        assert data(await read(news, 3)) == [b"997", b"998", b"999"]


async def test_a_full_backlog_ends_its_subscriber_and_no_other() -> None:
    events = Events(backlog=3)
    async with events.subscribe() as slow, events.subscribe() as quick:
        heard = []
        for number in range(5):
            events.publish("note", "a", b"%d" % number)
            heard += await read(quick, 1)
        assert data(heard) == [b"0", b"1", b"2", b"3", b"4"]
        assert await rest(slow) == [b"0", b"1", b"2"]
        assert (slow.overflown, quick.overflown) == (True, False)
    async with events.subscribe(after=heard[2].number) as again:
        assert data(await read(again, 2)) == [b"3", b"4"]


async def test_coming_back_to_a_long_history_does_not_overflow_and_copies_nothing_of_it() -> None:
    events = Events(history=102, backlog=2)
    for number in range(100):
        events.publish("note", "a", b"%d" % number)
    async with events.subscribe(after=0) as news, events.subscribe("b", after=0) as other:
        events.publish("note", "a", b"live")
        events.publish("note", "b", b"live")
        assert not news._unread
        assert data(await read(news, 102)) == [b"%d" % number for number in range(100)] + [b"live"] * 2
        assert len(await read(other, 1)) == 1
        for subscription in (news, other):
            waiting = asyncio.ensure_future(read(subscription, 1))
            await asyncio.sleep(0)
            events.publish("note", "b", b"behind that")
            assert data(await waiting) == [b"behind that"]


async def test_who_reads_what_it_missed_too_slowly_is_told_to_come_back() -> None:
    events = Events(history=10)
    for number in range(10):
        events.publish("note", "a", b"%d" % number)
    async with events.subscribe(after=0) as news:
        assert data(await read(news, 2)) == [b"0", b"1"]
        for number in range(10, 13):
            events.publish("note", "a", b"%d" % number)
        assert await rest(news) == []
        assert news.overflown
    async with events.subscribe(after=2) as again:
        assert again.reset


async def test_of_missed_states_only_the_newest_of_each_asset_is_told() -> None:
    events = Events(history=6)
    for number in range(9):
        events.publish("asset", "ab"[number % 2], b"%d" % number)
    async with events.subscribe(after=4) as news:
        events.publish("asset", "a", b"live")
        assert data(await read(news, 2)) == [b"7", b"live"]
    for number in range(6):
        events.publish("note", "a", b"%d" % number)
    assert not events._newest


async def test_closing_ends_all_at_once() -> None:
    events = Events()
    async with events.subscribe() as waiting, events.subscribe() as unread:
        ending = asyncio.ensure_future(rest(waiting))
        await asyncio.sleep(0)
        events.close()
        assert await ending == []
        events.publish("note", "a", b"late")
        assert await rest(unread) == []
    async with events.subscribe(after=0) as late:
        assert await rest(late) == []
    events.close()


async def test_closing_drops_what_was_not_read() -> None:
    events = Events()
    async with events.subscribe() as news:
        events.publish("note", "a", b"x")
        events.close()
        assert await rest(news) == []


async def test_leaving_leaves_nothing_behind() -> None:
    events = Events()
    async with events.subscribe() as news:
        pass
    events.publish("note", "a", b"x")
    assert await rest(news) == []
    assert not events._subscriptions


async def test_a_cancelled_wait_loses_no_event() -> None:
    events = Events()
    async with events.subscribe() as news:
        for turns in range(5):
            waiting = asyncio.ensure_future(read(news, 1))
            await asyncio.sleep(0)
            events.publish("note", "a", b"%d" % turns)
            for _ in range(turns):
                await asyncio.sleep(0)
            waiting.cancel()
            heard = []
            with suppress(asyncio.CancelledError):
                heard = data(await waiting)
            assert heard or data(await read(news, 1)) == [b"%d" % turns]


@given(
    st.lists(st.tuples(st.sampled_from(["asset", "note"]), st.sampled_from("abc")), max_size=60),
    st.integers(0, 60),
)
def test_however_often_one_comes_back_the_latest_states_and_all_notes_arrive(
    published: list[tuple[str, str]], leave: int
) -> None:
    async def story() -> list[Event]:
        events = Events(backlog=100)
        heard: list[Event] = []
        async with events.subscribe(after=0) as news:
            for event, asset_id in published[:leave]:
                events.publish(event, asset_id, b"")
            if leave and published:
                heard += await read(news, 1)
        for event, asset_id in published[leave:]:
            events.publish(event, asset_id, b"")
        async with events.subscribe(after=heard[-1].number if heard else 0) as news:
            events.publish("end", "", b"")
            async for event_heard in news:
                heard.append(event_heard)
                if event_heard.event == "end":
                    break
        first = heard[-1].number - len(published)
        expected_notes = [first + n for n, (event, _) in enumerate(published) if event == "note"]
        last_states = {
            asset_id: first + n for n, (event, asset_id) in enumerate(published) if event == "asset"
        }
        numbers = [event.number for event in heard]
        assert numbers == sorted(set(numbers))
        assert [event.number for event in heard if event.event == "note"] == expected_notes
        assert set(last_states.values()) <= set(numbers)
        return heard

    asyncio.run(story())
