"""An asset together with its outline, or the error that says why it has none (yet)."""

from __future__ import annotations

from dataclasses import dataclass

from media_service.errors import NotFound, NotReady
from media_service.playback.access import Access
from media_service.store.catalog import Catalog
from media_service.store.records import Asset
from media_service.timeline.outline import Outline, OutlineRendition
from media_service.work.outlines import Outlines

NOT_YET = "The file is still being looked at."


@dataclass(frozen=True, slots=True)
class Film:
    """An asset of which it is known what renditions it has and where they are cut."""

    asset: Asset
    outline: Outline

    def rendition(self, name: str) -> OutlineRendition:
        """The rendition of that name. Raises NotFound."""
        return rendition_of(self.outline, name)


class Opener:
    """Opens films."""

    def __init__(self, catalog: Catalog, outlines: Outlines) -> None:
        self._catalog = catalog
        self._outlines = outlines

    async def film(self, asset_id: str, access: Access | None) -> Film:
        """The film, for whoever `access` admits, or the holder of an API key (None).

        Raises NotFound when there is none, or never will be; PlaybackDenied; NotReady while it is looked at.
        """
        asset = await self._catalog.asset(asset_id)
        if access is not None:
            access.admit(asset.visibility)
        return Film(asset, await self._outline(asset))

    async def outline(self, asset_id: str, access: Access) -> Outline:
        """The film's outline, without a look at the catalog where it is known: for whoever asks the catalog anyway, and
        then `access` whether it admits.

        Raises like `film`.
        """
        return self._outlines.known(asset_id) or (await self.film(asset_id, access)).outline

    async def _outline(self, asset: Asset) -> Outline:
        if asset.state == "failed":
            raise NotFound("This file could not be read or converted; there is nothing to play.")
        # The outline may be there already, and still not all that those need who make segments.
        if asset.state == "probing":
            raise NotReady(NOT_YET)
        try:
            return await self._outlines.of(asset.id)
        except NotFound:
            raise NotReady(NOT_YET) from None


def rendition_of(outline: Outline, name: str) -> OutlineRendition:
    """The rendition of that name. Raises NotFound."""
    try:
        return outline.rendition(name)
    except KeyError:
        raise NotFound(f"This film has no rendition {name[:80]!r}.") from None
