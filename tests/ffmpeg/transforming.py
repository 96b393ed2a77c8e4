"""Transforms of files, and what is seen in their results."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from media_service.ffmpeg.fence import Limits
from media_service.ffmpeg.pipes import Pipe
from media_service.ffmpeg.process import start
from media_service.ffmpeg.transform_recipes import transform
from media_service.ffmpeg.transform_sources import look
from media_service.wire.transforms import read_operations, result_of
from tests.support.media import ffmpeg, probe

LIMITS = Limits(memory_bytes=2 << 30)


async def made(path: Path, directory: Path, **asked: str) -> Path:
    """The result of a transform, as a file."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        source = await look(fd, LIMITS)
        wanted = read_operations(asked.items())
        result = result_of(wanted, own=source.own, kinds=source.kinds)
        with Pipe() as output, Pipe() as progress:
            argv = transform(
                source,
                wanted,
                result,
                source_fd=fd,
                pipe_fd=output.write_fd,
                progress_fd=progress.write_fd,
                limits=LIMITS,
                threads=1,
            )
            async with start(argv, limits=LIMITS, pass_fds=(fd,), outputs=(output,), progress=progress):
                content = await output.read_all()
    finally:
        os.close(fd)
    found = directory / f"made.{result.extension}"
    found.write_bytes(content)
    return found


def shown(path: Path) -> dict[str, Any]:
    """Its streams by kind, and how long it is."""
    found = probe(path, "-show_streams", "-show_format", "-count_frames")
    return {one["codec_type"]: one for one in found["streams"]} | {"format": found["format"]}


def pixel(path: Path, x: float, y: float) -> tuple[int, ...]:
    """Red, green, blue and opacity at a place, as shares of width and height, of the first frame."""
    size = probe(path, "-show_streams", "-select_streams", "v")["streams"][0]
    argv = [
        "ffmpeg",
        "-v",
        "error",
        "-i",
        str(path),
        "-frames:v",
        "1",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgba",
        "-",
    ]
    pixels = subprocess.run(argv, check=True, capture_output=True).stdout
    place = int(size["height"] * y) * size["width"] + int(size["width"] * x)
    return tuple(pixels[4 * place : 4 * place + 4])


def plain(path: Path, colour: str = "0x2080C0", size: str = "320x180", *options: str) -> Path:
    """A picture of one colour."""
    ffmpeg("-f", "lavfi", "-i", f"color=c={colour}:s={size},format=rgb24", "-frames:v", "1", *options, path)
    return path
