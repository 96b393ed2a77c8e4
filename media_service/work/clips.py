"""Makes the clip that stands for a film, as MP4 and as an animated WebP.

Each excerpt is a run of its own, a second or two of work: no decoder is held for the whole of a film. They are joined as
classic MP4s are, by a header in front of what the encoder wrote.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from media_service.errors import ConverterKilled, MediaRejected, TranscodeFailed
from media_service.ffmpeg import clip_recipes, recipes
from media_service.ffmpeg.fence import PROBE_LIMITS
from media_service.ffmpeg.pipes import Pipe
from media_service.ffmpeg.process import start
from media_service.mp4.init_segment import InitTrack
from media_service.mp4.progressive import ProgressiveSegment, ProgressiveTrack, build_header
from media_service.store.keys import animation_key, clip_key, original_key
from media_service.store.records import Asset
from media_service.timeline.clips import Clip, clip_of
from media_service.timeline.cutting import VideoCut, video_cut
from media_service.timeline.facts import Facts
from media_service.work.keeping import keep
from media_service.work.rows import facts_of
from media_service.work.runner import Means
from media_service.work.segmenting import MadeSegment, Segmenter

log = logging.getLogger(__name__)

NONE = ""  # the version of what cannot be made: nobody tries again
# Of one excerpt. It may begin some seconds behind a keyframe of 8K; what comes out has some hundred kilobytes.
CLIP_LIMITS = msgspec.structs.replace(
    PROBE_LIMITS, cpu_seconds=180.0, wall_seconds=300.0, stall_seconds=120.0, output_bytes=16 << 20
)
# One of a film at a time, also its waveform. Part of the sum in docs/settings.md.
CLIPPERS = 1
ATTEMPTS = 2  # the second one begins further back, for demuxers that land too late

_Excerpt = tuple[InitTrack, MadeSegment]


class ClipMaker:
    """Makes them. `quiet` returns when no viewer waits for an encoder: he comes first."""

    def __init__(self, means: Means, *, quiet: Callable[[], Awaitable[None]]) -> None:
        self._means = means
        self._quiet = quiet

    async def make(self, asset: Asset) -> bool:
        """Make the clip of an asset that is playable, where it lacks one; whether anything has come of it.

        What cannot be made is noted, and not tried again. Raises NotFound when the asset is deleted meanwhile, StorageFull.
        """
        if asset.clip is not None:
            return False
        animated = b""
        try:
            film = _joined(await self._excerpts(asset))
            if film:
                await keep(self._means.blobs, clip_key(asset.id), film)
                animated = await self._animated(asset)
        except ConverterKilled as error:
            log.warning("%s has to wait for its clip: %s", asset.id, error)  # until the next start
            return False
        if animated:
            await keep(self._means.blobs, animation_key(asset.id), animated)
        await self._means.catalog.update_asset(
            asset.id, clip=version_of(film), animation=version_of(animated)
        )
        return bool(film)

    async def _excerpts(self, asset: Asset) -> list[_Excerpt]:
        """Those that can be made."""
        facts = facts_of(asset)
        if facts.video is None:
            return []
        track = (await self._means.indexes.of(asset.id)).track(facts.video.index)
        clip = clip_of(facts, track)
        if clip is None:
            return []
        found: list[_Excerpt] = []
        for number in clip.excerpts:
            for attempt in range(ATTEMPTS):
                await self._quiet()
                cut = video_cut(facts, track, clip.rendition, number, number + 1, attempt=attempt)
                segmenter = Segmenter(
                    clip.rendition, number, number + 1, least=lambda _: 1, lenient=attempt == ATTEMPTS - 1
                )
                try:
                    found.append(await self._excerpt(asset, facts, clip, cut, segmenter))
                    break
                except (TranscodeFailed, MediaRejected) as error:
                    log.info("an excerpt of %s is left out of its clip: %s", asset.id, error)
        return found

    async def _excerpt(
        self, asset: Asset, facts: Facts, clip: Clip, cut: VideoCut, segmenter: Segmenter
    ) -> _Excerpt:
        made: list[MadeSegment] = []
        limits = CLIP_LIMITS.within(self._means.limits)
        with Pipe() as pipe, Pipe() as progress:
            async with await self._means.blobs.open(original_key(asset.id)) as original:
                argv = recipes.video_run(
                    facts,
                    source_fd=original.fd,
                    renditions=[(clip.video, pipe.write_fd)],
                    cut=cut,
                    progress_fd=progress.write_fd,
                    limits=limits,
                    threads=1,
                )
                async with start(
                    argv, limits=limits, pass_fds=(original.fd,), outputs=(pipe,), progress=progress
                ):
                    async for chunk in pipe:
                        made += segmenter.feed(chunk)
        made += segmenter.finish()
        assert segmenter.init is not None, "no segment comes before the track is known"
        return segmenter.init, made[0]

    async def _animated(self, asset: Asset) -> bytes:
        """The clip as WebP; nothing where ffmpeg cannot make one."""
        try:
            with Pipe() as stdout:
                async with await self._means.blobs.open(clip_key(asset.id)) as clip:
                    argv = clip_recipes.animation(source_fd=clip.fd, limits=CLIP_LIMITS)
                    async with start(argv, limits=CLIP_LIMITS, pass_fds=(clip.fd,), stdout=stdout):
                        return await stdout.read_all()
        except TranscodeFailed as error:
            log.info("%s gets no animated picture: %s", asset.id, error)
            return b""


def version_of(data: bytes) -> str:
    """Names these very bytes; NONE for none."""
    return hashlib.sha256(data).hexdigest()[:12] if data else NONE


def _joined(excerpts: Sequence[_Excerpt]) -> bytes:
    """One classic MP4 of the excerpts, each where the one before ends; nothing when there are none."""
    # One header is for all: an encoder that would say another thing the second time is not to be believed.
    same = [made for init, made in excerpts if init == excerpts[0][0]]
    if not same:
        return b""
    segments: list[ProgressiveSegment] = []
    time = 0
    for made in same:
        # A film whose first frame comes late says so by an offset: here it comes at once.
        samples = tuple(sample._replace(composition_offset=0) for sample in made.samples)
        segments.append(ProgressiveSegment(time, samples))
        time += sum(sample.duration for sample in samples)
    header = build_header([ProgressiveTrack(excerpts[0][0], segments)]).header
    return header + b"".join(made.data[made.payload_start :] for made in same)
