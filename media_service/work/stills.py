"""Stills for those who wait for them: drawn once for all who ask for the same, the newest request first, and remembered.

Somebody who drags along a scrub bar asks for fifty and looks at three. So what nobody waits for any more is not begun, and
what was begun for him alone is ended.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from functools import partial
from types import TracebackType
from typing import NamedTuple, Self

from media_service.errors import MediaServiceError, NotReady, SegmentFailed
from media_service.ffmpeg.still_recipes import Drawing

log = logging.getLogger(__name__)

# Drawn at the same time, each within PROBE_LIMITS' memory: part of the sum in docs/settings.md.
DRAWERS = 2
# How long a request is held; as that for a segment.
WAIT_SECONDS = 8.0
# For how long a still is gone on with after somebody was told to come back for it.
RETURN_SECONDS = 4.0
# Distinct stills that are waited for, in all. Behind so many newer ones none would come in time anyway.
MOST_WAITING = 64
# A still has some hundred kilobytes; failures, which are remembered too, hardly any.
MOST_KEPT = 1024
MOST_KEPT_BYTES = 32 << 20
# For how long it is remembered that there was no time for one: the machine may have been busy.
PATIENCE_SECONDS = 60.0


class Still(NamedTuple):
    """One still: the frame of that number, in decoding order, of an asset's picture."""

    asset_id: str
    frame: int
    drawing: Drawing


class TooSlow(SegmentFailed):
    """A still that was not there within its limits, by the clock: of the film or of the machine, nobody knows."""


class _Failed(NamedTuple):
    error: SegmentFailed
    until: float  # by the loop's clock


class _Asked:
    """A still that somebody waits for, or did until a moment ago."""

    def __init__(self, order: int) -> None:
        self.order = order  # the newest has the highest
        self.waiting = 0  # people, and those who were told to come back
        self.drawing: asyncio.Task[None] | None = None
        self.done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()


class Stills:
    """Has them drawn; an async context manager that ends what goes on when it is left."""

    def __init__(self, draw: Callable[[Still], Awaitable[bytes]], *, at_once: int = DRAWERS) -> None:
        self._draw = draw
        self._at_once = at_once
        self._asked: dict[Still, _Asked] = {}
        self._order = 0
        self._kept: OrderedDict[Still, bytes | _Failed] = OrderedDict()
        self._kept_bytes = 0
        self._drawing: set[asyncio.Task[None]] = set()
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        for asked in self._asked.values():
            _refuse(asked, NotReady("The service is stopping."))
        self._asked.clear()
        going_on = list(self._drawing)
        for task in going_on:
            task.cancel()
        await asyncio.gather(*going_on, return_exceptions=True)

    async def of(self, still: Still) -> bytes:
        """The still. To be cancelled when its viewer has gone.

        Raises NotReady after WAIT_SECONDS, or as soon as too many newer ones are waited for; SegmentFailed for a frame that
        cannot be decoded, and what keeps all from being drawn: NotFound, ConverterKilled, CatalogUnavailable.
        """
        if (known := self._known(still)) is not None:
            return known
        if self._closed:
            raise NotReady("The service is stopping.")
        asked = self._join(still)
        asked.waiting += 1
        try:
            self._begin()
            await asyncio.wait((asked.done,), timeout=WAIT_SECONDS)
            if not asked.done.done():
                asked.waiting += 1
                asyncio.get_running_loop().call_later(RETURN_SECONDS, self._leave, still, asked)
                raise NotReady("This still is being drawn.")
            return asked.done.result()
        finally:
            self._leave(still, asked)

    def _known(self, still: Still) -> bytes | None:
        """The still as it is remembered. Raises SegmentFailed when that is what is remembered of it."""
        if (known := self._kept.get(still)) is None:
            return None
        if isinstance(known, _Failed) and known.until <= asyncio.get_running_loop().time():
            del self._kept[still]
            return None
        self._kept.move_to_end(still)
        if isinstance(known, bytes):
            return known
        raise SegmentFailed(known.error.detail)

    def _join(self, still: Still) -> _Asked:
        asked = self._asked.get(still)
        self._order += 1
        if asked is None:
            if len(self._asked) >= MOST_WAITING:
                self._drop_oldest()
            asked = self._asked[still] = _Asked(self._order)
        asked.order = self._order
        return asked

    def _drop_oldest(self) -> None:
        """Of those that are not being drawn: its turn would not come any more."""
        waiting = [(one.order, still) for still, one in self._asked.items() if one.drawing is None]
        _, still = min(waiting)
        _refuse(self._asked.pop(still), NotReady("Too many newer stills are waited for."))

    def _begin(self) -> None:
        """Draw as many as there is room for, the newest first."""
        if self._closed:
            return
        waiting = [(one.order, still) for still, one in self._asked.items() if one.drawing is None]
        waiting.sort(reverse=True)
        for _, still in waiting[: self._at_once - len(self._drawing)]:
            asked = self._asked[still]
            task = asked.drawing = asyncio.create_task(self._serve(still, asked), name=f"still {still}")
            self._drawing.add(task)
            task.add_done_callback(partial(self._drawn, asked))

    async def _serve(self, still: Still, asked: _Asked) -> None:
        try:
            data = await self._draw(still)
        except SegmentFailed as error:
            slow = isinstance(error, TooSlow)
            until = asyncio.get_running_loop().time() + PATIENCE_SECONDS if slow else math.inf
            self._keep(still, _Failed(error, until))
            _refuse(asked, error)
        except MediaServiceError as error:
            _refuse(asked, error)
        else:
            self._keep(still, data)
            if not asked.done.done():
                asked.done.set_result(data)
        finally:
            if self._asked.get(still) is asked:
                del self._asked[still]

    def _drawn(self, asked: _Asked, task: asyncio.Task[None]) -> None:
        self._drawing.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a still broke unexpectedly", exc_info=error)
            _refuse(
                asked, MediaServiceError("The service made a mistake with this still; its log says more.")
            )
        self._begin()

    def _leave(self, still: Still, asked: _Asked) -> None:
        asked.waiting -= 1
        if asked.waiting or self._asked.get(still) is not asked:
            return
        del self._asked[still]
        if asked.drawing is not None:
            asked.drawing.cancel()

    def _keep(self, still: Still, made: bytes | _Failed) -> None:
        self._kept[still] = made
        self._kept_bytes += _size(made)
        while len(self._kept) > MOST_KEPT or self._kept_bytes > MOST_KEPT_BYTES:
            _, dropped = self._kept.popitem(last=False)
            self._kept_bytes -= _size(dropped)


def _size(made: bytes | _Failed) -> int:
    return len(made) if isinstance(made, bytes) else 0


def _refuse(asked: _Asked, error: MediaServiceError) -> None:
    if not asked.done.done():
        asked.done.set_exception(error)
        asked.done.exception()  # seen, also when the last one leaves in this very moment
