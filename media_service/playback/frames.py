"""Single pictures of a film at any time: out of its previews where those are good enough, else drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import NamedTuple

from media_service.ffmpeg.still_recipes import Drawing, Format
from media_service.playback.access import Access
from media_service.playback.caching import IMMUTABLE, REVALIDATE, digest
from media_service.playback.opening import Film, Opener
from media_service.playback.packs import Packs
from media_service.store.keys import previews_key
from media_service.timeline.index import Packet
from media_service.timeline.previews import Pack, tile_at
from media_service.timeline.seeking import Mode
from media_service.timeline.stills import drawn_size, frame_for, shown_between
from media_service.timeline.stored_index import StoredTrack
from media_service.wire.representation import BlobExtent, MemoryExtent, Representation
from media_service.work.drawing import picture_of
from media_service.work.rows import facts_of
from media_service.work.runner import Means
from media_service.work.stills import Still, Stills

MICROSECONDS = 1_000_000
# Previews have their frames' true times, rounded to microseconds.
ROUNDING = Fraction(1, MICROSECONDS)
MEDIA_TYPES: dict[Format, str] = {"jpeg": "image/jpeg", "webp": "image/webp", "avif": "image/avif"}


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for: the frame at `seconds` of the film, or with `mode` "keyframe" one near before it that is there sooner.

    `width` in pixels (None: as wide as there is), `blur` as `Drawing` has it.
    """

    seconds: Fraction
    mode: Mode = "exact"
    width: int | None = None
    blur: int = 0
    format: Format = "jpeg"


class Frame(NamedTuple):
    """A picture, and the time of its frame in seconds of the film."""

    seconds: float
    picture: Representation


class Frames:
    """Opens them."""

    def __init__(self, *, opener: Opener, means: Means, packs: Packs, stills: Stills) -> None:
        self._opener = opener
        self._means = means
        self._packs = packs
        self._stills = stills

    async def frame(self, asset_id: str, access: Access, wish: Wish) -> Frame:
        """The frame. Times outside the film mean its first or last one. To be cancelled when its viewer has gone.

        Raises NotFound, NotReady, SegmentFailed for a frame that cannot be decoded, and what `access` refuses with.
        """
        film = await self._opener.film(asset_id, access)
        track = await picture_of(self._means, film.asset)
        frame = frame_for(track, wish.seconds, wish.mode)
        if not access.shows(*shown_between(track, frame)):
            # A keyframe before the part of the film that may be seen is not shown in place of a frame of that part.
            frame = frame_for(track, wish.seconds, "exact")
            access.still(*shown_between(track, frame))
        if wish.mode != "keyframe" or not access.has_whole or wish.blur:
            return await self._drawn(film, access, wish, track, frame)
        pack = await self._packs.newest(film.asset.id)
        found = None if pack is None else _preview(film, access, wish, track, pack)
        if found is None:
            found = await self._drawn(film, access, wish, track, frame)
        if pack is None or not pack.complete:  # a nearer one may come
            found = found._replace(picture=replace(found.picture, headers=REVALIDATE))
        return found

    async def _drawn(
        self, film: Film, access: Access, wish: Wish, track: StoredTrack, frame: Packet
    ) -> Frame:
        video = facts_of(film.asset).video
        assert video is not None, "the film has a picture"
        size = drawn_size(*video.display_size, wish.width, access.short_side)
        drawing = Drawing(*size, wish.format, wish.blur)
        data = await self._stills.of(Still(film.asset.id, frame.number, drawing))
        made = Representation(
            (MemoryExtent(data),),
            MEDIA_TYPES[wish.format],
            digest(data),
            film.asset.created_at // 1000,
            IMMUTABLE,
        )
        return Frame(round(frame.time / track.timescale, 6), made)


def _preview(film: Film, access: Access, wish: Wish, track: StoredTrack, pack: Pack) -> Frame | None:
    """The preview that is shown at that time, if it is as near as the keyframe, not of later, and as wide as is wanted."""
    if wish.width is None or wish.width > pack.width or not access.has_picture(pack.width, pack.height):
        return None
    tile = pack.tiles[tile_at(pack, int(wish.seconds * MICROSECONDS))]
    seconds = Fraction(tile.time_us, MICROSECONDS)
    first, last = (
        Fraction(frame_for(track, wish.seconds, mode).time, track.timescale) for mode in ("keyframe", "exact")
    )
    # The first tile is shown from the film's start on, also where its frame comes later: in place of no other frame.
    if not first - ROUNDING <= seconds <= last + ROUNDING:
        return None
    extent = BlobExtent(previews_key(film.asset.id, pack.version), tile.offset, tile.offset + tile.size)
    etag = f"{pack.version}-frame-{tile.offset}"
    return Frame(float(seconds), Representation((extent,), MEDIA_TYPES["jpeg"], etag, None, IMMUTABLE))
