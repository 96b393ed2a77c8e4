"""The part of the catalog that is about which segments there are: numbers alone, without what lies in them."""

from __future__ import annotations

from collections import defaultdict

from sqlalchemy import func, select

from media_service.store.database import OnDatabase
from media_service.store.models import renditions, segments


class Made(OnDatabase):
    """The methods of `store.catalog.Catalog` on the numbers of segments."""

    async def made(self, asset_id: str) -> dict[str, set[int]]:
        """The numbers of the segments that are stored, by the names of their renditions."""
        found: defaultdict[str, set[int]] = defaultdict(set)
        query = select(segments.c.rendition, segments.c.number).where(segments.c.asset_id == asset_id)
        for name, number in await self._rows(query):
            found[name].add(number)
        return dict(found)

    async def made_ranges(self, asset_id: str) -> dict[str, list[tuple[int, int]]]:
        """The segments that players need not wait for, of all renditions in the order of the outline: half-open ranges of
        their numbers, ascending, with gaps between them. Packaged renditions are there from end to end.

        None for an asset unknown.
        """
        # In a range without gaps the numbers and their ranks grow alike: the difference names the range.
        rank = func.row_number().over(partition_by=segments.c.rendition, order_by=segments.c.number)
        stored = (
            select(segments.c.rendition, segments.c.number, (segments.c.number - rank).label("range"))
            .where(segments.c.asset_id == asset_id)
            .subquery()
        )
        ranges = (
            select(
                stored.c.rendition,
                func.min(stored.c.number).label("first"),
                (func.max(stored.c.number) + 1).label("stop"),
            )
            .group_by(stored.c.rendition, stored.c.range)
            .subquery()
        )
        query = (
            select(
                renditions.c.name,
                renditions.c.packaged,
                renditions.c.segments,
                ranges.c.first,
                ranges.c.stop,
            )
            .outerjoin(ranges, ranges.c.rendition == renditions.c.name)
            .where(renditions.c.asset_id == asset_id)
            .order_by(renditions.c.position, ranges.c.first)
        )
        found: dict[str, list[tuple[int, int]]] = {}
        for name, packaged, count, first, stop in await self._rows(query):
            of_this = found.setdefault(name, [])
            if packaged and count:
                of_this.append((0, count))
            elif first is not None:
                of_this.append((first, stop))
        return found
