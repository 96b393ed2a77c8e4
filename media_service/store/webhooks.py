"""The part of the catalog that is about webhooks: who wants to be told of what, and what is on its way to them.

A delivery is a row that is written in the very transaction in which the state changes: there is no state of which nobody was
told, and no telling of a state that never was, whenever the service dies. An attempt is counted, and the next one set, before
it is made: one that ended with the service, or whose outcome could not be kept, is made again, and no sooner than a failed one.
"""

from __future__ import annotations

import asyncio
import secrets
from base64 import b32encode
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any, get_args

import msgspec
from msgspec.structs import asdict
from sqlalchemy import RowMapping, delete, func, insert, select, tuple_, update

from media_service.errors import InvalidRequest, TooManyWebhooks
from media_service.store.asynchronous import AsyncConnection
from media_service.store.database import Database, OnDatabase, only
from media_service.store.listing import Position
from media_service.store.models import deliveries, webhooks
from media_service.store.records import Asset, Delivery, DeliveryState, Webhook, WebhookEvent
from media_service.wire.webhook_signatures import SECRET_BYTES, write_secret

EVENTS: tuple[WebhookEvent, ...] = get_args(WebhookEvent)
MAX_WEBHOOKS = 100  # each costs a row per event, and a connection while it is told
MAX_BODY_BYTES = 64 << 10
MAX_DETAIL_CHARACTERS = 2000  # of an asset's error, in a body

_STATES: dict[str, WebhookEvent] = {
    "playable": "asset.playable",
    "ready": "asset.ready",
    "failed": "asset.failed",
}
_WEBHOOK = [webhooks.c[name] for name in Webhook.__struct_fields__]
_DELIVERY = [deliveries.c[name] for name in Delivery.__struct_fields__]
_ORDER = "deliveries desc"  # names the list to its cursors
_WAITING = deliveries.c.state == "waiting"


def new_webhook(url: str, events: Collection[str], *, now: int) -> Webhook:
    """A new webhook with a secret of its own. Raises InvalidRequest for events that are none."""
    known = tuple(event for event in EVENTS if event in events)
    if not known or len(known) < len(set(events)):
        raise InvalidRequest(f"A webhook has at least one of the events {', '.join(EVENTS)}, and no others.")
    secret = write_secret(secrets.token_bytes(SECRET_BYTES))
    return Webhook(id=secrets.token_hex(6), url=url, secret=secret, events=known, created_at=now)


