"""From received bytes to an acknowledged asset: probe, keep, tell.

The order is the promise: a file that is no video is refused before anything of it is kept; an asset exists only after
its bytes and its row would survive `kill -9`. A crash in between leaves a blob that no row knows, which the next start
sweeps away.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Protocol

import msgspec

from media_service.errors import MediaServiceError, NotFound
from media_service.ffmpeg.fence import Limits
from media_service.ffmpeg.probe import probe
from media_service.ingest.digests import check_digests
from media_service.ingest.media_types import media_type
from media_service.store.catalog import Catalog
from media_service.store.instants import now_ms
from media_service.store.records import Asset, Visibility
from media_service.timeline.facts import Facts

log = logging.getLogger(__name__)

MAX_TITLE_CHARACTERS = 200
# Each may take PROBE_LIMITS' memory: part of the sum in docs/settings.md. A probe takes 0.1 s.
PROBES_AT_ONCE = 2


class Arrived(Protocol):
    """All bytes of a file, wherever they lie: `finish` them, read them through `fd`, then `keep` them.

    `asset_id` is the id that the asset will have; `size` in bytes; `sha256` as hex after `finish`.
    """

    asset_id: str
    size: int
    sha256: str

    @property
    def fd(self) -> int:
        """A descriptor of all bytes, for a process that reads them by position."""

    async def finish(self) -> None:
        """All bytes are here. Raises EmptyUpload when there was none."""

    async def keep(self) -> None:
        """Make the bytes durable in the store."""

    def disown(self) -> None:
        """Nobody will know of the bytes that were kept: whoever owns them removes them after all."""


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """What the client said of a file.

    `digests` are those that the whole must have, by algorithm ("sha256", "sha512"). `idempotency_key` names this very
    upload among those of `owner`: whoever repeats it means the same asset.
    """

    filename: str
    title: str | None = None
    visibility: Visibility | None = None
    owner: str = ""
    idempotency_key: str | None = None
    digests: tuple[tuple[str, bytes], ...] = ()


class Admission:
    """Turns what has `Arrived` into an `Asset`. `submit(asset_id)` puts the asset in front of the workers.

    With `deduplicate`, bytes that are here already give the asset that there is.
    """

    def __init__(
        self, *, catalog: Catalog, limits: Limits, submit: Callable[[str], None], deduplicate: bool = False
    ) -> None:
        self._catalog = catalog
        self._limits = limits
        self._submit = submit
        self._deduplicate = deduplicate
        self._probing = asyncio.Semaphore(PROBES_AT_ONCE)

    async def admit(self, arrived: Arrived, label: Label, facts: Facts | None = None) -> Asset:
        """The asset, durable; one that was there already has another id than `arrived`, of which nothing is kept then.

        `facts` of who has probed the bytes before.

        Raises a MediaRejected for what cannot be used, DigestMismatch, StorageFull; then nothing is kept.
        """
        await arrived.finish()
        await check_digests(arrived.fd, arrived.size, {"sha256": arrived.sha256}, label.digests)
        if self._deduplicate:
            twin = await self._catalog.asset_of_digest(arrived.sha256, arrived.size)
            if twin is not None:
                return twin
        if facts is None:
            async with self._probing:
                facts = await probe(arrived.fd, self._limits)
        await arrived.keep()
        kind = media_type(facts)
        now = now_ms()
        asset = Asset(
            id=arrived.asset_id,
            title=tidy_title(label.title or PurePosixPath(label.filename).stem) or "Untitled",
            filename=label.filename,
            extension=kind.extension,
            media_type=kind.name,
            size=arrived.size,
            sha256=arrived.sha256,
            state="probing",
            created_at=now,
            updated_at=now,
            facts=msgspec.json.encode(facts),
            visibility=label.visibility,
        )
        try:
            known = await self._catalog.add_asset(
                asset,
                owner=label.owner,
                idempotency_key=label.idempotency_key,
                deduplicate=self._deduplicate,
            )
        except Exception:
            await self._disown_unknown(arrived)
            raise
        if known.id != asset.id:
            arrived.disown()
            return known
        self._submit(asset.id)
        return asset

    async def _disown_unknown(self, arrived: Arrived) -> None:
        """A film without its row must not go on filling the disk until the next start sweeps it.

        A commit may have happened although it failed (a disk that breaks in the last step): the catalog has the last
        word, and while it says nothing, the film stays for the next start to judge.
        """
        try:
            await self._catalog.asset(arrived.asset_id)
        except NotFound:
            arrived.disown()
        except MediaServiceError as error:
            log.warning("whether %s exists is not known: %s", arrived.asset_id, error)


def tidy_title(text: str) -> str:
    """One line of printable text, at most MAX_TITLE_CHARACTERS; titles go into pages, logs and lists."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:MAX_TITLE_CHARACTERS]
