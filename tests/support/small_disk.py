"""A real file system that is soon full."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MIB = 1 << 20


@contextmanager
def disk_of(mib: int, place: Path) -> Iterator[Path]:
    """A file system of so many MiB on `place`. Skips the test where none can be mounted."""
    place.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(place)]
    if subprocess.run(argv, check=False, capture_output=True).returncode:
        pytest.skip("mounting a file system is not allowed here")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 80 MiB, of which the service leaves the last 64 to its catalog; it is mounted on `media` in it."""
    with disk_of(80, tmp_path / "media"):
        yield tmp_path


def fill(path: Path, *, but: int = 0) -> None:
    """Write to `path` until its disk is full, or has only `but` bytes left."""
    with path.open("wb", buffering=0) as filler:
        try:
            while shutil.disk_usage(path).free > but and filler.write(bytes(MIB)):
                pass
        except OSError:
            return
