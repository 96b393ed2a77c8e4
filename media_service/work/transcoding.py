"""Makes the renditions of an asset: one ffmpeg, one pipe per rendition, recorded as it runs.

An asset is `ready` only after what came out was compared with what went in; an exit status of 0 proves nothing. A run
that is broken off (crash, shutdown, deletion) leaves nothing that counts: the next one starts afresh in other blobs.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from collections.abc import Coroutine, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from time import perf_counter

import msgspec

from media_service.errors import (
    ConverterKilled,
    MediaRejected,
    MediaServiceError,
    NotFound,
    StorageFull,
    TranscodeFailed,
    TranscodeIncomplete,
)
from media_service.ffmpeg import recipes
from media_service.ffmpeg.fence import Limits
from media_service.ffmpeg.pipes import Pipe
from media_service.ffmpeg.process import start
from media_service.store.blobs import BlobStore, BlobWriter
from media_service.store.catalog import Catalog
from media_service.store.keys import original_key, runs_tree
from media_service.store.records import Asset, Rendition
from media_service.timeline.facts import Facts
from media_service.timeline.ladder import AudioRendition, VideoRendition, audio_rendition, video_rendition
from media_service.timeline.packets import StreamPackets
from media_service.work.classic import classic_layout
from media_service.work.events import Events
from media_service.work.recorder import Recorder

log = logging.getLogger(__name__)

# A film's own last packet may be shown a little longer than its tables say; cut nothing off.
SPARE_SECONDS = 1.0
# What may be lost: decoders drop what cannot be shown (leading frames of an open GOP, broken pictures, twins in time).
LOST_FRAMES = 3
LOST_SHARE = 0.01
# Between the ends of the rendition and of its source: one AAC packet is 21 ms, one frame at 15/s is 67 ms.
END_SECONDS = 0.15


@dataclass(frozen=True, slots=True)
class _Run:
    """One attempt at the renditions of an asset."""

    asset: Asset
    facts: Facts
    video: VideoRendition | None
    audio: AudioRendition | None
    key: str  # where its blobs lie

    @property
    def names(self) -> list[str]:
        return [one.name for one in (self.video, self.audio) if one is not None]

    def is_picture(self, name: str) -> bool:
        """Whether this rendition is the picture; else it is the sound."""
        return self.video is not None and name == self.video.name

    def blob(self, name: str) -> str:
        return f"{self.key}-{name}"


class Transcoder:
    """The job `transcode(asset_id)` with what it needs."""

    def __init__(
        self, *, catalog: Catalog, blobs: BlobStore, events: Events, limits: Limits, threads: int
    ) -> None:
        self._catalog = catalog
        self._blobs = blobs
        self._events = events
        self._limits = limits
        self._threads = threads

    async def transcode(self, asset_id: str) -> None:
        """Make all renditions of an asset, or mark it as failed with the reason.

        Raises StorageFull or ConverterKilled: nothing of the run is kept, try again later.
        """
        try:
            asset = await self._catalog.asset(asset_id)
            if asset.state != "playable" or asset.facts is None:
                return
            run = _plan(asset, msgspec.json.decode(asset.facts, type=Facts))
            try:
                await self._make(run)
            except (TranscodeFailed, MediaRejected) as error:
                await self._give_up(run, error)
            except (StorageFull, ConverterKilled):
                await self._forget(asset_id)
                raise
        except NotFound:
            log.info("%s was deleted while it was made", asset_id)

    async def _make(self, run: _Run) -> None:
        started = perf_counter()
        await self._begin_afresh(run)
        async with AsyncExitStack() as stack:
            recorders, writers = await self._record(run, stack)
            for recorder in recorders:
                # Encoders do not know how long their last frame is shown: a screen recording's for seconds.
                await recorder.finish(_source(run, recorder).stop_seconds or 0.0)
            _compare(run, recorders)
            for writer in writers:
                await writer.seal()
        layouts = {
            name: await classic_layout(self._catalog, self._blobs, run.asset.id, name) for name in run.names
        }
        await self._catalog.finish(run.asset.id, layouts)
        self._events.publish("asset", run.asset.id)
        log.info(
            "%s is ready after %.1f s (%s)", run.asset.id, perf_counter() - started, ", ".join(run.names)
        )

    async def _begin_afresh(self, run: _Run) -> None:
        """In place of what an earlier, broken-off run left."""
        await self._forget(run.asset.id)
        for one in (run.video, run.audio):
            if one is not None:
                await self._catalog.put_rendition(
                    Rendition(
                        asset_id=run.asset.id,
                        name=one.name,
                        kind="video" if isinstance(one, VideoRendition) else "audio",
                        width=one.width if isinstance(one, VideoRendition) else None,
                        height=one.height if isinstance(one, VideoRendition) else None,
                        blob=run.blob(one.name),
                    )
                )

    async def _record(self, run: _Run, stack: AsyncExitStack) -> tuple[list[Recorder], list[BlobWriter]]:
        source = await stack.enter_async_context(await self._blobs.open(original_key(run.asset.id)))
        pipes = {name: stack.enter_context(Pipe()) for name in run.names}
        progress = stack.enter_context(Pipe())
        writers = [
            await stack.enter_async_context(await self._blobs.create(run.blob(name))) for name in run.names
        ]
        recorders = [
            Recorder(
                catalog=self._catalog,
                asset_id=run.asset.id,
                name=name,
                writer=writer,
                changed=lambda: self._events.publish("asset", run.asset.id),
            )
            for name, writer in zip(run.names, writers, strict=True)
        ]
        seconds = run.asset.duration_seconds or 0.0
        limits = _limits(self._limits, seconds)
        argv = recipes.transcode(
            run.facts,
            source_fd=source.fd,
            video=None if run.video is None else (run.video, pipes[run.video.name].write_fd),
            audio=None if run.audio is None else (run.audio, pipes[run.audio.name].write_fd),
            progress_fd=progress.write_fd,
            limits=limits,
            threads=self._threads,
            stop_seconds=seconds + SPARE_SECONDS,
        )
        outputs = tuple(pipes.values())
        async with start(argv, limits=limits, pass_fds=(source.fd,), outputs=outputs, progress=progress):
            await _all(recorder.record(pipe) for recorder, pipe in zip(recorders, outputs, strict=True))
        return recorders, writers

    async def _give_up(self, run: _Run, error: MediaServiceError) -> None:
        log.warning("%s failed: %s: %s", run.asset.id, error.code, error.detail)
        await self._forget(run.asset.id)
        await self._catalog.fail_asset(run.asset.id, error)
        self._events.publish("asset", run.asset.id)

    async def _forget(self, asset_id: str) -> None:
        """Nothing of a run that did not come to a good end is offered or kept."""
        await self._catalog.clear_renditions(asset_id)
        await self._blobs.delete_tree(runs_tree(asset_id))
        self._events.publish("asset", asset_id)


def _plan(asset: Asset, facts: Facts) -> _Run:
    # Named at random: bytes made by another attempt must never be served under the ETags of this one.
    key = f"{runs_tree(asset.id)}/{secrets.token_hex(6)}"
    return _Run(asset, facts, video_rendition(facts), audio_rendition(facts), key)


def _limits(limits: Limits, seconds: float) -> Limits:
    """Limits for a film of this length: far above what an honest one takes on a slow machine."""
    wall = 600.0 + 30.0 * seconds
    return msgspec.structs.replace(
        limits,
        wall_seconds=wall,
        cpu_seconds=wall * (os.cpu_count() or 1),
        output_bytes=(1 << 30) + round(seconds) * (8 << 20),
    )


async def _all(coroutines: Iterable[Coroutine[None, None, None]]) -> None:
    """Run all to their end; the first error ends the others and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            for coroutine in coroutines:
                group.create_task(coroutine)
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


