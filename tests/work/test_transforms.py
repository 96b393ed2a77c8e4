"""Transforms: how many at a time, what is held back, and how what goes wrong is told."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from media_service.errors import (
    ConverterKilled,
    MediaRejected,
    TooManyTransforms,
    TransformFailed,
    TransformTooLong,
)
from media_service.ffmpeg.fence import Limits
from media_service.wire.transforms import Operations
from media_service.work.transforms import HELD_BACK_BYTES, NICE, Transforms, limits_of
from tests.support.films import Film, Films
from tests.support.processes import ffmpegs

LIMITS = limits_of(Limits(), seconds=60, memory_bytes=2 << 30)
# 50 KB in each frame: more than a pipe holds, soon.
MUCH = Operations(format="gif", fps=25.0)


def transforms(limits: Limits = LIMITS, *, at_once: int = 2, per_key: int = 2) -> Transforms:
    return Transforms(at_once=at_once, per_key=per_key, limits=limits, threads=1)


@pytest.fixture
def film(films: Films) -> Iterator[int]:
    with films.film(Film(seconds=2)).open("rb") as file:
        yield file.fileno()


@pytest.fixture
def long_film(films: Films) -> Iterator[int]:
    with films.film(Film(seconds=40, size=(640, 360), audio=False, quality=35)).open("rb") as file:
        yield file.fileno()


def test_so_many_of_a_key_and_so_many_in_all() -> None:
    some = transforms(at_once=3, per_key=2)
    with ExitStack() as stack:
        stack.enter_context(some.one_of("a"))
        second = stack.enter_context(ExitStack())
        second.enter_context(some.one_of("a"))
        with pytest.raises(TooManyTransforms, match="This key"), some.one_of("a"):
            pass
        stack.enter_context(some.one_of("b"))
        with pytest.raises(TooManyTransforms, match="3 files"), some.one_of("c"):
            pass
        second.close()
        with some.one_of("c"):
            pass
    with some.one_of("a"), some.one_of("a"):
        pass


async def test_what_is_small_is_whole_before_it_is_handed_on(film: int) -> None:
    async with transforms().run(film, Operations(format="png", width=32)) as made:
        assert made.whole
        assert made.first.startswith(b"\x89PNG")
        assert made.first.endswith(b"IEND\xaeB`\x82")
        assert [chunk async for chunk in made.rest()] == []


async def test_what_is_large_begins_before_its_end_and_goes_on_as_it_is_read(long_film: int) -> None:
    async with transforms().run(long_film, replace(MUCH, duration=2.0)) as made:
        assert not made.whole
        assert made.first.startswith(b"GIF89a")
        assert len(made.first) >= HELD_BACK_BYTES["film"]
        (running,) = ffmpegs(os.getpid())
        # Below the encoder of a segment that a viewer waits for.
        assert os.getpriority(os.PRIO_PROCESS, running.pid) == min(19, os.nice(0) + NICE)
        rest = [chunk async for chunk in made.rest()]
    assert rest[-1].endswith(b";")  # GIF's trailer
    assert ffmpegs(os.getpid()) == []


async def test_who_leaves_early_takes_ffmpeg_along(long_film: int) -> None:
    async def leave() -> None:
        async with transforms().run(long_film, MUCH) as made:
            await anext(made.rest())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await leave()
    assert ffmpegs(os.getpid()) == []


async def test_ended_from_outside_it_is_not_taken_for_whole(long_film: int) -> None:
    async def read() -> None:
        async with transforms().run(long_film, MUCH) as made:
            [process] = ffmpegs(os.getpid())
            os.kill(process.pid, signal.SIGKILL)
            async for _ in made.rest():
                pass

    with pytest.raises(ConverterKilled):
        await read()


async def test_a_reader_who_stops_is_left_when_the_time_is_over(long_film: int) -> None:
    impatient = limits_of(Limits(), seconds=1.5, memory_bytes=2 << 30)
    with pytest.raises(TransformTooLong):
        async with transforms(impatient).run(long_film, MUCH):
            await asyncio.Event().wait()
    assert ffmpegs(os.getpid()) == []


async def test_a_file_that_does_not_come_is_left_when_the_time_is_over() -> None:
    impatient = limits_of(Limits(), seconds=0.1, memory_bytes=2 << 30)
    with pytest.raises(TransformTooLong, match="did not come"):
        async with transforms(impatient).coming():
            await asyncio.Event().wait()


async def test_what_makes_more_than_the_limit_is_ended(long_film: int) -> None:
    small = msgspec.structs.replace(LIMITS, output_bytes=HELD_BACK_BYTES["film"] * 4)

    async def read() -> None:
        async with transforms(small).run(long_film, MUCH) as made:
            async for _ in made.rest():
                pass

    with pytest.raises(TransformTooLong):
        await read()


@pytest.mark.parametrize("name", ["mp4", "webm", "gif", "jpeg", "mp3"])
async def test_behind_the_end_there_is_nothing(film: int, name: str) -> None:
    with pytest.raises(TransformFailed, match="`start`"):
        async with transforms().run(film, Operations(format=name, start=9.0)):
            pass


async def test_a_film_of_which_nothing_can_be_decoded_is_told_in_words(films: Films, tmp_path: Path) -> None:
    content = bytearray(films.film(Film(seconds=1, audio=False)).read_bytes())
    begin = content.index(b"mdat") + 4
    stop = content.index(b"moov") - 4
    content[begin:stop] = bytes(stop - begin)
    path = tmp_path / "spoilt.mp4"
    path.write_bytes(content)
    with path.open("rb") as file, pytest.raises((TransformFailed, MediaRejected)):
        async with transforms().run(file.fileno(), Operations()):
            pass
