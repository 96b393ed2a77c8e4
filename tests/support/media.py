"""ffmpeg and ffprobe as judges of files that the tests make."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any


def ffmpeg(*arguments: str | Path) -> str:
    """Run ffmpeg with warnings shown and return what it said on stderr; fails the test on an exit code."""
    argv = ["ffmpeg", "-nostdin", "-v", "warning", "-y", *map(str, arguments)]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stderr


def framemd5(path: Path | str) -> list[str]:
    """Of a file or URL, one line per packet of each video and audio stream: times, size and MD5 of the stored bytes."""
    argv = ["ffmpeg", "-nostdin", "-v", "error", "-i", str(path), "-map", "0:v?", "-map", "0:a?"]
    argv += ["-c", "copy", "-copyts", "-f", "framemd5", "-"]
    done = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=120)
    return [line for line in done.stdout.splitlines() if not line.startswith("#")]


def decoded(path: Path, *options: str) -> list[str]:
    """One line per decoded frame of each stream: stream, times, size and MD5."""
    argv = [
        "ffmpeg",
        "-nostdin",
        "-v",
        "error",
        *options,
        "-i",
        str(path),
        "-fps_mode",
        "passthrough",
        "-copyts",
    ]
    done = subprocess.run(
        [*argv, "-f", "framemd5", "-"], check=True, capture_output=True, text=True, timeout=120
    )
    return [line for line in done.stdout.splitlines() if not line.startswith("#")]


def probe(path: Path | str, *options: str) -> dict[str, Any]:
    """ffprobe's JSON on a file or URL."""
    argv = ["ffprobe", "-v", "error", *options, "-of", "json", str(path)]
    done = subprocess.run(argv, check=True, capture_output=True, timeout=120)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def packets(path: Path, stream: str, fields: str = "pts,size,flags") -> list[tuple[str, ...]]:
    """The packets of one stream ("v", "a", "0") as ffprobe reads them, one tuple of `fields` each."""
    shown = probe(path, "-select_streams", stream, "-show_entries", f"packet={fields}")
    return [tuple(str(packet.get(name)) for name in fields.split(",")) for packet in shown["packets"]]
