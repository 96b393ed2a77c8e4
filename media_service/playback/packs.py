"""The packs of previews that are served, in memory: of some thousand tiles each takes milliseconds to unpack.

A film's pack is replaced whenever more of its tiles are made. Whoever has a list of the old one's still asks for them: the
old pack is remembered here, and its tiles are found in the new one's blob, which begins with all of them.
"""

from __future__ import annotations

from collections import OrderedDict

from media_service.store.catalog import Catalog
from media_service.timeline.previews import Pack

# A tile takes 200 bytes of memory: 10 MB, or the packs of some twenty long films.
MAX_KNOWN_TILES = 50_000


class Packs:
    """Those that were asked for last, up to MAX_KNOWN_TILES together."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._known: OrderedDict[tuple[str, str], Pack] = OrderedDict()
        self._tiles = 0

    async def newest(self, asset_id: str) -> Pack | None:
        """The asset's pack; None while it has none."""
        state = await self._catalog.pack_state(asset_id)
        if state is None:
            return None
        version, complete = state
        known = self.known(asset_id, version)
        if known is not None and known.complete == complete:
            return known
        pack = await self._catalog.pack_of(asset_id)
        if pack is not None:
            self._keep(asset_id, pack)
        return pack

    def known(self, asset_id: str, version: str) -> Pack | None:
        """The pack of that version, if anybody was told of it and it is remembered."""
        if (found := self._known.get((asset_id, version))) is not None:
            self._known.move_to_end((asset_id, version))
        return found

    def _keep(self, asset_id: str, pack: Pack) -> None:
        if (old := self._known.pop((asset_id, pack.version), None)) is not None:
            self._tiles -= len(
                old.tiles
            )  # another request was quicker, or it is known by now that no more will come
        self._known[asset_id, pack.version] = pack
        self._tiles += len(pack.tiles)
        while self._tiles > MAX_KNOWN_TILES:
            _, dropped = self._known.popitem(last=False)
            self._tiles -= len(dropped.tiles)
