"""Draws single frames of films: one ffmpeg for each, which decodes from the frame's keyframe on."""

from __future__ import annotations

import logging
import os

import msgspec

from media_service.errors import NotFound, SegmentFailed, TranscodeFailed, TranscodeStalled, TranscodeTooLong
from media_service.ffmpeg.fence import PROBE_LIMITS
from media_service.ffmpeg.pipes import Pipe
from media_service.ffmpeg.process import start
from media_service.ffmpeg.still_recipes import Drawing, still
from media_service.mp4.avif import avif
from media_service.store.blobs import BlobReader
from media_service.store.keys import original_key
from media_service.store.records import Asset
from media_service.timeline.index import Packet
from media_service.timeline.stills import ATTEMPTS, StillCut, still_cut
from media_service.timeline.stored_index import StoredTrack
from media_service.work.going import Going
from media_service.work.rows import facts_of
from media_service.work.runner import Means
from media_service.work.stills import Still, TooSlow

log = logging.getLogger(__name__)

# The worst that is honest is a long group of 8K pictures on one core.
# Nice: whoever waits for a segment goes first.
DRAWING_LIMITS = msgspec.structs.replace(PROBE_LIMITS, cpu_seconds=60.0, wall_seconds=60.0, nice=5)
# Threads take pictures of memory each and a moment to start: they are worth it from so many frames on.
THREADS_FROM_FRAMES = 24
MOST_THREADS = 4


async def picture_of(means: Means, asset: Asset) -> StoredTrack:
    """The index of the asset's picture. Raises NotFound when it has none, or none that is indexed."""
    video = facts_of(asset).video
    if video is None:
        raise NotFound("This film has no picture.")
    try:
        return (await means.indexes.of(asset.id)).track(video.index)
    except KeyError:
        raise NotFound("This film has no picture.") from None


async def draw(means: Means, going: Going, still: Still) -> bytes:
    """The still as a picture file, for somebody who waits for it. Raises as `drawn` does."""
    asset = await means.catalog.asset(still.asset_id)
    track = await picture_of(means, asset)
    with going.making_way():
        return await drawn(means, asset, track, track.packet(still.frame), still.drawing)


async def drawn(means: Means, asset: Asset, track: StoredTrack, frame: Packet, drawing: Drawing) -> bytes:
    """The frame as a picture file.

    Raises SegmentFailed when it cannot be decoded (TooSlow: not in time), ConverterKilled, NotFound when the asset was deleted meanwhile.
    """
    facts = facts_of(asset)
    said = ""
    failed: type[SegmentFailed] = SegmentFailed
    async with await means.blobs.open(original_key(asset.id)) as original:
        for attempt in range(ATTEMPTS):
            cut = still_cut(facts, track, frame, attempt=attempt)
            try:
                data = await _once(means, asset, cut, drawing, original)
            except TranscodeTooLong as error:  # further back it would only take longer
                said, failed = error.detail, TooSlow
                break
            except TranscodeFailed as error:
                said = error.detail
                failed = TooSlow if isinstance(error, TranscodeStalled) else SegmentFailed
            else:
                if data:
                    return avif(data, drawing.width, drawing.height) if drawing.format == "avif" else data
    log.info("%s: frame %d cannot be drawn: %s", asset.id, frame.number, said)
    raise failed("This frame of the film cannot be decoded.")


async def _once(means: Means, asset: Asset, cut: StillCut, drawing: Drawing, original: BlobReader) -> bytes:
    limits = DRAWING_LIMITS.within(means.limits)
    argv = still(
        facts_of(asset),
        source_fd=original.fd,
        cut=cut,
        drawing=drawing,
        limits=limits,
        threads=_threads(cut),
    )
    with Pipe() as stdout:
        async with start(argv, limits=limits, pass_fds=(original.fd,), stdout=stdout):
            return await stdout.read_all()


def _threads(cut: StillCut) -> int:
    if cut.frames < THREADS_FROM_FRAMES:
        return 1
    return min(MOST_THREADS, len(os.sched_getaffinity(0)))
