"""Who waits for stills: each is drawn once for all, the newest first, and none for nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from media_service.errors import ConverterKilled, MediaServiceError, NotReady, SegmentFailed
from media_service.ffmpeg.still_recipes import Drawing
from media_service.work import stills as module
from media_service.work.stills import MOST_KEPT, MOST_WAITING, Still, Stills, TooSlow


class Desk:
    """Where stills are drawn by hand: each is begun when it is its turn, and is there when it is `finish`ed."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.ended: list[int] = []
        self.any_ended = asyncio.Event()
        self.results: dict[int, bytes | Exception] = {}
        self._events: dict[int, asyncio.Event] = {}

    async def draw(self, still: Still) -> bytes:
        self.begun.append(still.frame)
        try:
            await self.event(still.frame).wait()
        except asyncio.CancelledError:
            self.ended.append(still.frame)
            self.any_ended.set()
            raise
        result = self.results.get(still.frame, b"%d" % still.frame)
        if isinstance(result, Exception):
            raise result
        return result

    def event(self, frame: int) -> asyncio.Event:
        return self._events.setdefault(frame, asyncio.Event())

    def finish(self, *frames: int) -> None:
        for frame in frames:
            self.event(frame).set()


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def stills(desk: Desk) -> AsyncIterator[Stills]:
    async with Stills(desk.draw, at_once=1) as opened:
        yield opened


def still(frame: int, width: int = 64) -> Still:
    return Still("film", frame, Drawing(width, 36))


def asking(stills: Stills, frame: int) -> asyncio.Task[bytes]:
    return asyncio.create_task(stills.of(still(frame)))


async def settled() -> None:
    """Everything that can go on has gone on."""
    for _ in range(10):
        await asyncio.sleep(0)


