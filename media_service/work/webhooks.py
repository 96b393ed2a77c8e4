"""Deliveries, sent: one at a time to each webhook, to all of them side by side, again and again with longer waits.

What there is to be sent stands in the catalog (`store.webhooks`), so a restart goes on where the end was. A receiver that hangs
or fails delays nobody but itself. A delivery may come twice, when its answer was lost: receivers know it by its id.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from media_service import __version__
from media_service.errors import MediaServiceError
from media_service.store.catalog import Catalog
from media_service.store.instants import now_ms
from media_service.store.records import Delivery, DeliveryState, Webhook
from media_service.wire.webhook_signatures import signed_headers
from media_service.wire.webhook_targets import read_target
from media_service.work.webhook_calls import Caller, Outcome

# Behind the first attempt, the second, ...: 31 h in all, so that a receiver may be gone for a day.
WAIT_SECONDS = (5, 30, 120, 600, 3600, 6 * 3600, 24 * 3600)
KEPT_SECONDS = 30 * 86400  # how long the list tells of what was delivered or given up
CLEARING_SECONDS = 3600
LOOK_SECONDS = 60.0  # at least this often: clocks are set, also backwards
TROUBLE_SECONDS = 5.0  # when the catalog fails, until it is asked again

log = logging.getLogger(__name__)


class Sender:
    """Sends what is due; an async context manager, after which nothing is sent any more."""

    def __init__(
        self, catalog: Catalog, caller: Caller, *, wait_seconds: Sequence[float] = WAIT_SECONDS
    ) -> None:
        self._catalog = catalog
        self._caller = caller
        self._waits = [round(seconds * 1000) for seconds in wait_seconds]
        self._lanes: dict[str, asyncio.Task[None]] = {}  # by webhook
        self._looking: asyncio.Task[None] | None = None
        self._cleared_at = 0

    async def __aenter__(self) -> Self:
        self._looking = asyncio.create_task(self._look_on(), name="looking for deliveries")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._looking is not None
        self._looking.cancel()
        await asyncio.gather(self._looking, return_exceptions=True)
        lanes = list(self._lanes.values())
        for lane in lanes:
            lane.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)

    async def _look_on(self) -> None:
        news = self._catalog.deliveries_added
        while True:
            news.clear()
            try:
                wait = await self._look()
            except MediaServiceError as error:
                log.warning("what is to be delivered is not known now: %s", error)
                wait = TROUBLE_SECONDS
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await news.wait()

    async def _look(self) -> float:
        """Start a lane for each webhook for which something is due; for how many seconds there is nothing else to do."""
        now = now_ms()
        if now - self._cleared_at >= CLEARING_SECONDS * 1000:
            await self._catalog.forget_deliveries(now - KEPT_SECONDS * 1000)
            self._cleared_at = now
        wait = LOOK_SECONDS
        for webhook_id, due in (await self._catalog.waiting_webhooks()).items():
            if webhook_id in self._lanes:
                continue  # looks by itself, and tells when it ends
            if due <= now:
                lane = asyncio.create_task(self._send_all(webhook_id), name=f"delivering to {webhook_id}")
                self._lanes[webhook_id] = lane
            else:
                wait = min(wait, (due - now) / 1000)
        return wait

    async def _send_all(self, webhook_id: str) -> None:
        """Send what is due to one webhook, one after the other."""
        try:
            while await self._send_next(webhook_id):
                pass
        except MediaServiceError as error:
            log.warning("nothing is delivered to webhook %s now: %s", webhook_id, error)
            await asyncio.sleep(TROUBLE_SECONDS)  # else it would be begun again at once
        finally:
            del self._lanes[webhook_id]
            self._catalog.deliveries_added.set()

    async def _send_next(self, webhook_id: str) -> bool:
        """Send the delivery that is due the longest; whether there was one."""
        begun = await self._catalog.begin_delivery(webhook_id, now=now_ms(), waits=self._waits)
        if begun is None:
            return False
        webhook, delivery = begun
        outcome = await self._call(webhook, delivery)
        now = now_ms()
        state: DeliveryState = "waiting"
        next_at: int | None = None
        if outcome.delivered:
            state = "delivered"
        elif delivery.attempts > len(self._waits):
            state = "given_up"
            log.warning("%s was given up: webhook %s: %s", delivery.id, webhook.id, outcome.error)
        else:
            next_at = now + self._waits[delivery.attempts - 1]
            log.info("%s comes later: webhook %s: %s", delivery.id, webhook.id, outcome.error)
        await self._catalog.end_delivery(
            delivery.id, state, now=now, next_at=next_at, status=outcome.status, error=outcome.error
        )
        return True

    async def _call(self, webhook: Webhook, delivery: Delivery) -> Outcome:
        timestamp = now_ms() // 1000
        headers = {
            "content-type": "application/json",
            "user-agent": f"media_service/{__version__}",
            **signed_headers(webhook.secret, delivery.id, timestamp, delivery.body),
        }
        return await self._caller.call(read_target(webhook.url), headers, delivery.body)
