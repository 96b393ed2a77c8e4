"""What the workplace lends to the tests: real media, range vectors, runners. Never copied into the repository."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

SHARED = Path(__file__).resolve().parents[2].parent / "shared"


def shared_file(name: str) -> Path:
    """The file `name` below ../shared; skips the test with that reason when it is absent."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"../shared/{name} is absent")
    return path


# Their oddity is another film's too, or decoding them takes long: where each film costs several runs of ffmpeg, they are left to
# `make torture`.
ORDINARY = {
    "long_362s_1080p_moovend.mp4",
    "hevc_1080p_10s.mp4",
    "camera_320x240_60fps_15s.mp4",
    "camera_noaudio_40s.mp4",
}


def each_film(*, with_picture: bool = False) -> list[Any]:
    """Parameters: the names of the corpus' good films, of which those that are ORDINARY belong to `make torture`."""
    return [
        pytest.param(one["file"], marks=[pytest.mark.torture] if one["file"] in ORDINARY else [])
        for one in corpus("ok")
        if not with_picture or any(stream["codec_type"] == "video" for stream in one["ffprobe"]["streams"])
    ]


def corpus(expected: str | None = None) -> list[dict[str, Any]]:
    """The entries of the media corpus (those marked `expected`, if given); empty when the corpus is absent."""
    index = SHARED / "corpus" / "index.json"
    if not index.exists():
        return []
    entries: list[dict[str, Any]] = json.loads(index.read_text())
    return [entry for entry in entries if expected is None or entry["expected"] == expected]
