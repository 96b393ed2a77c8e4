"""The fence alone: ffmpeg is let do with hostile files what it likes, every format and protocol allowed, and gets nowhere."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from media_service.ffmpeg.fence import Limits, source_url
from media_service.ffmpeg.spawning import built
from media_service.ffmpeg.walls import Walls
from tests.ffmpeg.running import opened
from tests.support.attacks import VICTIM, make_attacks
from tests.support.fenced import inside
from tests.support.films import Films
from tests.support.upstream import Upstream, running_upstream

EVERYTHING = "file,http,tcp,udp,rtp,rtsp,concat,subfile,crypto,cache,async,data,pipe,fd,unix"
NO_WALLS = Walls(files="none")


@pytest.fixture(scope="module")
def canary() -> Iterator[Upstream]:
    with running_upstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory, canary: Upstream, films: Films) -> list[Path]:
    """The hostile files that name another place."""
    directory, tools = tmp_path_factory.mktemp("attacks"), tmp_path_factory.mktemp("tools")
    url = f"http://127.0.0.1:{canary.port}"
    attacks = make_attacks(directory, tools, films.film(), url)
    return [path for path in attacks if path.name.startswith(("hls_", "ffconcat_", "dash_", "dref"))]


def converted(path: Path, walls: Walls) -> bytes:
    """What ffmpeg makes of the file, without any of the options that the service gives it."""
    argv = ["ffmpeg", "-nostdin", "-v", "quiet", "-protocol_whitelist", EVERYTHING]
    if path.name.startswith("ffconcat_"):
        argv += ["-f", "concat", "-safe", "0"]
    elif path.name.startswith("hls_"):
        argv += ["-allowed_extensions", "ALL"]
    with opened(path) as fd:
        output = ("-map", "0", "-c", "copy", "-f", "mpegts", "pipe:1")
        limits = Limits(cpu_seconds=5)
        return inside(
            *argv, "-t", "5", "-i", source_url(fd), *output, walls=walls, source_fds=(fd,), limits=limits
        ).said


def samples(film: bytes) -> list[bytes]:
    """Pieces of the film that any copy of it holds: inside the packets of the stream, behind their headers."""
    dice = random.Random(3)
    starts = [188 * dice.randrange(len(film) // 188) for _ in range(60)]
    return [piece for at in starts if len(set(piece := film[at + 100 : at + 140])) > 16]


def readers(texts: list[Path], walls: Walls) -> set[str]:
    """The names of those that got at the victim's film."""
    pieces = samples((texts[0].parent / VICTIM).read_bytes())
    made = {path.name: converted(path, walls) for path in texts}
    return {name for name, output in made.items() if any(piece in output for piece in pieces)}


def test_the_fence_alone_keeps_hostile_files_from_victim_and_canary(
    texts: list[Path], canary: Upstream
) -> None:
    if built().gaps:
        pytest.skip("this machine has no whole fence")
    assert len(texts) > 15
    assert not readers(texts, built())
    assert not canary.asked


def test_without_it_some_of_them_succeed(texts: list[Path], canary: Upstream) -> None:
    """Else the test above would show nothing."""
    assert {"hls_file_read.mp4", "ffconcat_abs.mp4"} <= readers(texts, NO_WALLS)
    assert canary.asked
