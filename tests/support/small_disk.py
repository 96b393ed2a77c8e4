"""A real file system that is soon full."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

MIB = 1 << 20


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 80 MiB, of which the service leaves the last 64 to its catalog; it is mounted on `media` in it."""
    mounted = tmp_path / "media"
    mounted.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", "size=80m", "tmpfs", str(mounted)]
    if subprocess.run(argv, check=False, capture_output=True).returncode:
        pytest.skip("mounting a file system is not allowed here")
    try:
        yield tmp_path
    finally:
        subprocess.run(["umount", str(mounted)], check=True)


def fill(path: Path) -> None:
    """Write to `path` until its disk is full."""
    with path.open("wb", buffering=0) as filler:
        try:
            while filler.write(bytes(MIB)):
                pass
        except OSError:
            return
