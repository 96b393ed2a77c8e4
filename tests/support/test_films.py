"""The tests' films are what their descriptions say: checked by ffprobe and by the order of their boxes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.films import Film, Films


def probe(path: Path) -> dict[str, Any]:
    argv = ["ffprobe", "-v", "error", "-show_streams", "-show_format", "-of", "json", str(path)]
    found: dict[str, Any] = json.loads(subprocess.run(argv, check=True, capture_output=True).stdout)
    return found


@pytest.mark.parametrize(
    "film",
    [
        Film(),
        Film(seconds=1, size=(160, 90), fps=10, audio=False, moov_at_end=False, clock=True),
        Film(seconds=1, size=None),
        Film(seconds=1, codec="libvpx-vp9", container="webm"),
        Film(seconds=1, rotation=90),
        Film(seconds=1, container="mov"),
    ],
    ids=str,
)
def test_a_film_is_as_described(films: Films, film: Film) -> None:
    path = films.film(film)
    facts = probe(path)
    assert float(facts["format"]["duration"]) == pytest.approx(film.seconds, abs=0.1)
    kinds = [stream["codec_type"] for stream in facts["streams"]]
    assert kinds == ["video"] * bool(film.size) + ["audio"] * film.audio
    if film.size:
        picture = facts["streams"][0]
        assert (picture["width"], picture["height"]) == film.size
        assert picture["r_frame_rate"] == f"{film.fps}/1"
        turned = [side["rotation"] for side in picture.get("side_data_list", []) if "rotation" in side]
        assert turned == ([-film.rotation] if film.rotation else [])
    if film.container in {"mp4", "mov"}:
        data = path.read_bytes()
        assert (data.index(b"moov") > data.index(b"mdat")) == film.moov_at_end


def test_each_kind_is_made_once(films: Films) -> None:
    assert films.film(Film()) == films.film(Film(seconds=2.0))