def _source(run: _Run, recorder: Recorder) -> StreamPackets:
    """The packets of the track that the recorder's rendition is made from."""
    track = run.facts.video if run.is_picture(recorder.name) else run.facts.main_audio
    assert track is not None, "a rendition is planned only for a track that is there"
    return run.facts.packets.stream(track.index)


def _compare(run: _Run, recorders: list[Recorder]) -> None:
    """Raise TranscodeIncomplete unless what came out has the length and the frames of what went in."""
    for recorder in recorders:
        packets = _source(run, recorder)
        if packets.count == 0 or packets.stop_seconds is None:
            continue
        is_picture = run.is_picture(recorder.name)
        # With every frame there, the last one is simply shown for long.
        whole = is_picture and recorder.frames >= packets.count
        if not whole and recorder.encoded_seconds < packets.stop_seconds - END_SECONDS:
            raise TranscodeIncomplete(
                f"Its {'picture' if is_picture else 'sound'} ends at {recorder.encoded_seconds:.2f} s; "
                f"the original's ends at {packets.stop_seconds:.2f} s."
            )
        if is_picture and recorder.frames < _least_frames(run.facts, packets.count):
            raise TranscodeIncomplete(f"It has {recorder.frames} frames; the original has {packets.count}.")


def _least_frames(facts: Facts, count: int) -> float:
    # Two fields make one frame: interlaced sources may have a packet for each.
    whole = count / 2 if facts.video is not None and facts.video.interlaced else count
    return whole * (1 - LOST_SHARE) - LOST_FRAMES
