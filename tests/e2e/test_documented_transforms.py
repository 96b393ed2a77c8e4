"""The examples of docs/transform.md do what the page says: run as they stand there, against a real service."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from media_service.settings import Settings
from media_service.wire.transforms import NAMES, RESULTS
from tests.support.films import Film, Films
from tests.support.media import ffmpeg, probe
from tests.support.server import CHECKOUT, Server, running_server

PAGE = (CHECKOUT / "docs" / "transform.md").read_text()
SECONDS = 60
# File -> codecs and, where it is asked for, width.
MADE = {
    "blurred.jpg": ("mjpeg", 320),
    "small.webp": ("webp", 320),
    "turned.png": ("png", 200),
    "short.mp4": ("h264", 160),
    "short.webm": ("vp9 opus", 320),
    "holiday.gif": ("gif", 160),
    "still.jpg": ("mjpeg", 320),
    "holiday.m4a": ("aac", None),
    "holiday.mp3": ("mp3", None),
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("service"), transcode_workers=0) as running:
        yield running


@pytest.fixture(scope="module")
def directory(films: Films, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the examples run: a photo and a film."""
    found = tmp_path_factory.mktemp("examples")
    (found / "holiday.mp4").write_bytes(films.film(Film(seconds=3)).read_bytes())
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=320x200", "-frames:v", "1", found / "photo.jpg")
    return found


def lines() -> list[str]:
    """The commands of the page, but for the first, which says where the service is."""
    found = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return [line for block in found[1:] for line in block.splitlines()]


def test_every_result_of_the_page_is_made_by_a_line_of_it() -> None:
    assert {name for line in lines() for name in re.findall(r"-o (\S+)", line)} == set(MADE)


@pytest.mark.parametrize("line", lines())
def test_a_line_of_the_page_makes_what_it_says(line: str, service: Server, directory: Path) -> None:
    known = {"S": service.url, "T": f"Authorization: Bearer {service.token}"}
    done = subprocess.run(
        ["sh", "-eu", "-c", line],
        cwd=directory,
        env={**os.environ, **known},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    made = re.search(r"-o (\S+)", line)
    if made is None:
        assert done.stdout.split() == ["h264", "aac"]
        return
    codecs, width = MADE[made[1]]
    streams = probe(directory / made[1], "-show_streams")["streams"]
    assert " ".join(one["codec_name"] for one in streams) == codecs
    assert streams[0].get("width") == width


def test_the_page_lists_every_operation_and_every_format() -> None:
    rows = re.findall(r"^\| (`[^|]+`) \|", PAGE, re.MULTILINE)
    told = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(told) == sorted([*NAMES, *RESULTS])


def test_the_page_knows_the_limits() -> None:
    fields = Settings.__struct_fields__
    named = set(re.findall(r"`((?:TRANSFORM|UPLOAD|MAX)_[A-Z_]+)`", PAGE))
    assert {name.lower() for name in named} <= set(fields)
    assert {name for name in fields if name.startswith("transform_")} <= {name.lower() for name in named}
    assert Settings().transform_max_bytes == 128 << 20
