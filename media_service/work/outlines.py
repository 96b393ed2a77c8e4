"""The outlines of films, read once: every request for a playlist or a segment begins with one."""

from __future__ import annotations

from media_service.store.blobs import BlobStore
from media_service.store.keys import outline_key
from media_service.timeline.outline import Outline, decode
from media_service.work.keeping import read_whole
from media_service.work.opened import Opened

# Each boundary and packet number takes some 45 bytes: 9 MB for a dozen films of three hours with all their renditions.
MAX_KEPT_NUMBERS = 200_000


class Outlines:
    """Finds the outline of any film."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._opened = Opened(self._read, MAX_KEPT_NUMBERS)

    async def of(self, asset_id: str) -> Outline:
        """The asset's outline. Raises NotFound while it has none."""
        return await self._opened.of(asset_id)

    def known(self, asset_id: str) -> Outline | None:
        """The asset's outline if it is remembered. Nobody asks for one before its asset is playable."""
        return self._opened.known(asset_id)

    async def _read(self, asset_id: str) -> tuple[Outline, int]:
        outline = decode(await read_whole(self._blobs, outline_key(asset_id)))
        return outline, sum(
            len(one.boundaries) + (0 if one.packaged is None else len(one.packaged.packets))
            for one in outline.renditions
        )
