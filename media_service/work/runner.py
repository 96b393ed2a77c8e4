"""Makes the segments of one run: one ffmpeg, one pipe for each rendition, each cut, stored and made known as it comes.

A run may end at any moment, in whatever way: the segments that are committed by then stay, and nothing else of it does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import msgspec

from media_service.errors import MediaRejected, MediaServiceError, TranscodeFailed
from media_service.ffmpeg import recipes
from media_service.ffmpeg.fence import Limits
from media_service.ffmpeg.pipes import Pipe
from media_service.ffmpeg.process import Process, start
from media_service.store.blobs import BlobStore
from media_service.store.catalog import Catalog
from media_service.store.keys import original_key
from media_service.timeline.cutting import audio_cut, video_cut
from media_service.timeline.facts import Facts
from media_service.timeline.outline import OutlineRendition
from media_service.timeline.stored_index import StoredTrack
from media_service.work.allowance import allowance
from media_service.work.blame import RunBroke, blamed
from media_service.work.commits import Commits
from media_service.work.indexes import Indexes
from media_service.work.least import least_frames, least_packets
from media_service.work.outlines import Outlines
from media_service.work.recorder import Recorder
from media_service.work.runs import MAX_ATTEMPTS, Run
from media_service.work.segmenting import Segmenter

# How fast one rendition is taken to be made until it is known: seconds of film in a second. A modest machine's 1080p.
USUAL_SPEED = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What every run takes. `threads` of each codec; 0: as many as there are cores."""

    catalog: Catalog
    blobs: BlobStore
    outlines: Outlines
    indexes: Indexes
    limits: Limits
    threads: int