async def left(*tasks: asyncio.Task[bytes]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await settled()


async def test_those_who_ask_for_the_same_share_it_and_later_ones_get_it_at_once(
    stills: Stills, desk: Desk
) -> None:
    both = [asking(stills, 1), asking(stills, 1)]
    await settled()
    desk.finish(1)
    assert await asyncio.gather(*both) == [b"1", b"1"]
    assert await stills.of(still(1)) == b"1"
    assert desk.begun == [1]


async def test_the_newest_comes_first_and_no_more_than_there_may_be_at_once(
    stills: Stills, desk: Desk
) -> None:
    asked = [asking(stills, 1)]
    await settled()
    asked += [asking(stills, frame) for frame in (2, 3, 4)]
    await settled()
    assert desk.begun == [1]
    asked.append(asking(stills, 2))  # once more: now it is the newest
    await settled()
    desk.finish(1, 2, 3, 4)
    await asyncio.gather(*asked)
    assert desk.begun == [1, 2, 4, 3]


async def test_what_nobody_waits_for_is_not_begun_or_ended(stills: Stills, desk: Desk) -> None:
    scrubbing = [asking(stills, frame) for frame in (1, 2, 3)]
    await settled()
    begun = list(desk.begun)
    assert len(begun) == 1
    await left(*scrubbing)
    assert desk.ended == begun
    last = asking(stills, 9)
    await settled()
    desk.finish(9)
    assert await last == b"9"
    assert desk.begun == [*begun, 9]


async def test_who_leaves_takes_it_from_nobody_else(stills: Stills, desk: Desk) -> None:
    one, other = asking(stills, 1), asking(stills, 1)
    await settled()
    await left(one)
    desk.finish(1)
    assert await other == b"1"


async def test_it_goes_on_for_whoever_was_told_to_come_back_but_not_for_ever(
    stills: Stills, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.01)
    monkeypatch.setattr(module, "RETURN_SECONDS", 0.2)
    with pytest.raises(NotReady):
        await stills.of(still(1))
    assert desk.ended == []
    desk.finish(1)
    await settled()
    assert await stills.of(still(1)) == b"1"
    with pytest.raises(NotReady):
        await stills.of(still(2))
    async with asyncio.timeout(5):
        await desk.any_ended.wait()
    assert desk.ended == [2]


async def test_of_too_many_the_oldest_that_is_not_being_drawn_is_let_go(stills: Stills, desk: Desk) -> None:
    asked = []
    for frame in range(MOST_WAITING):
        asked.append(asking(stills, frame))
        await settled()
    newest = asking(stills, MOST_WAITING)
    await settled()
    with pytest.raises(NotReady, match="Too many"):
        await asked[1]
    assert not any(task.done() for task in (asked[0], *asked[2:], newest))
    desk.finish(0, MOST_WAITING)
    assert await asked[0] == b"0"
    assert await newest == b"%d" % MOST_WAITING
    assert desk.begun[:2] == [0, MOST_WAITING]
    await left(*asked)


async def test_a_frame_that_cannot_be_decoded_is_not_tried_again(stills: Stills, desk: Desk) -> None:
    desk.results[1] = SegmentFailed("It is broken.")
    desk.finish(1)
    for _ in range(2):
        with pytest.raises(SegmentFailed, match="It is broken"):
            await stills.of(still(1))
    assert desk.begun == [1]


async def test_that_there_was_no_time_for_a_frame_is_not_remembered_for_long(
    stills: Stills, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.results = {1: TooSlow("It took too long."), 2: TooSlow("It took too long.")}
    desk.finish(1, 2)
    for _ in range(2):
        with pytest.raises(SegmentFailed, match="too long"):
            await stills.of(still(1))
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.0)
    with pytest.raises(SegmentFailed, match="too long"):
        await stills.of(still(2))
    del desk.results[2]
    assert await stills.of(still(2)) == b"2"
    assert desk.begun == [1, 2, 2]


async def test_what_was_no_fault_of_the_film_is_tried_again(stills: Stills, desk: Desk) -> None:
    desk.results[1] = ConverterKilled("By the kernel.")
    desk.finish(1)
    with pytest.raises(ConverterKilled):
        await stills.of(still(1))
    del desk.results[1]
    assert await stills.of(still(1)) == b"1"


async def test_a_mistake_of_ours_is_said_to_all_who_wait(
    stills: Stills, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.results[1] = ZeroDivisionError()
    desk.finish(1)
    with pytest.raises(MediaServiceError, match="mistake"):
        await stills.of(still(1))
    assert "broke unexpectedly" in caplog.text
    desk.finish(2)
    assert await stills.of(still(2)) == b"2"


async def test_the_end_of_the_service_ends_what_goes_on(desk: Desk) -> None:
    async with Stills(desk.draw, at_once=1) as stills:
        asked = [asking(stills, 1), asking(stills, 2)]
        await settled()
    for each in asked:
        with pytest.raises(NotReady, match="stopping"):
            await each
    assert desk.ended == desk.begun[:1]


async def test_the_end_of_the_service_begins_nothing_for_those_who_were_told_to_come_back(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.01)
    async with Stills(desk.draw, at_once=1) as stills:
        for frame in (1, 2, 3):
            with pytest.raises(NotReady):
                await stills.of(still(frame))
    await settled()
    assert (desk.begun, desk.ended) == ([1], [1])
    with pytest.raises(NotReady, match="stopping"):
        await stills.of(still(4))


@pytest.mark.parametrize(("most", "size"), [("MOST_KEPT_BYTES", 1000), ("MOST_KEPT", 1)])
async def test_only_so_much_is_remembered(
    most: str, size: int, stills: Stills, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, most, 3 * size)
    frames = range(MOST_KEPT // 100)
    desk.results = {frame: bytes(size) for frame in frames}
    desk.finish(*frames)
    for frame in frames:
        await stills.of(still(frame))
    desk.begun.clear()
    for frame in reversed(frames):
        await stills.of(still(frame))
    assert desk.begun == list(reversed(frames))[3:]
