"""A real file system that is soon full."""

from __future__ import annotations

import shutil
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


def fill(path: Path, *, but: int = 0) -> None:
    """Write to `path` until its disk is full, or has only `but` bytes left."""
    with path.open("wb", buffering=0) as filler:
        try:
            while shutil.disk_usage(path).free > but and filler.write(bytes(MIB)):
                pass
        except OSError:
            return