class Runner:
    """Makes `run`. `wanted(name, number)`: whether somebody waits for that segment; `committed(name, numbers)` is told
    what is in the catalog from now on. `needed_until` (loop time) is for those who decide which runs go on.
    """

    def __init__(
        self,
        means: Means,
        run: Run,
        *,
        wanted: Callable[[str, int], bool],
        committed: Callable[[str, Collection[int]], None],
    ) -> None:
        self.run = run
        self.needed_until = 0.0
        self._means = means
        self._wanted = wanted
        self._commits = Commits(means.catalog, means.blobs, committed)
        self._recorders: Mapping[str, Recorder] = {}
        self._raised: list[str] = []  # the renditions whose streams were found to be wrong
        self._process: Process | None = None
        self._clock = asyncio.get_running_loop().time
        self._started = self._clock()
        self._paused_at: float | None = None

    async def make(self) -> None:
        """Make all of it.

        Raises RunBroke where the film or the converter is to blame; ConverterKilled, StorageFull, CatalogUnavailable where
        they are not; NotFound when the asset is deleted meanwhile.
        """
        try:
            await self._make()
        except (TranscodeFailed, MediaRejected) as error:
            if (broke := self.broken_by(error)) is not None:
                raise broke from error
        finally:
            await self._commits.flush()

    def pause(self) -> None:
        """Stand still, for others that are more urgent."""
        if self._paused_at is None:
            self._paused_at = self._clock()
            if self._process is not None:
                self._process.pause()

    def resume(self) -> None:
        """Go on."""
        if self._paused_at is not None:
            self._started += self._clock() - self._paused_at
            self._paused_at = None
            if self._process is not None:
                self._process.resume()

    def hurry(self, name: str, number: int) -> None:
        """Somebody waits for that segment by now: if it is stored already, it is committed at once."""
        self._commits.hurry(name, number)

    def seconds_until(self, rendition: OutlineRendition, number: int) -> float | None:
        """In how long that segment should be there, if this run goes on; None when it is none of this run's, or is past."""
        if rendition.name not in self.run.names or not self.run.first <= number < self.run.stop:
            return None
        begin, end = float(rendition.seconds(self.run.first)), float(rendition.seconds(number + 1))
        recorder = self._recorders.get(rendition.name)
        reached = begin if recorder is None else max(begin, recorder.segmenter.reached)
        passed = (self._clock() if self._paused_at is None else self._paused_at) - self._started
        speed = (
            (reached - begin) / passed
            if reached > begin and passed > 0
            else USUAL_SPEED / len(self.run.names)
        )
        return max(0.0, end - reached) / speed

    def broken_by(self, error: MediaServiceError) -> RunBroke | None:
        """The error with what is to blame for it; None when all segments are there in spite of it."""
        came = {name: one.segmenter.number for name, one in self._recorders.items()}
        segments = blamed(self.run, came, self._raised)
        return RunBroke(segments, error) if segments else None

    async def _make(self) -> None:
        means, run = self._means, self.run
        asset = await means.catalog.asset(run.asset_id)
        facts = msgspec.json.decode(asset.facts or b"", type=Facts)
        outline = await means.outlines.of(run.asset_id)
        renditions = [outline.rendition(name) for name in run.names]
        track = (await means.indexes.of(run.asset_id)).track(renditions[0].stream)
        self._recorders = {one.name: self._recorder(one, facts, track) for one in renditions}
        with ExitStack() as stack:
            pipes = tuple(stack.enter_context(Pipe()) for _ in renditions)
            progress = stack.enter_context(Pipe())
            async with await means.blobs.open(original_key(run.asset_id)) as source:
                made = list(zip(renditions, (pipe.write_fd for pipe in pipes), strict=True))
                argv, limits = await self._recipe(facts, track, made, source.fd, progress.write_fd)
                async with start(
                    argv, limits=limits, pass_fds=(source.fd,), outputs=pipes, progress=progress
                ) as self._process:
                    if self._paused_at is not None:
                        self._process.pause()
                    await self._record(pipes)
        await self._finish()

    def _recorder(self, rendition: OutlineRendition, facts: Facts, track: StoredTrack) -> Recorder:
        interlaced = facts.video is not None and facts.video.interlaced

        def least(number: int) -> int:
            if rendition.kind == "audio":
                return least_packets(rendition, number)
            return least_frames(track, rendition, number, interlaced=interlaced)

        run = self.run
        return Recorder(
            catalog=self._means.catalog,
            blobs=self._means.blobs,
            asset_id=run.asset_id,
            segmenter=Segmenter(
                rendition, run.first, run.stop, least=least, lenient=run.attempt >= MAX_ATTEMPTS - 1
            ),
            commits=self._commits,
            wanted=lambda number: self._wanted(rendition.name, number),
        )

    async def _record(self, pipes: Iterable[Pipe]) -> None:
        """Until all pipes have ended; the first error ends it all and is raised as it is."""
        try:
            async with asyncio.TaskGroup() as group:
                committing = group.create_task(self._commits.go_on())
                pairs = zip(self._recorders.values(), pipes, strict=True)
                recording = (self._watched(one.name, one.record(pipe)) for one, pipe in pairs)
                await asyncio.wait([group.create_task(one) for one in recording])
                committing.cancel()
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _finish(self) -> None:
        """Store what waited for the end, of each rendition, whatever becomes of the others. Raises the first error."""
        errors: list[MediaServiceError] = []
        for one in self._recorders.values():
            try:
                await self._watched(one.name, one.finish())
            except (TranscodeFailed, MediaRejected) as error:
                errors.append(error)
        if errors:
            raise errors[0]

    async def _watched(self, name: str, recording: Coroutine[None, None, None]) -> None:
        try:
            await recording
        except (TranscodeFailed, MediaRejected):
            self._raised.append(name)
            raise

    async def _recipe(
        self,
        facts: Facts,
        track: StoredTrack,
        made: list[tuple[OutlineRendition, int]],
        source_fd: int,
        progress_fd: int,
    ) -> tuple[list[str], Limits]:
        """argv of ffmpeg and what it may take."""
        run, means = self.run, self._means
        rendition, pipe_fd = made[0]
        if rendition.audio is not None:
            known = await means.indexes.stamps(run.asset_id, facts.sound(track.stream))
            sound = audio_cut(facts, track, rendition, run.first, run.stop, known=known, attempt=run.attempt)
            limits = allowance(means.limits, rendition, run, sound.seek)
            return recipes.audio_run(
                facts,
                source_fd=source_fd,
                rendition=rendition.audio,
                pipe_fd=pipe_fd,
                cut=sound,
                progress_fd=progress_fd,
                limits=limits,
            ), limits
        picture = video_cut(facts, track, rendition, run.first, run.stop, attempt=run.attempt)
        limits = allowance(means.limits, rendition, run, picture.seek)
        return recipes.video_run(
            facts,
            source_fd=source_fd,
            renditions=[(one.video, fd) for one, fd in made if one.video is not None],
            cut=picture,
            progress_fd=progress_fd,
            limits=limits,
            threads=means.threads,
        ), limits
