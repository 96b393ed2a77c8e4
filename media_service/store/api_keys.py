"""The part of the catalog that is about who may do what: API keys, and who is signed in to the panel.

Of both only digests are kept: who reads the catalog can open nothing with it. They are plain SHA-256, since what they are of
has 256 random bits: nobody guesses that, however fast guesses can be checked, and each request pays for the check.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from typing import get_args

from msgspec.structs import asdict
from sqlalchemy import RowMapping, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from media_service.errors import InvalidRequest, NameTaken
from media_service.store.asynchronous import AsyncConnection
from media_service.store.database import OnDatabase, only
from media_service.store.models import api_keys, panel_sessions
from media_service.store.records import ApiKey, PanelSession, Scope

SCOPES: tuple[Scope, ...] = get_args(Scope)
PREFIX = "msk_"  # finds a key that somebody committed by mistake
MAX_NAME_CHARACTERS = 64
USED_STEP_MS = 3_600_000  # how exactly it is known when a key was last used: else each request would write

_KEY = [api_keys.c[name] for name in ApiKey.__struct_fields__]
_SESSION = [panel_sessions.c[name] for name in PanelSession.__struct_fields__]


def new_key(name: str, scopes: Collection[str], *, now: int) -> tuple[ApiKey, str]:
    """A new key and the text that opens with it, `msk_{id}_{secret}`. Raises InvalidRequest for a name or scope that is none."""
    name = name.strip()
    if not name or len(name) > MAX_NAME_CHARACTERS or not name.isprintable():
        raise InvalidRequest(f"A key's name has 1 to {MAX_NAME_CHARACTERS} visible characters.")
    known = tuple(scope for scope in SCOPES if scope in scopes)
    if not known or len(known) < len(set(scopes)):
        raise InvalidRequest(f"A key has at least one of the scopes {', '.join(SCOPES)}, and no others.")
    key = ApiKey(id=secrets.token_hex(6), name=name, scopes=known, created_at=now)
    return key, f"{PREFIX}{key.id}_{secrets.token_urlsafe(32)}"


def digest_of(secret: str) -> str:
    """What is kept of a secret: SHA-256, lower-case hexadecimal."""
    return hashlib.sha256(secret.encode()).hexdigest()


class ApiKeys(OnDatabase):
    """The methods of `store.catalog.Catalog` on keys and sessions. `now` is Unix milliseconds."""

    async def add_key(self, key: ApiKey, digest: str) -> None:
        """Add a new key. Raises NameTaken when one that is not revoked has its name."""
        values = {**asdict(key), "scopes": ",".join(key.scopes), "digest": digest}
        try:
            await self._write(lambda connection: connection.execute(insert(api_keys).values(values)), of=None)
        except IntegrityError:
            # The index is asked, not the table before: of two at the same time one has to lose. Ids and digests are random.
            raise NameTaken(f"There is a key {key.name!r} already.") from None

    async def keys(self) -> list[ApiKey]:
        """The keys that are not revoked, oldest first."""
        query = select(*_KEY).where(api_keys.c.revoked_at.is_(None))
        return [_key(row) for row in await self._read(query.order_by(api_keys.c.created_at, api_keys.c.id))]

    async def key(self, key_id: str) -> ApiKey | None:
        """One key, unless it is revoked."""
        rows = await self._read(select(*_KEY).where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None)))
        return _key(rows[0]) if rows else None

    async def key_of_digest(self, digest: str) -> ApiKey | None:
        """The key whose text has this digest, unless it is revoked."""
        rows = await self._read(
            select(*_KEY).where(api_keys.c.digest == digest, api_keys.c.revoked_at.is_(None))
        )
        return _key(rows[0]) if rows else None

    async def use_key(self, key_id: str, *, now: int) -> None:
        """Keep that the key was used now; nothing happens when that was said less than USED_STEP_MS ago."""
        unused = or_(
            api_keys.c.last_used_at.is_(None),
            api_keys.c.last_used_at <= now - USED_STEP_MS,
        )
        change = update(api_keys).where(api_keys.c.id == key_id, unused).values(last_used_at=now)
        await self._write(lambda connection: connection.execute(change), of=None)

    async def revoke_key(self, key_id: str, *, now: int) -> None:
        """Nobody gets in with the key any more, and who is signed in with it is signed out. Raises NotFound."""

        async def change(connection: AsyncConnection) -> None:
            revoked = await connection.execute(
                update(api_keys)
                .where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
                .values(revoked_at=now)
                .returning(api_keys.c.id)
            )
            only(revoked.mappings().all(), "key")
            await connection.execute(delete(panel_sessions).where(panel_sessions.c.key_id == key_id))

        await self._write(change, of=None)

    async def add_session(self, session: PanelSession, digest: str) -> None:
        """Add a new session; those that are over are forgotten."""

        async def change(connection: AsyncConnection) -> None:
            over = panel_sessions.c.expires_at <= session.created_at
            await connection.execute(delete(panel_sessions).where(over))
            await connection.execute(insert(panel_sessions).values({**asdict(session), "digest": digest}))

        await self._write(change, of=None)

    async def session(self, digest: str, *, now: int) -> PanelSession | None:
        """The session whose secret has this digest, unless it is over."""
        found = (panel_sessions.c.digest == digest) & (panel_sessions.c.expires_at > now)
        rows = await self._read(select(*_SESSION).where(found))
        return PanelSession(**rows[0]) if rows else None

    async def delete_session(self, digest: str) -> None:
        """Forget a session, if it is there."""
        change = delete(panel_sessions).where(panel_sessions.c.digest == digest)
        await self._write(lambda connection: connection.execute(change), of=None)


def _key(row: RowMapping) -> ApiKey:
    names = row["scopes"].split(",")
    return ApiKey(**{**row, "scopes": tuple(scope for scope in SCOPES if scope in names)})
