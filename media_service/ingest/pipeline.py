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
from time import time

import msgspec

from media_service.errors import MediaServiceError, NotFound
from media_service.ffmpeg.fence import Limits
from media_service.ffmpeg.probe import probe
from media_service.ingest.intake import Incoming
from media_service.ingest.media_types import media_type
from media_service.store.catalog import Catalog
from media_service.store.records import Asset

log = logging.getLogger(__name__)

MAX_TITLE_CHARACTERS = 200
# Each may take PROBE_LIMITS' memory: part of the sum in docs/settings.md. A probe takes 0.1 s.
PROBES_AT_ONCE = 2


class Admission:
    """Turns an `Incoming` into an `Asset`. `submit(asset_id)` puts the asset in front of the workers."""

    def __init__(self, *, catalog: Catalog, limits: Limits, submit: Callable[[str], None]) -> None:
        self._catalog = catalog
        self._limits = limits
        self._submit = submit
        self._probing = asyncio.Semaphore(PROBES_AT_ONCE)

    async def admit(self, incoming: Incoming, *, filename: str, title: str | None) -> Asset:
        """The asset, durable. Raises a MediaRejected for what cannot be used, StorageFull; then nothing is kept."""
        await incoming.finish()
        async with self._probing:
            facts = await probe(incoming.fd, self._limits)
        await incoming.keep()
        kind = media_type(facts)
        now = int(time() * 1000)
        asset = Asset(
            id=incoming.asset_id,
            title=tidy_title(title or PurePosixPath(filename).stem) or "Untitled",
            filename=filename,
            extension=kind.extension,
            media_type=kind.name,
            size=incoming.size,
            sha256=incoming.sha256,
            state="probing",
            created_at=now,
            updated_at=now,
            facts=msgspec.json.encode(facts),
        )
        try:
            await self._catalog.add_asset(asset)
        except Exception:
            await self._disown_unknown(incoming)
            raise
        self._submit(asset.id)
        return asset

    async def _disown_unknown(self, incoming: Incoming) -> None:
        """A film without its row must not go on filling the disk until the next start sweeps it.

        A commit may have happened although it failed (a disk that breaks in the last step): the catalog has the last
        word, and while it says nothing, the film stays for the next start to judge.
        """
        try:
            await self._catalog.asset(incoming.asset_id)
        except NotFound:
            incoming.disown()
        except MediaServiceError as error:
            log.warning("whether %s exists is not known: %s", incoming.asset_id, error)


def tidy_title(text: str) -> str:
    """One line of printable text, at most MAX_TITLE_CHARACTERS; titles go into pages, logs and lists."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:MAX_TITLE_CHARACTERS]
