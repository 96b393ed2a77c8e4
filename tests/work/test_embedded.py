"""The embedded queue: one job per asset at a time, nothing lost, nothing left running."""

from __future__ import annotations

import asyncio

import pytest

from media_service.work.embedded import EmbeddedQueue


class Jobs:
    """Jobs that run until they are let go, and remember what happened."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.ended: list[str] = []
        self.cancelled: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}
        self.changed = asyncio.Condition()

    async def run(self, asset_id: str) -> None:
        gate = self.gates.setdefault(asset_id, asyncio.Event())
        await self._note(self.started, asset_id)
        try:
            await gate.wait()
        except asyncio.CancelledError:
            self.cancelled.append(asset_id)
            raise
        gate.clear()
        await self._note(self.ended, asset_id)

    async def _note(self, where: list[str], asset_id: str) -> None:
        async with self.changed:
            where.append(asset_id)
            self.changed.notify_all()

    async def until(self, where: list[str], *expected: str) -> None:
        async with asyncio.timeout(5), self.changed:
            await self.changed.wait_for(lambda: where == list(expected))


async def test_jobs_run_in_order_as_many_at_a_time_as_there_are_workers() -> None:
    jobs = Jobs()
    async with EmbeddedQueue("work", jobs.run, workers=2) as queue:
        for asset_id in ("a", "b", "c"):
            queue.add(asset_id)
        await jobs.until(jobs.started, "a", "b")
        jobs.gates["b"].set()
        await jobs.until(jobs.started, "a", "b", "c")


async def test_an_asset_that_waits_is_not_added_twice() -> None:
    jobs = Jobs()
    async with EmbeddedQueue("work", jobs.run, workers=1) as queue:
        for asset_id in ("a", "b", "b", "c"):
            queue.add(asset_id)
        await jobs.until(jobs.started, "a")
        for before, after in (("a", "b"), ("b", "c")):
            jobs.gates[before].set()
            await jobs.until(jobs.started, *"abc"[: "abc".index(after) + 1])


async def test_an_asset_added_while_it_runs_gets_another_go() -> None:
    jobs = Jobs()
    async with EmbeddedQueue("work", jobs.run, workers=1) as queue:
        queue.add("a")
        await jobs.until(jobs.started, "a")
        queue.add("a")
        jobs.gates["a"].set()
        await jobs.until(jobs.started, "a", "a")


async def test_cancelling_ends_the_running_job_and_lets_the_next_one_start() -> None:
    jobs = Jobs()
    async with EmbeddedQueue("work", jobs.run, workers=1) as queue:
        queue.add("a")
        queue.add("b")
        await jobs.until(jobs.started, "a")
        await queue.cancel("a")
        assert jobs.cancelled == ["a"]
        await jobs.until(jobs.started, "a", "b")


async def test_cancelling_takes_a_waiting_asset_out() -> None:
    jobs = Jobs()
    async with EmbeddedQueue("work", jobs.run, workers=1) as queue:
        for asset_id in ("a", "b", "c"):
            queue.add(asset_id)
        await jobs.until(jobs.started, "a")
        await queue.cancel("b")
        jobs.gates["a"].set()
        await jobs.until(jobs.started, "a", "c")


async def test_leaving_the_queue_ends_all_its_jobs_and_takes_no_more() -> None:
    jobs = Jobs()
    async with EmbeddedQueue("work", jobs.run, workers=1) as queue:
        queue.add("a")
        queue.add("b")
        await jobs.until(jobs.started, "a")
    queue.add("c")
    assert (jobs.started, jobs.cancelled) == (["a"], ["a"])


async def test_a_job_that_breaks_is_logged_and_the_next_one_runs(caplog: pytest.LogCaptureFixture) -> None:
    seen = asyncio.Event()

    async def job(asset_id: str) -> None:
        if asset_id == "a":
            raise ZeroDivisionError
        seen.set()

    async with EmbeddedQueue("work", job, workers=1) as queue:
        queue.add("a")
        queue.add("b")
        async with asyncio.timeout(5):
            await seen.wait()
    assert "work of a failed unexpectedly" in caplog.text


async def test_a_queue_without_workers_keeps_everything_waiting() -> None:
    jobs = Jobs()
    async with EmbeddedQueue("work", jobs.run, workers=0) as queue:
        queue.add("a")
        await queue.cancel("a")
    assert jobs.started == []
