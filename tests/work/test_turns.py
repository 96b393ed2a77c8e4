"""Way is made for those who wait, and for nobody all the time."""

from __future__ import annotations

import asyncio

import pytest

from media_service.work import turns as module
from media_service.work.turns import Turns


class Noted:
    """Turns, and what they said whenever it was another."""

    def __init__(self) -> None:
        self.turns = Turns(self._look)
        self.said: list[tuple[bool, float]] = []
        self.news = asyncio.Event()

    def _look(self) -> None:
        if not self.said or self.said[-1][0] != self.turns.making:
            self.said.append((self.turns.making, asyncio.get_running_loop().time()))
            self.news.set()

    async def until(self, times: int) -> None:
        async with asyncio.timeout(10):
            while len(self.said) < times:
                self.news.clear()
                await self.news.wait()


@pytest.fixture
def noted() -> Noted:
    return Noted()


def short(monkeypatch: pytest.MonkeyPatch, way: float, turn: float) -> None:
    monkeypatch.setattr(module, "WAY_SECONDS", way)
    monkeypatch.setattr(module, "TURN_SECONDS", turn)


async def test_way_is_made_at_once_and_until_nobody_asks_any_more(noted: Noted) -> None:
    with noted.turns.making_way():
        with noted.turns.making_way():
            assert [making for making, _ in noted.said] == [True]
        assert [making for making, _ in noted.said] == [True]
    assert [making for making, _ in noted.said] == [True, False]
    with noted.turns.making_way():  # in the same turn
        assert [making for making, _ in noted.said] == [True, False, True]
    noted.turns.close()


async def test_who_never_ceases_to_ask_gets_a_share_of_the_time(
    noted: Noted, monkeypatch: pytest.MonkeyPatch
) -> None:
    short(monkeypatch, 0.1, 0.3)
    with noted.turns.making_way():
        await noted.until(5)
    noted.turns.close()
    assert [making for making, _ in noted.said[:5]] == [True, False, True, False, True]
    times = [time for _, time in noted.said]
    assert times[2] - times[1] >= 0.19
    assert times[4] - times[3] >= 0.19


async def test_asking_anew_makes_no_turn_of_its_own(noted: Noted, monkeypatch: pytest.MonkeyPatch) -> None:
    short(monkeypatch, 0.05, 60.0)
    with noted.turns.making_way():
        await noted.until(2)
    with noted.turns.making_way():
        assert not noted.turns.making
    noted.turns.close()


async def test_a_turn_in_which_nobody_asks_is_followed_by_none(
    noted: Noted, monkeypatch: pytest.MonkeyPatch
) -> None:
    short(monkeypatch, 0.01, 0.02)
    with noted.turns.making_way():
        pass
    await asyncio.sleep(0.1)  # what must not happen has no event
    assert [making for making, _ in noted.said] == [True, False]
    with noted.turns.making_way():
        assert noted.turns.making
    noted.turns.close()
