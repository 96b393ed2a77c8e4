"""Runs transforms: so many at a time, each one ffmpeg between a file in memory and a client who reads.

Nothing is kept, and nothing is read ahead of the client: the pipe fills up, and ffmpeg stands still. The first bytes are held
back until it is fairly sure that more will follow, so that what goes wrong at the start can be told as an error.
"""

from __future__ import annotations

from asyncio import timeout
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import msgspec

from media_service.errors import (
    TooManyTransforms,
    TranscodeFailed,
    TranscodeStalled,
    TranscodeTooLong,
    TransformFailed,
    TransformTooLong,
)
from media_service.ffmpeg.fence import Limits
from media_service.ffmpeg.pipes import Pipe
from media_service.ffmpeg.process import Process, start
from media_service.ffmpeg.transform_recipes import transform
from media_service.ffmpeg.transform_sources import Source, look
from media_service.wire.transforms import Kind, Operations, Result, result_of

# Of a film the head of the file comes first, 2 KB at most: this much means that frames have been made. Pictures come all at
# once, when they are done; most are known to their end before anything of them is sent, and so is their length.
HELD_BACK_BYTES: dict[Kind, int] = {"picture": 1 << 20, "film": 16 << 10, "sound": 8 << 10}

# Each thread takes 64 MB of address space for its own heap, and there is a limit to that.
MOST_THREADS = 4
# By so much they stand back: a segment that a viewer waits for goes first, and previews, which nobody waits for, come after.
NICE = 5


class Made:
    """What comes out: `first` at once, and `rest`; `whole` when `first` is all of it, and good."""

    def __init__(self, result: Result, first: bytes, pipe: Pipe, *, whole: bool) -> None:
        self.result = result
        self.first = first
        self.whole = whole
        self._pipe = pipe

    def rest(self) -> AsyncIterator[bytes]:
        """What follows `first`, as it is made: nothing is made of it before it is asked for, but for a pipe full."""
        return aiter(self._pipe)


class Transforms:
    """At most `at_once` in all and `per_key` of one key; each within `limits`, with so many `threads`."""

    def __init__(self, *, at_once: int, per_key: int, limits: Limits, threads: int) -> None:
        self._at_once = at_once
        self._per_key = per_key
        self._limits = limits
        self._threads = threads
        self._under_way: Counter[str] = Counter()

    @contextmanager
    def one_of(self, owner: str) -> Iterator[None]:
        """Another one of that key, for as long as the block runs. Raises TooManyTransforms at once: nobody waits in line."""
        if self._under_way[owner] >= self._per_key:
            raise TooManyTransforms(f"This key is having {self._per_key} files transformed already.")
        if self._under_way.total() >= self._at_once:
            raise TooManyTransforms(f"{self._at_once} files are being transformed already.")
        self._under_way[owner] += 1
        try:
            yield
        finally:
            self._under_way[owner] -= 1
            self._under_way += Counter()  # forgets keys that have none: they come and go

    @asynccontextmanager
    async def coming(self) -> AsyncIterator[None]:
        """The block in which the file comes: it takes as long as a transform may. Raises TransformTooLong."""
        try:
            async with timeout(self._limits.wall_seconds):
                yield
        except TimeoutError:
            raise TransformTooLong("The file did not come to its end in time.") from None

    @asynccontextmanager
    async def run(self, fd: int, wanted: Operations) -> AsyncIterator[Made]:
        """Make it of the file behind `fd`, whose bytes change no more. Leaving the block early ends ffmpeg.

        Raises InvalidRequest, a MediaRejected, TransformFailed, TransformTooLong or ConverterKilled: before the block is entered,
        or, for what is seen only later, when it is left; only then is all that came out good.
        """
        with _told_of_transforms():
            async with timeout(
                self._limits.wall_seconds
            ):  # also after ffmpeg's end, for a reader who has stopped
                source = await look(fd, self._limits)
                result = result_of(wanted, own=source.own, kinds=source.kinds)
                async with self._running(source, wanted, result, fd) as (process, output):
                    first, ended = await _held_back(output, HELD_BACK_BYTES[result.kind])
                    if ended:
                        await _ended_well(process, wanted)
                    yield Made(result, first, output, whole=ended)

    @asynccontextmanager
    async def _running(
        self, source: Source, wanted: Operations, result: Result, fd: int
    ) -> AsyncIterator[tuple[Process, Pipe]]:
        limits = self._limits
        with Pipe() as output, Pipe() as progress:
            argv = transform(
                source,
                wanted,
                result,
                source_fd=fd,
                pipe_fd=output.write_fd,
                progress_fd=progress.write_fd,
                limits=limits,
                threads=self._threads,
            )
            async with start(
                argv, limits=limits, pass_fds=(fd,), outputs=(output,), progress=progress
            ) as process:
                yield process, output


def limits_of(limits: Limits, *, seconds: float, memory_bytes: int) -> Limits:
    """The service's `limits`, for one transform."""
    return msgspec.structs.replace(
        limits, cpu_seconds=seconds, wall_seconds=seconds, memory_bytes=memory_bytes, nice=NICE
    )


async def _held_back(pipe: Pipe, size: int) -> tuple[bytes, bool]:
    """At least `size` bytes, or all there are; and whether that is all."""
    first = bytearray()
    while len(first) < size:
        if not (chunk := await pipe.read()):
            return bytes(first), True
        first += chunk
    return bytes(first), False


async def _ended_well(process: Process, wanted: Operations) -> None:
    try:
        await process.finish()
    except (TranscodeTooLong, TranscodeStalled):
        raise
    except TranscodeFailed:
        if wanted.start is not None and not process.progress.out_seconds:
            raise TransformFailed("Nothing that can be decoded lies at or after `start`.") from None
        raise


@contextmanager
def _told_of_transforms() -> Iterator[None]:
    """A film's errors as those of a transform."""
    try:
        yield
    except TimeoutError:
        raise TransformTooLong("What was made was not read to its end in time.") from None
    except (TranscodeTooLong, TranscodeStalled) as error:
        raise TransformTooLong(error.detail) from error
    except TranscodeFailed as error:
        raise TransformFailed(error.detail) from error
