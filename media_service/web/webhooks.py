"""`/api/v1/webhooks`: who is told of what happens, and what came of the telling. docs/webhooks.md is for receivers."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import HttpMethod, Response, delete, post, route
from litestar.params import Parameter

from media_service.store.catalog import Catalog
from media_service.store.instants import now_ms
from media_service.store.records import Delivery, DeliveryState, Webhook, WebhookEvent
from media_service.store.webhooks import EVENTS, new_webhook
from media_service.web.guards import needs
from media_service.web.openapi import ApiOperation
from media_service.web.shapes import instant
from media_service.wire.webhook_targets import MAX_URL_CHARACTERS, read_target
from media_service.work.webhook_calls import Caller

WEBHOOKS = "/api/v1/webhooks"
NO_STORE = {"cache-control": "no-store"}


class WebhookWish(msgspec.Struct, forbid_unknown_fields=True):
    """What POST takes. Without `event_types`: all that there are."""

    url: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_URL_CHARACTERS)]
    # Not `events`: litestar takes a mistake in a field for its own (500) when some dependency has the field's name.
    event_types: Annotated[set[WebhookEvent], msgspec.Meta(min_length=1)] = msgspec.field(
        default_factory=lambda: set(EVENTS)
    )


class WebhookJson(msgspec.Struct, frozen=True):
    """A webhook, without its secret."""

    id: str
    url: str
    event_types: list[WebhookEvent]
    created_at: str


class NewWebhookJson(WebhookJson, frozen=True):
    """A webhook that was just made; `secret` is what its deliveries are signed with, and is never shown again."""

    secret: str


class WebhookListJson(msgspec.Struct, frozen=True):
    """All webhooks, oldest first."""

    items: list[WebhookJson]


class DeliveryJson(msgspec.Struct, frozen=True):
    """One event on its way to a webhook: `waiting` until `next_at`, `delivered`, or `given_up`.

    `last_status` is what the receiver answered last; null when no answer came, and then `last_error` says why.
    """

    id: str
    event: WebhookEvent
    asset_id: str
    state: DeliveryState
    attempts: int
    next_at: str | None
    last_status: int | None
    last_error: str | None
    created_at: str
    ended_at: str | None


class DeliveryPageJson(msgspec.Struct, frozen=True):
    """One page of the deliveries of a webhook, newest first; `next_cursor` is null on the last."""

    items: list[DeliveryJson]
    next_cursor: str | None


@route(
    WEBHOOKS,
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
    guards=[needs("manage")],
    tags=["webhooks"],
    operation_class=ApiOperation,
)
async def list_webhooks(catalog: Catalog) -> Response[WebhookListJson]:
    """The webhooks that there are."""
    told = [WebhookJson(**_told(webhook)) for webhook in await catalog.webhooks()]
    return Response(WebhookListJson(told), headers=NO_STORE)


@post(WEBHOOKS, guards=[needs("manage")], tags=["webhooks"], operation_class=ApiOperation, status_code=201)
async def add_webhook(
    catalog: Catalog, webhook_caller: Caller, data: WebhookWish
) -> Response[NewWebhookJson]:
    """Have an address told of what happens from now on. The answer alone holds the secret that deliveries are signed with."""
    await webhook_caller.check(read_target(data.url))
    webhook = new_webhook(data.url, data.event_types, now=now_ms())
    await catalog.add_webhook(webhook)
    return Response(NewWebhookJson(**_told(webhook), secret=webhook.secret), headers=NO_STORE)


@delete(
    f"{WEBHOOKS}/{{webhook_id:str}}",
    guards=[needs("manage")],
    tags=["webhooks"],
    operation_class=ApiOperation,
)
async def delete_webhook(catalog: Catalog, webhook_id: str) -> None:
    """Tell this address nothing any more, not even what is on its way."""
    await catalog.delete_webhook(webhook_id)


@route(
    f"{WEBHOOKS}/{{webhook_id:str}}/deliveries",
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
    guards=[needs("manage")],
    tags=["webhooks"],
    operation_class=ApiOperation,
)
async def list_deliveries(
    catalog: Catalog,
    webhook_id: str,
    limit: Annotated[int, Parameter(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Parameter(max_length=200)] = None,
) -> Response[DeliveryPageJson]:
    """What was told to a webhook or is to be, newest first; of what has come to its end, the last 30 days."""
    found, next_cursor = await catalog.deliveries(webhook_id, limit, cursor)
    return Response(DeliveryPageJson([_delivery(one) for one in found], next_cursor), headers=NO_STORE)


def _told(webhook: Webhook) -> dict[str, Any]:
    return {
        "id": webhook.id,
        "url": webhook.url,
        "event_types": list(webhook.events),
        "created_at": instant(webhook.created_at),
    }


def _delivery(delivery: Delivery) -> DeliveryJson:
    return DeliveryJson(
        id=delivery.id,
        event=delivery.event,
        asset_id=delivery.asset_id,
        state=delivery.state,
        attempts=delivery.attempts,
        next_at=None if delivery.next_at is None else instant(delivery.next_at),
        last_status=delivery.last_status,
        last_error=delivery.last_error,
        created_at=instant(delivery.created_at),
        ended_at=None if delivery.ended_at is None else instant(delivery.ended_at),
    )


HANDLERS = [list_webhooks, add_webhook, delete_webhook, list_deliveries]
