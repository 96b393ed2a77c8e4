"""Deliveries on their way: to receivers that take, fail, hang and come back, through crashes and restarts."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from media_service.errors import StorageFull
from media_service.store.catalog import Catalog, open_catalog
from media_service.store.engine import sqlite_url
from media_service.store.instants import now_ms
from media_service.store.records import Asset, Delivery, DeliveryState, Webhook
from media_service.store.webhooks import EVENTS, new_webhook
from media_service.wire.webhook_signatures import signed_headers
from media_service.work import webhooks as sending
from media_service.work.webhook_calls import Caller
from media_service.work.webhooks import KEPT_SECONDS, WAIT_SECONDS, Sender
from tests.support.receiver import Got, Receiver, running_receiver

QUICK = (0.05, 0.05, 0.05)


@pytest.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[Catalog]:
    async with open_catalog(sqlite_url(tmp_path / "catalog.sqlite3")) as opened:
        yield opened


@asynccontextmanager
async def sender(catalog: Catalog, **options: Any) -> AsyncIterator[Sender]:
    known: dict[str, Any] = {"wait_seconds": QUICK, **options}
    async with (
        Caller(private_targets=True, call_seconds=known.pop("call_seconds", 5.0)) as caller,
        Sender(catalog, caller, **known) as running,
    ):
        yield running


async def point(catalog: Catalog, receiver: Receiver, path: str = "/hook") -> Webhook:
    webhook = new_webhook(receiver.url(path), EVENTS, now=now_ms())
    await catalog.add_webhook(webhook)
    return webhook


async def happen(catalog: Catalog, asset_id: str = "film") -> None:
    """An upload is finished."""
    now = now_ms()
    await catalog.add_asset(
        Asset(
            id=asset_id,
            title=asset_id,
            filename="film.mp4",
            extension="mp4",
            media_type="video/mp4",
            size=5,
            sha256="ab",
            state="probing",
            created_at=now,
            updated_at=now,
        )
    )


async def come_to(
    catalog: Catalog, webhook: Webhook, state: DeliveryState, count: int = 1, *, attempts: int = 0
) -> list[Delivery]:
    """The deliveries of a webhook once so many are in that state, with so many attempts at least."""
    async with asyncio.timeout(20):
        while True:
            found, _ = await catalog.deliveries(webhook.id, 100)
            there = [one for one in found if one.state == state and one.attempts >= attempts]
            if len(there) >= count:
                return there
            await asyncio.sleep(0.02)


async def received(receiver: Receiver, count: int) -> list[Got]:
    return await asyncio.to_thread(receiver.wait_for, count)


async def test_what_happens_is_told_at_once_signed_and_under_the_id_of_the_list(catalog: Catalog) -> None:
    with running_receiver() as receiver:
        webhook = await point(catalog, receiver)
        async with sender(catalog):
            began = time.monotonic()
            await happen(catalog)
            [got] = await received(receiver, 1)
            assert time.monotonic() - began < 5
            [kept] = await come_to(catalog, webhook, "delivered")
    assert (kept.attempts, kept.last_status, kept.last_error, kept.next_at) == (1, 204, None, None)
    assert kept.ended_at is not None
    timestamp = int(got.headers["webhook-timestamp"])
    assert abs(timestamp - time.time()) < 30
    expected = signed_headers(webhook.secret, kept.id, timestamp, got.body)
    assert {name: got.headers[name] for name in expected} == expected
    assert got.headers["content-type"] == "application/json"
    assert got.body == kept.body
    told = json.loads(got.body)
    assert (told["type"], told["data"]["id"]) == ("upload.finished", "film")
    assert webhook.secret.encode() not in got.body


async def test_one_that_fails_is_told_again_with_the_same_body_until_it_takes_it(catalog: Catalog) -> None:
    answers = [500, 302, 404, 200]
    with running_receiver(lambda number: answers[number]) as receiver:
        webhook = await point(catalog, receiver)
        async with sender(catalog):
            await happen(catalog)
            [kept] = await come_to(catalog, webhook, "delivered")
    assert kept.attempts == 4
    assert len({(got.headers["webhook-id"], got.body) for got in receiver.got}) == 1
    assert len(receiver.got) == 4


async def test_one_that_always_fails_is_given_up_and_listed_so(catalog: Catalog) -> None:
    with running_receiver(lambda _: 503) as receiver:
        webhook = await point(catalog, receiver)
        async with sender(catalog):
            await happen(catalog)
            [kept] = await come_to(catalog, webhook, "given_up")
    assert (kept.attempts, kept.last_status, kept.last_error) == (4, 503, "The answer was 503.")
    assert kept.next_at is None
    assert len(receiver.got) == 4


async def test_the_waits_grow_and_are_kept(catalog: Catalog) -> None:
    assert WAIT_SECONDS == (5, 30, 120, 600, 3600, 21600, 86400)
    with running_receiver(lambda _: 500) as receiver:
        webhook = await point(catalog, receiver)
        async with sender(catalog, wait_seconds=(0.05, 0.1, 3600)):
            await happen(catalog)
            [kept] = await come_to(catalog, webhook, "waiting", attempts=3)
            await received(receiver, 3)
            async with asyncio.timeout(10):
                while kept.last_status is None or kept.attempts < 3:
                    [kept] = await come_to(catalog, webhook, "waiting", attempts=3)
    assert kept.next_at is not None
    assert 3500_000 < kept.next_at - now_ms() <= 3600_000


async def test_one_that_hangs_delays_nobody_else(catalog: Catalog) -> None:
    with running_receiver(lambda _: None) as hanging, running_receiver() as receiver:
        stuck, webhook = await point(catalog, hanging), await point(catalog, receiver)
        async with sender(catalog, call_seconds=30.0):
            await happen(catalog, "first")
            await received(hanging, 1)
            for number in range(5):
                await happen(catalog, f"film{number}")
            await come_to(catalog, webhook, "delivered", 6)
        assert len(hanging.got) == 1  # one at a time
        found, _ = await catalog.deliveries(stuck.id, 100)
        assert [one.state for one in found] == ["waiting"] * 6


async def test_one_that_hangs_is_told_again_after_its_time(catalog: Catalog) -> None:
    with running_receiver(lambda number: None if number == 0 else 200) as receiver:
        webhook = await point(catalog, receiver)
        async with sender(catalog, call_seconds=0.2):
            await happen(catalog)
            [kept] = await come_to(catalog, webhook, "delivered")
    assert kept.attempts == 2


async def test_what_waits_when_the_service_starts_is_told(catalog: Catalog) -> None:
    """The crash came between the state, which is kept, and its telling."""
    with running_receiver() as receiver:
        webhook = await point(catalog, receiver)
        for number in range(3):
            await happen(catalog, f"film{number}")
        assert not receiver.got
        async with sender(catalog):
            await come_to(catalog, webhook, "delivered", 3)
    told = sorted(json.loads(got.body)["data"]["id"] for got in receiver.got)
    assert told == ["film0", "film1", "film2"]


async def test_an_attempt_that_ended_with_the_service_is_made_again_after_its_wait(catalog: Catalog) -> None:
    with running_receiver(lambda number: None if number == 0 else 200) as receiver:
        webhook = await point(catalog, receiver)
        async with sender(catalog, wait_seconds=(0.5, 3600)):
            await happen(catalog)
            await received(receiver, 1)
        [kept], _ = await catalog.deliveries(webhook.id, 10)
        assert (kept.state, kept.attempts, kept.last_status) == ("waiting", 1, None)
        async with sender(catalog, wait_seconds=(0.5, 3600)):
            [kept] = await come_to(catalog, webhook, "delivered")
    assert kept.attempts == 2
    assert [got.headers["webhook-id"] for got in receiver.got] == [kept.id] * 2


async def test_a_deleted_webhook_is_told_nothing_more(catalog: Catalog) -> None:
    with running_receiver(lambda _: 500) as receiver:
        webhook = await point(catalog, receiver)
        async with sender(catalog, wait_seconds=(0.3, 0.3, 0.3)):
            await happen(catalog)
            await received(receiver, 1)
            await catalog.delete_webhook(webhook.id)
            await happen(catalog, "another")
            await asyncio.sleep(0.6)  # nothing comes, so there is nothing to wait for
    assert len(receiver.got) == 1


async def test_a_full_disk_never_means_telling_again_and_again(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "TROUBLE_SECONDS", 0.05)
    full = asyncio.Event()
    end = catalog.end_delivery

    async def unless_full(*args: Any, **changes: Any) -> None:
        if full.is_set():
            raise StorageFull("There is no room left on the disk of the catalog.")
        await end(*args, **changes)

    monkeypatch.setattr(catalog, "end_delivery", unless_full)
    with running_receiver() as receiver:
        webhook = await point(catalog, receiver)
        full.set()
        async with sender(catalog, wait_seconds=(1.5, 3600)):
            await happen(catalog)
            await received(receiver, 1)
            await asyncio.sleep(0.5)  # a dozen times longer than the trouble's pause
            assert len(receiver.got) == 1
            full.clear()
            [kept] = await come_to(catalog, webhook, "delivered")
    assert kept.attempts == 2


async def test_a_catalog_that_fails_is_asked_again(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "TROUBLE_SECONDS", 0.05)

    def failing(call: Callable[..., Any]) -> Callable[..., Any]:
        times = iter(range(3))

        async def fail_thrice(*args: Any, **options: Any) -> Any:
            if next(times, None) is not None:
                raise StorageFull("No.")
            return await call(*args, **options)

        return fail_thrice

    for name in ("begin_delivery", "waiting_webhooks", "forget_deliveries"):
        monkeypatch.setattr(catalog, name, failing(getattr(catalog, name)))
    with running_receiver() as receiver:
        webhook = await point(catalog, receiver)
        await happen(catalog)
        async with sender(catalog):
            [kept] = await come_to(catalog, webhook, "delivered")
    assert (kept.attempts, len(receiver.got)) == (1, 1)


async def test_many_webhooks_and_many_events_all_arrive_once_each(catalog: Catalog) -> None:
    with running_receiver() as receiver:
        hooks = [await point(catalog, receiver, f"/{number}") for number in range(12)]
        async with sender(catalog):
            await asyncio.gather(*(happen(catalog, f"film{number}") for number in range(8)))
            for webhook in hooks:
                await come_to(catalog, webhook, "delivered", 8)
    assert len(receiver.got) == len({got.headers["webhook-id"] for got in receiver.got}) == 12 * 8


async def test_what_ended_long_ago_is_forgotten_at_the_start(catalog: Catalog) -> None:
    with running_receiver() as receiver:
        webhook = await point(catalog, receiver)
        for name in ("old", "new"):
            await happen(catalog, name)
        for kept in (await catalog.deliveries(webhook.id, 10))[0]:
            ended = now_ms() - (KEPT_SECONDS + 60) * 1000 * (kept.asset_id == "old")
            await catalog.end_delivery(kept.id, "delivered", now=ended, next_at=None, status=200, error=None)
        async with sender(catalog), asyncio.timeout(10):
            while True:
                left, _ = await catalog.deliveries(webhook.id, 10)
                if len(left) == 1:
                    break
                await asyncio.sleep(0.02)
    assert [kept.asset_id for kept in left] == ["new"]
    assert not receiver.got
