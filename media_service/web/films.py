"""What handlers open films with, in the whole service and in a sender: put together once, as both give the same answers."""

from __future__ import annotations

from typing import NamedTuple

from litestar.datastructures import State

from media_service.playback.classics import Classics
from media_service.playback.clips import Clips
from media_service.playback.library import Library
from media_service.playback.opening import Opener
from media_service.playback.packs import Packs
from media_service.playback.playlists import Playlists
from media_service.playback.previews import Previews
from media_service.playback.segments import Demand, Segments
from media_service.store.blobs import BlobStore
from media_service.store.catalog import Catalog
from media_service.work.indexes import Indexes
from media_service.work.outlines import Outlines


class Films(NamedTuple):
    """What others are made with."""

    opener: Opener
    packs: Packs


def open_films(
    state: State, *, catalog: Catalog, blobs: BlobStore, outlines: Outlines, indexes: Indexes, demand: Demand
) -> Films:
    """Put into an application's `state` what the handlers of HLS, DASH, files and previews are given."""
    opener, packs = Opener(catalog, outlines), Packs(catalog)
    state.library = Library(catalog=catalog, blobs=blobs, opener=opener)
    state.clips = Clips(catalog=catalog, blobs=blobs)
    state.classics = Classics(catalog=catalog, blobs=blobs, opener=opener)
    state.playlists = Playlists(catalog=catalog, blobs=blobs, opener=opener, packs=packs)
    state.previews = Previews(catalog=catalog, blobs=blobs, packs=packs)
    state.segments = Segments(catalog=catalog, opener=opener, indexes=indexes, demand=demand)
    return Films(opener, packs)
