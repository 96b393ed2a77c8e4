"""Which runs go on: those that somebody waits for, before everything else, and those of the batch while nobody does.

A request joins a run that will be there soon. Else it gets one of its own, which begins at its segment and goes on for what
a player asks for next; at most AT_ONCE of them at a time, the newest request first. While any goes on, the batch stands
still. A run that nobody waits for any more is ended only when its place is wanted: until then it makes what will be asked
for sooner or later, standing still while somebody waits for another, and what it has made is kept in any case.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from media_service.errors import (
    CatalogUnavailable,
    ConverterKilled,
    MediaServiceError,
    NotFound,
    NotReady,
    SegmentFailed,
    StorageFull,
)
from media_service.work.blame import Kills, RunBroke
from media_service.work.events import Events
from media_service.work.requests import Key, Request, Requests
from media_service.work.runner import Means, Runner
from media_service.work.runs import MAX_ATTEMPTS, Run, run_from, shortened
from media_service.work.turns import Turns

# ffmpegs that somebody waits for: a picture and its sound. Part of the sum in docs/settings.md.
AT_ONCE = 2
# A run that needs longer than this to reach a segment is not waited for: a new one is there sooner.
JOIN_SECONDS = 3.0
OUR_MISTAKE = "The service made a mistake with this film; its log says more."

log = logging.getLogger(__name__)


class Going:
    """All runs of this process; an async context manager that ends them on exit.

    `requests` are what somebody waits for: whoever changes them calls `schedule`. `advanced(asset_id)` is called whenever a
    run for requests has ended, `got_on(asset_id)` whenever more of a film is made, or known not to be makeable.
    """

    def __init__(self, means: Means, events: Events, *, at_once: int = AT_ONCE) -> None:
        self.advanced: Callable[[str], None] = lambda _: None
        self.got_on: Callable[[str], None] = lambda _: None
        self.requests = Requests()
        self._means = means
        self._events = events
        self._at_once = at_once
        self._jobs: dict[asyncio.Task[None], Runner] = {}  # for requests
        self._ending: set[asyncio.Task[None]] = set()
        self._batches: set[Runner] = set()
        self._kills = Kills()
        self._turns = Turns(self._settle)
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._later: asyncio.TimerHandle | None = None
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        self._turns.close()
        if self._later is not None:
            self._later.cancel()
        for request in self.requests.pending():
            request.refuse(NotReady("The service is stopping."))
        await self._end(list(self._jobs))

    async def quiet(self) -> None:
        """Returns when nobody waits for anything that is being made for him alone: then a batch plans its next run."""
        while not self._quiet.is_set():
            await self._quiet.wait()

    def making_way(self) -> AbstractContextManager[None]:
        """While the block lasts, batches that nobody waits for stand still: somebody waits for what is made elsewhere.

        Only for a share of the time: anybody may ask for that, as often as he likes (`Turns`).
        """
        return self._turns.making_way()

    async def batch(self, run: Run) -> MediaServiceError | None:
        """Make a run of a batch, which stands still while others are more urgent; why it broke, if it did.

        Raises what `Runner.make` raises where neither the film nor the converter is to blame.
        """
        runner = self._runner(run)
        self._batches.add(runner)
        self._settle()
        try:
            await runner.make()
        except RunBroke as broke:
            await self._charge(run.asset_id, broke)
            return broke.error
        except ConverterKilled as error:
            if not await self._charge_killed(runner, error):
                raise
            return error
        finally:
            self._batches.discard(runner)
            self._release(runner)
        return None

    def forgive(self, asset_id: str) -> None:
        """Nothing that broke is held against the asset any more."""
        self._kills.forget(asset_id)

    async def forget(self, asset_id: str) -> None:
        """End all that is made of an asset; whoever waits for it hears that it is gone."""
        self.forgive(asset_id)
        for request in self.requests.pending():
            if request.key.asset_id == asset_id:
                request.refuse(NotFound("This film has been deleted."))
        await self._end([task for task, runner in self._jobs.items() if runner.run.asset_id == asset_id])

    def schedule(self) -> None:
        """Give every request a run to rely on, as far as there is room."""
        if self._closed:
            return
        left = 0
        for request in self.requests.pending():
            if request.runner is None and not self._join(request) and not self._begin(request):
                left += 1
        self._make_room(left)
        self._settle()

    def _join(self, request: Request) -> bool:
        """Whether a run that goes on anyway will be there soon enough."""
        going_on = [runner for task, runner in self._jobs.items() if task not in self._ending]
        soonest, best = JOIN_SECONDS, None
        for runner in (*going_on, *self._batches):
            if runner.run.asset_id != request.key.asset_id:
                continue
            seconds = runner.seconds_until(request.rendition, request.key.number)
            if seconds is not None and seconds <= soonest:
                soonest, best = seconds, runner
        if best is not None:
            request.runner = best
            best.hurry(request.key.rendition, request.key.number)
        return best is not None

    def _begin(self, request: Request) -> bool:
        """Whether there was room for a run that begins with what is asked for."""
        if len(self._jobs) >= self._at_once:
            return False
        key = request.key
        runner = request.runner = self._runner(
            run_from(key.asset_id, request.rendition, key.number, request.failures)
        )
        task = asyncio.create_task(self._serve(runner), name=f"run for {key}")
        self._jobs[task] = runner
        task.add_done_callback(self._ended)
        return True

    async def _serve(self, runner: Runner) -> None:
        catalog, asset_id = self._means.catalog, runner.run.asset_id
        try:
            made, failed = await catalog.made(asset_id), await catalog.failures(asset_id)
            runner.run = shortened(runner.run, made, failed)
            await runner.make()
        except RunBroke as broke:
            await self._charge(asset_id, broke)
        except ConverterKilled as error:
            if not await self._charge_killed(runner, error):
                self._refuse(runner, error)
        except (StorageFull, CatalogUnavailable, NotFound) as error:
            self._refuse(runner, error)

    def _refuse(self, runner: Runner, error: MediaServiceError) -> None:
        log.warning("a run for a request ended: %s", error)
        for request in self.requests.relying_on(runner):
            request.refuse(error)

    def _ended(self, task: asyncio.Task[None]) -> None:
        runner = self._jobs.pop(task)
        self._ending.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a run for a request broke unexpectedly: %s", runner.run, exc_info=error)
            for request in self.requests.relying_on(runner):
                request.refuse(MediaServiceError(OUR_MISTAKE))
        self._release(runner)
        self.advanced(runner.run.asset_id)

    def _release(self, runner: Runner) -> None:
        """The run has ended: whoever still waits for something of it needs another one."""
        for request in self.requests.relying_on(runner):
            request.runner = None
        self.schedule()

    def _make_room(self, wanted: int) -> None:
        """End as many runs that nobody waits for as others wait for places."""
        now = asyncio.get_running_loop().time()
        idle = sorted(
            (
                (runner.needed_until, task)
                for task, runner in self._jobs.items()
                if task not in self._ending and not self.requests.relying_on(runner)
            ),
            key=lambda one: one[0],
        )
        for needed_until, task in idle[: max(0, wanted - len(self._ending))]:
            if needed_until > now:
                self._look_again(needed_until - now)
                break
            self._ending.add(task)
            task.cancel()

    def _look_again(self, seconds: float) -> None:
        if self._later is not None:
            self._later.cancel()
        self._later = asyncio.get_running_loop().call_later(seconds, self.schedule)

    def _settle(self) -> None:
        """What somebody waits for has the machine to itself; of all else what was begun for a request comes first."""
        served = {request.runner for request in self.requests.pending() if request.runner is not None}
        for runner in (*self._jobs.values(), *self._batches):
            urgent = self._jobs or self._turns.making
            if runner not in served and (served or (urgent and runner in self._batches)):
                runner.pause()
            else:
                runner.resume()
        if self._jobs:
            self._quiet.clear()
        else:
            self._quiet.set()

    def _runner(self, run: Run) -> Runner:
        def committed(name: str, numbers: Collection[int]) -> None:
            self.requests.came(run.asset_id, name, numbers)
            self.got_on(run.asset_id)
            self._events.publish("asset", run.asset_id)

        return Runner(
            self._means,
            run,
            wanted=lambda name, number: self.requests.wanted(Key(run.asset_id, name, number)),
            committed=committed,
        )

    async def _charge(self, asset_id: str, broke: RunBroke) -> None:
        """Count the attempt; whoever waits for what has failed too often hears so. Raises NotFound, CatalogUnavailable."""
        log.warning("%s: %s", asset_id, broke)
        for number in sorted(set(broke.segments.values())):
            names = [name for name, at in broke.segments.items() if at == number]
            failures = await self._means.catalog.count_failure(asset_id, names, number, broke.error)
            for request in self.requests.pending():
                if request.key in {Key(asset_id, name, number) for name in names}:
                    request.failures = failures
                    if failures >= MAX_ATTEMPTS:
                        request.refuse(SegmentFailed(broke.error.detail))

    async def _charge_killed(self, runner: Runner, error: ConverterKilled) -> bool:
        """Whether it was a failed attempt, and no accident; then it is counted. Raises NotFound, CatalogUnavailable."""
        broke = runner.broken_by(error)
        if broke is None or not self._kills.suspect(runner.run, broke.segments):
            return False
        await self._charge(runner.run.asset_id, broke)
        self.got_on(runner.run.asset_id)
        return True

    @staticmethod
    async def _end(tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