class Webhooks(OnDatabase):
    """The methods of `store.catalog.Catalog` on webhooks and deliveries. `now` is Unix milliseconds.

    `deliveries_added` is set whenever there may be something new to be sent.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.deliveries_added = asyncio.Event()

    async def add_webhook(self, webhook: Webhook) -> None:
        """Add a new webhook. Raises TooManyWebhooks."""

        async def change(connection: AsyncConnection) -> None:
            if (await connection.scalar(select(func.count()).select_from(webhooks)) or 0) >= MAX_WEBHOOKS:
                raise TooManyWebhooks(f"There are {MAX_WEBHOOKS} webhooks, and no more are allowed.")
            values = {**asdict(webhook), "events": ",".join(webhook.events)}
            await connection.execute(insert(webhooks).values(values))

        await self._write(change, of=None)

    async def webhooks(self) -> list[Webhook]:
        """All webhooks, oldest first."""
        query = select(*_WEBHOOK).order_by(webhooks.c.created_at, webhooks.c.id)
        return [_webhook(row) for row in await self._read(query)]

    async def webhook(self, webhook_id: str) -> Webhook:
        """One webhook. Raises NotFound."""
        rows = await self._read(select(*_WEBHOOK).where(webhooks.c.id == webhook_id))
        only(rows, "webhook")
        return _webhook(rows[0])

    async def delete_webhook(self, webhook_id: str) -> None:
        """Forget a webhook, and what is on its way to it. Raises NotFound."""

        async def change(connection: AsyncConnection) -> None:
            gone = delete(webhooks).where(webhooks.c.id == webhook_id).returning(webhooks.c.id)
            only((await connection.execute(gone)).mappings().all(), "webhook")

        await self._write(change, of=None)

    async def deliveries(
        self, webhook_id: str, limit: int, cursor: str | None = None
    ) -> tuple[list[Delivery], str | None]:
        """Up to `limit` deliveries of a webhook, newest first, and the cursor of the next page (None on the last).

        Raises NotFound without the webhook, InvalidRequest for a cursor that is none of ours.
        """
        only(await self._read(select(webhooks.c.id).where(webhooks.c.id == webhook_id)), "webhook")
        query = select(*_DELIVERY).where(deliveries.c.webhook_id == webhook_id)
        if cursor is not None:
            after = Position.decode(cursor, _ORDER, int)
            query = query.where(
                tuple_(deliveries.c.created_at, deliveries.c.id) < tuple_(after.value, after.id)
            )
        order = (deliveries.c.created_at.desc(), deliveries.c.id.desc())
        found = [Delivery(**row) for row in await self._read(query.order_by(*order).limit(limit + 1))]
        if len(found) <= limit:
            return found, None
        last = found[limit - 1]
        return found[:limit], Position(last.created_at, last.id).encode(_ORDER)

    async def waiting_webhooks(self) -> dict[str, int]:
        """When the next delivery is due, by the id of its webhook, of those that have one."""
        due = func.min(deliveries.c.next_at).label("due")
        query = select(deliveries.c.webhook_id, due).where(_WAITING).group_by(deliveries.c.webhook_id)
        return {row["webhook_id"]: row["due"] for row in await self._read(query)}

    async def begin_delivery(
        self, webhook_id: str, *, now: int, waits: Sequence[int]
    ) -> tuple[Webhook, Delivery] | None:
        """The webhook's delivery that is due the longest, with this attempt counted, and its next one set in case that
        nothing is ever heard of this one; None when nothing is due.

        `waits` are the milliseconds behind each attempt but the last. One whose last attempt ended with the service is
        given up.
        """

        async def change(connection: AsyncConnection) -> tuple[Webhook, Delivery] | None:
            due = (deliveries.c.webhook_id == webhook_id) & _WAITING & (deliveries.c.next_at <= now)
            oldest = select(deliveries.c.id, deliveries.c.attempts).where(due)
            while row := (
                await connection.execute(
                    oldest.order_by(deliveries.c.next_at, deliveries.c.created_at, deliveries.c.id)
                    .limit(1)
                    .with_for_update()
                )
            ).one_or_none():
                begun: dict[str, Any] = {"state": "given_up", "next_at": None, "ended_at": now}
                if row.attempts <= len(waits):
                    wait = waits[min(row.attempts, len(waits) - 1)]
                    begun = {"attempts": row.attempts + 1, "next_at": now + wait}
                changed = await connection.execute(
                    update(deliveries).where(deliveries.c.id == row.id).values(**begun).returning(*_DELIVERY)
                )
                if row.attempts <= len(waits):
                    whose = await connection.execute(select(*_WEBHOOK).where(webhooks.c.id == webhook_id))
                    return _webhook(whose.mappings().one()), Delivery(**changed.mappings().one())
            return None

        return await self._write(change, of=None)

    async def end_delivery(
        self,
        delivery_id: str,
        state: DeliveryState,
        *,
        now: int,
        next_at: int | None,
        status: int | None,
        error: str | None,
    ) -> None:
        """Keep what came of an attempt. Nothing happens when the webhook was deleted meanwhile."""
        change = (
            update(deliveries)
            .where(deliveries.c.id == delivery_id)
            .values(
                state=state,
                next_at=next_at,
                last_status=status,
                last_error=error,
                ended_at=None if state == "waiting" else now,
            )
        )
        await self._write(lambda connection: connection.execute(change), of=None)

    async def forget_deliveries(self, before: int) -> None:
        """Remove those that came to their end before that instant."""
        change = delete(deliveries).where(deliveries.c.ended_at < before)
        await self._write(lambda connection: connection.execute(change), of=None)


async def announce_state(connection: AsyncConnection, before: str, asset: Asset) -> None:
    """In the transaction that changed the asset, and with it perhaps its state: deliveries to all who want to know."""
    if asset.state != before and asset.state in _STATES:
        await announce(connection, _STATES[asset.state], asset)


async def announce(connection: AsyncConnection, event: WebhookEvent, asset: Asset) -> None:
    """In the transaction in which it happens: deliveries of `event` to all who want to know."""
    rows = (await connection.execute(select(webhooks.c.id, webhooks.c.events))).all()
    wanting = [row.id for row in rows if event in row.events.split(",")]
    if wanting:
        now = asset.updated_at
        body = body_of(event, asset, now)
        added = [
            Delivery(
                id=f"msg_{b32encode(secrets.token_bytes(16)).decode().rstrip('=').lower()}",
                webhook_id=webhook_id,
                event=event,
                asset_id=asset.id,
                body=body,
                next_at=now,
                created_at=now,
            )
            for webhook_id in wanting
        ]
        await connection.execute(insert(deliveries), [asdict(one) for one in added])


def body_of(event: WebhookEvent, asset: Asset, now: int) -> bytes:
    """What is sent, as JSON of at most MAX_BODY_BYTES (Standard Webhooks, "Payload structure"): what a receiver goes on by, and
    the id by which it asks for the rest."""
    error = None
    if asset.error_code is not None:
        error = {"code": asset.error_code, "detail": (asset.error_detail or "")[:MAX_DETAIL_CHARACTERS]}
    said = {
        "id": asset.id,
        "title": asset.title,
        "filename": asset.filename,
        "state": asset.state,
        "error": error,
        "media_type": asset.media_type,
        "size": asset.size,
        "sha256": asset.sha256,
        "duration": asset.duration_seconds,
        "width": asset.width,
        "height": asset.height,
    }
    instant = datetime.fromtimestamp(now / 1000, UTC).isoformat(timespec="milliseconds")
    body = msgspec.json.encode({"type": event, "timestamp": instant.replace("+00:00", "Z"), "data": said})
    assert len(body) <= MAX_BODY_BYTES
    return body


def _webhook(row: RowMapping) -> Webhook:
    names = row["events"].split(",")
    return Webhook(**{**row, "events": tuple(event for event in EVENTS if event in names)})
