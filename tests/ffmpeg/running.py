"""Makes runs over a file and reads what came out: init, the times and bytes of the samples themselves."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from media_service.ffmpeg import recipes
from media_service.ffmpeg.fence import Limits
from media_service.ffmpeg.pipes import Pipe
from media_service.ffmpeg.probe import probe
from media_service.ffmpeg.process import start
from media_service.ffmpeg.scanning import scan
from media_service.mp4.boxes import BoxCutter
from media_service.mp4.fragments import Sample, read_fragment
from media_service.mp4.init_segment import InitTrack, build_init, read_init
from media_service.timeline.cutting import AudioCut, VideoCut, audio_cut, video_cut
from media_service.timeline.facts import Facts
from media_service.timeline.index_codec import encode
from media_service.timeline.ladder import AudioRendition, VideoRendition
from media_service.timeline.outline import OutlineRendition
from media_service.timeline.outlining import VIDEO_TIMESCALE
from media_service.timeline.plan import Plan, frame_boundaries, plan
from media_service.timeline.sound_stamps import stamps
from media_service.timeline.stored_index import StoredIndex, StoredTrack

LIMITS = Limits(cpu_seconds=240, wall_seconds=240)
THREADS = 2
DAY = 86_400.0


@dataclass(frozen=True)
class Picked:
    """One sample of an output: when it is decoded and shown in ticks, for how long, whether IDR, its bytes."""

    time: int
    shown: int
    duration: int
    sync: bool
    data: bytes


@dataclass(frozen=True)
class Output:
    """What came out of one pipe."""

    init: InitTrack
    samples: tuple[Picked, ...]

    @property
    def times(self) -> list[int]:
        return [sample.shown for sample in self.samples]

    @property
    def keys(self) -> list[int]:
        return [sample.shown for sample in self.samples if sample.sync]

    def between(self, start: int, stop: int) -> tuple[Picked, ...]:
        """What a recorder keeps of it."""
        return tuple(sample for sample in self.samples if start <= sample.time < stop)


@dataclass
class Source:
    """A film that is open: its facts and index."""

    fd: int
    facts: Facts
    index: StoredIndex
    plan: Plan

    def track(self, stream: int) -> StoredTrack:
        return self.index.track(stream)


@contextmanager
def opened(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


async def source_of(fd: int) -> Source:
    """Probed and indexed by a pass over the packets; the plan is that of its picture, else its sound."""
    facts = await probe(fd, LIMITS)
    index = StoredIndex(encode(await scan(fd, facts, LIMITS)))
    assert index.main is not None
    return Source(fd, facts, index, plan(index.main))


def outlined(
    source: Source,
    made: VideoRendition | AudioRendition,
    boundaries: Sequence[int] | None = None,
) -> OutlineRendition:
    """As the outline of the film would have this rendition; with other `boundaries` if given."""
    if isinstance(made, VideoRendition):
        assert source.facts.video is not None
        timescale = VIDEO_TIMESCALE
        scale = timescale / source.plan.timescale
        cuts = tuple(round(time * scale) for time in source.plan.boundaries)
        return OutlineRendition(
            name=made.name,
            kind="video",
            stream=source.facts.video.index,
            timescale=timescale,
            boundaries=cuts if boundaries is None else tuple(boundaries),
            codecs="",
            bandwidth=0,
            average_bandwidth=0,
            video=made,
        )
    track = source.track(made.stream)
    stop = track.stop * made.sample_rate // track.timescale
    found = frame_boundaries(source.plan, timescale=made.sample_rate, frame=1024, stop=stop).boundaries
    return OutlineRendition(
        name=made.name,
        kind="audio",
        stream=made.stream,
        timescale=made.sample_rate,
        boundaries=found if boundaries is None else tuple(boundaries),
        codecs="",
        bandwidth=0,
        average_bandwidth=0,
        audio=made,
    )


async def pictures(
    source: Source,
    renditions: Sequence[VideoRendition],
    cut: VideoCut,
    *,
    threads: int = THREADS,
) -> list[Output]:
    """One run; what came out of each pipe."""
    with ExitStack() as stack:
        pipes = [stack.enter_context(Pipe()) for _ in renditions]
        progress = stack.enter_context(Pipe())
        argv = recipes.video_run(
            source.facts,
            source_fd=source.fd,
            renditions=[(one, pipe.write_fd) for one, pipe in zip(renditions, pipes, strict=True)],
            cut=cut,
            progress_fd=progress.write_fd,
            limits=LIMITS,
            threads=threads,
        )
        return await _made(argv, source.fd, pipes, progress)


async def sounds(source: Source, rendition: AudioRendition, cut: AudioCut) -> Output:
    """One run of sound."""
    with Pipe() as pipe, Pipe() as progress:
        argv = recipes.audio_run(
            source.facts,
            source_fd=source.fd,
            rendition=rendition,
            pipe_fd=pipe.write_fd,
            cut=cut,
            progress_fd=progress.write_fd,
            limits=LIMITS,
        )
        return (await _made(argv, source.fd, [pipe], progress))[0]


async def picture_segments(
    source: Source, rendition: VideoRendition, first: int, stop: int, *, attempt: int = 0
) -> Output:
    """The segments [first, stop) as one run makes them, all that came out."""
    outline = outlined(source, rendition)
    track = source.track(outline.stream)
    cut = video_cut(source.facts, track, outline, first, stop, attempt=attempt)
    return (await pictures(source, [rendition], cut))[0]


async def sound_segments(
    source: Source, rendition: AudioRendition, first: int, stop: int, *, attempt: int = 0
) -> tuple[OutlineRendition, Output, tuple[Picked, ...]]:
    """The segments [first, stop) as one run makes them: the outline, all that came out, and what is kept of it."""
    outline = outlined(source, rendition)
    cut = sound_cut(source, rendition, outline, first, stop, attempt=attempt)
    output = await sounds(source, rendition, cut)
    return outline, output, output.between(cut.first, cut.end)


def sound_cut(
    source: Source,
    rendition: AudioRendition,
    outline: OutlineRendition,
    first: int,
    stop: int,
    *,
    attempt: int = 0,
) -> AudioCut:
    """How a run is told to make the segments [first, stop)."""
    track = source.track(rendition.stream)
    known = stamps(source.facts.sound(track.stream), track)
    return audio_cut(source.facts, track, outline, first, stop, known=known, attempt=attempt)


async def first_bytes(videos: Sequence[VideoRendition], audios: Sequence[AudioRendition]) -> dict[str, bytes]:
    """The init segment of each rendition, made before anything else."""
    made: list[VideoRendition | AudioRendition] = [*videos, *audios]
    with ExitStack() as stack:
        pipes = {one.name: stack.enter_context(Pipe()) for one in made}
        progress = stack.enter_context(Pipe())
        argv = recipes.inits(
            [(one, pipes[one.name].write_fd) for one in videos],
            [(one, pipes[one.name].write_fd) for one in audios],
            progress_fd=progress.write_fd,
        )
        found = await _made(argv, None, list(pipes.values()), progress)
    return {one.name: build_init(output.init) for one, output in zip(made, found, strict=True)}


async def _made(argv: list[str], fd: int | None, pipes: list[Pipe], progress: Pipe) -> list[Output]:
    given = () if fd is None else (fd,)
    async with start(argv, limits=LIMITS, pass_fds=given, outputs=pipes, progress=progress):
        found = await asyncio.gather(*(pipe.read_all() for pipe in pipes))
    return [read_output(data) for data in found]


def read_output(data: bytes) -> Output:
    """The init segment and samples of a fragmented MP4 of one track."""
    cutter = BoxCutter(1 << 30)
    head, moof = b"", b""
    samples: list[Picked] = []
    init: InitTrack | None = None
    for box in cutter.feed(data):
        if box.type == "ftyp":
            head = box.data
        elif box.type == "moov":
            init = read_init(head + box.data)
        elif box.type == "moof":
            moof = box.data
        elif box.type == "mdat":
            samples += _picked(moof, box.data[box.header_size :])
    cutter.finish()
    assert init is not None
    return Output(init, tuple(samples))


def _picked(moof: bytes, payload: bytes) -> Iterator[Picked]:
    fragment = read_fragment(moof)
    clock, at = fragment.base_time, 0
    sample: Sample
    for sample in fragment.samples:
        yield Picked(
            clock,
            clock + sample.composition_offset,
            sample.duration,
            sample.sync,
            payload[at : at + sample.size],
        )
        clock += sample.duration
        at += sample.size
