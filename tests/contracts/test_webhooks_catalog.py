"""The story of webhooks that every catalog must tell: what is announced when, and what becomes of a delivery."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from media_service.errors import InvalidRequest, NotFound, TooManyWebhooks, TranscodeStalled
from media_service.store import changing
from media_service.store.catalog import Catalog, open_catalog
from media_service.store.engine import sqlite_url
from media_service.store.records import Asset, Delivery, Webhook, WebhookEvent
from media_service.store.webhooks import EVENTS, MAX_BODY_BYTES, MAX_WEBHOOKS, body_of, new_webhook
from media_service.wire.webhook_signatures import signed_headers

NOW = 1_700_000_000_000
LATER = NOW + 10**12
WAITS = (5_000, 30_000)


@pytest.fixture(params=["sqlite"])
async def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Catalog]:
    assert request.param == "sqlite"
    async with open_catalog(sqlite_url(tmp_path / "catalog.sqlite3")) as opened:
        yield opened


def asset(asset_id: str = "film", **fields: Any) -> Asset:
    known = {
        "title": "A film",
        "filename": "film.mp4",
        "extension": "mp4",
        "media_type": "video/mp4",
        "size": 5,
        "sha256": "ab",
        "state": "probing",
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Asset(id=asset_id, **{**known, **fields})


async def add(catalog: Catalog, *events: WebhookEvent, now: int = NOW) -> Webhook:
    webhook = new_webhook("https://example.com/hook", events or EVENTS, now=now)
    await catalog.add_webhook(webhook)
    return webhook


async def told(catalog: Catalog, webhook: Webhook) -> list[str]:
    """The events that are on their way, oldest first."""
    found, cursor = await catalog.deliveries(webhook.id, 100)
    assert cursor is None
    return [one.event for one in sorted(found, key=lambda one: one.created_at)]


async def begin(catalog: Catalog, webhook: Webhook, now: int) -> Delivery | None:
    begun = await catalog.begin_delivery(webhook.id, now=now, waits=WAITS)
    if begun is None:
        return None
    assert begun[0] == webhook
    return begun[1]


# --- webhooks -------------------------------------------------------------------------------------------------


async def test_webhooks_are_kept_as_they_were_made_until_they_are_deleted(catalog: Catalog) -> None:
    one, other = await add(catalog, "asset.ready", "asset.failed"), await add(catalog, now=NOW + 1)
    assert one.events == ("asset.failed", "asset.ready")
    assert await catalog.webhooks() == [one, other]
    assert await catalog.webhook(one.id) == one
    await catalog.delete_webhook(one.id)
    assert await catalog.webhooks() == [other]
    for call in (catalog.webhook(one.id), catalog.delete_webhook(one.id), catalog.deliveries(one.id, 1)):
        with pytest.raises(NotFound):
            await call


async def test_no_more_than_so_many_are_kept(catalog: Catalog) -> None:
    for _ in range(MAX_WEBHOOKS):
        last = await add(catalog, "asset.ready")
    with pytest.raises(TooManyWebhooks):
        await add(catalog)
    await catalog.delete_webhook(last.id)
    await add(catalog)


@pytest.mark.parametrize("events", [[], [""], ["asset.deleted"], ["asset.ready", "x"], ["ASSET.READY"]])
def test_events_that_are_none_are_refused(events: list[str]) -> None:
    with pytest.raises(InvalidRequest):
        new_webhook("https://example.com/", events, now=NOW)


def test_each_secret_is_its_own_and_fit_to_sign_with_and_never_shown_by_accident() -> None:
    made = [new_webhook("https://example.com/", EVENTS, now=NOW) for _ in range(20)]
    assert len({one.secret for one in made}) == len({one.id for one in made}) == 20
    for one in made:
        assert signed_headers(one.secret, "msg_1", 1, b"")
        assert one.secret not in f"{one} {one!r}"


# --- what is announced ----------------------------------------------------------------------------------------


async def test_each_change_of_state_is_told_once_and_other_changes_are_not(catalog: Catalog) -> None:
    webhook = await add(catalog)
    await catalog.add_asset(asset())
    assert await told(catalog, webhook) == ["upload.finished"]
    await catalog.update_asset("film", title="Another title")
    await catalog.update_asset("film", state="playable", duration_seconds=2.5)
    await catalog.update_asset("film", state="playable", has_poster=True)
    await catalog.finish("film", {})
    await catalog.finish("film", {})
    await catalog.update_asset("film", title="Yet another")
    await catalog.fail_asset("film", TranscodeStalled("No."))
    await catalog.fail_asset("film", TranscodeStalled("No, and no."))
    found, _ = await catalog.deliveries(webhook.id, 100)
    assert sorted(one.event for one in found) == [
        "asset.failed",
        "asset.playable",
        "asset.ready",
        "upload.finished",
    ]
    bodies = {one.event: json.loads(one.body) for one in found}
    assert {event: body["type"] for event, body in bodies.items()} == {event: event for event in EVENTS}
    assert bodies["asset.playable"]["data"]["duration"] == 2.5
    assert bodies["asset.playable"]["data"]["title"] == "Another title"
    assert bodies["asset.ready"]["data"]["error"] is None
    assert bodies["asset.failed"]["data"]["error"] == {"code": TranscodeStalled.code, "detail": "No."}
    assert len({one.id for one in found}) == 4


async def test_a_webhook_hears_of_what_it_asked_for_and_of_nothing_before_its_time(catalog: Catalog) -> None:
    await catalog.add_asset(asset())
    ready, failed = await add(catalog, "asset.ready"), await add(catalog, "asset.failed")
    await catalog.update_asset("film", state="playable")
    await catalog.finish("film", {})
    assert await told(catalog, ready) == ["asset.ready"]
    assert await told(catalog, failed) == []


async def test_an_upload_that_gives_an_asset_that_is_there_is_not_told_again(catalog: Catalog) -> None:
    webhook = await add(catalog)
    await catalog.add_asset(asset(), owner="key", idempotency_key="once")
    await catalog.add_asset(asset("again"), owner="key", idempotency_key="once")
    await catalog.add_asset(asset("twin"), deduplicate=True)
    assert await told(catalog, webhook) == ["upload.finished"]


async def test_a_change_that_does_not_happen_is_not_told_and_one_that_cannot_be_told_does_not_happen(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook = await add(catalog)
    await catalog.add_asset(asset())

    async def broken(connection: AsyncConnection, before: str, changed: Asset) -> None:
        raise RuntimeError("the power went")

    with monkeypatch.context() as patch:
        patch.setattr(changing, "announce_state", broken)
        with pytest.raises(RuntimeError):
            await catalog.update_asset("film", state="playable")
        with pytest.raises(RuntimeError):
            await catalog.finish("film", {})
    assert (await catalog.asset("film")).state == "probing"
    with pytest.raises(NotFound):
        await catalog.finish("film", {"720p": b""})  # there is no such rendition: all of it is undone
    assert await told(catalog, webhook) == ["upload.finished"]


async def test_whoever_sends_is_woken(catalog: Catalog) -> None:
    await add(catalog)
    for change in (catalog.add_asset(asset()), catalog.update_asset("film", state="playable"), catalog.finish("film", {})):  # fmt: skip
        catalog.deliveries_added.clear()
        await change
        assert catalog.deliveries_added.is_set()


async def test_what_happened_is_told_also_of_an_asset_that_is_deleted(catalog: Catalog) -> None:
    webhook = await add(catalog)
    await catalog.add_asset(asset())
    await catalog.delete_asset("film")
    assert await told(catalog, webhook) == ["upload.finished"]
    assert await begin(catalog, webhook, LATER)


@pytest.mark.parametrize("character", ["\x00", "\\", "\U0001f3a5", "\u2028"])
def test_no_body_is_larger_than_it_may_be(character: str) -> None:
    longest = asset(
        title=character * 200, filename=character * 255, error_code="x", error_detail=character * 10**6
    )
    body = body_of("asset.failed", longest, NOW)
    assert len(body) <= MAX_BODY_BYTES
    assert json.loads(body)["timestamp"] == "2023-11-14T22:13:20.000Z"


# --- what becomes of a delivery -------------------------------------------------------------------------------


async def test_an_attempt_is_counted_before_it_is_made_and_the_next_one_set(catalog: Catalog) -> None:
    webhook = await add(catalog)
    await catalog.add_asset(asset())
    assert await catalog.waiting_webhooks() == {webhook.id: NOW}
    assert await begin(catalog, webhook, NOW - 1) is None
    first = await begin(catalog, webhook, NOW)
    assert first is not None
    assert (first.attempts, first.next_at, first.state) == (1, NOW + 5_000, "waiting")
    # Nothing more is heard of it: the service died.
    assert await begin(catalog, webhook, NOW + 4_999) is None
    again = await begin(catalog, webhook, NOW + 5_000)
    assert again is not None
    assert (again.id, again.body, again.attempts, again.next_at) == (first.id, first.body, 2, NOW + 35_000)
    third = await begin(catalog, webhook, NOW + 35_000)
    assert third is not None
    assert third.attempts == 3
    # That was the last one.
    assert await begin(catalog, webhook, LATER) is None
    [ended], _ = await catalog.deliveries(webhook.id, 10)
    assert (ended.state, ended.attempts, ended.next_at, ended.ended_at) == ("given_up", 3, None, LATER)
    assert await catalog.waiting_webhooks() == {}


async def test_one_that_is_given_up_does_not_hide_the_next(catalog: Catalog) -> None:
    webhook = await add(catalog)
    await catalog.add_asset(asset())
    await catalog.add_asset(asset("next", updated_at=NOW + 1))
    for now in (NOW, NOW + 5_000, NOW + 35_000):
        begun = await begin(catalog, webhook, now)
        assert begun is not None
        if begun.asset_id == "next":
            await catalog.end_delivery(begun.id, "waiting", now=now, next_at=LATER, status=None, error="x")
            begun = await begin(catalog, webhook, now)
            assert begun is not None
        assert begun.asset_id == "film"
    following = await begin(catalog, webhook, LATER)
    assert following is not None
    assert following.asset_id == "next"


async def test_what_came_of_an_attempt_is_kept(catalog: Catalog) -> None:
    webhook = await add(catalog)
    await catalog.add_asset(asset())
    begun = await begin(catalog, webhook, NOW)
    assert begun is not None
    await catalog.end_delivery(
        begun.id, "waiting", now=NOW, next_at=NOW + 9, status=500, error="It said 500."
    )
    [kept], _ = await catalog.deliveries(webhook.id, 10)
    assert (kept.state, kept.next_at, kept.last_status, kept.last_error) == (
        "waiting",
        NOW + 9,
        500,
        "It said 500.",
    )
    assert kept.ended_at is None
    await catalog.end_delivery(begun.id, "delivered", now=NOW + 10, next_at=None, status=204, error=None)
    [kept], _ = await catalog.deliveries(webhook.id, 10)
    assert (kept.state, kept.last_status, kept.last_error, kept.ended_at) == (
        "delivered",
        204,
        None,
        NOW + 10,
    )
    assert await begin(catalog, webhook, LATER) is None


async def test_two_that_send_never_begin_the_same(catalog: Catalog) -> None:
    webhook = await add(catalog)
    for number in range(5):
        await catalog.add_asset(asset(f"film{number}"))
    begun = await asyncio.gather(*(begin(catalog, webhook, NOW) for _ in range(8)))
    assert len({one.id for one in begun if one is not None}) == 5
    assert begun.count(None) == 3


async def test_the_deliveries_of_a_deleted_webhook_go_with_it_also_one_that_is_being_made(
    catalog: Catalog,
) -> None:
    webhook, other = await add(catalog), await add(catalog)
    await catalog.add_asset(asset())
    begun = await begin(catalog, webhook, NOW)
    assert begun is not None
    await catalog.delete_webhook(webhook.id)
    await catalog.end_delivery(begun.id, "delivered", now=NOW, next_at=None, status=200, error=None)
    assert await catalog.waiting_webhooks() == {other.id: NOW}
    assert await begin(catalog, webhook, LATER) is None


async def test_the_list_is_walked_newest_first_and_whole(catalog: Catalog) -> None:
    webhook, other = await add(catalog), await add(catalog)
    for number in range(7):
        await catalog.add_asset(asset(f"film{number}", updated_at=NOW + number // 2))
    walked: list[Delivery] = []
    cursor = None
    while True:
        page, cursor = await catalog.deliveries(webhook.id, 2, cursor)
        walked += page
        if cursor is None:
            break
        assert len(page) == 2
    assert len({one.id for one in walked}) == 7
    instants = [one.created_at for one in walked]
    assert instants == sorted(instants, reverse=True)
    assert {one.webhook_id for one in walked} == {webhook.id} != {other.id}
    with pytest.raises(InvalidRequest):
        await catalog.deliveries(webhook.id, 2, "no cursor")


async def test_what_has_ended_long_ago_is_forgotten_and_what_waits_is_not(catalog: Catalog) -> None:
    webhook = await add(catalog)
    for name in ("old", "new", "waits"):
        await catalog.add_asset(asset(name))
    found = {one.asset_id: one for one in (await catalog.deliveries(webhook.id, 10))[0]}
    for name, ended in (("old", NOW), ("new", NOW + 1)):
        await catalog.end_delivery(
            found[name].id, "given_up", now=ended, next_at=None, status=None, error="x"
        )
    await catalog.forget_deliveries(NOW + 1)
    kept, _ = await catalog.deliveries(webhook.id, 10)
    assert {one.asset_id for one in kept} == {"new", "waits"}
