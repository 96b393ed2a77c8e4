"""`/api/v1/keys`: who else may do what. docs/security.md says what the scopes open."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import HttpMethod, Response, delete, post, route

from media_service.store.api_keys import MAX_NAME_CHARACTERS, digest_of, new_key
from media_service.store.catalog import Catalog
from media_service.store.instants import now_ms
from media_service.store.records import ApiKey, Scope
from media_service.web.guards import needs
from media_service.web.keyring import Keyring
from media_service.web.openapi import ApiOperation
from media_service.web.shapes import instant

KEYS = "/api/v1/keys"
NO_STORE = {"cache-control": "no-store"}


class KeyWish(msgspec.Struct, forbid_unknown_fields=True):
    """What POST takes."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME_CHARACTERS)]
    scopes: Annotated[list[Scope], msgspec.Meta(min_length=1)]


class KeyJson(msgspec.Struct, frozen=True):
    """A key, without what opens. `last_used_at` is known to the hour."""

    id: str
    name: str
    scopes: list[Scope]
    created_at: str
    last_used_at: str | None


class NewKeyJson(KeyJson, frozen=True):
    """A key that was just made; `key` is what opens, and is never shown again."""

    key: str


class KeyListJson(msgspec.Struct, frozen=True):
    """The keys that are not revoked, oldest first."""

    items: list[KeyJson]


@route(
    KEYS,
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
    guards=[needs("manage")],
    tags=["keys"],
    operation_class=ApiOperation,
)
async def list_keys(catalog: Catalog) -> Response[KeyListJson]:
    """The keys that are not revoked. The admin token is not among them."""
    return Response(
        KeyListJson([KeyJson(**_told(key)) for key in await catalog.keys()]),
        headers=NO_STORE,
    )


@post(KEYS, guards=[needs("manage")], tags=["keys"], operation_class=ApiOperation, status_code=201)
async def add_key(catalog: Catalog, data: KeyWish) -> Response[NewKeyJson]:
    """Make a key. The answer alone holds what opens; only its digest is kept."""
    key, secret = new_key(data.name, set(data.scopes), now=now_ms())
    await catalog.add_key(key, digest_of(secret))
    return Response(NewKeyJson(**_told(key), key=secret), headers=NO_STORE)


@delete(f"{KEYS}/{{key_id:str}}", guards=[needs("manage")], tags=["keys"], operation_class=ApiOperation)
async def revoke_key(catalog: Catalog, keyring: Keyring, key_id: str) -> None:
    """Revoke a key: it opens nothing any more. What was made with it stays."""
    await catalog.revoke_key(key_id, now=now_ms())
    keyring.forget()


def _told(key: ApiKey) -> dict[str, Any]:
    used = None if key.last_used_at is None else instant(key.last_used_at)
    return {
        "id": key.id,
        "name": key.name,
        "scopes": list(key.scopes),
        "created_at": instant(key.created_at),
        "last_used_at": used,
    }


HANDLERS = [list_keys, add_key, revoke_key]
